"""Packages that are told of runs that have ended: custody records their evidence."""

from __future__ import annotations

from datetime import timedelta

import pytest

from irrunner.cli import ended
from irrunner.cli.context import Context
from irrunner.errors import JournalUnavailable
from tests.cli.conftest import Desk


class Point:
    """An entry point that keeps what it is told."""

    name = "told"

    def __init__(self, problem: BaseException | None = None) -> None:
        self.runs: list[str] = []
        self.problem = problem

    def load(self) -> Point:
        """Return itself."""
        return self

    def __call__(self, services: Context, run_id: str) -> None:
        """Keep the run, or fail."""
        self.runs.append(run_id)
        if self.problem is not None:
            raise self.problem


@pytest.fixture
def waiting(desk: Desk) -> str:
    """A run whose gate nobody answers in time."""
    run_id = desk.run("respond", "--event", desk.event, "--json").json["run_id"]
    desk.lab.clock.advance(timedelta(minutes=31).total_seconds())
    return str(run_id)


def test_a_run_that_ended_is_told_though_the_command_failed(
    desk: Desk, waiting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`resume --due` fails for one thing; the evidence of the runs that ended is recorded all the same."""
    point = Point()
    monkeypatch.setattr(ended, "entry_points", lambda **_: [point])

    def broken(_: Context) -> int:
        raise JournalUnavailable("the disk is full")

    monkeypatch.setattr(Context, "deliver", broken)
    done = desk.run("resume", "--due")

    assert done.code != 0
    assert "the disk is full" in done.err
    assert point.runs == [waiting]


@pytest.mark.parametrize("problem", [ValueError("no\x1b[31m room"), KeyboardInterrupt()])
def test_what_fails_there_changes_no_exit_code(
    desk: Desk, waiting: str, monkeypatch: pytest.MonkeyPatch, problem: BaseException
) -> None:
    """It is a warning that names the run, in plain text."""
    monkeypatch.setattr(ended, "entry_points", lambda **_: [Point(problem)])

    done = desk.run("resume", "--due")

    assert (done.code, "\x1b" in done.err) == (0, False)
    assert f"warning: told: run {waiting}: " in done.err
