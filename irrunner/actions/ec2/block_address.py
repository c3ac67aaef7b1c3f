"""``aws.ec2.block-address``: deny an address in the network ACLs of subnets; cuts open flows, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from pydantic import Field, model_validator

from irrunner.actions.addresses import AddressBlock, network, overlaps, refuse_block
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
    Where,
)
from irrunner.actions.ec2.acls import (
    ACLS,
    ALL_PROTOCOLS,
    DESCRIBE_ACLS,
    VPC_GUIDE,
    Acl,
    AclEntry,
    all_acls,
    blocking,
    direction,
    subnet_arn,
)
from irrunner.actions.ec2.instances import (
    API_REFERENCE,
    DESCRIBE_INSTANCES,
    ENDING,
    describe_instance,
    instance_arn,
    state_of,
)
from irrunner.actions.ids import InstanceId, SubnetId, is_token
from irrunner.actions.registry import action
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

DEFAULT_QUOTA: Final = 20
LARGEST_QUOTA: Final = 40
LAST_NUMBER: Final = 32766
DIRECTIONS: Final = {"both": (False, True), "ingress": (False,), "egress": (True,)}
"""Choice to the value of ``Egress`` of the entries."""


class BlockAddressParams(Model):
    """Parameters. Subnets, an instance (whose subnets are meant), or both."""

    address: AddressBlock
    subnet_ids: tuple[SubnetId, ...] = Field(default=(), max_length=50)
    instance_id: InstanceId | None = None
    directions: Literal["both", "ingress", "egress"] = "both"
    first_number: int = Field(default=1, ge=1, le=LAST_NUMBER)
    """The numbers from first to last are ours to take; only those below the lowest allow entry are used."""
    last_number: int = Field(default=99, ge=1, le=LAST_NUMBER)
    entries_quota: int = Field(default=DEFAULT_QUOTA, ge=1, le=LARGEST_QUOTA)
    """Entries that an ACL may have in one direction, where AWS has raised it for the account."""
    allow_internal: bool = False

    @model_validator(mode="after")
    def _names_a_place(self) -> BlockAddressParams:
        if not self.subnet_ids and self.instance_id is None:
            raise ValueError("name subnet_ids or instance_id")
        if self.first_number > self.last_number:
            raise ValueError("first_number is beyond last_number")
        return self


class BlockAddressState(State):
    """The ACLs of the subnets and those that hold the block, and the address ranges of the networks.

    An undo must find its entries where the instance or the subnet is gone, or behind another ACL by now: so
    every ACL that denies exactly this block is kept in view.
    """

    block: str
    account_id: str
    asked_subnet_ids: tuple[str, ...]
    acls: tuple[Acl, ...]
    own_blocks: tuple[str, ...]
    missing: str = ""
    """What does not exist any more, if so."""

    @property
    def guarding(self) -> tuple[Acl, ...]:
        """Return the ACLs of the subnets that were asked for."""
        return tuple(acl for acl in self.acls if set(acl.subnets) & set(self.asked_subnet_ids))

    def footprint(self) -> dict[str, int | None]:
        """Return, for each ACL and direction, the first entry that denies exactly this block."""
        return {
            f"{acl.network_acl_id}/{direction(egress=egress)}/{self.block}": self.denying(acl, egress=egress)
            for acl in self.acls
            for egress in DIRECTIONS["both"]
        }

    def denying(self, acl: Acl, *, egress: bool) -> int | None:
        """Return the number of the first entry that denies exactly this block, all protocols."""
        return next(
            (entry.number for entry in acl.facing(egress=egress) if _denies(entry, self.block)),
            None,
        )


class BlockEntry(Model):
    """Where the block is."""

    network_acl_id: str
    direction: str
    rule_number: int


class BlockAddressOutputs(Model):
    """Outputs."""

    block: str
    entries: tuple[BlockEntry, ...]
    network_acl_ids: tuple[str, ...]
    subnet_ids: tuple[str, ...]
    """Every subnet that the ACLs guard: the address is blocked in all of them."""


class _NoNumber(Exception):
    """There is no number for the entry."""


@action(
    "aws.ec2.block-address",
    title="Block an address in the network ACLs of subnets (open flows end, too)",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(
        DESCRIBE_ACLS,
        DESCRIBE_INSTANCES,
        Permission("ec2:DescribeVpcs"),
        Permission("ec2:CreateNetworkAclEntry", ACLS, use="act"),
        Permission("ec2:DeleteNetworkAclEntry", ACLS, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Deletes exactly the entries that were made; entries that others made or renumbered stay.",
    may_expire=True,
    sources=(
        f"{VPC_GUIDE}/vpc-network-acls.html",
        f"{VPC_GUIDE}/nacl-rules.html",
        f"{VPC_GUIDE}/amazon-vpc-limits.html",
        f"{API_REFERENCE}/API_CreateNetworkAclEntry.html",
    ),
)
class BlockAddress(Action[BlockAddressParams, BlockAddressState]):
    """Put deny entries below the lowest entry that would let the address through."""

    Params = BlockAddressParams
    Outputs = BlockAddressOutputs
    StateModel = BlockAddressState

    def look(self, ctx: LookContext, params: BlockAddressParams) -> BlockAddressState:
        """Read the ACLs, and the ranges of the VPCs of the subnets."""
        subnet_ids, missing = _subnets_of_instance(ctx, params)
        subnet_ids |= set(params.subnet_ids)
        known = all_acls(ctx.api)
        lost = subnet_ids - {subnet_id for acl in known for subnet_id in acl.subnets}
        missing = missing or (f"no subnet {', '.join(sorted(lost))} here" if lost else "")
        acls = [acl for acl in known if set(acl.subnets) & subnet_ids or _holds(acl, params.address)]
        if missing and not any(_holds(acl, params.address) for acl in acls):
            raise TargetNotFound(missing, hint="check the account and the Region")
        guarded = sorted({acl.vpc_id for acl in acls if set(acl.subnets) & subnet_ids})
        vpcs = ctx.api.pages("ec2:DescribeVpcs", "Vpcs", VpcIds=guarded) if guarded else []
        own = {
            str(found[name])
            for vpc in vpcs
            for field, name in (
                ("CidrBlockAssociationSet", "CidrBlock"),
                ("Ipv6CidrBlockAssociationSet", "Ipv6CidrBlock"),
            )
            for found in vpc.get(field) or ()
        }
        return BlockAddressState(
            block=params.address,
            account_id=ctx.where.account_id,
            asked_subnet_ids=tuple(sorted(subnet_ids)),
            acls=tuple(acls),
            own_blocks=tuple(sorted(own)),
            missing=missing,
        )

    def decide(self, params: BlockAddressParams, state: BlockAddressState) -> Decision:
        """Add the entries that are missing."""
        if state.missing:
            return Broken(state.missing, code="target-not-found")
        refusal = _refusal(params, state)
        if refusal:
            return Refused(refusal)
        try:
            calls = tuple(_missing(params, state))
        except _NoNumber as problem:
            return Refused(str(problem))
        if calls:
            return Act(calls)
        return Settled(_outputs(params, state), tuple(_warnings(state)))

    def foresee(self, params: BlockAddressParams, state: BlockAddressState, step: str) -> PlannedOutputs:
        """Return the outputs: the numbers that are free now."""
        del step
        if isinstance(self.decide(params, state), Refused | Broken):
            return PlannedOutputs({})
        return PlannedOutputs(_outputs(params, state).model_dump(mode="json"))

    def targets(self, params: BlockAddressParams, where: Where) -> tuple[str, ...]:
        """Return the subnets, and the instance where it names them."""
        named = tuple(subnet_arn(where, subnet_id) for subnet_id in params.subnet_ids)
        return (*named, instance_arn(where, params.instance_id)) if params.instance_id else named

    def undo_calls(
        self,
        params: BlockAddressParams,
        before: BlockAddressState,
        after: BlockAddressState,
        now: BlockAddressState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Delete the entries that are still as we made them."""
        made = after.footprint()
        return tuple(
            Call(
                "ec2:DeleteNetworkAclEntry",
                {"NetworkAclId": acl_id, "RuleNumber": made[key], "Egress": facing == direction(egress=True)},
                target=f"{acl_id}/{facing}",
                summary=f"Delete {facing} entry {made[key]} of {acl_id}, which denies {before.block}",
                before=made[key],
                after=None,
            )
            for key in sorted(keys)
            for acl_id, facing in [key.split("/")[:2]]
            if made[key] is not None
        )


def _subnets_of_instance(ctx: LookContext, params: BlockAddressParams) -> tuple[set[str], str]:
    """Return the subnets of the instance, and, where it has ended or does not exist, that."""
    if params.instance_id is None:
        return set(), ""
    try:
        instance = describe_instance(ctx.api, params.instance_id)
    except TargetNotFound as problem:
        return set(), problem.message
    if state_of(instance) in ENDING:
        return set(), f"{params.instance_id} is {state_of(instance)}"
    return {str(interface["SubnetId"]) for interface in instance.get("NetworkInterfaces") or ()}, ""


def _holds(acl: Acl, block: str) -> bool:
    """Return whether an ACL denies exactly this block, in either direction."""
    return any(_denies(entry, block) for entry in acl.entries)


def _denies(entry: AclEntry, block: str) -> bool:
    return not entry.allow and entry.protocol == ALL_PROTOCOLS and entry.block == block


def _refusal(params: BlockAddressParams, state: BlockAddressState) -> str | None:
    strangers = {acl.owner_id for acl in state.guarding} - {state.account_id, ""}
    if strangers:
        return (
            f"the network ACLs belong to account {', '.join(sorted(strangers))} (a shared VPC): only their "
            "owner can change them; run this there, or isolate the instance"
        )
    return refuse_block(params.address, own=state.own_blocks, allow_internal=params.allow_internal)


def _places(params: BlockAddressParams, state: BlockAddressState) -> Iterator[tuple[Acl, bool, int | None]]:
    """Yield each ACL and direction, and the number of the entry that blocks there, if one does."""
    for acl in state.guarding:
        for egress in DIRECTIONS[params.directions]:
            known = (
                None if is_token(state.block) else blocking(acl.facing(egress=egress), network(state.block))
            )
            yield acl, egress, known


def _missing(params: BlockAddressParams, state: BlockAddressState) -> Iterator[Call]:
    for acl, egress, known in _places(params, state):
        if known is None:
            yield _deny(state, acl, _free_number(params, acl, egress=egress), egress=egress)


def _deny(state: BlockAddressState, acl: Acl, number: int, *, egress: bool) -> Call:
    version = "CidrBlock" if ":" not in state.block else "Ipv6CidrBlock"
    facing = direction(egress=egress)
    return Call(
        "ec2:CreateNetworkAclEntry",
        {
            "NetworkAclId": acl.network_acl_id,
            "RuleNumber": number,
            "Protocol": ALL_PROTOCOLS,
            "RuleAction": "deny",
            "Egress": egress,
            version: state.block,
        },
        target=f"{acl.network_acl_id}/{facing}",
        summary=f"Deny {state.block} in {acl.network_acl_id}, {facing}, as entry {number}",
        before=state.denying(acl, egress=egress),
        after=number,
    )


def _free_number(params: BlockAddressParams, acl: Acl, *, egress: bool) -> int:
    """Return the first number of the pool that is free and below whatever lets the block through.

    Raises:
        _NoNumber: If there is none; says what to do.
    """
    entries, facing = acl.facing(egress=egress), direction(egress=egress)
    if len(entries) >= params.entries_quota:
        raise _NoNumber(
            f"{acl.network_acl_id} has {len(entries)} {facing} entries, and the quota is "
            f"{params.entries_quota}: delete one, or merge blocks into a wider CIDR; where AWS has raised "
            f"the quota, say so with entries_quota (at most {LARGEST_QUOTA}); a firewall takes thousands "
            "(aws.network-firewall.block-addresses)"
        )
    taken = {entry.number for entry in entries}
    through = [entry.number for entry in entries if entry.allow and _meets(entry.block, params.address)]
    below = min([*through, params.last_number + 1])
    number = next((n for n in range(params.first_number, below) if n not in taken), None)
    if number is None:
        raise _NoNumber(
            f"{acl.network_acl_id} has no free {facing} number from {params.first_number} to "
            f"{min(below - 1, params.last_number)} (its lowest allow entry is "
            f"{min(through) if through else 'none'}): renumber its entries, or give another "
            "first_number and last_number"
        )
    return number


def _meets(entry: str, block: str) -> bool:
    return is_token(block) or overlaps(network(entry), network(block))


def _outputs(params: BlockAddressParams, state: BlockAddressState) -> BlockAddressOutputs:
    entries = tuple(
        BlockEntry(
            network_acl_id=acl.network_acl_id,
            direction=direction(egress=egress),
            rule_number=known if known is not None else _free_number(params, acl, egress=egress),
        )
        for acl, egress, known in _places(params, state)
    )
    return BlockAddressOutputs(
        block=state.block,
        entries=entries,
        network_acl_ids=tuple(acl.network_acl_id for acl in state.guarding),
        subnet_ids=tuple(sorted(subnet_id for acl in state.guarding for subnet_id in acl.subnets)),
    )


def _warnings(state: BlockAddressState) -> Iterator[str]:
    for acl in state.guarding:
        others = sorted(set(acl.subnets) - set(state.asked_subnet_ids))
        if others:
            yield f"{acl.network_acl_id} guards {', '.join(others)}, too: {state.block} is blocked there, too"
    yield (
        f"what reaches the subnets through a load balancer, a proxy or CloudFront does not come from "
        f"{state.block}: block it there (aws.wafv2.block-addresses)"
    )
