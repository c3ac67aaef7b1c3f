"""The life-cycles of a step and of a playbook, as `transitions` machines.

The machine is the definition: it validates the states, it is drawn, and its transitions are read out
once as a table ``(state, trigger) -> state``. The reducer uses only the table. There are no callbacks:
a state is entered after the work that earns it was verified, and by nothing else.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from irrunner.vocabulary import Outcome

Table: TypeAlias = Mapping[tuple[str, str], str]
Name: TypeAlias = Literal["step", "run"]


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """A life-cycle in words; :func:`machine_of` makes it a machine."""

    name: Name
    initial: str
    states: tuple[str, ...]
    transitions: tuple[tuple[str, tuple[str, ...], str], ...]
    """(trigger, sources, destination)."""


STEP = Lifecycle(
    name="step",
    initial="pending",
    states=(
        "pending", "deciding", "running", "backing_off", "waiting",
        "applied", "already_done", "skipped", "denied", "refused", "unknown", "failed",
    ),
    transitions=(
        ("decide", ("pending", "deciding"), "deciding"),
        ("run", ("pending", "deciding", "backing_off", "waiting"), "running"),
        ("wait", ("pending", "deciding", "running"), "waiting"),
        ("back_off", ("running",), "backing_off"),
        ("apply", ("running", "waiting"), "applied"),
        ("find", ("running",), "already_done"),
        ("skip", ("deciding",), "skipped"),
        ("drop", ("deciding", "running", "waiting"), "skipped"),
        ("deny", ("running",), "denied"),
        ("refuse", ("running", "backing_off"), "refused"),
        ("lose", ("running", "backing_off"), "unknown"),
        ("fail", ("deciding", "running", "waiting", "backing_off"), "failed"),
    ),
)  # fmt: skip
"""``drop`` is what an abort does to a step that has had no effect yet."""

RUN = Lifecycle(
    name="run",
    initial="new",
    states=(
        "new", "running", "recovering", "stopping", "closing",
        "succeeded", "partial", "failed", "aborted",
    ),
    transitions=(
        ("start", ("new",), "running"),
        ("fail", ("running",), "recovering"),
        ("complete", ("running", "recovering"), "closing"),
        ("stop", ("running", "recovering"), "stopping"),
        ("settle", ("stopping",), "closing"),
        ("succeed", ("closing",), "succeeded"),
        ("fall_short", ("closing",), "partial"),
        ("give_up", ("closing",), "failed"),
        ("abort", ("closing",), "aborted"),
    ),
)  # fmt: skip
"""``recovering`` is the playbook's ``on_failure``, ``closing`` its ``finally``; callees live the same."""

OUTCOMES: Mapping[str, Outcome] = MappingProxyType(
    {
        "pending": Outcome.RUNNING,
        "deciding": Outcome.RUNNING,
        "running": Outcome.RUNNING,
        "backing_off": Outcome.WAITING,
        "waiting": Outcome.WAITING,
        "applied": Outcome.APPLIED,
        "already_done": Outcome.ALREADY_DONE,
        "skipped": Outcome.SKIPPED,
        "denied": Outcome.DENIED,
        "refused": Outcome.REFUSED,
        "unknown": Outcome.UNKNOWN,
        "failed": Outcome.FAILED,
    }
)
"""A step's state as people see it."""


def machine_of(lifecycle: Lifecycle, *, drawable: bool = False) -> Any:
    """Return the `transitions` machine of a life-cycle, without a model.

    Args:
        lifecycle: What to build.
        drawable: Whether its ``get_graph().draw(None)`` gives Mermaid text.
    """
    from transitions import Machine  # noqa: PLC0415 - 30 ms, paid by who drives or draws a run
    from transitions.extensions.diagrams import GraphMachine  # noqa: PLC0415

    common: dict[str, Any] = {
        "states": list(lifecycle.states),
        "transitions": [
            {"trigger": trigger, "source": list(sources), "dest": dest}
            for trigger, sources, dest in lifecycle.transitions
        ],
        "initial": lifecycle.initial,
        "auto_transitions": False,
        "ignore_invalid_triggers": False,
    }
    if drawable:
        return GraphMachine(graph_engine="mermaid", title=f"life of a {lifecycle.name}", **common)
    return Machine(model=None, **common)


def table_of(machine: Any) -> Table:
    """Return a machine's transitions as ``(state, trigger) -> state``.

    Raises:
        ValueError: If a transition names a state that the machine does not have.
    """
    return MappingProxyType(
        {
            (machine.get_state(source).name, trigger): machine.get_state(transition.dest).name
            for trigger, event in machine.events.items()
            for source, transitions in event.transitions.items()
            for transition in transitions
        }
    )


@functools.cache
def table(name: Name) -> Table:
    """Return the table of the ``step`` or the ``run`` life-cycle, read out once."""
    return table_of(machine_of(STEP if name == "step" else RUN))
