"""``aws.wafv2.block-addresses``: add addresses to an IP set that web ACLs block by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from irrunner.actions.address_sets import (
    AddressSetOutputs,
    AddressSetState,
    BlockInSet,
    SetUse,
    sorted_blocks,
    versions,
)
from irrunner.actions.addresses import AddressBlock
from irrunner.actions.contract import Call, LookContext, Model, Permission, ReadApi, Where
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy

Scope = Literal["REGIONAL", "CLOUDFRONT"]
CLOUDFRONT_REGION: Final = "us-east-1"
SET_LIMIT: Final = 10_000
PAGE: Final = 100
IP_SET: Final = "arn:{partition}:wafv2:*:{account}:*/ipset/{ip_set_name}/{ip_set_id}"
GUIDE: Final = "https://docs.aws.amazon.com/waf/latest/developerguide"
API: Final = "https://docs.aws.amazon.com/waf/latest/APIReference"


class BlockAddressesParams(Model):
    """Parameters."""

    ip_set_name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
    ip_set_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,36}$")]
    scope: Scope = "REGIONAL"
    """CLOUDFRONT: the sets of distributions, which are kept in us-east-1."""
    addresses: tuple[AddressBlock, ...] = Field(min_length=1, max_length=1000)
    allow_internal: bool = False


class IpSetState(AddressSetState):
    """An IP set of AWS WAF."""

    ip_set_name: str
    ip_set_id: str
    scope: Scope
    version: str
    """``IPV4`` or ``IPV6``: a set is of one kind."""
    description: str = ""


@action(
    "aws.wafv2.block-addresses",
    title="Block addresses by an IP set of AWS WAF",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(
        Permission("wafv2:GetIPSet", IP_SET),
        Permission("wafv2:ListWebACLs"),
        Permission("wafv2:GetWebACL"),
        Permission("wafv2:ListRuleGroups"),
        Permission("wafv2:GetRuleGroup"),
        Permission("wafv2:UpdateIPSet", IP_SET, use="act"),
        Permission("wafv2:UpdateIPSet", IP_SET, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Takes out the addresses that were added; what others added since stays.",
    may_expire=True,
    sources=(
        f"{GUIDE}/waf-ip-set-managing.html",
        f"{API}/API_UpdateIPSet.html",
        f"{API}/API_GetIPSet.html",
    ),
)
class BlockAddresses(BlockInSet[BlockAddressesParams, IpSetState]):
    """Write the set with our addresses in it, unless it lets addresses in."""

    Params = BlockAddressesParams
    Outputs = AddressSetOutputs
    StateModel = IpSetState

    def look(self, ctx: LookContext, params: BlockAddressesParams) -> IpSetState:
        """Read the set, and the rules that use it."""
        api = ctx.api.in_region(CLOUDFRONT_REGION) if params.scope == "CLOUDFRONT" else ctx.api
        answer = api.call("wafv2:GetIPSet", Name=params.ip_set_name, Id=params.ip_set_id, Scope=params.scope)
        found = answer["IPSet"]
        return IpSetState(
            target=found["ARN"],
            wanted=sorted_blocks(params.addresses),
            addresses=tuple(found.get("Addresses") or ()),
            token=answer["LockToken"],
            uses=tuple(_uses(api, params.scope, found["ARN"])),
            ip_set_name=params.ip_set_name,
            ip_set_id=params.ip_set_id,
            scope=params.scope,
            version=found["IPAddressVersion"],
            description=found.get("Description") or "",
        )

    def refusal(self, params: BlockAddressesParams, state: IpSetState) -> str | None:
        """Refuse addresses of the other kind, and more than a set holds."""
        del params
        kind = int(state.version.removeprefix("IPV"))
        if versions(state) - {kind}:
            return f"{state.target} is for IPv{kind} only: put the others into a set of their own kind"
        new = [block for block in state.wanted if not state.holds(block)]
        if len(state.addresses) + len(new) > SET_LIMIT:
            return f"{state.target} holds {len(state.addresses)} of {SET_LIMIT} addresses: merge some first"
        return None

    def update(self, state: IpSetState, addresses: tuple[str, ...], summary: str) -> Call:
        """Return the call that writes the set; without its description it would lose it."""
        described = {"Description": state.description} if state.description else {}
        return Call(
            "wafv2:UpdateIPSet",
            {
                "Name": state.ip_set_name,
                "Id": state.ip_set_id,
                "Scope": state.scope,
                "Addresses": list(addresses),
                "LockToken": state.token,
                **described,
            },
            target=state.target,
            summary=summary,
            before=f"{len(state.addresses)} addresses",
            after=f"{len(addresses)} addresses",
            region=CLOUDFRONT_REGION if state.scope == "CLOUDFRONT" else None,
        )

    def targets(self, params: BlockAddressesParams, where: Where) -> tuple[str, ...]:
        """Return the set."""
        distant = params.scope == "CLOUDFRONT"
        place = f"{CLOUDFRONT_REGION if distant else where.region}:{where.account_id}"
        kind = "global" if distant else "regional"
        path = f"ipset/{params.ip_set_name}/{params.ip_set_id}"
        return (f"arn:{where.partition}:wafv2:{place}:{kind}/{path}",)


def _uses(api: ReadApi, scope: str, arn: str) -> Iterator[SetUse]:
    """Yield the rules of web ACLs and rule groups that use a set."""
    for kind, listed in (("WebACL", "WebACLs"), ("RuleGroup", "RuleGroups")):
        for brief in _every(api, f"wafv2:List{listed}", listed, scope):
            found = api.call(f"wafv2:Get{kind}", Name=brief["Name"], Id=brief["Id"], Scope=scope)[kind]
            for rule in found.get("Rules") or ():
                signs = list(_references(rule.get("Statement") or {}, arn, negated=False))
                name = f"{kind} {brief['Name']}, rule {rule['Name']}"
                yield from (SetUse(rule=name, effect=_effect(rule, negated=negated)) for negated in signs)


def _every(api: ReadApi, operation: str, name: str, scope: str) -> Iterator[Mapping[str, Any]]:
    """Yield all of a list: botocore has no pages for WAF, which asks by marker."""
    marker: dict[str, str] = {}
    while True:
        page = api.call(operation, Scope=scope, Limit=PAGE, **marker)
        yield from page.get(name) or ()
        if not page.get("NextMarker") or not page.get(name):
            return
        marker = {"NextMarker": str(page["NextMarker"])}


def _references(statement: Mapping[str, Any], arn: str, *, negated: bool) -> Iterator[bool]:
    """Yield, for each reference of a set in a statement, whether it is negated."""
    for kind, inner in statement.items():
        if kind == "IPSetReferenceStatement":
            if inner.get("ARN") == arn:
                yield negated
            continue
        flipped = negated != (kind == "NotStatement")
        children = [*(inner.get("Statements") or ()), inner.get("Statement"), inner.get("ScopeDownStatement")]
        for child in children:
            if child:
                yield from _references(child, arn, negated=flipped)


def _effect(rule: Mapping[str, Any], *, negated: bool) -> str:
    """Return what a rule does with addresses of a set; blocking all others is letting these in."""
    effect = next(iter(rule.get("Action") or {}), "unknown").lower()
    return {"block": "allow", "allow": "block"}.get(effect, "unknown") if negated else effect
