"""The two security groups of a VPC through which isolation goes, and the calls that make them right.

A security group tracks connections: a flow that was allowed stays open when its rule goes. Only flows
under an allow-all rule in both directions are untracked, and those end with the rule. So an interface
passes through the *conversion* group (allows everything) to the *quarantine* group (allows nothing).
A group that exists already is never trusted by its name: its rules are read, and made right by rule id.

Source: EC2 user guide, "Security group connection tracking".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from irrunner.actions.contract import Call, Model, Permission, Read, ReadApi, Token
from irrunner.actions.ec2.interfaces import GROUPS

ANYWHERE: Final = ("0.0.0.0/0", "::/0")
BORN_EGRESS: Final = frozenset({"0.0.0.0/0"})
"""A new group allows all egress; in a VPC with IPv6 also ``::/0`` (then authorising it is a duplicate)."""
QUARANTINE: Final = "quarantine"
CONVERSION: Final = "conversion"
DESCRIPTIONS: Final = {
    QUARANTINE: "irrunner: isolates compromised instances; has no rules",
    CONVERSION: "irrunner: passed through on the way to quarantine; allows everything",
}
ALREADY_REVOKED: Final = ("InvalidSecurityGroupRuleId.NotFound",)
DESCRIBE_GROUPS: Final = (
    Permission("ec2:DescribeSecurityGroups"),
    Permission("ec2:DescribeSecurityGroupRules"),
)
_VPCS: Final = "arn:{partition}:ec2:{region}:*:vpc/*"
"""A shared VPC belongs to another account than the groups in it."""
CHANGE_GROUPS: Final = (
    Permission("ec2:CreateSecurityGroup", GROUPS, use="act"),
    Permission("ec2:CreateSecurityGroup", _VPCS, use="act"),
    Permission(
        "ec2:CreateTags",
        GROUPS,
        use="act",
        conditions={"StringEquals": {"ec2:CreateAction": "CreateSecurityGroup"}},
    ),
    *(
        Permission(f"ec2:{operation}", GROUPS, use="act")
        for operation in (
            "AuthorizeSecurityGroupIngress",
            "AuthorizeSecurityGroupEgress",
            "RevokeSecurityGroupIngress",
            "RevokeSecurityGroupEgress",
        )
    ),
)


class Rule(Model):
    """A rule of a security group, as far as isolation asks."""

    rule_id: str
    egress: bool
    everything: str = ""
    """``0.0.0.0/0`` or ``::/0`` where the rule allows all traffic of it, else empty."""


class Group(Model):
    """A security group with its rules as read back."""

    group_id: str
    rules: tuple[Rule, ...] = ()
    unlisted: bool = False
    """DescribeSecurityGroups shows permissions, DescribeSecurityGroupRules none: the reads are not
    consistent yet, and an empty list of rules proves nothing."""

    @property
    def empty(self) -> bool:
        """Whether nothing may pass."""
        return not self.rules and not self.unlisted

    def allowed(self, *, egress: bool) -> frozenset[str]:
        """Return the ranges of :data:`ANYWHERE` to or from which everything may pass."""
        return frozenset(rule.everything for rule in self.rules if rule.egress == egress) - {""}

    @property
    def open(self) -> bool:
        """Whether everything may pass, both ways, IPv4 and IPv6."""
        return all(self.allowed(egress=egress).issuperset(ANYWHERE) for egress in (False, True))


class VpcGroups(Model):
    """The two groups of one VPC; None where there is none yet."""

    vpc_id: str
    quarantine: Group | None = None
    conversion: Group | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A group to be made or made right: what to call it, and the calls."""

    ref: str | Token
    """The group's id, or the token of one that the calls make."""
    calls: tuple[Call, ...]


def group_name(purpose: str, vpc_id: str) -> str:
    """Return the name of a VPC's group: ``irrunner-quarantine-vpc-0abc``."""
    return f"irrunner-{purpose}-{vpc_id}"


def look_at_groups(api: ReadApi, vpc_ids: Iterable[str]) -> tuple[VpcGroups, ...]:
    """Return the groups of each VPC with their rules, sorted by VPC. Two reads for any number of VPCs."""
    vpcs = sorted(set(vpc_ids))
    if not vpcs:
        return ()
    names = {(purpose, vpc): group_name(purpose, vpc) for purpose in DESCRIPTIONS for vpc in vpcs}
    described = api.pages(
        "ec2:DescribeSecurityGroups",
        "SecurityGroups[]",
        Filters=[
            {"Name": "vpc-id", "Values": vpcs},
            {"Name": "group-name", "Values": sorted(names.values())},
        ],
    )
    rules = _rules(api, [raw["GroupId"] for raw in described])
    found = {raw["GroupName"]: _group(raw, rules) for raw in described}
    return tuple(
        VpcGroups(
            vpc_id=vpc,
            quarantine=found.get(names[QUARANTINE, vpc]),
            conversion=found.get(names[CONVERSION, vpc]),
        )
        for vpc in vpcs
    )


def _rules(api: ReadApi, group_ids: list[str]) -> list[Mapping[str, Any]]:
    if not group_ids:
        return []
    filters = [{"Name": "group-id", "Values": sorted(group_ids)}]
    return api.pages("ec2:DescribeSecurityGroupRules", "SecurityGroupRules[]", Filters=filters)


def _group(raw: Mapping[str, Any], rules: Iterable[Mapping[str, Any]]) -> Group:
    own = tuple(_rule(rule) for rule in rules if rule["GroupId"] == raw["GroupId"])
    permissions = bool(raw.get("IpPermissions") or raw.get("IpPermissionsEgress"))
    return Group(group_id=raw["GroupId"], rules=own, unlisted=permissions and not own)


def _rule(raw: Mapping[str, Any]) -> Rule:
    source = raw.get("CidrIpv4") or raw.get("CidrIpv6") or ""
    everything = source if raw.get("IpProtocol") == "-1" and source in ANYWHERE else ""
    return Rule(rule_id=raw["SecurityGroupRuleId"], egress=bool(raw["IsEgress"]), everything=everything)


def want_quarantine(group: Group | None, vpc_id: str, suffix: str = "") -> Wanted:
    """Return the calls after which the quarantine group exists and has no rule.

    Args:
        group: As seen, or None.
        vpc_id: Its VPC.
        suffix: Of token names, where a plan has several VPCs.
    """
    if group is None:
        token = Token(f"quarantine-group{suffix}")
        return Wanted(token, (_create(QUARANTINE, vpc_id, token), _revoke_born(token, suffix)))
    return Wanted(group.group_id, tuple(_revoke(group, egress=egress) for egress in _directions(group)))


def want_conversion(group: Group | None, vpc_id: str, suffix: str = "") -> Wanted:
    """Return the calls after which the conversion group exists and allows everything, both ways.

    Args:
        group: As seen, or None.
        vpc_id: Its VPC.
        suffix: Of token names, where a plan has several VPCs.
    """
    if group is None:
        token = Token(f"conversion-group{suffix}")
        born = {False: frozenset[str](), True: BORN_EGRESS}
        return Wanted(token, (_create(CONVERSION, vpc_id, token), *_authorize(token, born)))
    allowed = {egress: group.allowed(egress=egress) for egress in (False, True)}
    return Wanted(group.group_id, tuple(_authorize(group.group_id, allowed)))


def _create(purpose: str, vpc_id: str, token: Token) -> Call:
    tags = [{"Key": "irrunner:purpose", "Value": purpose}]
    return Call(
        "ec2:CreateSecurityGroup",
        {
            "GroupName": group_name(purpose, vpc_id),
            "Description": DESCRIPTIONS[purpose],
            "VpcId": vpc_id,
            "TagSpecifications": [{"ResourceType": "security-group", "Tags": tags}],
        },
        target=str(token),
        summary=f"Create the {purpose} group {group_name(purpose, vpc_id)} (kept for reuse)",
        after=group_name(purpose, vpc_id),
        reversible=False,
        yields={token.name: "GroupId"},
    )


def _revoke_born(group: Token, suffix: str) -> Call:
    born = f"born-egress{suffix}"
    filters = [{"Name": "group-id", "Values": [group]}]
    return Call(
        "ec2:RevokeSecurityGroupEgress",
        {"GroupId": group, "SecurityGroupRuleIds": Token(born)},
        target=str(group),
        summary=f"Take the allow-all egress rules with which it was born off {group}",
        after=[],
        reversible=False,
        reads=(
            Read(
                "ec2:DescribeSecurityGroupRules",
                {"Filters": filters},
                {born: "SecurityGroupRules[?IsEgress].SecurityGroupRuleId"},
            ),
        ),
        skip_if_empty=born,
        tolerate=ALREADY_REVOKED,
    )


def _directions(group: Group) -> list[bool]:
    return sorted({rule.egress for rule in group.rules})


def _revoke(group: Group, *, egress: bool) -> Call:
    direction = "egress" if egress else "ingress"
    ids = sorted(rule.rule_id for rule in group.rules if rule.egress == egress)
    return Call(
        f"ec2:RevokeSecurityGroup{direction.capitalize()}",
        {"GroupId": group.group_id, "SecurityGroupRuleIds": ids},
        target=group.group_id,
        summary=f"Take {len(ids)} {direction} rule(s) off the quarantine group {group.group_id}",
        before=ids,
        after=[],
        reversible=False,
        tolerate=ALREADY_REVOKED,
    )


def close_conversion(group: str | Token) -> tuple[Call, ...]:
    """Return the calls after which the conversion group allows nothing: for an interface that is stuck in it.

    Args:
        group: Its id, or the token of one that was made just before.
    """
    return tuple(_close(group, egress=egress) for egress in (False, True))


def _close(group: str | Token, *, egress: bool) -> Call:
    direction = "egress" if egress else "ingress"
    rules = f"open-{direction}"
    path = f"SecurityGroupRules[?IsEgress == `{str(egress).lower()}`].SecurityGroupRuleId"
    filters = [{"Name": "group-id", "Values": [group]}]
    return Call(
        f"ec2:RevokeSecurityGroup{direction.capitalize()}",
        {"GroupId": group, "SecurityGroupRuleIds": Token(rules)},
        target=str(group),
        summary=f"Take all {direction} rules off the conversion group {group}, which cuts what is in it off",
        after=[],
        reversible=False,
        reads=(Read("ec2:DescribeSecurityGroupRules", {"Filters": filters}, {rules: path}),),
        skip_if_empty=rules,
        tolerate=ALREADY_REVOKED,
    )


def _authorize(group: str | Token, allowed: Mapping[bool, frozenset[str]]) -> Iterable[Call]:
    for egress in (False, True):
        missing = [source for source in ANYWHERE if source not in allowed[egress]]
        if not missing:
            continue
        direction = "egress" if egress else "ingress"
        yield Call(
            f"ec2:AuthorizeSecurityGroup{direction.capitalize()}",
            {"GroupId": group, "IpPermissions": [_all_traffic(missing)]},
            target=str(group),
            summary=f"Allow all {direction} {' and '.join(missing)} in the conversion group {group}",
            before=sorted(allowed[egress]),
            after=list(ANYWHERE),
            reversible=False,
            tolerate=("InvalidPermission.Duplicate",),
        )


def _all_traffic(sources: Iterable[str]) -> dict[str, Any]:
    ipv4 = [{"CidrIp": source} for source in sources if ":" not in source]
    ipv6 = [{"CidrIpv6": source} for source in sources if ":" in source]
    permission: dict[str, Any] = {"IpProtocol": "-1"}
    if ipv4:
        permission["IpRanges"] = ipv4
    if ipv6:
        permission["Ipv6Ranges"] = ipv6
    return permission
