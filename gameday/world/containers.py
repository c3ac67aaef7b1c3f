"""ECS where moto is too kind: tasks that take time to stop, are forgotten, and are protected from scale-in.

Source: ECS API reference (DescribeTasks, StopTask, UpdateTaskProtection); ECS developer guide, "Task
lifecycle", "Protect your tasks from being terminated by scale-in events".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from gameday.world import seam
from gameday.world.content import Place, service_role
from gameday.world.paging import page
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

STOPPING_S: Final = 30.0
_FORGOTTEN_S: Final = 3_600.0
_DEFAULT_MINUTES: Final = 120


def build_service(
    place: Place, cluster_name: str, service_name: str, *, tasks: int = 2, managed: bool = True
) -> dict[str, Any]:
    """Build a Fargate service with running tasks, each with an interface of its own, if it is missing.

    Args:
        place: Account and Region.
        cluster_name: Of the cluster.
        service_name: Of the service, its task definition and its image.
        tasks: How many run.
        managed: Whether ECS refuses changes of the interfaces, as it does of most.
    """
    ecs = seam.backend("ecs", place.account, place.region)
    known = ecs.services.get(f"{cluster_name}:{service_name}")
    if known is None:
        _build(ecs, place, cluster_name, service_name, tasks)
    found = list(ecs.tasks[cluster_name].values())
    for eni in (eni for task in found for eni in _interfaces(task)):
        seam.ec2(place.account, place.region).enis[eni].requester_managed = managed
    return {
        "cluster_name": cluster_name,
        "service_name": service_name,
        "task_ids": [task.id for task in found],
        "task_role_name": f"{service_name}-task",
        "network_interface_ids": [eni for task in found for eni in _interfaces(task)],
    }


def _build(ecs: Any, place: Place, cluster_name: str, service_name: str, tasks: int) -> None:
    role = service_role(place, f"{service_name}-task", "ecs-tasks.amazonaws.com")
    ecs.create_cluster(cluster_name)
    environment = [{"name": "API_TOKEN", "value": "do-not-tell"}]
    ecs.register_task_definition(
        family=service_name,
        container_definitions=[
            {"name": "app", "image": f"{service_name}:latest", "environment": environment, "memory": 512}
        ],
        network_mode="awsvpc",
        requires_compatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        task_role_arn=role.arn,
    )
    network = {"awsvpcConfiguration": _network(place, service_name)}
    ecs.create_service(
        cluster_name, service_name, tasks, service_name, launch_type="FARGATE", network_configuration=network
    )
    ecs.run_task(
        cluster_name, service_name, tasks, None, "", None, "FARGATE", network, f"service:{service_name}"
    )
    service = ecs.services[f"{cluster_name}:{service_name}"]
    service.running_count, service.pending_count = tasks, 0


def _network(place: Place, service_name: str) -> dict[str, list[str]]:
    """Build a network; moto's ECS wants one with names of hosts."""
    ec2 = seam.ec2(place.account, place.region)
    vpc = ec2.create_vpc("10.30.0.0/16")
    vpc.enable_dns_hostnames = True
    subnet = ec2.create_subnet(vpc.id, "10.30.0.0/24", availability_zone=f"{place.region}a")
    group = ec2.create_security_group(service_name, f"group {service_name}", vpc_id=vpc.id)
    return {"subnets": [subnet.id], "securityGroups": [group.id]}


def describe_tasks(scene: Scene) -> Mapping[str, Any]:
    """Describe the tasks that there are; the others are failures of an answer that is no error."""
    found, failures = _asked(scene, scene.params["tasks"])
    return {"tasks": [_task(task) for task in found], "failures": failures}


def list_tasks(scene: Scene) -> Mapping[str, Any]:
    """List what is to run, in pages."""
    wanted = scene.params.get("desiredStatus") or "RUNNING"
    arns = [task.task_arn for task in _tasks(scene) if task.desired_status == wanted]
    return page("taskArns", arns, scene.params.get("nextToken"))


def stop_task(scene: Scene) -> Mapping[str, Any]:
    """Let a task stop, which takes time, ends its interface, and is forgotten an hour later."""
    found, _ = _asked(scene, [scene.params["task"]])
    if not found:
        raise Refusal("InvalidParameterException", "The referenced task was not found.")
    task, tasks, now = found[0], _backend(scene).tasks, scene.realm.clock.now()
    if task.desired_status != "STOPPED":
        task.desired_status, task.shown = "STOPPED", "DEACTIVATING"
        task.stopped_reason = scene.params.get("reason", "")

        def stopped() -> None:
            task.shown = "STOPPED"
            for eni in _interfaces(task):
                seam.ec2(scene.account, scene.region).enis.pop(eni, None)

        def forgotten() -> None:
            tasks[task.cluster_name].pop(task.task_arn, None)

        scene.realm.schedule.at(now + timedelta(seconds=STOPPING_S), stopped)
        scene.realm.schedule.at(now + timedelta(seconds=STOPPING_S + _FORGOTTEN_S), forgotten)
    return {"task": _task(task)}


def get_protection(scene: Scene) -> Mapping[str, Any]:
    """Say until when tasks are protected; an end that has passed is none."""
    found, failures = _asked(scene, scene.params.get("tasks") or [])
    return {"protectedTasks": [_protection(scene, task) for task in found], "failures": failures}


def update_protection(scene: Scene) -> Mapping[str, Any]:
    """Protect tasks of services; others are failures."""
    found, failures = _asked(scene, scene.params["tasks"])
    until = None
    if scene.params["protectionEnabled"]:
        minutes = scene.params.get("expiresInMinutes") or _DEFAULT_MINUTES
        until = scene.realm.clock.now() + timedelta(minutes=minutes)
    changed = [task for task in found if str(task.group).startswith("service:")]
    for task in changed:
        task.protected_until = until
    failures += [{"arn": task.task_arn, "reason": "TASK_NOT_VALID"} for task in found if task not in changed]
    return {"protectedTasks": [_protection(scene, task) for task in changed], "failures": failures}


def show_tasks(backend: Any) -> dict[str, Any]:
    """Show the tasks of a Region."""
    return {
        task.task_arn: {
            "status": _status(task),
            "desired_status": task.desired_status,
            "group": task.group,
            "protected": getattr(task, "protected_until", None) is not None,
            "network_interface_ids": _interfaces(task),
        }
        for tasks in backend.tasks.values()
        for task in tasks.values()
    }


def show_services(backend: Any) -> dict[str, Any]:
    """Show the services of a Region."""
    return {
        service.arn: {
            "desired_count": service.desired_count,
            "task_definition": service.task_definition,
            "status": service.status,
        }
        for service in backend.services.values()
    }


def digest_of(image: str) -> str:
    """Return the digest to which the world resolves an image's tag."""
    return f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"


def _asked(scene: Scene, asked: Iterable[str]) -> tuple[list[Any], list[dict[str, str]]]:
    known = {task.id: task for task in _tasks(scene)}
    ids = [str(name).rpartition("/")[2] for name in asked]
    missing = [ident for ident in ids if ident not in known]
    arn = f"arn:aws:ecs:{scene.region}:{scene.account}:task"
    return (
        [known[ident] for ident in ids if ident in known],
        [{"arn": f"{arn}/{ident}", "reason": "MISSING"} for ident in missing],
    )


def _tasks(scene: Scene) -> list[Any]:
    backend = _backend(scene)
    cluster = str(scene.params.get("cluster") or "default").rpartition("/")[2]
    if cluster not in backend.clusters:
        raise Refusal("ClusterNotFoundException", "Cluster not found.")
    return list(backend.tasks.get(cluster, {}).values())


def _task(task: Any) -> dict[str, Any]:
    shown = {
        "taskArn": task.task_arn,
        "clusterArn": task.cluster_arn,
        "taskDefinitionArn": task.task_definition_arn,
        "lastStatus": _status(task),
        "desiredStatus": task.desired_status,
        "group": task.group,
        "launchType": task.launch_type or None,
        "capacityProviderName": task.capacity_provider_name,
        "enableExecuteCommand": False,
        "startedBy": task.started_by,
        "stoppedReason": task.stopped_reason,
        "attachments": task.attachments,
        "tags": task.tags,
        "containers": [
            {
                "name": container.name,
                "image": container.image,
                "imageDigest": digest_of(container.image),
                "runtimeId": f"{task.id}-1",
                "lastStatus": _status(task),
            }
            for container in task.containers
        ],
    }
    return {name: value for name, value in shown.items() if value is not None}


def _status(task: Any) -> str:
    """Return the status; moto's own moves on with every look."""
    return str(getattr(task, "shown", "RUNNING"))


def _protection(scene: Scene, task: Any) -> dict[str, Any]:
    until = getattr(task, "protected_until", None)
    enabled = until is not None and until > scene.realm.clock.now()
    end = {"expirationDate": until} if enabled else {}
    return {"taskArn": task.task_arn, "protectionEnabled": enabled, **end}


def _interfaces(task: Any) -> list[str]:
    return [
        detail["value"]
        for attachment in task.attachments
        for detail in attachment["details"]
        if detail["name"] == "networkInterfaceId"
    ]


def _backend(scene: Scene) -> Any:
    return seam.backend("ecs", scene.account, scene.region)


LAYER: Final = StrictLayer(
    answers={
        "ecs:DescribeTasks": describe_tasks,
        "ecs:ListTasks": list_tasks,
        "ecs:StopTask": stop_task,
        "ecs:GetTaskProtection": get_protection,
        "ecs:UpdateTaskProtection": update_protection,
    },
)
