"""Every place of a playbook where an expression stands, with what it may see there.

A *site* says which variables and locals an expression has (for the evaluator as well as for the checker)
and which steps are certain, possible or out of sight at that place (SEMANTICS: dominance).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from irrunner.playbook.model import (
    Approve,
    Choose,
    Expr,
    Manual,
    Parallel,
    Playbook,
    Run,
    Step,
    Text,
    Uses,
    Value,
    WaitUntil,
)

LocalKind: TypeAlias = Literal["item", "index", "poll"]
Part: TypeAlias = Literal[
    "when", "for_each", "until", "guard", "message", "with", "from", "output", "trigger"
]
Path: TypeAlias = tuple[str | int, ...]
ON_FINDING = frozenset({"finding"})
IN_STEPS = frozenset({"finding", "inputs", "steps", "run"})


@dataclass(frozen=True, slots=True)
class Local:
    """A local variable: where its type comes from."""

    kind: LocalKind
    step: Step


@dataclass(frozen=True, slots=True)
class View:
    """What is in sight at a place."""

    certain: frozenset[str] = frozenset()
    """Ids of steps that have succeeded whenever this place is reached."""
    possible: frozenset[str] = frozenset()
    """Ids of steps that may have: only through ``has()``."""
    locals: Mapping[str, Local] = field(default_factory=dict)
    guards: tuple[Expr, ...] = ()
    """Conditions that hold here."""
    failing: bool = False
    """Inside ``on_failure`` or ``finally``: ``run.error`` and ``run.failed_step`` are there."""
    loops: tuple[str, ...] = ()
    """Ids of the ``for_each`` steps around, outermost first."""
    approved: bool = False
    """Inside the ``then`` of an approval."""

    def guarded(self, expr: Expr | None) -> View:
        """Return the view where a condition holds."""
        return self if expr is None else replace(self, guards=(*self.guards, expr))

    def gaining(self, certain: frozenset[str], possible: frozenset[str] = frozenset()) -> View:
        """Return the view after steps."""
        return replace(
            self,
            certain=self.certain | certain,
            possible=(self.possible | possible) - self.certain - certain,
        )


@dataclass(frozen=True, slots=True)
class Site:
    """One expression at its place."""

    expr: Expr
    roots: frozenset[str]
    view: View
    owner: Step | None
    part: Part
    path: Path = ()
    """Where in the part: parameter, keys and indices of ``with``; the name of an input or output."""
    inside_text: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    """One step with the view at its entry; for checks that are about steps, not expressions."""

    step: Step
    view: View
    inner: View
    """Inside its ``when`` and ``for_each``."""
    sequence: tuple[Step, ...]


def expressions_in(value: Value | Text, path: Path = ()) -> Iterator[tuple[Path, Expr, bool]]:
    """Yield the expressions of a value: path in it, expression, whether it is embedded in text."""
    if isinstance(value, Expr):
        yield path, value, False
    elif isinstance(value, Text):
        for part in value.parts:
            if isinstance(part, Expr):
                yield path, part, True
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from expressions_in(item, (*path, index))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from expressions_in(item, (*path, name))


def sites_of(playbook: Playbook) -> tuple[Site, ...]:
    """Return every expression of a playbook with what it sees, in the order of a run."""
    return tuple(_sites(playbook))


def visits_of(playbook: Playbook) -> tuple[Visit, ...]:
    """Return every step of a playbook with the view at its entry."""
    visits: list[Visit] = []
    _walk_playbook(playbook, visits)
    return tuple(visits)


def end_of(playbook: Playbook) -> View:
    """Return the view behind a playbook's steps: what is certain there has succeeded whenever it has."""
    return _walk_playbook(playbook, [])


def _sites(playbook: Playbook) -> Iterator[Site]:
    empty = View()
    for trigger in playbook.triggers:
        if trigger.when is not None:
            yield Site(trigger.when, ON_FINDING, empty, None, "trigger")
    for each in playbook.inputs.values():
        if each.source is not None:
            yield Site(each.source, ON_FINDING, empty, None, "from", (each.name,))
    visits: list[Visit] = []
    end = _walk_playbook(playbook, visits)
    for visit in visits:
        yield from _sites_of_step(visit)
    for name, expr in playbook.outputs.items():
        yield Site(expr, IN_STEPS, end, None, "output", (name,))


def _sites_of_step(visit: Visit) -> Iterator[Site]:
    step = visit.step
    if step.when is not None:
        yield Site(step.when, IN_STEPS, visit.view, step, "when")
    if step.for_each is not None:
        before = visit.view.guarded(step.when)
        for path, expr, embedded in expressions_in(step.for_each.items):
            yield Site(expr, IN_STEPS, before, step, "for_each", path, embedded)
    for part, value, local in _values(step):
        view = visit.inner
        if local:
            view = replace(view, locals={**view.locals, "poll": Local("poll", step)})
        for path, expr, embedded in expressions_in(value):
            yield Site(expr, IN_STEPS, view, step, part, path, embedded)


def _values(step: Step) -> Iterator[tuple[Part, Value | Text, bool]]:
    """Yield the values of a step's kind: part, value, whether ``poll`` is in sight."""
    kind = step.kind
    if isinstance(kind, Uses | WaitUntil):
        yield "with", kind.params, False
    if isinstance(kind, WaitUntil):
        yield "until", kind.until, True
    elif isinstance(kind, Run):
        yield "with", kind.inputs, False
    elif isinstance(kind, Approve):
        yield "message", kind.message, False
    elif isinstance(kind, Manual):
        yield "message", kind.instruction, False
    elif isinstance(kind, Choose):
        for branch in kind.branches:
            yield "guard", branch.when, False


def _walk_playbook(playbook: Playbook, visits: list[Visit]) -> View:
    """Walk the three sequences; return the view after ``steps``."""
    end = _sequence(playbook.steps, View(), visits)
    seen = replace(View(), possible=end.certain | end.possible, failing=True)
    after = _sequence(playbook.on_failure, seen, visits)
    last = replace(seen, possible=after.certain | after.possible)
    _sequence(playbook.finally_, last, visits)
    return end


def _sequence(steps: tuple[Step, ...], view: View, visits: list[Visit]) -> View:
    for step in steps:
        view = _after(step, view, visits, steps)
    return view


def _after(step: Step, view: View, visits: list[Visit], sequence: tuple[Step, ...]) -> View:
    """Visit a step and return the view behind it."""
    inner = view.guarded(step.when)
    if step.for_each is not None:
        local = {step.for_each.name: Local("item", step), "index": Local("index", step)}
        inner = replace(inner, locals={**view.locals, **local}, loops=(*view.loops, step.id))
    visits.append(Visit(step, view, inner, sequence))
    certain, possible = _gain(step, inner, visits)
    if step.for_each is not None:
        certain, possible = frozenset(), frozenset()
    certain |= {step.id}
    if isinstance(step.on_failure, tuple):
        failed = replace(view.gaining(frozenset(), certain - {step.id} | possible), failing=True)
        handled = _sequence(step.on_failure, failed, visits)
        possible |= handled.certain - view.certain | handled.possible
    if step.when is not None or step.on_failure != "stop" or _may_be_passed(step):
        certain, possible = frozenset(), certain | possible
    return view.gaining(certain, possible)


def _may_be_passed(step: Step) -> bool:
    """Return whether a step may be passed without having succeeded: denied, or no branch chosen."""
    kind = step.kind
    gate = isinstance(kind, Approve) or (isinstance(kind, Choose) and not kind.otherwise)
    return gate and step.for_each is None


def _gain(step: Step, inner: View, visits: list[Visit]) -> tuple[frozenset[str], frozenset[str]]:
    """Visit a step's inner sequences; return the ids that are certain and possible after it."""
    kind = step.kind
    if isinstance(kind, Parallel):
        ends = [_sequence(branch, inner, visits) for branch in kind.branches]
        certain = frozenset().union(*(end.certain - inner.certain for end in ends))
        return certain, frozenset().union(*(end.possible for end in ends)) - certain
    ends = []
    if isinstance(kind, Approve):
        ends.append(_sequence(kind.then, replace(inner, approved=True), visits))
        ends.append(_sequence(kind.otherwise, inner, visits))
    elif isinstance(kind, Choose):
        ends += [_sequence(branch.steps, inner.guarded(branch.when), visits) for branch in kind.branches]
        ends.append(_sequence(kind.otherwise, inner, visits))
    gained = frozenset().union(*((end.certain - inner.certain) | end.possible for end in ends))
    return frozenset(), gained
