"""What pictures of a playbook say of a step, and in which colour: by phase, and never by colour alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from irrunner.playbook.model import (
    Approve,
    Choose,
    ForEach,
    Manual,
    Parallel,
    Run,
    Step,
    Uses,
    Wait,
    WaitUntil,
)


class Colour(NamedTuple):
    """A fill with dark text on it, and its outline."""

    fill: str
    line: str


COLOURS: Mapping[str, Colour] = MappingProxyType(
    {
        "detection": Colour("#e8eaf6", "#3f51b5"),
        "analysis": Colour("#e3f2fd", "#1976d2"),
        "containment": Colour("#ffe0b2", "#e65100"),
        "eradication": Colour("#ffcdd2", "#b71c1c"),
        "recovery": Colour("#c8e6c9", "#2e7d32"),
        "post_incident": Colour("#e1bee7", "#6a1b9a"),
    }
)
OTHER = Colour("#f5f5f5", "#616161")


def shorten(text: str, most: int) -> str:
    """Return one line of at most so many characters, without control characters."""
    line = "".join(sign if sign.isprintable() else " " for sign in text)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def detail_of(step: Step) -> str:
    """Return what a step does, in a few words."""
    return DETAILS[type(step.kind)](step.kind)


def modifiers_of(step: Step) -> Iterator[str]:
    """Yield a step's modifiers, in words."""
    if step.when is not None:
        yield f"when {step.when.source}"
    if step.for_each is not None:
        yield loop_of(step.for_each)
    if step.retry is not None:
        yield f"up to {step.retry.attempts} attempts"
    if step.on_failure == "continue":
        yield "a failure does not stop the run"


def loop_of(for_each: ForEach) -> str:
    """Return a loop, in words."""
    return f"for each {for_each.name}, {for_each.at_most} at once"


def duration(seconds: float) -> str:
    """Return a time as a person says it: ``90 s``, ``30 min``, ``24 h``."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


DETAILS: Mapping[type[Any], Callable[[Any], str]] = MappingProxyType(
    {
        Uses: lambda kind: kind.action,
        Approve: lambda kind: f"approve: {', '.join(kind.approvers)} within {duration(kind.within_s)}",
        Parallel: lambda _: "parallel",
        Choose: lambda _: "choose",
        Wait: lambda kind: f"wait {duration(kind.for_s)}",
        WaitUntil: lambda kind: f"wait until {kind.until.source}, at most {duration(kind.timeout_s)}",
        Run: lambda kind: f"run {kind.playbook}",
        Manual: lambda kind: f"by hand: {', '.join(kind.by)} within {duration(kind.within_s)}",
    }
)
