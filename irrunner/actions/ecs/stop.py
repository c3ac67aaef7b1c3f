"""``aws.ecs.stop-task``: end a task for good, once its evidence is taken."""

from __future__ import annotations

from collections.abc import Iterator

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
    State,
    Waiting,
    Where,
)
from irrunner.actions.ecs.tasks import (
    API_REFERENCE,
    DESCRIBE_TASK,
    ENDED,
    TASK,
    USER_GUIDE,
    OneTask,
    describe_task,
    is_fargate,
    service_of,
    task_arn,
)
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class StopTaskState(State):
    """What stopping sees."""

    task_arn: str
    last_status: str
    desired_status: str
    service_name: str
    fargate: bool


class StopTaskOutputs(Model):
    """Outputs."""

    task_arn: str
    last_status: str
    service_name: str
    """Whose service starts a replacement; empty: nobody does."""


@action(
    "aws.ecs.stop-task",
    title="Stop a task for good (its memory and storage are lost)",
    phase=Phase.CONTAINMENT,
    risk=Risk.DESTRUCTIVE,
    timeout_s=600.0,
    consistency_s=5.0,
    permissions=(DESCRIBE_TASK, Permission("ecs:StopTask", TASK, use="act")),
    undo=UndoPolicy.NEVER,
    undo_note="A task that has stopped does not start again; its service starts another one.",
    sources=(
        f"{API_REFERENCE}/API_StopTask.html",
        f"{USER_GUIDE}/task-lifecycle-explanation.html",
    ),
)
class StopTask(Action[OneTask, StopTaskState]):
    """Stop, and wait until it has stopped: a container has 30 seconds (by default) to obey."""

    Params = OneTask
    Outputs = StopTaskOutputs
    StateModel = StopTaskState

    def look(self, ctx: LookContext, params: OneTask) -> StopTaskState:
        """Read the task."""
        task = describe_task(ctx.api, params)
        return StopTaskState(
            task_arn=task["taskArn"],
            last_status=task["lastStatus"],
            desired_status=task["desiredStatus"],
            service_name=service_of(task),
            fargate=is_fargate(task),
        )

    def decide(self, params: OneTask, state: StopTaskState) -> Decision:
        """Stop what is to run; success is said of STOPPED alone."""
        if state.last_status == ENDED:
            return Settled(_outputs(state), tuple(_warnings(state)))
        if state.desired_status == ENDED:
            return Waiting(f"{params.task_id} is {state.last_status}", poll_s=5.0)
        stop = Call(
            "ecs:StopTask",
            {
                "cluster": params.cluster_name,
                "task": params.task_id,
                "reason": "stopped by irrunner, in an incident",
            },
            target=state.task_arn,
            summary=f"Stop {params.task_id}{' (Fargate: nothing of it is left)' if state.fargate else ''}",
            before=state.last_status,
            after=ENDED,
            reversible=False,
        )
        return Act((stop,))

    def foresee(self, params: OneTask, state: StopTaskState, step: str) -> PlannedOutputs:
        """Return the outputs: all of them are known."""
        return PlannedOutputs({**_outputs(state).model_dump(mode="json"), "last_status": ENDED})

    def targets(self, params: OneTask, where: Where) -> tuple[str, ...]:
        """Return the task."""
        return (task_arn(where, params),)


def _outputs(state: StopTaskState) -> StopTaskOutputs:
    return StopTaskOutputs(
        task_arn=state.task_arn, last_status=state.last_status, service_name=state.service_name
    )


def _warnings(state: StopTaskState) -> Iterator[str]:
    if state.service_name:
        yield (
            f"service {state.service_name} starts a replacement from the same image: scale it to zero or "
            "deploy a clean revision"
        )
    yield "credentials that were read from the task work until they expire: revoke the sessions of its role"
