"""Progress while a run goes on: calm on a terminal, one line a record without one."""

from __future__ import annotations

import io
from datetime import timedelta

from rich.console import Console

from irrunner.cli.live import MOST_SPINNERS, LineProgress, TerminalProgress
from irrunner.testing import EPOCH, ManualClock

INTENT = {"action": "aws.ec2.isolate-instance", "calls": [{}, {}]}
VERIFIED = {"outcome": "applied", "verified": True}


def at(seconds: float) -> ManualClock:
    """Return a clock that stands at a number of seconds."""
    return ManualClock(EPOCH + timedelta(seconds=seconds))


class Screen:
    """A console and what it shows."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.console = Console(
            file=self.stream, force_terminal=True, width=80, color_system=None, highlight=False
        )
        self.clock = ManualClock()
        self.progress = TerminalProgress(self.console, self.clock)

    @property
    def finished(self) -> list[str]:
        """Return the lines above the moment."""
        return [line.rstrip() for line in self.stream.getvalue().splitlines()]

    @property
    def moment(self) -> list[str]:
        """Return the lines of what is at work."""
        screen = Console(file=io.StringIO(), width=80, color_system=None)
        with screen.capture() as captured:
            screen.print(self.progress.moment())
        return captured.get().splitlines()


class TestTerminal:
    def test_a_step_at_work_is_a_spinner_and_then_a_line(self) -> None:
        """A step shows in the moment while it works, and as one line with its time when it has ended."""
        screen = Screen()
        screen.progress.show("step_intent", "isolate", INTENT, EPOCH)
        screen.clock.advance(2)

        working = screen.moment
        screen.progress.show("step_verified", "isolate", VERIFIED, at(2.5).now())

        assert len(working) == 1
        assert working[0][2:].split() == ["isolate", "2", "s", "aws.ec2.isolate-instance,", "2", "calls"]
        assert "".join(screen.moment).strip() == ""
        assert screen.finished == ["✔ isolate                   aws.ec2.isolate-instance verified 2.5 s"]

    def test_waiting_changes_the_moment_only(self) -> None:
        """A wait is news of the moment: no line is left behind, however often it is told."""
        screen = Screen()
        for percent in range(50):
            screen.progress.show("step_waiting", "copy", {"reason": f"pending {percent}%"}, EPOCH)

        assert screen.finished == []
        assert "pending 49%" in screen.moment[0]

    def test_many_steps_at_work_stay_few_lines(self) -> None:
        """The moment never grows over the screen."""
        screen = Screen()
        for number in range(40):
            screen.progress.show("step_intent", f"copy[{number}]", INTENT, EPOCH)

        assert len(screen.moment) == MOST_SPINNERS + 1
        assert screen.moment[-1].strip() == f"and {40 - MOST_SPINNERS} more at work"

    def test_a_refused_undo_is_no_success(self) -> None:
        """What was not put back has the mark of a failure, what is held that of a wait."""
        screen = Screen()
        base = {"action": "aws.ec2.isolate-instance", "reason": "changed since"}
        screen.progress.show("undo_outcome", "isolate", {**base, "outcome": "refused"}, EPOCH)
        screen.progress.show("undo_outcome", "revoke", {**base, "outcome": "waiting", "held": True}, EPOCH)

        assert [line[0] for line in screen.finished] == ["✘", "…"]

    def test_a_long_wait_is_cut_at_the_edge(self) -> None:
        """A line of the moment never wraps: the screen would jump."""
        screen = Screen()
        screen.progress.show("step_waiting", "copy", {"reason": "x" * 5000}, EPOCH)

        assert len(screen.moment) == 1
        assert len(screen.moment[0]) <= 80


class TestLines:
    def test_the_same_wait_is_told_now_and_then(self) -> None:
        """A wait with other numbers is told again only after a while; another reason at once."""
        stream = io.StringIO()
        progress = LineProgress(Console(file=stream, width=200, color_system=None, soft_wrap=True))
        for second in range(12):
            body = {"reason": f"pending {second}%"}
            progress.show("step_waiting", "copy", body, at(second).now())
        progress.show("step_waiting", "copy", {"reason": "sharing"}, at(12).now())

        told = [line.split(maxsplit=2)[2] for line in stream.getvalue().splitlines()]
        assert told == ["pending 0%", "pending 10%", "sharing"]

    def test_bookkeeping_is_not_progress(self) -> None:
        """Records that only the machine needs are left to `timeline`."""
        stream = io.StringIO()
        progress = LineProgress(Console(file=stream, width=200))
        progress.show("step_outcome", "copy", {"outcome": "applied", "calls": [], "reason": ""}, EPOCH)
        progress.show("run_parked", "", {"owner": "x"}, EPOCH)

        assert stream.getvalue() == ""
