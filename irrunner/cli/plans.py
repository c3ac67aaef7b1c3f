"""What a plan looks like: every call that would be sent, and what it would change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from irrunner.cli.output import console, escape, hang
from irrunner.cli.words import duration
from irrunner.errors import EXIT_DONE, EXIT_ENVIRONMENT

if TYPE_CHECKING:
    from rich.console import Console

    from irrunner.engine.planner import PlannedStep
    from irrunner.engine.service import Runner
    from irrunner.playbook.model import Playbook


def plan_document(playbook: Playbook, steps: Sequence[PlannedStep], runner: Runner) -> dict[str, Any]:
    """Return a plan as JSON-able data, with the hash that names it."""
    from irrunner.journal.records import canonical, digest  # noqa: PLC0415 - hashing only here

    entries = [step.as_dict() for step in steps]
    return {
        "playbook": {"id": playbook.id, "version": playbook.version, "sha256": playbook.sha256},
        "status": "planned",
        "banner": runner.services.cloud.caller().banner,
        "steps": entries,
        "calls": [
            {**call, "step": entry["path"], "gate": entry["gate"]}
            for entry in entries
            for call in entry["calls"]
        ],
        "sha256": digest(canonical(entries)),
        "complete": not any(entry["unplanned"] for entry in entries),
        "exit_code": EXIT_ENVIRONMENT if any(entry["unplanned"] for entry in entries) else EXIT_DONE,
    }


def show_plan(document: Mapping[str, Any]) -> None:
    """Print a plan."""
    screen = console()
    screen.print(
        f"[bold]Plan of {escape(document['playbook']['id'])}[/]  [{document['banner']}]  "
        "[dim]nothing has been sent[/]"
    )
    for step in document["steps"]:
        _show_step(screen, step)
    calls = document["calls"]
    for_good = sum(not call["reversible"] for call in calls)
    screen.print(
        f"\n{counted(len(calls), 'call')}, {for_good} of them cannot be undone. "
        f"[dim]Plan {document['sha256'][:12]}.[/]"
    )
    unplanned = sum(step["unplanned"] for step in document["steps"])
    if unplanned:
        screen.print(f"[red]Not complete:[/] {counted(unplanned, 'step')} could not be planned.")


def counted(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _show_step(screen: Console, step: Mapping[str, Any]) -> None:
    words = [f"[dim]{escape(step['action'] or step['kind'])}[/]"]
    if step["skipped"]:
        words.append("[yellow]skipped[/]")
    elif step["action"] and not step["calls"]:
        words.append("[dim]· sends nothing that changes AWS[/]")
    if step["gate"]:
        words.append(f"[yellow]after approval of {escape(step['gate'])}[/]")
    if step.get("expires_after_s"):
        words.append(f"[dim]comes off by itself after {duration(step['expires_after_s'])}[/]")
    if step["condition"]:
        words.append(f"[dim]if {escape(step['condition'])}[/]")
    space = "\n" if step["calls"] else ""
    hang(screen, f"{space}[bold]{escape(step['path'])}[/] ", " ".join(words), 22)
    if step["note"]:
        hang(screen, "", f"[yellow]{escape(step['note'])}[/]", 4)
    for call in step["calls"]:
        _show_call(screen, call)


def _show_call(screen: Console, call: Mapping[str, Any]) -> None:
    keep = "" if call["reversible"] else "  [red]cannot be undone[/]"
    hang(screen, "  • ", f"{escape(call['summary'])}{keep}", 4)
    hang(screen, "", f"[dim]{call['operation']} → {escape(call['target'])}[/]", 6)
    for line in changes(call["before"], call["after"]):
        hang(screen, "", f"[dim]{escape(line)}[/]", 6)


def changes(before: Any, after: Any) -> Iterator[str]:
    """Yield a line for each value that a call changes: ``name: now → then``."""
    was, will = _named(before), _named(after)
    for name in [*was, *(name for name in will if name not in was)]:
        label = f"{name}: " if name else ""
        if name in will or before is None:
            yield f"{label}{_arrow(was.get(name), will.get(name))}"


def _named(value: Any) -> Mapping[str, Any]:
    """Return values by name; a single value has none."""
    if isinstance(value, Mapping):
        return value
    return {} if value is None else {"": value}


def _arrow(before: Any, after: Any) -> str:
    return worded(after) if before is None else f"{worded(before)} → {worded(after)}"


def worded(value: Any) -> str:
    """Return a value as people read it: lists with commas, nothing as ``nothing``."""
    if value is None:
        return "nothing"
    if isinstance(value, list | tuple):
        return ", ".join(worded(item) for item in value) or "nothing"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={worded(item)}" for name, item in value.items()) or "nothing"
    return str(value)
