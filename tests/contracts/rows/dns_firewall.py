"""DNS Firewall: domains of a VPC that nobody gets an answer for."""

from __future__ import annotations

from gameday.world import seam
from gameday.world.dns_firewall import firewall_of
from tests.contracts.bench import Bench
from tests.contracts.row import Row, Values


def vpc(bench: Bench) -> Values:
    """A VPC without a firewall."""
    return {"vpc_id": bench.resources["vpc_id"], "domains": ["evil.example", "*.tunnel.example."]}


def other_block(bench: Bench) -> Values:
    """A VPC in which another domain is blocked, by a rule that somebody weakened; and another group."""
    values = vpc(bench)
    action = bench.registry.get("aws.route53resolver.block-domains")
    bench.run(action, {**values, "domains": ["other.example"]})
    own = firewall_of(seam.ec2(bench.account, bench.where.region))
    for rules in own.rules.values():
        rules[0].update(Action="ALERT")
        rules[0].pop("BlockResponse")
    return values


def weaken(bench: Bench, values: Values) -> None:
    """Somebody lets the rule warn only; and takes all domains off but one."""
    own = firewall_of(seam.ec2(bench.account, bench.where.region))
    for rules in own.rules.values():
        rules[0].update(Action="ALERT")
        rules[0].pop("BlockResponse")
    for listed in own.lists.values():
        listed["Domains"] = ["evil.example."]


def erase_vpc(bench: Bench, values: Values) -> None:
    """The VPC does not exist any more."""
    seam.ec2(bench.account, bench.where.region).vpcs.pop(values["vpc_id"])


MAKE = (
    "route53resolver:CreateFirewallDomainList", "route53resolver:UpdateFirewallDomains",
    "route53resolver:CreateFirewallRuleGroup", "route53resolver:CreateFirewallRule",
    "route53resolver:AssociateFirewallRuleGroup",
)  # fmt: skip

ROWS = (
    Row("aws.route53resolver.block-domains", vpc, erase_vpc, operations=MAKE, drift=weaken),
    Row(
        "aws.route53resolver.block-domains", other_block, erase_vpc,
        operations=("route53resolver:UpdateFirewallDomains", "route53resolver:UpdateFirewallRule"),
        drift=weaken, name="reused",
    ),
)  # fmt: skip
