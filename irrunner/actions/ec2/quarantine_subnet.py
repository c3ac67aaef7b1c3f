"""``aws.ec2.quarantine-subnet``: a subnet behind a network ACL that allows nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from irrunner.actions.contract import (
    Act,
    Action,
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
    Where,
)
from irrunner.actions.ec2.acls import (
    ACLS,
    DESCRIBE_ACLS,
    VPC_GUIDE,
    Acl,
    AclEntry,
    acls_of_subnets,
    acls_where,
    subnet_arn,
)
from irrunner.actions.ec2.instances import API_REFERENCE, instance_arn
from irrunner.actions.ec2.interfaces import DESCRIBE_INTERFACES
from irrunner.actions.ids import InstanceId, SubnetId
from irrunner.actions.registry import action
from irrunner.actions.runtime import protected_target
from irrunner.vocabulary import Phase, Risk, UndoPolicy

PURPOSE: Final = {"irrunner:purpose": "quarantine"}
QUARANTINE_ACL: Final = Token("quarantine-acl")
PASSES_TRAFFIC: Final = {
    "nat_gateway": "its NAT gateway, and with it every subnet that goes out through it",
    "network_load_balancer": "a Network Load Balancer",
    "load_balancer": "a load balancer",
    "gateway_load_balancer": "a Gateway Load Balancer",
    "gateway_load_balancer_endpoint": "a Gateway Load Balancer endpoint",
    "vpc_endpoint": "an endpoint of an AWS service",
    "transit_gateway": "a transit gateway attachment",
}
"""Kinds of interface through which others' traffic goes, in words."""
_SUBNETS: Final = "arn:{partition}:ec2:{region}:{account}:subnet/{subnet_id}"
_VPCS: Final = "arn:{partition}:ec2:{region}:{account}:vpc/*"


class QuarantineSubnetParams(Model):
    """Parameters."""

    subnet_id: SubnetId
    instance_id: InstanceId | None = None
    """The compromised instance, if there is one: it does not count among the others that are hit."""


class Neighbour(Model):
    """A network interface in the subnet."""

    network_interface_id: str
    instance_id: str
    kind: str
    description: str = ""


class QuarantineSubnetState(State):
    """The subnet's ACL, the deny-all ACL of its VPC, and who lives there."""

    subnet_id: str
    account_id: str
    acl: Acl
    quarantine: Acl | None
    neighbours: tuple[Neighbour, ...]
    protected: str = ""
    """An instance or interface in the subnet that the configuration protects."""

    def footprint(self) -> dict[str, str]:
        """Return the subnet's ACL; the association has another id after every replacement."""
        return {self.subnet_id: self.acl.network_acl_id}


class QuarantineSubnetOutputs(Model):
    """Outputs."""

    subnet_id: str
    network_acl_id: str
    other_instance_ids: tuple[str, ...]
    """Instances that are cut off as well."""
    network_interface_ids: tuple[str, ...]
    """Every interface in the subnet."""


@action(
    "aws.ec2.quarantine-subnet",
    title="Cut a whole subnet off by a network ACL that allows nothing",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(
        DESCRIBE_ACLS,
        DESCRIBE_INTERFACES,
        Permission("ec2:CreateNetworkAcl", ACLS, use="act"),
        Permission("ec2:CreateNetworkAcl", _VPCS, use="act"),
        Permission(
            "ec2:CreateTags",
            ACLS,
            use="act",
            conditions={"StringEquals": {"ec2:CreateAction": "CreateNetworkAcl"}},
        ),
        Permission("ec2:ReplaceNetworkAclAssociation", ACLS, use="act"),
        Permission("ec2:ReplaceNetworkAclAssociation", _SUBNETS, use="act"),
        Permission("ec2:ReplaceNetworkAclAssociation", ACLS, use="undo"),
        Permission("ec2:ReplaceNetworkAclAssociation", _SUBNETS, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Gives the subnet its former ACL again; the deny-all ACL stays in the VPC for reuse.",
    may_expire=True,
    sources=(
        f"{VPC_GUIDE}/vpc-network-acls.html",
        f"{VPC_GUIDE}/nacl-basics.html",
        f"{API_REFERENCE}/API_ReplaceNetworkAclAssociation.html",
    ),
)
class QuarantineSubnet(Action[QuarantineSubnetParams, QuarantineSubnetState]):
    """Make the VPC's deny-all ACL where there is none, and put the subnet behind it."""

    Params = QuarantineSubnetParams
    Outputs = QuarantineSubnetOutputs
    StateModel = QuarantineSubnetState

    def look(self, ctx: LookContext, params: QuarantineSubnetParams) -> QuarantineSubnetState:
        """Read the subnet's ACL, the ACLs of its VPC, and the interfaces in the subnet."""
        (acl,) = acls_of_subnets(ctx.api, (params.subnet_id,))
        interfaces = ctx.api.pages(
            "ec2:DescribeNetworkInterfaces",
            "NetworkInterfaces[]",
            Filters=[{"Name": "subnet-id", "Values": [params.subnet_id]}],
        )
        neighbours = sorted(map(_neighbour, interfaces), key=lambda found: found.network_interface_id)
        return QuarantineSubnetState(
            subnet_id=params.subnet_id,
            account_id=ctx.where.account_id,
            acl=acl,
            quarantine=next(filter(_is_ours, acls_where(ctx.api, "vpc-id", (acl.vpc_id,))), None),
            neighbours=tuple(neighbours),
            protected=protected_target(tuple(_arns(ctx.where, neighbours)), ctx.settings.protected) or "",
        )

    def decide(self, params: QuarantineSubnetParams, state: QuarantineSubnetState) -> Decision:
        """Move the subnet behind the ACL."""
        if state.acl.owner_id not in (state.account_id, ""):
            return Refused(
                f"{state.subnet_id} belongs to account {state.acl.owner_id} (a shared VPC): only its owner "
                "can change its network ACL; run this there, or isolate the instance"
            )
        if state.protected:
            return Refused(
                f"{state.protected} is in {state.subnet_id} and protected by the configuration (protected:): "
                "isolate the instance instead"
            )
        if not any(map(_allows, state.acl.entries)):
            return Settled(_outputs(params, state, state.acl.network_acl_id), tuple(_warnings(params, state)))
        if state.quarantine is not None:
            return Act((_replace(state, state.quarantine.network_acl_id),))
        return Act((_create(state.acl.vpc_id), _replace(state, QUARANTINE_ACL)))

    def foresee(
        self, params: QuarantineSubnetParams, state: QuarantineSubnetState, step: str
    ) -> PlannedOutputs:
        """Return the outputs: who is hit is known before anything is done."""
        del step
        if isinstance(self.decide(params, state), Refused):
            return PlannedOutputs({})
        closed = not any(map(_allows, state.acl.entries))
        acl = state.acl if closed else state.quarantine
        acl_id = acl.network_acl_id if acl else str(QUARANTINE_ACL)
        return PlannedOutputs(_outputs(params, state, acl_id).model_dump(mode="json"))

    def targets(self, params: QuarantineSubnetParams, where: Where) -> tuple[str, ...]:
        """Return the subnet."""
        return (subnet_arn(where, params.subnet_id),)

    def undo_calls(
        self,
        params: QuarantineSubnetParams,
        before: QuarantineSubnetState,
        after: QuarantineSubnetState,
        now: QuarantineSubnetState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Put the subnet behind its former ACL."""
        return (_replace(now, before.acl.network_acl_id),) if keys else ()


def _is_ours(acl: Acl) -> bool:
    """Return whether an ACL is fit for quarantine.

    The tag alone proves nothing, for whoever may tag can put it on the ACL of others: one that lets anything
    through is neither used nor closed, and another is made.
    """
    return not acl.default and PURPOSE.items() <= acl.tags.items() and not any(map(_allows, acl.entries))


def _allows(entry: AclEntry) -> bool:
    return entry.allow


def _neighbour(described: Mapping[str, Any]) -> Neighbour:
    return Neighbour(
        network_interface_id=described["NetworkInterfaceId"],
        instance_id=(described.get("Attachment") or {}).get("InstanceId") or "",
        kind=described.get("InterfaceType") or "interface",
        description=described.get("Description") or "",
    )


def _arns(where: Where, neighbours: Iterable[Neighbour]) -> Iterator[str]:
    place = f"arn:{where.partition}:ec2:{where.region}:{where.account_id}"
    for neighbour in neighbours:
        yield f"{place}:network-interface/{neighbour.network_interface_id}"
        if neighbour.instance_id:
            yield instance_arn(where, neighbour.instance_id)


def _create(vpc_id: str) -> Call:
    tags = PURPOSE | {"Name": "irrunner-quarantine"}
    return Call(
        "ec2:CreateNetworkAcl",
        {
            "VpcId": vpc_id,
            "TagSpecifications": [
                {
                    "ResourceType": "network-acl",
                    "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())],
                }
            ],
        },
        target=str(QUARANTINE_ACL),
        summary=f"Create the deny-all ACL of {vpc_id} (kept for reuse)",
        after="denies everything",
        reversible=False,
        yields={QUARANTINE_ACL.name: "NetworkAcl.NetworkAclId"},
    )


def _replace(state: QuarantineSubnetState, wanted: str | Token) -> Call:
    return Call(
        "ec2:ReplaceNetworkAclAssociation",
        {"AssociationId": state.acl.subnets[state.subnet_id], "NetworkAclId": wanted},
        target=state.subnet_id,
        summary=f"Put {state.subnet_id} behind {wanted}",
        before=state.acl.network_acl_id,
        after=str(wanted),
    )


def _others(params: QuarantineSubnetParams, state: QuarantineSubnetState) -> tuple[str, ...]:
    found = {neighbour.instance_id for neighbour in state.neighbours}
    return tuple(sorted(found - {"", params.instance_id}))


def _outputs(
    params: QuarantineSubnetParams, state: QuarantineSubnetState, acl_id: str
) -> QuarantineSubnetOutputs:
    return QuarantineSubnetOutputs(
        subnet_id=state.subnet_id,
        network_acl_id=acl_id,
        other_instance_ids=_others(params, state),
        network_interface_ids=tuple(neighbour.network_interface_id for neighbour in state.neighbours),
    )


def _warnings(params: QuarantineSubnetParams, state: QuarantineSubnetState) -> Iterator[str]:
    others = _others(params, state)
    if others:
        yield f"cut off with it: {', '.join(others)}"
    for kind in sorted({neighbour.kind for neighbour in state.neighbours} & set(PASSES_TRAFFIC)):
        yield f"cut off with it: {PASSES_TRAFFIC[kind]}"
    yield (
        "not cut by a network ACL: traffic between hosts of the subnet itself, DNS to the VPC's resolver "
        "(aws.route53resolver.block-domains), instance metadata, DHCP, NTP"
    )
