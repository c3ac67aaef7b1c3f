"""``aws.eks.cordon-node``: no new pods on a node; those that run stay, for they are evidence."""

from __future__ import annotations

from typing import Any

from irrunner.actions.contract import Call, LookContext, Model, Where
from irrunner.actions.eks.clusters import (
    DESCRIBE_CLUSTER,
    USER_GUIDE,
    OneCluster,
    cluster_arn,
    in_cluster,
    instance_id_of,
)
from irrunner.actions.ids import KubernetesName
from irrunner.actions.registry import action
from irrunner.actions.setting import SetValue, ValueState
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class CordonNodeParams(OneCluster):
    """Parameters."""

    node_name: KubernetesName


class CordonNodeState(ValueState):
    """The node; its value is whether it takes no new pods."""

    uid: str
    instance_id: str


class CordonNodeOutputs(Model):
    """Outputs."""

    node_name: str
    instance_id: str
    """The EC2 instance behind the node, for isolation and snapshots; empty where there is none."""


@action(
    "aws.eks.cordon-node",
    title="Let a node take no new pods",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=60.0,
    permissions=(
        DESCRIBE_CLUSTER,
        *in_cluster("look", "GetNode"),
        *in_cluster("act", "PatchNode"),
        *in_cluster("undo", "PatchNode"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Lets the node take new pods again, if it did before.",
    sources=(f"{USER_GUIDE}/access-entries.html", f"{USER_GUIDE}/managed-node-update-behavior.html"),
)
class CordonNode(SetValue[CordonNodeParams, CordonNodeState]):
    """Set ``spec.unschedulable``. It never drains: that would end the pods, and with them the evidence."""

    Params = CordonNodeParams
    Outputs = CordonNodeOutputs
    StateModel = CordonNodeState

    def look(self, ctx: LookContext, params: CordonNodeParams) -> CordonNodeState:
        """Read the node."""
        node = ctx.api.call("kubernetes:GetNode", Cluster=params.cluster_name, Name=params.node_name)
        uid = node["metadata"]["uid"]
        return CordonNodeState(
            target=f"{params.node_name}@{uid}/unschedulable",
            value=bool((node.get("spec") or {}).get("unschedulable")),
            uid=uid,
            instance_id=instance_id_of(node),
        )

    def wanted(self, params: CordonNodeParams, state: CordonNodeState) -> bool:
        """Return that it takes no new pods."""
        return True

    def write(self, params: CordonNodeParams, state: CordonNodeState, value: Any) -> tuple[Call, ...]:
        """Return the patch of exactly this node; false is the same as absent."""
        body = {"metadata": {"uid": state.uid}, "spec": {"unschedulable": True if value else None}}
        patch = Call(
            "kubernetes:PatchNode",
            {"Cluster": params.cluster_name, "Name": params.node_name, "Body": body},
            target=state.target,
            summary=f"Let {params.node_name} take {'no ' if value else ''}new pods",
            before=state.value,
            after=bool(value),
        )
        return (patch,)

    def outputs(self, params: CordonNodeParams, state: CordonNodeState) -> CordonNodeOutputs:
        """Return node and instance."""
        return CordonNodeOutputs(node_name=params.node_name, instance_id=state.instance_id)

    def warnings(self, params: CordonNodeParams, state: CordonNodeState) -> tuple[str, ...]:
        """Say what a cordoned node still does."""
        told = (
            f"the pods on {params.node_name} run on, and DaemonSets still start there; a cluster autoscaler "
            "may end the node once it looks empty: protect its instance"
        )
        return (told,)

    def targets(self, params: CordonNodeParams, where: Where) -> tuple[str, ...]:
        """Return the node."""
        return (f"{cluster_arn(where, params.cluster_name)}/nodes/{params.node_name}",)
