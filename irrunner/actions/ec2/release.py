"""``aws.ec2.release-instance``: interfaces back into given or recorded groups, after an isolation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import Field

from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    Refused,
    Settled,
    State,
    Where,
)
from irrunner.actions.ec2.groups import DESCRIBE_GROUPS, look_at_groups
from irrunner.actions.ec2.instances import (
    API_REFERENCE,
    DESCRIBE_INSTANCES,
    ENDING,
    OneInstance,
    describe_instance,
    instance_arn,
    state_of,
)
from irrunner.actions.ec2.interfaces import (
    DESCRIBE_INTERFACES,
    INTERFACES,
    MOVE_INTERFACES,
    Interface,
    forget_prior_groups,
    group_footprint,
    interfaces_of,
    movable,
    move,
)
from irrunner.actions.ids import EniId, SecurityGroupId
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class ReleaseParams(OneInstance):
    """Parameters."""

    security_group_ids: dict[EniId, list[SecurityGroupId]] = Field(default_factory=dict)
    """Interface to the groups it shall have; interfaces that are not named go back to the groups that
    isolation recorded in their tag."""


class ReleaseState(State):
    """What release sees."""

    instance_id: str
    instance_state: str
    interfaces: tuple[Interface, ...]
    isolation_group_ids: tuple[str, ...]
    """Quarantine and conversion groups of the interfaces' VPCs."""
    vpc_of_group: dict[str, str]
    """Groups to which interfaces shall go, as far as they exist, and their VPC."""

    def footprint(self) -> dict[str, list[str]]:
        """Return interface to groups."""
        return group_footprint(movable(self.interfaces))


class ReleaseOutputs(Model):
    """Outputs."""

    instance_id: str
    network_interface_ids: tuple[str, ...]
    """Interfaces that are not in quarantine."""


@action(
    "aws.ec2.release-instance",
    title="Take an isolated instance back onto the network",
    phase=Phase.RECOVERY,
    risk=Risk.DISRUPTIVE,
    consistency_s=5.0,
    permissions=(
        DESCRIBE_INSTANCES,
        DESCRIBE_INTERFACES,
        *DESCRIBE_GROUPS,
        *MOVE_INTERFACES,
        Permission("ec2:DeleteTags", INTERFACES, use="act"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Puts every released interface back into the groups it had, the quarantine group.",
    sources=(f"{API_REFERENCE}/API_ModifyNetworkInterfaceAttribute.html",),
)
class ReleaseInstance(Action[ReleaseParams, ReleaseState]):
    """Set groups by interface: those given, else those that isolation recorded; never a guess."""

    Params = ReleaseParams
    Outputs = ReleaseOutputs
    StateModel = ReleaseState

    def look(self, ctx: LookContext, params: ReleaseParams) -> ReleaseState:
        """Read the interfaces, and which of the groups they shall have exist."""
        instance = describe_instance(ctx.api, params.instance_id)
        interfaces = interfaces_of(ctx.api, params.instance_id)
        ours = look_at_groups(ctx.api, (interface.vpc_id for interface in interfaces))
        wanted = sorted({group for groups in _wanted(params, interfaces).values() for group in groups})
        filters = [{"Name": "group-id", "Values": wanted}]
        found = (
            ctx.api.pages("ec2:DescribeSecurityGroups", "SecurityGroups[]", Filters=filters) if wanted else []
        )
        return ReleaseState(
            instance_id=params.instance_id,
            instance_state=state_of(instance),
            interfaces=interfaces,
            isolation_group_ids=tuple(
                group.group_id for groups in ours for group in (groups.quarantine, groups.conversion) if group
            ),
            vpc_of_group={raw["GroupId"]: raw["VpcId"] for raw in found},
        )

    def decide(self, params: ReleaseParams, state: ReleaseState) -> Decision:
        """Refuse what cannot be right; else move, and forget the record."""
        wanted = _wanted(params, state.interfaces)
        if reason := next(_objections(params, state, wanted), None):
            return Refused(reason)
        calls = tuple(_calls(state, wanted))
        if calls:
            return Act(calls)
        free = (interface.network_interface_id for interface in state.interfaces)
        return Settled(ReleaseOutputs(instance_id=state.instance_id, network_interface_ids=tuple(free)))

    def targets(self, params: ReleaseParams, where: Where) -> tuple[str, ...]:
        """Return the instance."""
        return (instance_arn(where, params.instance_id),)

    def undo_calls(
        self,
        params: ReleaseParams,
        before: ReleaseState,
        after: ReleaseState,
        now: ReleaseState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Put interfaces back into the groups before the release."""
        current = now.footprint()
        return tuple(
            move(eni, current[eni], groups, f"Put {eni} back into")
            for eni, groups in before.footprint().items()
            if eni in keys
        )


def _wanted(params: ReleaseParams, interfaces: tuple[Interface, ...]) -> dict[str, tuple[str, ...]]:
    recorded = {
        interface.network_interface_id: interface.prior_group_ids
        for interface in interfaces
        if interface.prior_group_ids
    }
    given = {eni: tuple(sorted(groups)) for eni, groups in params.security_group_ids.items()}
    return recorded | given


def _objections(
    params: ReleaseParams, state: ReleaseState, wanted: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    if state.instance_state in ENDING:
        yield f"{state.instance_id} is {state.instance_state}"
    attached = {interface.network_interface_id: interface for interface in state.interfaces}
    for eni in sorted(set(params.security_group_ids) - set(attached)):
        yield f"{eni} is not attached to {state.instance_id}"
    for eni, interface in attached.items():
        if eni in wanted:
            yield from _group_objections(interface, wanted[eni], state)
        elif set(interface.group_ids) & set(state.isolation_group_ids):
            yield f"{eni} is isolated and its groups are not recorded: name them in security_group_ids"


def _group_objections(interface: Interface, wanted: tuple[str, ...], state: ReleaseState) -> Iterator[str]:
    eni = interface.network_interface_id
    if not wanted:
        yield f"{eni} needs at least one group"
    for group in wanted:
        vpc = state.vpc_of_group.get(group)
        if vpc is None:
            yield f"group {group} of {eni} does not exist any more: name others in security_group_ids"
        elif vpc != interface.vpc_id:
            yield f"group {group} is of {vpc}, {eni} of {interface.vpc_id}"


def _calls(state: ReleaseState, wanted: Mapping[str, tuple[str, ...]]) -> Iterator[Call]:
    for interface in state.interfaces:
        eni = interface.network_interface_id
        if eni in wanted and wanted[eni] != interface.group_ids:
            yield move(eni, interface.group_ids, wanted[eni], f"Put {eni} back into")
            if interface.prior_group_ids:
                yield forget_prior_groups(eni)
