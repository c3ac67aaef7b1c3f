"""The gates of a run that wait for a person, folded from its journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from irrunner.engine import loaded as kinds
from irrunner.journal.records import Record

Gates: TypeAlias = dict[str, dict[str, Any]]


def open_gates(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return each open gate: newest plan, message, approvers, deadline; oldest first."""
    gates: Gates = {}
    for record in records:
        told = TOLD.get(record.kind)
        if told is not None:
            told(gates, record)
    return [gate for gate in gates.values() if "message" in gate or "instruction" in gate]


def _asked(gates: Gates, record: Record) -> None:
    gates[record.path] = {**gates.get(record.path, {}), "path": record.path, "at": record.at, **record.body}


def _manual(gates: Gates, record: Record) -> None:
    _asked(gates, record)
    gates[record.path]["manual"] = True


def _escalated(gates: Gates, record: Record) -> None:
    gate = gates.setdefault(record.path, {})
    gate["approvers"] = [*gate.get("approvers", ()), *record.body["approvers"]]


def _timer(gates: Gates, record: Record) -> None:
    if record.body["purpose"] in ("approval", "manual"):
        gates.setdefault(record.path, {})["due_at"] = record.body["due_at"]


def _fired(gates: Gates, record: Record) -> None:
    if record.body["purpose"] in ("approval", "manual"):
        gates.pop(record.path, None)


def _given(gates: Gates, record: Record) -> None:
    gate = gates.get(record.path, {})
    gate["given_by"] = sorted({*gate.get("given_by", ()), str(record.body["by"].get("id"))})
    if len(gate["given_by"]) >= gate.get("minimum", 1):
        gates.pop(record.path, None)


def _stale(gates: Gates, record: Record) -> None:
    gates.get(record.path, {}).pop("given_by", None)


def _closed(gates: Gates, record: Record) -> None:
    gates.pop(record.path, None)


def _all_closed(gates: Gates, record: Record) -> None:
    del record
    gates.clear()


TOLD: Mapping[str, Callable[[Gates, Record], None]] = {
    kinds.ASKED: _asked,
    kinds.ESCALATED: _escalated,
    kinds.TIMER: _timer,
    "manual_asked": _manual,
    "timer_fired": _fired,
    "approval_given": _given,
    "approval_stale": _stale,
    "approval_denied": _closed,
    "manual_confirmed": _closed,
    "evaluation_failed": _closed,
    "abort_requested": _all_closed,
    "deadline_passed": _all_closed,
    kinds.FINISHED: _all_closed,
}
