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


def target_groups(bench: Bench) -> Values:
    """The instance as a target by its id on two ports, and by a secondary interface's address."""
    elbv2 = bench.client("elbv2")
    for name, kind in (("by-id", "instance"), ("by-address", "ip"), ("without", "instance")):
        elbv2.create_target_group(
            Name=name, Protocol="HTTP", Port=80, VpcId=bench.resources["vpc_id"], TargetType=kind
        )
    arns = target_group_arns(bench)
    instance_id, interface = bench.resources["instance_id"], bench.resources["network_interface_ids"][1]
    address = seam.ec2(bench.account, bench.where.region).enis[interface].private_ip_address
    elbv2.register_targets(
        TargetGroupArn=arns["by-id"], Targets=[{"Id": instance_id}, {"Id": instance_id, "Port": 8080}]
    )
    elbv2.register_targets(
        TargetGroupArn=arns["by-address"], Targets=[{"Id": address, "Port": 8443}, {"Id": "10.20.0.250"}]
    )
    return instance(bench)


def target_group_arns(bench: Bench) -> dict[str, str]:
    """Return the target groups by name."""
    described = bench.client("elbv2").describe_target_groups()["TargetGroups"]
    return {group["TargetGroupName"]: group["TargetGroupArn"] for group in described}


def other_port(bench: Bench, values: Values) -> None:
    """Somebody registers the instance on another port."""
    bench.client("elbv2").register_targets(
        TargetGroupArn=target_group_arns(bench)["by-id"],
        Targets=[{"Id": values["instance_id"], "Port": 9090}],
    )


def classic(bench: Bench) -> Values:
    """The instance behind one of two classic load balancers."""
    elb = bench.client("elb")
    listener = {"Protocol": "http", "LoadBalancerPort": 80, "InstancePort": 80}
    for name in ("old-web", "other"):
        elb.create_load_balancer(
            LoadBalancerName=name, Listeners=[listener], Subnets=[bench.resources["subnet_id"]]
        )
    elb.register_instances_with_load_balancer(
        LoadBalancerName="old-web", Instances=[{"InstanceId": bench.resources["instance_id"]}]
    )
    return instance(bench)


def kept(bench: Bench) -> Values:
    """The instance, protected, with completed snapshots of this run."""
    values = instance(bench)
    bench.run(bench.registry.get("aws.ec2.protect-instance"), values)
    taken = bench.run(bench.registry.get("aws.ebs.snapshot-instance"), values)
    bench.clock.advance(OVER_S)
    return {**values, "snapshot_ids": taken.done.outputs["snapshot_ids"], "lift_protection": True}


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
        "aws.ec2.terminate-instance", kept, erase_instance,
        operations=("ec2:ModifyInstanceAttribute", "ec2:TerminateInstances"),
    ),
    Row(
        "aws.elbv2.deregister-instance", target_groups, erase_instance,
        operations=("elbv2:DeregisterTargets",), drift=other_port,
    ),
    Row(
        "aws.elb.deregister-instance", classic, erase_instance,
        operations=("elb:DeregisterInstancesFromLoadBalancer",),
    ),
    Row(
        "aws.autoscaling.suspend-processes", scaled_group, erase_group,
        operations=("autoscaling:SuspendProcesses",),
    ),
)  # fmt: skip
