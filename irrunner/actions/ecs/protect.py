"""``aws.ecs.protect-task``: keep scale-in and deployments from ending a task that is evidence."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import Field

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
from irrunner.actions.ecs.tasks import (
    API_REFERENCE,
    DESCRIBE_TASK,
    ENDED,
    TASK,
    USER_GUIDE,
    OneTask,
    describe_task,
    service_of,
    task_arn,
)
from irrunner.actions.registry import action
from irrunner.clock import iso
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

LONGEST_MINUTES: Final = 2880
"""48 hours. Source: ECS API reference, UpdateTaskProtection."""
ENOUGH: Final = 0.9
"""Of the time asked for: with so much left, it is not asked for again."""


class ProtectTaskParams(OneTask):
    """Parameters."""

    minutes: Annotated[int, Field(ge=1, le=LONGEST_MINUTES)] = LONGEST_MINUTES
    """How long; ECS allows 48 hours at most, then it must be asked for anew."""


class ProtectTaskState(State):
    """What protecting sees."""

    task_arn: str
    last_status: str
    service_name: str
    protected: bool
    long_enough: bool
    """Whether the protection lasts about as long as asked for."""
    expires_at: str = ""

    def footprint(self) -> dict[str, Any]:
        """Return whether the task is protected; nothing where it has stopped."""
        return {} if self.last_status == ENDED else {f"{self.task_arn}/protection": self.protected}


class ProtectTaskOutputs(Model):
    """Outputs."""

    task_arn: str
    expires_at: str


@action(
    "aws.ecs.protect-task",
    title="Protect a task from scale-in and deployments",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    timeout_s=60.0,
    consistency_s=5.0,
    permissions=(
        DESCRIBE_TASK,
        Permission("ecs:GetTaskProtection", TASK),
        Permission("ecs:UpdateTaskProtection", TASK, use="act"),
        Permission("ecs:UpdateTaskProtection", TASK, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Takes the protection off, where the task had none.",
    sources=(
        f"{API_REFERENCE}/API_UpdateTaskProtection.html",
        f"{USER_GUIDE}/task-scale-in-protection.html",
    ),
)
class ProtectTask(Action[ProtectTaskParams, ProtectTaskState]):
    """Set scale-in protection and read it back: ECS says failures in an answer that is no error."""

    Params = ProtectTaskParams
    Outputs = ProtectTaskOutputs
    StateModel = ProtectTaskState

    def look(self, ctx: LookContext, params: ProtectTaskParams) -> ProtectTaskState:
        """Read the task and its protection."""
        task = describe_task(ctx.api, params)
        wanted = ctx.started + timedelta(minutes=params.minutes * ENOUGH)
        expires = _expiry(ctx, params) if service_of(task) and task["lastStatus"] != ENDED else None
        return ProtectTaskState(
            task_arn=task["taskArn"],
            last_status=task["lastStatus"],
            service_name=service_of(task),
            protected=expires is not None,
            long_enough=expires is not None and expires >= wanted,
            expires_at=iso(expires) if expires else "",
        )

    def decide(self, params: ProtectTaskParams, state: ProtectTaskState) -> Decision:
        """Protect a task of a service for as long as is asked."""
        if state.last_status == ENDED:
            return Refused(f"{params.task_id} has stopped: protection comes too late")
        if not state.service_name:
            return Refused(
                f"{params.task_id} belongs to no service: nothing scales it in, and ECS protects only tasks "
                "of services",
                nothing_to_do=True,
            )
        if not state.long_enough:
            return Act((_protect(params, state, protected=True),))
        warning = f"the protection ends at {state.expires_at}; StopTask, a lost host and Spot end it earlier"
        return Settled(ProtectTaskOutputs(task_arn=state.task_arn, expires_at=state.expires_at), (warning,))

    def foresee(self, params: ProtectTaskParams, state: ProtectTaskState, step: str) -> PlannedOutputs:
        """Return the outputs; when it will end is a token until it has begun."""
        if state.last_status == ENDED or not state.service_name:
            return PlannedOutputs({})
        expires_at = state.expires_at if state.long_enough else f"<from {step}.expires_at>"
        return PlannedOutputs({"task_arn": state.task_arn, "expires_at": expires_at})

    def targets(self, params: ProtectTaskParams, where: Where) -> tuple[str, ...]:
        """Return the task."""
        return (task_arn(where, params),)

    def undo_calls(
        self,
        params: ProtectTaskParams,
        before: ProtectTaskState,
        after: ProtectTaskState,
        now: ProtectTaskState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Take the protection off."""
        return (_protect(params, now, protected=False),) if keys else ()


def _expiry(ctx: LookContext, params: OneTask) -> datetime | None:
    """Return when the task's protection ends; None where it has none.

    Raises:
        TargetNotFound: If ECS does not know the task any more.
    """
    answer = ctx.api.call("ecs:GetTaskProtection", cluster=params.cluster_name, tasks=[params.task_id])
    for failure in answer.get("failures") or ():
        raise TargetNotFound(f"{failure.get('arn')}: {failure.get('reason')}")
    for found in answer.get("protectedTasks") or ():
        if found.get("protectionEnabled"):
            expires: datetime = found["expirationDate"]
            return expires
    return None


def _protect(params: ProtectTaskParams, state: ProtectTaskState, *, protected: bool) -> Call:
    given: dict[str, Any] = {"expiresInMinutes": params.minutes} if protected else {}
    return Call(
        "ecs:UpdateTaskProtection",
        {
            "cluster": params.cluster_name,
            "tasks": [params.task_id],
            "protectionEnabled": protected,
            **given,
        },
        target=state.task_arn,
        summary=f"Protect {params.task_id} from scale-in for {params.minutes} minutes"
        if protected
        else f"Take the scale-in protection off {params.task_id}",
        before=state.protected,
        after=protected,
        unprocessed="failures[].reason",
    )
