"""Whether a played test went as it was expected to; everything that did not, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from gameday.observe import FACTS, Scene, View, differences
from gameday.playbook_test_schema import Expectations
from gameday.world import Call
from irrunner.playbook.model import Playbook
from irrunner.vocabulary import Outcome, RunStatus

NOBODY: Final = "person"


@dataclass(frozen=True, slots=True)
class Played:
    """A run that has come to rest, and what the world looked like around it."""

    document: Mapping[str, Any]
    scene: Scene
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    calls: Sequence[Call]
    bystander: Mapping[str, Any]
    """Resources that the incident has nothing to do with; empty where an event built the world."""
    chain_problem: str


def judge(expect: Expectations, played: Played, playbook: Playbook) -> Iterator[str]:
    """Yield what is not as expected, one line each."""
    yield from _judge_run(expect, played, playbook.id)
    yield from _judge_steps(expect, played.document, _step_ids(playbook))
    yield from _judge_state(expect, played)
    yield from _judge_calls(expect, played.calls)
    if played.chain_problem:
        yield f"the journal does not verify: {played.chain_problem}"
    for path in collateral(played):
        yield f"a bystander was changed: {path}"


def step_of(path: str) -> str:
    """Return the step's id of a path such as ``preserve/copy_out[2]``."""
    return path.rpartition("/")[2].partition("[")[0]


def _judge_run(expect: Expectations, played: Played, playbook_id: str) -> Iterator[str]:
    document = played.document
    wanted = expect.playbook or (NOBODY if expect.status == RunStatus.NO_PLAYBOOK else playbook_id)
    ran = document["playbook"]["id"] if document["playbook"] else NOBODY
    if ran != wanted:
        reason = f" ({document['reason']})" if document.get("reason") else ""
        yield f"playbook: expected {wanted}, is {ran}{reason}"
    if expect.status is not None and document["status"] != expect.status:
        gates = ", ".join(gate["path"] for gate in document.get("gates", []))
        waits = f"; open: {gates}" if gates else ""
        yield f"status: expected {expect.status}, is {document['status']}{waits}"
    if expect.reason is not None and document.get("reason_code") != expect.reason:
        yield f"reason: expected {expect.reason}, is {document.get('reason_code')}"


def _step_ids(playbook: Playbook) -> frozenset[str]:
    """Return the ids of all steps, those of the playbooks that it runs among them."""
    inner = (_step_ids(callee) for callee in playbook.callees.values())
    return frozenset(step.id for step in playbook.walk()).union(*inner)


def _judge_steps(expect: Expectations, document: Mapping[str, Any], known: frozenset[str]) -> Iterator[str]:
    for name, outcome in expect.steps.items():
        found = [step for step in document["steps"] if name in (step["id"], step["step"])]
        if not found and step_of(name) not in known:
            yield f"steps.{name}: there is no such step"
        elif not found and outcome is not Outcome.SKIPPED:
            yield f"steps.{name}: expected {outcome}, was never reached"
        for step in found:
            if step["outcome"] != outcome:
                error = step.get("error") or {}
                why = f" ({error['code']}: {error['message']})" if error else ""
                yield f"steps.{step['id']}: expected {outcome}, is {step['outcome']}{why}"


def _judge_state(expect: Expectations, played: Played) -> Iterator[str]:
    wanted = expect.state.model_dump(exclude_none=True)
    view = View(played.after, played.scene)
    for name, value in wanted.items():
        if name == "unchanged":
            changed = differences(played.before, played.after, strict=True)
            if (not changed) != value:
                yield f"state.unchanged: expected {value}; differs: {', '.join(changed) or 'nothing'}"
        elif (found := FACTS[name](view)) != value:
            yield f"state.{name}: expected {value}, is {found}"


def _judge_calls(expect: Expectations, calls: Sequence[Call]) -> Iterator[str]:
    effects = [call.operation for call in calls if had_effect(call)]
    for operation, count in expect.calls.items():
        if effects.count(operation) != count:
            yield f"calls.{operation}: expected {count}, are {effects.count(operation)}"
    first = [effects.index(name) if name in effects else -1 for name in expect.order]
    for name, position in zip(expect.order, first, strict=True):
        if position < 0:
            yield f"order: {name} was not called"
    if -1 not in first and first != sorted(first):
        yield f"order: expected {' < '.join(expect.order)}, the first calls are numbers {first}"
    for pattern in expect.never:
        tried = sorted({call.operation for call in calls if fnmatchcase(call.operation, pattern)})
        if tried:
            yield f"never {pattern}: was called ({', '.join(tried)})"


def had_effect(call: Call) -> bool:
    """Return whether the cloud did what the call asked for, whether or not the caller was told."""
    return call.error is None and call.fault != "lost-before-effect"


def collateral(played: Played) -> list[str]:
    """Return what differs of the bystander: its instance, interfaces, groups, volumes, user and role."""
    names = set()
    for value in played.bystander.values():
        names |= set(value) if isinstance(value, list) else {value}
    names -= {played.scene.account, played.scene.region}
    return [path for path in differences(played.before, played.after) if names & set(path.split("/"))]
