"""``aws.config.start-remediation``: let AWS Config remediate resources by a rule's own remediation.

Config tells of a resource's last execution when it began. One that began after ``since`` counts as this one,
whoever started it, so that a repetition starts nothing twice.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pydantic import AwareDatetime, Field

from irrunner.actions.contract import (
    Act,
    Action,
    Broken,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    Refused,
    Settled,
    State,
    Waiting,
    Where,
)
from irrunner.actions.ids import ConfigRuleName, ResourceId, ResourceType
from irrunner.actions.registry import action
from irrunner.clock import iso
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

API_REFERENCE: Final = "https://docs.aws.amazon.com/config/latest/APIReference"
POLL_S: Final = 10.0
_REASON_CHARACTERS: Final = 500
_REMEDIATIONS: Final = "arn:{partition}:config:{region}:{account}:remediation-configuration/*"


class StartRemediationParams(Model):
    """Parameters."""

    config_rule_name: ConfigRuleName
    resource_type: ResourceType
    resource_ids: tuple[ResourceId, ...] = Field(min_length=1, max_length=100)
    """As AWS Config knows them: a bucket by its name, a group by its id."""
    since: AwareDatetime
    """When the resources were found wrong: an execution that began later is not repeated."""


class Execution(Model):
    """The last execution on a resource, where it began after ``since``."""

    resource_id: str
    state: str
    began_at: str
    reason: str
    """What its failed steps say."""


class StartRemediationState(State):
    """The rule's remediation, and what it has done of late."""

    document: str
    """The automation document; empty: the rule has no remediation."""
    automatic: bool
    executions: tuple[Execution, ...]
    ahead: bool = False
    """``since`` is in the future: no execution could count, and each look would start another."""


class StartRemediationOutputs(Model):
    """Outputs."""

    config_rule_name: str
    document: str
    resource_ids: list[str]


@action(
    "aws.config.start-remediation",
    title="Remediate resources by the remediation of a Config rule",
    phase=Phase.ERADICATION,
    risk=Risk.DISRUPTIVE,
    timeout_s=3600.0,
    consistency_s=60.0,
    permissions=(
        Permission("config:DescribeRemediationConfigurations", _REMEDIATIONS),
        Permission("config:DescribeRemediationExecutionStatus", _REMEDIATIONS),
        Permission("config:StartRemediationExecution", use="act"),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="What the document changes is known to it alone; see its execution in Systems Manager.",
    sources=(
        "https://docs.aws.amazon.com/config/latest/developerguide/remediation.html",
        f"{API_REFERENCE}/API_StartRemediationExecution.html",
        f"{API_REFERENCE}/API_DescribeRemediationExecutionStatus.html",
    ),
)
class StartRemediation(Action[StartRemediationParams, StartRemediationState]):
    """Start one execution for all resources that have none yet, and wait for their ends."""

    Params = StartRemediationParams
    Outputs = StartRemediationOutputs
    StateModel = StartRemediationState

    def look(self, ctx: LookContext, params: StartRemediationParams) -> StartRemediationState:
        """Read the remediation and the executions."""
        found = ctx.api.call(
            "config:DescribeRemediationConfigurations", ConfigRuleNames=[params.config_rule_name]
        ).get("RemediationConfigurations")
        configuration = found[0] if found else {}
        return StartRemediationState(
            document=configuration.get("TargetId") or "",
            automatic=bool(configuration.get("Automatic")),
            executions=_executions(ctx, params) if found else (),
            ahead=params.since > ctx.now,
        )

    def decide(self, params: StartRemediationParams, state: StartRemediationState) -> Decision:
        """Start what has not begun; settle when all have succeeded."""
        rule = params.config_rule_name
        if not state.document:
            return Refused(
                f"the Config rule {rule} has no remediation: give it one, or use an action instead"
            )
        if state.ahead:
            return Refused("since is in the future: give the time at which the resources were found wrong")
        known = {execution.resource_id for execution in state.executions}
        missing = [name for name in dict.fromkeys(params.resource_ids) if name not in known]
        if missing:
            return Act((_start(params, state, missing),))
        failed = [
            item for item in state.executions if item.state not in {"QUEUED", "IN_PROGRESS", "SUCCEEDED"}
        ]
        if failed:
            return Broken("; ".join(f"{item.resource_id}: {item.state}: {item.reason}" for item in failed))
        running = [item.resource_id for item in state.executions if item.state != "SUCCEEDED"]
        if running:
            return Waiting(f"{state.document} is at {', '.join(running)}", POLL_S)
        return Settled(_outputs(params, state), (f"{rule} may take some minutes to evaluate them anew",))

    def foresee(
        self, params: StartRemediationParams, state: StartRemediationState, step: str
    ) -> PlannedOutputs:
        """Return what will be remediated by what."""
        return (
            PlannedOutputs(_outputs(params, state).model_dump(mode="json"))
            if state.document
            else PlannedOutputs({})
        )

    def targets(self, params: StartRemediationParams, where: Where) -> tuple[str, ...]:
        """Return the resources, by their ids: their ARNs are not known here."""
        return params.resource_ids


def _executions(ctx: LookContext, params: StartRemediationParams) -> tuple[Execution, ...]:
    keys = [{"resourceType": params.resource_type, "resourceId": name} for name in params.resource_ids]
    try:
        found = ctx.api.pages(
            "config:DescribeRemediationExecutionStatus",
            "RemediationExecutionStatuses",
            ConfigRuleName=params.config_rule_name,
            ResourceKeys=keys,
        )
    except TargetNotFound:
        return ()
    recent = (_execution(raw) for raw in found if _began(raw) is not None and _began(raw) > params.since)
    return tuple(sorted(recent, key=lambda execution: execution.resource_id))


def _began(raw: Any) -> Any:
    began = raw.get("InvocationTime")
    return began if isinstance(began, datetime) else None


def _execution(raw: Any) -> Execution:
    steps = [
        f"{step.get('Name')}: {step['ErrorMessage']}"
        for step in raw.get("StepDetails") or ()
        if step.get("ErrorMessage")
    ]
    return Execution(
        resource_id=raw["ResourceKey"]["resourceId"],
        state=raw.get("State") or "QUEUED",
        began_at=iso(raw["InvocationTime"]),
        reason="; ".join(steps)[:_REASON_CHARACTERS],
    )


def _start(params: StartRemediationParams, state: StartRemediationState, missing: list[str]) -> Call:
    keys = [{"resourceType": params.resource_type, "resourceId": name} for name in missing]
    return Call(
        "config:StartRemediationExecution",
        {"ConfigRuleName": params.config_rule_name, "ResourceKeys": keys},
        target=params.config_rule_name,
        summary=f"Run {state.document} on {len(missing)} {params.resource_type}: {', '.join(missing)}",
        after={"resources": missing},
        reversible=False,
        unprocessed="FailedItems[0] && [FailureMessage || FailedItems[0].resourceId]",
    )


def _outputs(params: StartRemediationParams, state: StartRemediationState) -> StartRemediationOutputs:
    return StartRemediationOutputs(
        config_rule_name=params.config_rule_name,
        document=state.document,
        resource_ids=list(dict.fromkeys(params.resource_ids)),
    )
