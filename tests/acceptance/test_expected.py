"""Every real event, against the world it speaks of: what the reviewed table says, seen by an outsider."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from irrunner.cli import app
from irrunner.cli.context import Context
from tests.acceptance import independent
from tests.acceptance.expectations import Row, contained, for_people
from tests.acceptance.restored import not_as_before
from tests.acceptance.served_world import CommandLine, Served, serve


@pytest.fixture(scope="module")
def one_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve one world for all events about which nothing is done."""
    with serve(None, tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture(scope="module")
def services() -> Context:
    """Return services that all command lines of this module share, to be quick."""
    return Context()


@pytest.mark.parametrize("row", for_people(), ids=lambda row: row.event)
def test_what_a_person_decides_is_left_alone(
    row: Row, one_world: Served, services: Context, findings_dir: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The event ends with exit code 3 and the reason of the table; no run is made."""
    for name, value in one_world.env.items():
        monkeypatch.setenv(name, value)

    code = app.run(["respond", "--event", str(findings_dir / row.event), "--json"], services)

    document = json.loads(capsys.readouterr().out)
    assert (code, document["exit_code"]) == (row.exit_code, row.exit_code), document
    assert (document["status"], document["reason_code"]) == ("no_playbook", row.reason)
    assert document["run_id"] is None


def test_nothing_was_called_for_people(one_world: Served, services: Context) -> None:
    """A world in which people decide has seen no call that changes anything."""
    assert [call["operation"] for call in one_world.calls(mutating=True)] == []


@pytest.mark.parametrize("row", contained(), ids=lambda row: row.event)
def test_what_is_contained_is_seen_by_an_outsider_and_undone(
    row: Row, findings_dir: Path,
    start_world: Callable[..., Served], command_line: Callable[..., CommandLine],
) -> None:  # fmt: skip
    """The event runs the playbook of the table; boto3 alone sees the end state; undo restores all."""
    event = findings_dir / row.event
    world = start_world(event)
    irrunner = command_line(world, world.resources["region"])
    before = world.state()

    done = irrunner.program("respond", "--event", event, "--json")
    document = done.document

    assert done.code == row.exit_code, (done.err, document)
    assert document["playbook"]["id"] == row.playbook
    assert document["status"] == ("waiting" if row.exit_code == 5 else "succeeded")
    assert document["drill"] is row.drill
    assert [step for step in document["steps"] if step["error"]] == []
    assert document["objectives"]["contain"]["met"] is True
    seen = CHECKS[row.playbook](world)
    assert seen == []

    undone = irrunner("undo", document["run_id"], "--release-credentials", "--json")

    assert undone.code in (0, 5), (undone.err, undone.out)
    assert [step for step in undone.document["steps"] if step["error"]] == []
    assert not_as_before(before, world.state()) == []


def _accounts(world: Served) -> tuple[independent.Account, independent.Account]:
    account, region = world.resources["account_id"], world.resources["region"]
    forensic = world.ready["accounts"]["forensics"]
    member = independent.Account(world.env, account, region, independent.RESPONDER_ROLE)
    return member, independent.Account(world.env, forensic, region, independent.FORENSICS_ROLE)


def instance_problems(world: Served) -> list[str]:
    """Return what is not as it must be after an instance was contained."""
    member, forensics = _accounts(world)
    ec2, iam = member.client("ec2"), member.client("iam")
    instance = world.resources["instance_id"]
    groups = independent.interface_groups(ec2, instance)
    problems = [
        f"{eni} is in {group}, which has rules"
        for eni, its in groups.items()
        for group in its
        if not independent.ruleless(ec2, group)
    ]
    if set(groups) != set(world.resources["network_interface_ids"]):
        problems.append(f"other interfaces than before: {sorted(groups)}")
    if independent.profiles(ec2, instance):
        problems.append("the instance profile is still there")
    if not independent.revocations(iam, world.resources["role_name"]):
        problems.append("the role's sessions are not revoked")
    problems += _order_problems(world.calls())
    return problems + _evidence_problems(world, ec2, forensics)


def _order_problems(calls: list[dict[str, Any]]) -> list[str]:
    """Return which calls came in the wrong order, by the world's own log."""
    good = [call["operation"] for call in calls if call["error"] is None]
    pairs = (
        ("ec2:CreateSnapshots", "ec2:ModifyNetworkInterfaceAttribute"),
        ("ec2:DisassociateIamInstanceProfile", "iam:PutRolePolicy"),
    )
    return [f"{second} before {first}" for first, second in pairs if good.index(first) > good.index(second)]


def _evidence_problems(world: Served, ec2: Any, forensics: independent.Account) -> list[str]:
    theirs, kms = forensics.client("ec2"), forensics.client("kms")
    taken = {
        snapshot["VolumeId"]: snapshot["SnapshotId"]
        for snapshot in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
        if snapshot["VolumeId"] in independent.volumes(ec2, world.resources["instance_id"])
    }
    problems = [f"no snapshot of {volume}" for volume in world.resources["volume_ids"] if volume not in taken]
    copies = independent.copies_of(theirs, list(taken.values()))
    for source in taken.values():
        copy = copies.get(source)
        if copy is None or not independent.can_read(theirs, copy["SnapshotId"]):
            problems.append(f"no complete copy of {source} in the forensic account")
        elif independent.key_owner_account(kms, copy["KmsKeyId"]) != forensics.account_id:
            problems.append(f"the copy of {source} is under a foreign key")
    return problems


def key_problems(world: Served) -> list[str]:
    """Return what is not as it must be after a user's key was contained."""
    member, _ = _accounts(world)
    iam = member.client("iam")
    user, key = world.resources["user_name"], world.resources["access_key_id"]
    status = independent.key_status(iam, user, key)
    return [] if status == "Inactive" else [f"key {key} is {status}"]


CHECKS: dict[str, Callable[[Served], list[str]]] = {
    "ec2-instance-compromise": instance_problems,
    "iam-user-key-compromise": key_problems,
}
