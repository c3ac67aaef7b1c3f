"""Auto Scaling's trap: a member that looks unhealthy is terminated, unless it was out of service before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gameday.world import World

Refused = Callable[..., str]
GROUP = "web"
LONG_S = 120.0


@pytest.fixture
def scaling(world: World, member: str) -> Any:
    """Return Auto Scaling of the member account, with the world's instance in a group of one."""
    return in_group(world, member)


def in_group(world: World, member: str, *, health: str = "ELB", smallest: int = 0) -> Any:
    """Put the world's instance into a group."""
    client = world.client(member, "autoscaling")
    client.create_launch_configuration(
        LaunchConfigurationName="web", ImageId="ami-0123456789abcdef0", InstanceType="m5.large"
    )
    client.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        LaunchConfigurationName="web",
        MinSize=0,
        MaxSize=2,
        DesiredCapacity=0,
        HealthCheckType=health,
        VPCZoneIdentifier=world.resources["subnet_id"],
    )
    client.attach_instances(AutoScalingGroupName=GROUP, InstanceIds=[world.resources["instance_id"]])
    client.update_auto_scaling_group(AutoScalingGroupName=GROUP, MinSize=smallest)
    return client


def region_of(world: World) -> Any:
    """Return the state of the world's Region."""
    return world.state()["accounts"][world.resources["account_id"]]["regions"][world.region]


def instance_state(world: World) -> str:
    """Return the state of the world's instance."""
    return str(region_of(world)["instances"][world.resources["instance_id"]]["state"])


def members(world: World) -> Any:
    """Return the members of the group."""
    return region_of(world)["auto_scaling_groups"][GROUP]["instances"]


def cut_off(world: World, ec2: Any) -> None:
    """Put every interface into a group without rules."""
    group = ec2.create_security_group(GroupName="q", Description="q", VpcId=world.resources["vpc_id"])
    for eni in world.resources["network_interface_ids"]:
        ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, Groups=[group["GroupId"]])


def test_an_isolated_member_is_terminated_whatever_protects_it(world: World, ec2: Any, scaling: Any) -> None:
    """The trap: isolation fails the health check, and the group ends the evidence and launches another."""
    ec2.modify_instance_attribute(
        InstanceId=world.resources["instance_id"], DisableApiTermination={"Value": True}
    )
    cut_off(world, ec2)
    world.advance(LONG_S)

    assert instance_state(world) == "terminated"
    (other,) = members(world)
    assert other != world.resources["instance_id"]
    world.advance(LONG_S)
    assert list(members(world)) == [other], "what the group launches is healthy"


def test_a_stopped_member_is_terminated(world: World, ec2: Any, member: str) -> None:
    """Not to run is unhealthy for every kind of health check."""
    in_group(world, member, health="EC2")
    ec2.stop_instances(InstanceIds=[world.resources["instance_id"]])
    world.advance(LONG_S)

    assert instance_state(world) == "terminated"


def test_without_the_balancers_health_an_isolated_member_lives(world: World, ec2: Any, member: str) -> None:
    """EC2's own status checks do not pass through security groups."""
    in_group(world, member, health="EC2")
    cut_off(world, ec2)
    world.advance(LONG_S)

    assert instance_state(world) == "running"


def test_a_healthy_member_lives(world: World, scaling: Any) -> None:
    """The trap is for the unhealthy."""
    world.advance(LONG_S)

    assert instance_state(world) == "running"


def test_standby_before_isolation_keeps_it(world: World, ec2: Any, scaling: Any) -> None:
    """In Standby nobody looks at its health; it is out of service after a while, not at once."""
    instance = world.resources["instance_id"]
    scaling.enter_standby(
        AutoScalingGroupName=GROUP, InstanceIds=[instance], ShouldDecrementDesiredCapacity=True
    )
    assert members(world)[instance]["lifecycle"] == "EnteringStandby"
    cut_off(world, ec2)
    world.advance(LONG_S)

    assert instance_state(world) == "running"
    assert members(world) == {instance: {"lifecycle": "Standby", "health": "Healthy"}}
    assert region_of(world)["auto_scaling_groups"][GROUP]["desired_capacity"] == 0


def test_standby_without_fewer_members_launches_another(world: World, scaling: Any) -> None:
    """The group keeps its capacity, and the way back would exceed it only where it is full."""
    instance = world.resources["instance_id"]
    scaling.enter_standby(
        AutoScalingGroupName=GROUP, InstanceIds=[instance], ShouldDecrementDesiredCapacity=False
    )
    world.advance(LONG_S)
    states = {name: item["lifecycle"] for name, item in members(world).items()}
    assert states.pop(instance) == "Standby"
    assert list(states.values()) == ["InService"]

    scaling.exit_standby(AutoScalingGroupName=GROUP, InstanceIds=[instance])
    world.advance(LONG_S)
    assert members(world)[instance]["lifecycle"] == "InService"
    assert region_of(world)["auto_scaling_groups"][GROUP]["desired_capacity"] == 2


@pytest.mark.parametrize("process", ["ReplaceUnhealthy", "HealthCheck", "Terminate"])
def test_suspended_processes_keep_it(world: World, ec2: Any, scaling: Any, process: str) -> None:
    """Each of them alone is enough."""
    scaling.suspend_processes(AutoScalingGroupName=GROUP, ScalingProcesses=[process])
    cut_off(world, ec2)
    world.advance(LONG_S)

    assert instance_state(world) == "running"
    scaling.resume_processes(AutoScalingGroupName=GROUP, ScalingProcesses=[process])
    world.advance(LONG_S)
    assert instance_state(world) == "terminated"


def test_a_detached_instance_is_nobodys(world: World, ec2: Any, scaling: Any) -> None:
    """It runs on, without the group's tag, and can be attached again."""
    instance = world.resources["instance_id"]
    scaling.detach_instances(
        AutoScalingGroupName=GROUP, InstanceIds=[instance], ShouldDecrementDesiredCapacity=True
    )
    world.advance(LONG_S)
    cut_off(world, ec2)
    world.advance(LONG_S)
    shown = region_of(world)
    assert (shown["instances"][instance]["state"], members(world)) == ("running", {})
    assert "aws:autoscaling:groupName" not in shown["instances"][instance]["tags"]

    scaling.attach_instances(AutoScalingGroupName=GROUP, InstanceIds=[instance])
    assert members(world)[instance]["lifecycle"] == "InService"


def test_what_auto_scaling_refuses(world: World, ec2: Any, member: str, refused: Refused) -> None:
    """Fewer than the smallest size, a member in another state, a stranger, a process that does not exist."""
    scaling = in_group(world, member, smallest=1)
    one = {"AutoScalingGroupName": GROUP, "InstanceIds": [world.resources["instance_id"]]}
    fewer, as_many = {"ShouldDecrementDesiredCapacity": True}, {"ShouldDecrementDesiredCapacity": False}

    assert refused(scaling.enter_standby, **one, **fewer) == "ValidationError"
    assert refused(scaling.detach_instances, **one, **fewer) == "ValidationError"
    assert refused(scaling.exit_standby, **one) == "ValidationError"
    assert refused(scaling.attach_instances, **one) == "ValidationError"
    assert (
        refused(scaling.enter_standby, AutoScalingGroupName="other", InstanceIds=["i-1"], **as_many)
        == "ValidationError"
    )
    assert (
        refused(scaling.suspend_processes, AutoScalingGroupName=GROUP, ScalingProcesses=["Sleep"])
        == "ValidationError"
    )
    assert instance_state(world) == "running"


def test_members_come_in_pages(world: World, scaling: Any) -> None:
    """A look that reads one page misses members."""
    instance = world.resources["instance_id"]
    scaling.enter_standby(
        AutoScalingGroupName=GROUP, InstanceIds=[instance], ShouldDecrementDesiredCapacity=False
    )
    first = scaling.describe_auto_scaling_instances(MaxRecords=1)
    second = scaling.describe_auto_scaling_instances(MaxRecords=1, NextToken=first["NextToken"])

    found = [page["AutoScalingInstances"][0]["InstanceId"] for page in (first, second)]
    assert instance in found
    assert len(set(found)) == 2
    assert "NextToken" not in second
