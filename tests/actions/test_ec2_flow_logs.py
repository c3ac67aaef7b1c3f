"""Flow logs: where to, what is recorded already, and what AWS says without an error."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.contract import Act, Broken, Refused, Settled
from irrunner.actions.ec2.flow_logs import (
    EnableFlowLogs,
    EnableFlowLogsParams,
    EnableFlowLogsState,
    FlowLog,
)
from irrunner.errors import InvalidCall
from irrunner.vocabulary import Outcome

ACTION = EnableFlowLogs()
VPC = "vpc-0123456789abcdef0"
PLACE = "arn:aws:s3:::evidence"
GROUP = {"destination": "cloud-watch-logs", "log_group_name": "/flows"}
ROLE = "arn:aws:iam::111122223333:role/flow-logs"


def params(**more: Any) -> EnableFlowLogsParams:
    """Return parameters."""
    return EnableFlowLogsParams.model_validate({"resource_id": VPC, **more})


def log(traffic: str = "ALL", place: str = PLACE, problem: str = "") -> FlowLog:
    """Return a flow log."""
    return FlowLog(flow_log_id="fl-1", place=place, traffic=traffic, problem=problem)


def state_of(*logs: FlowLog, place: str | None = PLACE, traffic: str = "ALL") -> EnableFlowLogsState:
    """Return a state."""
    return EnableFlowLogsState(resource_id=VPC, place=place, traffic=traffic, logs=logs, run="run/step")


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (state_of(), Act),
        (state_of(log()), Settled),
        (state_of(log(), traffic="REJECT"), Settled),
        (state_of(log(place="arn:aws:s3:::other")), Act),
        (state_of(log("REJECT")), Refused),
        (state_of(log(problem="Access error")), Broken),
        (state_of(place=None), Refused),
    ],
)
def test_decides_by_what_is_recorded(state: EnableFlowLogsState, kind: type) -> None:
    """More than is wanted is enough; less, at the same place, is in the way; undelivered is no evidence."""
    assert isinstance(ACTION.decide(params(), state), kind)


def test_a_missing_setting_is_named() -> None:
    """Exit code 3, with what to set."""
    decision = ACTION.decide(params(), state_of(place=None))

    assert isinstance(decision, Refused)
    assert decision.code == "forensics-not-configured"


def test_records_who_a_nat_gateway_hides() -> None:
    """The default format has only the addresses of the interface."""
    decision = ACTION.decide(params(), state_of())

    assert isinstance(decision, Act)
    assert "${pkt-srcaddr}" in decision.calls[0].params["LogFormat"]
    assert decision.calls[0].params["TagSpecifications"][0]["Tags"][0]["Value"] == "run/step"


@pytest.mark.parametrize(
    "values",
    [
        GROUP,
        {**GROUP, "delivery_role_arn": "arn:aws:iam::1:role/x"},
        {**GROUP, "delivery_role_arn": ROLE, "bucket": "evidence"},
        {"delivery_role_arn": ROLE},
        {"bucket": "Evidence"},
        {"resource_id": "i-0123456789abcdef0"},
        {"traffic": "SOME"},
    ],
)
def test_bad_parameters(values: dict[str, Any]) -> None:
    """Each destination wants its own, and nothing of the other's."""
    with pytest.raises(ValidationError):
        params(**values)


def test_a_bucket_that_refuses(driver: Any, moto_api: Any, host: Any) -> None:
    """AWS answers 200 and makes nothing: it is a failure with AWS's reason, and not sent again and again."""
    with pytest.raises(InvalidCall, match="nobodys-bucket"):
        driver.run(ACTION, params(resource_id=host.vpc_id, bucket="nobodys-bucket"), moto_api)

    assert moto_api.operations() == ["ec2:CreateFlowLogs"]


def test_delivery_that_fails_is_told(driver: Any, moto_api: Any, host: Any) -> None:
    """A log group that is not there: the flow log is made, and records nothing."""
    values = {**GROUP, "delivery_role_arn": ROLE, "resource_id": host.vpc_id}
    driven = driver.run(ACTION, params(**values), moto_api)

    assert driven.done.outcome is Outcome.FAILED
    assert "delivers nothing" in driven.done.reason
