"""What the ECS actions look at: a task, its image digests and interfaces. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from irrunner.actions.contract import Model, Permission, ReadApi, Where
from irrunner.actions.ids import EcsClusterName, EcsTaskId
from irrunner.errors import TargetNotFound

API_REFERENCE: Final = "https://docs.aws.amazon.com/AmazonECS/latest/APIReference"
USER_GUIDE: Final = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide"

TASK: Final = "arn:{partition}:ecs:{region}:{account}:task/{cluster_name}/{task_id}"
TASKS: Final = "arn:{partition}:ecs:{region}:{account}:task/{cluster_name}/*"
DESCRIBE_TASK: Final = Permission("ecs:DescribeTasks", TASK)
ENDED: Final = "STOPPED"
FARGATE: Final = frozenset({"FARGATE", "FARGATE_SPOT"})
"""Capacity providers whose hosts are AWS's."""
SERVICE_GROUP: Final = "service:"
MOST_AT_ONCE: Final = 100
"""Tasks of one DescribeTasks."""


class OneTask(Model):
    """Parameters of an action on one task."""

    cluster_name: EcsClusterName
    task_id: EcsTaskId


class Container(Model):
    """A container of a task."""

    name: str
    image: str
    image_digest: str
    """What really runs, whatever the tag says now; empty before it was pulled."""
    runtime_id: str
    last_status: str


def task_arn(where: Where, params: OneTask) -> str:
    """Return the ARN of a task of the incident's account and Region."""
    return (
        f"arn:{where.partition}:ecs:{where.region}:{where.account_id}"
        f":task/{params.cluster_name}/{params.task_id}"
    )


def describe_task(api: ReadApi, params: OneTask) -> Mapping[str, Any]:
    """Return ECS's description of one task, with tags.

    Raises:
        TargetNotFound: If it does not exist, or stopped more than an hour ago.
    """
    answer = api.call(
        "ecs:DescribeTasks", cluster=params.cluster_name, tasks=[params.task_id], include=["TAGS"]
    )
    for task in answer.get("tasks") or ():
        return dict(task)
    told = "; ".join(str(failure.get("reason")) for failure in answer.get("failures") or ())
    raise TargetNotFound(
        f"no task {params.task_id} in {params.cluster_name} ({told or 'no answer'})",
        hint="ECS forgets a task about an hour after it has stopped",
    )


def describe_all(api: ReadApi, cluster_name: str) -> Iterator[Mapping[str, Any]]:
    """Yield every task that is to run in a cluster."""
    arns = api.pages("ecs:ListTasks", "taskArns", cluster=cluster_name)
    for start in range(0, len(arns), MOST_AT_ONCE):
        some = arns[start : start + MOST_AT_ONCE]
        answer = api.call("ecs:DescribeTasks", cluster=cluster_name, tasks=some)
        yield from answer.get("tasks") or ()


def containers_of(task: Mapping[str, Any]) -> list[Container]:
    """Return the containers of a described task."""
    return [
        Container(
            name=found["name"],
            image=found.get("image") or "",
            image_digest=found.get("imageDigest") or "",
            runtime_id=found.get("runtimeId") or "",
            last_status=found.get("lastStatus") or "",
        )
        for found in task.get("containers") or ()
    ]


def interface_ids_of(task: Mapping[str, Any]) -> list[str]:
    """Return the interfaces that belong to the task alone; none where it uses those of its host."""
    return sorted(
        detail["value"]
        for attachment in task.get("attachments") or ()
        if attachment.get("type") == "ElasticNetworkInterface"
        for detail in attachment.get("details") or ()
        if detail.get("name") == "networkInterfaceId"
    )


def service_of(task: Mapping[str, Any]) -> str:
    """Return the name of the service that started the task, or empty text."""
    group = str(task.get("group") or "")
    return group.removeprefix(SERVICE_GROUP) if group.startswith(SERVICE_GROUP) else ""


def is_fargate(task: Mapping[str, Any]) -> bool:
    """Return whether the task runs on a host that is AWS's."""
    return task.get("launchType") == "FARGATE" or task.get("capacityProviderName") in FARGATE
