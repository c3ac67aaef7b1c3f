"""DNS Firewall, which moto does not have: lists, rule groups, and associations that take a while.

Source: Route 53 Resolver API reference (firewall operations and their errors); priorities of associations
lie between 100 and 9900, and are the VPC's own each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from gameday.world import seam
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

SERVICE: Final = "route53resolver"
SETTLING_S: Final = 8.0
LEAVING_S: Final = 8.0
PAGE: Final = 20
_BETWEEN: Final = (100, 9900)
_ACTIONS: Final = {"ALLOW", "ALERT", "BLOCK"}


@dataclass
class Firewall:
    """All of an account and Region, by id."""

    lists: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    associations: dict[str, dict[str, Any]] = field(default_factory=dict)


def firewall_of(backend: Any) -> Firewall:
    """Return the firewall of an account and Region; it hangs on moto's EC2, where the VPCs are."""
    found: Firewall = backend.__dict__.setdefault("dns_firewall", Firewall())
    return found


def create_domain_list(scene: Scene) -> Mapping[str, Any]:
    """Make an empty list, or answer a repeated request with the one that it made."""
    made = _create(scene, _own(scene).lists, "rslvr-fdl", "firewall-domain-list")
    made.setdefault("Domains", [])
    return {"FirewallDomainList": _shown(made, DomainCount=len(made["Domains"]))}


def create_rule_group(scene: Scene) -> Mapping[str, Any]:
    """Make a group without rules."""
    made = _create(scene, _own(scene).groups, "rslvr-frg", "firewall-rule-group")
    made.update(OwnerId=scene.account, ShareStatus="NOT_SHARED")
    _own(scene).rules.setdefault(made["Id"], [])
    return {"FirewallRuleGroup": _shown(made, RuleCount=len(_own(scene).rules[made["Id"]]))}


def update_domains(scene: Scene) -> Mapping[str, Any]:
    """Add, remove or replace domains; not while the list is being changed."""
    found = _find(_own(scene).lists, scene.params["FirewallDomainListId"], "firewall domain list")
    if found["Status"] != "COMPLETE":
        raise Refusal("ConflictException", f"The firewall domain list {found['Id']} is {found['Status']}")
    given = {domain.rstrip(".").lower() + "." for domain in scene.params["Domains"]}
    now = set(found["Domains"])
    after = {"ADD": now | given, "REMOVE": now - given, "REPLACE": given}[scene.params["Operation"]]
    found["Domains"] = sorted(after)
    _for_a_while(scene, found, "UPDATING")
    return {"Id": found["Id"], "Name": found["Name"], "Status": found["Status"]}


def create_rule(scene: Scene) -> Mapping[str, Any]:
    """Add a rule; its priority and its list are once in a group."""
    params, own = scene.params, _own(scene)
    _find(own.groups, params["FirewallRuleGroupId"], "firewall rule group")
    _find(own.lists, params["FirewallDomainListId"], "firewall domain list")
    rules = own.rules[params["FirewallRuleGroupId"]]
    same = next((rule for rule in rules if rule["CreatorRequestId"] == params["CreatorRequestId"]), None)
    if same is not None:
        return {"FirewallRule": same}
    if any(rule["Priority"] == params["Priority"] for rule in rules):
        raise Refusal("ValidationException", f"The priority {params['Priority']} is already used")
    if any(rule["FirewallDomainListId"] == params["FirewallDomainListId"] for rule in rules):
        raise Refusal("ConflictException", "A rule with this domain list exists")
    _check_action(params)
    rules.append({name: params[name] for name in sorted(params)})
    return {"FirewallRule": rules[-1]}


def update_rule(scene: Scene) -> Mapping[str, Any]:
    """Change action and answer of the rule of a list."""
    params = scene.params
    for rule in _own(scene).rules.get(params["FirewallRuleGroupId"], []):
        if rule["FirewallDomainListId"] == params["FirewallDomainListId"]:
            _check_action(params)
            rule.update(params)
            return {"FirewallRule": rule}
    raise Refusal("ResourceNotFoundException", "No such firewall rule")


def associate(scene: Scene) -> Mapping[str, Any]:
    """Let a VPC use a group; the priority must be free there."""
    params, own = scene.params, _own(scene)
    _find(own.groups, params["FirewallRuleGroupId"], "firewall rule group")
    if params["VpcId"] not in seam.ec2(scene.account, scene.region).vpcs:
        raise Refusal("ResourceNotFoundException", f"The VPC {params['VpcId']} does not exist")
    low, high = _BETWEEN
    if not low < params["Priority"] < high:
        raise Refusal("ValidationException", f"The priority must be between {low} and {high}")
    used = [found for found in own.associations.values() if found["VpcId"] == params["VpcId"]]
    same = next((found for found in used if found["CreatorRequestId"] == params["CreatorRequestId"]), None)
    if same is not None and same["Status"] != "DELETING":
        return {"FirewallRuleGroupAssociation": same}
    if any(found["FirewallRuleGroupId"] == params["FirewallRuleGroupId"] for found in used):
        raise Refusal("ConflictException", "The VPC already uses this rule group")
    if any(found["Priority"] == params["Priority"] for found in used):
        raise Refusal("ConflictException", f"The priority {params['Priority']} is used in the VPC")
    made = {**params, **_identity(scene, "rslvr-frgassoc", "firewall-rule-group-association")}
    made.setdefault("MutationProtection", "DISABLED")
    own.associations[made["Id"]] = made
    _for_a_while(scene, made, "UPDATING")
    return {"FirewallRuleGroupAssociation": made}


def disassociate(scene: Scene) -> Mapping[str, Any]:
    """Let a VPC leave a group; it takes a while."""
    own = _own(scene)
    found = _find(own.associations, scene.params["FirewallRuleGroupAssociationId"], "association")
    if found["MutationProtection"] == "ENABLED":
        raise Refusal("ValidationException", "Mutation protection is enabled for the association")
    found["Status"] = "DELETING"
    due = scene.realm.clock.now() + timedelta(seconds=LEAVING_S)

    def leave() -> None:
        own.associations.pop(found["Id"], None)

    scene.realm.schedule.at(due, leave)
    return {"FirewallRuleGroupAssociation": found}


def get_domain_list(scene: Scene) -> Mapping[str, Any]:
    """Describe a list."""
    found = _find(_own(scene).lists, scene.params["FirewallDomainListId"], "firewall domain list")
    return {"FirewallDomainList": _shown(found, DomainCount=len(found["Domains"]))}


def list_domain_lists(scene: Scene) -> Mapping[str, Any]:
    """List the lists."""
    return _page(scene, "FirewallDomainLists", [_brief(found) for found in _own(scene).lists.values()])


def list_rule_groups(scene: Scene) -> Mapping[str, Any]:
    """List the groups."""
    return _page(scene, "FirewallRuleGroups", [_brief(found) for found in _own(scene).groups.values()])


def list_domains(scene: Scene) -> Mapping[str, Any]:
    """List the domains of a list, as AWS writes them."""
    found = _find(_own(scene).lists, scene.params["FirewallDomainListId"], "firewall domain list")
    return _page(scene, "Domains", found["Domains"])


def list_rules(scene: Scene) -> Mapping[str, Any]:
    """List the rules of a group."""
    _find(_own(scene).groups, scene.params["FirewallRuleGroupId"], "firewall rule group")
    return _page(scene, "FirewallRules", _own(scene).rules[scene.params["FirewallRuleGroupId"]])


def list_associations(scene: Scene) -> Mapping[str, Any]:
    """List associations, of a VPC if one is named."""
    vpc_id = scene.params.get("VpcId")
    found = [a for a in _own(scene).associations.values() if vpc_id in (None, a["VpcId"])]
    return _page(scene, "FirewallRuleGroupAssociations", found)


def show_firewalls(backend: Any) -> Mapping[str, Any]:
    """Show what VPCs use, by VPC and name of the association; and lists that hold domains."""
    own = firewall_of(backend)
    used = {
        f"{found['VpcId']}/{found['Name']}": {
            "priority": found["Priority"],
            "status": found["Status"],
            "rules": sorted(
                f"{rule['Priority']} {rule['Action']} {rule.get('BlockResponse', '')} "
                f"{own.lists[rule['FirewallDomainListId']]['Name']}"
                for rule in own.rules[found["FirewallRuleGroupId"]]
            ),
        }
        for found in own.associations.values()
    }
    lists = {found["Name"]: {"domains": found["Domains"]} for found in own.lists.values() if found["Domains"]}
    return used | lists


def _own(scene: Scene) -> Firewall:
    return firewall_of(seam.ec2(scene.account, scene.region))


def _identity(scene: Scene, prefix: str, kind: str) -> dict[str, str]:
    asked = (
        f"{prefix} {scene.account} {scene.region} {scene.params['CreatorRequestId']} {scene.params['Name']}"
    )
    made = f"{prefix}-{hashlib.sha256(asked.encode()).hexdigest()[:16]}"
    return {"Id": made, "Arn": f"arn:aws:{SERVICE}:{scene.region}:{scene.account}:{kind}/{made}"}


def _create(scene: Scene, known: dict[str, dict[str, Any]], prefix: str, kind: str) -> dict[str, Any]:
    made = {
        **_identity(scene, prefix, kind),
        "Name": scene.params["Name"],
        "CreatorRequestId": scene.params["CreatorRequestId"],
        "Status": "COMPLETE",
    }
    return known.setdefault(made["Id"], made)


def _find(known: Mapping[str, dict[str, Any]], name: str, what: str) -> dict[str, Any]:
    if name not in known:
        raise Refusal("ResourceNotFoundException", f"The {what} '{name}' does not exist")
    return known[name]


def _check_action(params: Mapping[str, Any]) -> None:
    if params["Action"] not in _ACTIONS or (params["Action"] == "BLOCK") != ("BlockResponse" in params):
        raise Refusal("ValidationException", "BLOCK, and only BLOCK, needs a block response")


def _for_a_while(scene: Scene, found: dict[str, Any], status: str) -> None:
    """Let something be in a passing state."""
    found["Status"] = status

    def settle() -> None:
        if found["Status"] == status:
            found["Status"] = "COMPLETE"

    scene.realm.schedule.at(scene.realm.clock.now() + timedelta(seconds=SETTLING_S), settle)


def _shown(found: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "Domains"} | more


def _brief(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: found[name]
        for name in ("Id", "Arn", "Name", "OwnerId", "CreatorRequestId", "ShareStatus")
        if name in found
    }


def _page(scene: Scene, name: str, found: list[Any]) -> dict[str, Any]:
    start = int(scene.params.get("NextToken") or 0)
    end = start + min(int(scene.params.get("MaxResults") or PAGE), PAGE)
    more = {"NextToken": str(end)} if end < len(found) else {}
    return {name: found[start:end], **more}


LAYER: Final = StrictLayer(
    answers={
        f"{SERVICE}:CreateFirewallDomainList": create_domain_list,
        f"{SERVICE}:CreateFirewallRuleGroup": create_rule_group,
        f"{SERVICE}:UpdateFirewallDomains": update_domains,
        f"{SERVICE}:CreateFirewallRule": create_rule,
        f"{SERVICE}:UpdateFirewallRule": update_rule,
        f"{SERVICE}:AssociateFirewallRuleGroup": associate,
        f"{SERVICE}:DisassociateFirewallRuleGroup": disassociate,
        f"{SERVICE}:GetFirewallDomainList": get_domain_list,
        f"{SERVICE}:ListFirewallDomainLists": list_domain_lists,
        f"{SERVICE}:ListFirewallRuleGroups": list_rule_groups,
        f"{SERVICE}:ListFirewallDomains": list_domains,
        f"{SERVICE}:ListFirewallRules": list_rules,
        f"{SERVICE}:ListFirewallRuleGroupAssociations": list_associations,
    }
)
