"""AWS Config's memory and remediations, which moto does not have.

Source: Config API reference: GetResourceConfigHistory, PutRemediationConfigurations,
StartRemediationExecution, DescribeRemediationExecutionStatus.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gameday.world import seam
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

_PAGE: Final = 10


@dataclass(slots=True)
class Memory:
    """What Config knows in one account and Region."""

    items: list[dict[str, Any]] = field(default_factory=list)
    remediations: dict[str, dict[str, Any]] = field(default_factory=dict)
    executions: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """Last execution by rule and resource id."""


def memory(account: str, region: str) -> Memory:
    """Return Config's memory of an account and Region; it is kept with moto's state, and reset with it."""
    backend = seam.backend("config", account, region)
    known: Memory = vars(backend).setdefault("irrunner_memory", Memory())
    return known


def get_resource_config_history(scene: Scene) -> Mapping[str, Any] | None:
    """Return the items of a resource that the world remembers; of others moto tells the present."""
    params = scene.params
    wanted = (params.get("resourceType"), params.get("resourceId"))
    own = [
        item
        for item in memory(scene.account, scene.region).items
        if (item["resourceType"], item["resourceId"]) == wanted
    ]
    if not own:
        return None
    start, size = int(params.get("nextToken") or 0), int(params.get("limit") or _PAGE)
    times = params.get("earlierTime"), params.get("laterTime")
    chosen = sorted(
        (item for item in own if _within(item["configurationItemCaptureTime"], *times)),
        key=lambda item: item["configurationItemCaptureTime"],
        reverse=params.get("chronologicalOrder") != "Forward",
    )
    more = {"nextToken": str(start + size)} if start + size < len(chosen) else {}
    return {"configurationItems": chosen[start : start + size], **more}


def put_remediation_configurations(scene: Scene) -> Mapping[str, Any]:
    """Give rules a remediation."""
    known = memory(scene.account, scene.region).remediations
    for given in scene.params.get("RemediationConfigurations") or ():
        known[given["ConfigRuleName"]] = dict(given)
    return {"FailedBatches": []}


def describe_remediation_configurations(scene: Scene) -> Mapping[str, Any]:
    """Return the remediations of rules; rules without are left out."""
    known = memory(scene.account, scene.region).remediations
    names = scene.params.get("ConfigRuleNames") or ()
    return {"RemediationConfigurations": [known[name] for name in names if name in known]}


def start_remediation_execution(scene: Scene) -> Mapping[str, Any]:
    """Begin an execution on each resource; it ends by itself, and fails on one whose id says so."""
    rule, now = _rule(scene), scene.realm.clock.now()
    known = memory(scene.account, scene.region).executions
    resources = scene.params.get("ResourceKeys") or ()
    for key in resources:
        running = known.get((rule, key["resourceId"]), {"State": ""})
        if running["State"] == "IN_PROGRESS":
            raise Refusal(
                "RemediationInProgressException", f"A remediation of {key['resourceId']} is running."
            )
    for key in resources:
        execution = {
            "ResourceKey": dict(key),
            "State": "IN_PROGRESS",
            "InvocationTime": now,
            "LastUpdatedTime": now,
            "StepDetails": [],
        }
        known[rule, key["resourceId"]] = execution
        scene.realm.schedule.at(now + timedelta(seconds=scene.realm.snapshot_s), _end_of(execution))
    return {"FailedItems": []}


def describe_remediation_execution_status(scene: Scene) -> Mapping[str, Any]:
    """Return the last execution of each resource that has one."""
    rule, known = _rule(scene), memory(scene.account, scene.region).executions
    asked = [key["resourceId"] for key in scene.params.get("ResourceKeys") or ()]
    found = [
        execution
        for (of_rule, resource), execution in known.items()
        if of_rule == rule and (not asked or resource in asked)
    ]
    return {"RemediationExecutionStatuses": found}


def show_remediations(backend: Any) -> Mapping[str, Any]:
    """Return the executions by rule and resource for the canonical state."""
    known: Memory = vars(backend).get("irrunner_memory", Memory())
    return {
        f"{rule}/{resource}": execution["State"] for (rule, resource), execution in known.executions.items()
    }


def _rule(scene: Scene) -> str:
    name = str(scene.params.get("ConfigRuleName"))
    if name not in memory(scene.account, scene.region).remediations:
        raise Refusal("NoSuchRemediationConfigurationException", f"No RemediationConfiguration for {name}")
    return name


def _end_of(execution: dict[str, Any]) -> Any:
    def end() -> None:
        failing = "broken" in execution["ResourceKey"]["resourceId"]
        execution["State"] = "FAILED" if failing else "SUCCEEDED"
        if failing:
            step = {"Name": "remediate", "State": "FAILED", "ErrorMessage": "the document's role may not"}
            execution["StepDetails"] = [step]

    return end


def _within(moment: datetime, earlier: datetime | None, later: datetime | None) -> bool:
    """Return whether a moment is in a window; moto's parser reads times as UTC without saying so."""
    first, last = (limit and limit.replace(tzinfo=UTC) for limit in (earlier, later))
    return (first is None or moment >= first) and (last is None or moment <= last)


LAYER: Final = StrictLayer(
    answers={
        "config:GetResourceConfigHistory": get_resource_config_history,
        "config:PutRemediationConfigurations": put_remediation_configurations,
        "config:DescribeRemediationConfigurations": describe_remediation_configurations,
        "config:StartRemediationExecution": start_remediation_execution,
        "config:DescribeRemediationExecutionStatus": describe_remediation_execution_status,
    }
)
