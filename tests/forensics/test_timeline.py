"""One timeline: whose each event is, in a form that tools take and that computes nothing."""

from __future__ import annotations

import csv
import gzip
import io
import json
from typing import Any

import pytest

from forensics import timeline as module
from forensics.timeline import Timeline, as_csv, as_json_lines, is_trail, timeline_of
from forensics.vault import LocalVault
from irrunner.journal.records import Record
from tests.forensics.conftest import Office

FINDING = {
    "type": "UnauthorizedAccess:IAMUser/X", "title": "Somebody", "account_id": "111122223333",
    "region": "eu-central-1", "remote_ip": "198.51.100.7", "event_key": "k", "id": "f",
    "resource": {"access_key_id": "AKIAATTACKER00000000", "principal_id": "", "arn": ""}, "resources": [],
}  # fmt: skip
RAW = {
    "detail": {
        "createdAt": "2026-01-01T00:10:00Z", "updatedAt": "2026-01-01T00:10:00Z",
        "service": {"eventFirstSeen": "2026-01-01T00:00:00Z", "eventLastSeen": "2026-01-01T00:05:00Z"},
    }
}  # fmt: skip


def event(name: str, at: str = "2026-01-01T00:01:00Z", **more: Any) -> dict[str, Any]:
    """Return a CloudTrail event."""
    return {
        "eventName": name, "eventSource": "s3.amazonaws.com", "eventTime": at, "awsRegion": "eu-central-1",
        "userIdentity": {"arn": "arn:aws:iam::1:user/x"}, "sourceIPAddress": "203.0.113.9", **more,
    }  # fmt: skip


def journal() -> dict[str, list[Record]]:
    """Return a journal with one call."""
    call = {
        "operation": "iam:UpdateAccessKey", "target": "AKIA", "at": "2026-01-01T00:20:01.000Z",
        "request_id": "ours", "error": "",
    }  # fmt: skip
    first = Record(
        "r", 0, "2026-01-01T00:20:00.000Z", "run_started", "", {"finding": FINDING, "event": RAW}, "", ""
    )
    outcome = {"outcome": "applied", "calls": [call], "reason": ""}
    second = Record("r", 1, "2026-01-01T00:20:02.000Z", "step_outcome", "key", outcome, "", "")
    return {"r": [first, second]}


def built(*events: Any, name: str = "trail.json") -> Timeline:
    """Return the timeline of the journal and one CloudTrail file."""
    data = json.dumps({"Records": list(events)}).encode()
    stream = io.BytesIO(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    return timeline_of(journal(), {name: stream})


def actors(timeline: Timeline) -> dict[str, str]:
    """Return the actor of each CloudTrail event."""
    found = [each for each in timeline.events if each["timestamp_desc"] == "CloudTrail Event"]
    return {each["operation"]: each["actor"] for each in found}


def test_finding_journal_and_trail_are_in_one_order() -> None:
    """From the attacker's first step to the responder's answer."""
    timeline = built(event("GetObject", sourceIPAddress="198.51.100.7"))

    assert [(each["datetime"][14:19], each["actor"]) for each in timeline.sorted()] == [
        ("00:00", "attacker"), ("01:00", "attacker"), ("05:00", "attacker"),
        ("10:00", "aws"), ("10:00", "aws"),
        ("20:00", "responder"), ("20:01", "responder"), ("20:02", "responder"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["trail.json", "trail.json.gz"])
def test_whose_an_event_is_comes_from_finding_and_journal(name: str) -> None:
    """A user agent proves nothing: an attacker may call themselves irrunner."""
    timeline = built(
        event("A", userIdentity={"accessKeyId": "AKIAATTACKER00000000"}),
        event("B", requestID="ours", sourceIPAddress="198.51.100.7"),
        event("C", userAgent="irrunner/0.1.0 run/r"),
        name=name,
    )

    assert actors(timeline) == {"s3:A": "attacker", "s3:B": "responder", "s3:C": "aws"}


def test_every_line_has_what_timesketch_wants() -> None:
    """``message``, ``datetime`` in ISO 8601 and ``timestamp_desc`` on each line, one document a line."""
    lines = [json.loads(line) for line in as_json_lines(built(event("A\nB"))).splitlines()]

    assert all({"message", "datetime", "timestamp_desc"} <= set(line) for line in lines)
    assert len(lines) == 8


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "  ="])
def test_no_cell_is_a_formula(start: str) -> None:
    """A principal may be named ``=HYPERLINK(...)``: a spreadsheet must show it, not compute it."""
    text = as_csv(
        built(event("A", userIdentity={"arn": f"{start}cmd|'/c calc'!A1"}, requestID=f"{start}1+1"))
    )

    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]

    assert any("cmd|" in cell for cell in cells)
    assert [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@"))] == []


@pytest.mark.parametrize(
    "records",
    [
        [None, 7, "x", {}, {"eventName": "A"}], [{"eventName": "A", "eventTime": 7}],
        [{"eventName": {"x": 1}, "eventTime": "2026-01-01T00:00:00Z", "userIdentity": "root"}],
        [{"eventName": "A", "eventTime": "2026-01-01T00:00:00Z", "requestID": ["x"]}],
        [{"eventName": "A", "eventTime": "9999-12-31T23:59:59-23:59"}], {"eventName": "A"},
    ],
)  # fmt: skip
def test_odd_events_are_no_crash(records: Any) -> None:
    """Files come from accounts that an attacker held."""
    timeline = timeline_of(journal(), {"t.json": io.BytesIO(json.dumps({"Records": records}).encode())})

    assert len(as_csv(timeline).splitlines()) >= 8


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.json", b"\xff"), ("t.json", b"[" * 100_000), ("t.json.gz", b"no gzip"), ("t.json", b""),
        ("t.json.gz", gzip.compress(b"x" * 5_000, mtime=0)),
        ("t.json.gz", gzip.compress(b"{}", mtime=0)[:-4]),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_a_warning(
    name: str, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that unpacks to more than any CloudTrail file."""
    monkeypatch.setattr(module, "LARGEST_BYTES", 1_000)

    timeline = timeline_of(journal(), {name: io.BytesIO(data)})

    assert [warning.startswith(f"{name}: not read") for warning in timeline.warnings] == [True]


@pytest.mark.parametrize("name", ["r/export/cloudtrail-events.jsonl", "r/export/events.jsonl.gz"])
def test_an_export_of_one_event_a_line_is_read(name: str) -> None:
    """``aws.cloudtrail.export-events`` writes lines; one that cannot be read costs no other one."""
    lines = [
        json.dumps(event("A", sourceIPAddress="198.51.100.7")).encode(), b"", b"\xff", b"[" * 100_000, b"7",
        json.dumps(event("B", requestID="ours")).encode(), b'{"unreadable": "x"}',
    ]  # fmt: skip
    data = b"\r\n".join(lines)
    stream = io.BytesIO(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)

    timeline = timeline_of(journal(), {name: stream})

    assert is_trail(name)
    assert actors(timeline) == {"s3:A": "attacker", "s3:B": "responder"}
    assert timeline.warnings == [f"{name}: 2 lines not read"]


def test_an_event_of_two_files_is_told_once() -> None:
    """A trail's file and exports by key and by user overlap; events that differ at all are both told."""
    same, other = event("A"), event("A", at="2026-01-01T00:01:01Z")
    trail = json.dumps({"Records": [same]}).encode()
    export = f"{json.dumps(same, indent=None)}\n{json.dumps(other)}\n".encode()

    timeline = timeline_of(journal(), {"t.json": io.BytesIO(trail), "e.jsonl": io.BytesIO(export)})

    found = [each for each in timeline.events if each["timestamp_desc"] == "CloudTrail Event"]
    assert [each["file"] for each in found] == ["t.json", "e.jsonl"]


def test_a_bundle_has_the_timeline(office: Office) -> None:
    """Both forms, under the signature like every file."""
    run_id = office.whole_run()
    trail = json.dumps({"Records": [event("GetObject")]}).encode()
    LocalVault(office.custody.directory / "vault").put("inc-1", "cloudtrail/1.json", trail)

    out = office.export(run_id, "b")

    assert "s3:GetObject by arn:aws:iam::1:user/x" in (out / "timeline.csv").read_text()
    assert json.loads((out / "timeline.jsonl").read_text().splitlines()[-1])["file"] == "cloudtrail/1.json"
