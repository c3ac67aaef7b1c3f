"""What surrounds an instance: its Auto Scaling group, load balancers, addresses, what was made of it."""

from __future__ import annotations

from collections.abc import Callable

from gameday.world import seam
from tests.contracts.bench import Bench
from tests.contracts.row import OVER_S, Row, Values
from tests.contracts.rows.ec2 import erase_instance, instance

GROUP = "web"


def scaled(bench: Bench, health: str = "EC2") -> Values:
    """The instance as the only member of a group that may be empty."""
    scaling = bench.client("autoscaling")
    scaling.create_launch_configuration(
        LaunchConfigurationName=GROUP, ImageId="ami-0123456789abcdef0", InstanceType="m5.large"
    )
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=GROUP, LaunchConfigurationName=GROUP, MinSize=0, MaxSize=2, DesiredCapacity=0,
        HealthCheckType=health, VPCZoneIdentifier=bench.resources["subnet_id"],
    )  # fmt: skip
    scaling.attach_instances(AutoScalingGroupName=GROUP, InstanceIds=[bench.resources["instance_id"]])
    return instance(bench)


def balanced(bench: Bench) -> Values:
    """The instance in a group for which the health counts that load balancers find."""
    return scaled(bench, health="ELB")


def at_smallest_size(bench: Bench) -> Values:
    """The instance as a member that its group cannot do without: another one is launched."""
    values = scaled(bench)
    bench.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=GROUP, MinSize=1)
    return values


def in_standby(bench: Bench) -> Values:
    """The instance, in Standby already."""
    values = scaled(bench)
    bench.client("autoscaling").enter_standby(
        AutoScalingGroupName=GROUP,
        InstanceIds=[values["instance_id"]],
        ShouldDecrementDesiredCapacity=True,
    )
    bench.clock.advance(OVER_S)
    return values


def scaled_group(bench: Bench) -> Values:
    """The group of the instance, one of whose processes somebody has suspended before."""
    scaled(bench)
    scaling = bench.client("autoscaling")
    scaling.suspend_processes(AutoScalingGroupName=GROUP, ScalingProcesses=["AZRebalance"])
    return {"group_name": GROUP, "processes": ["AZRebalance", "ReplaceUnhealthy", "Terminate"]}


def erase_group(bench: Bench, values: Values) -> None:
    """Somebody deletes the group, and its members live on."""
    del seam.backend("autoscaling", bench.account, bench.where.region).autoscaling_groups[GROUP]


def lifecycle(state: str) -> Callable[[Bench, Values], None]:
    """The member comes into another state."""

    def change(bench: Bench, values: Values) -> None:
        groups = seam.backend("autoscaling", bench.account, bench.where.region).autoscaling_groups
        groups[GROUP].instance_states[0].lifecycle_state = state

    return change


def other_group(bench: Bench, values: Values) -> None:
    """Somebody attaches the instance to another group."""
    scaling = bench.client("autoscaling")
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="other", LaunchConfigurationName=GROUP, MinSize=0, MaxSize=2, DesiredCapacity=0,
        VPCZoneIdentifier=bench.resources["subnet_id"],
    )  # fmt: skip
    scaling.attach_instances(AutoScalingGroupName="other", InstanceIds=[values["instance_id"]])


ROWS = (
    Row(
        "aws.autoscaling.enter-standby", scaled, erase_instance,
        operations=("autoscaling:EnterStandby",), drift=lifecycle("Terminating:Wait"),
    ),
    Row(
        "aws.autoscaling.detach-instance", scaled, erase_instance,
        operations=("autoscaling:DetachInstances",), drift=other_group,
    ),
    Row(
        "aws.autoscaling.detach-instance", in_standby, erase_instance,
        operations=("autoscaling:DetachInstances",), name="in-standby",
    ),
    Row(
        "aws.autoscaling.suspend-processes", scaled_group, erase_group,
        operations=("autoscaling:SuspendProcesses",),
    ),
)  # fmt: skip
