"""EKS: pods and nodes through the API of the cluster."""

from __future__ import annotations

from typing import Any

from gameday.world import clusters, seam
from gameday.world.content import Place
from irrunner.actions.eks.policies import ISOLATED, deny_all, policy_name
from tests.contracts.bench import Bench
from tests.contracts.row import Row, Values

CLUSTER = "shop"


def cluster(bench: Bench) -> dict[str, Any]:
    """A cluster with two nodes and three pods."""
    return clusters.build_cluster(Place(bench.account, bench.where.region, 7), CLUSTER)


def found(bench: Bench) -> Any:
    """The cluster's state."""
    return seam.backend("eks", bench.account, bench.where.region).clusters[CLUSTER]


def pod(bench: Bench) -> Values:
    """The first pod."""
    built = cluster(bench)
    return {"cluster_name": CLUSTER, "namespace": "shop", "pod_name": built["pod_names"][0]}


def labelled(bench: Bench) -> Values:
    """The pod, which has the label with another value."""
    values = pod(bench)
    item = found(bench).objects["pods", "shop", values["pod_name"]]
    item["metadata"]["labels"]["incident"] = "old"
    return {**values, "key": "incident", "value": "IR-42"}


def tampered(bench: Bench) -> Values:
    """The pod, for which a policy of our name allows everything."""
    values = pod(bench)
    uid = found(bench).objects["pods", "shop", values["pod_name"]]["metadata"]["uid"]
    spec = deny_all(uid) | {"egress": [{}]}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": spec}
    clusters.put(found(bench), "networkpolicies", "shop", {**policy, "metadata": {"name": policy_name(uid)}})
    return values


def node(bench: Bench) -> Values:
    """The first node."""
    return {"cluster_name": CLUSTER, "node_name": cluster(bench)["node_names"][0]}


def erase_pod(bench: Bench, values: Values) -> None:
    """A controller ends the pod."""
    del found(bench).objects["pods", "shop", values["pod_name"]]


def erase_node(bench: Bench, values: Values) -> None:
    """An autoscaler ends the node."""
    del found(bench).objects["nodes", "", values["node_name"]]


def label_otherwise(bench: Bench, values: Values) -> None:
    """Somebody writes another value."""
    labels = found(bench).objects["pods", "shop", values["pod_name"]]["metadata"]["labels"]
    labels[values.get("key", ISOLATED)] = "mine"


def one_cluster(bench: Bench) -> Values:
    """The cluster."""
    return {"cluster_name": cluster(bench)["cluster_name"]}


def developer(bench: Bench) -> Values:
    """A developer with an access entry of two policies."""
    built = cluster(bench)
    bench.client("eks").associate_access_policy(
        clusterName=CLUSTER, principalArn=built["principal_arn"], policyArn=clusters.ADMIN,
        accessScope={"type": "namespace", "namespaces": ["shop"]},
    )  # fmt: skip
    return {"cluster_name": CLUSTER, "principal_arn": built["principal_arn"]}


def erase_cluster(bench: Bench, values: Values) -> None:
    """Somebody deletes the cluster."""
    del seam.backend("eks", bench.account, bench.where.region).clusters[CLUSTER]


def come_back(bench: Bench, values: Values) -> None:
    """Somebody makes the developer's entry anew, with other groups."""
    clusters.grant(found(bench), values["principal_arn"], [], ["on-call"])


def log_scheduler(bench: Bench, values: Values) -> None:
    """Somebody switches another log on."""
    found(bench).logged = ["api", "audit", "authenticator", "scheduler"]


PATCH_POD, CREATE = "kubernetes:PatchPod", "kubernetes:CreateNetworkPolicy"

ROWS = (
    Row("aws.eks.describe-cluster", one_cluster, erase_cluster),
    Row(
        "aws.eks.remove-access-entry", developer, erase_cluster,
        operations=("eks:DeleteAccessEntry",), drift=come_back,
    ),
    Row(
        "aws.eks.enable-audit-log", one_cluster, erase_cluster,
        operations=("eks:UpdateClusterConfig",), drift=log_scheduler,
    ),
    Row("aws.eks.describe-pod", pod, erase_pod),
    Row("aws.eks.label-pod", pod, erase_pod, operations=(PATCH_POD,)),
    Row(
        "aws.eks.label-pod", labelled, erase_pod, name="relabel",
        operations=(PATCH_POD,), drift=label_otherwise,
    ),
    Row("aws.eks.isolate-pod", pod, erase_pod, operations=(CREATE, PATCH_POD), drift=label_otherwise),
    Row(
        "aws.eks.isolate-pod", tampered, erase_pod, name="tampered-policy", drift=label_otherwise,
        operations=("kubernetes:ReplaceNetworkPolicy", PATCH_POD),
    ),
    Row("aws.eks.cordon-node", node, erase_node, operations=("kubernetes:PatchNode",)),
)  # fmt: skip
