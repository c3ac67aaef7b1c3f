"""``aws.eks.isolate-pod``: a label, and a network policy that denies everything to what has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    ReadApi,
    Refused,
    Settled,
    State,
    Where,
)
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
from irrunner.actions.eks.policies import ISOLATED, denies_all, deny_all, lets_through, policy_name
from irrunner.actions.iam.documents import decoded
from irrunner.actions.registry import action
from irrunner.errors import ActionDenied, TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

ENDED: Final = frozenset({"Succeeded", "Failed"})
CNI: Final = "vpc-cni"
_ADDON: Final = "arn:{partition}:eks:{region}:{account}:addon/{cluster_name}/*"
_LEFT: Final = "connections that are open may live on; the node, and kubelet on it, still reach the pod"
_UNENFORCED: Final = (
    "the VPC CNI add-on does not enforce network policies (enableNetworkPolicy): unless another does, the "
    "pod is NOT cut off; cordon the node and isolate its instance"
)
_UNKNOWN: Final = (
    "a network policy works only where the cluster enforces it (VPC CNI with enableNetworkPolicy, Calico, "
    "Cilium): check that the pod is cut off"
)


class IsolatePodState(State):
    """What isolation sees."""

    namespace: str
    pod_name: str
    uid: str
    phase: str
    host_network: bool
    label: str | None
    policy: dict[str, Any] | None
    """The spec of the pod's own policy; None: there is none."""
    policy_uid: str = ""
    enforced: bool | None = None
    """Whether the VPC CNI add-on enforces network policies; None: nobody can tell."""
    others: tuple[str, ...] = ()
    """Policies that allow the pod some traffic all the same."""

    @property
    def policy_name(self) -> str:
        """Return the name of the pod's policy."""
        return policy_name(self.uid)

    def footprint(self) -> dict[str, Any]:
        """Return label and policy; nothing where the pod has ended."""
        if self.phase in ENDED:
            return {}
        pod = f"{self.namespace}/{self.pod_name}@{self.uid}"
        denied = self.policy is not None and denies_all(self.policy, self.uid)
        return {
            f"{pod}/{ISOLATED}": self.label,
            f"{self.namespace}/{self.policy_name}": "denies all" if denied else self.policy,
        }


class IsolatePodOutputs(Model):
    """Outputs."""

    pod_name: str
    uid: str
    policy_name: str


@action(
    "aws.eks.isolate-pod",
    title="Cut a pod off the network by a policy that denies everything",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=120.0,
    permissions=(
        DESCRIBE_CLUSTER,
        Permission("eks:DescribeAddon", _ADDON),
        *in_cluster("look", "GetPod", "ListNetworkPolicies"),
        *in_cluster("act", "PatchPod", "CreateNetworkPolicy", "ReplaceNetworkPolicy"),
        *in_cluster("undo", "PatchPod", "DeleteNetworkPolicy", "ReplaceNetworkPolicy"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Takes the label off and deletes the policy; if the pod is gone, it stays and selects nothing.",
    sources=(
        f"{USER_GUIDE}/cni-network-policy.html",
        f"{USER_GUIDE}/access-entries.html",
    ),
)
class IsolatePod(Action[OnePod, IsolatePodState]):
    """Make the policy, then give the pod the label by which it selects, and read both back."""

    Params = OnePod
    Outputs = IsolatePodOutputs
    StateModel = IsolatePodState

    def look(self, ctx: LookContext, params: OnePod) -> IsolatePodState:
        """Read the pod and the policies of its namespace."""
        pod = get_pod(ctx.api, params)
        uid, labels = pod["metadata"]["uid"], labels_of(pod)
        found = ctx.api.pages(
            "kubernetes:ListNetworkPolicies",
            "items",
            Cluster=params.cluster_name,
            Namespace=params.namespace,
        )
        policies = {item["metadata"]["name"]: item for item in found}
        own = policies.pop(policy_name(uid), None)
        return IsolatePodState(
            namespace=params.namespace,
            pod_name=params.pod_name,
            uid=uid,
            phase=(pod.get("status") or {}).get("phase") or "Unknown",
            host_network=bool(pod["spec"].get("hostNetwork")),
            label=labels.get(ISOLATED),
            policy=(own.get("spec") or {}) if own else None,
            policy_uid=own["metadata"]["uid"] if own else "",
            enforced=_enforced(ctx.api, params.cluster_name),
            others=tuple(
                sorted(
                    name for name, item in policies.items() if lets_through(item.get("spec") or {}, labels)
                )
            ),
        )

    def decide(self, params: OnePod, state: IsolatePodState) -> Decision:
        """Make policy and label right; a policy of our name that allows something is replaced."""
        refusal = _refusal(state)
        if refusal:
            return Refused(refusal)
        calls = tuple(_calls(params, state))
        return Act(calls) if calls else Settled(_outputs(state), tuple(_warnings(state)))

    def foresee(self, params: OnePod, state: IsolatePodState, step: str) -> PlannedOutputs:
        """Return the outputs: all of them are known."""
        return PlannedOutputs({} if _refusal(state) else _outputs(state).model_dump(mode="json"))

    def targets(self, params: OnePod, where: Where) -> tuple[str, ...]:
        """Return the pod."""
        return (pod_target(where, params),)

    def undo_calls(
        self,
        params: OnePod,
        before: IsolatePodState,
        after: IsolatePodState,
        now: IsolatePodState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Take the label off, then delete the policy that we made."""
        calls = []
        if any(key.endswith(ISOLATED) for key in keys):
            calls.append(_label(params, now, before.label))
        if f"{now.namespace}/{now.policy_name}" in keys:
            calls.append(
                _delete(params, now) if before.policy is None else _write(params, now, before.policy)
            )
        return tuple(calls)


def _enforced(api: ReadApi, cluster_name: str) -> bool | None:
    """Return whether the add-on of the VPC CNI is told to enforce network policies.

    Source: EKS user guide, "Limit Pod traffic with Kubernetes network policies".
    """
    try:
        found = api.call("eks:DescribeAddon", clusterName=cluster_name, addonName=CNI)["addon"]
    except (TargetNotFound, ActionDenied):
        return None  # containment does not wait for a permission that only a warning needs
    settings = decoded(found.get("configurationValues") or "{}")
    return str(settings.get("enableNetworkPolicy", "")).lower() == "true"


def _refusal(state: IsolatePodState) -> str:
    name = f"{state.namespace}/{state.pod_name}"
    if state.phase in ENDED:
        return f"{name} has ended ({state.phase}): there is nothing to isolate"
    if state.host_network:
        return (
            f"{name} uses the network of its node, which no network policy cuts: cordon the node and isolate "
            "its instance"
        )
    return ""


def _calls(params: OnePod, state: IsolatePodState) -> Iterator[Call]:
    if state.policy is None or not denies_all(state.policy, state.uid):
        yield _write(params, state, deny_all(state.uid))
    if state.label != state.uid:
        yield _label(params, state, state.uid)


def _write(params: OnePod, state: IsolatePodState, spec: dict[str, Any]) -> Call:
    """Create the policy, or replace exactly the one that was seen: never is there none in between."""
    verb, named = ("Create", {}) if state.policy is None else ("Replace", {"Name": state.policy_name})
    metadata = {"name": state.policy_name, "labels": {"app.kubernetes.io/managed-by": "irrunner"}}
    body = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata if state.policy is None else {**metadata, "uid": state.policy_uid},
        "spec": spec,
    }
    return Call(
        f"kubernetes:{verb}NetworkPolicy",
        {"Cluster": params.cluster_name, "Namespace": params.namespace, **named, "Body": body},
        target=f"{params.namespace}/{state.policy_name}",
        summary=f"{verb} the network policy {state.policy_name}",
        before=state.policy,
        after=spec,
    )


def _delete(params: OnePod, state: IsolatePodState) -> Call:
    body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": state.policy_uid}}
    return Call(
        "kubernetes:DeleteNetworkPolicy",
        {
            "Cluster": params.cluster_name,
            "Namespace": params.namespace,
            "Name": state.policy_name,
            "Body": body,
        },
        target=f"{params.namespace}/{state.policy_name}",
        summary=f"Delete the network policy {state.policy_name}",
        before=state.policy,
        after=None,
    )


def _label(params: OnePod, state: IsolatePodState, value: str | None) -> Call:
    return Call(
        "kubernetes:PatchPod",
        labelled(params, state.uid, ISOLATED, value),
        target=f"{params.namespace}/{params.pod_name}",
        summary=f"Set the label {ISOLATED} of {params.namespace}/{params.pod_name} to {value or 'none'}",
        before=state.label,
        after=value,
    )


def _outputs(state: IsolatePodState) -> IsolatePodOutputs:
    return IsolatePodOutputs(pod_name=state.pod_name, uid=state.uid, policy_name=state.policy_name)


def _warnings(state: IsolatePodState) -> Iterator[str]:
    if not state.enforced:
        yield _UNKNOWN if state.enforced is None else _UNENFORCED
    yield _LEFT
    if state.others:
        yield (
            f"network policies add up, and these still allow the pod traffic: {', '.join(state.others)}; "
            "mend them, or take the labels that they select off the pod"
        )
