"""What a person sees: progress while a run goes on, and a summary that can be read at 03:00."""

from __future__ import annotations

import contextlib
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from irrunner.cli.context import Context
from irrunner.cli.output import console, escape, plain, print_json, table
from irrunner.errors import JournalCorrupt

if TYPE_CHECKING:
    from rich.console import Console

    from irrunner.engine.embedded import Observer
    from irrunner.engine.planner import PlannedStep
    from irrunner.engine.service import Runner
    from irrunner.journal.records import Record
    from irrunner.journal.store import ChainReport
    from irrunner.playbook.model import Playbook

MARKS = {
    "applied": "[green]✔[/]", "already_done": "[green]✔[/]", "failed": "[red]✘[/]", "refused": "[red]✘[/]",
    "unknown": "[yellow]?[/]", "denied": "[yellow]-[/]", "skipped": "[dim]-[/]", "waiting": "[yellow]…[/]",
    "running": "[cyan]▸[/]",
}  # fmt: skip
STATUS_STYLE = {
    "succeeded": "green", "waiting": "yellow", "partial": "yellow", "failed": "red", "aborted": "yellow",
    "running": "cyan", "no_playbook": "yellow",
}  # fmt: skip
TOLD = {
    "step_intent": ("▸", "cyan"), "step_verified": ("✔", "green"), "step_failed": ("✘", "red"),
    "evaluation_failed": ("✘", "red"), "approval_asked": ("?", "yellow"), "approval_given": ("✔", "green"),
    "approval_denied": ("-", "yellow"), "approval_stale": ("!", "yellow"), "manual_asked": ("?", "yellow"),
    "undo_intent": ("↶", "cyan"), "undo_outcome": ("✔", "green"), "step_waiting": ("…", "dim"),
    "queued": ("…", "yellow"), "abort_requested": ("!", "yellow"), "run_finished": ("■", "bold"),
    "evidence_recorded": ("✔", "green"),
}  # fmt: skip


DIGITS = re.compile(r"[0-9]+")
SAME_WAIT_EVERY_S = 10.0


def announce(run_id: str, playbook: Playbook, runner: Runner) -> None:
    """Say on stderr, at once, which run this is and where it acts."""
    banner = runner.services.cloud.caller().banner
    sys.stderr.write(f"run {run_id}  {playbook.id} {playbook.version}  [{banner}]\n")
    sys.stderr.flush()


DESCRIBED: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "step_intent": lambda body: body["action"] + (f", {len(body['calls'])} calls" if body["calls"] else ""),
    "step_failed": lambda body: str(body["error"].get("message", "")),
    "evaluation_failed": lambda body: str(body["error"].get("message", "")),
    "step_verified": lambda body: (
        body["outcome"] + (", verified" if body.get("verified") else ", not verified")
    ),
    "approval_asked": lambda body: str(body["message"]),
    "step_waiting": lambda body: str(body["reason"]),
    "abort_requested": lambda body: str(body["reason"]),
    "approval_denied": lambda body: str(body["reason"]),
    "approval_stale": lambda body: "the plan changed: asked anew: " + "; ".join(body["difference"]),
    "approval_given": lambda body: f"by {body['by'].get('id', '?')}",
    "manual_confirmed": lambda body: f"by {body['by'].get('id', '?')}",
    "undo_outcome": lambda body: " ".join((body["action"], body["outcome"], body["reason"])).strip(),
    "run_finished": lambda body: str(body["status"]),
    "run_started": lambda body: f"{body['playbook']['id']} {body['playbook']['version']}, texts pinned",
}


def describe(kind: str, body: Mapping[str, Any]) -> str:
    """Return one line about a journal record, for people; the caller makes hostile text harmless."""
    told = DESCRIBED.get(kind)
    if told is not None:
        return told(body)
    return ", ".join(f"{name}={value}" for name, value in body.items() if isinstance(value, str | int))


class _Progress:
    """Prints each record as a line, and keeps the line of the moment where there is a terminal."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen
        self._lock = threading.Lock()
        self._waits: dict[str, str] = {}
        self._shown: dict[str, float] = {}

    def __call__(self, run_id: str, kind: str, path: str, body: Mapping[str, Any]) -> None:
        """Show one record."""
        del run_id
        mark = TOLD.get(kind)
        if mark is None:
            return
        text = describe(kind, body)
        with self._lock:
            if kind == "step_waiting" and not self._worth_a_line(path, text):
                return
            sign, style = mark
            self._screen.print(f"[{style}]{sign}[/] {escape(path or kind):<34} {escape(text)}")

    def _worth_a_line(self, path: str, text: str) -> bool:
        """Whether a wait is news: another reason, or the same with other numbers after a while."""
        now = time.monotonic()
        reason = DIGITS.sub("#", text)
        fresh = self._waits.get(path) != reason or now - self._shown.get(path, now) >= SAME_WAIT_EVERY_S
        if fresh:
            self._waits[path], self._shown[path] = reason, now
        return fresh


@contextlib.contextmanager
def progress(services: Context, *, as_json: bool) -> Iterator[Observer | None]:
    """Show progress on stderr while the block runs; machines get none."""
    del services
    yield None if as_json else _Progress(console(stderr=True))


def show_record(record: Record) -> None:
    """Print one journal record as a line."""
    sign, style = TOLD.get(record.kind, ("·", "dim"))
    text = describe(record.kind, record.body)
    console().print(
        f"[dim]{record.seq:>4} {record.at}[/] [{style}]{sign}[/] {record.kind:<18} "
        f"{escape(record.path):<28} {escape(text)}"
    )


def require_intact(run_id: str, report: ChainReport) -> None:
    """Raise JournalCorrupt where the chain does not verify."""
    if not report.ok:
        raise JournalCorrupt(
            f"run {run_id}: {report.problem}",
            hint="keep the store as it is: it is evidence; restore a backup",
        )


def show_runs(rows: Sequence[Mapping[str, Any]], *, every: bool) -> None:
    """Print the list of runs."""
    screen = console()
    if not rows:
        screen.print("no runs" if every else "no open runs; `irrunner runs --all` shows ended ones")
        return
    listing = table("run", "status", "playbook", "account", "severity", "since", "title")
    listing.columns[0].min_width = 36
    listing.columns[-1].overflow = "ellipsis"
    listing.columns[-1].no_wrap = True
    for row in rows:
        style = STATUS_STYLE.get(str(row["status"]), "white")
        listing.add_row(
            row["run_id"], f"[{style}]{row['status']}[/]", escape(row["playbook_id"]), row["account_id"],
            f"{row['severity']:g}", row["created_at"][:19] + "Z", escape(row["title"]),
        )  # fmt: skip
    screen.print(listing)


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
        "exit_code": 0,
    }


def show_plan(document: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a plan."""
    if as_json:
        print_json(document)
        return
    screen = console()
    screen.print(
        f"[bold]plan of {document['playbook']['id']}[/]  [{document['banner']}]  nothing has been sent"
    )
    for step in document["steps"]:
        _show_planned_step(screen, step)
    calls = document["calls"]
    for_good = sum(not call["reversible"] for call in calls)
    screen.print(
        f"\n{len(calls)} calls, {for_good} of them cannot be undone. Plan {document['sha256'][:12]}."
    )


def _show_planned_step(screen: Console, step: Mapping[str, Any]) -> None:
    gate = f" [yellow](after approval of {escape(step['gate'])})[/]" if step["gate"] else ""
    condition = f" [dim]if {escape(step['condition'])}[/]" if step["condition"] else ""
    skipped = " [dim]skipped[/]" if step["skipped"] else ""
    name = f"[bold]{escape(step['path'])}[/] {escape(step['action'] or step['kind'])}"
    screen.print(f"\n{name}{gate}{condition}{skipped}")
    if step["note"]:
        screen.print(f"    [yellow]{escape(step['note'])}[/]")
    for call in step["calls"]:
        keep = "" if call["reversible"] else " [red](cannot be undone)[/]"
        screen.print(
            f"    {call['operation']} → {escape(call['target'])}{keep}  [dim]{escape(call['summary'])}[/]"
        )
        if call["before"] is not None or call["after"] is not None:
            screen.print(f"        [dim]{escape(call['before'])} → {escape(call['after'])}[/]")


def show_document(services: Context, document: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a run's document: JSON, or the summary for a tired person."""
    del services
    if as_json:
        print_json(document)
        return
    if document.get("status") == "planned":
        show_plan(document, as_json=False)
        return
    screen = console()
    if document.get("run_id") is None:
        _show_not_run(screen, document)
        return
    _show_head(screen, document)
    for title, steps in sections(document):
        if steps:
            screen.print(f"\n[bold]{title}[/]")
            for step in steps:
                _show_step(screen, step)
    _show_objectives(screen, document)
    screen.print("\n[bold]What next[/]")
    for line in next_steps(document):
        screen.print(f"  {escape(line)}")


def _show_not_run(screen: Console, document: Mapping[str, Any]) -> None:
    finding = document.get("finding") or {}
    screen.print(f"[yellow]nothing was done[/]: {escape(document.get('reason', ''))}")
    screen.print(f"  {escape(finding.get('type', ''))}  {escape(finding.get('title', ''))}")
    for problem in document.get("problems", []):
        screen.print(f"  - {escape(problem)}")
    screen.print(
        "A person decides. Playbooks: `irrunner playbooks`; run one with `irrunner run ID --event FILE`."
    )


def _show_head(screen: Console, document: Mapping[str, Any]) -> None:
    style = STATUS_STYLE.get(str(document["status"]), "white")
    where = "SIMULATED" if document["simulated"] else f"AWS account {document['account_id']}"
    drill = "  [yellow]DRILL[/]" if document["drill"] else ""
    screen.print(
        f"\n[bold {style}]{document['status'].upper()}[/]  {escape(document['title'])}\n"
        f"[dim]run {document['run_id']}  {document['playbook']['id']}  {where} {document['region']}[/]{drill}"
    )
    if document.get("duplicate"):
        screen.print(
            f"[yellow]{escape(document.get('reason', 'this event is known: nothing new was started'))}[/]"
        )


def sections(document: Mapping[str, Any]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Return the steps by what a responder asks: contained? evidence? what not? what else?"""
    contained, evidence, missing, other = [], [], [], []
    for step in document["steps"]:
        good = step["outcome"] in ("applied", "already_done")
        action = step["action"] or ""
        if not good and step["outcome"] != "skipped":
            missing.append(step)
        elif step["outcome"] == "skipped":
            other.append(step)
        elif action.startswith(("aws.ebs.", "evidence.")):
            evidence.append(step)
        elif step["phase"] == "containment":
            contained.append(step)
        else:
            other.append(step)
    if document.get("undoes"):
        return [("Put back", contained + evidence + other), ("Not put back", missing)]
    return [("Contained", contained), ("Evidence", evidence), ("Not done", missing), ("Also", other)]


def _show_step(screen: Console, step: Mapping[str, Any]) -> None:
    verified = (
        ""
        if step["verified"] or step["outcome"] not in ("applied", "already_done")
        else " [dim]not verified[/]"
    )
    title = step.get("title") or step["action"] or step["kind"]
    screen.print(f"  {MARKS.get(step['outcome'], '·')} {escape(step['id']):<26} {escape(title)}{verified}")
    outputs = step.get("outputs") or {}
    for name in ("snapshot_ids", "forensic_snapshot_id", "quarantine_group_id", "access_key_id", "role_name"):
        if outputs.get(name):
            screen.print(f"      [dim]{name}: {escape(outputs[name])}[/]")
    error = step.get("error")
    if error:
        screen.print(f"      [red]{escape(error['code'])}[/]: {escape(error['message'])}")
        if error.get("hint"):
            screen.print(f"      what to do: {escape(error['hint'])}")
    elif step.get("note") and step["outcome"] != "applied":
        screen.print(f"      [dim]{escape(step['note'])}[/]")
    for warning in step.get("warnings", []):
        screen.print(f"      [yellow]warning:[/] {escape(warning)}")


def _show_objectives(screen: Console, document: Mapping[str, Any]) -> None:
    if not document["objectives"]:
        return
    parts = []
    for name, entry in document["objectives"].items():
        actual = "not reached" if entry["actual_s"] is None else f"{entry['actual_s']:.1f} s"
        style = "green" if entry["met"] else "red"
        parts.append(f"{name} [{style}]{actual}[/] (target {entry['target_s']:g} s)")
    screen.print("\n[bold]Time to verified[/]  " + "   ".join(parts))


def next_steps(document: Mapping[str, Any]) -> list[str]:
    """Return what a person can do now, as commands."""
    run_id, status = document["run_id"], document["status"]
    lines = []
    for gate in document.get("gates", []):
        message = gate.get("message") or gate.get("instruction", "")
        due = f" (denied by itself at {gate['due_at']})" if gate.get("due_at") else ""
        lines.append(f"decide: {plain(message)}{due}")
        which = f"{run_id} {gate['path']}"
        lines.append(f"  irrunner approve {which}   |   irrunner deny {which} --reason ...")
    if status == "running":
        lines.append(f"irrunner resume {run_id}   |   irrunner watch {run_id}")
    if any(step.get("held") for step in document["steps"]):
        lines.append("held items come back later: irrunner resume --due, or --release-credentials for keys")
    if not document.get("undoes"):
        stop = "" if status != "waiting" else " (closes the open questions)"
        lines.append(f"undo all of it: irrunner undo {run_id}{stop}")
    lines.append(f"the full record: irrunner timeline {run_id}")
    return lines
