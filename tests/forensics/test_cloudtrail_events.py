"""CloudTrail events as a file: every page, as recorded, bounded, and honest about what is left out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from forensics.cloudtrail_events import ExportEvents, ExportEventsParams
from forensics.evidence_files import FileSeen, FilesState
from irrunner.actions.contract import Act, LookContext, Refused, Settled, Where
from irrunner.clock import iso
from irrunner.errors import ActionDenied, ActionThrottled, TargetNotFound
from irrunner.settings import Settings
from irrunner.testing import EPOCH, FakeApi

ACTION = ExportEvents()
KEY = "AKIAIOSFODNN7EXAMPLE"


def event(number: int) -> dict[str, Any]:
    """An event, newest first."""
    recorded = json.dumps({"eventID": str(number), "eventName": "GetObject", "note": "line\nbreak"})
    return {
        "EventId": str(number), "EventTime": EPOCH - timedelta(minutes=number), "CloudTrailEvent": recorded
    }  # fmt: skip


class Trail:
    """LookupEvents of some events, in pages."""

    def __init__(self, count: int, page: int = 50) -> None:
        self.events = [event(number) for number in range(count)]
        self.page = page
        self.asked: list[dict[str, Any]] = []

    def lookup(self, **asked: Any) -> Mapping[str, Any]:
        """Answer a page."""
        self.asked.append(asked)
        start = int(asked.get("NextToken") or 0)
        more = {"NextToken": str(start + self.page)} if start + self.page < len(self.events) else {}
        return {"Events": self.events[start : start + self.page], **more}


def nothing_stored(**_: Any) -> Mapping[str, Any]:
    """S3 without the object."""
    raise TargetNotFound("404")


def context(lookup: Any, head: Any = nothing_stored) -> LookContext:
    """What a look may use."""
    where = Where("aws", "1" * 12, "eu-central-1", "2" * 12, "eu-central-1", None, evidence_bucket="evidence")
    return LookContext(
        api=FakeApi({"cloudtrail:LookupEvents": lookup}), forensics=FakeApi({"s3:HeadObject": head}),
        where=where,
        now=EPOCH, started=EPOCH, run_id="r", marker="r/export", drill=False, settings=Settings(),
    )  # fmt: skip


def params(**more: Any) -> ExportEventsParams:
    """Parameters."""
    return ExportEventsParams(**{"access_key_id": KEY} | more)


def look(trail: Trail, **more: Any) -> FilesState:
    """Look."""
    return ACTION.look(context(trail.lookup), params(**more))


def body(state: FilesState) -> list[dict[str, Any]]:
    """Return the events of the file that would be stored."""
    (call,) = state.calls
    return [json.loads(line) for line in call.params["Body"].decode().splitlines()]


def test_every_page_is_read_and_each_event_is_one_line() -> None:
    """As CloudTrail recorded them, line breaks escaped."""
    state = look(Trail(120))
    assert [item["eventID"] for item in body(state)] == [str(number) for number in range(120)]
    assert state.files[0].facts["events"] == "120"
    assert state.files[0].facts["complete"] == "true"


def test_the_bound_keeps_the_newest_and_says_so() -> None:
    """A noisy key must not fill the bucket, nor pass for complete."""
    trail = Trail(120)
    state = look(trail, most_events=60)
    assert len(body(state)) == 60
    assert len(trail.asked) == 2
    file = state.files[0].model_copy(update={"location": "s3://evidence/x"})
    stored = FilesState(bucket=state.bucket, files=(file,))
    decision = ACTION.decide(params(most_events=60), stored)
    assert isinstance(decision, Settled)
    assert decision.outputs.complete is False  # type: ignore[attr-defined]
    assert any("newest 60 events only" in warning for warning in decision.warnings)


def test_a_page_that_comes_twice_counts_once() -> None:
    """LookupEvents may repeat events between pages."""
    trail = Trail(10, page=5)
    trail.events[5] = trail.events[4]
    assert look(trail).files[0].facts["events"] == "9"


def test_the_window_is_around_the_incident_and_ends_now() -> None:
    """Instants of the future are not asked for."""
    trail = Trail(1)
    look(trail, around=iso(EPOCH - timedelta(hours=3)), hours_before=2, hours_after=10)
    assert trail.asked[0]["StartTime"] == EPOCH - timedelta(hours=5)
    assert trail.asked[0]["EndTime"] == EPOCH
    assert trail.asked[0]["LookupAttributes"] == [{"AttributeKey": "AccessKeyId", "AttributeValue": KEY}]


def test_what_cannot_be_read_is_kept_as_it_is() -> None:
    """An event whose JSON is broken is evidence too."""
    trail = Trail(1)
    trail.events[0]["CloudTrailEvent"] = "{broken"
    assert body(look(trail)) == [{"unreadable": "{broken"}]


def test_no_events_are_an_empty_file() -> None:
    """That nothing was recorded is a fact worth storing."""
    state = look(Trail(0))
    assert body(state) == []
    assert isinstance(ACTION.decide(params(), state), Act)


def test_a_denied_lookup_is_named() -> None:
    """The file is missing, with AWS's reason; a throttle is tried again instead."""

    def denied(**_: Any) -> Mapping[str, Any]:
        raise ActionDenied("not allowed")

    def throttled(**_: Any) -> Mapping[str, Any]:
        raise ActionThrottled("slow down")

    state = ACTION.look(context(denied), params())
    assert state.files == (
        FileSeen(
            name="cloudtrail-events.jsonl", path="irrunner/r/export/cloudtrail-events.jsonl",
            missing="action-denied: not allowed",
        ),
    )  # fmt: skip
    with pytest.raises(ActionThrottled):
        ACTION.look(context(throttled), params())


def test_what_is_stored_is_not_looked_up_again() -> None:
    """Taken up after a crash: the first reading stays, and its facts come back from the object."""
    facts = {"sha256": "ab", "events": "7", "complete": "true", "oldest": "o", "newest": "n"}

    def head(**_: Any) -> Mapping[str, Any]:
        return {"ContentLength": 12, "Metadata": facts}

    trail = Trail(5)
    decision = ACTION.decide(params(), ACTION.look(context(trail.lookup, head), params()))
    assert trail.asked == []
    assert isinstance(decision, Settled)
    assert decision.outputs.model_dump()["events"] == 7


@pytest.mark.parametrize(
    "values",
    [
        {"access_key_id": None},
        {"user_name": "alice"},
        {"around": "yesterday"},
        {"around": "2026-01-01T00:00:00"},
        {"most_events": 0},
        {"hours_before": 9999},
    ],
)
def test_bad_parameters_are_refused(values: dict[str, Any]) -> None:
    """Nothing to look up, two things at once, times without meaning."""
    with pytest.raises(ValidationError):
        params(**values)


def test_without_a_forensic_account_the_refusal_names_the_setting() -> None:
    """Exit code 3 and what to do."""
    decision = ACTION.decide(params(), FilesState(bucket=None))
    assert isinstance(decision, Refused)
    assert decision.code == "forensics-not-configured"
