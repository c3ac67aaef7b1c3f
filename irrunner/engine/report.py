"""The documents of a run: what ``--json`` prints and what every view of a run is made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from irrunner.actions.registry import Registry
from irrunner.clock import parse_iso
from irrunner.engine import loaded as kinds
from irrunner.engine.compiled import Compiler
from irrunner.engine.expiry import UNDO_OUTCOME
from irrunner.engine.loaded import LoadedRun, load_run
from irrunner.engine.open_gates import open_gates
from irrunner.engine.scopes import step_id_of
from irrunner.engine.undo import outcomes_of
from irrunner.errors import (
    EXIT_DONE,
    EXIT_ENVIRONMENT,
    EXIT_FAILED,
    EXIT_WAITING,
    UnknownAction,
)
from irrunner.journal.outbox import Delivery
from irrunner.journal.records import Record
from irrunner.journal.store import RunRow
from irrunner.playbook.model import Approve, Manual, Playbook, Uses, Wait, WaitUntil
from irrunner.vocabulary import Outcome, Phase, Risk, RunStatus

SHOWN = (Uses, Approve, Manual, Wait, WaitUntil)
SETTING_CODES = frozenset({"forensics-not-configured", "settings-invalid"})
ENVIRONMENT_CODES = SETTING_CODES | {"credentials-invalid"}
"""Why a run fails before it changes anything, through nothing that the playbook could do better."""


def objective_of(action_id: str, phase: str | None, registry: Registry) -> str | None:
    """Return which objective a step serves: ``evidence``, ``contain`` or None."""
    if action_id.startswith("aws.ebs."):
        return "evidence"
    try:
        risk = registry.get(action_id).risk
    except UnknownAction:
        return None
    return "contain" if phase == Phase.CONTAINMENT and risk is not Risk.NONE else None


def run_document(
    row: RunRow, records: Sequence[Record], compiler: Compiler, undelivered: Sequence[Delivery] = ()
) -> dict[str, Any]:
    """Return the JSON document of a run (the CLI contract's shape and more).

    Args:
        row: The run's line in the store.
        records: Its journal.
        compiler: Of the texts that the run pins.
        undelivered: What trackers of tickets have not heard yet.

    Raises:
        JournalCorrupt: If the chain is broken.
    """
    body = records[0].body
    run = load_run(records, compiler)
    steps = undo_steps(records) if row.undoes else run_steps(run, compiler.registry)
    objectives = {} if row.undoes else objectives_of(run, compiler.registry)
    document = {
        "run_id": row.run_id,
        "incident_id": row.incident_id,
        "playbook": {"id": row.playbook_id, "version": row.playbook_version, "sha256": row.playbook_sha256},
        "status": row.status,
        "title": row.title,
        "account_id": row.account_id,
        "region": row.region,
        "drill": row.drill,
        "simulated": bool(body.get("caller", {}).get("simulated")),
        "started_at": body["accepted_at"],
        "ended_at": row.ended_at,
        "steps": steps,
        "objectives": objectives,
        "gates": [] if row.undoes else open_gates(records),
        "undelivered": [_delivery(each) for each in undelivered],
        "undoes": row.undoes,
        "journal": {"records": row.records, "head_sha256": row.head_sha256},
    }
    document["exit_code"] = exit_code(document)
    return document


def _delivery(delivery: Delivery) -> dict[str, Any]:
    names = ("tracker", "kind", "status", "attempts", "queued_at", "due_at", "problem")
    return {name: getattr(delivery, name) for name in names}


def exit_code(document: Mapping[str, Any]) -> int:
    """Return the exit code of a run's document."""
    status = document["status"]
    if document["undoes"] and any(step["error"] for step in document["steps"]):
        return EXIT_FAILED
    if status == RunStatus.WAITING or any(step.get("held") for step in document["steps"]):
        return EXIT_WAITING
    if status in (RunStatus.SUCCEEDED, RunStatus.RUNNING):
        return EXIT_DONE
    if status == RunStatus.NO_PLAYBOOK:
        return EXIT_ENVIRONMENT
    failures = {
        step["error"]["code"]
        for step in document["steps"]
        if step["error"] and step["outcome"] != Outcome.DENIED
    }
    untouched = not any(step["calls"] for step in document["steps"] if step["phase"] == Phase.CONTAINMENT)
    excused = (
        SETTING_CODES if status == RunStatus.PARTIAL else ENVIRONMENT_CODES if untouched else frozenset()
    )
    return EXIT_ENVIRONMENT if failures and failures <= excused else EXIT_FAILED


def _times(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    times: dict[str, dict[str, Any]] = {}
    for record in records:
        if not record.path:
            continue
        entry = times.setdefault(record.path, {})
        if record.kind in (kinds.INTENT, kinds.ASKED, kinds.TIMER, "manual_asked"):
            entry.setdefault("started_at", record.at)
        if record.kind == kinds.OUTCOME:
            entry["warnings"] = record.body.get("warnings", [])
            entry["calls"] = entry.get("calls", 0) + len(record.body["calls"])
            entry["reason"] = record.body.get("reason", "")
        if record.kind in (
            "step_verified",
            "step_failed",
            "approval_given",
            "approval_denied",
            "timer_fired",
        ):
            entry["ended_at"] = record.at
            entry["verified"] = bool(record.body.get("verified"))
    return times


def run_steps(run: LoadedRun, registry: Registry) -> list[dict[str, Any]]:
    """Return the steps of a run in the order of the file, one entry an instance."""
    times = _times(run.records)
    steps = []
    for path, view in run.execution.views().items():
        step = run.execution.step(path)
        if not isinstance(step.kind, SHOWN) or (view.items is not None):
            continue
        entry = times.get(path, {})
        action = step.kind.action if isinstance(step.kind, Uses | WaitUntil) else None
        phase = step.phase or (registry.get(action).phase if action and action in registry else None)
        steps.append(
            {
                "id": path, "step": view.step_id, "kind": type(step.kind).__name__.lower(), "phase": phase,
                "title": step.title, "action": action, "outcome": view.outcome,
                "verified": entry.get("verified", False), "attempts": view.attempts,
                "started_at": entry.get("started_at"), "ended_at": entry.get("ended_at"),
                "error": view.error, "warnings": entry.get("warnings", []), "calls": entry.get("calls", 0),
                "outputs": view.outputs, "note": entry.get("reason", ""),
            }
        )  # fmt: skip
    return steps


def undo_steps(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return the steps of an undo run, in the order in which they were undone."""
    steps = []
    for path, body in outcomes_of(records).items():
        at = next(
            record.at for record in reversed(records) if record.kind == UNDO_OUTCOME and record.path == path
        )
        error = body.get("error")
        if error is None and body["outcome"] in (Outcome.REFUSED, Outcome.FAILED, Outcome.UNKNOWN):
            code = "drift" if body["outcome"] == Outcome.REFUSED else "undo-failed"
            error = {"code": code, "message": body["reason"], "hint": "", "detail": {}}
        steps.append(
            {
                "id": path, "step": step_id_of(path), "kind": "undo", "phase": Phase.RECOVERY,
                "action": body["action"], "outcome": body["outcome"],
                "verified": bool(body.get("verified")), "attempts": 1, "started_at": at, "ended_at": at,
                "error": error, "held": bool(body.get("held")), "note": body["reason"],
                "calls": len(body.get("calls", [])), "warnings": [], "outputs": body.get("detail"),
            }
        )  # fmt: skip
    return steps


def _behind_gates(playbook: Playbook) -> set[str]:
    """Return the ids of steps that stand behind an approval."""
    found: set[str] = set()
    for step in playbook.walk():
        if isinstance(step.kind, Approve):
            stack = list(step.kind.then)
            while stack:
                inner = stack.pop()
                found.add(inner.id)
                stack.extend(child for sequence in inner.children() for child in sequence)
    return found


def objectives_of(run: LoadedRun, registry: Registry) -> dict[str, Any]:
    """Return each objective: its target, and the time from acceptance to the last *verified* step.

    Steps behind an approval wait for people and are left out; their waits are reported apart.
    """
    gated = _behind_gates(run.playbook)
    accepted = run.facts.accepted_at
    last: dict[str, datetime] = {}
    missed: set[str] = set()
    for path, view in run.execution.views().items():
        step = run.execution.step(path)
        if not isinstance(step.kind, Uses) or view.items is not None or view.step_id in gated:
            continue
        name = objective_of(step.kind.action, step.phase, registry)
        if name is None or view.outcome is Outcome.SKIPPED:
            continue
        at = _verified_at(run.records, path)
        if at is None:
            missed.add(name)
        else:
            last[name] = max(at, last.get(name, at))
    result: dict[str, Any] = {}
    for name, target_s in run.playbook.objectives.items():
        reached = name in last and name not in missed
        actual_s = round((last[name] - accepted).total_seconds(), 3) if reached else None
        result[name] = {
            "target_s": target_s,
            "actual_s": actual_s,
            "met": actual_s is not None and actual_s <= target_s,
        }
    return result


def _verified_at(records: Sequence[Record], path: str) -> datetime | None:
    for record in reversed(records):
        if record.kind == "step_verified" and record.path == path:
            return parse_iso(record.at) if record.body.get("verified") else None
    return None
