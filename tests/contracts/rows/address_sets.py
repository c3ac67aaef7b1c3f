"""Sets of addresses: IP sets of WAF, IP set variables of Network Firewall."""

from __future__ import annotations

from typing import Any

from gameday.world import seam
from gameday.world.address_sets import rule_groups_of
from tests.contracts.bench import Bench
from tests.contracts.row import Row, Values

RULES = (
    'drop ip $BLOCKED any -> $HOME_NET any (msg:"blocked"; sid:1;)\npass ip $PARTNERS any -> any any (sid:2;)'
)
ADDRESSES = ["198.51.100.7", "203.0.113.0/24"]


def regional(bench: Bench) -> Values:
    """A set with an address in it, by which a web ACL blocks."""
    return _ip_set(bench, "REGIONAL", ["192.0.2.1/32"], "IPV4", ADDRESSES)


def cloudfront(bench: Bench) -> Values:
    """An empty set of distributions, kept in us-east-1."""
    return _ip_set(bench, "CLOUDFRONT", [], "IPV6", ["2001:db8:bad::/48"])


def _ip_set(bench: Bench, scope: str, held: list[str], version: str, addresses: list[str]) -> Values:
    waf = bench.client("wafv2")
    made = waf.create_ip_set(
        Name="blocked", Scope=scope, IPAddressVersion=version, Addresses=held, Description="by security"
    )["Summary"]
    seen = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "m"}
    waf.create_web_acl(
        Name="edge", Scope=scope, DefaultAction={"Allow": {}}, VisibilityConfig=seen,
        Rules=[{
            "Name": "block-list", "Priority": 1, "Action": {"Block": {}}, "VisibilityConfig": seen,
            "Statement": {"IPSetReferenceStatement": {"ARN": made["ARN"]}},
        }],
    )  # fmt: skip
    return {"ip_set_name": "blocked", "ip_set_id": made["Id"], "scope": scope, "addresses": addresses}


def erase_ip_set(bench: Bench, values: Values) -> None:
    """The set does not exist any more."""
    for region in seam.used("wafv2", bench.account):
        seam.backend("wafv2", bench.account, region).ip_sets.clear()


def rule_group(bench: Bench) -> Values:
    """A rule group that drops by a variable, with others beside it."""
    rules: dict[str, Any] = {
        "RuleVariables": {
            "IPSets": {
                "BLOCKED": {"Definition": ["192.0.2.1/32"]},
                "PARTNERS": {"Definition": ["192.0.2.128/25"]},
            },
            "PortSets": {"WEB": {"Definition": ["443"]}},
        },
        "RulesSource": {"RulesString": RULES},
        "StatefulRuleOptions": {"RuleOrder": "STRICT_ORDER"},
    }
    bench.client("network-firewall").create_rule_group(
        RuleGroupName="egress", Type="STATEFUL", Capacity=100, RuleGroup=rules, Description="by security"
    )
    return {"rule_group_name": "egress", "variable": "BLOCKED", "addresses": ADDRESSES}


def erase_rule_group(bench: Bench, values: Values) -> None:
    """The group does not exist any more."""
    rule_groups_of(seam.ec2(bench.account, bench.where.region)).clear()


ROWS = (
    Row("aws.wafv2.block-addresses", regional, erase_ip_set, operations=("wafv2:UpdateIPSet",)),
    Row(
        "aws.wafv2.block-addresses", cloudfront, erase_ip_set, operations=("wafv2:UpdateIPSet",),
        name="cloudfront",
    ),
    Row(
        "aws.network-firewall.block-addresses", rule_group, erase_rule_group,
        operations=("network-firewall:UpdateRuleGroup",),
    ),
)  # fmt: skip
