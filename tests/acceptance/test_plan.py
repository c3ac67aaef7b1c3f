"""A plan reads only, and claims what the run then does."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.events import REGION, instance_event, key_event
from tests.acceptance.served_world import CommandLine, Served

Pair = tuple[str, str]
EXIT_WAITING = 5
LOCAL = ("notify:", "evidence:")
TOKEN = re.compile(r"<[^<>]+>")
EVENTS: Mapping[str, Callable[..., Path]] = {
    "ec2-instance-compromise": instance_event,
    "iam-user-key-compromise": key_event,
}


def fits(claim: str, target: str) -> bool:
    """Return whether a target is what was claimed; a token of what did not exist yet fits anything."""
    parts = [re.escape(part) for part in TOKEN.split(claim)]
    return re.fullmatch(".+".join(parts), target) is not None


def unmatched(claims: Iterable[Pair], done: Iterable[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Return the claims that nothing fulfilled, and what was done without a claim; exact targets first."""
    left, extra = sorted(claims, key=lambda pair: len(TOKEN.findall(pair[1]))), list(done)
    for claim in list(left):
        found = next((pair for pair in extra if pair[0] == claim[0] and fits(claim[1], pair[1])), None)
        if found is not None:
            left.remove(claim)
            extra.remove(found)
    return left, extra


def journalled(timeline: str) -> list[Pair]:
    """Return the (operation, target) pairs that a run's journal says were sent to AWS."""
    records = [json.loads(line) for line in timeline.splitlines()]
    sent = [
        call for record in records if record["kind"] == "step_outcome" for call in record["body"]["calls"]
    ]
    return pairs(sent)


def pairs(calls: Iterable[Mapping[str, Any]]) -> list[Pair]:
    """Return the (operation, target) pairs that go to AWS."""
    return [(call["operation"], call["target"]) for call in calls if not call["operation"].startswith(LOCAL)]


@pytest.mark.parametrize("playbook", EVENTS)
def test_the_plan_changes_nothing_and_claims_what_the_run_does(
    playbook: str,
    tmp_path: Path,
    start_world: Callable[..., Served],
    command_line: Callable[..., CommandLine],
) -> None:
    """The multiset of mutating (operation, target) pairs is the same; the call log confirms both."""
    event = EVENTS[playbook](tmp_path)
    world = start_world(event)
    irrunner = command_line(world, REGION)

    planned = irrunner("plan", playbook, "--event", event, "--json")
    dry = irrunner("respond", "--event", event, "--dry-run", "--json")
    after_planning = world.calls(mutating=True)
    ran = irrunner("respond", "--event", event, "--json")
    run_id = ran.document["run_id"]
    ended = irrunner("approve", run_id, "--json") if ran.code == EXIT_WAITING else ran
    sent = journalled(irrunner("timeline", run_id, "--json").out)

    claims = pairs(planned.document["calls"])
    assert (planned.code, dry.code) == (0, 0), planned.err + dry.err
    assert after_planning == []
    assert dry.document["status"] == planned.document["status"] == "planned"
    assert pairs(dry.document["calls"]) == claims
    assert ended.document["status"] == "succeeded", ended.out
    assert unmatched(claims, sent) == ([], [])
    assert operations(world.calls(mutating=True)) == Counter(operation for operation, _ in sent)


def operations(calls: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Return the operations of a call log, with their number."""
    return Counter(call["operation"] for call in calls)
