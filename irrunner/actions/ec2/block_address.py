"""``aws.ec2.block-address``: deny an address in the network ACLs of subnets; cuts open flows, too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from irrunner.actions.addresses import refuse_block
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
    Where,
)
from irrunner.actions.ec2.acl_blocks import (
    BlockAddressParams,
    BlockAddressState,
    NoNumber,
    free_number,
    holds,
    places,
)
from irrunner.actions.ec2.acls import (
    ACLS,
    ALL_PROTOCOLS,
    DESCRIBE_ACLS,
    VPC_GUIDE,
    Acl,
    acl_arn,
    all_acls,
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
from irrunner.actions.registry import action
from irrunner.actions.runtime import protected_target
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy


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
        acls = [acl for acl in known if set(acl.subnets) & subnet_ids or holds(acl, params.address)]
        if missing and not any(holds(acl, params.address) for acl in acls):
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
            protected=_protected(ctx, acls, subnet_ids),
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
        except NoNumber as problem:
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


def _protected(ctx: LookContext, acls: Iterable[Acl], subnet_ids: set[str]) -> str:
    guarding = [acl for acl in acls if set(acl.subnets) & subnet_ids]
    behind = sorted({subnet_id for acl in guarding for subnet_id in acl.subnets})
    arns = [acl_arn(ctx.where, acl.network_acl_id) for acl in guarding]
    arns += [subnet_arn(ctx.where, subnet_id) for subnet_id in behind]
    return protected_target(tuple(arns), ctx.settings.protected) or ""


def _refusal(params: BlockAddressParams, state: BlockAddressState) -> str | None:
    if state.protected:
        return f"{state.protected} would be hit, and is protected by the configuration (protected:)"
    strangers = {acl.owner_id for acl in state.guarding} - {state.account_id, ""}
    if strangers:
        return (
            f"the network ACLs belong to account {', '.join(sorted(strangers))} (a shared VPC): only their "
            "owner can change them; run this there, or isolate the instance"
        )
    return refuse_block(params.address, own=state.own_blocks, allow_internal=params.allow_internal)


def _missing(params: BlockAddressParams, state: BlockAddressState) -> Iterator[Call]:
    for acl, egress, known in places(params, state):
        if known is None:
            yield _deny(state, acl, free_number(params, acl, egress=egress), egress=egress)


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


def _outputs(params: BlockAddressParams, state: BlockAddressState) -> BlockAddressOutputs:
    entries = tuple(
        BlockEntry(
            network_acl_id=acl.network_acl_id,
            direction=direction(egress=egress),
            rule_number=known if known is not None else free_number(params, acl, egress=egress),
        )
        for acl, egress, known in places(params, state)
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
