"""The playbook as typed, frozen data: what the loader makes and everything else reads.

Values in ``with:`` and ``inputs:`` are trees of plain data whose leaves may be :class:`Expr` (the whole
string is one ``${{ }}``, its type is kept) or :class:`Text` (parts joined as text). Nothing here
evaluates anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from irrunner.vocabulary import Phase


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: 1-based line and column of a file."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        """Return ``file:line:column``."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Expr:
    """One CEL expression, as written between ``${{`` and ``}}``."""

    source: str
    place: Place


@dataclass(frozen=True, slots=True)
class Text:
    """Text with embedded expressions (string, int and bool only); never rendered twice."""

    parts: tuple[str | Expr, ...]
    place: Place


Value: TypeAlias = "bool | int | float | str | Expr | Text | tuple[Value, ...] | Mapping[str, Value] | None"


@dataclass(frozen=True, slots=True)
class ForEach:
    """``for_each`` / ``as`` / ``at_most``."""

    items: Expr | tuple[Value, ...]
    name: str
    at_most: int
    """How many items run at once."""


@dataclass(frozen=True, slots=True)
class Retry:
    """``retry``: attempts in all, first back-off in seconds (doubles, jittered, at most 60 s)."""

    attempts: int = 3
    backoff_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Uses:
    """Run an action."""

    action: str
    params: Mapping[str, Value]
    exempt: str | None = None
    """Reason why a destructive action needs no approval here."""
    expires_after_s: float | None = None
    """After this time the effect is taken off again, by the action's own undo."""
    evidence: bool = False
    """Whether the action preserves evidence, whatever phase the step says it is in."""


@dataclass(frozen=True, slots=True)
class Approve:
    """Ask people; nobody answering is a denial."""

    message: Text | str
    approvers: tuple[str, ...]
    within_s: float
    escalate: tuple[str, ...]
    minimum: int
    then: tuple[Step, ...]
    otherwise: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Parallel:
    """Branches that run at the same time; a failed branch does not cancel its siblings."""

    branches: tuple[tuple[Step, ...], ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """One guarded branch of a ``choose``."""

    when: Expr
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Choose:
    """The first branch whose guard holds; none matching is a defined outcome (``otherwise`` or skipped)."""

    branches: tuple[Branch, ...]
    otherwise: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait a time."""

    for_s: float


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Poll a read-only action until a condition on its outputs (bound to ``poll``) holds."""

    action: str
    params: Mapping[str, Value]
    until: Expr
    every_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Run:
    """Run another playbook inside this run."""

    playbook: str
    inputs: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Manual:
    """An instruction that a person carries out and confirms."""

    instruction: Text | str
    by: tuple[str, ...]
    within_s: float


StepKind: TypeAlias = "Uses | Approve | Parallel | Choose | Wait | WaitUntil | Run | Manual"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it does and its modifiers."""

    id: str
    kind: StepKind
    place: Place
    phase: Phase | None = None
    """As written, else that of its action; None for what is no action and says nothing."""
    title: str = ""
    when: Expr | None = None
    for_each: ForEach | None = None
    timeout_s: float | None = None
    retry: Retry | None = None
    on_failure: Literal["stop", "continue"] | tuple[Step, ...] = "stop"

    def children(self) -> Iterator[tuple[Step, ...]]:
        """Yield the step's sequences of inner steps, in the order of the file (``on_failure`` last)."""
        kind = self.kind
        if isinstance(kind, Approve):
            yield kind.then
            yield kind.otherwise
        elif isinstance(kind, Parallel):
            yield from kind.branches
        elif isinstance(kind, Choose):
            for branch in kind.branches:
                yield branch.steps
            yield kind.otherwise
        if isinstance(self.on_failure, tuple):
            yield self.on_failure


@dataclass(frozen=True, slots=True)
class FindingTrigger:
    """Findings of a source whose type matches one of the globs, and whose ``when`` holds."""

    source: str
    types: tuple[str, ...]
    when: Expr | None
    place: Place


@dataclass(frozen=True, slots=True)
class EventTrigger:
    """Events that match a pattern in the EventBridge pattern language, and whose ``when`` holds."""

    pattern: Mapping[str, object]
    when: Expr | None
    place: Place


@dataclass(frozen=True, slots=True)
class Input:
    """One declared input."""

    name: str
    type: str
    """A type name of :mod:`irrunner.playbook.types`: ``string``, ``ec2.instance-id`` ..."""
    place: Place
    source: Expr | None = None
    """``from``: where its value comes from when a finding starts the run."""
    default: Value = None
    required: bool = True
    """False when a default was written."""
    description: str = ""


@dataclass(frozen=True, slots=True)
class PlaybookTest:
    """One entry of ``tests:``; its body is checked by the loader and read by ``irrunner test``."""

    name: str
    body: Mapping[str, object]
    place: Place


@dataclass(frozen=True, slots=True)
class Playbook:
    """A playbook that passed every check."""

    id: str
    version: str
    title: str
    owner: str
    description: str
    references: tuple[str, ...]
    techniques: tuple[str, ...]
    triggers: tuple[FindingTrigger | EventTrigger, ...]
    inputs: Mapping[str, Input]
    outputs: Mapping[str, Expr]
    limits: Mapping[str, int]
    objectives: Mapping[str, float]
    """Objective name (``contain``, ``evidence``) to its target in seconds."""
    order: Literal["evidence-first", "contain-first"]
    priority: int
    deadline_s: float
    reopen_after_s: float
    steps: tuple[Step, ...]
    on_failure: tuple[Step, ...]
    finally_: tuple[Step, ...]
    tests: tuple[PlaybookTest, ...]
    place: Place
    text: str
    """The whole file, as read; it goes into record 0 of every run's journal."""
    sha256: str
    callees: Mapping[str, Playbook] = field(default_factory=dict)
    """Playbooks named by ``run``, by id, closed over their own callees."""

    def sequences(self) -> Iterator[tuple[Step, ...]]:
        """Yield the top sequences: steps, on_failure, finally."""
        yield self.steps
        yield self.on_failure
        yield self.finally_

    def closure(self) -> dict[str, Playbook]:
        """Return the playbook and all that it runs, directly or not, by id; itself first."""
        found = {self.id: self}
        todo = [self]
        while todo:
            for name, callee in todo.pop().callees.items():
                if name not in found:
                    found[name] = callee
                    todo.append(callee)
        return found

    def walk(self) -> Iterator[Step]:
        """Yield every step, parents before children, in the order of the file."""
        stack = [step for sequence in self.sequences() for step in sequence][::-1]
        while stack:
            step = stack.pop()
            yield step
            inner = [child for sequence in step.children() for child in sequence]
            stack.extend(reversed(inner))
