"""``aws.ecs.describe-task``: evidence of a task, and which others run the same image."""

from __future__ import annotations

from typing import Any

from irrunner.actions.contract import (
    Action,
    Decision,
    LookContext,
    Model,
    Permission,
    ReadApi,
    Settled,
    State,
    Where,
)
from irrunner.actions.ecs.tasks import (
    API_REFERENCE,
    TASKS,
    USER_GUIDE,
    Container,
    OneTask,
    containers_of,
    describe_all,
    describe_task,
    interface_ids_of,
    is_fargate,
    service_of,
    task_arn,
)
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class Definition(Model):
    """What the task was started from; of variables their names only."""

    arn: str
    task_role_arn: str
    execution_role_arn: str
    network_mode: str
    environment_names: dict[str, list[str]]
    """Container to names of variables and secrets."""
    privileged: list[str]
    """Containers that may do on the host what root may."""


class TaskFacts(State):
    """A task, described."""

    cluster_name: str
    task_id: str
    task_arn: str
    last_status: str
    service_name: str
    """Empty where no service started it."""
    started_by: str
    fargate: bool
    capacity_provider: str
    container_instance_arn: str
    execute_command: bool
    """Whether somebody may open a shell in it (ECS Exec)."""
    network_interface_ids: list[str]
    containers: list[Container]
    image_digests: list[str]
    tasks_with_same_image: list[str]
    """ARNs of other running tasks of the cluster."""
    definition: Definition
    task_role_name: str
    """Revoke its sessions; empty where the task has no role."""
    tags: dict[str, str]


@action(
    "aws.ecs.describe-task",
    title="Describe a task, and find others of the same image",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=(
        Permission("ecs:DescribeTasks", TASKS),
        Permission("ecs:ListTasks"),
        Permission("ecs:DescribeTaskDefinition"),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="Only reads, so that there is nothing to undo.",
    timeout_s=120.0,
    sources=(
        f"{API_REFERENCE}/API_DescribeTasks.html",
        f"{API_REFERENCE}/API_DescribeTaskDefinition.html",
        f"{USER_GUIDE}/task-networking-awsvpc.html",
    ),
)
class DescribeTask(Action[OneTask, TaskFacts]):
    """Read task, task definition, and the digests of all tasks of the cluster."""

    Params = OneTask
    Outputs = TaskFacts
    StateModel = TaskFacts

    def look(self, ctx: LookContext, params: OneTask) -> TaskFacts:
        """Compare by digest: a tag may name another image by now."""
        task = describe_task(ctx.api, params)
        containers = containers_of(task)
        digests = sorted({c.image_digest for c in containers if c.image_digest})
        definition = _definition(ctx.api, task["taskDefinitionArn"])
        return TaskFacts(
            cluster_name=params.cluster_name,
            task_id=params.task_id,
            task_arn=task["taskArn"],
            last_status=task["lastStatus"],
            service_name=service_of(task),
            started_by=task.get("startedBy") or "",
            fargate=is_fargate(task),
            capacity_provider=task.get("capacityProviderName") or "",
            container_instance_arn=task.get("containerInstanceArn") or "",
            execute_command=bool(task.get("enableExecuteCommand")),
            network_interface_ids=interface_ids_of(task),
            containers=containers,
            image_digests=digests,
            tasks_with_same_image=sorted(
                other["taskArn"]
                for other in describe_all(ctx.api, params.cluster_name)
                if other["taskArn"] != task["taskArn"]
                and any(container.image_digest in digests for container in containers_of(other))
            ),
            definition=definition,
            task_role_name=definition.task_role_arn.rpartition("/")[2],
            tags={tag["key"]: tag.get("value", "") for tag in task.get("tags") or ()},
        )

    def decide(self, params: OneTask, state: TaskFacts) -> Decision:
        """Nothing to do."""
        return Settled(state)

    def targets(self, params: OneTask, where: Where) -> tuple[str, ...]:
        """Return the task."""
        return (task_arn(where, params),)


def _definition(api: ReadApi, arn: str) -> Definition:
    found = api.call("ecs:DescribeTaskDefinition", taskDefinition=arn)["taskDefinition"]
    containers: list[dict[str, Any]] = found.get("containerDefinitions") or []
    return Definition(
        arn=found["taskDefinitionArn"],
        task_role_arn=found.get("taskRoleArn") or "",
        execution_role_arn=found.get("executionRoleArn") or "",
        network_mode=found.get("networkMode") or "",
        environment_names={
            c["name"]: sorted(item["name"] for item in (*c.get("environment", ()), *c.get("secrets", ())))
            for c in containers
        },
        privileged=sorted(c["name"] for c in containers if c.get("privileged")),
    )
