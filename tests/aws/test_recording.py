"""Recording: each call is told once, without its parameters."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from irrunner.aws.recording import CallRecord, RecordingApi, params_digest
from irrunner.errors import ActionDenied, OutcomeUnknown
from irrunner.testing import FakeApi, ManualClock


def recorded(answers: dict[str, object]) -> tuple[RecordingApi, list[CallRecord]]:
    """Return a recording API and its sink; an exception among the answers is raised."""

    def reply(found: object) -> dict[str, object]:
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[return-value]

    fake = FakeApi({name: lambda found=found, **_: reply(found) for name, found in answers.items()})
    records: list[CallRecord] = []
    place = {"account_id": "333333333333", "region": "us-east-1"}
    return RecordingApi(fake, records.append, ManualClock(), **place), records


def test_success_is_recorded_with_its_request_id() -> None:
    """Operation, digest, request id and times, and no parameter."""
    api, records = recorded({"ec2:CreateTags": {"ResponseMetadata": {"RequestId": "req-1"}}})
    api.call("ec2:CreateTags", Resources=["i-secret"])
    (record,) = records
    assert record.mutating
    assert record.request_id == "req-1"
    assert record.params_sha256 == params_digest({"Resources": ["i-secret"]})
    assert "i-secret" not in json.dumps(record.as_dict())


def test_failure_is_recorded_with_awss_code() -> None:
    """A refused call is part of the trail too; where AWS did not answer, our own code stands."""
    denied = ActionDenied("no", aws_code="UnauthorizedOperation", request_id="req-2")
    api, records = recorded({"ec2:StopInstances": denied, "ec2:CreateTags": OutcomeUnknown("lost")})
    with pytest.raises(ActionDenied):
        api.call("ec2:StopInstances")
    with pytest.raises(OutcomeUnknown):
        api.call("ec2:CreateTags")
    assert [(record.error, record.request_id) for record in records] == [
        ("UnauthorizedOperation", "req-2"),
        ("outcome-unknown", ""),
    ]


def test_pages_in_another_region_are_one_record_there() -> None:
    """A paginated read is one line, under the Region it went to."""
    api, records = recorded({"ec2:DescribeVolumes": {"Volumes": [1]}})
    assert api.in_region("eu-west-1").pages("ec2:DescribeVolumes", "Volumes") == [1]
    assert [(record.region, record.mutating) for record in records] == [("eu-west-1", False)]


def test_digest_takes_times_and_bytes() -> None:
    """Botocore's parameters are not all JSON."""
    one = params_digest({"At": datetime(2026, 1, 1, tzinfo=UTC), "Body": b"x"})
    assert one == params_digest({"Body": b"x", "At": datetime(2026, 1, 1, tzinfo=UTC)})
