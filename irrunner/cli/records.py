"""Journal records and lists of runs, as lines for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from irrunner.cli.output import LONGEST_TITLE, console, escape, hang
from irrunner.cli.plans import counted
from irrunner.cli.summary import MARKS, STATUS_STYLE
from irrunner.cli.words import ago, short_run

if TYPE_CHECKING:
    from rich.console import Console

    from irrunner.journal.records import Record

Body = Mapping[str, Any]

OTHER_MARK: Final = "[dim]·[/]"
SIGNS: Final[Mapping[str, str]] = {
    "step_intent": "[cyan]▸[/]", "step_verified": "[green]✔[/]", "step_failed": "[red]✘[/]",
    "evaluation_failed": "[red]✘[/]", "approval_asked": "[yellow]?[/]", "approval_given": "[green]✔[/]",
    "approval_denied": "[yellow]-[/]", "approval_stale": "[yellow]![/]", "manual_asked": "[yellow]?[/]",
    "manual_confirmed": "[green]✔[/]", "undo_intent": "[cyan]↶[/]", "step_waiting": "[dim]…[/]",
    "queued": "[yellow]…[/]",
    "expiry_set": "[yellow]…[/]", "expiry_told": "[dim]·[/]",
    "abort_requested": "[yellow]![/]", "run_finished": "[bold]■[/]",
}  # fmt: skip
"""The records that live progress shows, and their marks; ``undo_outcome`` is marked by its outcome."""
UNDO_OUTCOME: Final = "undo_outcome"

DESCRIBED: Final[Mapping[str, Callable[[Body], str]]] = {
    "step_intent": lambda body: (
        body["action"] + (f", {counted(len(body['calls']), 'call')}" if body["calls"] else "")
    ),
    "step_failed": lambda body: str(body["error"].get("message", "")),
    "evaluation_failed": lambda body: str(body["error"].get("message", "")),
    "step_verified": lambda body: (
        body["outcome"].replace("_", " ") + (", verified" if body.get("verified") else ", not verified")
    ),
    "step_outcome": lambda body: ", ".join(
        filter(
            None,
            (body["outcome"], counted(len(body["calls"]), "call") if body["calls"] else "", body["reason"]),
        )
    ),
    "timer_started": lambda body: f"{body['purpose']}, until {body['due_at']}",
    "approval_asked": lambda body: str(body["message"]),
    "manual_asked": lambda body: str(body["instruction"]),
    "step_waiting": lambda body: str(body["reason"]),
    "abort_requested": lambda body: str(body["reason"]),
    "approval_denied": lambda body: str(body["reason"]),
    "approval_stale": lambda body: "the plan changed: asked anew: " + "; ".join(body["difference"]),
    "approval_given": lambda body: f"by {body['by'].get('id', '?')}",
    "manual_confirmed": lambda body: f"by {body['by'].get('id', '?')}",
    UNDO_OUTCOME: lambda body: " ".join(filter(None, (body["outcome"].replace("_", " "), body["reason"]))),
    "expiry_set": lambda body: f"is taken off at {body['due_at']}",
    "expiry_told": lambda body: (
        f"told {body['channel']}" if body["sent"] else f"{body['channel']} was not told: {body['reason']}"
    ),
    "run_finished": lambda body: str(body["status"]),
    "run_started": lambda body: f"{body['playbook']['id']} {body['playbook']['version']}, texts pinned",
}


def describe(kind: str, body: Body) -> str:
    """Return one line about a journal record, for people; the caller makes hostile text harmless."""
    told = DESCRIBED.get(kind)
    if told is not None:
        return told(body)
    return ", ".join(
        f"{name}={value}" for name, value in body.items() if value != "" and isinstance(value, str | int)
    )


def sign(kind: str, body: Body) -> str | None:
    """Return the mark of a record as markup; None where live progress leaves it out."""
    if kind == UNDO_OUTCOME:
        return MARKS["held"] if body.get("held") else MARKS.get(body["outcome"], OTHER_MARK)
    return SIGNS.get(kind)


class Timeline:
    """Prints journal records; the date stands alone where it changes."""

    def __init__(self) -> None:
        self._screen: Console = console()
        self._date = ""

    def show(self, record: Record) -> None:
        """Print one record."""
        date, _, time = record.at.partition("T")
        if date != self._date:
            self._date = date
            self._screen.print(f"[bold]{date}[/] [dim]UTC[/]")
        mark = sign(record.kind, record.body) or OTHER_MARK
        head = f"[dim]{record.seq:>4} {time.rstrip('Z')}[/] {mark} {escape(record.kind):<18}"
        told = " ".join(
            filter(None, (f"[bold]{escape(record.path)}[/]" if record.path else "", _told(record)))
        )
        hang(self._screen, f"{head} ", told, 40)


def _told(record: Record) -> str:
    return escape(describe(record.kind, record.body))


ROOMY: Final = 120
"""Columns from which run ids stand in full, and accounts too."""


def show_runs(rows: Sequence[Body], now: datetime, *, every: bool, undelivered: int = 0) -> None:
    """Print the list of runs; ids in full where there is room."""
    screen = console()
    if undelivered:
        told = counted(undelivered, "message")
        screen.print(f"[yellow]{told} to trackers not delivered:[/] [dim]irrunner resume --due[/]\n")
    if not rows:
        screen.print("no runs" if every else "no open runs; `irrunner runs --all` shows ended ones")
        return
    columns = WIDE if screen.width >= ROOMY else NARROW
    _print_row(screen, columns, {name: f"[dim]{name}[/]" for name in columns})
    for row in rows:
        _print_row(screen, columns, _cells(row, now, full=columns is WIDE))
    if any(row["status"] == "waiting" for row in rows):
        screen.print("\n[dim]what a waiting run asks: irrunner show RUN[/]")


WIDE: Final[Mapping[str, int]] = {
    "run": 36, "status": 9, "since": 10, "playbook": 23, "account": 12, "title": 0,
}  # fmt: skip
NARROW: Final[Mapping[str, int]] = {"run": 13, "status": 9, "since": 10, "playbook": 23, "title": 0}


def _cells(row: Body, now: datetime, *, full: bool) -> dict[str, str]:
    style = STATUS_STYLE.get(str(row["status"]), "white")
    return {
        "run": row["run_id"] if full else short_run(row["run_id"]),
        "status": f"[{style}]{row['status']}[/]",
        "since": ago(row["created_at"], now),
        "playbook": escape(row["playbook_id"]),
        "account": escape(row["account_id"]),
        "title": escape(row["title"], LONGEST_TITLE),
    }


def _print_row(screen: Console, columns: Mapping[str, int], cells: Mapping[str, str]) -> None:
    """Print cells in columns; the last takes the rest of the line, and is cut only on a terminal."""
    from rich.text import Text  # noqa: PLC0415 - not for --json

    line = Text()
    for name, width in columns.items():
        cell = Text.from_markup(cells[name])
        if width:
            cell.truncate(width, overflow="ellipsis", pad=True)
            cell.append("  ")
        line.append_text(cell)
    if screen.is_terminal:
        line.truncate(screen.width, overflow="ellipsis")
    screen.print(line)
