"""Auto Scaling's API: Standby and detaching take time, and members come in pages; moto does neither.

Source: EC2 Auto Scaling user guide ("Temporarily remove instances", "Suspend and resume processes", "Detach
or attach instances") and API reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from gameday.world import seam
from gameday.world.load_balancers import deregister_everywhere, register_everywhere
from gameday.world.refusals import Refusal
from gameday.world.scaling_groups import SERVICE, fill, watch
from gameday.world.services import Scene, StrictLayer

TRANSITION_S: Final = 2.0
PAGE: Final = 50
PROCESSES: Final = frozenset(
    {
        "AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck", "InstanceRefresh", "Launch",
        "ReplaceUnhealthy", "ScheduledActions", "Terminate",
    }
)  # fmt: skip


def enter_standby(scene: Scene) -> Mapping[str, Any]:
    """Take members out of service; with the capacity, or with another member in their place."""
    group, members = _group(scene), _members(scene, "InService")
    lowered = bool(scene.params.get("ShouldDecrementDesiredCapacity"))
    _change_capacity(group, -len(members) if lowered else 0)
    for member in members:
        member.lifecycle_state = "EnteringStandby"
        drained_s = deregister_everywhere(scene.realm, group, member.instance_id)
        _soon(scene, member, "EnteringStandby", "Standby", drained_s)
    fill(group)
    return {"Activities": [_activity(scene, group, f"Moving {m.instance_id} to Standby") for m in members]}


def exit_standby(scene: Scene) -> Mapping[str, Any]:
    """Take members into service again; the capacity grows by them."""
    group, members = _group(scene), _members(scene, "Standby")
    _change_capacity(group, len(members))
    for member in members:
        member.lifecycle_state = "Pending"
        register_everywhere(group, member.instance_id)
        _soon(scene, member, "Pending", "InService")
    return {"Activities": [_activity(scene, group, f"Moving {m.instance_id} from Standby") for m in members]}


def detach(scene: Scene) -> Mapping[str, Any]:
    """Let members go; they run on, nobody's."""
    group, members = _group(scene), _members(scene, "InService", "Standby")
    serving = sum(member.lifecycle_state == "InService" for member in members)
    lowered = bool(scene.params.get("ShouldDecrementDesiredCapacity"))
    _change_capacity(group, -serving if lowered else 0)
    for member in members:
        member.lifecycle_state = "Detaching"
        drained_s = deregister_everywhere(scene.realm, group, member.instance_id)

        def gone(member: Any = member) -> None:
            _drop(group, member)

        scene.realm.schedule.at(_after(scene, drained_s), gone)
    fill(group)
    return {"Activities": [_activity(scene, group, f"Detaching {m.instance_id}") for m in members]}


def describe_members(scene: Scene) -> Mapping[str, Any]:
    """List members of all groups in pages; moto has one page."""
    asked = set(scene.params.get("InstanceIds") or [])
    backend = seam.backend(SERVICE, scene.account, scene.region)
    found = [
        _view(group, member)
        for group in backend.autoscaling_groups.values()
        for member in group.instance_states
        if not asked or member.instance_id in asked
    ]
    start, size = int(scene.params.get("NextToken") or 0), int(scene.params.get("MaxRecords") or PAGE)
    more = {"NextToken": str(start + size)} if start + size < len(found) else {}
    return {"AutoScalingInstances": found[start : start + size], **more}


def check_attachable(scene: Scene) -> None:
    """Refuse to attach what does not run, belongs to a group already, or would exceed the group."""
    group, backend = _group(scene), seam.backend(SERVICE, scene.account, scene.region)
    asked = scene.params.get("InstanceIds") or []
    for instance in seam.ec2(scene.account, scene.region).get_multi_instances_by_id(asked):
        if instance.state != "running":
            raise _invalid(f"Instance {instance.id} is not in correct state. Instance(s) must be running.")
        if backend.describe_auto_scaling_instances([instance.id]):
            raise _invalid(f"Instance {instance.id} is already part of an Auto Scaling group")
    if (group.desired_capacity or 0) + len(asked) > group.max_size:
        raise _invalid(f"AutoScalingGroup {group.name}: attaching exceeds max-size {group.max_size}")


def check_processes(scene: Scene) -> None:
    """Refuse processes that do not exist."""
    _group(scene)
    unknown = set(scene.params.get("ScalingProcesses") or []) - PROCESSES
    if unknown:
        raise _invalid(f"Invalid process(es) {sorted(unknown)}")


def begin_to_watch(scene: Scene) -> None:
    """From its first group on, Auto Scaling looks at members."""
    watch(scene.realm, scene.account, scene.region)


def show_groups(backend: Any) -> dict[str, Any]:
    """Show groups for the canonical state."""
    return {
        group.name: {
            "min_size": group.min_size,
            "max_size": group.max_size,
            "desired_capacity": group.desired_capacity,
            "suspended_processes": sorted(process["ProcessName"] for process in group.suspended_processes),
            "instances": {
                member.instance_id: {"lifecycle": member.lifecycle_state, "health": member.health_status}
                for member in sorted(group.instance_states, key=lambda member: str(member.instance_id))
            },
        }
        for group in backend.autoscaling_groups.values()
    }


def _drop(group: Any, member: Any) -> None:
    group.instance_states = [other for other in group.instance_states if other is not member]
    group.ec2_backend.delete_tags([member.instance_id], {"aws:autoscaling:groupName": group.name})
    vars(member.instance).pop("autoscaling_group", None)


def _after(scene: Scene, drained_s: float) -> datetime:
    """Return when a transition is over: not before load balancers have let the member drain."""
    return scene.realm.clock.now() + timedelta(seconds=max(TRANSITION_S, drained_s))


def _soon(scene: Scene, member: Any, begun: str, ended: str, drained_s: float = 0.0) -> None:
    def arrive() -> None:
        if member.lifecycle_state == begun:
            member.lifecycle_state = ended

    scene.realm.schedule.at(_after(scene, drained_s), arrive)


def _change_capacity(group: Any, difference: int) -> None:
    wanted = int(group.desired_capacity or 0) + difference
    if difference and not group.min_size <= wanted <= group.max_size:
        raise _invalid(
            f"AutoScalingGroup {group.name} has min-size={group.min_size}, max-size={group.max_size}, and "
            f"desired-size={group.desired_capacity}. To change it by {difference}, please update the "
            "AutoScalingGroup sizes appropriately."
        )
    group.desired_capacity = wanted


def _group(scene: Scene) -> Any:
    name = scene.params.get("AutoScalingGroupName", "")
    group = seam.backend(SERVICE, scene.account, scene.region).autoscaling_groups.get(name)
    if group is None:
        raise _invalid(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    return group


def _members(scene: Scene, *states: str) -> list[Any]:
    group = _group(scene)
    known = {member.instance_id: member for member in group.instance_states}
    asked: Iterable[str] = scene.params.get("InstanceIds") or []
    members = []
    for instance_id in asked:
        member = known.get(instance_id)
        if member is None:
            raise _invalid(f"The instance {instance_id} is not part of Auto Scaling group {group.name}.")
        if member.lifecycle_state not in states:
            raise _invalid(f"The instance {instance_id} is not in {' or '.join(states)}.")
        members.append(member)
    return members


def _view(group: Any, member: Any) -> dict[str, Any]:
    return {
        "InstanceId": member.instance_id,
        "InstanceType": member.instance_type,
        "AutoScalingGroupName": group.name,
        "AvailabilityZone": member.availability_zone,
        "LifecycleState": member.lifecycle_state,
        "HealthStatus": member.health_status.upper(),
        "ProtectedFromScaleIn": bool(member.protected_from_scale_in),
    }


def _activity(scene: Scene, group: Any, words: str) -> dict[str, Any]:
    now = scene.realm.clock.now()
    return {
        "ActivityId": f"{group.name}-{now.timestamp():.6f}",
        "AutoScalingGroupName": group.name,
        "Cause": f"{words} in response to a user request",
        "StartTime": now,
        "StatusCode": "InProgress",
    }


def _invalid(message: str) -> Refusal:
    return Refusal("ValidationError", message)


LAYER: Final = StrictLayer(
    rules={
        "autoscaling:AttachInstances": (check_attachable,),
        "autoscaling:SuspendProcesses": (check_processes,),
        "autoscaling:ResumeProcesses": (check_processes,),
    },
    answers={
        "autoscaling:EnterStandby": enter_standby,
        "autoscaling:ExitStandby": exit_standby,
        "autoscaling:DetachInstances": detach,
        "autoscaling:DescribeAutoScalingInstances": describe_members,
    },
    effects={"autoscaling:CreateAutoScalingGroup": begin_to_watch},
)
