"""Network ACLs: what guards a subnet, and what its entries let through. Reads only, no decisions.

Source: VPC user guide, "Network ACL rules": entries are evaluated by number, the first that matches
decides; ACLs are stateless, so that an entry cuts open flows, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from irrunner.actions.addresses import Network, canonical, covers, network, overlaps
from irrunner.actions.contract import Model, Permission, ReadApi, Where
from irrunner.errors import TargetNotFound

ACLS: Final = "arn:{partition}:ec2:{region}:{account}:network-acl/*"
VPC_GUIDE: Final = "https://docs.aws.amazon.com/vpc/latest/userguide"
DESCRIBE_ACLS: Final = Permission("ec2:DescribeNetworkAcls")
ALL_PROTOCOLS: Final = "-1"
INGRESS: Final = "ingress"
EGRESS: Final = "egress"


class AclEntry(Model):
    """One entry of a network ACL."""

    number: int
    egress: bool
    allow: bool
    protocol: str
    block: str
    """CIDR text, IPv4 or IPv6."""

    @property
    def network(self) -> Network:
        """Return the addresses that it is about."""
        return network(self.block)


class Acl(Model):
    """A network ACL with its entries and the subnets that it guards."""

    network_acl_id: str
    vpc_id: str
    owner_id: str
    default: bool
    entries: tuple[AclEntry, ...]
    subnets: Mapping[str, str]
    """Subnet id to the id of its association, which changes with every replacement."""
    tags: Mapping[str, str] = {}

    def facing(self, *, egress: bool) -> list[AclEntry]:
        """Return the entries of one direction, in the order of their evaluation."""
        return sorted(
            (entry for entry in self.entries if entry.egress == egress), key=lambda entry: entry.number
        )


def direction(*, egress: bool) -> str:
    """Return the word for a direction."""
    return EGRESS if egress else INGRESS


def acl_of(described: Mapping[str, Any]) -> Acl:
    """Return an ACL as EC2 describes it."""
    return Acl(
        network_acl_id=described["NetworkAclId"],
        vpc_id=described["VpcId"],
        owner_id=described.get("OwnerId", ""),
        default=bool(described.get("IsDefault")),
        entries=tuple(_entry(entry) for entry in described.get("Entries") or ()),
        subnets={
            found["SubnetId"]: found["NetworkAclAssociationId"]
            for found in sorted(described.get("Associations") or (), key=lambda item: str(item["SubnetId"]))
        },
        tags={tag["Key"]: tag.get("Value", "") for tag in described.get("Tags") or ()},
    )


def _entry(described: Mapping[str, Any]) -> AclEntry:
    return AclEntry(
        number=described["RuleNumber"],
        egress=bool(described.get("Egress")),
        allow=described["RuleAction"] == "allow",
        protocol=str(described["Protocol"]),
        block=canonical(described.get("CidrBlock") or described["Ipv6CidrBlock"]),
    )


def acls_where(api: ReadApi, name: str, values: Iterable[str]) -> list[Acl]:
    """Return the ACLs that a filter finds, sorted by id."""
    wanted = sorted(set(values))
    found = api.pages("ec2:DescribeNetworkAcls", "NetworkAcls", Filters=[{"Name": name, "Values": wanted}])
    return sorted((acl_of(described) for described in found), key=lambda acl: acl.network_acl_id)


def all_acls(api: ReadApi) -> list[Acl]:
    """Return every ACL of the account and Region, sorted by id."""
    found = api.pages("ec2:DescribeNetworkAcls", "NetworkAcls")
    return sorted(map(acl_of, found), key=lambda acl: acl.network_acl_id)


def acls_of_subnets(api: ReadApi, subnet_ids: Iterable[str]) -> list[Acl]:
    """Return the ACLs that guard the subnets.

    Raises:
        TargetNotFound: If a subnet does not exist, or is guarded by none.
    """
    wanted = sorted(set(subnet_ids))
    acls = acls_where(api, "association.subnet-id", wanted)
    missing = set(wanted) - {subnet_id for acl in acls for subnet_id in acl.subnets}
    if missing:
        raise TargetNotFound(f"no subnet {', '.join(sorted(missing))} here", hint="check account and Region")
    return acls


def blocking(entries: Iterable[AclEntry], block: Network) -> int | None:
    """Return the number of the entry that keeps all traffic with a block out, or None.

    Args:
        entries: Of one direction, in the order of their evaluation.
        block: The addresses.
    """
    for entry in entries:
        if not overlaps(entry.network, block):
            continue
        if entry.allow:
            return None
        if entry.protocol == ALL_PROTOCOLS and covers(entry.network, block):
            return entry.number
    return None


def acl_arn(where: Where, network_acl_id: str) -> str:
    """Return the ARN of an ACL."""
    return f"arn:{where.partition}:ec2:{where.region}:{where.account_id}:network-acl/{network_acl_id}"


def subnet_arn(where: Where, subnet_id: str) -> str:
    """Return the ARN of a subnet of the incident's account."""
    return f"arn:{where.partition}:ec2:{where.region}:{where.account_id}:subnet/{subnet_id}"
