"""``aws.autoscaling.suspend-processes``: a whole group stops replacing, or terminating, its members."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from pydantic import Field

from irrunner.actions.autoscaling.membership import (
    API_REFERENCE,
    DESCRIBE_GROUPS,
    USER_GUIDE,
    group_named,
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
    State,
    Where,
)
from irrunner.actions.ids import AutoScalingGroupName
from irrunner.actions.registry import action
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

GROUP: Final = (
    "arn:{partition}:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{group_name}"
)
Process: TypeAlias = Literal[
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "Launch",
    "ReplaceUnhealthy",
    "ScheduledActions",
    "Terminate",
]


class SuspendParams(Model):
    """Parameters."""

    group_name: AutoScalingGroupName
    processes: list[Process] = Field(
        default=["ReplaceUnhealthy", "Terminate"],
        min_length=1,
        description="ReplaceUnhealthy ends what fails its health check, Terminate what is one too many.",
    )


class SuspendState(State):
    """What suspending sees: each process that is named, and whether it is suspended."""

    group_name: str
    suspended: dict[str, bool]

    def footprint(self) -> dict[str, bool]:
        """Return each process's suspension."""
        return {f"{self.group_name}/{process}": held for process, held in self.suspended.items()}


class SuspendOutputs(Model):
    """Outputs."""

    group_name: str
    processes: tuple[str, ...]
    """Suspended now, of those that were named."""


@action(
    "aws.autoscaling.suspend-processes",
    title="Suspend processes of an Auto Scaling group, so that it terminates no member",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(
        DESCRIBE_GROUPS,
        Permission("autoscaling:SuspendProcesses", GROUP, use="act"),
        Permission("autoscaling:ResumeProcesses", GROUP, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Resumes the processes that were not suspended before; the others stay suspended.",
    sources=(
        f"{USER_GUIDE}/as-suspend-resume-processes.html",
        f"{API_REFERENCE}/API_SuspendProcesses.html",
    ),
)
class SuspendProcesses(Action[SuspendParams, SuspendState]):
    """For many hosts of one group, or where Standby is not possible; the group heals itself no more."""

    Params = SuspendParams
    Outputs = SuspendOutputs
    StateModel = SuspendState

    def look(self, ctx: LookContext, params: SuspendParams) -> SuspendState:
        """Read which of the processes are suspended."""
        group = group_named(ctx, params.group_name)
        if group is None:
            raise TargetNotFound(
                f"no Auto Scaling group {params.group_name!r} here", hint="check the account and the Region"
            )
        return SuspendState(
            group_name=group.name,
            suspended={process: process in group.suspended for process in sorted(set(params.processes))},
        )

    def decide(self, params: SuspendParams, state: SuspendState) -> Decision:
        """Suspend those that run."""
        running = [process for process, held in state.suspended.items() if not held]
        if running:
            return Act((_call("SuspendProcesses", "Suspend", state, running, after=True),))
        until = f"{state.group_name} goes without them until they are resumed: undo does that"
        return Settled(_outputs(state), (until,))

    def foresee(self, params: SuspendParams, state: SuspendState, step: str) -> PlannedOutputs:
        """Return the outputs, which are known before."""
        return PlannedOutputs(_outputs(state).model_dump(mode="json"))

    def targets(self, params: SuspendParams, where: Where) -> tuple[str, ...]:
        """Return the group."""
        place = f"arn:{where.partition}:autoscaling:{where.region}:{where.account_id}"
        return (f"{place}:autoScalingGroup:*:autoScalingGroupName/{params.group_name}",)

    def undo_calls(
        self,
        params: SuspendParams,
        before: SuspendState,
        after: SuspendState,
        now: SuspendState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Resume what was not suspended before."""
        ours = [
            process
            for process, held in before.suspended.items()
            if not held and f"{before.group_name}/{process}" in keys
        ]
        return (_call("ResumeProcesses", "Resume", now, ours, after=False),) if ours else ()


def _call(operation: str, verb: str, state: SuspendState, processes: list[str], *, after: bool) -> Call:
    return Call(
        f"autoscaling:{operation}",
        {"AutoScalingGroupName": state.group_name, "ScalingProcesses": processes},
        target=state.group_name,
        summary=f"{verb} {', '.join(processes)} of {state.group_name}",
        before=dict.fromkeys(processes, not after),
        after=dict.fromkeys(processes, after),
    )


def _outputs(state: SuspendState) -> SuspendOutputs:
    return SuspendOutputs(group_name=state.group_name, processes=tuple(state.suspended))
