"""EC2 instances: isolate, release, protect, tag, stop, profile."""

from __future__ import annotations

from gameday.world import seam
from tests.contracts.bench import Bench
from tests.contracts.row import Row, Values


def instance(bench: Bench) -> Values:
    """The instance of the world, with two interfaces and three disks."""
    return {"instance_id": bench.resources["instance_id"]}


def tagged(bench: Bench) -> Values:
    """The instance, one of whose tags has a value already."""
    tags = {"Name": "quarantined", "Incident": "IR-1"}
    return {**instance(bench), "tags": tags}


def isolated(bench: Bench) -> Values:
    """The instance after its isolation; those calls do not count."""
    values = instance(bench)
    bench.run(bench.registry.get("aws.ec2.isolate-instance"), values)
    return values


def stop_protected(bench: Bench) -> Values:
    """The instance, protected from stop."""
    values = instance(bench)
    bench.client("ec2").modify_instance_attribute(
        InstanceId=values["instance_id"], DisableApiStop={"Value": True}
    )
    return values


def erase_instance(bench: Bench, values: Values) -> None:
    """An hour after its end AWS does not know an instance any more; its interfaces went with it."""
    backend = seam.ec2(bench.account, bench.where.region)
    for number, reservation in list(backend.reservations.items()):
        for found in reservation.instances:
            if found.id == values["instance_id"]:
                for nic in found.nics.values():
                    backend.enis.pop(nic.id, None)
                del backend.reservations[number]


def move_interface(bench: Bench, values: Values) -> None:
    """Somebody puts an interface into the default group of its network."""
    backend = seam.ec2(bench.account, bench.where.region)
    default = backend.get_default_security_group(bench.resources["vpc_id"])
    bench.world.act(
        "set-interface-groups",
        account=bench.account,
        region=bench.where.region,
        network_interface_id=bench.resources["network_interface_ids"][0],
        security_group_ids=[default.id],
    )


def change_tag(bench: Bench, values: Values) -> None:
    """Somebody writes another value."""
    bench.world.act(
        "set-tags",
        account=bench.account,
        region=bench.where.region,
        resource_id=values["instance_id"],
        tags={"Name": "mine"},
    )


def terminate(bench: Bench, values: Values) -> None:
    """Somebody ends the instance."""
    bench.world.act(
        "terminate-instance",
        account=bench.account,
        region=bench.where.region,
        instance_id=values["instance_id"],
    )


def other_profile(bench: Bench, values: Values) -> None:
    """Somebody gives the instance another profile."""
    iam, ec2 = bench.client("iam"), bench.client("ec2")
    iam.create_instance_profile(InstanceProfileName="other")
    iam.add_role_to_instance_profile(InstanceProfileName="other", RoleName=bench.resources["role_name"])
    ec2.associate_iam_instance_profile(InstanceId=values["instance_id"], IamInstanceProfile={"Name": "other"})


MODIFY_INTERFACE = "ec2:ModifyNetworkInterfaceAttribute"

ROWS = (
    Row("aws.ec2.describe-instance", instance, erase_instance),
    Row(
        "aws.ec2.isolate-instance", instance, erase_instance,
        operations=(
            "ec2:CreateSecurityGroup", "ec2:RevokeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress",
            "ec2:AuthorizeSecurityGroupEgress", "ec2:CreateTags", MODIFY_INTERFACE,
        ),
        optional=("ec2:CreateTags",), drift=move_interface,
    ),
    Row(
        "aws.ec2.release-instance", isolated, erase_instance,
        operations=(MODIFY_INTERFACE, "ec2:DeleteTags"), optional=("ec2:DeleteTags",), drift=move_interface,
    ),
    Row(
        "aws.ec2.protect-instance", instance, erase_instance,
        operations=("ec2:ModifyInstanceAttribute",),
    ),
    Row(
        "aws.ec2.tag-instance", tagged, erase_instance, operations=("ec2:CreateTags",), drift=change_tag,
    ),
    Row(
        "aws.ec2.stop-instance", stop_protected, erase_instance,
        operations=("ec2:ModifyInstanceAttribute", "ec2:StopInstances"),
    ),
    Row(
        "aws.ec2.remove-instance-profile", instance, erase_instance,
        operations=("ec2:DisassociateIamInstanceProfile",), drift=other_profile,
    ),
)  # fmt: skip
