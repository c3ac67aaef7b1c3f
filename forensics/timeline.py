"""One timeline of attacker, responder and AWS: the finding, the journals, and CloudTrail files of the vault.

JSON Lines for Timesketch (``message``, ``datetime``, ``timestamp_desc`` and more), and CSV that no
spreadsheet takes for formulas. An event is the *attacker's* where the finding says so (its principal, key or
address), the *responder's* where the journal knows its request id, and *AWS's* otherwise: never by what a
user agent says.

Sources: Timesketch documentation, "Import Timeline"; CloudTrail user guide, "CloudTrail record contents".
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from irrunner.cli.output import plain
from irrunner.cli.records import describe
from irrunner.clock import iso, parse_iso
from irrunner.journal.records import Record, canonical, digest

ATTACKER: Final = "attacker"
RESPONDER: Final = "responder"
AWS: Final = "aws"
LARGEST_BYTES: Final = 64 << 20
"""Of one CloudTrail file, unpacked."""
LINES: Final = ".jsonl"
"""A file of one event a line, as ``aws.cloudtrail.export-events`` writes it."""
DEEPEST: Final = 6
MOST_TIMES: Final = 200
COLUMNS: Final = (
    "datetime", "timestamp_desc", "actor", "message", "account_id", "region", "principal", "access_key_id",
    "source_ip", "operation", "request_id", "error", "run_id", "step", "record", "file",
)  # fmt: skip
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
FINDING_TIMES: Final[Mapping[str, tuple[str, str]]] = {
    "eventFirstSeen": (ATTACKER, "First Seen"), "eventLastSeen": (ATTACKER, "Last Seen"),
    "firstSeen": (ATTACKER, "First Seen"), "lastSeen": (ATTACKER, "Last Seen"),
    "FirstObservedAt": (ATTACKER, "First Seen"), "LastObservedAt": (ATTACKER, "Last Seen"),
    "createdAt": (AWS, "Finding Created"), "updatedAt": (AWS, "Finding Updated"),
    "CreatedAt": (AWS, "Finding Created"), "UpdatedAt": (AWS, "Finding Updated"),
}  # fmt: skip
UNREADABLE: Final = (ValueError, OSError, EOFError, zlib.error, RecursionError)
SUSPECT_FIELDS: Final = ("access_key_id", "principal_id", "arn")

Event = Mapping[str, Any]


@dataclass(slots=True)
class Timeline:
    """Events of one incident, and what could not be read."""

    events: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def sorted(self) -> list[dict[str, Any]]:
        """Return the events in the order of time; what happens at one instant, in a fixed order."""
        return sorted(self.events, key=lambda event: (event["datetime"], canonical(event)))

    def add(self, at: object, what: str, actor: str, message: str, **more: object) -> None:
        """Add an event; one without a time that can be read is a warning."""
        try:
            moment = iso(parse_iso(str(at)))
        except (ValueError, OverflowError):
            self.warnings.append(f"no time: {plain(message, 200)}")
            return
        known = {name: value for name, value in more.items() if value not in ("", None)}
        self.events.append(
            {
                "datetime": moment, "timestamp_desc": what, "actor": actor, "message": plain(message),
                "data_type": f"irrunner:{actor}", **known,
            }
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Suspects:
    """What tells the attacker's and the responder's calls apart."""

    attacker: frozenset[str]
    requests: frozenset[str]

    @classmethod
    def of(cls, journals: Mapping[str, Sequence[Record]]) -> Suspects:
        """Collect them from the findings and the calls of the journals."""
        attacker: set[str] = set()
        requests: set[str] = set()
        for records in journals.values():
            finding = records[0].body.get("finding") or {}
            for resource in (finding.get("resource") or {}, *(finding.get("resources") or ())):
                attacker.update(str(resource.get(name) or "") for name in SUSPECT_FIELDS)
            attacker.add(str(finding.get("remote_ip") or ""))
            for record in records:
                requests.update(str(call.get("request_id") or "") for call in record.body.get("calls") or ())
        return cls(frozenset(attacker - {""}), frozenset(requests - {""}))

    def actor(self, event: Event) -> str:
        """Return whose a CloudTrail event is."""
        if event.get("requestID") in self.requests:
            return RESPONDER
        identity = event.get("userIdentity") or {}
        seen = {identity.get(name) for name in ("arn", "accessKeyId", "principalId")} | {
            event.get("sourceIPAddress")
        }
        return ATTACKER if seen & self.attacker else AWS


def timeline_of(journals: Mapping[str, Sequence[Record]], files: Mapping[str, BinaryIO]) -> Timeline:
    """Return the timeline of an incident.

    Args:
        journals: Run id to verified journal.
        files: CloudTrail files by name, open for reading: a trail's (``{"Records": [...]}``), or one event a
            line (``.jsonl``).
    """
    timeline, suspects = Timeline(), Suspects.of(journals)
    told: set[str] = set()
    for run_id, records in journals.items():
        finding = records[0].body.get("finding") or {}
        if finding and finding.get("event_key") not in told:
            told.add(str(finding.get("event_key")))
            _add_finding(timeline, finding, records[0].body.get("event"))
        for record in records:
            _add_record(timeline, run_id, record)
    seen: set[str] = set()
    for name, stream in files.items():
        _add_trail(timeline, suspects, name, stream, seen)
    return timeline


def _add_finding(timeline: Timeline, finding: Event, event: object) -> None:
    where = {"account_id": finding.get("account_id"), "region": finding.get("region")}
    message = f"{finding.get('type')}: {finding.get('title') or finding.get('description')}"
    more = {**where, "source_ip": finding.get("remote_ip"), "finding_id": finding.get("id")}
    for name, at in sorted(set(_times(event, DEEPEST)))[:MOST_TIMES]:
        actor, what = FINDING_TIMES[name]
        timeline.add(at, what, actor, message, **more)


def _times(value: object, depth: int) -> Iterator[tuple[str, str]]:
    if not depth:
        return
    children = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    if isinstance(value, Mapping):
        yield from ((name, str(value[name])) for name in FINDING_TIMES if isinstance(value.get(name), str))
    for child in children:
        yield from _times(child, depth - 1)


def _add_record(timeline: Timeline, run_id: str, record: Record) -> None:
    body = record.body
    place = {"run_id": run_id, "step": record.path, "record": record.seq}
    timeline.add(record.at, record.kind, RESPONDER, f"{record.path} {_described(record)}".strip(), **place)
    for call in body.get("calls") or ():
        if isinstance(call, Mapping) and call.get("at"):
            timeline.add(
                call["at"], "API Call", RESPONDER, f"{call.get('operation')} {call.get('target')}",
                operation=call.get("operation"), request_id=call.get("request_id"), error=call.get("error"),
                **place,
            )  # fmt: skip


def _described(record: Record) -> str:
    try:
        return describe(record.kind, record.body)
    except (KeyError, TypeError, AttributeError):
        return record.kind


def is_trail(name: str) -> bool:
    """Return whether a file of the vault may be of CloudTrail."""
    return name.removesuffix(".gz").endswith((".json", LINES))


def _add_trail(timeline: Timeline, suspects: Suspects, name: str, stream: BinaryIO, told: set[str]) -> None:
    try:
        data = _unpacked(name, stream)
        events = _lines(timeline, name, data) if name.removesuffix(".gz").endswith(LINES) else _records(data)
    except UNREADABLE as problem:
        timeline.warnings.append(f"{name}: not read: {type(problem).__name__}")
        return
    for event in events:
        if isinstance(event, Mapping) and event.get("eventName"):
            same = digest(json.dumps(event, sort_keys=True))
            if same not in told:  # files overlap: a trail's, an export by key, one by user
                told.add(same)
                _add_event(timeline, suspects, name, event)


def _records(data: bytes) -> list[Any]:
    """Return the events of a file that a trail delivered; other documents have none."""
    document = json.loads(data)
    events = document.get("Records") if isinstance(document, Mapping) else None
    return events if isinstance(events, list) else []


def _lines(timeline: Timeline, name: str, data: bytes) -> list[Any]:
    """Return the events of a file of lines; a line that cannot be read costs no other one."""
    events, unread = [], 0
    for line in data.splitlines():
        try:
            events.append(json.loads(line) if line.strip() else None)
        except UNREADABLE:
            unread += 1
    if unread:
        timeline.warnings.append(f"{name}: {unread} lines not read")
    return events


def _unpacked(name: str, stream: BinaryIO) -> bytes:
    if name.endswith(".gz"):
        with gzip.open(stream) as unpacked:
            data = unpacked.read(LARGEST_BYTES + 1)
    else:
        data = stream.read(LARGEST_BYTES + 1)
    if len(data) > LARGEST_BYTES:
        raise ValueError("too large")
    return data


def _add_event(timeline: Timeline, suspects: Suspects, name: str, event: Event) -> None:
    identity = event.get("userIdentity")
    identity = identity if isinstance(identity, Mapping) else {}
    service = str(event.get("eventSource") or "").partition(".")[0]
    operation = f"{service}:{event['eventName']}"
    principal = str(identity.get("arn") or identity.get("invokedBy") or identity.get("type") or "")
    try:
        actor = suspects.actor({**event, "userIdentity": identity})
    except TypeError:  # an unhashable value where a text is wanted
        actor = AWS
    timeline.add(
        event.get("eventTime"), "CloudTrail Event", actor, f"{operation} by {principal}",
        account_id=_text(event.get("recipientAccountId")), region=_text(event.get("awsRegion")),
        principal=_text(principal), access_key_id=_text(identity.get("accessKeyId")),
        source_ip=_text(event.get("sourceIPAddress")), operation=_text(operation),
        request_id=_text(event.get("requestID")), error=_text(event.get("errorCode")), file=name,
    )  # fmt: skip


def _text(value: object) -> str:
    return plain(value, 1_000) if value is not None else ""


def as_json_lines(timeline: Timeline) -> str:
    """Return the timeline as JSON Lines for Timesketch."""
    return "".join(f"{canonical(event)}\n" for event in timeline.sorted())


def as_csv(timeline: Timeline) -> str:
    """Return the timeline as CSV; a cell that a spreadsheet would compute begins with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(event.get(name, "")) for name in COLUMNS] for event in timeline.sorted())
    return text.getvalue()


def _cell(value: object) -> str:
    text = plain(value)
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text
