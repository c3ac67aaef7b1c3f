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
    """The subnet, and what was in it, does not exist any more."""
    backend = seam.ec2(bench.account, bench.where.region)
    gone = bench.resources["subnet_id"]
    for acl in backend.network_acls.values():
        for key, found in list(acl._associations.items()):
            if found.subnet_id == gone:
                del acl._associations[key]
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


CREATE_ENTRY = ("ec2:CreateNetworkAclEntry",)

ROWS = (
    Row("aws.ec2.block-address", subnet, erase_subnet, operations=CREATE_ENTRY, drift=renumber),
    Row(
        "aws.ec2.block-address", subnets_of_instance, erase_subnet, operations=CREATE_ENTRY, drift=renumber,
        name="instance",
    ),
)  # fmt: skip
