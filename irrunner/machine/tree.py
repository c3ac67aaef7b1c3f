"""The running tree: step instances (nodes), the lanes they stand in, and what expressions see there.

Only data; :mod:`irrunner.machine.flow` moves it. A lane is one sequence of steps being walked; it belongs
to the node that opened it (a ``parallel`` opens one per branch, a ``for_each`` one per item).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from irrunner.machine.messages import Command
from irrunner.playbook.model import Playbook, Step
from irrunner.vocabulary import Outcome

VERDICTS: Mapping[Outcome, str] = MappingProxyType({Outcome.REFUSED: "refuse", Outcome.UNKNOWN: "lose"})
"""How an attempt's outcome ends its step; any other outcome of a failed attempt fails it."""


class Role(StrEnum):
    """What a lane is to the node that opened it."""

    RUN = "run"
    STEPS = "steps"
    ON_FAILURE = "on_failure"
    FINALLY = "finally"
    THEN = "then"
    OTHERWISE = "otherwise"
    CHOSEN = "chosen"
    BRANCH = "branch"
    ITEM = "item"
    RECOVERY = "recovery"


PLAYBOOK_ROLES = frozenset({Role.STEPS, Role.ON_FAILURE, Role.FINALLY})
"""Lanes of a playbook, not of a step in it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Which step failed, and how."""

    path: str
    error: Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Scope:
    """One playbook being run: the run's own, or a callee's."""

    playbook: Playbook
    prefix: str
    inputs: Mapping[str, Any]
    state: str = "new"
    failure: Failure | None = None


@dataclass(slots=True, eq=False)
class Frame:
    """What steps at one place see: the outputs of a scope, or of one iteration inside it."""

    scope: Scope
    outer: Frame | None = None
    local: Mapping[str, Any] = field(default_factory=dict)
    outputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def chain(self) -> list[Frame]:
        """Return the frames from the scope's own to this one."""
        frames, frame = [self], self.outer
        while frame is not None:
            frames.append(frame)
            frame = frame.outer
        return frames[::-1]


@dataclass(slots=True, eq=False)
class Lane:
    """One sequence of steps being walked."""

    steps: tuple[Step, ...]
    owner: Node | None
    role: Role
    frame: Frame
    suffix: str
    """Indices of the iterations around it: ``[1][0]``."""
    shield: int
    """Halts up to this level do not stop it (1 inside ``finally``)."""
    position: int = 0
    nodes: list[Node] = field(default_factory=list)
    failure: Failure | None = None
    cut: bool = False
    """Whether an abort ended it before its last step."""


@dataclass(slots=True, eq=False)
class Gate:
    """What an ``approve`` step remembers."""

    asked: int = 0
    escalated: bool = False
    approvals: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    denial: Mapping[str, Any] | None = None


@dataclass(slots=True, eq=False)
class Node:
    """One instance of a step."""

    path: str
    step: Step
    lane: Lane
    state: str = "pending"
    attempt: int = 0
    outputs: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    failure: Failure | None = None
    verdict: str = "fail"
    """The trigger that ends it if its last attempt was the last: ``fail``, ``refuse`` or ``lose``."""
    due: dict[str, Command] = field(default_factory=dict)
    """Unanswered commands: timers by purpose, the other one under an empty key."""
    inner: list[Lane] = field(default_factory=list)
    open: int = 0
    """Lanes that still run, of a ``parallel`` or ``for_each``."""
    items: tuple[Any, ...] | None = None
    gate: Gate | None = None
    callee: Frame | None = None

    def children(self) -> Iterator[Node]:
        """Yield the nodes directly below, in the order of the document."""
        for lane in self.inner:
            yield from lane.nodes

    def below(self) -> Iterator[Node]:
        """Yield all nodes below, parents first, in the order of the document."""
        stack = list(self.children())[::-1]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(list(node.children())[::-1])
