"""Target registrations of the world: several ports, draining, and what AWS refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gameday.world import World

Refused = Callable[..., str]


@pytest.fixture
def elbv2(world: World, member: str) -> Any:
    """Return load balancing of the member account."""
    return world.client(member, "elbv2")


@pytest.fixture
def group(world: World, elbv2: Any) -> str:
    """Return a target group."""
    created = elbv2.create_target_group(Name="web", Protocol="HTTP", Port=80, VpcId=world.resources["vpc_id"])
    return str(created["TargetGroups"][0]["TargetGroupArn"])


def states(elbv2: Any, group: str) -> dict[int, str]:
    """Return port to state."""
    described = elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return {item["Target"]["Port"]: item["TargetHealth"]["State"] for item in described}


def test_a_target_drains_before_it_goes(world: World, elbv2: Any, group: str) -> None:
    """One port of two is taken away: it drains for the delay, and the other stays."""
    instance = world.resources["instance_id"]
    elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": instance}, {"Id": instance, "Port": 81}])
    elbv2.modify_target_group_attributes(
        TargetGroupArn=group, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "60"}]
    )
    elbv2.deregister_targets(TargetGroupArn=group, Targets=[{"Id": instance, "Port": 81}])
    assert states(elbv2, group) == {80: "unused", 81: "draining"}

    world.advance(61)
    assert states(elbv2, group) == {80: "unused"}


def test_what_is_registered_again_while_it_drains_stays(world: World, elbv2: Any, group: str) -> None:
    """The end of the earlier draining does not take the new registration with it."""
    target = [{"Id": world.resources["instance_id"]}]
    elbv2.register_targets(TargetGroupArn=group, Targets=target)
    elbv2.deregister_targets(TargetGroupArn=group, Targets=target)
    elbv2.register_targets(TargetGroupArn=group, Targets=target)
    world.advance(1000)

    assert list(states(elbv2, group)) == [80]


def test_what_load_balancers_refuse(
    world: World, member: str, ec2: Any, elbv2: Any, group: str, refused: Refused
) -> None:
    """Unknown groups and balancers, a zone for an instance, and an instance that does not run."""
    instance = world.resources["instance_id"]
    zoned = [{"Id": instance, "AvailabilityZone": "us-east-1a"}]
    other = group.replace("targetgroup/web", "targetgroup/other")
    assert refused(elbv2.describe_target_health, TargetGroupArn=other) == "TargetGroupNotFound"
    assert refused(elbv2.register_targets, TargetGroupArn=group, Targets=zoned) == "ValidationError"
    ec2.stop_instances(InstanceIds=[instance])
    assert (
        refused(elbv2.register_targets, TargetGroupArn=group, Targets=[{"Id": instance}]) == "InvalidTarget"
    )
    assert (
        refused(
            world.client(member, "elb").deregister_instances_from_load_balancer,
            LoadBalancerName="none",
            Instances=[{"InstanceId": instance}],
        )
        == "LoadBalancerNotFound"
    )


def test_standby_takes_a_member_off_its_load_balancers(
    world: World, member: str, elbv2: Any, group: str
) -> None:
    """Auto Scaling deregisters what enters Standby, and registers what comes back."""
    scaling = world.client(member, "autoscaling")
    scaling.create_launch_configuration(
        LaunchConfigurationName="web", ImageId="ami-0123456789abcdef0", InstanceType="m5.large"
    )
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="web", LaunchConfigurationName="web", MinSize=0, MaxSize=1, DesiredCapacity=0,
        VPCZoneIdentifier=world.resources["subnet_id"], TargetGroupARNs=[group],
    )  # fmt: skip
    one = {"AutoScalingGroupName": "web", "InstanceIds": [world.resources["instance_id"]]}
    scaling.attach_instances(**one)
    assert list(states(elbv2, group)) == [80]

    scaling.enter_standby(**one, ShouldDecrementDesiredCapacity=True)
    assert states(elbv2, group) == {80: "draining"}
    world.advance(200)
    (entering,) = scaling.describe_auto_scaling_instances()["AutoScalingInstances"]
    assert entering["LifecycleState"] == "EnteringStandby"
    world.advance(800)
    assert states(elbv2, group) == {}
    scaling.exit_standby(**one)
    assert list(states(elbv2, group)) == [80]


def test_target_groups_come_in_pages(world: World, elbv2: Any) -> None:
    """A look that reads one page misses groups."""
    for number in range(3):
        elbv2.create_target_group(Name=f"g{number}", Protocol="TCP", Port=80, VpcId=world.resources["vpc_id"])
    page = elbv2.describe_target_groups(PageSize=2)
    rest = elbv2.describe_target_groups(PageSize=2, Marker=page["NextMarker"])

    assert (len(page["TargetGroups"]), len(rest["TargetGroups"])) == (2, 1)
    assert "NextMarker" not in rest
