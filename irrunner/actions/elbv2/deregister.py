"""``aws.elbv2.deregister-instance``: no new requests from Application, Network and Gateway Load Balancers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

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
    Where,
)
from irrunner.actions.ec2.instances import (
    DESCRIBE_INSTANCES,
    ENDING,
    OneInstance,
    describe_instance,
    instance_arn,
    state_of,
)
from irrunner.actions.elbv2.targets import (
    API_REFERENCE,
    LOOK_AT_TARGETS,
    OUTSIDE,
    TARGET_GROUPS,
    Target,
    TargetGroup,
    addresses_of,
    target_groups_of,
)
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class DeregisterState(State):
    """What deregistration sees."""

    instance_id: str
    instance_state: str
    groups: tuple[TargetGroup, ...]
    """All of the Region, also those in which the instance is no target."""

    def footprint(self) -> dict[str, list[str]]:
        """Return target group to the instance's targets in it; draining ones count as gone."""
        if self.instance_state in ENDING:
            return {}
        return {group.arn: [target.label for target in group.registered] for group in self.groups}


class Drained(Model):
    """A target group that sends nothing new."""

    target_group_arn: str
    name: str
    targets: tuple[str, ...]
    """``i-1:80``, ``10.0.0.5:8080``: on their way out."""
    deregistration_delay_s: int | None
    """How long what is open may go on."""


class DeregisterOutputs(Model):
    """Outputs."""

    instance_id: str
    draining: tuple[Drained, ...]
    """Empty once every delay is over, or where the instance was no target."""


@action(
    "aws.elbv2.deregister-instance",
    title="Take an instance, and its addresses, out of every target group",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=300.0,
    permissions=(
        DESCRIBE_INSTANCES,
        *LOOK_AT_TARGETS,
        Permission("elasticloadbalancing:DeregisterTargets", TARGET_GROUPS, use="act"),
        Permission("elasticloadbalancing:RegisterTargets", TARGET_GROUPS, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Registers every target again on its port; AWS refuses an instance that does not run.",
    sources=(
        f"{API_REFERENCE}/API_DeregisterTargets.html",
        f"{API_REFERENCE}/API_DescribeTargetHealth.html",
        "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html",
        "https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html",
    ),
)
class DeregisterInstance(Action[OneInstance, DeregisterState]):
    """By instance id and by every address of its interfaces, on each port; the host's pods too."""

    Params = OneInstance
    Outputs = DeregisterOutputs
    StateModel = DeregisterState

    def look(self, ctx: LookContext, params: OneInstance) -> DeregisterState:
        """Read the addresses of all interfaces, then every target group of the Region."""
        instance = describe_instance(ctx.api, params.instance_id)
        return DeregisterState(
            instance_id=params.instance_id,
            instance_state=state_of(instance),
            groups=target_groups_of(ctx.api, addresses_of(ctx.api, instance)),
        )

    def decide(self, params: OneInstance, state: DeregisterState) -> Decision:
        """Deregister what is registered; settled when all of it drains or is gone."""
        if state.instance_state in ENDING:
            return Refused(
                f"{state.instance_id} is {state.instance_state}: target groups drop it by themselves",
                nothing_to_do=True,
            )
        calls = tuple(
            _call("DeregisterTargets", group, group.registered) for group in state.groups if group.registered
        )
        return Act(calls) if calls else Settled(_outputs(state), tuple(_warnings(state)))

    def foresee(self, params: OneInstance, state: DeregisterState, step: str) -> PlannedOutputs:
        """Return the outputs as they are once everything drains."""
        if state.instance_state in ENDING:
            return PlannedOutputs({})
        return PlannedOutputs(_outputs(_all_draining(state)).model_dump(mode="json"))

    def targets(self, params: OneInstance, where: Where) -> tuple[str, ...]:
        """Return the instance."""
        return (instance_arn(where, params.instance_id),)

    def undo_calls(
        self,
        params: OneInstance,
        before: DeregisterState,
        after: DeregisterState,
        now: DeregisterState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Register the targets that were there, as they were."""
        return tuple(
            _call("RegisterTargets", group, group.registered)
            for group in before.groups
            if group.arn in keys and group.registered
        )


def _call(operation: str, group: TargetGroup, targets: Iterable[Target]) -> Call:
    chosen = tuple(targets)
    labels = [target.label for target in chosen]
    verb, there = ("Take", False) if operation == "DeregisterTargets" else ("Put", True)
    return Call(
        f"elbv2:{operation}",
        {"TargetGroupArn": group.arn, "Targets": [_description(target) for target in chosen]},
        target=group.arn,
        summary=f"{verb} {', '.join(labels)} {'into' if there else 'out of'} target group {group.name}",
        before=[] if there else labels,
        after=labels if there else [],
    )


def _description(target: Target) -> dict[str, Any]:
    """Return a target as AWS takes it: the zone is only for addresses outside the VPC.

    Source: Elastic Load Balancing API reference, TargetDescription, AvailabilityZone.
    """
    port = {} if target.port is None else {"Port": target.port}
    zone = {"AvailabilityZone": OUTSIDE} if target.availability_zone == OUTSIDE else {}
    quic = {"QuicServerId": target.quic_server_id} if target.quic_server_id else {}
    return {"Id": target.target_id, **port, **zone, **quic}


def _all_draining(state: DeregisterState) -> DeregisterState:
    groups = tuple(
        group.model_copy(
            update={"targets": tuple(item.model_copy(update={"draining": True}) for item in group.targets)}
        )
        for group in state.groups
    )
    return state.model_copy(update={"groups": groups})


def _outputs(state: DeregisterState) -> DeregisterOutputs:
    return DeregisterOutputs(
        instance_id=state.instance_id,
        draining=tuple(
            Drained(
                target_group_arn=group.arn,
                name=group.name,
                targets=tuple(target.label for target in group.draining),
                deregistration_delay_s=group.delay_s,
            )
            for group in state.groups
            if group.draining
        ),
    )


def _warnings(state: DeregisterState) -> Iterator[str]:
    for group in state.groups:
        if group.draining:
            delay = "its deregistration delay" if group.delay_s is None else f"{group.delay_s} s"
            end = "and are then cut" if group.cuts_flows else "and, as flows, until they end by themselves"
            yield f"what is open through target group {group.name} may go on for {delay}, {end}"
        if group.look_alikes:
            yield (
                f"target group {group.name} is of another network, and has {', '.join(group.look_alikes)}: "
                "an address that this instance has too; whether it is this host is for you to say"
            )
