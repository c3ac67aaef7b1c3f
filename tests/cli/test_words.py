"""Times and durations as people say them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from irrunner.cli.words import ago, clock_time, deadline, duration, short_run
from irrunner.clock import SystemIds

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(("seconds", "told"), [
    (0, "0 s"), (0.44, "0.4 s"), (3, "3 s"), (59.94, "59.9 s"), (60, "1 min"), (95, "1 min 35 s"),
    (300, "5 min"), (3600, "1 h"), (5400, "1 h 30 min"), (3601, "1 h"), (90_000, "1 d 1 h"), (172_800, "2 d"),
])  # fmt: skip
def test_a_duration_has_at_most_two_units(seconds: float, told: str) -> None:
    """A duration is told in its largest unit and the next."""
    assert duration(seconds) == told


def test_a_time_of_another_day_says_which() -> None:
    """Today's times stand alone, others with their date, all in UTC."""
    assert clock_time(NOW.replace(hour=3), NOW) == "03:00 UTC"
    assert clock_time(NOW.replace(day=2), NOW) == "2026-01-02 12:00 UTC"


def test_ages_and_deadlines_are_rough() -> None:
    """An age has one unit; a deadline says how long is left, or that it is past."""
    assert ago("2026-01-01T11:57:02.000Z", NOW) == "2 min ago"
    assert ago("2026-01-01T12:00:00.000Z", NOW) == "now"
    assert deadline("2026-01-01T12:30:00.000Z", NOW) == "12:30 UTC, in 30 min"
    assert deadline("2026-01-01T11:30:00.000Z", NOW) == "11:30 UTC, which is past"


def test_a_short_run_id_is_a_millisecond() -> None:
    """The short id is the beginning that two runs share only when they began in one millisecond."""
    run_id = SystemIds().run_id()

    assert run_id.startswith(short_run(run_id))
    assert len(short_run(run_id).replace("-", "")) * 4 == 48
