"""Undo puts everything back but evidence and what is held, and nothing that somebody changed since."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.events import ACCOUNT, KEY, REGION, instance_event, key_event
from tests.acceptance.restored import not_as_before
from tests.acceptance.served_world import CommandLine, Served


def outcomes(document: dict[str, Any]) -> dict[str, str]:
    """Return the outcome of each step."""
    return {step["step"]: step["outcome"] for step in document["steps"]}


def interface(world: Served, eni: str) -> dict[str, Any]:
    """Return an interface as the world has it."""
    region = world.state()["accounts"][ACCOUNT]["regions"][REGION]
    found: dict[str, Any] = region["network_interfaces"][eni]
    return found


def key_status(world: Served) -> str:
    """Return the status of the user's key."""
    return str(world.state()["accounts"][ACCOUNT]["users"]["alice"]["access_keys"][KEY])


def test_what_somebody_changed_since_is_left_and_explained(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """An interface moved meanwhile is not touched: exit 1 names it, everything else is put back."""
    event = instance_event(tmp_path)
    world = start_world(event)
    irrunner = command_line(world, REGION)
    before = world.state()
    eni, other = world.resources["network_interface_ids"]
    theirs = world.resources["security_group_ids"][0]
    run_id = irrunner("respond", "--event", event, "--json").document["run_id"]
    world.act(
        "set-interface-groups", account=ACCOUNT, region=REGION, network_interface_id=eni,
        security_group_ids=[theirs],
    )  # fmt: skip

    undone = irrunner("undo", run_id, "--json")
    left = not_as_before(before, world.state())
    shown = irrunner("show", undone.document["run_id"])

    assert undone.code == 1, (undone.err, undone.out)
    assert outcomes(undone.document)["isolate"] == "refused"
    (error,) = [step["error"] for step in undone.document["steps"] if step["error"]]
    assert error["code"] == "drift"
    assert eni in error["message"]
    assert eni in shown.out
    assert interface(world, eni)["security_group_ids"] == [theirs]
    assert outcomes(undone.document)["remove_profile"] == outcomes(undone.document)["protect"] == "applied"
    assert {path[5] for path, _, _ in left if "network_interfaces" in path} <= {eni, other}


def test_a_second_undo_changes_nothing(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """What is as before stays as it is, and sends nothing."""
    event = instance_event(tmp_path)
    world = start_world(event)
    irrunner = command_line(world, REGION)
    before = world.state()
    run_id = irrunner("respond", "--event", event, "--json").document["run_id"]
    first = irrunner("undo", run_id, "--json")
    between, sent = world.state(), len(world.calls(mutating=True))

    second = irrunner("undo", run_id, "--json")

    assert first.code == second.code == 5, second.err
    assert not_as_before(before, between) == []
    assert world.state() == between
    assert len(world.calls(mutating=True)) == sent


def test_credentials_come_back_only_by_name(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """Undo holds the key; with --release-credentials key and user are as before."""
    event = key_event(tmp_path)
    world = start_world(event)
    irrunner = command_line(world)
    before = world.state()
    run_id = irrunner("respond", "--event", event, "--json").document["run_id"]

    held = irrunner("undo", run_id, "--json")
    while_held = key_status(world)
    released = irrunner("undo", run_id, "--release-credentials", "--json")

    assert (held.code, while_held) == (5, "Inactive")
    assert released.code == 0, (released.err, released.out)
    assert key_status(world) == "Active"
    assert not_as_before(before, world.state()) == []


def test_a_failed_run_is_undone_too(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """Where profile and sessions could not be taken away, undo puts back what was done beside that."""
    event = instance_event(tmp_path)
    world = start_world(event)
    irrunner = command_line(world, REGION)
    before = world.state()
    world.fault("ec2:DisassociateIamInstanceProfile", "deny", times=0)
    world.fault("iam:PutRolePolicy", "deny", times=0)

    asked = irrunner("respond", "--event", event, "--json")
    failed = irrunner("deny", asked.document["run_id"], "--reason", "not now", "--json")
    isolated = interface(world, world.resources["network_interface_ids"][0])
    world.clear_faults()
    undone = irrunner("undo", failed.document["run_id"], "--json")

    assert (failed.code, failed.document["status"]) == (1, "partial"), failed.out
    assert isolated["security_group_ids"] != sorted(world.resources["security_group_ids"])
    assert undone.code == 0, (undone.err, undone.out)
    assert not_as_before(before, world.state()) == []


def test_one_step_can_be_undone_alone(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """--step isolate gives the interfaces their groups back, and nothing else."""
    event = instance_event(tmp_path)
    world = start_world(event)
    irrunner = command_line(world, REGION)
    before = [interface(world, eni) for eni in world.resources["network_interface_ids"]]
    run_id = irrunner("respond", "--event", event, "--json").document["run_id"]

    undone = irrunner("undo", run_id, "--step", "isolate", "--json")

    assert undone.code == 0, undone.err
    assert outcomes(undone.document) == {"isolate": "applied"}
    assert [interface(world, eni) for eni in world.resources["network_interface_ids"]] == before


@pytest.mark.parametrize("run", ["nothing", "of-an-undo"])
def test_what_cannot_be_undone_is_refused(
    run: str, tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """An unknown run and an undo itself are invalid input, with the next command to type."""
    event = key_event(tmp_path)
    irrunner = command_line(start_world(event))
    run_id = irrunner("respond", "--event", event, "--json").document["run_id"]
    asked = irrunner("undo", run_id, "--json").document["run_id"] if run == "of-an-undo" else "0000"

    refused = irrunner("undo", asked)

    assert refused.code == 2
    assert refused.err.startswith("error: run-not-")
