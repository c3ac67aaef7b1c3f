"""``aws.eks.describe-pod``: evidence of a pod: images, node, identity, and what it may do to its host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from irrunner.actions.contract import (
    Action,
    Decision,
    LookContext,
    Model,
    Permission,
    ReadApi,
    Settled,
    State,
    Where,
)
from irrunner.actions.eks.clusters import (
    CLUSTER,
    DESCRIBE_CLUSTER,
    USER_GUIDE,
    OnePod,
    get_pod,
    in_cluster,
    instance_id_of,
    labels_of,
    pod_target,
)
from irrunner.actions.registry import action
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

ROLE_ANNOTATION: Final = "eks.amazonaws.com/role-arn"
"""Of a service account whose pods get sessions of an IAM role (IRSA)."""

_ASSOCIATIONS: Final = "arn:{partition}:eks:{region}:{account}:podidentityassociation/{cluster_name}/*"


class PodContainer(Model):
    """A container of a pod; of variables their names only."""

    name: str
    image: str
    image_id: str
    """With the digest that really runs; empty before it was pulled."""
    privileged: bool
    restarts: int
    environment_names: list[str]


class PodFacts(State):
    """A pod, described."""

    cluster_name: str
    namespace: str
    pod_name: str
    uid: str
    phase: str
    pod_ip: str
    started_at: str
    node_name: str
    instance_id: str
    """The EC2 instance behind the node; empty for Fargate, or where the pod has no node yet."""
    service_account: str
    role_arns: list[str]
    """IAM roles of the service account: by annotation (IRSA), or by EKS Pod Identity."""
    role_names: list[str]
    """Revoke the sessions of each."""
    owners: list[str]
    """``ReplicaSet/checkout-7d9f``: what makes a new pod when this one ends."""
    labels: dict[str, str]
    containers: list[PodContainer]
    host_namespaces: list[str]
    """Of ``hostNetwork hostPID hostIPC``, those that it shares with its node."""
    host_paths: list[str]
    pods_with_same_image: list[str]
    """``namespace/name`` of others in the cluster."""


@action(
    "aws.eks.describe-pod",
    title="Describe a pod, and find others of the same image",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=(
        DESCRIBE_CLUSTER,
        *in_cluster("look", "GetPod", "ListPods", "GetNode", "GetServiceAccount"),
        Permission("eks:ListPodIdentityAssociations", CLUSTER),
        Permission("eks:DescribePodIdentityAssociation", _ASSOCIATIONS),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="Only reads, so that there is nothing to undo.",
    timeout_s=120.0,
    sources=(
        f"{USER_GUIDE}/access-entries.html",
        f"{USER_GUIDE}/iam-roles-for-service-accounts.html",
        f"{USER_GUIDE}/pod-identities.html",
    ),
)
class DescribePod(Action[OnePod, PodFacts]):
    """Read the pod, its node and its service account, and compare image digests in the whole cluster."""

    Params = OnePod
    Outputs = PodFacts
    StateModel = PodFacts

    def look(self, ctx: LookContext, params: OnePod) -> PodFacts:
        """Read; what the pod names but is gone is left empty."""
        pod = get_pod(ctx.api, params)
        spec, status = pod["spec"], pod.get("status") or {}
        account = spec.get("serviceAccountName") or "default"
        role_arns = sorted({*_annotated(ctx.api, params, account), *_associated(ctx.api, params, account)})
        uid, images = pod["metadata"]["uid"], _image_ids(pod)
        return PodFacts(
            cluster_name=params.cluster_name,
            namespace=params.namespace,
            pod_name=params.pod_name,
            uid=uid,
            phase=status.get("phase") or "Unknown",
            pod_ip=status.get("podIP") or "",
            started_at=status.get("startTime") or "",
            node_name=spec.get("nodeName") or "",
            instance_id=_instance_id(ctx.api, params, spec.get("nodeName") or ""),
            service_account=account,
            role_arns=role_arns,
            role_names=[arn.rpartition("/")[2] for arn in role_arns],
            owners=[f"{o['kind']}/{o['name']}" for o in pod["metadata"].get("ownerReferences") or ()],
            labels=labels_of(pod),
            containers=_containers(pod),
            host_namespaces=[n for n in ("hostNetwork", "hostPID", "hostIPC") if spec.get(n)],
            host_paths=sorted(v["hostPath"]["path"] for v in spec.get("volumes") or () if v.get("hostPath")),
            pods_with_same_image=sorted(
                f"{other['metadata']['namespace']}/{other['metadata']['name']}"
                for other in ctx.api.pages("kubernetes:ListPods", "items", Cluster=params.cluster_name)
                if other["metadata"]["uid"] != uid and images & _image_ids(other)
            ),
        )

    def decide(self, params: OnePod, state: PodFacts) -> Decision:
        """Nothing to do."""
        return Settled(state)

    def targets(self, params: OnePod, where: Where) -> tuple[str, ...]:
        """Return the pod."""
        return (pod_target(where, params),)


def _instance_id(api: ReadApi, params: OnePod, node_name: str) -> str:
    if not node_name:
        return ""
    try:
        return instance_id_of(api.call("kubernetes:GetNode", Cluster=params.cluster_name, Name=node_name))
    except TargetNotFound:
        return ""


def _annotated(api: ReadApi, params: OnePod, service_account: str) -> list[str]:
    """Return the role that the service account names, if it names one."""
    try:
        found = api.call(
            "kubernetes:GetServiceAccount",
            Cluster=params.cluster_name,
            Namespace=params.namespace,
            Name=service_account,
        )
    except TargetNotFound:
        return []
    arn = (found["metadata"].get("annotations") or {}).get(ROLE_ANNOTATION)
    return [str(arn)] if arn else []


def _associated(api: ReadApi, params: OnePod, service_account: str) -> list[str]:
    """Return the roles that EKS itself gives to the service account: the cluster's API does not show them."""
    found = api.pages(
        "eks:ListPodIdentityAssociations",
        "associations",
        clusterName=params.cluster_name,
        namespace=params.namespace,
        serviceAccount=service_account,
    )
    described = (
        api.call(
            "eks:DescribePodIdentityAssociation",
            clusterName=params.cluster_name,
            associationId=association["associationId"],
        )["association"]
        for association in found
    )
    return [str(association["roleArn"]) for association in described]


def _statuses(pod: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    status = pod.get("status") or {}
    kinds = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    return {found["name"]: found for kind in kinds for found in status.get(kind) or ()}


def _image_ids(pod: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(str(found.get("imageID") or "") for found in _statuses(pod).values()) - {""}


def _containers(pod: Mapping[str, Any]) -> list[PodContainer]:
    """All of them: an attacker's debug container is an ephemeral one."""
    statuses = _statuses(pod)
    kinds = ("containers", "initContainers", "ephemeralContainers")
    return [
        PodContainer(
            name=found["name"],
            image=found.get("image") or "",
            image_id=statuses.get(found["name"], {}).get("imageID") or "",
            privileged=bool((found.get("securityContext") or {}).get("privileged")),
            restarts=statuses.get(found["name"], {}).get("restartCount") or 0,
            environment_names=sorted(item["name"] for item in found.get("env") or ()),
        )
        for kind in kinds
        for found in pod["spec"].get(kind) or ()
    ]
