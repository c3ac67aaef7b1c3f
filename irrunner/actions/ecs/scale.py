"""``aws.ecs.scale-service``: how many tasks a service keeps; zero stops them all."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from irrunner.actions.contract import Call, LookContext, Model, Permission, Refused, Where
from irrunner.actions.ecs.tasks import API_REFERENCE, USER_GUIDE
from irrunner.actions.ids import EcsClusterName, EcsServiceName
from irrunner.actions.registry import action
from irrunner.actions.setting import SetValue, ValueState
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

SERVICE: Final = "arn:{partition}:ecs:{region}:{account}:service/{cluster_name}/{service_name}"
_ACTIVE: Final = "ACTIVE"
_DAEMON: Final = "DAEMON"


class ScaleServiceParams(Model):
    """Parameters."""

    cluster_name: EcsClusterName
    service_name: EcsServiceName
    desired_count: Annotated[int, Field(ge=0, le=5_000)] = 0


class ScaleServiceState(ValueState):
    """The service; its value is the desired count."""

    status: str
    scheduling: str
    running: int
    least: int | None
    """Least tasks by Application Auto Scaling; None where nothing scales the service."""


class ScaleServiceOutputs(Model):
    """Outputs."""

    service_arn: str
    desired_count: int


@action(
    "aws.ecs.scale-service",
    title="Set how many tasks a service keeps",
    phase=Phase.CONTAINMENT,
    risk=Risk.DESTRUCTIVE,
    timeout_s=120.0,
    consistency_s=5.0,
    permissions=(
        Permission("ecs:DescribeServices", SERVICE),
        Permission("application-autoscaling:DescribeScalableTargets"),
        Permission("ecs:UpdateService", SERVICE, use="act"),
        Permission("ecs:UpdateService", SERVICE, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Sets the prior count; the tasks that start then are new ones.",
    sources=(
        f"{API_REFERENCE}/API_UpdateService.html",
        f"{USER_GUIDE}/service-auto-scaling.html",
    ),
)
class ScaleService(SetValue[ScaleServiceParams, ScaleServiceState]):
    """Set the desired count."""

    Params = ScaleServiceParams
    Outputs = ScaleServiceOutputs
    StateModel = ScaleServiceState

    def look(self, ctx: LookContext, params: ScaleServiceParams) -> ScaleServiceState:
        """Read the service, and what scales it."""
        answer = ctx.api.call(
            "ecs:DescribeServices", cluster=params.cluster_name, services=[params.service_name]
        )
        services = answer.get("services") or ()
        if not services:
            raise TargetNotFound(f"no service {params.service_name} in {params.cluster_name}")
        found = services[0]
        scaled = ctx.api.pages(
            "application-autoscaling:DescribeScalableTargets",
            "ScalableTargets",
            ServiceNamespace="ecs",
            ResourceIds=[f"service/{params.cluster_name}/{params.service_name}"],
        )
        return ScaleServiceState(
            target=found["serviceArn"],
            value=found["desiredCount"],
            gone=found["status"] != _ACTIVE,
            status=found["status"],
            scheduling=found.get("schedulingStrategy") or "REPLICA",
            running=found.get("runningCount") or 0,
            least=scaled[0]["MinCapacity"] if scaled else None,
        )

    def wanted(self, params: ScaleServiceParams, state: ScaleServiceState) -> int:
        """Return the count that is asked for."""
        return params.desired_count

    def refusal(self, params: ScaleServiceParams, state: ScaleServiceState) -> Refused | None:
        """Refuse services that have no count."""
        if state.status != _ACTIVE:
            return Refused(f"{params.service_name} is {state.status}: it starts no tasks any more")
        if state.scheduling == _DAEMON:
            return Refused(
                f"{params.service_name} runs one task on every host (DAEMON) and has no count: isolate "
                "hosts, or stop tasks"
            )
        return None

    def write(self, params: ScaleServiceParams, state: ScaleServiceState, value: Any) -> tuple[Call, ...]:
        """Return the update."""
        update = Call(
            "ecs:UpdateService",
            {"cluster": params.cluster_name, "service": params.service_name, "desiredCount": value},
            target=state.target,
            summary=f"Let {params.service_name} keep {value} task(s)",
            before=state.value,
            after=value,
        )
        return (update,)

    def outputs(self, params: ScaleServiceParams, state: ScaleServiceState) -> ScaleServiceOutputs:
        """Return ARN and count."""
        return ScaleServiceOutputs(service_arn=state.target, desired_count=state.value)

    def warnings(self, params: ScaleServiceParams, state: ScaleServiceState) -> tuple[str, ...]:
        """Say what still runs, and what may scale it out again."""
        told = []
        if state.running > params.desired_count:
            told.append(
                f"{state.running} task(s) still run: ECS stops them now, but for those that are protected "
                "from scale-in"
            )
        if state.least is not None:
            told.append(
                f"Application Auto Scaling keeps at least {state.least} task(s) and may scale the service "
                "out again: suspend it"
            )
        return tuple(told)

    def targets(self, params: ScaleServiceParams, where: Where) -> tuple[str, ...]:
        """Return the service."""
        place = f"arn:{where.partition}:ecs:{where.region}:{where.account_id}"
        return (f"{place}:service/{params.cluster_name}/{params.service_name}",)
