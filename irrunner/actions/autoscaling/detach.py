"""``aws.autoscaling.detach-instance``: the host leaves its group and runs on.

Undo attaches it again: who takes a containment back wants the host in service as it was, and AttachInstances
does that exactly where no other instance was launched in its place.
"""

from __future__ import annotations

from irrunner.actions.autoscaling.membership import (
    API_REFERENCE,
    ENTERING,
    GROUPS,
    LOOK_AT_MEMBER,
    USER_GUIDE,
    LeaveParams,
    MemberState,
    at_smallest_size,
    come_back,
    ended,
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
    Settled,
    Waiting,
    Where,
)
from irrunner.actions.ec2.instances import ENDING, instance_arn
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class DetachState(MemberState):
    """What detaching sees."""

    def footprint(self) -> dict[str, str | None]:
        """Return the group's name, None where it is in none or leaving; nothing where it has ended."""
        if self.instance_state in ENDING:
            return {}
        stays = self.group is not None and not self.lifecycle.startswith("Detach")
        return {f"{self.instance_id}/auto-scaling-group": self.group.name if self.group and stays else None}


class DetachOutputs(Model):
    """Outputs."""

    instance_id: str


@action(
    "aws.autoscaling.detach-instance",
    title="Take an instance out of its Auto Scaling group; it runs on",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=900.0,
    consistency_s=10.0,
    permissions=(
        *LOOK_AT_MEMBER,
        Permission("autoscaling:DetachInstances", GROUPS, use="act"),
        Permission("autoscaling:AttachInstances", GROUPS, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Attaches the instance to the group that it left, in service; the desired capacity grows by"
    " one. Protection from scale-in is what the group gives new members, and Standby is not restored.",
    sources=(
        f"{USER_GUIDE}/ec2-auto-scaling-detach-attach-instances.html",
        f"{API_REFERENCE}/API_DetachInstances.html",
        f"{API_REFERENCE}/API_AttachInstances.html",
    ),
)
class DetachInstance(Action[LeaveParams, DetachState]):
    """Stronger than Standby: not even deleting the group ends the host."""

    Params = LeaveParams
    Outputs = DetachOutputs
    StateModel = DetachState

    def look(self, ctx: LookContext, params: LeaveParams) -> DetachState:
        """Read the instance, its lifecycle state, and the sizes of its group."""
        return DetachState.model_validate(look_at_member(ctx, params.instance_id).model_dump())

    def decide(self, params: LeaveParams, state: DetachState) -> Decision:
        """Detach what is in service or in Standby; settled when it is in no group."""
        name, group = state.instance_id, state.group
        if refusal := ended(state):
            return refusal
        if group is None:
            return Settled(DetachOutputs(instance_id=name))
        if state.lifecycle.startswith("Detach"):
            return Waiting(f"{name} is leaving {group.name}: its load balancers let it drain", poll_s=5.0)
        if state.lifecycle == ENTERING:
            return Waiting(f"{name} is entering Standby in {group.name}", poll_s=5.0)
        stop = hindrance(state, group, "detach it") or at_smallest_size(params, state, group)
        if stop is not None:
            return stop
        lowered = lowers_capacity(params, state, group)
        return Act(
            (leave("DetachInstances", f"Detach {name} from {group.name}", state, group, lowered=lowered),)
        )

    def foresee(self, params: LeaveParams, state: DetachState, step: str) -> PlannedOutputs:
        """Return the outputs, which are known before."""
        possible = isinstance(self.decide(params, state), Act | Settled | Waiting)
        outputs = DetachOutputs(instance_id=state.instance_id).model_dump(mode="json")
        return PlannedOutputs(outputs if possible else {})

    def targets(self, params: LeaveParams, where: Where) -> tuple[str, ...]:
        """Return the instance."""
        return (instance_arn(where, params.instance_id),)

    def undo_calls(
        self,
        params: LeaveParams,
        before: DetachState,
        after: DetachState,
        now: DetachState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Attach it to the group that it was in."""
        if not keys or before.group is None:
            return ()
        name, group = now.instance_id, before.group.name
        return (come_back("AttachInstances", f"Attach {name} to {group} again", name, group),)
