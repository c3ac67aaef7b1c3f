"""Evidence as a report shows it: what the custody ledger holds of a run, by the same projection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from forensics.chain import EVIDENCE, JOURNAL
from forensics.projection import project
from irrunner.cli.plans import counted
from irrunner.journal.records import Record

COMPLETED: Final = "disk-snapshot-completed"
"""AWS's word on an item that is listed already: told there."""


def evidence_of(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return the items of a run in the order of the ledger, each with its entry there.

    Args:
        records: The run's journal.

    Returns:
        ``{"entry", "attempt", "kind", "name", "sha256", "bytes", "where", "origin", "account_id", "lineage",
        "completed_at", "path", "at", "verified", "note"}``.
    """
    items: dict[str, dict[str, Any]] = {}
    completed: dict[str, str] = {}
    for entry in project(records, ended=False):
        if entry.kind == JOURNAL:
            continue
        item = entry.body["item"]
        if item["kind"] == COMPLETED:
            completed[item["name"]] = str((item.get("details") or {}).get("completed_at") or entry.at)
            continue
        items[entry.entry_id] = {
            "entry": entry.entry_id, "attempt": entry.kind != EVIDENCE, "kind": item["kind"],
            "name": item["name"], "sha256": item["sha256"], "bytes": item["bytes"],
            "where": _where(entry.body), "origin": _origin(entry.body),
            "account_id": entry.body["location"]["account_id"], "lineage": entry.body["lineage"],
            "completed_at": "", "path": entry.body["step"], "at": entry.at,
            "verified": entry.body["verified"], "note": entry.body["note"],
        }  # fmt: skip
    for each in items.values():
        each["completed_at"] = completed.get(each["name"], "")
    return list(items.values())


def told(items: Sequence[Mapping[str, Any]], account_id: str) -> Iterator[str]:
    """Yield what the summary says about evidence.

    Args:
        items: Of :func:`evidence_of`.
        account_id: Account of the incident.
    """
    secured = [item for item in items if not item["attempt"]]
    if not secured:
        yield "No evidence was secured by this run."
        return
    kinds = ", ".join(f"{kind} ({count})" for kind, count in Counter(i["kind"] for i in secured).items())
    away = sum(1 for item in secured if item["account_id"] not in ("", account_id))
    apart = f" {away} of them {'is' if away == 1 else 'are'} in the forensic account." if away else ""
    yield f"{counted(len(secured), 'item')} of evidence {_are(len(secured))} in custody: {kinds}.{apart}"
    if len(secured) < len(items):
        yield f"{counted(len(items) - len(secured), 'attempt')} to secure evidence failed."


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _where(body: Mapping[str, Any]) -> str:
    place = body["location"]
    names = place["resource"] if place["resource"] != body["item"]["name"] else ""
    account = f"account {place['account_id']}" if place["account_id"] else ""
    return ", ".join(filter(None, (names, account, place["region"])))


def _origin(body: Mapping[str, Any]) -> str:
    """Return the way of an item, up to itself."""
    steps = [each["resource"] for each in body["lineage"] if each["resource"]]
    return " → ".join(step for step in steps if step != body["item"]["name"])
