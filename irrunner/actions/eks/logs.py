"""``aws.eks.enable-audit-log``: from now on, who did what in the cluster is written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from irrunner.actions.contract import Call, Decision, LookContext, Model, Permission, Refused, Waiting, Where
from irrunner.actions.eks.clusters import (
    API_REFERENCE,
    CLUSTER,
    DESCRIBE_CLUSTER,
    USER_GUIDE,
    OneCluster,
    cluster_arn,
)
from irrunner.actions.registry import action
from irrunner.actions.setting import SetValue, ValueState
from irrunner.vocabulary import Phase, Risk, UndoPolicy

AUDITED: Final = frozenset({"audit", "authenticator"})
"""What was done, and which IAM principal was behind it."""
_LASTING: Final = frozenset({"ACTIVE", "UPDATING"})


class AuditLogState(ValueState):
    """The cluster; its value is the kinds of log that it writes."""

    status: str


class AuditLogOutputs(Model):
    """Outputs."""

    cluster_name: str
    logs: list[str]
    log_group: str


@action(
    "aws.eks.enable-audit-log",
    title="Let a cluster write its audit log",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    timeout_s=1200.0,
    consistency_s=5.0,
    permissions=(
        DESCRIBE_CLUSTER,
        Permission("eks:UpdateClusterConfig", CLUSTER, use="act"),
        Permission("eks:UpdateClusterConfig", CLUSTER, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Switches those logs off again that were off; what they have written stays.",
    sources=(
        f"{API_REFERENCE}/API_UpdateClusterConfig.html",
        f"{USER_GUIDE}/control-plane-logs.html",
    ),
)
class EnableAuditLog(SetValue[OneCluster, AuditLogState]):
    """Add the audit and authenticator logs to what is logged, and wait until the update has ended."""

    Params = OneCluster
    Outputs = AuditLogOutputs
    StateModel = AuditLogState

    def look(self, ctx: LookContext, params: OneCluster) -> AuditLogState:
        """Read the cluster."""
        found = ctx.api.call("eks:DescribeCluster", name=params.cluster_name)["cluster"]
        return AuditLogState(
            target=f"{found['arn']}/logging",
            value=logged(found),
            status=found["status"],
            gone=found["status"] == "DELETING",
        )

    def wanted(self, params: OneCluster, state: AuditLogState) -> list[str]:
        """Return what is logged, and the audit logs."""
        return sorted({*state.value, *AUDITED})

    def refusal(self, params: OneCluster, state: AuditLogState) -> Refused | None:
        """Refuse clusters that do not last."""
        if state.status in _LASTING:
            return None
        return Refused(f"{params.cluster_name} is {state.status}: its settings cannot be changed")

    def decide(self, params: OneCluster, state: AuditLogState) -> Decision:
        """Wait for an update that is going on, ours or another: EKS makes one at a time."""
        if state.status == "UPDATING":
            return Waiting(f"{params.cluster_name} is UPDATING", poll_s=10.0)
        return super().decide(params, state)

    def write(self, params: OneCluster, state: AuditLogState, value: Any) -> tuple[Call, ...]:
        """Return the update: what is switched on and what off; the rest is left as it is."""
        changes = {True: set(value) - set(state.value), False: set(state.value) - set(value)}
        setups = [{"types": sorted(kinds), "enabled": on} for on, kinds in changes.items() if kinds]
        update = Call(
            "eks:UpdateClusterConfig",
            {"name": params.cluster_name, "logging": {"clusterLogging": setups}},
            target=state.target,
            summary=f"Let {params.cluster_name} log {', '.join(value) or 'nothing'}",
            before=state.value,
            after=value,
        )
        return (update,)

    def outputs(self, params: OneCluster, state: AuditLogState) -> AuditLogOutputs:
        """Return what is logged, and where."""
        group = f"/aws/eks/{params.cluster_name}/cluster"
        return AuditLogOutputs(cluster_name=params.cluster_name, logs=state.value, log_group=group)

    def warnings(self, params: OneCluster, state: AuditLogState) -> tuple[str, ...]:
        """Say what no log can do."""
        return ("what was done before is in no log that was off; GuardDuty reads audit events by itself",)

    def targets(self, params: OneCluster, where: Where) -> tuple[str, ...]:
        """Return the cluster."""
        return (cluster_arn(where, params.cluster_name),)


def logged(cluster: Mapping[str, Any]) -> list[str]:
    """Return the kinds of log that a described cluster writes, sorted."""
    setups = (cluster.get("logging") or {}).get("clusterLogging") or ()
    return sorted({kind for setup in setups if setup.get("enabled") for kind in setup.get("types") or ()})
