"""AWS Config: executions that count, and memories that are bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jmespath
import pytest
from pydantic import ValidationError

from irrunner.actions.config.resource_history import (
    CONFIGURATION_CHARACTERS,
    GetResourceHistory,
    ResourceHistoryParams,
)
from irrunner.actions.config.start_remediation import (
    Execution,
    StartRemediation,
    StartRemediationParams,
    StartRemediationState,
)
from irrunner.actions.contract import Act, Broken, Refused, Settled, Waiting
from irrunner.testing import FakeApi

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
ACTION = StartRemediation()
PARAMS = StartRemediationParams(
    config_rule_name="s3-public-read",
    resource_type="AWS::S3::Bucket",
    resource_ids=("a", "b", "a"),
    since=SINCE,
)
HISTORY = {"resource_type": "AWS::S3::Bucket", "resource_id": "acme-data"}


def seen(*states: str, document: str = "AWS-Close") -> StartRemediationState:
    """Return executions on the first resources."""
    executions = tuple(
        Execution(resource_id=name, state=state, began_at="", reason="step: denied")
        for name, state in zip("ab", states, strict=False)
    )
    return StartRemediationState(document=document, automatic=False, executions=executions)


def test_only_what_has_not_begun_is_started() -> None:
    """Half of them begun, by whomever: the other half is asked for, each once."""
    decision = ACTION.decide(PARAMS, seen("IN_PROGRESS"))

    assert isinstance(decision, Act)
    (call,) = decision.calls
    assert [key["resourceId"] for key in call.params["ResourceKeys"]] == ["b"]


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (seen("SUCCEEDED", "SUCCEEDED"), Settled),
        (seen("SUCCEEDED", "QUEUED"), Waiting),
        (seen("FAILED", "IN_PROGRESS"), Broken),
        (seen("SUCCEEDED", "SOMETHING_NEW"), Broken),
        (seen(document=""), Refused),
        (seen().model_copy(update={"ahead": True}), Refused),
    ],
)
def test_ends(state: StartRemediationState, kind: type) -> None:
    """All good, some at it, one failed, a state that is new to us, no remediation, a time to come."""
    assert isinstance(ACTION.decide(PARAMS, state), kind)


def test_a_failure_says_what_the_step_said() -> None:
    """Systems Manager's message is what the responder needs."""
    decision = ACTION.decide(PARAMS, seen("FAILED", "SUCCEEDED"))

    assert isinstance(decision, Broken)
    assert decision.reason == "a: FAILED: step: denied"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"FailedItems": []}, None),
        ({"FailureMessage": "no role", "FailedItems": [{"resourceId": "b"}]}, ["no role"]),
        ({"FailedItems": [{"resourceId": "b"}]}, ["b"]),
    ],
)
def test_what_config_did_not_start_is_a_failure(answer: dict[str, Any], told: list[str] | None) -> None:
    """It answers 200 all the same; sending it again and again would tell nobody why."""
    decision = ACTION.decide(PARAMS, seen())

    assert isinstance(decision, Act)
    assert (jmespath.search(decision.calls[0].unprocessed, answer) or None) == told


def test_older_executions_do_not_count(driver: Any) -> None:
    """The last execution may be of last week: it says nothing about this incident."""

    def status(**_: Any) -> dict[str, Any]:
        times = {"a": SINCE - timedelta(seconds=1), "b": SINCE + timedelta(seconds=1), "c": None}
        return {
            "RemediationExecutionStatuses": [
                {"ResourceKey": {"resourceId": name}, "State": "SUCCEEDED", "InvocationTime": time}
                for name, time in times.items()
            ]
        }

    api = FakeApi(
        {
            "config:DescribeRemediationConfigurations": lambda **_: {
                "RemediationConfigurations": [{"TargetId": "AWS-Close"}]
            },
            "config:DescribeRemediationExecutionStatus": status,
        }
    )

    found = ACTION.look(driver.context(api), PARAMS)

    assert [execution.resource_id for execution in found.executions] == ["b"]


def answering(items: int, *, page: int = 2, text: str = "{}") -> FakeApi:
    """Return Config with a number of items, some pages of which are empty."""

    def history(**asked: Any) -> dict[str, Any]:
        start = int(asked.get("nextToken", "0"))
        item = {"configuration": text, "configurationItemCaptureTime": SINCE, "tags": {"Name": "x"}}
        more = {"nextToken": str(start + page)} if start + page < items else {}
        return {"configurationItems": [] if start == page else [item] * min(page, items - start), **more}

    return FakeApi({"config:GetResourceConfigHistory": history})


@pytest.mark.parametrize(
    ("items", "most", "listed", "complete"), [(1, 20, 1, True), (9, 4, 4, False), (6, 4, 4, True)]
)
def test_histories_are_bounded(driver: Any, items: int, most: int, listed: int, complete: bool) -> None:  # noqa: FBT001 - a table
    """An empty page is not the end, and what is left is told."""
    params = ResourceHistoryParams(**HISTORY, max_items=most)

    found = GetResourceHistory().look(driver.context(answering(items)), params).found

    assert (len(found.items), found.complete) == (listed, complete)


@pytest.mark.parametrize("text", ["", "no", "[1]", "[" * 50_000, '"x"'])
def test_odd_configurations_are_empty(driver: Any, text: str) -> None:
    """What is no object is no configuration; nothing fails for it."""
    found = (
        GetResourceHistory()
        .look(driver.context(answering(1, text=text)), ResourceHistoryParams(**HISTORY))
        .found
    )

    assert found.items[0].configuration == {}


def test_a_huge_configuration_is_left_out_and_said_so(driver: Any) -> None:
    """The journal is no dump: an attacker's megabyte stays in Config."""
    text = '{"a": "' + "x" * CONFIGURATION_CHARACTERS + '"}'
    action, params = GetResourceHistory(), ResourceHistoryParams(**HISTORY)

    decision = action.decide(params, action.look(driver.context(answering(1, text=text)), params))

    assert isinstance(decision, Settled)
    assert "left out" in decision.warnings[0]


@pytest.mark.parametrize(
    "given",
    [
        {"resource_type": "S3"},
        {"resource_id": "a b"},
        {"resource_id": ""},
        {"since": SINCE, "until": SINCE},
        {"since": "2026-01-01T00:00:00"},
        {"max_items": 0},
    ],
)
def test_bad_input_is_refused(given: dict[str, Any]) -> None:
    """Types, ids, and times without a zone."""
    with pytest.raises(ValidationError):
        ResourceHistoryParams.model_validate(HISTORY | given)
