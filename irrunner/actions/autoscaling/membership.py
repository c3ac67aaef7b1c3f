"""What the Auto Scaling actions look at: the group that an instance is a member of. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from pydantic import Field

from irrunner.actions.contract import (
    Broken,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    Refused,
    State,
    Waiting,
)
from irrunner.actions.ec2.instances import (
    DESCRIBE_INSTANCES,
    ENDING,
    OneInstance,
    describe_instance,
    state_of,
)

USER_GUIDE: Final = "https://docs.aws.amazon.com/autoscaling/ec2/userguide"
API_REFERENCE: Final = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference"
GROUPS: Final = "arn:{partition}:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/*"
DESCRIBE_GROUPS: Final = Permission("autoscaling:DescribeAutoScalingGroups")
LOOK_AT_MEMBER: Final = (
    DESCRIBE_INSTANCES,
    Permission("autoscaling:DescribeAutoScalingInstances"),
    DESCRIBE_GROUPS,
)
IN_SERVICE: Final = "InService"
STANDBY: Final = "Standby"
ENTERING: Final = "EnteringStandby"
"""Not looked at for its health any more; load balancers let it drain."""
COMING: Final = ("Pending", "ReplacingRootVolume", "RootVolumeReplaced")
"""Beginnings of lifecycle states that lead to InService by themselves, some of them held by a hook."""
TOO_MANY_LEAVE: Final = "ValidationError"
"""What AWS answers where another instance left meanwhile, and the group is at its smallest size now."""

Replacement: TypeAlias = Literal["if-needed", "always", "never"]


class LeaveParams(OneInstance):
    """Parameters of taking an instance out of its group's service."""

    replacement: Replacement = Field(
        default="if-needed",
        description="Whether the group launches another instance in its place. `if-needed`: the desired"
        " capacity goes down with it, unless that would be less than the group's MinSize; then another is"
        " launched. `always`: the desired capacity stays. `never`: refuse at MinSize. A new instance comes"
        " from the same image, which may be as vulnerable. Undo is exact where none was launched; else the"
        " group has one instance more after it.",
    )


class Group(Model):
    """An Auto Scaling group."""

    name: str
    min_size: int
    max_size: int
    desired_capacity: int
    load_balanced: bool
    """Whether it registers its members with load balancers."""
    suspended: tuple[str, ...]


class MemberState(State):
    """An instance and its place in a group."""

    instance_id: str
    instance_state: str
    lifecycle: str = ""
    """Empty: it is in no group."""
    weight: int = 1
    """How much of the desired capacity it is; more than 1 in a mixed group with weights."""
    group: Group | None = None


def look_at_member(ctx: LookContext, instance_id: str) -> MemberState:
    """Read an instance, its membership and the group.

    Raises:
        TargetNotFound: If there is no such instance.

    Source: DescribeAutoScalingInstances. The tag ``aws:autoscaling:groupName`` outlives some detachments, and
    says nothing of the lifecycle state.
    """
    instance_state = state_of(describe_instance(ctx.api, instance_id))
    members = ctx.api.pages(
        "autoscaling:DescribeAutoScalingInstances", "AutoScalingInstances[]", InstanceIds=[instance_id]
    )
    if not members:
        return MemberState(instance_id=instance_id, instance_state=instance_state)
    return MemberState(
        instance_id=instance_id,
        instance_state=instance_state,
        lifecycle=members[0]["LifecycleState"],
        weight=int(members[0].get("WeightedCapacity") or 1),
        group=group_named(ctx, members[0]["AutoScalingGroupName"]),
    )


def group_named(ctx: LookContext, name: str) -> Group | None:
    """Return a group, None where there is none of that name."""
    found = ctx.api.pages(
        "autoscaling:DescribeAutoScalingGroups", "AutoScalingGroups[]", AutoScalingGroupNames=[name]
    )
    return _group(found[0]) if found else None


def _group(raw: Mapping[str, Any]) -> Group:
    return Group(
        name=raw["AutoScalingGroupName"],
        min_size=int(raw.get("MinSize") or 0),
        max_size=int(raw.get("MaxSize") or 0),
        desired_capacity=int(raw.get("DesiredCapacity") or 0),
        load_balanced=bool(raw.get("LoadBalancerNames") or raw.get("TargetGroupARNs")),
        suspended=tuple(sorted(item["ProcessName"] for item in raw.get("SuspendedProcesses") or ())),
    )


def heading_for(lifecycle: str) -> str:
    """Return the lifecycle state that one leads to by itself."""
    if lifecycle == ENTERING:
        return STANDBY
    return IN_SERVICE if lifecycle.startswith(COMING) else lifecycle


def hindrance(state: MemberState, group: Group, doing: str) -> Decision | None:
    """Return why a member cannot leave the group's service now, if it cannot.

    Args:
        state: The member.
        group: Its group.
        doing: ``put it into Standby``.
    """
    name, lifecycle = state.instance_id, state.lifecycle
    if lifecycle.startswith(COMING):
        return Waiting(f"{name} is {lifecycle} in {group.name}: it must be InService first", poll_s=5.0)
    if lifecycle.startswith("Terminating"):
        return Refused(
            f"{group.name} is terminating {name} ({lifecycle}): it is too late to {doing}; snapshot its"
            " volumes at once, and record heartbeats of a lifecycle hook that holds it (Terminating:Wait)"
        )
    if lifecycle.startswith("Warmed"):
        return Refused(
            f"{name} is in the warm pool of {group.name} ({lifecycle}), which has no way to {doing}; suspend"
            " its processes (aws.autoscaling.suspend-processes)"
        )
    if lifecycle not in {IN_SERVICE, STANDBY}:
        return Broken(f"{name} is {lifecycle} in {group.name}: no way is known to {doing}")
    return None


def ended(state: MemberState) -> Refused | None:
    """Return the refusal of an instance that has ended."""
    if state.instance_state not in ENDING:
        return None
    return Refused(f"{state.instance_id} is {state.instance_state}: look for evidence in its snapshots")


def lowers_capacity(params: LeaveParams, state: MemberState, group: Group) -> bool:
    """Return whether the desired capacity goes down with the instance.

    One in Standby does not count for the capacity; taking it away changes none.
    """
    may = state.lifecycle == IN_SERVICE and group.desired_capacity - state.weight >= group.min_size
    return may and params.replacement != "always"


def at_smallest_size(params: LeaveParams, state: MemberState, group: Group) -> Refused | None:
    """Return the refusal where the group would have to launch another instance, and must not."""
    counted = state.lifecycle == IN_SERVICE
    if params.replacement != "never" or not counted or lowers_capacity(params, state, group):
        return None
    return Refused(
        f"{group.name} is at its MinSize ({group.min_size}): it would launch another instance in place of "
        f"{state.instance_id}; allow that (replacement: if-needed), or suspend ReplaceUnhealthy and "
        "Terminate instead (aws.autoscaling.suspend-processes)"
    )


def leave(operation: str, summary: str, state: MemberState, group: Group, *, lowered: bool) -> Call:
    """Return the call that takes an instance out of its group's service.

    Where others leave at the same time, the group may have come to its smallest size since the look: AWS
    says so by a ValidationError, and the next look decides anew.
    """
    after = group.desired_capacity - (state.weight if lowered else 0)
    capacity = f"the desired capacity goes to {after}" if lowered else "the desired capacity stays"
    return Call(
        f"autoscaling:{operation}",
        {
            "AutoScalingGroupName": group.name,
            "InstanceIds": [state.instance_id],
            "ShouldDecrementDesiredCapacity": lowered,
        },
        target=state.instance_id,
        summary=f"{summary} ({capacity})",
        before={"lifecycle": state.lifecycle, "desired_capacity": group.desired_capacity},
        after={"desired_capacity": after},
        tolerate=(TOO_MANY_LEAVE,) if lowered else (),
    )


def come_back(operation: str, summary: str, instance_id: str, group_name: str) -> Call:
    """Return the call that takes an instance into a group's service again."""
    return Call(
        f"autoscaling:{operation}",
        {"AutoScalingGroupName": group_name, "InstanceIds": [instance_id]},
        target=instance_id,
        summary=summary,
        after=IN_SERVICE,
    )
