"""``aws.autoscaling.enter-standby``: the group keeps the host, and lets its health be."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from irrunner.actions.autoscaling.membership import (
    API_REFERENCE,
    ENTERING,
    GROUPS,
    IN_SERVICE,
    LOOK_AT_MEMBER,
    STANDBY,
    USER_GUIDE,
    Group,
    LeaveParams,
    MemberState,
    at_smallest_size,
    come_back,
    ended,
    heading_for,
    hindrance,
    leave,
    look_at_member,
    lowers_capacity,
)
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
    Waiting,
    Where,
)
from irrunner.actions.ec2.instances import ENDING, instance_arn
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class StandbyParams(LeaveParams):
    """Parameters."""

    await_draining: bool = Field(
        default=True,
        description="Wait until its load balancers have drained it (300 seconds, as a rule). Without it the"
        " step ends when the group has let go (EnteringStandby), so that isolation follows at once.",
    )


class StandbyState(MemberState):
    """What entering Standby sees."""

    def footprint(self) -> dict[str, str]:
        """Return the lifecycle state that it is in or heading for; nothing where it has ended or left."""
        if self.instance_state in ENDING or self.group is None:
            return {}
        return {self.instance_id: f"{heading_for(self.lifecycle)} in {self.group.name}"}


class StandbyOutputs(Model):
    """Outputs."""

    instance_id: str
    auto_scaling_group: str
    lifecycle_state: str
    """``Standby``; without waiting perhaps ``EnteringStandby``."""


@action(
    "aws.autoscaling.enter-standby",
    title="Put an instance into Standby, so that its group does not terminate it as unhealthy",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=900.0,
    consistency_s=10.0,
    permissions=(
        *LOOK_AT_MEMBER,
        Permission("autoscaling:EnterStandby", GROUPS, use="act"),
        Permission("autoscaling:ExitStandby", GROUPS, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Takes the instance into service again; the desired capacity grows by one, and AWS refuses that"
    " above MaxSize.",
    sources=(
        f"{USER_GUIDE}/as-enter-exit-standby.html",
        f"{API_REFERENCE}/API_EnterStandby.html",
        f"{USER_GUIDE}/ec2-auto-scaling-health-checks.html",
    ),
)
class EnterStandby(Action[StandbyParams, StandbyState]):
    """Before isolation: an isolated host fails its health check, and termination protection does not help."""

    Params = StandbyParams
    Outputs = StandbyOutputs
    StateModel = StandbyState

    def look(self, ctx: LookContext, params: StandbyParams) -> StandbyState:
        """Read the instance, its lifecycle state, and the sizes of its group."""
        return StandbyState.model_validate(look_at_member(ctx, params.instance_id).model_dump())

    def decide(self, params: StandbyParams, state: StandbyState) -> Decision:
        """Enter from InService; wait for what is on its way there."""
        name, group = state.instance_id, state.group
        if refusal := ended(state):
            return refusal
        if group is None or state.lifecycle.startswith("Detach"):
            return Refused(f"{name} is in no Auto Scaling group: none will replace it", nothing_to_do=True)
        if state.lifecycle == STANDBY or (state.lifecycle == ENTERING and not params.await_draining):
            return Settled(_outputs(params, state, group), tuple(_warnings(group)))
        if state.lifecycle == ENTERING:
            return Waiting(
                f"{name} is entering Standby: its load balancers let connections drain", poll_s=5.0
            )
        stop = hindrance(state, group, "put it into Standby") or at_smallest_size(params, state, group)
        if stop is not None:
            return stop
        lowered = lowers_capacity(params, state, group)
        summary = f"Put {name} into Standby in {group.name}"
        return Act((leave("EnterStandby", summary, state, group, lowered=lowered),))

    def foresee(self, params: StandbyParams, state: StandbyState, step: str) -> PlannedOutputs:
        """Return the outputs of an instance that is, or will be, in Standby."""
        if state.group is None or isinstance(self.decide(params, state), Refused):
            return PlannedOutputs({})
        return PlannedOutputs(_outputs(params, state, state.group).model_dump(mode="json"))

    def targets(self, params: StandbyParams, where: Where) -> tuple[str, ...]:
        """Return the instance."""
        return (instance_arn(where, params.instance_id),)

    def undo_calls(
        self,
        params: StandbyParams,
        before: StandbyState,
        after: StandbyState,
        now: StandbyState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Exit Standby, where it was in service before."""
        if not keys or now.group is None or heading_for(before.lifecycle) != IN_SERVICE:
            return ()
        name, group = now.instance_id, now.group.name
        return (come_back("ExitStandby", f"Take {name} back into service in {group}", name, group),)


def _outputs(params: StandbyParams, state: StandbyState, group: Group) -> StandbyOutputs:
    there = STANDBY if params.await_draining or state.lifecycle == STANDBY else ENTERING
    return StandbyOutputs(instance_id=state.instance_id, auto_scaling_group=group.name, lifecycle_state=there)


def _warnings(group: Group) -> Iterator[str]:
    yield (
        f"{group.name} still terminates it if the group is deleted, or an instance refresh is told to "
        "terminate what is in Standby; aws.autoscaling.detach-instance takes it out of the group for good"
    )
    if group.load_balanced:
        yield "it is off the group's load balancers; flows that were open end with their deregistration delay"
