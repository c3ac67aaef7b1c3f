"""``aws.eks.label-pod``: mark a pod, for people and for policies that select the label."""

from __future__ import annotations

from irrunner.actions.contract import Call, LookContext, Model, Where
from irrunner.actions.eks.clusters import (
    DESCRIBE_CLUSTER,
    USER_GUIDE,
    OnePod,
    get_pod,
    in_cluster,
    labelled,
    labels_of,
    pod_target,
)
from irrunner.actions.ids import LabelKey, LabelValue
from irrunner.actions.registry import action
from irrunner.actions.setting import SetValue, ValueState
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class LabelPodParams(OnePod):
    """Parameters."""

    key: LabelKey = "irrunner.io/incident"
    value: LabelValue = "compromised"


class LabelPodState(ValueState):
    """The pod; its value is that of the label."""

    uid: str


class LabelPodOutputs(Model):
    """Outputs."""

    pod_name: str
    uid: str
    key: str
    value: str


@action(
    "aws.eks.label-pod",
    title="Put a label on a pod",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    timeout_s=60.0,
    permissions=(
        DESCRIBE_CLUSTER,
        *in_cluster("look", "GetPod"),
        *in_cluster("act", "PatchPod"),
        *in_cluster("undo", "PatchPod"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Puts the label's prior value back, or takes the label off.",
    sources=(f"{USER_GUIDE}/access-entries.html", f"{USER_GUIDE}/cluster-auth.html"),
)
class LabelPod(SetValue[LabelPodParams, LabelPodState]):
    """Set one label; one by which a Service or a controller selects would take the pod out of its hands."""

    Params = LabelPodParams
    Outputs = LabelPodOutputs
    StateModel = LabelPodState

    def look(self, ctx: LookContext, params: LabelPodParams) -> LabelPodState:
        """Read the pod."""
        pod = get_pod(ctx.api, params)
        uid = pod["metadata"]["uid"]
        return LabelPodState(
            target=f"{params.namespace}/{params.pod_name}@{uid}/{params.key}",
            value=labels_of(pod).get(params.key),
            uid=uid,
        )

    def wanted(self, params: LabelPodParams, state: LabelPodState) -> str:
        """Return the label's value."""
        return params.value

    def write(self, params: LabelPodParams, state: LabelPodState, value: str | None) -> tuple[Call, ...]:
        """Return the patch."""
        patch = Call(
            "kubernetes:PatchPod",
            labelled(params, state.uid, params.key, value),
            target=state.target,
            summary=f"Label {params.namespace}/{params.pod_name} with {params.key}={value}"
            if value is not None
            else f"Take the label {params.key} off {params.namespace}/{params.pod_name}",
            before=state.value,
            after=value,
        )
        return (patch,)

    def outputs(self, params: LabelPodParams, state: LabelPodState) -> LabelPodOutputs:
        """Return what was labelled."""
        return LabelPodOutputs(
            pod_name=params.pod_name, uid=state.uid, key=params.key, value=state.value or ""
        )

    def targets(self, params: LabelPodParams, where: Where) -> tuple[str, ...]:
        """Return the pod."""
        return (pod_target(where, params),)
