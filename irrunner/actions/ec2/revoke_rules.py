"""``aws.ec2.revoke-security-group-rules``: close ports that a group opens to everybody, by rule id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from irrunner.actions.addresses import WIDEST_PREFIX, AddressBlock, canonical, covers, network
from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    Settled,
    State,
    Where,
)
from irrunner.actions.ec2.groups import ALREADY_REVOKED, ANYWHERE, DESCRIBE_GROUPS
from irrunner.actions.ec2.instances import API_REFERENCE, USER_GUIDE, tags_of
from irrunner.actions.ec2.interfaces import DESCRIBE_INTERFACES
from irrunner.actions.ids import SecurityGroupId, is_token
from irrunner.actions.registry import action
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

Port = Annotated[int, Field(ge=0, le=65535)]
EVERY_PORT: Final = (0, 65535)
ALL_PROTOCOLS: Final = "-1"
GROUP: Final = "arn:{partition}:ec2:{region}:{account}:security-group/{security_group_id}"
RULES: Final = "arn:{partition}:ec2:{region}:{account}:security-group-rule/*"


class RevokeRulesParams(Model):
    """Parameters."""

    security_group_id: SecurityGroupId
    ports: tuple[Port, ...] = Field(min_length=1, max_length=50)
    protocol: Literal["tcp", "udp"] = "tcp"
    sources: tuple[AddressBlock, ...] = Field(default=ANYWHERE, min_length=1, max_length=20)
    """A rule that opens a port to all of one of these is revoked; by default, to everybody."""


class GroupRule(Model):
    """An ingress rule for addresses, with all that makes an equal one."""

    rule_id: str
    group_id: str
    protocol: str
    from_port: int
    to_port: int
    source: str
    description: str = ""
    tags: Mapping[str, str] = {}

    def opens(self, protocol: str, port: int, source: str) -> bool:
        """Return whether it opens a port to all of a source."""
        if is_token(source) or not covers(network(self.source), network(source)):
            return False
        return self.protocol == ALL_PROTOCOLS or (
            self.protocol == protocol and self.from_port <= port <= self.to_port
        )

    def told(self) -> dict[str, Any]:
        """Return what makes a rule equal to another: all but its id, which AWS gives anew."""
        return self.model_dump(mode="json", exclude={"rule_id", "group_id"})

    def __str__(self) -> str:
        """Return it for people."""
        ports = "all ports" if self.protocol == ALL_PROTOCOLS else f"{self.from_port}-{self.to_port}"
        return f"{self.rule_id} ({self.protocol} {ports} from {self.source})"


class RevokeRulesState(State):
    """The group's rules, who uses the group, and what their other groups open."""

    security_group_id: str
    protocol: str
    ports: tuple[int, ...]
    sources: tuple[str, ...]
    rules: tuple[GroupRule, ...]
    """Ingress rules for addresses, of the group and of other groups of its users."""
    network_interface_ids: tuple[str, ...]
    instance_ids: tuple[str, ...]

    def opening(self, port: int, source: str) -> tuple[GroupRule, ...]:
        """Return the group's rules that open a port to a source."""
        return tuple(
            rule
            for rule in self.rules
            if rule.group_id == self.security_group_id and rule.opens(self.protocol, port, source)
        )

    def to_revoke(self) -> tuple[GroupRule, ...]:
        """Return the group's rules that open any of the ports, each once, sorted by id."""
        found = {rule for port in self.ports for source in self.sources for rule in self.ids(port, source)}
        return tuple(rule for rule in self.rules if rule.rule_id in found)

    def ids(self, port: int, source: str) -> tuple[str, ...]:
        """Return the ids of the rules that open a port to a source."""
        return tuple(rule.rule_id for rule in self.opening(port, source))

    def wide(self) -> tuple[GroupRule, ...]:
        """Return the group's rules that open a port to a large part of the Internet, and are not revoked."""
        return tuple(
            rule
            for rule in self.rules
            if rule.group_id == self.security_group_id
            and network(rule.source).prefixlen < WIDEST_PREFIX[network(rule.source).version]
            and any(rule.opens(self.protocol, port, rule.source) for port in self.ports)
            and rule not in self.to_revoke()
        )

    def footprint(self) -> dict[str, list[dict[str, Any]]]:
        """Return, for each port and source, the rules that open it."""
        return {
            f"{self.security_group_id}/{self.protocol}/{port}/{source}": [
                rule.told() for rule in self.opening(port, source)
            ]
            for port in self.ports
            for source in self.sources
        }


class RevokeRulesOutputs(Model):
    """Outputs."""

    security_group_id: str
    network_interface_ids: tuple[str, ...]
    """Who uses the group: all of them are closed."""
    instance_ids: tuple[str, ...]
    still_open_group_ids: tuple[str, ...]
    """Other groups of these interfaces that open one of the ports to one of the sources."""


@action(
    "aws.ec2.revoke-security-group-rules",
    title="Close ports that a security group opens to everybody",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(
        *DESCRIBE_GROUPS,
        DESCRIBE_INTERFACES,
        Permission("ec2:RevokeSecurityGroupIngress", GROUP, use="act"),
        Permission("ec2:RevokeSecurityGroupIngress", RULES, use="act"),
        Permission("ec2:AuthorizeSecurityGroupIngress", GROUP, use="undo"),
        Permission("ec2:AuthorizeSecurityGroupIngress", RULES, use="undo"),
        Permission(
            "ec2:CreateTags",
            RULES,
            use="undo",
            conditions={"StringEquals": {"ec2:CreateAction": "AuthorizeSecurityGroupIngress"}},
        ),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Makes equal rules again, with description and tags; AWS gives them new ids.",
    sources=(
        f"{USER_GUIDE}/security-group-connection-tracking.html",
        f"{API_REFERENCE}/API_RevokeSecurityGroupIngress.html",
        f"{API_REFERENCE}/API_DescribeSecurityGroupRules.html",
    ),
)
class RevokeSecurityGroupRules(Action[RevokeRulesParams, RevokeRulesState]):
    """Revoke every rule that opens one of the ports to one of the sources."""

    Params = RevokeRulesParams
    Outputs = RevokeRulesOutputs
    StateModel = RevokeRulesState

    def look(self, ctx: LookContext, params: RevokeRulesParams) -> RevokeRulesState:
        """Read the group's users, and the rules of all their groups."""
        group_id = params.security_group_id
        if not ctx.api.pages("ec2:DescribeSecurityGroups", "SecurityGroups[]", GroupIds=[group_id]):
            raise TargetNotFound(
                f"no security group {group_id} here", hint="check the account and the Region"
            )
        users = ctx.api.pages(
            "ec2:DescribeNetworkInterfaces",
            "NetworkInterfaces[]",
            Filters=[{"Name": "group-id", "Values": [group_id]}],
        )
        groups = {group_id} | {group["GroupId"] for user in users for group in user.get("Groups") or ()}
        rules = ctx.api.pages(
            "ec2:DescribeSecurityGroupRules",
            "SecurityGroupRules[]",
            Filters=[{"Name": "group-id", "Values": sorted(groups)}],
        )
        instances = {(user.get("Attachment") or {}).get("InstanceId") or "" for user in users} - {""}
        return RevokeRulesState(
            security_group_id=group_id,
            protocol=params.protocol,
            ports=tuple(sorted(set(params.ports))),
            sources=tuple(sorted(set(params.sources))),
            rules=tuple(sorted(_address_rules(rules), key=lambda rule: rule.rule_id)),
            network_interface_ids=tuple(sorted(user["NetworkInterfaceId"] for user in users)),
            instance_ids=tuple(sorted(instances)),
        )

    def decide(self, params: RevokeRulesParams, state: RevokeRulesState) -> Decision:
        """Revoke what opens the ports, in one call."""
        rules = state.to_revoke()
        if not rules:
            return Settled(_outputs(state), tuple(_warnings(state)))
        return Act(
            (
                Call(
                    "ec2:RevokeSecurityGroupIngress",
                    {
                        "GroupId": state.security_group_id,
                        "SecurityGroupRuleIds": [rule.rule_id for rule in rules],
                    },
                    target=state.security_group_id,
                    summary=f"Revoke {', '.join(map(str, rules))} of {state.security_group_id}",
                    before=[rule.told() for rule in rules],
                    after=[],
                    tolerate=ALREADY_REVOKED,
                ),
            )
        )

    def foresee(self, params: RevokeRulesParams, state: RevokeRulesState, step: str) -> PlannedOutputs:
        """Return the outputs: revoking does not change who uses the group."""
        del step
        return PlannedOutputs(_outputs(state).model_dump(mode="json"))

    def targets(self, params: RevokeRulesParams, where: Where) -> tuple[str, ...]:
        """Return the group."""
        place = f"arn:{where.partition}:ec2:{where.region}:{where.account_id}"
        return (f"{place}:security-group/{params.security_group_id}",)

    def undo_calls(
        self,
        params: RevokeRulesParams,
        before: RevokeRulesState,
        after: RevokeRulesState,
        now: RevokeRulesState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Authorise equal rules; those of equal tags in one call, for tags are given to a call."""
        lost = {
            rule_id
            for port in before.ports
            for source in before.sources
            if f"{before.security_group_id}/{before.protocol}/{port}/{source}" in keys
            for rule_id in before.ids(port, source)
        }
        present = [rule.told() for rule in now.to_revoke()]
        rules = [r for r in before.to_revoke() if r.rule_id in lost and r.told() not in present]
        by_tags = groupby(sorted(rules, key=_tags), key=_tags)
        return tuple(_authorize(before.security_group_id, list(equal)) for _, equal in by_tags)


def _address_rules(described: Iterable[Mapping[str, Any]]) -> Iterator[GroupRule]:
    for rule in described:
        source = rule.get("CidrIpv4") or rule.get("CidrIpv6")
        if rule["IsEgress"] or not source:
            continue
        protocol = str(rule["IpProtocol"])
        low, high = (rule.get("FromPort", -1), rule.get("ToPort", -1))
        every = protocol == ALL_PROTOCOLS
        yield GroupRule(
            rule_id=rule["SecurityGroupRuleId"],
            group_id=rule["GroupId"],
            protocol=protocol,
            from_port=EVERY_PORT[0] if every else low,
            to_port=EVERY_PORT[1] if every else high,
            source=canonical(source),
            description=rule.get("Description") or "",
            tags=tags_of(rule),
        )


def _tags(rule: GroupRule) -> list[tuple[str, str]]:
    return sorted(rule.tags.items())


def _authorize(group_id: str, rules: list[GroupRule]) -> Call:
    params: dict[str, Any] = {"GroupId": group_id, "IpPermissions": [_permission(rule) for rule in rules]}
    tags = [{"Key": key, "Value": value} for key, value in _tags(rules[0])]
    if tags:
        params["TagSpecifications"] = [{"ResourceType": "security-group-rule", "Tags": tags}]
    return Call(
        "ec2:AuthorizeSecurityGroupIngress",
        params,
        target=group_id,
        summary=f"Make rules equal to {', '.join(map(str, rules))} in {group_id}",
        before=[],
        after=[rule.told() for rule in rules],
        tolerate=("InvalidPermission.Duplicate",),
    )


def _permission(rule: GroupRule) -> dict[str, Any]:
    ranges, field = ("Ipv6Ranges", "CidrIpv6") if ":" in rule.source else ("IpRanges", "CidrIp")
    described = {"Description": rule.description} if rule.description else {}
    ports = {} if rule.protocol == ALL_PROTOCOLS else {"FromPort": rule.from_port, "ToPort": rule.to_port}
    return {"IpProtocol": rule.protocol, **ports, ranges: [{field: rule.source, **described}]}


def _still_open(state: RevokeRulesState) -> tuple[str, ...]:
    found = {
        rule.group_id
        for rule in state.rules
        for port in state.ports
        for source in state.sources
        if rule.group_id != state.security_group_id and rule.opens(state.protocol, port, source)
    }
    return tuple(sorted(found))


def _outputs(state: RevokeRulesState) -> RevokeRulesOutputs:
    return RevokeRulesOutputs(
        security_group_id=state.security_group_id,
        network_interface_ids=state.network_interface_ids,
        instance_ids=state.instance_ids,
        still_open_group_ids=_still_open(state),
    )


def _warnings(state: RevokeRulesState) -> Iterator[str]:
    if state.instance_ids:
        yield f"{state.security_group_id} is used by {', '.join(state.instance_ids)}: closed for all of them"
    if state.wide():
        wide = ", ".join(map(str, state.wide()))
        yield f"still open to a large part of the Internet: {wide}: name its source"
    still = _still_open(state)
    if still:
        yield f"still open through other groups of the same interfaces: {', '.join(still)}"
    yield "open connections live on until they end: a security group tracks them; a network ACL cuts them"
