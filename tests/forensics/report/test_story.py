"""The story for people, and evidence as the ledger has it."""

from __future__ import annotations

from forensics.projection import project
from forensics.report.cli import Report
from forensics.report.evidence import COMPLETED, evidence_of, told
from forensics.report.story import story
from tests.forensics.conftest import MEMBER, Office
from tests.forensics.report.conftest import Facts
from tests.forensics.test_timeline import built, event

ATTACKER = {"accessKeyId": "AKIAATTACKER00000000", "arn": "arn:aws:iam::1:user/x"}


def test_what_the_attacker_did_is_told_once() -> None:
    """The same call a thousand times is one line with its count; calls of others are not told."""
    calls = [
        event("GetObject", f"2026-01-01T00:01:0{second}Z", userIdentity=ATTACKER) for second in (3, 1, 2)
    ]
    refused = event("PutObject", errorCode="AccessDenied", userIdentity=ATTACKER)

    moments = story(None, [], built(*calls, refused, event("ListBuckets")).events)

    assert [(moment.at[14:19], moment.what) for moment in moments] == [
        ("01:00", "s3:PutObject by arn:aws:iam::1:user/x, refused: AccessDenied"),
        ("01:01", "s3:GetObject by arn:aws:iam::1:user/x (3 times until 2026-01-01T00:01:03Z)"),
    ]
    assert {(moment.actor, moment.source) for moment in moments} == {("attacker", "cloudtrail")}


def test_cloudtrail_files_of_the_vault_are_read(whole_report: Report) -> None:
    """A trail in the vault is in the timeline; a seal of the ledger there is not taken for one."""
    trails = [event["file"] for event in whole_report.timeline.events if "file" in event]

    assert trails == ["trail.json"]


def test_first_seen_is_when_it_was_seen(whole: Facts) -> None:
    """Not when the finding was made: minutes lie between, in which the attacker was there already."""
    moments = {moment["what"].partition(":")[0]: moment for moment in whole["timeline"]}

    assert moments["first seen"]["at"] < moments["finding made"]["at"]
    assert moments["finding made"]["actor"] == "aws"


def test_evidence_is_what_the_ledger_has(office: Office) -> None:
    """Each entry of the run is an item, and each item an entry; completion is told with its snapshot."""
    run_id = office.whole_run()
    records = office.store.records(run_id)
    entries = [entry for entry in project(records, ended=True) if not entry.entry_id.endswith("/journal")]
    completed = {entry.entry_id for entry in entries if entry.body["item"]["kind"] == COMPLETED}

    items = evidence_of(records)

    assert [item["entry"] for item in items] == [e.entry_id for e in entries if e.entry_id not in completed]
    assert {item["entry"] for item in items} <= office.custody.keep(run_id).chain.ids
    assert any(item["origin"] and item["where"] for item in items)


def test_the_summary_counts_evidence_by_kind_and_place() -> None:
    """How much of what, how much of it away from the attacker, and what failed."""
    here = {"attempt": False, "kind": "disk-snapshot", "account_id": MEMBER}
    there = {**here, "account_id": "444455556666"}

    assert list(told([here, there, {**here, "attempt": True}], MEMBER)) == [
        "2 items of evidence are in custody: disk-snapshot (2). 1 of them is in the forensic account.",
        "1 attempt to secure evidence failed.",
    ]
    assert list(told([], MEMBER)) == ["No evidence was secured by this run."]
