"""``aws.route53resolver.block-domains``: no answer for domains, in a VPC; the only cut for DNS tunnels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pydantic import Field

from irrunner.actions.contract import (
    Act,
    Action,
    Broken,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    Refused,
    Settled,
    State,
    Token,
    Waiting,
    Where,
)
from irrunner.actions.ids import DomainName, VpcId, is_token
from irrunner.actions.registry import action
from irrunner.actions.route53resolver.firewall import (
    ASSOCIATIONS,
    BLOCKING,
    COMPLETE,
    FIRST_PRIORITY,
    GROUPS,
    LAST_PRIORITY,
    LISTS,
    READ_FIREWALL,
    SERVICE,
    Firewall,
    canonical,
    look_at_firewall,
    name_of,
)
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

GUIDE: Final = "https://docs.aws.amazon.com/Route53/latest/DeveloperGuide"
API: Final = "https://docs.aws.amazon.com/Route53/latest/APIReference"
DOMAIN_LIST: Final = Token("domain-list")
RULE_GROUP: Final = Token("rule-group")
NEEDED: Final = ("amazonaws.com", "amazonaws.com.cn", "aws.amazon.com", "api.aws", "aws", "amazon.com")
"""Without these no API of AWS is reachable from the VPC."""
REGIONAL: Final = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}\.(amazonaws\.com(\.cn)?|api\.aws)")
"""Below these are the APIs of a Region."""
MOST_DOMAINS: Final = 500


class BlockDomainsParams(Model):
    """Parameters."""

    vpc_id: VpcId
    domains: tuple[DomainName, ...] = Field(min_length=1, max_length=MOST_DOMAINS)
    subdomains: bool = True
    """Block what is below each domain as well: a DNS tunnel asks for ever new names there."""
    priority: int | None = Field(default=None, ge=FIRST_PRIORITY, le=LAST_PRIORITY)
    """Of the rule group in the VPC, where it is not there yet; without it, the first free one."""


class BlockDomainsState(State):
    """The VPC's firewall."""

    vpc_id: str
    wanted: tuple[str, ...]
    firewall: Firewall
    request_id: str
    """Makes a repeated creation the same."""

    def footprint(self) -> dict[str, str | None]:
        """Return what happens to questions for each domain."""
        return {f"{self.vpc_id}/{domain}": self.firewall.verdict(domain) for domain in self.wanted}


class BlockDomainsOutputs(Model):
    """Outputs."""

    vpc_id: str
    domains: tuple[str, ...]
    """As they are blocked; ``*.`` stands for all below."""
    firewall_domain_list_id: str
    firewall_rule_group_id: str


@action(
    "aws.route53resolver.block-domains",
    title="Block domains in a VPC by DNS Firewall",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=300.0,
    permissions=(
        *READ_FIREWALL,
        Permission("ec2:DescribeVpcs"),
        Permission(f"{SERVICE}:CreateFirewallDomainList", LISTS, use="act"),
        Permission(f"{SERVICE}:UpdateFirewallDomains", LISTS, use="act"),
        Permission(f"{SERVICE}:CreateFirewallRuleGroup", GROUPS, use="act"),
        Permission(f"{SERVICE}:CreateFirewallRule", GROUPS, use="act"),
        Permission(f"{SERVICE}:CreateFirewallRule", LISTS, use="act"),
        Permission(f"{SERVICE}:UpdateFirewallRule", GROUPS, use="act"),
        Permission(f"{SERVICE}:UpdateFirewallRule", LISTS, use="act"),
        Permission(f"{SERVICE}:AssociateFirewallRuleGroup", ASSOCIATIONS, use="act"),
        Permission(f"{SERVICE}:AssociateFirewallRuleGroup", GROUPS, use="act"),
        Permission(f"{SERVICE}:UpdateFirewallDomains", LISTS, use="undo"),
        Permission(f"{SERVICE}:DisassociateFirewallRuleGroup", ASSOCIATIONS, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Takes our domains off the list; with the last of them the VPC leaves the rule group.",
    may_expire=True,
    sources=(
        f"{GUIDE}/resolver-dns-firewall-overview.html",
        f"{GUIDE}/resolver-dns-firewall-rule-actions.html",
        f"{API}/API_route53resolver_AssociateFirewallRuleGroup.html",
        f"{API}/API_route53resolver_UpdateFirewallDomains.html",
    ),
)
class BlockDomains(Action[BlockDomainsParams, BlockDomainsState]):
    """Make list, rule group, rule and association where they are missing, and put the domains on the list."""

    Params = BlockDomainsParams
    Outputs = BlockDomainsOutputs
    StateModel = BlockDomainsState

    def look(self, ctx: LookContext, params: BlockDomainsParams) -> BlockDomainsState:
        """Read the VPC and its firewall."""
        if not ctx.api.pages("ec2:DescribeVpcs", "Vpcs[]", VpcIds=[params.vpc_id]):
            raise TargetNotFound(f"no VPC {params.vpc_id} here", hint="check the account and the Region")
        return BlockDomainsState(
            vpc_id=params.vpc_id,
            wanted=tuple(entries_of(params)),
            firewall=look_at_firewall(ctx.api, params.vpc_id, ctx.where.account_id),
            request_id=f"irrunner-{ctx.marker}"[-255:],
        )

    def decide(self, params: BlockDomainsParams, state: BlockDomainsState) -> Decision:
        """Make what is missing, then wait until the VPC uses it."""
        refusal = _refusal(params, state.firewall)
        if refusal:
            return Refused(refusal)
        stuck = _unready(state.firewall)
        if stuck is not None:
            return stuck
        calls = tuple(_missing(params, state))
        if calls:
            return Act(calls)
        if state.firewall.own is not None and state.firewall.own.status != COMPLETE:
            return Waiting(f"the VPC's rule groups are {state.firewall.own.status}", poll_s=5.0)
        return Settled(_outputs(state), tuple(_warnings(state)))

    def foresee(self, params: BlockDomainsParams, state: BlockDomainsState, step: str) -> PlannedOutputs:
        """Return the outputs; ids of what is not made yet are tokens."""
        del step
        if _refusal(params, state.firewall):
            return PlannedOutputs({})
        return PlannedOutputs(_outputs(state).model_dump(mode="json"))

    def targets(self, params: BlockDomainsParams, where: Where) -> tuple[str, ...]:
        """Return the VPC."""
        return (f"arn:{where.partition}:ec2:{where.region}:{where.account_id}:vpc/{params.vpc_id}",)

    def undo_calls(
        self,
        params: BlockDomainsParams,
        before: BlockDomainsState,
        after: BlockDomainsState,
        now: BlockDomainsState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Take the domains off; where none is left, let the VPC leave the group, which costs by question."""
        listed = now.firewall.domains
        domains = [domain for domain in now.wanted if f"{now.vpc_id}/{domain}" in keys]
        if listed is None or not domains:
            return ()
        calls = [_change_domains(listed.list_id, domains, now.vpc_id, "REMOVE")]
        if now.firewall.own is not None and not set(listed.domains) - set(domains):
            calls.append(
                Call(
                    f"{SERVICE}:DisassociateFirewallRuleGroup",
                    {"FirewallRuleGroupAssociationId": now.firewall.own.association_id},
                    target=now.vpc_id,
                    summary=f"Let {now.vpc_id} leave the rule group {name_of(now.vpc_id)}: its list is empty",
                    before=now.firewall.own.group_id,
                    after=None,
                    optional=True,
                )
            )
        return tuple(calls)


def entries_of(params: BlockDomainsParams) -> Iterator[str]:
    """Yield the entries of the list that block what is asked for, each once, in order."""
    found = {canonical(domain) for domain in params.domains}
    if params.subdomains:
        found |= {f"*.{domain}" for domain in found if not domain.startswith("*.") and not is_token(domain)}
    yield from sorted(found)


def _refusal(params: BlockDomainsParams, firewall: Firewall) -> str | None:
    for domain in entries_of(params):
        bare = domain.removeprefix("*.")
        needed = any(name == bare or name.endswith(f".{bare}") for name in NEEDED)
        if needed or REGIONAL.fullmatch(bare):
            return (
                f"{domain} is AWS itself: without it nothing in the VPC reaches its APIs; block the exact "
                "names that are asked for, with subdomains: false"
            )
    taken = {found.priority: found.name or found.group_id for found in firewall.associations}
    if firewall.own is None and params.priority in taken:
        return (
            f"priority {params.priority} of the VPC is that of {taken[params.priority]}: give another "
            "one, or none"
        )
    if firewall.own is None and params.priority is None and _free_priority(firewall) is None:
        return "every priority of the VPC is taken: remove a rule group from it"
    return None


def _free_priority(firewall: Firewall) -> int | None:
    taken = {found.priority for found in firewall.associations}
    return next((n for n in range(FIRST_PRIORITY, LAST_PRIORITY + 1) if n not in taken), None)


def _unready(firewall: Firewall) -> Waiting | Broken | None:
    """Return why nothing can be changed now, if so."""
    listed = firewall.domains
    if listed is not None and listed.status not in (COMPLETE, "COMPLETE_IMPORT_FAILED"):
        return Waiting(f"the domain list is {listed.status}", poll_s=5.0)
    if firewall.own is not None and firewall.own.status == "DELETING":
        return Waiting("the VPC is leaving the rule group", poll_s=5.0)
    return None


def _missing(params: BlockDomainsParams, state: BlockDomainsState) -> Iterator[Call]:
    firewall, vpc_id = state.firewall, state.vpc_id
    listed = firewall.domains
    list_id: str | Token = listed.list_id if listed else DOMAIN_LIST
    group_id: str | Token = firewall.group_id or RULE_GROUP
    made = {"CreatorRequestId": state.request_id, "Name": name_of(vpc_id)}
    if listed is None:
        yield Call(
            f"{SERVICE}:CreateFirewallDomainList", made, str(DOMAIN_LIST),
            f"Create the domain list {made['Name']} (kept for reuse)", reversible=False,
            yields={DOMAIN_LIST.name: "FirewallDomainList.Id"},
        )  # fmt: skip
    new = [domain for domain in state.wanted if listed is None or domain not in listed.domains]
    if new:
        yield _change_domains(list_id, new, vpc_id, "ADD")
    if firewall.group_id is None:
        yield Call(
            f"{SERVICE}:CreateFirewallRuleGroup", made, str(RULE_GROUP),
            f"Create the rule group {made['Name']} (kept for reuse)", reversible=False,
            yields={RULE_GROUP.name: "FirewallRuleGroup.Id"},
        )  # fmt: skip
    if firewall.rule != BLOCKING:
        yield _rule(firewall, list_id, group_id, made)
    if firewall.own is None:
        priority = params.priority or _free_priority(firewall)
        yield Call(
            f"{SERVICE}:AssociateFirewallRuleGroup",
            {**made, "FirewallRuleGroupId": group_id, "VpcId": vpc_id, "Priority": priority},
            target=vpc_id,
            summary=f"Let {vpc_id} use the rule group {made['Name']}, priority {priority}",
            before=None,
            after=str(group_id),
        )


def _rule(firewall: Firewall, list_id: str | Token, group_id: str | Token, made: dict[str, str]) -> Call:
    """Return the call after which the domains of the list are blocked."""
    wanted: dict[str, str | int | Token] = {
        "FirewallRuleGroupId": group_id,
        "FirewallDomainListId": list_id,
        "Action": "BLOCK",
        "BlockResponse": "NXDOMAIN",
    }
    operation = "UpdateFirewallRule"
    if firewall.rule is None:
        operation = "CreateFirewallRule"
        taken = set(firewall.rule_priorities)
        wanted |= {**made, "Priority": next(n for n in range(1, len(taken) + 2) if n not in taken)}
    return Call(
        f"{SERVICE}:{operation}",
        wanted,
        target=str(group_id),
        summary=f"Answer questions for the domains of {made['Name']} with NXDOMAIN",
        before=firewall.rule,
        after=BLOCKING,
        reversible=False,
    )


def _change_domains(list_id: str | Token, domains: list[str], vpc_id: str, operation: str) -> Call:
    adds = operation == "ADD"
    return Call(
        f"{SERVICE}:UpdateFirewallDomains",
        {"FirewallDomainListId": list_id, "Operation": operation, "Domains": domains},
        target=str(list_id),
        summary=f"{'Block' if adds else 'Unblock'} {', '.join(domains)} in {vpc_id}",
        before=[] if adds else domains,
        after=domains if adds else [],
    )


def _outputs(state: BlockDomainsState) -> BlockDomainsOutputs:
    listed = state.firewall.domains
    return BlockDomainsOutputs(
        vpc_id=state.vpc_id,
        domains=state.wanted,
        firewall_domain_list_id=listed.list_id if listed else str(DOMAIN_LIST),
        firewall_rule_group_id=state.firewall.group_id or str(RULE_GROUP),
    )


def _warnings(state: BlockDomainsState) -> Iterator[str]:
    own = state.firewall.own
    before = [
        found.name or found.group_id
        for found in state.firewall.associations
        if own is not None and found.priority < own.priority
    ]
    if before:
        yield f"rule groups that are asked first may allow these domains: {', '.join(before)}"
    yield (
        "not blocked: names that hosts know already, other resolvers (8.8.8.8, DNS over HTTPS: block them by "
        "group or network ACL), and connections that are open"
    )
