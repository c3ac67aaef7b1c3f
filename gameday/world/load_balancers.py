"""Target registrations as AWS keeps them: a target may be there on several ports, and drains before it goes.

moto knows one port for each target, and lets go at once. Classic load balancers are moto's own, but for what
they refuse.

Source: Elastic Load Balancing API reference (RegisterTargets, DeregisterTargets, DescribeTargetHealth);
user guide, "Edit target group attributes", deregistration delay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from gameday.world import seam
from gameday.world.refusals import Refusal
from gameday.world.services import Realm, Scene, StrictLayer

DELAY: Final = "deregistration_delay.timeout_seconds"
PAGE: Final = 400


def register_targets(scene: Scene) -> Mapping[str, Any]:
    """Register targets; an instance must run, and one without a port is there on the group's."""
    group = _target_group(scene)
    for target in scene.params.get("Targets") or []:
        _check_target(scene, group, target)
        _register(group, target["Id"], target.get("Port"), target.get("AvailabilityZone"))
    return {}


def deregister_targets(scene: Scene) -> Mapping[str, Any]:
    """Let targets drain; what is not there is no error for AWS, unless it has no such id at all."""
    group = _target_group(scene)
    for target in scene.params.get("Targets") or []:
        _drain(scene.realm, group, target["Id"], target.get("Port"))
    return {}


def describe_target_health(scene: Scene) -> Mapping[str, Any]:
    """Describe registered and draining targets, or those that were asked for."""
    group = _target_group(scene)
    asked = scene.params.get("Targets") or []
    shown = [
        _health(scene, group, target)
        for target in group.targets.values()
        if not asked or any(_same(target, item["Id"], item.get("Port")) for item in asked)
    ]
    return {"TargetHealthDescriptions": shown}


def describe_target_groups(scene: Scene) -> Mapping[str, Any] | None:
    """Give pages where all groups are asked for; moto has one page."""
    if scene.params.keys() - {"Marker", "PageSize"}:
        return None
    groups = list(seam.backend("elbv2", scene.account, scene.region).target_groups.values())
    start, size = int(scene.params.get("Marker") or 0), int(scene.params.get("PageSize") or PAGE)
    more = {"NextMarker": str(start + size)} if start + size < len(groups) else {}
    return {"TargetGroups": [_group_view(group) for group in groups[start : start + size]], **more}


def check_known_balancer(scene: Scene) -> None:
    """Refuse a classic load balancer that does not exist, and instances that do not."""
    backend = seam.backend("elb", scene.account, scene.region)
    name = scene.params.get("LoadBalancerName", "")
    if name not in backend.load_balancers:
        raise Refusal("LoadBalancerNotFound", f"There is no ACTIVE Load Balancer named '{name}'")
    known = seam.instances(scene.account, scene.region)
    for item in scene.params.get("Instances") or []:
        if item["InstanceId"] not in known:
            raise Refusal("InvalidInstance", f"Could not find EC2 instance {item['InstanceId']}.")


def deregister_everywhere(realm: Realm, group: Any, instance_id: str) -> float:
    """Take an instance off its Auto Scaling group's load balancers; return how long that takes, seconds."""
    longest = 0.0
    for target_group in _attached(group):
        if any(_same(target, instance_id, None) for target in target_group.targets.values()):
            longest = max(longest, float(target_group.attributes.get(DELAY, 300)))
        _drain(realm, target_group, instance_id, None)
    for balancer in _classic(group):
        for name in ("instance_autoscaling_ids", "instance_sparse_ids"):
            setattr(balancer, name, [other for other in getattr(balancer, name) if other != instance_id])
    return longest


def register_everywhere(group: Any, instance_id: str) -> None:
    """Register an instance with the load balancers that are attached to its Auto Scaling group."""
    for target_group in _attached(group):
        _register(target_group, instance_id, None, None)
    for balancer in _classic(group):
        balancer.instance_autoscaling_ids = sorted({*balancer.instance_autoscaling_ids, instance_id})


def show_target_groups(backend: Any) -> dict[str, Any]:
    """Show registrations for the canonical state."""
    return {
        group.arn: {
            f"{target['Id']}:{target['Port']}": _state(target) for target in _by_port(group.targets.values())
        }
        for group in backend.target_groups.values()
    }


def show_classic(backend: Any) -> dict[str, Any]:
    """Show the instances of classic load balancers for the canonical state."""
    return {name: sorted(balancer.instance_ids) for name, balancer in backend.load_balancers.items()}


def _attached(group: Any) -> list[Any]:
    known = seam.backend("elbv2", group.account_id, group.region).target_groups
    return [known[arn] for arn in group.target_group_arns or [] if arn in known]


def _classic(group: Any) -> list[Any]:
    known = seam.backend("elb", group.account_id, group.region).load_balancers
    return [known[name] for name in group.load_balancer_names or [] if name in known]


def _by_port(targets: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(targets, key=lambda target: (target["Id"], int(target["Port"] or 0)))


def _register(group: Any, target_id: str, port: int | None, zone: str | None) -> None:
    number = int(port or group.port or 0)
    known = [key for key, target in group.targets.items() if _same(target, target_id, number)]
    for key in known:
        del group.targets[key]
    # moto registers members of Auto Scaling groups under their id, on the group's port
    own_port = number == int(group.port or 0)
    group.targets[target_id if own_port else f"{target_id}:{number}"] = {
        "Id": target_id,
        "Port": number,
        **({"AvailabilityZone": zone} if zone else {}),
    }


def _drain(realm: Realm, group: Any, target_id: str, port: int | None) -> None:
    due = realm.clock.now() + timedelta(seconds=int(group.attributes.get(DELAY, 300)))
    for key, target in list(group.targets.items()):
        if not _same(target, target_id, port) or _state(target) == "draining":
            continue
        target["draining"] = True

        def gone(key: str = key, target: Any = target) -> None:
            if group.targets.get(key) is target:
                del group.targets[key]

        realm.schedule.at(due, gone)


def _check_target(scene: Scene, group: Any, target: Mapping[str, Any]) -> None:
    if group.target_type != "instance":
        return
    if target.get("AvailabilityZone"):
        raise Refusal("ValidationError", "You cannot specify an Availability Zone for instance targets")
    instance = seam.instances(scene.account, scene.region).get(target["Id"])
    if instance is None:
        raise Refusal("InvalidTarget", f"The target ID '{target['Id']}' is not valid")
    if instance.state != "running":
        raise Refusal("InvalidTarget", f"The following targets are not in a running state: {target['Id']}")


def _same(target: Mapping[str, Any], target_id: str, port: int | None) -> bool:
    return target["Id"] == target_id and (port is None or int(target["Port"] or 0) == int(port))


def _state(target: Mapping[str, Any]) -> str:
    return "draining" if target.get("draining") else "registered"


def _health(scene: Scene, group: Any, target: Mapping[str, Any]) -> dict[str, Any]:
    health = {"State": "healthy"}
    instance = seam.instances(scene.account, scene.region).get(target["Id"])
    if _state(target) == "draining":
        health = {"State": "draining", "Reason": "Target.DeregistrationInProgress"}
    elif instance is not None and instance.state != "running":
        health = {"State": "unused", "Reason": "Target.InvalidState"}
    elif not group.load_balancer_arns:
        health = {"State": "unused", "Reason": "Target.NotInUse"}
    shown = {name: target[name] for name in ("Id", "Port", "AvailabilityZone") if name in target}
    return {"Target": shown, "HealthCheckPort": str(target["Port"]), "TargetHealth": health}


def _group_view(group: Any) -> dict[str, Any]:
    return {
        "TargetGroupArn": group.arn,
        "TargetGroupName": group.name,
        "Protocol": group.protocol,
        "Port": int(group.port) if group.port else None,
        "VpcId": group.vpc_id,
        "TargetType": group.target_type,
        "LoadBalancerArns": list(group.load_balancer_arns),
    }


def _target_group(scene: Scene) -> Any:
    arn = scene.params.get("TargetGroupArn", "")
    group = seam.backend("elbv2", scene.account, scene.region).target_groups.get(arn)
    if group is None:
        raise Refusal("TargetGroupNotFound", "One or more target groups not found")
    return group


_CLASSIC: Final = ("elb:RegisterInstancesWithLoadBalancer", "elb:DeregisterInstancesFromLoadBalancer")

LAYER: Final = StrictLayer(
    rules=dict.fromkeys(_CLASSIC, (check_known_balancer,)),
    answers={
        "elbv2:RegisterTargets": register_targets,
        "elbv2:DeregisterTargets": deregister_targets,
        "elbv2:DescribeTargetHealth": describe_target_health,
        "elbv2:DescribeTargetGroups": describe_target_groups,
    },
)
