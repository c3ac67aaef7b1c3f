"""``aws.network-firewall.block-addresses``: add addresses to a variable that a rule group drops by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from irrunner.actions.address_sets import (
    AddressSetOutputs,
    AddressSetState,
    BlockInSet,
    SetUse,
    sorted_blocks,
)
from irrunner.actions.addresses import AddressBlock
from irrunner.actions.contract import Call, LookContext, Model, Permission, Read, Token, Where
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy

GROUP: Final = "arn:{partition}:network-firewall:{region}:{account}:stateful-rulegroup/{rule_group_name}"
GUIDE: Final = "https://docs.aws.amazon.com/network-firewall/latest/developerguide"
API: Final = "https://docs.aws.amazon.com/network-firewall/latest/APIReference"
RULE: Final = re.compile(
    r"^\s*(?P<effect>pass|drop|reject|alert|rejectsrc|rejectdst|rejectboth)\b(?P<rest>.*)$"
)
PARTS: Final = ("RulesSource", "ReferenceSets", "StatefulRuleOptions")
"""Parts of a rule group that are written back as they are."""
VARIABLES: Final = ("PortSets", "ContextSets")
SET_LIMIT: Final = 10_000


class BlockAddressesParams(Model):
    """Parameters."""

    rule_group_name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9-]{1,128}$")]
    """A stateful rule group."""
    variable: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,31}$")]
    """Its IP set variable, without the dollar sign, by which a rule drops."""
    addresses: tuple[AddressBlock, ...] = Field(min_length=1, max_length=1000)
    allow_internal: bool = False


class RuleGroupState(AddressSetState):
    """An IP set variable of a rule group."""

    arn: str
    variable: str
    known: bool
    """Whether the group has such a variable."""
    other_sets: Mapping[str, tuple[str, ...]]
    """The other variables, which are written with it."""
    parts: tuple[str, ...]
    """Which parts the group has beside; they are read again when it is written."""
    variables: tuple[str, ...]
    keep: Mapping[str, Any]
    """Settings that a write without them would reset."""
    associations: int


@action(
    "aws.network-firewall.block-addresses",
    title="Block addresses by an IP set of a Network Firewall rule group",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(
        Permission("network-firewall:DescribeRuleGroup", GROUP),
        Permission("network-firewall:UpdateRuleGroup", GROUP, use="act"),
        Permission("network-firewall:UpdateRuleGroup", GROUP, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Takes out the addresses that were added; what others added since stays.",
    may_expire=True,
    sources=(
        f"{GUIDE}/rule-groups-ip-set-references.html",
        f"{API}/API_UpdateRuleGroup.html",
        f"{API}/API_DescribeRuleGroup.html",
    ),
)
class BlockAddresses(BlockInSet[BlockAddressesParams, RuleGroupState]):
    """Write the rule group with our addresses in the variable, unless a rule passes by it."""

    Params = BlockAddressesParams
    Outputs = AddressSetOutputs
    StateModel = RuleGroupState

    def look(self, ctx: LookContext, params: BlockAddressesParams) -> RuleGroupState:
        """Read the group: its variables, and what its rules do by ours."""
        answer = ctx.api.call(
            "network-firewall:DescribeRuleGroup", RuleGroupName=params.rule_group_name, Type="STATEFUL"
        )
        group, about = answer["RuleGroup"], answer["RuleGroupResponse"]
        variables = group.get("RuleVariables") or {}
        sets = {name: tuple(each["Definition"]) for name, each in (variables.get("IPSets") or {}).items()}
        keep = {name: about[name] for name in ("Description", "EncryptionConfiguration") if about.get(name)}
        return RuleGroupState(
            target=f"{about['RuleGroupArn']}/{params.variable}",
            wanted=sorted_blocks(params.addresses),
            addresses=sets.pop(params.variable, ()),
            token=answer["UpdateToken"],
            uses=tuple(_uses(group.get("RulesSource") or {}, params.variable)),
            arn=about["RuleGroupArn"],
            variable=params.variable,
            known=params.variable in (variables.get("IPSets") or {}),
            other_sets=sets,
            parts=tuple(name for name in PARTS if group.get(name)),
            variables=tuple(name for name in VARIABLES if variables.get(name)),
            keep=keep,
            associations=int(about.get("NumberOfAssociations") or 0),
        )

    def refusal(self, params: BlockAddressesParams, state: RuleGroupState) -> str | None:
        """Refuse a variable that is none, and more than it holds."""
        if not state.known:
            known = ", ".join(sorted(state.other_sets)) or "none"
            return f"{state.arn} has no IP set variable {params.variable}; it has: {known}"
        if not state.associations:
            return f"{state.arn} is in no firewall policy: it blocks nothing; name a group that is in use"
        if len(state.addresses) + len(state.wanted) > SET_LIMIT:
            return f"{state.target} holds {len(state.addresses)} addresses: merge some first"
        return None

    def update(self, state: RuleGroupState, addresses: tuple[str, ...], summary: str) -> Call:
        """Return the call that writes the group: our variable, and all else as it is read just before.

        The token is that of the look: if anything changed since, AWS refuses it.
        """
        bound = {name: f"RuleGroup.{name}" for name in state.parts} | {
            name: f"RuleGroup.RuleVariables.{name}" for name in state.variables
        }
        sets = {name: {"Definition": list(held)} for name, held in state.other_sets.items()}
        sets[state.variable] = {"Definition": list(addresses)}
        return Call(
            "network-firewall:UpdateRuleGroup",
            {
                "UpdateToken": state.token,
                "RuleGroupArn": state.arn,
                "Type": "STATEFUL",
                "RuleGroup": {
                    "RuleVariables": {"IPSets": sets, **{name: Token(name) for name in state.variables}},
                    **{name: Token(name) for name in state.parts},
                },
                **state.keep,
            },
            target=state.target,
            summary=summary,
            before=f"{len(state.addresses)} addresses",
            after=f"{len(addresses)} addresses",
            reads=(
                Read(
                    "network-firewall:DescribeRuleGroup",
                    {"RuleGroupArn": state.arn, "Type": "STATEFUL"},
                    bound,
                ),
            ),
        )

    def targets(self, params: BlockAddressesParams, where: Where) -> tuple[str, ...]:
        """Return the rule group."""
        place = f"arn:{where.partition}:network-firewall:{where.region}:{where.account_id}"
        return (f"{place}:stateful-rulegroup/{params.rule_group_name}",)


def _uses(source: Mapping[str, Any], variable: str) -> Iterator[SetUse]:
    """Yield the rules that use a variable: lines of Suricata, or rules in AWS's own form."""
    name = re.compile(rf"\${re.escape(variable)}\b")
    for number, line in enumerate(str(source.get("RulesString") or "").splitlines(), start=1):
        found = RULE.match(line)
        if found and name.search(found["rest"].partition("(")[0]):
            effect = found["effect"]
            yield SetUse(rule=f"line {number}", effect="reject" if effect.startswith("reject") else effect)
    for number, rule in enumerate(source.get("StatefulRules") or (), start=1):
        header = rule.get("Header") or {}
        if any(name.search(str(header.get(side) or "")) for side in ("Source", "Destination")):
            yield SetUse(rule=f"rule {number}", effect=str(rule["Action"]).lower())
