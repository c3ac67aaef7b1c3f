"""The reviewed table ``expected.csv``."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).parent / "expected.csv"


@dataclass(frozen=True)
class Row:
    """What happens to one event."""

    event: str
    playbook: str
    exit_code: int
    end_state: str
    reason: str

    @property
    def shape(self) -> str:
        """Return the kind of event: the directory it lies in."""
        return self.event.split("/")[1]

    @property
    def drill(self) -> bool:
        """Return whether it is a sample or archived."""
        return self.reason == "drill"


def rows() -> list[Row]:
    """Return the table."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        return [
            Row(row["event"], row["playbook"], int(row["exit_code"]), row["end_state"], row["reason"])
            for row in csv.DictReader(file)
        ]


def contained() -> list[Row]:
    """Return the rows in which something is contained."""
    return [row for row in rows() if row.playbook != "person"]


def for_people() -> list[Row]:
    """Return the rows in which a person decides."""
    return [row for row in rows() if row.playbook == "person"]
