"""IP sets and rule groups of the world refuse what AWS refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gameday.world import World

Refused = Callable[..., str]


@pytest.fixture
def waf(world: World, member: str) -> Any:
    """Return WAF of the member account."""
    return world.client(member, "wafv2")


@pytest.mark.parametrize(
    ("version", "address"),
    [("IPV4", "198.51.100.7"), ("IPV4", "198.51.100.7/24"), ("IPV4", "0.0.0.0/0"), ("IPV4", "2001:db8::/48"),
     ("IPV6", "198.51.100.7/32")],
)  # fmt: skip
def test_addresses_that_waf_refuses(waf: Any, refused: Refused, version: str, address: str) -> None:
    """A set takes CIDR blocks of its own version."""
    made = {"Name": "s", "Scope": "REGIONAL", "IPAddressVersion": version}

    assert refused(waf.create_ip_set, **made, Addresses=[address]) == "WAFInvalidParameterException"
    known = waf.create_ip_set(**made, Addresses=[])["Summary"]
    update = {"Name": "s", "Scope": "REGIONAL", "Id": known["Id"], "LockToken": known["LockToken"]}
    assert refused(waf.update_ip_set, **update, Addresses=[address]) == "WAFInvalidParameterException"


def test_a_used_token_is_refused(waf: Any, refused: Refused) -> None:
    """Optimistic locking: the token is good for one write."""
    made = waf.create_ip_set(Name="s", Scope="REGIONAL", IPAddressVersion="IPV4", Addresses=[])["Summary"]
    update = {"Name": "s", "Scope": "REGIONAL", "Id": made["Id"], "LockToken": made["LockToken"]}
    waf.update_ip_set(**update, Addresses=["198.51.100.7/32"])

    assert refused(waf.update_ip_set, **update, Addresses=[]) == "WAFOptimisticLockException"


def test_a_rule_group_is_written_as_a_whole(world: World, member: str, refused: Refused) -> None:
    """What an update leaves out is gone, its description too; a used token is refused."""
    firewall = world.client(member, "network-firewall")
    rules = {"RulesSource": {"RulesString": "drop ip any any -> any any (sid:1;)"}}
    made = firewall.create_rule_group(
        RuleGroupName="g", Type="STATEFUL", Capacity=10, RuleGroup=rules, Description="d"
    )
    update = {
        "RuleGroupName": "g",
        "Type": "STATEFUL",
        "RuleGroup": rules,
        "UpdateToken": made["UpdateToken"],
    }
    firewall.update_rule_group(**update)

    assert refused(firewall.update_rule_group, **update) == "InvalidTokenException"
    assert "Description" not in firewall.describe_rule_group(RuleGroupName="g")["RuleGroupResponse"]
    assert refused(firewall.describe_rule_group, RuleGroupName="x") == "ResourceNotFoundException"
