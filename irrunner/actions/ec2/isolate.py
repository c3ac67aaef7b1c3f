"""``aws.ec2.isolate-instance``: every interface through the conversion group into a group without rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

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
    Waiting,
    Where,
)
from irrunner.actions.ec2.groups import (
    CHANGE_GROUPS,
    DESCRIBE_GROUPS,
    VpcGroups,
    close_conversion,
    look_at_groups,
    want_conversion,
    want_quarantine,
)
from irrunner.actions.ec2.instances import (
    API_REFERENCE,
    DESCRIBE_INSTANCES,
    ENDING,
    USER_GUIDE,
    OneInstance,
    auto_scaling_group,
    auto_scaling_warning,
    describe_instance,
    instance_arn,
    state_of,
)
from irrunner.actions.ec2.interfaces import (
    DESCRIBE_INTERFACES,
    INTERFACES,
    MOVE_INTERFACES,
    TAG_VALUE_CHARACTERS,
    Interface,
    forget_prior_groups,
    group_footprint,
    interfaces_of,
    movable,
    move,
    record_prior_groups,
    still_there,
)
from irrunner.actions.ec2.uncut import uncut_flows, unreached_interfaces
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class IsolateParams(OneInstance):
    """Parameters."""

    convert: bool = True
    """Pass through the conversion group, which for a moment allows everything, so that open flows become
    untracked and end. Without it open flows live on until they time out."""


class IsolateState(State):
    """What isolation sees."""

    instance_id: str
    instance_state: str
    interfaces: tuple[Interface, ...]
    groups: tuple[VpcGroups, ...]
    """Of each VPC in which the instance has an interface."""
    auto_scaling_group: str = ""

    def footprint(self) -> dict[str, list[str]]:
        """Return interface to groups.

        An interface in transit (in the conversion group only) counts as quarantined: we put it there,
        so undo may take it back, and it is nobody's prior state.
        """
        arrived: dict[tuple[str, ...], tuple[str, ...]] = {
            (groups.conversion.group_id,): (groups.quarantine.group_id,)
            for groups in self.groups
            if groups.conversion and groups.quarantine
        }
        return group_footprint(
            interface.model_copy(update={"group_ids": arrived.get(interface.group_ids, interface.group_ids)})
            for interface in movable(self.interfaces)
        )


class IsolateOutputs(Model):
    """Outputs."""

    instance_id: str
    network_interface_ids: tuple[str, ...]
    """Interfaces that are in quarantine."""
    quarantine_group_ids: tuple[str, ...]
    """One for each VPC."""
    not_isolated_interface_ids: tuple[str, ...]
    """Interfaces that an AWS service manages and that refuse a change."""


@action(
    "aws.ec2.isolate-instance",
    title="Cut an instance off the network: every interface into a group without rules",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=120.0,
    consistency_s=5.0,
    permissions=(
        DESCRIBE_INSTANCES,
        DESCRIBE_INTERFACES,
        *DESCRIBE_GROUPS,
        *CHANGE_GROUPS,
        *MOVE_INTERFACES,
        Permission("ec2:CreateTags", INTERFACES, use="act"),
        Permission("ec2:DeleteTags", INTERFACES, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Puts every interface back into the groups it had; the two groups stay for reuse.",
    sources=(
        f"{USER_GUIDE}/security-group-connection-tracking.html",
        f"{API_REFERENCE}/API_ModifyNetworkInterfaceAttribute.html",
        f"{API_REFERENCE}/API_DescribeSecurityGroupRules.html",
    ),
)
class IsolateInstance(Action[IsolateParams, IsolateState]):
    """Move each interface, the secondary ones too, and read rules and groups back.

    ModifyInstanceAttribute's ``Groups`` is never used: AWS refuses it where there are two interfaces.
    """

    Params = IsolateParams
    Outputs = IsolateOutputs
    StateModel = IsolateState

    def look(self, ctx: LookContext, params: IsolateParams) -> IsolateState:
        """Read the instance, its interfaces, and the two groups of each VPC with their rules."""
        instance = describe_instance(ctx.api, params.instance_id)
        interfaces = interfaces_of(ctx.api, params.instance_id)
        return IsolateState(
            instance_id=params.instance_id,
            instance_state=state_of(instance),
            interfaces=interfaces,
            groups=look_at_groups(ctx.api, (interface.vpc_id for interface in movable(interfaces))),
            auto_scaling_group=auto_scaling_group(instance),
        )

    def decide(self, params: IsolateParams, state: IsolateState) -> Decision:
        """Make the groups right, move what is not in quarantine; settled when all that is read back."""
        if refusal := _refusal(state):
            return refusal
        calls = tuple(call for groups in state.groups for call in _vpc_calls(params, state, groups))
        if calls:
            return Act(calls)
        if any(groups.quarantine and groups.quarantine.unlisted for groups in state.groups):
            return Waiting("AWS does not yet list the rules of the quarantine group", poll_s=1.0)
        return Settled(_outputs(state), tuple(_warnings(params, state)))

    def foresee(self, params: IsolateParams, state: IsolateState, step: str) -> PlannedOutputs:
        """Return the outputs, with tokens for groups that are not made yet."""
        if _refusal(state):
            return PlannedOutputs({})
        planned = tuple(
            groups.quarantine.group_id
            if groups.quarantine
            else f"<from {step}.quarantine_group_ids[{index}]>"
            for index, groups in enumerate(state.groups)
        )
        outputs = _outputs(state).model_copy(update={"quarantine_group_ids": planned})
        return PlannedOutputs(outputs.model_dump(mode="json"))

    def targets(self, params: IsolateParams, where: Where) -> tuple[str, ...]:
        """Return the instance."""
        return (instance_arn(where, params.instance_id),)

    def undo_calls(
        self,
        params: IsolateParams,
        before: IsolateState,
        after: IsolateState,
        now: IsolateState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Put interfaces back. One that was attached while we isolated has no prior groups: it stays.

        A group that was deleted meanwhile is found before its interface is touched (TargetNotFound, by id).
        """
        return tuple(_restore(before, now, keys))


def _refusal(state: IsolateState) -> Refused | None:
    if state.instance_state in ENDING:
        return Refused(
            f"{state.instance_id} is {state.instance_state}: there is no host to isolate; look for evidence "
            "in its volumes and snapshots"
        )
    if not movable(state.interfaces):
        return Refused(
            f"{state.instance_id} has no interface whose groups may be changed; use a network ACL or stop it"
        )
    return None


def _vpc_calls(params: IsolateParams, state: IsolateState, groups: VpcGroups) -> Iterator[Call]:
    suffix = f"-{groups.vpc_id}" if len(state.groups) > 1 else ""
    quarantine = want_quarantine(groups.quarantine, groups.vpc_id, suffix)
    out = [
        interface
        for interface in movable(state.interfaces)
        if interface.vpc_id == groups.vpc_id and interface.group_ids != (quarantine.ref,)
    ]
    unconverted = [interface for interface in out if params.convert and not _converted(interface, groups)]
    yield from quarantine.calls
    conversion: str | Token = ""
    if unconverted:
        wanted = want_conversion(groups.conversion, groups.vpc_id, suffix)
        conversion = wanted.ref
        yield from wanted.calls
    yield from (record_prior_groups(interface) for interface in out if _unrecorded(interface, groups))
    for interface in out:
        yield from _moves(interface, groups, conversion if interface in unconverted else None, quarantine.ref)


def _converted(interface: Interface, groups: VpcGroups) -> bool:
    conversion = groups.conversion
    return conversion is not None and conversion.open and interface.group_ids == (conversion.group_id,)


def _unrecorded(interface: Interface, groups: VpcGroups) -> bool:
    """Whether the interface's groups are prior state that its tag does not hold yet, and can hold."""
    own = {group.group_id for group in (groups.quarantine, groups.conversion) if group}
    fits = len(" ".join(interface.group_ids)) <= TAG_VALUE_CHARACTERS
    return fits and own.isdisjoint(interface.group_ids) and interface.group_ids != interface.prior_group_ids


def _moves(
    interface: Interface, groups: VpcGroups, conversion: str | Token | None, quarantine: str | Token
) -> Iterator[Call]:
    eni = interface.network_interface_id
    before: tuple[object, ...] = interface.group_ids
    passing = conversion or _passing(interface, groups)
    if conversion is not None:
        yield move(eni, before, [conversion], f"Make the open flows of {eni} untracked, in")
        before = (conversion,)
    cut = move(eni, before, [quarantine], f"Cut {eni} off, in")
    yield replace(cut, fallbacks=tuple(_ways_out(interface, passing))) if passing else cut


def _passing(interface: Interface, groups: VpcGroups) -> str | None:
    """Return the conversion group, if the interface is in it."""
    conversion = groups.conversion
    return conversion.group_id if conversion and conversion.group_id in interface.group_ids else None


def _ways_out(interface: Interface, conversion: str | Token) -> Iterator[tuple[Call, ...]]:
    """Yield what to do where an interface may not enter quarantine and stands in the open group.

    Back where it was it is at least no more exposed than before. Where that is not known, or refused too,
    the open group is closed: other isolations in the VPC open it again when they need it.
    """
    eni = interface.network_interface_id
    prior = interface.prior_group_ids if conversion in interface.group_ids else interface.group_ids
    if prior and conversion not in prior:
        yield (move(eni, (conversion,), prior, f"Put {eni} back into"),)
    yield close_conversion(conversion)


def _restore(before: IsolateState, now: IsolateState, keys: frozenset[str]) -> Iterator[Call]:
    current = {interface.network_interface_id: interface for interface in now.interfaces}
    for interface in before.interfaces:
        eni = interface.network_interface_id
        if eni not in keys:
            continue
        back = move(eni, current[eni].group_ids, interface.group_ids, f"Put {eni} back into")
        yield replace(back, reads=(still_there(interface.group_ids),))
        if current[eni].prior_group_ids and not interface.prior_group_ids:
            yield forget_prior_groups(eni)


def _outputs(state: IsolateState) -> IsolateOutputs:
    return IsolateOutputs(
        instance_id=state.instance_id,
        network_interface_ids=tuple(
            interface.network_interface_id for interface in movable(state.interfaces)
        ),
        quarantine_group_ids=tuple(
            groups.quarantine.group_id for groups in state.groups if groups.quarantine
        ),
        not_isolated_interface_ids=tuple(
            interface.network_interface_id for interface in state.interfaces if interface.requester_managed
        ),
    )


def _warnings(params: IsolateParams, state: IsolateState) -> Iterator[str]:
    yield uncut_flows(state.interfaces, converted=params.convert)
    yield from unreached_interfaces(state.interfaces)
    yield from auto_scaling_warning(state.auto_scaling_group, state.instance_id)
