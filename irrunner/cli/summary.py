"""The summary of a run: what a tired person needs to know, in the order in which they ask.

Contained? Evidence, and where? What waits for me? What was not done? What next, and how back?
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from irrunner.cli.output import LONGEST_TITLE, console, escape, hang
from irrunner.cli.plans import counted, worded
from irrunner.cli.words import ago, clock_time, deadline, duration, short_run
from irrunner.clock import parse_iso

if TYPE_CHECKING:
    from rich.console import Console

Document = Mapping[str, Any]

NAME_WIDTH: Final = 28
NARROW_INDENT: Final = 6
ROOMY: Final = 100
"""Columns from which details stand under the text of their step."""
GOOD: Final = ("applied", "already_done")
MARKS: Final[Mapping[str, str]] = {
    "applied": "[green]✔[/]", "already_done": "[green]✔[/]", "failed": "[red]✘[/]", "refused": "[red]✘[/]",
    "unknown": "[yellow]?[/]", "denied": "[yellow]-[/]", "skipped": "[dim]-[/]", "waiting": "[yellow]?[/]",
    "running": "[cyan]▸[/]", "held": "[yellow]…[/]",
}  # fmt: skip
STATUS_STYLE: Final[Mapping[str, str]] = {
    "succeeded": "green", "waiting": "yellow", "partial": "yellow", "failed": "red", "aborted": "yellow",
    "running": "cyan", "no_playbook": "yellow",
}  # fmt: skip
DETAILS: Final = (
    "{source_snapshot_id} → {forensic_snapshot_id} in {forensic_account_id}, {forensic_region}",
    "complete at {completed_at}",
    "{snapshot_ids}",
    "{network_interface_ids} in {quarantine_group_ids}",
    "role {role_name}: sessions issued before {cut_off} are denied",
    "{access_key_id} of {user_name} is {status}",
    "user {user_name}: policy {policy_name}",
    "{bucket}/{key}",
    "{bucket}/{prefix}",
    "{reference} {url}",
    "{evidence_id}",
    "{block} in {network_acl_ids}",
    "{addresses} in {target}",
    "{domains} in {vpc_id}",
    "{subnet_id} behind {network_acl_id}",
    "{flow_log_id} to {destination}",
)
"""How outputs are told; the first of which a step has all."""


def show_run(document: Document, now: datetime) -> None:
    """Print the summary of a run.

    Args:
        document: As ``--json`` prints it.
        now: For deadlines and ages.
    """
    screen = console()
    _show_head(screen, document, now)
    found = sections(document)
    others = found.pop(OTHERS)
    for title, steps in found.items():
        if title == GATES_BEFORE:
            _show_gates(screen, document, now)
        if steps:
            screen.print(f"\n[bold]{title}[/]")
        for step in steps:
            _show_step(screen, step)
    _show_others(screen, others)
    _show_undelivered(screen, document)
    _show_objectives(screen, document)
    _show_expiries(screen, document, now)
    screen.print("\n[bold]What next[/]")
    for command, why in next_steps(document):
        hang(screen, f"  {escape(command)} ", f"[dim]{escape(why)}[/]", 36)


def show_not_run(document: Document) -> None:
    """Print why nothing was done about an event."""
    screen = console()
    finding = document.get("finding") or {}
    screen.print("[bold yellow]NOTHING WAS DONE[/]  a person decides")
    hang(screen, "  finding ", f"{escape(finding.get('type', ''))}", 12)
    hang(screen, "", f"{escape(finding.get('title', ''), LONGEST_TITLE)}", 12)
    hang(screen, "  reason ", escape(document.get("reason", "")), 12)
    for problem in document.get("problems", []):
        hang(screen, "", f"- {escape(problem)}", 12)
    screen.print("\n[bold]What next[/]")
    hang(screen, "  irrunner playbooks ", "[dim]what there is[/]", 36)
    hang(screen, "  irrunner run ID --event FILE ", "[dim]run one of them on this event[/]", 36)


def _show_head(screen: Console, document: Document, now: datetime) -> None:
    style = STATUS_STYLE.get(str(document["status"]), "white")
    drill = "  [yellow]DRILL[/]" if document["drill"] else ""
    where = f"{'SIMULATED ' if document['simulated'] else 'AWS '}account {document['account_id']}"
    book = document["playbook"]
    status = document["status"].upper()
    screen.print()
    hang(screen, f"[bold {style}]{status}[/]  ", escape(document["title"], LONGEST_TITLE), len(status) + 2)
    screen.print(f"[dim]{escape(where)}, {escape(document['region'])}[/]{drill}", soft_wrap=True)
    screen.print(
        f"[dim]run {document['run_id']}  {escape(book['id'])} {escape(book['version'])}[/]", soft_wrap=True
    )
    screen.print(f"[dim]{escape(lifetime(document, now))}[/]", soft_wrap=True)
    if document.get("duplicate"):
        known = document.get("reason", "this event is known: nothing new was started")
        hang(screen, "", f"[yellow]{escape(known)}[/]", 0)


def lifetime(document: Document, now: datetime) -> str:
    """Return when a run started, and how long it took or how old it is."""
    started = parse_iso(document["started_at"])
    if document["ended_at"]:
        took = (parse_iso(document["ended_at"]) - started).total_seconds()
        return f"started {clock_time(started, now)}, ended after {duration(max(took, 0))}"
    return f"started {clock_time(started, now)}, {ago(document['started_at'], now)}"


# -- steps ----------------------------------------------------------------------------------------


def sections(document: Document) -> dict[str, list[Document]]:
    """Return the steps by what a responder asks: contained? evidence? what not? what else?"""
    names = UNDO_SECTIONS if document.get("undoes") else RUN_SECTIONS
    found: dict[str, list[Document]] = {name: [] for name in dict.fromkeys(names.values())}
    asked = {gate["path"] for gate in document.get("gates", ())}
    for step in document["steps"]:
        if step["id"] not in asked:
            found[names[_section(step)]].append(step)
    return found


OTHERS: Final = ""
RUN_SECTIONS: Final = {
    "contained": "Contained", "evidence": "Evidence", "missing": "Not done", "held": "Not done",
    "others": OTHERS,
}  # fmt: skip
UNDO_SECTIONS: Final = {
    "contained": "Put back", "evidence": "Put back", "held": "Held for later", "missing": "Not put back",
    "others": OTHERS,
}  # fmt: skip
GATES_BEFORE: Final = "Not done"


def _section(step: Document) -> str:
    action = step["action"] or ""
    if step["outcome"] == "skipped":
        return "others"
    if step.get("held"):
        return "held"
    if step["outcome"] not in GOOD or _passed_over(step):
        return "missing"
    if action.startswith(("aws.ebs.", "aws.ssm.", "evidence.")):
        return "evidence"
    return "contained" if step["phase"] == "containment" or step["kind"] == "undo" else "others"


def _passed_over(step: Document) -> bool:
    """Whether a step that ended well did not do what it is for: a message not sent, memory not captured."""
    outputs = step.get("outputs") or {}
    return False in (outputs.get("sent"), outputs.get("captured"))


def _show_step(screen: Console, step: Document) -> None:
    unverified = "" if step["verified"] or step["outcome"] not in GOOD else " [yellow]not verified[/]"
    mark = MARKS["held"] if step.get("held") else MARKS.get(step["outcome"], "·")
    if _passed_over(step):
        mark = MARKS["held"] if (step["outputs"] or {}).get("queued") else MARKS["denied"]
    title = step.get("title") or step["action"] or step["kind"]
    hang(screen, f"  {mark} {escape(step['id'])} ", f"{escape(title, LONGEST_TITLE)}{unverified}", NAME_WIDTH)
    if step["outcome"] in GOOD and step["kind"] != "undo":
        _tell(screen, "dim", detail_of(step.get("outputs") or {}))
    error = step.get("error")
    if error:
        _tell(screen, "red", f"{error['code']}: {error['message']}")
        _tell(screen, "bold", error.get("hint", ""))
    elif step["kind"] == "undo" or step["outcome"] not in GOOD:
        _tell(screen, "dim", step.get("note", ""))
    for warning in step.get("warnings", ()):
        _tell(screen, "yellow", warning)


def _show_undelivered(screen: Console, document: Document) -> None:
    """Print what trackers have not heard: it is kept, and told as soon as they listen."""
    waiting = document.get("undelivered", ())
    if waiting:
        screen.print("\n[bold]Not delivered yet[/]")
    for each in waiting:
        head = f"  {MARKS['held']} {escape(each['kind'])} in {escape(each['tracker'])} "
        hang(screen, head, f"[yellow]{each['status']}[/] {escape(each['problem'])}", NAME_WIDTH)


def _tell(screen: Console, style: str, text: str) -> None:
    """Print a detail below a step: in its column where there is room, else further left."""
    if text:
        indent = NAME_WIDTH if screen.width >= ROOMY else NARROW_INDENT
        hang(screen, "", f"[{style}]{escape(text)}[/]", indent)


def _show_others(screen: Console, steps: list[Document]) -> None:
    """Name the steps that need no attention; only their warnings do."""
    for title, skipped in (("Also done", False), ("Skipped", True)):
        names = [step["id"] for step in steps if (step["outcome"] == "skipped") == skipped]
        if names:
            screen.print()
            hang(screen, f"[bold]{title}[/]  ", f"[dim]{escape(', '.join(names))}[/]", len(title) + 2)
    for step in steps:
        for warning in step.get("warnings", ()):
            _tell(screen, "yellow", f"{step['id']}: {warning}")


def detail_of(outputs: Mapping[str, Any]) -> str:
    """Return what a person wants to know of a step's outputs, or an empty text."""
    present = {name: worded(value) for name, value in outputs.items() if value}
    for told in DETAILS:
        try:
            return told.format_map(present)
        except KeyError:
            continue
    return ""


# -- people ---------------------------------------------------------------------------------------


def _show_gates(screen: Console, document: Document, now: datetime) -> None:
    gates = document.get("gates") or ()
    if not gates:
        return
    screen.print("\n[bold yellow]Waiting for you[/]")
    only = len(gates) == 1
    for gate in gates:
        message = gate.get("message") or gate.get("instruction", "")
        hang(screen, f"  {MARKS['waiting']} [bold]{escape(gate['path'])}[/] ", escape(message), NAME_WIDTH)
        _tell(screen, "dim", effect_of(gate))
        if gate.get("due_at"):
            late = "then it counts as not done" if gate.get("manual") else "then it is denied by itself"
            _tell(screen, "yellow", f"until {deadline(gate['due_at'], now)}, {late}")
        if gate.get("approvers"):
            _tell(screen, "dim", f"asks {worded(gate['approvers'])}")
        which = short_run(document["run_id"]) + ("" if only else f" {gate['path']}")
        _tell(screen, "bold", f"irrunner approve {which}")
        _tell(screen, "bold", f'irrunner deny {which} --reason "..."')


def effect_of(gate: Document) -> str:
    """Return what an approval would let happen: the calls behind it."""
    calls = [call for step in (gate.get("plan") or {}).get("steps", ()) for call in step["calls"]]
    if not calls:
        return ""
    for_good = sum(not call["reversible"] for call in calls)
    told = "; ".join(call["summary"] for call in calls)
    return f"{counted(len(calls), 'call')}, {for_good} cannot be undone: {told}"


def _show_objectives(screen: Console, document: Document) -> None:
    parts = []
    for name, entry in document["objectives"].items():
        actual = "not reached" if entry["actual_s"] is None else duration(entry["actual_s"])
        style = "green" if entry["met"] else "red"
        parts.append(f"{escape(name)} [{style}]{actual}[/] [dim](target {duration(entry['target_s'])})[/]")
    if parts:
        screen.print()
        hang(screen, "[bold]Time to verified[/]  ", "   ".join(parts), 18)


def _show_expiries(screen: Console, document: Document, now: datetime) -> None:
    """Say of each effect that expires when it comes off, and by what."""
    expiries = document.get("expiries") or ()
    if expiries:
        screen.print("\n[bold]Expires[/]")
    for expiry in expiries:
        mark, told = told_expiry(document, expiry, now)
        hang(screen, f"  {mark} {escape(expiry['id'])} ", escape(told), NAME_WIDTH)


def told_expiry(document: Document, expiry: Mapping[str, Any], now: datetime) -> tuple[str, str]:
    """Return a mark, and when an effect comes off or what became of it."""
    by = f" (run {short_run(expiry['run_id'])})" if expiry["run_id"] else ""
    if expiry["state"] == "pending":
        return MARKS["held"], f"until {deadline(expiry['due_at'], now)}; `irrunner resume --due` takes it off"
    if expiry["state"] == "running":
        return MARKS["running"], f"is being taken off{by}"
    if expiry["state"] == "taken_off":
        return MARKS["applied"], f"taken off{by}"
    undo = f"irrunner undo {short_run(document['run_id'])} --step {expiry['id']}"
    if expiry["state"] == "kept":
        return MARKS["held"], f"stays: {expiry['reason']}; `{undo}`"
    return MARKS["failed"], f"NOT taken off{by}: {expiry['reason']}; `{undo}`"


def next_steps(document: Document) -> Iterator[tuple[str, str]]:
    """Yield what a person can do now: a command, and why."""
    run_id = short_run(document["run_id"])
    status = document["status"]
    if status == "running":
        yield f"irrunner watch {run_id}", "follow it"
        yield f"irrunner resume {run_id}", "take it up, where nobody drives it"
    if document.get("undoes"):
        yield from _after_undo(document)
    else:
        if status in ("failed", "partial", "aborted"):
            yield "irrunner respond --event FILE --again", "once more, when the cause is gone"
        closes = "undo all of it (closes the open question)" if status == "waiting" else "undo all of it"
        if any(expiry["state"] == "pending" for expiry in document.get("expiries") or ()):
            yield "irrunner resume --due", "takes off what has expired; let a timer run it"
        yield f"irrunner undo {run_id}", closes
    yield f"irrunner timeline {run_id}", "the full record"


def _after_undo(document: Document) -> Iterator[tuple[str, str]]:
    undone = short_run(document["undoes"])
    held = [str(step.get("note")) for step in document["steps"] if step.get("held")]
    by_name = [note for note in held if RELEASE in note]
    if len(by_name) < len(held):
        yield "irrunner resume --due", "gives back what is held, when its time has come"
    if by_name:
        yield f"irrunner undo {undone} {RELEASE}", "gives keys and users back"
    if any((step.get("error") or {}).get("code") == "drift" for step in document["steps"]):
        yield f"irrunner undo {undone}", "again, when what others changed is settled"
    yield f"irrunner show {undone}", "the run that was undone"


RELEASE: Final = "--release-credentials"
