"""What a person sees while a run goes on; the end of it is :mod:`irrunner.cli.summary`'s."""

from __future__ import annotations

import contextlib
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from irrunner.cli.context import Context
from irrunner.cli.output import console, escape, hang, plain, print_json
from irrunner.cli.words import duration
from irrunner.clock import Clock, parse_iso

if TYPE_CHECKING:
    from rich.console import Console, Group

    from irrunner.engine.service import Runner
    from irrunner.journal.records import Record
    from irrunner.playbook.model import Playbook

Body = Mapping[str, Any]

DIGITS: Final = re.compile(r"[0-9]+")
SAME_WAIT_EVERY: Final = timedelta(seconds=10)
NAME_WIDTH: Final = 28
MOST_SPINNERS: Final = 8
FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
FRAMES_A_SECOND: Final = 10
BEGUN: Final = frozenset({"step_intent", "undo_intent"})
ENDED: Final = frozenset({"step_verified", "step_failed", "evaluation_failed", "undo_outcome"})


def announce(run_id: str, playbook: Playbook, runner: Runner) -> None:
    """Say on stderr, at once, which run this is and where it acts."""
    banner = runner.services.cloud.caller().banner
    sys.stderr.write(f"run {run_id}  [{banner}]\n{plain(playbook.id)} {plain(playbook.version)}\n")
    sys.stderr.flush()


class LineProgress:
    """Prints each record as a line: for logs and pipes."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen
        self._lock = threading.Lock()
        self._waits: dict[str, tuple[str, datetime]] = {}

    def show(self, kind: str, path: str, body: Body, at: datetime) -> None:
        """Show one record."""
        from irrunner.cli.records import describe, sign  # noqa: PLC0415 - summaries

        mark = sign(kind, body)
        if mark is None:
            return
        text = describe(kind, body)
        with self._lock:
            if kind != "step_waiting" or self._is_news(path, text, at):
                hang(self._screen, f"{mark} {escape(path or kind)} ", escape(text), NAME_WIDTH)

    def _is_news(self, path: str, text: str, at: datetime) -> bool:
        """Whether a wait is news: another reason, or the same with other numbers after a while."""
        reason = DIGITS.sub("#", text)
        told = self._waits.get(path)
        if told is not None and told[0] == reason and at - told[1] < SAME_WAIT_EVERY:
            return False
        self._waits[path] = (reason, at)
        return True


@dataclass(slots=True)
class _Step:
    """A step that is at work now."""

    since: datetime
    action: str
    text: str


class TerminalProgress:
    """One line for each step that has ended, and below them what is at work at this moment."""

    def __init__(self, screen: Console, clock: Clock) -> None:
        self._screen = screen
        self._clock = clock
        self._lock = threading.Lock()
        self._working: dict[str, _Step] = {}

    def show(self, kind: str, path: str, body: Body, at: datetime) -> None:
        """Show one record."""
        from irrunner.cli.records import describe, sign  # noqa: PLC0415 - summaries

        mark = sign(kind, body)
        if mark is None or kind == "run_finished":  # the summary says so
            return
        text = describe(kind, body)
        with self._lock:
            if kind in BEGUN:
                since = self._working[path].since if path in self._working else at
                self._working[path] = _Step(since, str(body["action"]), text)
            elif kind == "step_waiting":
                self._working.setdefault(path, _Step(at, "", text)).text = text
            else:
                step = self._working.pop(path, None) if kind in ENDED else None
                self._print(mark, path or kind, text, step, at)

    def _print(self, mark: str, name: str, text: str, step: _Step | None, at: datetime) -> None:
        begun = f"[dim]{escape(step.action)}[/] " if step else ""
        took = f" [dim]{duration(_seconds(step.since, at))}[/]" if step else ""
        shown = escape(text).removeprefix("applied, ") if step else escape(text)
        hang(self._screen, f"{mark} {escape(name)} ", f"{begun}{shown}{took}", NAME_WIDTH)

    def moment(self) -> Group:
        """Return what is at work now; `rich` asks several times a second."""
        from rich.console import Group  # noqa: PLC0415 - only on a terminal
        from rich.text import Text  # noqa: PLC0415 - as above

        now = self._clock.now()
        with self._lock:
            working = list(self._working.items())
        frame = FRAMES[int(now.timestamp() * FRAMES_A_SECOND) % len(FRAMES)]
        lines = []
        for path, step in working[:MOST_SPINNERS]:
            since = duration(int(_seconds(step.since, now)))
            name = f"{escape(path)} ".ljust(NAME_WIDTH - 2)
            line = f"[cyan]{frame}[/] {name}[dim]{since}[/] {escape(step.text)}"
            lines.append(Text.from_markup(line, overflow="ellipsis"))
            lines[-1].no_wrap = True
        if len(working) > MOST_SPINNERS:
            lines.append(Text(f"  and {len(working) - MOST_SPINNERS} more at work", "dim"))
        return Group(*lines)


def _seconds(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())


class Watched:
    """What is told of each record of a run: it remembers the run, and shows the record where people look."""

    def __init__(self, services: Context, shown: LineProgress | TerminalProgress | None) -> None:
        self._services = services
        self._shown = shown

    def __call__(self, run_id: str, kind: str, path: str, body: Body) -> None:
        """Take a record that was appended just now (an :data:`irrunner.engine.embedded.Observer`)."""
        self._services.run_id = run_id
        if kind == "run_finished":
            self._services.ended.append(run_id)
        if self._shown is not None:
            self._shown.show(kind, path, body, self._services.clock.now())

    def record(self, record: Record) -> None:
        """Take a record of the journal."""
        if self._shown is not None:
            self._shown.show(record.kind, record.path, record.body, parse_iso(record.at))


@contextlib.contextmanager
def progress(services: Context, *, as_json: bool) -> Iterator[Watched]:
    """Show progress on stderr while the block runs; machines see none."""
    if as_json:
        yield Watched(services, None)
        return
    screen = console(stderr=True)
    if not screen.is_terminal or screen.is_dumb_terminal:
        yield Watched(services, LineProgress(screen))
        return
    from rich.live import Live  # noqa: PLC0415 - only on a terminal

    shown = TerminalProgress(screen, services.clock)
    with Live(
        console=screen, get_renderable=shown.moment, refresh_per_second=FRAMES_A_SECOND, transient=True
    ):
        yield Watched(services, shown)


def show_document(services: Context, document: Body, *, as_json: bool) -> None:
    """Print what came of a command: JSON, a plan, why nothing was done, or the summary of a run."""
    from irrunner.cli import plans, summary  # noqa: PLC0415 - not for --json

    if as_json:
        print_json(document)
    elif document.get("status") == "planned":
        plans.show_plan(document)
    elif document.get("run_id") is None:
        summary.show_not_run(document)
    else:
        summary.show_run(document, services.clock.now())
