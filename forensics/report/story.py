"""The story of an incident for people: what the attacker, AWS, the runner and people did, curated.

Every event of everybody is in :mod:`forensics.timeline`, which tools read. Here, calls of the attacker that
repeat are one line, and of a step there is its end alone. What the attacker did is known by the finding and
by CloudTrail files of evidence, and says where from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from forensics.timeline import ATTACKER
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
_SEEN: Final[Mapping[str, str]] = {"First Seen": "first seen", "Last Seen": "last seen"}
_RUN: Final[Mapping[str, str]] = {
    "run_started": "{started} started",
    "run_finished": "ended: {status}",
    "run_resumed": "resumed",
    "run_parked": "parked: waiting",
}


def story(
    finding: Finding | None,
    runs: Iterable[tuple[Sequence[Record], Mapping[str, str]]],
    events: Sequence[Mapping[str, Any]],
) -> list[Moment]:
    """Return what happened, in the order of time.

    Args:
        finding: What started it, if a finding did.
        runs: Journal and step titles (by path) of the run and of its undos.
        events: Of the timeline: when it was seen, and what the attacker did by CloudTrail.
    """
    moments = [*(_of_finding(finding, events) if finding else ()), *_of_trails(events)]
    for records, titles in runs:
        moments.extend(_of_journal(records, titles))
    return sorted(moments, key=lambda moment: (moment.at, moment.reference))


def _of_finding(finding: Finding, events: Sequence[Mapping[str, Any]]) -> Iterator[Moment]:
    """Yield what the finding says about times: seen by its own words, else when it was made."""
    what = finding.title or finding.type
    seen: dict[str, str] = {}
    for event in events:
        if event.get("finding_id") == finding.id and event["timestamp_desc"] in _SEEN:
            seen.setdefault(event["datetime"], _SEEN[event["timestamp_desc"]])
    for at, word in seen.items():
        often = f", {finding.count} times in all" if word == "last seen" else ""
        yield Moment(at, Actor.ATTACKER, f"{word}: {what}{often}", "finding", "finding", finding.id)
    if finding.created_at:
        yield Moment(
            _instant(finding.created_at), Actor.AWS, f"finding made: {finding.type}", "finding", "finding",
            finding.id,
        )  # fmt: skip


def _instant(value: datetime | str) -> str:
    return iso(value) if isinstance(value, datetime) else iso(parse_iso(value))


def _of_journal(records: Sequence[Record], titles: Mapping[str, str]) -> Iterator[Moment]:
    for record in records:
        reference = f"{record.run_id}/{record.seq}"
        yield from _of_record(record, titles, reference)


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


def _of_trails(events: Iterable[Mapping[str, Any]]) -> Iterator[Moment]:
    """Yield the attacker's calls by CloudTrail; the same call again and again is one moment."""
    calls: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        if event["actor"] == ATTACKER and "file" in event:
            error = f", refused: {event['error']}" if event.get("error") else ""
            calls.setdefault(f"{event['message']}{error}", []).append(event)
    for what, found in calls.items():
        found.sort(key=lambda event: str(event["datetime"]))
        first, last = found[0], found[-1]
        often = f" ({len(found):,} times until {last['datetime'][:19]}Z)" if len(found) > 1 else ""
        yield Moment(
            first["datetime"], Actor.ATTACKER, f"{what}{often}", "cloudtrail_event", "cloudtrail",
            str(first.get("request_id") or first["file"]),
        )  # fmt: skip
