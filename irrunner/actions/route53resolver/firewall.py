"""The DNS Firewall of a VPC as far as our blocks go: one list, one rule group, one association. Reads only.

They are found by name, because a name is all that AWS lists without asking for each; the rule is read, and
never trusted.

Source: Route 53 Resolver developer guide, "Route 53 Resolver DNS Firewall".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from irrunner.actions.contract import Model, Permission, ReadApi

SERVICE: Final = "route53resolver"
COMPLETE: Final = "COMPLETE"
BLOCKING: Final = "BLOCK/NXDOMAIN"
FIRST_PRIORITY: Final = 101
LAST_PRIORITY: Final = 9899
"""AWS keeps 100 and 9900 for itself."""
_PLACE: Final = "arn:{partition}:route53resolver:{region}:{account}"
LISTS: Final = f"{_PLACE}:firewall-domain-list/*"
GROUPS: Final = f"{_PLACE}:firewall-rule-group/*"
ASSOCIATIONS: Final = f"{_PLACE}:firewall-rule-group-association/*"
READ_FIREWALL: Final = tuple(
    Permission(f"{SERVICE}:{operation}")
    for operation in (
        "ListFirewallDomainLists",
        "GetFirewallDomainList",
        "ListFirewallDomains",
        "ListFirewallRuleGroups",
        "ListFirewallRules",
        "ListFirewallRuleGroupAssociations",
    )
)


class DomainList(Model):
    """Our list of domains."""

    list_id: str
    status: str
    reason: str = ""
    domains: tuple[str, ...]
    """Canonical, sorted."""


class Association(Model):
    """A rule group that a VPC uses."""

    association_id: str
    group_id: str
    name: str
    priority: int
    status: str
    reason: str = ""


class Firewall(Model):
    """What is there of a VPC's blocks; None where a part is not made yet."""

    domains: DomainList | None = None
    group_id: str | None = None
    rule: str | None = None
    """``BLOCK/NXDOMAIN``: action and answer of our rule."""
    rule_priorities: tuple[int, ...] = ()
    associations: tuple[Association, ...] = ()
    """Of the VPC, ours among them, sorted by priority."""

    @property
    def own(self) -> Association | None:
        """Return the association of our group."""
        return next((found for found in self.associations if found.group_id == self.group_id), None)

    def verdict(self, domain: str) -> str | None:
        """Return what happens to questions for a domain of ours: ``BLOCK/NXDOMAIN``, or None: nothing."""
        listed = self.domains is not None and domain in self.domains.domains
        used = self.own is not None and self.own.status != "DELETING"
        return self.rule if listed and used else None


def name_of(vpc_id: str) -> str:
    """Return the name of list, group, rule and association of a VPC."""
    return f"irrunner-blocked-{vpc_id}"


def canonical(domain: str) -> str:
    """Return a domain as it is compared: AWS answers in small letters, with a dot at the end."""
    return domain.rstrip(".").lower()


def look_at_firewall(api: ReadApi, vpc_id: str, account_id: str) -> Firewall:
    """Read the parts of a VPC's blocks."""
    name = name_of(vpc_id)
    lists = api.pages(f"{SERVICE}:ListFirewallDomainLists", "FirewallDomainLists[]")
    groups = api.pages(f"{SERVICE}:ListFirewallRuleGroups", "FirewallRuleGroups[]")
    own_list = next((found["Id"] for found in lists if found["Name"] == name), None)
    group_id = next(
        (
            found["Id"]
            for found in groups
            if found["Name"] == name and found.get("OwnerId") in (account_id, None)
        ),
        None,
    )
    rules = (
        api.pages(f"{SERVICE}:ListFirewallRules", "FirewallRules[]", FirewallRuleGroupId=group_id)
        if group_id
        else []
    )
    used = api.pages(
        f"{SERVICE}:ListFirewallRuleGroupAssociations", "FirewallRuleGroupAssociations[]", VpcId=vpc_id
    )
    return Firewall(
        domains=_domain_list(api, own_list) if own_list else None,
        group_id=group_id,
        rule=next((_rule(rule) for rule in rules if rule.get("FirewallDomainListId") == own_list), None),
        rule_priorities=tuple(sorted(rule["Priority"] for rule in rules)),
        associations=tuple(sorted(map(_association, used), key=lambda found: found.priority)),
    )


def _domain_list(api: ReadApi, list_id: str) -> DomainList:
    found = api.call(f"{SERVICE}:GetFirewallDomainList", FirewallDomainListId=list_id)["FirewallDomainList"]
    domains = api.pages(f"{SERVICE}:ListFirewallDomains", "Domains[]", FirewallDomainListId=list_id)
    return DomainList(
        list_id=list_id,
        status=found["Status"],
        reason=found.get("StatusMessage") or "",
        domains=tuple(sorted(map(canonical, domains))),
    )


def _rule(described: Mapping[str, Any]) -> str:
    answer = described.get("BlockResponse")
    return f"{described['Action']}/{answer}" if answer else str(described["Action"])


def _association(described: Mapping[str, Any]) -> Association:
    return Association(
        association_id=described["Id"],
        group_id=described["FirewallRuleGroupId"],
        name=described.get("Name") or "",
        priority=described["Priority"],
        status=described["Status"],
        reason=described.get("StatusMessage") or "",
    )
