"""Gates: approved, denied, expired, stale, aborted; by this process or another; and Ctrl-C."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.events import ACCOUNT, INSTANCE, REGION, instance_event
from tests.acceptance.served_world import CommandLine, Done, Served, checked, eventually

IMPATIENT = """\
schema: irrunner/v1
id: impatient
version: 1.0.0
title: Ask, and do not wait long
owner: security-on-call
description: Tags an instance if somebody says so at once.
inputs:
  instance_id: {type: ec2.instance-id}
  account_id: {type: string}
deadline: 1h
steps:
  - id: ask
    approve:
      message: "Tag ${{ inputs.instance_id }}?"
      from: [approver]
      within: 1s
    then:
      - id: tag
        uses: aws.ec2.tag-instance
        with: {instance_id: "${{ inputs.instance_id }}", tags: {asked: "yes"}}
"""


@pytest.fixture
def asked(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> tuple[Served, CommandLine, str]:
    """Return a world whose instance is contained, its command line, and the run that asks for the stop."""
    event = instance_event(tmp_path)
    world = start_world(event)
    irrunner = command_line(world, REGION)
    done = irrunner("respond", "--event", event, "--json")
    assert done.code == 5, done.err
    return world, irrunner, done.document["run_id"]


def state_of(world: Served) -> str:
    """Return the state of the instance."""
    region = world.state()["accounts"][ACCOUNT]["regions"][REGION]
    return str(region["instances"][INSTANCE]["state"])


def step(done: Done, name: str) -> dict[str, Any]:
    """Return a step of a document."""
    found: dict[str, Any] = next(step for step in done.document["steps"] if step["step"] == name)
    return found


def test_an_approval_stops_the_instance(asked: tuple[Served, CommandLine, str]) -> None:
    """`approve RUN` needs no step where one gate is open; who decided is recorded with the AWS identity."""
    world, irrunner, run_id = asked

    done = irrunner("approve", run_id, "--json")
    records = [json.loads(line) for line in irrunner("timeline", run_id, "--json").out.splitlines()]

    assert (done.code, done.document["status"]) == (0, "succeeded"), done.err
    assert step(done, "stop")["outcome"] == "applied"
    assert state_of(world) in ("stopping", "stopped")
    (given,) = [record["body"] for record in records if record["kind"] == "approval_given"]
    assert given["by"]["aws"].startswith("arn:aws:")
    assert given["by"]["via"] == "local"


def test_a_denial_is_an_outcome_and_the_run_goes_on(asked: tuple[Served, CommandLine, str]) -> None:
    """What stood behind the gate is skipped, the rest is done, and the summary says what was not done."""
    world, irrunner, run_id = asked

    done = irrunner("deny", run_id, "--reason", "the owner stops it", "--json")
    summary = irrunner("show", run_id)

    assert (done.code, done.document["status"]) == (0, "succeeded"), done.err
    assert step(done, "ask_stop")["outcome"] == "denied"
    assert "stop" not in [entry["step"] for entry in done.document["steps"]]
    assert step(done, "mark")["outcome"] == "applied"
    assert state_of(world) == "running"
    assert "ask_stop" in summary.out


def test_a_changed_plan_is_asked_anew(asked: tuple[Served, CommandLine, str]) -> None:
    """An approval of what was shown before the instance changed does nothing; the gate shows the new plan."""
    world, irrunner, run_id = asked
    shown = irrunner("show", run_id, "--json").document["gates"][0]["sha256"]
    world.act("terminate-instance", account=ACCOUNT, region=REGION, instance_id=INSTANCE)

    stale = irrunner("approve", run_id, "--json")
    gates = irrunner("show", run_id, "--json").document["gates"]
    refused = irrunner("approve", run_id, "--plan", shown)

    assert stale.code == 5, stale.err
    assert "ec2:StopInstances" not in [call["operation"] for call in world.calls()]
    assert gates[0]["sha256"] != shown
    assert refused.code == 2
    assert refused.err.startswith("error: approval-stale: ")


def test_an_expired_gate_does_nothing_and_the_run_ends(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """`resume --due` fires the deadline of a parked run; a late decision is refused."""
    world = start_world(instance_event(tmp_path))
    irrunner = command_line(world)
    playbook = tmp_path / "impatient.yaml"
    playbook.write_text(IMPATIENT, encoding="utf-8")
    inputs = ("--input", f"instance_id={INSTANCE}", "--input", f"account_id={ACCOUNT}")
    parked = irrunner("run", playbook, *inputs, "--json", env={"AWS_REGION": REGION})
    assert parked.code == 5, (parked.err, parked.out)
    run_id = parked.document["run_id"]
    due = eventually(lambda: _due(irrunner, run_id), "the gate expires")

    late = irrunner("approve", run_id)

    assert due["status"] == "succeeded"
    assert [entry["outcome"] for entry in due["steps"] if entry["step"] == "ask"] == ["denied"]
    assert late.code == 2
    assert world.calls(mutating=True) == []


def _due(irrunner: CommandLine, run_id: str) -> Any:
    documents = irrunner("resume", "--due", "--json").document
    return next((entry for entry in documents if entry["run_id"] == run_id), None)


def test_an_aborted_run_undoes_nothing(asked: tuple[Served, CommandLine, str]) -> None:
    """`abort` ends the run with its containment in place; `resume` shows it, and no gate is open any more."""
    world, irrunner, run_id = asked

    done = irrunner("abort", run_id, "--reason", "false positive", "--json")
    again = irrunner("resume", run_id)
    late = irrunner("approve", run_id)

    assert (done.code, done.document["status"]) == (0, "aborted"), done.err
    assert step(done, "isolate")["outcome"] == "applied"
    assert state_of(world) == "running"
    assert (again.code, late.code) == (1, 2)
    assert irrunner("runs", "--json").document == []


def test_another_process_decides_while_evidence_is_copied(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """An approval given while `respond` still copies is taken by it; the decider need not wait."""
    event = instance_event(tmp_path)
    world = start_world(event, scale=0)
    irrunner = command_line(world, REGION)
    process = irrunner.start("respond", "--event", event, "--json")
    run_id = eventually(lambda: _waiting(irrunner), "the gate opens")

    approved = irrunner("approve", run_id, "--json")
    world.scale(50)
    done = checked(process.end())

    document = done.document
    assert approved.code in (0, 5), approved.err
    assert (done.code, document["status"]) == (0, "succeeded"), done.err
    assert {entry["step"]: entry["outcome"] for entry in document["steps"]}["stop"] == "applied"


def _waiting(irrunner: CommandLine) -> str | None:
    """Return the run that has an open gate."""
    for run in irrunner("runs", "--json").document:
        if irrunner("show", run["run_id"], "--json").document["gates"]:
            return str(run["run_id"])
    return None


def test_ctrl_c_parks_the_run_and_says_how_to_go_on(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """Exit code 130; what was in flight is journalled; the printed command ends the run as if nothing was."""
    event = instance_event(tmp_path)
    world = start_world(event, scale=0)
    irrunner = command_line(world, REGION)
    process = irrunner.start("respond", "--event", event)
    eventually(lambda: _called(world, "ec2:DisassociateIamInstanceProfile"), "containment has begun")
    time.sleep(0.3)
    process.signal(signal.SIGINT)
    done = checked(process.end())
    world.scale(50)

    (run,) = irrunner("runs", "--json").document
    resumed = irrunner("resume", run["run_id"], "--json")

    assert done.code == 130, done.err
    assert f"irrunner resume {run['run_id'][:13]}" in done.err
    assert (resumed.code, resumed.document["status"]) == (5, "waiting"), resumed.err


def _called(world: Served, operation: str) -> bool:
    return operation in [call["operation"] for call in world.calls(mutating=True)]
