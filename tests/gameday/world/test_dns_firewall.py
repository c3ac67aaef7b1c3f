"""DNS Firewall of the world: idempotent requests, clashes, and states that pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gameday.world import World

Refused = Callable[..., str]


@pytest.fixture
def resolver(world: World, member: str) -> Any:
    """Return the resolver of the member account."""
    return world.client(member, "route53resolver")


@pytest.fixture
def made(resolver: Any, world: World) -> dict[str, Any]:
    """Return a group that blocks one domain in the VPC."""
    listed = resolver.create_firewall_domain_list(CreatorRequestId="1", Name="list")["FirewallDomainList"][
        "Id"
    ]
    resolver.update_firewall_domains(FirewallDomainListId=listed, Operation="ADD", Domains=["Evil.example"])
    group = resolver.create_firewall_rule_group(CreatorRequestId="2", Name="group")["FirewallRuleGroup"]["Id"]
    rule = {
        "CreatorRequestId": "3", "FirewallRuleGroupId": group, "FirewallDomainListId": listed, "Priority": 1,
        "Action": "BLOCK", "BlockResponse": "NXDOMAIN", "Name": "rule",
    }  # fmt: skip
    resolver.create_firewall_rule(**rule)
    use = {
        "CreatorRequestId": "4", "FirewallRuleGroupId": group, "VpcId": world.resources["vpc_id"],
        "Priority": 101, "Name": "use",
    }  # fmt: skip
    association = resolver.associate_firewall_rule_group(**use)["FirewallRuleGroupAssociation"]
    return {"list": listed, "group": group, "rule": rule, "use": use, "association": association["Id"]}


def test_states_pass(resolver: Any, world: World, member: str, made: dict[str, Any]) -> None:
    """A change is used only after a while; domains come back as AWS writes them."""
    ask = {"FirewallDomainListId": made["list"]}
    assert resolver.get_firewall_domain_list(**ask)["FirewallDomainList"]["Status"] == "UPDATING"
    world.advance(10)
    assert resolver.get_firewall_domain_list(**ask)["FirewallDomainList"]["Status"] == "COMPLETE"
    assert resolver.list_firewall_domains(**ask)["Domains"] == ["evil.example."]
    shown = world.state()["accounts"][member]["regions"][world.region]["dns_firewalls"]
    assert shown[f"{world.resources['vpc_id']}/use"]["status"] == "COMPLETE"
    resolver.disassociate_firewall_rule_group(FirewallRuleGroupAssociationId=made["association"])
    world.advance(10)
    assert resolver.list_firewall_rule_group_associations()["FirewallRuleGroupAssociations"] == []


def test_clashes(resolver: Any, world: World, made: dict[str, Any], refused: Refused) -> None:
    """Priorities and lists are once; a list that is being changed is not changed again."""
    other = resolver.create_firewall_rule_group(CreatorRequestId="5", Name="other")["FirewallRuleGroup"]["Id"]
    rule, use = made["rule"] | {"CreatorRequestId": "6"}, made["use"] | {"CreatorRequestId": "7"}

    assert refused(resolver.create_firewall_rule, **rule) == "ValidationException"
    assert refused(resolver.create_firewall_rule, **rule | {"Priority": 2}) == "ConflictException"
    assert refused(resolver.associate_firewall_rule_group, **use) == "ConflictException"
    assert (
        refused(resolver.associate_firewall_rule_group, **use | {"FirewallRuleGroupId": other})
        == "ConflictException"
    )
    changed = {"FirewallDomainListId": made["list"], "Operation": "ADD", "Domains": ["x.example"]}
    assert refused(resolver.update_firewall_domains, **changed) == "ConflictException"
    nowhere = use | {"VpcId": "vpc-0", "FirewallRuleGroupId": other}
    assert refused(resolver.associate_firewall_rule_group, **nowhere) == "ResourceNotFoundException"


def test_a_repeated_request_makes_nothing_new(resolver: Any, made: dict[str, Any]) -> None:
    """The same CreatorRequestId is the same request."""
    again = resolver.create_firewall_domain_list(CreatorRequestId="1", Name="list")["FirewallDomainList"]
    rule = resolver.create_firewall_rule(**made["rule"])["FirewallRule"]
    use = resolver.associate_firewall_rule_group(**made["use"])["FirewallRuleGroupAssociation"]

    assert again["Id"] == made["list"]
    assert rule["Priority"] == 1
    assert use["Id"] == made["association"]
    assert len(resolver.list_firewall_rules(FirewallRuleGroupId=made["group"])["FirewallRules"]) == 1


def test_lists_have_pages(resolver: Any) -> None:
    """What reads one page only does not find what is on the second."""
    for number in range(25):
        resolver.create_firewall_domain_list(CreatorRequestId=f"r{number}", Name=f"list-{number}")
    first = resolver.list_firewall_domain_lists()
    second = resolver.list_firewall_domain_lists(NextToken=first["NextToken"])

    assert (len(first["FirewallDomainLists"]), len(second["FirewallDomainLists"])) == (20, 5)
