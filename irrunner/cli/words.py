"""Times, durations and run ids as people say them."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from irrunner.clock import parse_iso

SHORT_RUN_ID: Final = 13
"""The first 48 bits of a uuid7 are its millisecond: what begins so is one run, but for a storm."""

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_TENTHS_BELOW_S: Final = 60


def short_run(run_id: str) -> str:
    """Return the beginning of a run id that every command takes for the whole."""
    return run_id[:SHORT_RUN_ID]


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: ``0.4 s``, ``4 min 10 s``, ``2 d``."""
    if seconds < _TENTHS_BELOW_S:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for (size, unit), (smaller, small_unit) in pairwise(_UNITS):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{whole} s"


def clock_time(instant: datetime, now: datetime) -> str:
    """Return an instant: its time alone where that is today, in UTC."""
    form = "%H:%M UTC" if instant.date() == now.date() else "%Y-%m-%d %H:%M UTC"
    return instant.strftime(form)


def ago(at: str, now: datetime) -> str:
    """Return how long ago an ISO instant was."""
    passed = (now - parse_iso(at)).total_seconds()
    return "now" if passed < 1 else f"{_rough(passed)} ago"


def deadline(at: str, now: datetime) -> str:
    """Return an ISO instant to come, with the time that is left."""
    instant = parse_iso(at)
    left = (instant - now) / timedelta(seconds=1)
    return f"{clock_time(instant, now)}, {f'in {_rough(left)}' if left >= 1 else 'which is past'}"


def _rough(seconds: float) -> str:
    """Return a duration in its largest unit alone: nobody counts the seconds of an hour."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "0 s"
