"""One timeline of an incident: what the attacker, AWS, the runner and people did, as the records tell it.

Times are aware UTC. What the attacker did is known by findings and trails alone, and says where from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from irrunner.clock import iso, parse_iso
from irrunner.findings.model import Finding
from irrunner.journal.records import Record


class Actor(StrEnum):
    """Whose deed an event is."""

    ATTACKER = "attacker"
    AWS = "aws"
    RUNNER = "responder"
    PEOPLE = "people"


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of the timeline.

    Args:
        at: When; aware UTC, ISO 8601 with milliseconds.
        actor: Whose deed.
        what: One line for people.
        kind: Stable word to filter by (``finding``, ``step_verified``, ``approval_given`` ...).
        source: What tells it: ``finding``, ``journal``, ``cloudtrail``.
        reference: Where it stands there: finding id, ``run/sequence``, event id.
        path: Step, if any.
        good: False where it went wrong.
    """

    at: str
    actor: Actor
    what: str
    kind: str
    source: str
    reference: str
    path: str = ""
    good: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return asdict(self)


_PEOPLE: Final[Mapping[str, str]] = {
    "approval_asked": "asked: {message}",
    "approval_given": "{who} approved {path}",
    "approval_denied": "{who} denied {path}: {reason}",
    "approval_escalated": "nobody answered: escalated",
    "manual_asked": "asked to do by hand: {message}",
    "manual_done": "{who} confirmed {path}",
    "abort_requested": "{who} aborted the run: {reason}",
}
_RUN: Final[Mapping[str, str]] = {
    "run_started": "{started} started",
    "run_finished": "ended: {status}",
    "run_resumed": "resumed",
    "run_parked": "parked: waiting",
}


def timeline(
    finding: Finding | None, runs: Iterable[tuple[Sequence[Record], Mapping[str, str]]]
) -> list[Moment]:
    """Return all events in the order of time.

    Args:
        finding: What started it, if a finding did.
        runs: Journal and step titles (by path) of the run and of its undos.
    """
    moments = list(_of_finding(finding)) if finding else []
    for records, titles in runs:
        moments.extend(_of_journal(records, titles))
    return sorted(moments, key=lambda moment: (moment.at, moment.reference))


def _of_finding(finding: Finding) -> Iterator[Moment]:
    seen = (
        (finding.created_at, f"first seen: {finding.title or finding.type}"),
        (finding.updated_at, f"last seen, {finding.count} times in all"),
    )
    told: set[str] = set()
    for at, what in seen:
        if at and (text := _instant(at)) not in told:
            told.add(text)
            yield Moment(text, Actor.ATTACKER, what, "finding", "finding", finding.id)


def _instant(value: datetime | str) -> str:
    return iso(value) if isinstance(value, datetime) else iso(parse_iso(value))


def _of_journal(records: Sequence[Record], titles: Mapping[str, str]) -> Iterator[Moment]:
    for record in records:
        reference = f"{record.run_id}/{record.seq}"
        yield from _of_record(record, titles, reference)
        yield from _of_trail(record)


def _of_record(record: Record, titles: Mapping[str, str], reference: str) -> Iterator[Moment]:
    body, path = record.body, record.path
    title = titles.get(path) or path
    if record.kind == "run_started" and not body.get("undo"):
        yield Moment(
            body["accepted_at"], Actor.AWS, "event received and accepted", "event", "journal", reference
        )
    if record.kind in _RUN:
        started = "undo" if body.get("undo") else "response"
        facts = {"started": started, "status": str(body.get("status", ""))}
        what = _RUN[record.kind].format(**facts)
        yield Moment(record.at, Actor.RUNNER, what, record.kind, "journal", reference)
    elif record.kind in _PEOPLE:
        facts = {
            "who": str((body.get("by") or {}).get("id") or "somebody"), "path": title,
            "message": str(body.get("message", "")), "reason": str(body.get("reason", "")),
        }  # fmt: skip
        text = _PEOPLE[record.kind].format(**facts)
        good = record.kind != "approval_denied"
        yield Moment(record.at, Actor.PEOPLE, text, record.kind, "journal", reference, path, good)
    elif record.kind == "timer_fired" and body.get("purpose") == "approval":
        yield Moment(
            record.at, Actor.PEOPLE, f"nobody answered: {title}", record.kind, "journal", reference, path,
            good=False,
        )  # fmt: skip
    elif record.kind in ("step_verified", "step_failed", "undo_outcome"):
        yield _of_step(record, title, reference)


def _of_step(record: Record, title: str, reference: str) -> Moment:
    body = record.body
    outcome = str(body.get("outcome", "failed"))
    good = outcome in ("applied", "already_done")
    if body.get("held"):
        return Moment(
            record.at, Actor.RUNNER, f"held: {title} ({body.get('reason')})", record.kind, "journal",
            reference, record.path,
        )  # fmt: skip
    if record.kind == "undo_outcome":
        what = (
            f"taken back: {title}" if good else f"not taken back: {title} ({body.get('reason') or outcome})"
        )
    elif good:
        what = title if outcome == "applied" else f"{title} (was so already)"
    else:
        error = body.get("error") or {}
        what = f"{title}: {outcome} ({error.get('message') or body.get('reason') or 'no reason given'})"
    return Moment(record.at, Actor.RUNNER, what, record.kind, "journal", reference, record.path, good)


def _of_trail(record: Record) -> Iterator[Moment]:
    """Yield what a step has read in CloudTrail about the principal."""
    if record.kind != "step_verified":
        return
    outputs = record.body.get("outputs")
    events = outputs.get("events") if isinstance(outputs, Mapping) else None
    for event in events if isinstance(events, list) else ():
        if isinstance(event, Mapping) and event.get("event_time") and event.get("event_name"):
            yield Moment(
                _instant(str(event["event_time"])), Actor.ATTACKER,
                f"{event['event_name']} by {event.get('principal') or 'the principal'}", "cloudtrail_event",
                "cloudtrail", str(event.get("event_id", "")),
            )  # fmt: skip
