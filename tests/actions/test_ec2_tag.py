"""Tags: written, restored, and never in the way."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.contract import Act
from irrunner.actions.ec2.tag import TagInstance, TagParams, TagState
from irrunner.vocabulary import Outcome

INSTANCE = "i-0123456789abcdef0"
ACTION = TagInstance()


def tags_now(api: Any, instance_id: str) -> dict[str, str]:
    """Return the instance's tags."""
    described = api.client("ec2").describe_tags(Filters=[{"Name": "resource-id", "Values": [instance_id]}])
    return {tag["Key"]: tag["Value"] for tag in described["Tags"]}


def test_only_what_differs_is_written_and_optional() -> None:
    """Tags that are right already are not sent; the call may fail without failing the step."""
    params = TagParams(instance_id=INSTANCE, tags={"Incident": "IR-1", "Owner": "sec"})
    decision = ACTION.decide(params, TagState(instance_id=INSTANCE, tags={"Incident": "IR-1", "Owner": None}))

    assert isinstance(decision, Act)
    assert [call.after for call in decision.calls] == [{"Owner": "sec"}]
    assert all(call.optional for call in decision.calls)


def test_undo_restores_and_removes(driver: Any, moto_api: Any, host: Any) -> None:
    """A tag that was there gets its value back, a new one goes, others are not touched."""
    ec2 = moto_api.client("ec2")
    old = [{"Key": "Owner", "Value": "web"}, {"Key": "Other", "Value": "x"}]
    ec2.create_tags(Resources=[host.instance_id], Tags=old)
    params = TagParams(instance_id=host.instance_id, tags={"Incident": "IR-1", "Owner": "sec"})
    driven = driver.run(ACTION, params, moto_api)
    tagged = tags_now(moto_api, host.instance_id)
    undone = driver.undo(ACTION, params, driven, moto_api)

    assert driven.done.outcome is Outcome.APPLIED
    assert tagged == {"Incident": "IR-1", "Owner": "sec", "Other": "x"}
    assert undone.verified
    assert tags_now(moto_api, host.instance_id) == {"Owner": "web", "Other": "x"}


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"aws:reserved": "x"},
        {"AWS:reserved": "x"},
        {"": "x"},
        {"k" * 129: "x"},
        {"k": "v" * 257},
        {"k": "line\nbreak"},
    ],
)
def test_impossible_tags_are_refused_before_anything_is_sent(tags: dict[str, str]) -> None:
    """AWS's own limits, and no control characters from hostile data."""
    with pytest.raises(ValidationError):
        TagParams(instance_id=INSTANCE, tags=tags)
