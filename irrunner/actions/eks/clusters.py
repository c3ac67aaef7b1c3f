"""What the actions on clusters share: names, permissions, patches. Reads only.

A permission ``kubernetes:PatchPod`` is none of IAM: the cluster grants it to the access entry of the
responder's role (RBAC verb ``patch`` on ``pods``), and session policies leave it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from irrunner.actions.contract import Model, Permission, ReadApi, Where
from irrunner.actions.ids import EksClusterName, KubernetesName, NamespaceName

API_REFERENCE: Final = "https://docs.aws.amazon.com/eks/latest/APIReference"
USER_GUIDE: Final = "https://docs.aws.amazon.com/eks/latest/userguide"

CLUSTER: Final = "arn:{partition}:eks:{region}:{account}:cluster/{cluster_name}"
DESCRIBE_CLUSTER: Final = Permission("eks:DescribeCluster", CLUSTER)
"""Every call to a cluster's API needs it: it tells the endpoint."""
_PROVIDER: Final = "aws:///"


class OneCluster(Model):
    """Parameters of an action on one cluster."""

    cluster_name: EksClusterName


class OnePod(OneCluster):
    """Parameters of an action on one pod."""

    namespace: NamespaceName
    pod_name: KubernetesName


def in_cluster(use: Literal["look", "act", "undo"], *operations: str) -> tuple[Permission, ...]:
    """Return permissions that the cluster itself grants.

    Args:
        use: ``look``, ``act`` or ``undo``.
        operations: ``PatchPod``.
    """
    return tuple(Permission(f"kubernetes:{name}", CLUSTER, use=use) for name in operations)


def cluster_arn(where: Where, cluster_name: str) -> str:
    """Return the ARN of a cluster of the incident's account and Region."""
    return f"arn:{where.partition}:eks:{where.region}:{where.account_id}:cluster/{cluster_name}"


def pod_target(where: Where, params: OnePod) -> str:
    """Return what names a pod among all accounts: AWS has no ARN for it."""
    cluster = cluster_arn(where, params.cluster_name)
    return f"{cluster}/namespaces/{params.namespace}/pods/{params.pod_name}"


def get_pod(api: ReadApi, params: OnePod) -> Mapping[str, Any]:
    """Return a pod as the cluster describes it.

    Raises:
        TargetNotFound: If there is no such pod.
    """
    return api.call(
        "kubernetes:GetPod", Cluster=params.cluster_name, Namespace=params.namespace, Name=params.pod_name
    )


def labels_of(item: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of an object."""
    return dict(item["metadata"].get("labels") or {})


def labelled(params: OnePod, uid: str, key: str, value: str | None) -> dict[str, Any]:
    """Return the parameters that set a label of exactly this pod; None takes it off.

    A controller makes a new pod under the same name: the uid makes the cluster refuse that one.
    """
    return {
        "Cluster": params.cluster_name,
        "Namespace": params.namespace,
        "Name": params.pod_name,
        "Body": {"metadata": {"uid": uid, "labels": {key: value}}},
    }


def instance_id_of(node: Mapping[str, Any]) -> str:
    """Return the EC2 instance behind a node; empty for Fargate and hosts elsewhere.

    Source: Kubernetes AWS cloud provider, ``aws:///<zone>/<instance id>``.
    """
    provider = str((node.get("spec") or {}).get("providerID") or "")
    last = provider.rpartition("/")[2]
    return last if provider.startswith(_PROVIDER) and last.startswith("i-") else ""
