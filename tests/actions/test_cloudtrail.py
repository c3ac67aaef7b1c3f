"""Trails: whose they are, what is compared, and what an answer may lack."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.cloudtrail.describe_trails import DescribeTrails, DescribeTrailsParams
from irrunner.actions.cloudtrail.restore_trail import RestoreTrail, RestoreTrailParams, RestoreTrailState
from irrunner.actions.cloudtrail.start_logging import StartLogging, StartLoggingState
from irrunner.actions.cloudtrail.trails import OneTrail, Status, Trail, canonical_selectors, trail_of
from irrunner.actions.contract import Act, Refused, Settled
from irrunner.errors import ActionDenied, InvalidCall, TargetNotFound
from irrunner.testing import FakeApi

ACCOUNT = "123456789012"
ARN = f"arn:aws:cloudtrail:eu-central-1:{ACCOUNT}:trail/audit"
RAW = {"Name": "audit", "TrailARN": ARN, "S3BucketName": "acme-audit"}
STOPPED = Status(
    logging=False, stopped_at="2026-01-02T00:00:00Z", started_at="", delivered_at="", delivery_error=""
)
PARAMS = OneTrail(trail=ARN)


def started(trail: Trail, status: Status) -> StartLoggingState:
    """Return a state."""
    return StartLoggingState(account_id=ACCOUNT, trail=trail, status=status)


def restoring(**changes: Any) -> RestoreTrailState:
    """Return the state of a trail with default selectors."""
    trail = trail_of(RAW).model_copy(update=changes)
    return RestoreTrailState(account_id=ACCOUNT, trail=trail, selectors=canonical_selectors([], []))


def test_a_trail_is_started_where_it_lives() -> None:
    """Another Region's API would refuse it."""
    trail = trail_of(RAW | {"HomeRegion": "us-west-2"})

    decision = StartLogging().decide(PARAMS, started(trail, STOPPED))

    assert isinstance(decision, Act)
    assert decision.calls[0].region == "us-west-2"


def test_the_organisations_trail_is_for_its_owner() -> None:
    """A member sees it and cannot change it; the refusal names account and ARN."""
    foreign = trail_of(RAW | {"TrailARN": ARN.replace(ACCOUNT, "444455556666"), "IsOrganizationTrail": True})

    for decision in (
        StartLogging().decide(PARAMS, started(foreign, STOPPED)),
        RestoreTrail().decide(
            RestoreTrailParams(trail=ARN, validation=True),
            RestoreTrailState(account_id=ACCOUNT, trail=foreign, selectors={}),
        ),
    ):
        assert isinstance(decision, Refused)
        assert "444455556666" in decision.reason


def test_the_organisations_trail_that_records_is_fine() -> None:
    """Nothing is to be changed, so nobody is refused."""
    foreign = trail_of(RAW | {"TrailARN": ARN.replace(ACCOUNT, "444455556666")})
    logging = STOPPED.model_copy(update={"logging": True})

    assert isinstance(StartLogging().decide(PARAMS, started(foreign, logging)), Settled)


def test_a_gap_and_a_bucket_that_takes_nothing_are_told() -> None:
    """Logging is true, and still nothing arrives: the warning says which bucket."""
    status = Status(
        logging=True, stopped_at="2026-01-02T00:00:00Z", started_at="2026-01-03T00:00:00Z",
        delivered_at="", delivery_error="NoSuchBucket",
    )  # fmt: skip

    decision = StartLogging().decide(PARAMS, started(trail_of(RAW), status))

    assert isinstance(decision, Settled)
    assert "recorded nothing from 2026-01-02" in decision.warnings[0]
    assert "acme-audit takes nothing" in decision.warnings[1]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"event_selectors": [], "advanced_event_selectors": []},
        {"advanced_event_selectors": [{"Name": "x"}]},
        {"config_item": {"name": "audit"}},
        {"config_item": {"s3BucketName": ["a"]}},
        {"kms_key_id": "alias/audit"},
    ],
)
def test_what_to_restore_is_said(given: dict[str, Any]) -> None:
    """An empty or odd history must not pass for a restored trail."""
    with pytest.raises(ValidationError):
        RestoreTrailParams.model_validate({"trail": ARN, **given})


@pytest.mark.parametrize("name", ["ab", "a..b", "-audit", "audit_", "arn:aws:s3:::audit", "a b c", "audit\n"])
def test_names_that_are_no_trail_are_refused(name: str) -> None:
    """The API's own rules for names, before anything is sent."""
    with pytest.raises(ValidationError):
        OneTrail(trail=name)


def test_only_what_differs_is_written() -> None:
    """Settings that are right, or not said, are left alone; Config's values yield to the given ones."""
    params = RestoreTrailParams(
        trail=ARN,
        validation=True,
        config_item={"s3BucketName": "acme-audit", "logFileValidationEnabled": False},
    )

    decision = RestoreTrail().decide(params, restoring())

    assert isinstance(decision, Act)
    assert [call.params for call in decision.calls] == [{"Name": ARN, "EnableLogFileValidation": True}]


def test_a_log_group_goes_with_its_role() -> None:
    """CloudTrail takes neither alone."""
    group = "arn:aws:logs:eu-central-1:123456789012:log-group:audit:*"
    params = RestoreTrailParams(trail=ARN, log_group_arn=group)

    decision = RestoreTrail().decide(params, restoring(log_role_arn="arn:aws:iam::123456789012:role/logs"))

    assert isinstance(decision, Act)
    assert set(decision.calls[0].params) == {"Name", "CloudWatchLogsLogGroupArn", "CloudWatchLogsRoleArn"}


def test_default_selectors_in_any_spelling_are_the_same() -> None:
    """AWS fills in what was left out."""
    assert canonical_selectors([{"ReadWriteType": "All"}], []) == canonical_selectors([], [])


def test_a_trail_that_does_not_exist_is_not_found(driver: Any) -> None:
    """DescribeTrails answers an empty list, not an error."""
    api = FakeApi({"cloudtrail:DescribeTrails": lambda **_: {"trailList": []}})

    with pytest.raises(TargetNotFound):
        StartLogging().look(driver.context(api), PARAMS)


def test_a_name_of_two_trails_is_none(driver: Any) -> None:
    """An own trail and the organisation's may be named alike: which is meant is not guessed."""
    other = RAW | {"TrailARN": ARN.replace(ACCOUNT, "444455556666")}
    api = FakeApi({"cloudtrail:DescribeTrails": lambda **_: {"trailList": [RAW, other]}})

    with pytest.raises(InvalidCall, match="names 2 trails"):
        StartLogging().look(driver.context(api), OneTrail(trail="audit"))


def test_what_a_member_may_not_read_is_unknown(driver: Any) -> None:
    """A denied selector costs a fact, not the description."""

    def denied(**_: Any) -> dict[str, Any]:
        raise ActionDenied("cloudtrail:GetEventSelectors")

    api = FakeApi(
        {
            "cloudtrail:DescribeTrails": lambda **_: {"trailList": [RAW | {"IsMultiRegionTrail": True}]},
            "cloudtrail:GetTrailStatus": lambda **_: {"IsLogging": True},
            "cloudtrail:GetEventSelectors": denied,
        }
    )
    action, params = DescribeTrails(), DescribeTrailsParams()

    decision = action.decide(params, action.look(driver.context(api), params))

    assert isinstance(decision, Settled)
    assert not decision.outputs.covered  # type: ignore[attr-defined]
    assert "not all could be read" in decision.warnings[0]
