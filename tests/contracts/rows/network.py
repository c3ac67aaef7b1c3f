"""Blocks in the network: ACL entries and associations, rules of groups, flow logs."""

from __future__ import annotations

from ipaddress import ip_network

from gameday.world import seam
from tests.contracts.bench import Bench
from tests.contracts.row import Row, Values

ADDRESS = "198.51.100.7"


def subnet(bench: Bench) -> Values:
    """An address, and the subnet of the instance."""
    return {"address": ADDRESS, "subnet_ids": [bench.resources["subnet_id"]]}


def subnets_of_instance(bench: Bench) -> Values:
    """An IPv6 range, and an instance whose ACL lets everything in by its first entries."""
    return {
        "address": "2001:db8:bad::/48",
        "instance_id": bench.resources["instance_id"],
        "directions": "ingress",
    }


def erase_subnet(bench: Bench, values: Values) -> None:
    """The subnet, what was in it, and the ACLs of its VPC do not exist any more."""
    backend = seam.ec2(bench.account, bench.where.region)
    gone = bench.resources["subnet_id"]
    for name, acl in list(backend.network_acls.items()):
        if acl.vpc_id == bench.resources["vpc_id"]:
            del backend.network_acls[name]
    backend.reservations.clear()
    for zone in backend.subnets.values():
        zone.pop(gone, None)


def renumber(bench: Bench, values: Values) -> None:
    """Somebody gives the entry that lets nothing in another number."""
    backend = seam.ec2(bench.account, bench.where.region)
    for acl in backend.network_acls.values():
        for entry in acl.network_acl_entries:
            if (
                ip_network(values["address"]).with_prefixlen in (entry.cidr_block, entry.ipv6_cidr_block)
                and not entry.egress
            ):
                entry.rule_number = 50


def crowded_subnet(bench: Bench) -> Values:
    """The subnet of the instance."""
    return {"subnet_id": bench.resources["subnet_id"]}


def known_quarantine(bench: Bench) -> Values:
    """A deny-all ACL of an earlier incident."""
    ec2 = bench.client("ec2")
    tags = [
        {"Key": "irrunner:purpose", "Value": "quarantine"},
        {"Key": "Name", "Value": "irrunner-quarantine"},
    ]
    specification = {"ResourceType": "network-acl", "Tags": tags}
    ec2.create_network_acl(VpcId=bench.resources["vpc_id"], TagSpecifications=[specification])
    return crowded_subnet(bench)


def other_acl(bench: Bench, values: Values) -> None:
    """Somebody puts the subnet behind an ACL of their own."""
    ec2 = bench.client("ec2")
    acl = ec2.create_network_acl(VpcId=bench.resources["vpc_id"])["NetworkAcl"]["NetworkAclId"]
    filters = [{"Name": "association.subnet-id", "Values": [values["subnet_id"]]}]
    (now,) = ec2.describe_network_acls(Filters=filters)["NetworkAcls"]
    for found in now["Associations"]:
        if found["SubnetId"] == values["subnet_id"]:
            ec2.replace_network_acl_association(
                AssociationId=found["NetworkAclAssociationId"], NetworkAclId=acl
            )


def exposed(bench: Bench) -> Values:
    """A group that opens SSH to everybody twice: with tags and a description, and among all traffic."""
    ec2 = bench.client("ec2")
    group = bench.resources["security_group_ids"][1]
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 20, "ToPort": 30,
             "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "for the contractor"}]}
        ],
        TagSpecifications=[
            {"ResourceType": "security-group-rule", "Tags": [{"Key": "Ticket", "Value": "OPS-7"}]}
        ],
    )  # fmt: skip
    ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}]
    )
    return {"security_group_id": group, "ports": [22]}


def open_again(bench: Bench, values: Values) -> None:
    """Somebody opens the port to everybody by another rule."""
    bench.client("ec2").authorize_security_group_ingress(
        GroupId=values["security_group_id"],
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        ],
    )


def erase_group(bench: Bench, values: Values) -> None:
    """The group does not exist any more."""
    seam.ec2(bench.account, bench.where.region).groups[bench.resources["vpc_id"]].pop(
        values["security_group_id"]
    )


def unrecorded(bench: Bench) -> Values:
    """A VPC without flow logs, and the evidence bucket of the forensic account."""
    return {"resource_id": bench.resources["vpc_id"]}


def recorded_elsewhere(bench: Bench) -> Values:
    """An interface whose refused traffic is recorded in a bucket already; now all of it to a log group."""
    ec2, eni = bench.client("ec2"), bench.resources["network_interface_ids"][0]
    bench.client("s3").create_bucket(Bucket="flows-of-the-network-team")
    ec2.create_flow_logs(
        ResourceIds=[eni], ResourceType="NetworkInterface", TrafficType="REJECT", LogDestinationType="s3",
        LogDestination="arn:aws:s3:::flows-of-the-network-team",
    )  # fmt: skip
    bench.client("logs").create_log_group(logGroupName="/irrunner/flows")
    role = f"arn:aws:iam::{bench.account}:role/flow-logs"
    return {
        "resource_id": eni, "destination": "cloud-watch-logs", "log_group_name": "/irrunner/flows",
        "delivery_role_arn": role,
    }  # fmt: skip


def erase_network(bench: Bench, values: Values) -> None:
    """The resource does not exist any more."""
    backend = seam.ec2(bench.account, bench.where.region)
    backend.vpcs.pop(values["resource_id"], None)
    backend.enis.pop(values["resource_id"], None)


def record_anew(bench: Bench, values: Values) -> None:
    """Somebody deletes the flow log and makes another one to the same place."""
    logs = seam.ec2(bench.account, bench.where.region).flow_logs
    for name, log in list(logs.items()):
        if log.resource_id == values["resource_id"] and log.traffic_type == "ALL":
            log.id = "fl-00000000000000000"
            logs[log.id] = logs.pop(name)


CREATE_ENTRY = ("ec2:CreateNetworkAclEntry",)

ROWS = (
    Row("aws.ec2.block-address", subnet, erase_subnet, operations=CREATE_ENTRY, drift=renumber),
    Row(
        "aws.ec2.block-address", subnets_of_instance, erase_subnet, operations=CREATE_ENTRY, drift=renumber,
        name="instance",
    ),
    Row(
        "aws.ec2.quarantine-subnet", crowded_subnet, erase_subnet,
        operations=("ec2:CreateNetworkAcl", "ec2:ReplaceNetworkAclAssociation"), drift=other_acl,
    ),
    Row(
        "aws.ec2.quarantine-subnet", known_quarantine, erase_subnet,
        operations=("ec2:ReplaceNetworkAclAssociation",), drift=other_acl, name="reused",
    ),
    Row(
        "aws.ec2.revoke-security-group-rules", exposed, erase_group,
        operations=("ec2:RevokeSecurityGroupIngress",), drift=open_again,
    ),
    Row(
        "aws.ec2.enable-flow-logs", unrecorded, erase_network, operations=("ec2:CreateFlowLogs",),
        drift=record_anew,
    ),
    Row(
        "aws.ec2.enable-flow-logs", recorded_elsewhere, erase_network, operations=("ec2:CreateFlowLogs",),
        drift=record_anew, name="log-group",
    ),
)  # fmt: skip
