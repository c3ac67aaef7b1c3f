"""A problem of a playbook file: place, stable rule id, what is wrong and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from irrunner.playbook.model import Place

LONGEST_WORD = 80
LONGEST = 600


@dataclass(frozen=True, slots=True)
class Problem:
    """One line of ``irrunner validate``."""

    place: Place
    rule: str
    message: str
    severity: Literal["error", "warning"] = "error"

    def __post_init__(self) -> None:
        """Cut what a hostile file repeats at length out of the middle; what to do stands at the end."""
        if len(self.message) > LONGEST:
            half = LONGEST // 2
            object.__setattr__(self, "message", f"{self.message[:half]} ... {self.message[-half:]}")

    def __str__(self) -> str:
        """Return ``file:line:column: rule-id: message``."""
        return f"{self.place}: {self.rule}: {self.message}"

    def as_dict(self) -> dict[str, object]:
        """Return the problem for ``--json``."""
        return {
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "rule": self.rule,
            "severity": self.severity,
            "message": self.message,
        }


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the nearest known word; nothing for none, or for a long text."""
    if len(word) > LONGEST_WORD:
        return ""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
