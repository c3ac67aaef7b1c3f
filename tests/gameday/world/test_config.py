from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gameday.world import World
from gameday.world.config import memory

Refused = Callable[..., str]
RULE = "s3-public-read"


@pytest.fixture
def config(world: World, member: str) -> Any:
    """Return Config of the member account, with a rule that has a remediation."""
    client = world.client(member, "config")
    configuration = {"ConfigRuleName": RULE, "TargetType": "SSM_DOCUMENT", "TargetId": "AWS-Close"}
    client.put_remediation_configurations(RemediationConfigurations=[configuration])
    return client


def keys(*names: str) -> list[dict[str, str]]:
    """Return resource keys of buckets."""
    return [{"resourceType": "AWS::S3::Bucket", "resourceId": name} for name in names]


def test_a_remediation_takes_time_and_may_fail(world: World, config: Any, refused: Refused) -> None:
    """One at a time on a resource; a failed step says why."""
    config.start_remediation_execution(ConfigRuleName=RULE, ResourceKeys=keys("fine", "broken"))
    again = refused(config.start_remediation_execution, ConfigRuleName=RULE, ResourceKeys=keys("fine"))
    world.advance(60)

    told = config.describe_remediation_execution_status(ConfigRuleName=RULE)["RemediationExecutionStatuses"]

    assert again == "RemediationInProgressException"
    assert [execution["State"] for execution in told] == ["SUCCEEDED", "FAILED"]
    assert told[1]["StepDetails"][0]["ErrorMessage"]


def test_a_rule_without_remediation_is_refused(config: Any, refused: Refused) -> None:
    """As Config does."""
    code = refused(config.start_remediation_execution, ConfigRuleName="other", ResourceKeys=keys("fine"))
    assert code == "NoSuchRemediationConfigurationException"


def test_history_is_of_a_window_and_comes_in_pages(world: World, member: str, config: Any) -> None:
    """Newest first, unless asked otherwise; later items of other times are left out."""
    now = world.clock.now()
    for days in (1, 2, 3):
        item = {
            **keys("acme")[0],
            "configurationItemCaptureTime": now - timedelta(days=days),
            "version": str(days),
        }
        memory(member, world.region).items.append(item)
    asked = {**keys("acme")[0], "limit": 1, "earlierTime": now - timedelta(days=2, hours=1)}

    first = config.get_resource_config_history(**asked)
    second = config.get_resource_config_history(**asked, nextToken=first["nextToken"])

    assert [answer["configurationItems"][0]["version"] for answer in (first, second)] == ["1", "2"]
    assert "nextToken" not in second
