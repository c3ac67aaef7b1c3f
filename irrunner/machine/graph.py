"""The flow graph of one playbook: a state per step, transitions named by outcome.

A step that holds others and must wait for them (``parallel``, ``for_each``) has a second state,
``<id>.join``. An abort or the deadline leads from every state to ``finally``; that is said once, not drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from irrunner.playbook.model import (
    Approve,
    Choose,
    Manual,
    Parallel,
    Playbook,
    Run,
    Step,
    StepKind,
    Uses,
    Wait,
    WaitUntil,
)

START, END = "start", "end"
KIND_NAMES: Mapping[type[Any], str] = {
    Uses: "uses",
    Approve: "approve",
    Parallel: "parallel",
    Choose: "choose",
    Wait: "wait",
    WaitUntil: "wait_until",
    Run: "run",
    Manual: "manual",
}
ENDINGS = ("succeeded", "partial", "failed", "aborted")


@dataclass(frozen=True, slots=True)
class State:
    """One state."""

    id: str
    kind: str
    step: Step | None = None
    section: str = "steps"

    def as_dict(self) -> dict[str, Any]:
        """Return the state as JSON-able data, without what is empty."""
        step = self.step
        facts = {"id": self.id, "kind": self.kind, "section": self.section}
        if step is None or self.kind == "join":
            return facts
        modifiers = {
            "title": step.title,
            "phase": step.phase,
            "when": step.when and step.when.source,
            "for_each": step.for_each and {"as": step.for_each.name, "at_most": step.for_each.at_most},
            "timeout_s": step.timeout_s,
            "retry": step.retry and {"attempts": step.retry.attempts, "backoff_s": step.retry.backoff_s},
        }
        return facts | {name: value for name, value in (modifiers | _kind_facts(step.kind)).items() if value}


def _kind_facts(kind: StepKind) -> dict[str, Any]:
    if isinstance(kind, Uses):
        return {"action": kind.action, "expires_after_s": kind.expires_after_s}
    if isinstance(kind, WaitUntil):
        return {"action": kind.action}
    if isinstance(kind, Run):
        return {"calls": kind.playbook}
    if isinstance(kind, Approve):
        return {"approvers": list(kind.approvers), "minimum": kind.minimum, "within_s": kind.within_s}
    if isinstance(kind, Manual):
        return {"by": list(kind.by), "within_s": kind.within_s}
    return {"for_s": kind.for_s} if isinstance(kind, Wait) else {}


@dataclass(frozen=True, slots=True)
class Transition:
    """One transition: from a state, on an outcome, to a state."""

    source: str
    on: str
    target: str

    def as_dict(self) -> dict[str, str]:
        """Return the transition as JSON-able data."""
        return {"from": self.source, "on": self.on, "to": self.target}


@dataclass(frozen=True, slots=True)
class Graph:
    """States and transitions of one playbook."""

    states: tuple[State, ...]
    transitions: tuple[Transition, ...]
    interrupted_to: str
    """Where an abort or the deadline leads, from any state."""
    failed_to: str
    """Where a failure that stops the steps leads."""

    def as_dict(self) -> dict[str, Any]:
        """Return the graph as JSON-able data."""
        return {
            "initial": START,
            "final": END,
            "endings": list(ENDINGS),
            "states": [state.as_dict() for state in self.states],
            "transitions": [transition.as_dict() for transition in self.transitions],
            "interrupts": {"abort": self.interrupted_to, "deadline": self.interrupted_to},
        }

    def unreachable(self) -> tuple[str, ...]:
        """Return the states that no path from the start leads to."""
        return self._beyond(START, ((step.source, step.target) for step in self.transitions))

    def dead_ends(self) -> tuple[str, ...]:
        """Return the states from which no path leads to the end."""
        return self._beyond(END, ((step.target, step.source) for step in self.transitions))

    def _beyond(self, origin: str, edges: Iterable[tuple[str, str]]) -> tuple[str, ...]:
        nexts: dict[str, list[str]] = {}
        for source, target in edges:
            nexts.setdefault(source, []).append(target)
        seen, todo = {origin}, [origin]
        while todo:
            new = [state for state in nexts.get(todo.pop(), ()) if state not in seen]
            seen.update(new)
            todo.extend(new)
        return tuple(state.id for state in self.states if state.id not in seen)


Job: TypeAlias = "tuple[tuple[Step, ...], str, str]"
"""A sequence, where it leads when it ends well, and where when it fails."""


class _Builder:
    """Collects states and transitions, section by section; sequences inside steps are jobs for later."""

    def __init__(self) -> None:
        self.states: list[State] = []
        self.transitions: list[Transition] = []
        self._section = "steps"

    def add(self, source: str, on: str, target: str) -> None:
        self.transitions.append(Transition(source, on, target))

    def section(self, name: str, steps: tuple[Step, ...], good: str, bad: str | None) -> None:
        """Add a top sequence; ``bad`` None: a failed step leads on to the next one."""
        self._section = name
        self._add(steps, good, bad)

    def _add(self, steps: tuple[Step, ...], good: str, bad: str | None) -> None:
        jobs: list[tuple[Step, str, str]] = []
        _plan(jobs, steps, good, bad)
        while jobs:
            step, after, failed = jobs.pop()
            self.states.append(State(step.id, KIND_NAMES[type(step.kind)], step, self._section))
            inner: list[Job] = []
            failed = self._on_failure(step, after, failed, inner)
            self._step(step, after, failed, inner)
            for sequence, then, else_ in reversed(inner):
                _plan(jobs, sequence, then, else_)

    def _on_failure(self, step: Step, after: str, failed: str, inner: list[Job]) -> str:
        """Return where a failure of the step leads."""
        if step.on_failure == "stop":
            return failed
        if step.on_failure == "continue":
            return after
        inner.append((step.on_failure, after, failed))
        return entry(step.on_failure, after)

    def _step(self, step: Step, after: str, failed: str, inner: list[Job]) -> None:
        if step.when is not None:
            self.add(step.id, "skipped", after)
        holds_steps = any(sequence for sequence in _bodies(step.kind))
        join = f"{step.id}.join"
        if isinstance(step.kind, Parallel) or (step.for_each is not None and holds_steps):
            self.states.append(State(join, "join", step, self._section))
            if step.for_each is not None:
                self.add(step.id, "no items", join)
            self._body(step, join, join, inner)
            self.add(join, "applied", after)
            self.add(join, "failed", failed)
        else:
            self._body(step, after, failed, inner)
        if not isinstance(step.kind, Parallel) or step.when or step.for_each:
            self.add(step.id, "failed", failed)

    def _body(self, step: Step, after: str, failed: str, inner: list[Job]) -> None:
        kind = step.kind
        bodies = list(_bodies(kind))
        if not bodies:
            self.add(step.id, "applied", after)
        for on, steps in zip(_names(kind), bodies, strict=True):
            self.add(step.id, on, entry(steps, after))
        inner[:0] = [(steps, after, failed) for steps in bodies]


def _bodies(kind: StepKind) -> list[tuple[Step, ...]]:
    if isinstance(kind, Approve):
        return [kind.then, kind.otherwise]
    if isinstance(kind, Parallel):
        return list(kind.branches)
    if isinstance(kind, Choose):
        return [*(branch.steps for branch in kind.branches), kind.otherwise]
    return []


def _names(kind: StepKind) -> list[str]:
    if isinstance(kind, Approve):
        return ["approved", "denied"]
    if isinstance(kind, Parallel):
        return [f"branch {index + 1}" for index in range(len(kind.branches))]
    if isinstance(kind, Choose):
        return [
            *(branch.when.source for branch in kind.branches),
            "otherwise" if kind.otherwise else "skipped",
        ]
    return []


def entry(steps: tuple[Step, ...], after: str) -> str:
    """Return the state that a sequence begins with; an empty one leads on at once."""
    return steps[0].id if steps else after


def _plan(jobs: list[tuple[Step, str, str]], steps: tuple[Step, ...], good: str, bad: str | None) -> None:
    """Put a sequence's steps on the jobs, the first on top, each with where it leads."""
    afters = [step.id for step in steps[1:]] + [good]
    for step, after in reversed(list(zip(steps, afters, strict=False))):
        jobs.append((step, after, after if bad is None else bad))


def graph_of(playbook: Playbook) -> Graph:
    """Return the flow graph of a playbook (its callees are single states)."""
    builder = _Builder()
    closing = entry(playbook.finally_, END)
    recovering = entry(playbook.on_failure, closing)
    builder.states.append(State(START, "start"))
    builder.add(START, "started", entry(playbook.steps, closing))
    builder.section("steps", playbook.steps, closing, recovering)
    builder.section("on_failure", playbook.on_failure, closing, closing)
    builder.section("finally", playbook.finally_, END, None)
    builder.states.append(State(END, "end", section="finally"))
    return Graph(tuple(builder.states), tuple(builder.transitions), closing, recovering)
