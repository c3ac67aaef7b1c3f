"""Description: typed facts, and a named gap where something beside the instance cannot be read."""

from __future__ import annotations

from typing import Any

import pytest

from irrunner.actions.ec2.describe import DescribeInstance
from irrunner.actions.ec2.instances import OneInstance
from irrunner.errors import ActionDenied, TargetNotFound
from irrunner.vocabulary import Outcome

ACTION = DescribeInstance()


@pytest.fixture
def profiled(moto_api: Any, launch_host: Any) -> Any:
    """A Spot host with tags, a volume, and a role of another name than its profile."""
    iam = moto_api.client("iam")
    iam.create_role(RoleName="web-role", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="web", Path="/apps/")
    iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web-role")
    tags = [
        {"Key": "Environment", "Value": "production"},
        {"Key": "aws:autoscaling:groupName", "Value": "web-asg"},
    ]
    return launch_host(
        IamInstanceProfile={"Name": "web"},
        InstanceMarketOptions={"MarketType": "spot"},
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )


def test_tells_what_playbooks_ask(driver: Any, moto_api: Any, profiled: Any) -> None:
    """Network, volumes, role (of another name than the profile), tags, lifecycle; nothing is changed."""
    done = driver.run(ACTION, OneInstance(instance_id=profiled.instance_id), moto_api).done
    facts = done.outputs

    assert done.outcome is Outcome.APPLIED
    assert done.warnings == ()
    assert facts["instance_id"] == profiled.instance_id
    assert facts["state"] == "running"
    assert facts["vpc_id"] == profiled.vpc_id
    assert facts["network_interface_ids"] == sorted(profiled.groups)
    assert facts["security_group_ids"] == sorted(
        group for groups in profiled.groups.values() for group in groups
    )
    assert len(facts["volume_ids"]) == 1
    assert facts["instance_profile_arn"].endswith("instance-profile/apps/web")
    assert facts["role_name"] == "web-role"
    assert facts["association_id"].startswith("iip-assoc-")
    assert facts["tags"]["Environment"] == "production"
    assert facts["auto_scaling_group"] == "web-asg"
    assert facts["is_spot"] is True
    assert facts["has_instance_store"] is False
    assert moto_api.sent == []


def test_a_plain_host_has_no_role(driver: Any, moto_api: Any, host: Any) -> None:
    """What does not exist is None, without a warning."""
    done = driver.run(ACTION, OneInstance(instance_id=host.instance_id), moto_api).done

    assert (done.outputs["role_name"], done.outputs["instance_profile_arn"]) == (None, None)
    assert done.outputs["auto_scaling_group"] is None
    assert done.warnings == ()


def test_the_role_is_found_in_the_list_where_the_profile_may_not_be_read(
    driver: Any, moto_api: Any, profiled: Any
) -> None:
    """GetInstanceProfile may be denied by path; the list has the role as well."""

    def deny(operation: str, params: dict[str, Any]) -> None:
        if operation == "iam:GetInstanceProfile":
            raise ActionDenied("not you")

    moto_api.before = deny
    done = driver.run(ACTION, OneInstance(instance_id=profiled.instance_id), moto_api).done

    assert done.outputs["role_name"] == "web-role"


def test_an_unreadable_role_is_a_warning(driver: Any, moto_api: Any, profiled: Any) -> None:
    """Without IAM the rest of the facts still stands, and the gap is named."""

    def deny(operation: str, params: dict[str, Any]) -> None:
        if operation.startswith("iam:"):
            raise ActionDenied("not you")

    moto_api.before = deny
    done = driver.run(ACTION, OneInstance(instance_id=profiled.instance_id), moto_api).done

    assert done.outputs["role_name"] is None
    assert "not you" in done.warnings[0]


def test_an_unknown_instance_is_not_found(driver: Any, moto_api: Any) -> None:
    """The only fact that must be readable is the instance."""
    with pytest.raises(TargetNotFound):
        driver.run(ACTION, OneInstance(instance_id="i-0123456789abcdef0"), moto_api)
