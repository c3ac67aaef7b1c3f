"""Faults of the API: chosen by operation and by number, and never a false effect.

A fault is struck around the whole dispatch: what is answered before the simulated service runs leaves no
effect; ``effect-then-lost`` lets the service finish and then drops the connection.
"""

from __future__ import annotations

import threading
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Kind = Literal[
    "throttle", "deny", "error", "delay", "lost-before-effect", "effect-then-lost", "stale-read",
    "corrupt-body",
]  # fmt: skip


def _many(nth: Any) -> Any:
    return (nth,) if isinstance(nth, int) else nth


class Fault(BaseModel):
    """One fault, as posted to ``/world/faults``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    operation: str = Field(pattern=r"^(\*|[a-z0-9*?-]+:[A-Za-z0-9*?]+)$")
    """``ec2:CreateSnapshots``, or a glob (``ec2:Describe*``); the service is always named."""
    kind: Kind
    nth: Annotated[tuple[int, ...], BeforeValidator(_many)] = ()
    """Numbers of the matching calls that are struck, from 1, counted from the fault's arrival."""
    times: int = Field(default=1, ge=0)
    """Without ``nth``: how many of the next matching calls are struck; 0: all."""
    account: str | None = None
    code: str = ""
    """Error code, for kind ``error``."""
    message: str = "injected fault"
    status: int = Field(default=400, ge=400, le=599)
    delay_s: float = Field(default=0.0, ge=0.0, le=300.0)
    """Real seconds before anything happens; with any kind."""

    @model_validator(mode="after")
    def _code_is_given(self) -> Fault:
        if (self.kind == "error") != bool(self.code):
            raise ValueError("kind 'error' needs a code, and only it has one")
        return self

    def matches(self, operation: str, account: str) -> bool:
        """Return whether a call is of this fault's kind of calls."""
        return fnmatchcase(operation, self.operation) and self.account in {None, account}

    def strikes(self, number: int) -> bool:
        """Return whether the ``number``-th matching call is struck."""
        return number in self.nth if self.nth else self.times == 0 or number <= self.times


class FaultPlan:
    """The faults in force, with how many matching calls each has seen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[tuple[Fault, list[int]]] = []

    def add(self, fault: Fault) -> None:
        """Put a fault in force."""
        with self._lock:
            self._faults.append((fault, [0]))

    def clear(self) -> None:
        """Take all faults away."""
        with self._lock:
            self._faults.clear()

    def all(self) -> list[Fault]:
        """Return the faults in force, spent ones included."""
        with self._lock:
            return [fault for fault, _ in self._faults]

    def strike(self, operation: str, account: str) -> Fault | None:
        """Count a call against every matching fault and return the first that strikes it."""
        struck: Fault | None = None
        with self._lock:
            for fault, seen in self._faults:
                if fault.matches(operation, account):
                    seen[0] += 1
                    struck = struck or (fault if fault.strikes(seen[0]) else None)
        return struck

    def watches_reads_of(self, operation: str, account: str) -> bool:
        """Return whether answers to this operation may have to be repeated stale."""
        return any(fault.kind == "stale-read" and fault.matches(operation, account) for fault in self.all())
