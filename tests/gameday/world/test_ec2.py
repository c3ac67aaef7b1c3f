from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from gameday.world import InstanceSpec, Place, World, build_instance

Refused = Callable[..., str]


def test_groups_of_an_instance_with_several_interfaces_cannot_be_set(
    world: World, ec2: Any, refused: Refused
) -> None:
    """The wrong call of many tools fails, as in AWS, and changes nothing."""
    before = world.state()

    code = refused(
        ec2.modify_instance_attribute,
        InstanceId=world.resources["instance_id"],
        Groups=world.resources["security_group_ids"][:1],
    )

    assert code == "InvalidInstanceID"
    assert world.state() == before


def test_groups_of_an_instance_with_one_interface_can_be_set(world: World, ec2: Any, member: str) -> None:
    """With one interface the call sets that interface's groups."""
    built = build_instance(Place(member, world.region, 2), InstanceSpec(vpc_id=world.resources["vpc_id"]))

    ec2.modify_instance_attribute(InstanceId=built["instance_id"], Groups=built["security_group_ids"][1:])

    eni = ec2.describe_network_interfaces(NetworkInterfaceIds=built["network_interface_ids"])[
        "NetworkInterfaces"
    ][0]
    assert [group["GroupId"] for group in eni["Groups"]] == built["security_group_ids"][1:]


def test_an_interface_has_exactly_the_groups_it_was_given(world: World, ec2: Any) -> None:
    """Groups are the interface's own, not merged with the instance's, which shows its primary's."""
    primary, second = world.resources["network_interface_ids"]
    new = ec2.create_security_group(GroupName="q", Description="q", VpcId=world.resources["vpc_id"])[
        "GroupId"
    ]

    ec2.modify_network_interface_attribute(NetworkInterfaceId=primary, Groups=[new])

    enis = ec2.describe_network_interfaces()["NetworkInterfaces"]
    groups = {eni["NetworkInterfaceId"]: [group["GroupId"] for group in eni["Groups"]] for eni in enis}
    assert groups == {primary: [new], second: world.resources["security_group_ids"][:1]}
    instance = ec2.describe_instances()["Reservations"][0]["Instances"][0]
    assert [group["GroupId"] for group in instance["SecurityGroups"]] == [new]


def test_groups_that_do_not_fit_an_interface_are_refused(world: World, ec2: Any, refused: Refused) -> None:
    """Unknown groups, more than five, and groups of another VPC each have their code."""
    eni = world.resources["network_interface_ids"][0]
    vpc = world.resources["vpc_id"]
    six = [
        ec2.create_security_group(GroupName=f"g{n}", Description="g", VpcId=vpc)["GroupId"] for n in range(6)
    ]
    elsewhere = ec2.create_security_group(
        GroupName="other", Description="g", VpcId=ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    )["GroupId"]

    def modify(groups: list[str]) -> str:
        return refused(ec2.modify_network_interface_attribute, NetworkInterfaceId=eni, Groups=groups)

    assert modify(six) == "SecurityGroupsPerInterfaceLimitExceeded"
    assert modify([elsewhere]) == "InvalidGroup.NotFound"
    assert modify(["sg-00000000000000000"]) == "InvalidGroup.NotFound"


def test_an_interface_that_a_service_manages_cannot_be_changed(
    world: World, ec2: Any, member: str, refused: Refused
) -> None:
    """Requester-managed interfaces refuse."""
    eni = world.resources["network_interface_ids"][1]
    world.act("mark-requester-managed", account=member, region=world.region, network_interface_id=eni)

    code = refused(
        ec2.modify_network_interface_attribute,
        NetworkInterfaceId=eni,
        Groups=world.resources["security_group_ids"][:1],
    )

    assert code == "AuthFailure"


def test_a_new_group_lets_everything_out_also_by_ipv6(world: World, ec2: Any) -> None:
    """Code must revoke what it reads back, in a VPC with IPv6 two rules."""
    group = ec2.create_security_group(GroupName="q", Description="q", VpcId=world.resources["vpc_id"])[
        "GroupId"
    ]

    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])[
        "SecurityGroupRules"
    ]
    assert {rule.get("CidrIpv4") or rule.get("CidrIpv6") for rule in rules} == {"0.0.0.0/0", "::/0"}
    ec2.revoke_security_group_egress(
        GroupId=group, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"] for rule in rules]
    )
    assert ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissionsEgress"] == []


def test_a_group_in_use_cannot_be_deleted(world: World, ec2: Any, refused: Refused) -> None:
    """Attached or referred to by another group's rule: DependencyViolation; else it goes."""
    web, _ = world.resources["security_group_ids"]
    vpc = world.resources["vpc_id"]
    target, referring = (
        ec2.create_security_group(GroupName=name, Description="g", VpcId=vpc)["GroupId"]
        for name in ("a", "b")
    )
    ec2.authorize_security_group_ingress(
        GroupId=referring,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [{"GroupId": target}]}
        ],
    )

    assert refused(ec2.delete_security_group, GroupId=web) == "DependencyViolation"
    assert refused(ec2.delete_security_group, GroupId=target) == "DependencyViolation"
    ec2.delete_security_group(GroupId=referring)
    ec2.delete_security_group(GroupId=target)


def test_protection_attributes_are_set_one_at_a_time(world: World, ec2: Any, refused: Refused) -> None:
    """Each attribute changes itself only, and a protected instance neither terminates nor stops."""
    instance_id = world.resources["instance_id"]
    before = world.state()["accounts"][world.resources["account_id"]]["regions"][world.region][
        "network_interfaces"
    ]

    ec2.modify_instance_attribute(InstanceId=instance_id, DisableApiTermination={"Value": True})
    ec2.modify_instance_attribute(InstanceId=instance_id, DisableApiStop={"Value": True})
    ec2.modify_instance_attribute(
        InstanceId=instance_id, InstanceInitiatedShutdownBehavior={"Value": "terminate"}
    )
    ec2.modify_instance_attribute(
        InstanceId=instance_id,
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": False}}],
    )

    state = world.state()["accounts"][world.resources["account_id"]]["regions"][world.region]
    instance = state["instances"][instance_id]
    assert state["network_interfaces"] == before
    assert (instance["disable_api_termination"], instance["disable_api_stop"]) == (True, True)
    assert instance["shutdown_behavior"] == "terminate"
    assert instance["block_devices"]["/dev/sda1"]["delete_on_termination"] is False
    assert refused(ec2.terminate_instances, InstanceIds=[instance_id]) == "OperationNotPermitted"
    assert refused(ec2.stop_instances, InstanceIds=[instance_id]) == "OperationNotPermitted"
    assert (
        refused(
            ec2.modify_instance_attribute,
            InstanceId=instance_id,
            DisableApiStop={"Value": False},
            DisableApiTermination={"Value": False},
        )
        == "InvalidParameterCombination"
    )


@pytest.mark.parametrize(
    ("attribute", "answer", "value"),
    [
        ("disableApiTermination", "DisableApiTermination", {"Value": False}),
        ("disableApiStop", "DisableApiStop", {"Value": False}),
        ("instanceInitiatedShutdownBehavior", "InstanceInitiatedShutdownBehavior", {"Value": "stop"}),
    ],
)
def test_an_attribute_can_be_read(world: World, ec2: Any, attribute: str, answer: str, value: object) -> None:
    """The values that protection replaces can be recorded before."""
    described = ec2.describe_instance_attribute(
        InstanceId=world.resources["instance_id"], Attribute=attribute
    )

    assert described[answer] == value


def test_block_devices_can_be_read(world: World, ec2: Any) -> None:
    """DeleteOnTermination of each volume can be recorded before."""
    described = ec2.describe_instance_attribute(
        InstanceId=world.resources["instance_id"], Attribute="blockDeviceMapping"
    )["BlockDeviceMappings"]

    assert {mapping["Ebs"]["VolumeId"] for mapping in described} == set(world.resources["volume_ids"])


def test_stopping_takes_time(world: World, ec2: Any, refused: Refused) -> None:
    """An instance is stopping before it is stopped, and cannot be started meanwhile."""
    instance_id = world.resources["instance_id"]

    def state() -> str:
        described = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
        return str(described["State"]["Name"])

    ec2.stop_instances(InstanceIds=[instance_id])
    assert state() == "stopping"
    assert refused(ec2.start_instances, InstanceIds=[instance_id]) == "IncorrectInstanceState"

    world.advance(10)
    assert state() == "stopped"
    ec2.start_instances(InstanceIds=[instance_id])
    assert state() == "running"


def test_a_replaced_profile_shows_on_the_instance(world: World, ec2: Any, iam: Any) -> None:
    """DescribeInstances agrees with the association."""
    iam.create_instance_profile(InstanceProfileName="empty")
    association = ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"][0]

    ec2.replace_iam_instance_profile_association(
        AssociationId=association["AssociationId"], IamInstanceProfile={"Name": "empty"}
    )

    instance = ec2.describe_instances()["Reservations"][0]["Instances"][0]
    assert instance["IamInstanceProfile"]["Arn"].endswith("instance-profile/empty")


def test_a_removed_profile_is_gone(world: World, ec2: Any) -> None:
    """After the disassociation neither the instance nor the list of associations shows a profile."""
    association = ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"][0]

    ec2.disassociate_iam_instance_profile(AssociationId=association["AssociationId"])

    assert ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"] == []
    assert "IamInstanceProfile" not in ec2.describe_instances()["Reservations"][0]["Instances"][0]


def test_a_client_token_makes_one_instance(world: World, ec2: Any, refused: Refused) -> None:
    """The same token and parameters answer as before; the same token with others is refused."""
    launch = {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1, "ClientToken": "run/step"}

    first, second = (ec2.run_instances(**launch)["Instances"][0]["InstanceId"] for _ in range(2))

    assert first == second
    assert refused(ec2.run_instances, **launch, InstanceType="m5.large") == "IdempotentParameterMismatch"
    reservations = ec2.describe_instances()["Reservations"]
    assert len([i for reservation in reservations for i in reservation["Instances"]]) == 2


def test_a_dry_run_changes_nothing(world: World, ec2: Any, refused: Refused) -> None:
    """DryRun answers DryRunOperation, has no effect and is not counted as mutating."""
    before = world.state()

    code = refused(ec2.create_snapshot, VolumeId=world.resources["volume_ids"][0], DryRun=True)

    assert code == "DryRunOperation"
    assert world.state() == before
    assert world.calls(mutating=True) == []


def test_what_is_not_simulated_says_so(ec2: Any, refused: Refused) -> None:
    """No false success for an operation that neither the world nor moto has."""
    assert refused(ec2.get_spot_placement_scores, TargetCapacity=1) == "InvalidAction"


def test_a_terminated_instance_takes_its_interfaces_along(world: World, ec2: Any) -> None:
    """Interfaces and volumes go by their DeleteOnTermination; the profile association ends."""
    ec2.terminate_instances(InstanceIds=[world.resources["instance_id"]])
    world.advance(10)

    region = world.state()["accounts"][world.resources["account_id"]]["regions"][world.region]
    assert region["instances"][world.resources["instance_id"]]["state"] == "terminated"
    assert region["network_interfaces"] == {}
    assert len(region["volumes"]) == 2
    assert ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"] == []


def test_metadata_options_that_are_not_given_stay(world: World, ec2: Any) -> None:
    """Switching the endpoint off does not reset the token setting."""
    instance_id = world.resources["instance_id"]
    ec2.modify_instance_metadata_options(InstanceId=instance_id, HttpTokens="required")

    ec2.modify_instance_metadata_options(InstanceId=instance_id, HttpEndpoint="disabled")

    options = ec2.describe_instances()["Reservations"][0]["Instances"][0]["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpEndpoint"]) == ("required", "disabled")


def test_ipv6_egress_is_revoked_also_without_ipv6_in_the_vpc(world: World, ec2: Any, member: str) -> None:
    """A revocation that is answered with success took place."""
    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName="q", Description="q", VpcId=vpc)["GroupId"]
    rule = [{"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}]
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=rule)

    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=rule)

    egress = world.state()["accounts"][member]["regions"][world.region]["security_groups"][group]["egress"]
    assert egress == [{"protocol": "-1", "cidr_ipv4": "0.0.0.0/0"}]


def test_a_change_of_nothing_is_refused(world: World, ec2: Any, refused: Refused) -> None:
    """An empty list of groups says nothing on the wire, and AWS wants at least one attribute."""
    eni, before = world.resources["network_interface_ids"][0], world.state()

    code = refused(ec2.modify_network_interface_attribute, NetworkInterfaceId=eni, Groups=[])

    assert code == "InvalidParameterCombination"
    assert (
        refused(ec2.modify_instance_attribute, InstanceId=world.resources["instance_id"], Groups=[]) == code
    )
    assert world.state() == before


@pytest.mark.parametrize("key", ["aws:autoscaling:groupName", "AWS:x"])
def test_tag_keys_of_aws_are_refused(world: World, ec2: Any, key: str) -> None:
    """Reserved keys can neither be set, removed, nor given to what is created."""
    resource, tags = [world.resources["instance_id"]], [{"Key": key, "Value": "x"}]
    specification = [{"ResourceType": "security-group", "Tags": tags}]
    reserved = f"InvalidParameterValue.*{key}.*reserved for internal use"

    with pytest.raises(ClientError, match=reserved):
        ec2.create_tags(Resources=resource, Tags=tags)
    with pytest.raises(ClientError, match=reserved):
        ec2.delete_tags(Resources=resource, Tags=tags)
    with pytest.raises(ClientError, match=reserved):
        ec2.create_security_group(GroupName="t", Description="t", TagSpecifications=specification)


def test_what_is_not_found_is_named_alone(world: World, ec2: Any) -> None:
    """The message names the one that is missing, not those that exist, and is no Python."""
    known = world.resources["security_group_ids"][0]

    with pytest.raises(ClientError, match="The security group 'sg-00000000000000000' does not exist"):
        ec2.describe_security_groups(GroupIds=[known, "sg-00000000000000000"])
    with pytest.raises(ClientError, match="The security group 'nobody' does not exist"):
        ec2.describe_security_groups(GroupNames=["nobody"])
    with pytest.raises(ClientError, match="The volume 'vol-00000000000000000' does not exist"):
        ec2.describe_volumes(VolumeIds=["vol-00000000000000000"])
