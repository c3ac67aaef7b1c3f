"""The evidence and IAM actions against the simulated organisation, by real sessions cut to each action."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from gameday.world.world import World
from irrunner.actions.contract import AnyAction, LookContext, Where
from irrunner.actions.ebs.await_snapshots import AwaitSnapshots
from irrunner.actions.ebs.copy_to_forensics import CopyToForensics
from irrunner.actions.ebs.snapshot_instance import SnapshotInstance
from irrunner.actions.iam.access_key import DeactivateAccessKey
from irrunner.actions.iam.quarantine import QuarantineUser
from irrunner.actions.iam.role_sessions import RevokeRoleSessions
from irrunner.actions.iam.role_users import DescribeRoleUsers
from irrunner.actions.runtime import Done, Later, StepRun
from irrunner.actions.sending import Ports, Sender
from irrunner.aws.cloud import BotoCloud
from irrunner.aws.operations import ReadOnlyApi
from irrunner.settings import Forensics, Settings
from irrunner.testing import FakeApi, ManualClock
from irrunner.vocabulary import Outcome

RUN_ID = "019b7c2e-0000-7000-8000-000000000001"


@dataclass
class Bench:
    """Runs actions in the world's first member account."""

    world: World
    clock: ManualClock
    cloud: BotoCloud
    settings: Settings
    where: Where
    answers: dict[str, Any] = field(default_factory=dict)

    def run(self, action: AnyAction, marker: str, **values: Any) -> Done:
        """Run one action to its end."""
        params = action.Params(**values)
        texts = {name: value for name, value in values.items() if isinstance(value, str)}
        given: dict[str, Any] = {"run_id": RUN_ID, "permissions": action.permissions, "values": texts}
        target = self.cloud.member(self.where.account_id, self.where.region, **given)
        forensics = self.cloud.forensics(str(self.where.forensic_region), **given)
        started = self.clock.now()

        def context() -> LookContext:
            return LookContext(
                api=ReadOnlyApi(target), forensics=ReadOnlyApi(forensics), where=self.where,
                now=self.clock.now(), started=started, run_id=RUN_ID, marker=f"{RUN_ID}/{marker}", drill=True,
                settings=self.settings,
            )  # fmt: skip

        sender = Sender(Ports(target, forensics, FakeApi({})), self.clock)
        step = StepRun(action, params, context, sender, self.clock, started + timedelta(hours=2))
        step.begin()
        while isinstance(progress := step.advance(), Later):
            self.clock.advance(progress.poll_s)
        return progress


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A world on a clock that moves when told."""
    clock = ManualClock()
    with World.build(seed=7, clock=clock) as world:
        for name, value in world.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        forensic = world.organisation.forensics
        settings = Settings(forensics=Forensics(account_id=forensic), regions=(world.region,))
        account, region = world.resources["account_id"], world.region
        where = Where("aws", account, region, forensic, region, None)
        yield Bench(world, clock, BotoCloud(settings, clock), settings, where)


def test_every_disk_reaches_the_forensic_account(bench: Bench) -> None:
    """Snapshots, completion, and a copy of each under the evidence key, whatever key the disk is under."""
    taken = bench.run(SnapshotInstance(), "snapshot", instance_id=bench.world.resources["instance_id"])
    assert taken.outcome is Outcome.APPLIED, taken.reason
    ids = taken.outputs["snapshot_ids"]
    assert len(ids) == len(bench.world.resources["volume_ids"]) > 1

    done = bench.run(AwaitSnapshots(), "await", snapshot_ids=ids)
    assert done.outcome is Outcome.APPLIED, done.reason
    copies = [
        bench.run(CopyToForensics(), f"copy_out[{index}]", snapshot_id=one) for index, one in enumerate(ids)
    ]

    assert [copy.outcome for copy in copies] == [Outcome.APPLIED] * len(ids), [copy.reason for copy in copies]
    ec2 = bench.world.client(bench.world.organisation.forensics, "ec2")
    kms = bench.world.client(bench.world.organisation.forensics, "kms")
    evidence_key = kms.describe_key(KeyId="alias/irrunner-evidence")["KeyMetadata"]["Arn"]
    seen = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert {item["SnapshotId"] for item in seen} == {copy.outputs["forensic_snapshot_id"] for copy in copies}
    assert {(item["State"], item["KmsKeyId"], item["Encrypted"]) for item in seen} == {
        ("completed", evidence_key, True)
    }
    member = bench.world.client(bench.where.account_id, "ec2")
    for one in member.describe_snapshots(OwnerIds=["self"])["Snapshots"]:
        shared = member.describe_snapshot_attribute(
            SnapshotId=one["SnapshotId"], Attribute="createVolumePermission"
        )
        assert shared["CreateVolumePermissions"] == []


def test_a_disk_under_a_disabled_key_is_refused_with_the_remedy(bench: Bench) -> None:
    """The attacker disables the disk's key: the copy says so, and what to do."""
    taken = bench.run(SnapshotInstance(), "snapshot", instance_id=bench.world.resources["instance_id"])
    encrypted = [item for item in taken.outputs["snapshots"] if item["encrypted"]]
    kms = bench.world.client(bench.where.account_id, "kms")
    customer = next(
        item
        for item in encrypted
        if kms.describe_key(KeyId=item["kms_key_id"])["KeyMetadata"]["KeyManager"] == "CUSTOMER"
    )
    bench.world.act(
        "disable-key",
        account=bench.where.account_id,
        region=bench.where.region,
        key_id=customer["kms_key_id"],
    )

    done = bench.run(CopyToForensics(), "copy_out[0]", snapshot_id=customer["snapshot_id"])

    assert done.outcome is Outcome.REFUSED
    assert "is Disabled: enable it" in done.reason


def test_credentials_are_contained(bench: Bench) -> None:
    """Key, user and role, each by a session that may do just that."""
    resources = bench.world.resources
    user = {"user_name": "alice"}
    key_id = bench.world.client(bench.where.account_id, "iam").list_access_keys(UserName="alice")[
        "AccessKeyMetadata"
    ][0]["AccessKeyId"]

    users = bench.run(
        DescribeRoleUsers(), "users", role_name=resources["role_name"], instance_id=resources["instance_id"]
    )
    outcomes = [
        bench.run(DeactivateAccessKey(), "key", access_key_id=key_id),
        bench.run(QuarantineUser(), "user", **user),
        bench.run(RevokeRoleSessions(), "role", role_name=resources["role_name"]),
    ]

    assert users.outputs["other_users_count"] == 0
    assert [done.outcome for done in outcomes] == [Outcome.APPLIED] * 3, [done.reason for done in outcomes]
    assert outcomes[2].outputs["shared_with"] == [resources["instance_id"]]
