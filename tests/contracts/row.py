"""One action in one situation: what the scenarios of the contract play."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.contracts.bench import Bench

Values: TypeAlias = Mapping[str, Any]
OVER_S = 3600.0
"""Longer than any asynchronous state of the world."""


@dataclass(frozen=True)
class Row:
    """One action in one situation.

    Args:
        action: Its id.
        arrange: Prepares the world and returns the parameters.
        vanish: Lets the target disappear; None where there is none that could.
        drift: Lets somebody else change what the action has set; None where undo changes nothing.
        name: Tells rows of one action apart.
        operations: Changes that it may ask for, each of which is struck by faults.
        optional: Those of them whose failure fails nothing.
    """

    action: str
    arrange: Callable[[Bench], Values]
    vanish: Callable[[Bench, Values], None] | None
    operations: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    drift: Callable[[Bench, Values], None] | None = None
    name: str = ""

    def __str__(self) -> str:
        """Return the test's id."""
        return f"{self.action}{f'-{self.name}' if self.name else ''}"
