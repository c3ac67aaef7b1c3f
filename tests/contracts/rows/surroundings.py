"""What surrounds an instance: its Auto Scaling group, load balancers, addresses, what was made of it."""

from __future__ import annotations

from collections.abc import Callable

from gameday.world import seam
from tests.contracts.bench import Bench
from tests.contracts.row import OVER_S, Row, Values
from tests.contracts.rows.ebs import erase_snapshots
from tests.contracts.rows.ec2 import erase_instance, instance

GROUP = "web"
STRANGER, OTHER_STRANGER = "999999999999", "888888888888"


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


def addressed(bench: Bench) -> Values:
    """The instance with an address on its primary interface, and one on a secondary private address."""
    ec2 = bench.client("ec2")
    first, second = bench.resources["network_interface_ids"]
    ec2.assign_private_ip_addresses(NetworkInterfaceId=second, PrivateIpAddresses=["10.20.0.77"])
    ec2.allocate_address(Domain="vpc")
    primary, secondary = (ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(2))
    ec2.associate_address(AllocationId=primary, NetworkInterfaceId=first)
    ec2.associate_address(AllocationId=secondary, NetworkInterfaceId=second, PrivateIpAddress="10.20.0.77")
    return instance(bench)


def other_place(bench: Bench, values: Values) -> None:
    """Somebody puts an address on another private address of the instance."""
    ec2 = bench.client("ec2")
    _, address, *_ = ec2.describe_addresses()["Addresses"]
    ec2.associate_address(
        AllocationId=address["AllocationId"], NetworkInterfaceId=bench.resources["network_interface_ids"][1]
    )


def to_be_replaced(bench: Bench) -> Values:
    """The instance, and a profile whose role may do nothing."""
    iam = bench.client("iam")
    iam.create_instance_profile(InstanceProfileName="deny-all")
    iam.create_role(RoleName="deny-all", AssumeRolePolicyDocument="{}")
    iam.add_role_to_instance_profile(InstanceProfileName="deny-all", RoleName="deny-all")
    return {**instance(bench), "instance_profile": "deny-all"}


def without_profile(bench: Bench) -> Values:
    """The same, and the instance has no profile."""
    values = to_be_replaced(bench)
    ec2 = bench.client("ec2")
    (association,) = ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    ec2.disassociate_iam_instance_profile(AssociationId=association["AssociationId"])
    return values


def stopped_with_profile(bench: Bench) -> Values:
    """The same, and the instance is stopped, where AWS replaces none."""
    values = to_be_replaced(bench)
    bench.client("ec2").stop_instances(InstanceIds=[values["instance_id"]])
    bench.clock.advance(OVER_S)
    return values


def third_profile(bench: Bench, values: Values) -> None:
    """Somebody gives the instance a third profile."""
    iam, ec2 = bench.client("iam"), bench.client("ec2")
    iam.create_instance_profile(InstanceProfileName="third")
    (association,) = ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    ec2.replace_iam_instance_profile_association(
        AssociationId=association["AssociationId"], IamInstanceProfile={"Name": "third"}
    )


def metadata(bench: Bench) -> Values:
    """The instance, whose metadata is open to every request."""
    return {**instance(bench), "http_endpoint": "disabled", "http_tokens": "required"}


def shared_image(bench: Bench) -> Values:
    """A public image, shared with the forensic account and with a stranger too."""
    ec2 = bench.client("ec2")
    image = ec2.create_image(InstanceId=bench.resources["instance_id"], Name="web")["ImageId"]
    grants = [{"Group": "all"}, {"UserId": bench.where.forensic_account_id}, {"UserId": STRANGER}]
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": grants})
    return {"image_id": image}


def share_image(bench: Bench, values: Values) -> None:
    """Somebody shares it anew, with another stranger."""
    bench.client("ec2").modify_image_attribute(
        ImageId=values["image_id"], LaunchPermission={"Add": [{"UserId": OTHER_STRANGER}]}
    )


def erase_image(bench: Bench, values: Values) -> None:
    """Somebody deregisters the image."""
    del seam.ec2(bench.account, bench.where.region).amis[values["image_id"]]


def shared_snapshot(bench: Bench) -> Values:
    """A public snapshot, shared with the forensic account and with a stranger too."""
    ec2 = bench.client("ec2")
    volumes = ec2.describe_volumes(VolumeIds=bench.resources["volume_ids"])["Volumes"]
    plain = next(volume["VolumeId"] for volume in volumes if not volume["Encrypted"])
    made = ec2.create_snapshot(VolumeId=plain)["SnapshotId"]
    grants = [{"Group": "all"}, {"UserId": bench.where.forensic_account_id}, {"UserId": STRANGER}]
    ec2.modify_snapshot_attribute(SnapshotId=made, CreateVolumePermission={"Add": grants})
    return {"snapshot_id": made}


def share_snapshot(bench: Bench, values: Values) -> None:
    """Somebody shares it anew, with another stranger."""
    bench.client("ec2").modify_snapshot_attribute(
        SnapshotId=values["snapshot_id"], CreateVolumePermission={"Add": [{"UserId": OTHER_STRANGER}]}
    )


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
        "aws.ec2.disassociate-addresses", addressed, erase_instance,
        operations=("ec2:DisassociateAddress",), drift=other_place,
    ),
    Row(
        "aws.ec2.replace-instance-profile", to_be_replaced, erase_instance,
        operations=("ec2:ReplaceIamInstanceProfileAssociation",), drift=third_profile,
    ),
    Row(
        "aws.ec2.replace-instance-profile", without_profile, erase_instance,
        operations=("ec2:AssociateIamInstanceProfile",), drift=third_profile, name="without-one",
    ),
    Row(
        "aws.ec2.replace-instance-profile", stopped_with_profile, erase_instance,
        operations=("ec2:DisassociateIamInstanceProfile", "ec2:AssociateIamInstanceProfile"), name="stopped",
    ),
    Row(
        "aws.ec2.set-metadata-options", metadata, erase_instance,
        operations=("ec2:ModifyInstanceMetadataOptions",),
    ),
    Row(
        "aws.ec2.restrict-image", shared_image, erase_image,
        operations=("ec2:ModifyImageAttribute",), drift=share_image,
    ),
    Row(
        "aws.ebs.restrict-snapshot", shared_snapshot, erase_snapshots,
        operations=("ec2:ModifySnapshotAttribute",), drift=share_snapshot,
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
