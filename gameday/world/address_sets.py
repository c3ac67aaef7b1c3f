"""Rule groups of Network Firewall, which moto does not have, and what WAF refuses of IP sets.

Source: Network Firewall API reference (UpdateRuleGroup, InvalidTokenException); AWS WAF API reference
(UpdateIPSet: addresses are CIDR blocks of the set's version, none of them /0).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any, Final

from gameday.world import seam
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

WAF_LIMIT: Final = 10_000
_VERSIONS: Final = {"IPV4": 4, "IPV6": 6}


def create_rule_group(scene: Scene) -> Mapping[str, Any]:
    """Make a rule group; it is in one firewall policy."""
    name, kind = scene.params["RuleGroupName"], scene.params["Type"]
    arn = f"arn:aws:network-firewall:{scene.region}:{scene.account}:{kind.lower()}-rulegroup/{name}"
    groups = rule_groups_of(seam.ec2(scene.account, scene.region))
    if arn in groups:
        raise Refusal("InvalidRequestException", f"A resource with the name {name} exists")
    about = {
        "RuleGroupArn": arn, "RuleGroupName": name, "RuleGroupId": _digest(arn), "Type": kind,
        "Capacity": scene.params["Capacity"], "RuleGroupStatus": "ACTIVE", "NumberOfAssociations": 1,
    }  # fmt: skip
    if scene.params.get("Description"):
        about["Description"] = scene.params["Description"]
    groups[arn] = {"RuleGroup": scene.params["RuleGroup"], "RuleGroupResponse": about, "Version": 1}
    return {"UpdateToken": _token(groups[arn]), "RuleGroupResponse": about}


def describe_rule_group(scene: Scene) -> Mapping[str, Any]:
    """Describe a rule group, with the token that its next update needs."""
    found = _group(scene)
    return {
        "UpdateToken": _token(found),
        "RuleGroup": found["RuleGroup"],
        "RuleGroupResponse": found["RuleGroupResponse"],
    }


def update_rule_group(scene: Scene) -> Mapping[str, Any]:
    """Write a rule group as a whole; with a token that somebody else has used up it is refused."""
    found = _group(scene)
    if scene.params["UpdateToken"] != _token(found):
        raise Refusal("InvalidTokenException", "The token you provided is stale or isn't valid.")
    sets = (scene.params["RuleGroup"].get("RuleVariables") or {}).get("IPSets") or {}
    for each in sets.values():
        for text in each["Definition"]:
            _network(text, "InvalidRequestException")
    found["RuleGroup"] = scene.params["RuleGroup"]
    found["RuleGroupResponse"].pop("Description", None)
    if scene.params.get("Description"):
        found["RuleGroupResponse"]["Description"] = scene.params["Description"]
    found["Version"] += 1
    return {"UpdateToken": _token(found), "RuleGroupResponse": found["RuleGroupResponse"]}


def check_ip_set(scene: Scene) -> None:
    """Refuse addresses of the wrong kind, /0, host bits, and too many."""
    addresses, version = scene.params.get("Addresses") or [], scene.params.get("IPAddressVersion")
    if version is None:
        version = _version_of(scene)
    if len(addresses) > WAF_LIMIT:
        raise Refusal("WAFLimitsExceededException", f"More than {WAF_LIMIT} addresses")
    for text in addresses:
        found = _network(text, "WAFInvalidParameterException")
        if (version and found.version != _VERSIONS[version]) or found.prefixlen == 0 or "/" not in text:
            raise Refusal("WAFInvalidParameterException", f"Error reason: {text} is no address of {version}")


def rule_groups_of(backend: Any) -> dict[str, dict[str, Any]]:
    """Return the rule groups of an account and Region; they hang on moto's EC2."""
    found: dict[str, dict[str, Any]] = backend.__dict__.setdefault("firewall_rule_groups", {})
    return found


def show_rule_groups(backend: Any) -> Mapping[str, Any]:
    """Show rule groups by ARN."""
    return {
        arn: {
            "rule_group": found["RuleGroup"],
            "description": found["RuleGroupResponse"].get("Description", ""),
        }
        for arn, found in rule_groups_of(backend).items()
    }


def show_ip_sets(backend: Any) -> Mapping[str, Any]:
    """Show IP sets by name and id; the order of addresses means nothing."""
    return {
        f"{found.scope}/{found.name}": {
            "version": found.ip_address_version,
            "addresses": sorted(found.addresses),
            "description": found.description or "",
        }
        for found in backend.ip_sets.values()
    }


def _group(scene: Scene) -> dict[str, Any]:
    name = scene.params.get("RuleGroupArn") or scene.params.get("RuleGroupName") or ""
    groups = rule_groups_of(seam.ec2(scene.account, scene.region))
    for arn, found in groups.items():
        if name in (arn, found["RuleGroupResponse"]["RuleGroupName"]):
            return found
    raise Refusal("ResourceNotFoundException", f"Unable to find the resource {name}")


def _version_of(scene: Scene) -> str | None:
    region = "global" if scene.params["Scope"] == "CLOUDFRONT" else scene.region
    sets = seam.backend("wafv2", scene.account, region).ip_sets.values()
    return next((str(s.ip_address_version) for s in sets if s.ip_set_id == scene.params["Id"]), None)


def _network(text: str, code: str) -> Any:
    try:
        return ip_network(text)
    except ValueError as problem:
        raise Refusal(code, f"{text} is no CIDR block") from problem


def _token(found: Mapping[str, Any]) -> str:
    return _digest(f"{found['RuleGroupResponse']['RuleGroupArn']} {found['Version']}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:36]


LAYER: Final = StrictLayer(
    rules={"wafv2:CreateIPSet": (check_ip_set,), "wafv2:UpdateIPSet": (check_ip_set,)},
    answers={
        "network-firewall:CreateRuleGroup": create_rule_group,
        "network-firewall:DescribeRuleGroup": describe_rule_group,
        "network-firewall:UpdateRuleGroup": update_rule_group,
    },
)
