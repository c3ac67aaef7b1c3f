"""EKS, as far as moto has not got it: where a cluster's API is, who has access, updates that take time.

Source: EKS API reference (DescribeCluster, UpdateClusterConfig, CreateAccessEntry, DeleteAccessEntry,
AssociateAccessPolicy); EKS user guide, "Grant IAM users access to Kubernetes with EKS access entries".
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from gameday.world import seam
from gameday.world.content import Place
from gameday.world.organisation import RESPONDER_ROLE
from gameday.world.paging import page
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

UPDATING_S: Final = 60.0
ADMIN: Final = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
EDIT: Final = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
VIEW: Final = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSAdminViewPolicy"
_LOGS: Final = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_NODES: Final = ("ip-10-20-0-10.ec2.internal", "ip-10-20-0-11.ec2.internal")
_PODS: Final = ("checkout-7d9f-abcde", "checkout-7d9f-fghij", "cart-55c4-klmno")
_CLUSTER_WIDE: Final = {"type": "cluster", "namespaces": []}


def build_cluster(place: Place, name: str) -> dict[str, Any]:
    """Build a cluster that the responder's role administers, with two nodes and three pods, if it is missing.

    Returns:
        The names of what was built; ``principal_arn`` is a developer with an access entry.
    """
    account = f"arn:aws:iam::{place.account}"
    backend = seam.backend("eks", place.account, place.region)
    if name not in backend.clusters:
        _fill(backend.create_cluster(name, f"{account}:role/eks-cluster", {"subnetIds": ["subnet-1"]}), place)
    return {
        "cluster_name": name,
        "namespace": "shop",
        "pod_names": list(_PODS),
        "node_names": list(_NODES),
        "principal_arn": f"{account}:role/developer",
    }


def _fill(cluster: Any, place: Place) -> None:
    account = f"arn:aws:iam::{place.account}"
    cluster.access_entries, cluster.objects, cluster.versions = {}, {}, [0]
    cluster.addons = {"vpc-cni": '{"enableNetworkPolicy": "true"}'}
    cluster.pod_identities = {"a-1": ("shop", "checkout", f"{account}:role/checkout-identity")}
    grant(cluster, f"{account}:role/{RESPONDER_ROLE.lstrip('/')}", [ADMIN])
    grant(cluster, f"{account}:role/developer", [VIEW], groups=["shop-deployers"])
    for number, node in enumerate(_NODES):
        provider = f"aws:///{place.region}a/i-{number:017x}"
        put(cluster, "nodes", "", _object("v1", "Node", node, spec={"providerID": provider}))
    annotations = {"eks.amazonaws.com/role-arn": f"{account}:role/checkout-pod"}
    service_account = _object("v1", "ServiceAccount", "checkout", annotations=annotations)
    put(cluster, "serviceaccounts", "shop", service_account)
    for number, pod in enumerate(_PODS):
        put(cluster, "pods", "shop", _pod(pod, _NODES[number % 2], "checkout"))


def grant(cluster: Any, principal: str, policies: list[str], groups: list[str] | None = None) -> None:
    """Give a principal an access entry with policies for the whole cluster."""
    cluster.access_entries[principal] = {
        "kubernetesGroups": groups or [],
        "type": "STANDARD",
        "username": principal,
        "tags": {},
        "policies": {arn: dict(_CLUSTER_WIDE) for arn in policies},
    }


def put(cluster: Any, resource: str, namespace: str, item: dict[str, Any]) -> dict[str, Any]:
    """Store an object of the cluster as its newest version."""
    cluster.versions[0] += 1
    metadata = item["metadata"]
    if namespace:
        metadata["namespace"] = namespace
    seed = f"{resource}/{namespace}/{metadata['name']}/{cluster.versions[0]}"
    metadata.setdefault("uid", str(uuid.uuid5(uuid.NAMESPACE_URL, seed)))
    metadata["resourceVersion"] = str(cluster.versions[0])
    cluster.objects[resource, namespace, metadata["name"]] = item
    return item


def describe_cluster(scene: Scene) -> Mapping[str, Any]:
    """Describe a cluster; its endpoint is the world's own server."""
    cluster = _cluster(scene, "name")
    place = f"{scene.account}/{scene.region}/{cluster.name}"
    return {
        "cluster": {
            "name": cluster.name,
            "arn": cluster.arn,
            "version": cluster.version,
            "status": getattr(cluster, "shown", "ACTIVE"),
            "endpoint": f"{scene.realm.endpoint_url}/kubernetes/{place}",
            "certificateAuthority": {"data": base64.b64encode(b"simulated").decode()},
            "roleArn": cluster.role_arn,
            "identity": cluster.identity,
            "logging": {"clusterLogging": _logging(cluster)},
            "accessConfig": {"authenticationMode": getattr(cluster, "mode", "API_AND_CONFIG_MAP")},
            "resourcesVpcConfig": {
                "subnetIds": ["subnet-1"],
                "endpointPublicAccess": True,
                "endpointPrivateAccess": False,
                "publicAccessCidrs": ["0.0.0.0/0"],
            },
        }
    }


def update_config(scene: Scene) -> Mapping[str, Any]:
    """Change what is logged, which takes time; meanwhile no other update begins."""
    cluster = _cluster(scene, "name")
    if getattr(cluster, "shown", "ACTIVE") != "ACTIVE":
        raise Refusal("ResourceInUseException", f"Cluster {cluster.name} has an update in progress", 409)
    enabled = set(logged(cluster))
    for setup in (scene.params.get("logging") or {}).get("clusterLogging") or []:
        types = set(setup.get("types") or [])
        enabled = enabled | types if setup.get("enabled") else enabled - types
    if enabled == set(logged(cluster)):
        raise Refusal("InvalidParameterException", "No changes needed for the logging config provided")
    cluster.logged, cluster.shown = sorted(enabled), "UPDATING"

    def updated() -> None:
        cluster.shown = "ACTIVE"

    scene.realm.schedule.at(scene.realm.clock.now() + timedelta(seconds=UPDATING_S), updated)
    return {"update": {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, cluster.arn)), "status": "InProgress"}}


def list_entries(scene: Scene) -> Mapping[str, Any]:
    """List principals with an access entry, in pages."""
    return page("accessEntries", sorted(_cluster(scene).access_entries), scene.params.get("nextToken"))


def describe_entry(scene: Scene) -> Mapping[str, Any]:
    """Describe an access entry."""
    return {"accessEntry": _shown(_cluster(scene), scene.params["principalArn"], _entry(scene))}


def create_entry(scene: Scene) -> Mapping[str, Any]:
    """Create an access entry without policies."""
    cluster, principal = _cluster(scene), scene.params["principalArn"]
    if principal in cluster.access_entries:
        text = "The specified access entry resource is already in use on this cluster."
        raise Refusal("ResourceInUseException", text, 409)
    grant(cluster, principal, [], scene.params.get("kubernetesGroups"))
    entry = cluster.access_entries[principal]
    entry["username"] = scene.params.get("username") or principal
    entry["type"] = scene.params.get("type") or "STANDARD"
    entry["tags"] = scene.params.get("tags") or {}
    return {"accessEntry": _shown(cluster, principal, entry)}


def delete_entry(scene: Scene) -> Mapping[str, Any]:
    """Delete an access entry with its policies."""
    _entry(scene)
    del _cluster(scene).access_entries[scene.params["principalArn"]]
    return {}


def list_policies(scene: Scene) -> Mapping[str, Any]:
    """List the policies of an access entry, in pages."""
    found = [
        {"policyArn": arn, "accessScope": scope} for arn, scope in sorted(_entry(scene)["policies"].items())
    ]
    return page("associatedAccessPolicies", found, scene.params.get("nextToken"))


def list_known_policies(scene: Scene) -> Mapping[str, Any]:
    """List the policies that EKS offers, in pages."""
    known = [{"name": arn.rpartition("/")[2], "arn": arn} for arn in (ADMIN, EDIT, VIEW)]
    return page("accessPolicies", known, scene.params.get("nextToken"))


def describe_addon(scene: Scene) -> Mapping[str, Any]:
    """Describe an add-on of the cluster: its settings are a text of JSON."""
    name, addons = scene.params["addonName"], _cluster(scene).addons
    if name not in addons:
        raise Refusal("ResourceNotFoundException", f"No addon: {name} found in cluster", 404)
    return {"addon": {"addonName": name, "status": "ACTIVE", "configurationValues": addons[name]}}


def associate(scene: Scene) -> Mapping[str, Any]:
    """Give an access entry a policy; again is no error."""
    scope = scene.params["accessScope"]
    _entry(scene)["policies"][scene.params["policyArn"]] = {
        "type": scope["type"],
        "namespaces": scope.get("namespaces") or [],
    }
    return {"clusterName": scene.params["clusterName"], "principalArn": scene.params["principalArn"]}


def list_associations(scene: Scene) -> Mapping[str, Any]:
    """List which service accounts EKS gives a role, by namespace and name."""
    cluster, asked = _cluster(scene), scene.params
    found = [
        {"clusterName": cluster.name, "associationId": ident, "namespace": namespace, "serviceAccount": name}
        for ident, (namespace, name, _) in sorted(cluster.pod_identities.items())
        if asked.get("namespace") in {None, namespace} and asked.get("serviceAccount") in {None, name}
    ]
    return page("associations", found, scene.params.get("nextToken"))


def describe_association(scene: Scene) -> Mapping[str, Any]:
    """Describe which role a service account is given."""
    cluster, ident = _cluster(scene), scene.params["associationId"]
    if ident not in cluster.pod_identities:
        raise Refusal("ResourceNotFoundException", f"No association found for id {ident}", 404)
    namespace, name, role = cluster.pod_identities[ident]
    own = {"associationId": ident, "namespace": namespace, "serviceAccount": name, "roleArn": role}
    return {"association": {"clusterName": cluster.name, **own}}


def logged(cluster: Any) -> list[str]:
    """Return the kinds of log that a cluster writes."""
    return list(getattr(cluster, "logged", ["api"]))


def show_clusters(backend: Any) -> dict[str, Any]:
    """Show the clusters of a Region, with what is in them."""
    return {name: _show(cluster) for name, cluster in backend.clusters.items() if hasattr(cluster, "objects")}


def _show(cluster: Any) -> dict[str, Any]:
    objects: dict[str, dict[str, Any]] = {"nodes": {}, "pods": {}, "networkpolicies": {}}
    for (resource, namespace, name), item in sorted(cluster.objects.items()):
        key = f"{namespace}/{name}" if namespace else name
        objects.setdefault(resource, {})[key] = {
            "labels": item["metadata"].get("labels") or {},
            "spec": item.get("spec") or {},
        }
    return {"access_entries": cluster.access_entries, "logs": logged(cluster), **objects}


def _shown(cluster: Any, principal: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: entry[name] for name in ("kubernetesGroups", "username", "type", "tags")}
    return {"clusterName": cluster.name, "principalArn": principal, **own}


def _logging(cluster: Any) -> list[dict[str, Any]]:
    enabled = logged(cluster)
    disabled = [kind for kind in _LOGS if kind not in enabled]
    setups = [{"types": enabled, "enabled": True}, {"types": disabled, "enabled": False}]
    return [setup for setup in setups if setup["types"]]


def _cluster(scene: Scene, parameter: str = "clusterName") -> Any:
    name = scene.params[parameter]
    found = seam.backend("eks", scene.account, scene.region).clusters.get(name)
    if found is None or not hasattr(found, "objects"):
        raise Refusal("ResourceNotFoundException", f"No cluster found for name: {name}.", 404)
    return found


def _entry(scene: Scene) -> dict[str, Any]:
    found: dict[str, Any] | None = _cluster(scene).access_entries.get(scene.params["principalArn"])
    if found is None:
        text = "The specified principalArn could not be found."
        raise Refusal("ResourceNotFoundException", text, 404)
    return found


def _object(
    version: str, kind: str, name: str, *, annotations: Mapping[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "labels": {}, "annotations": dict(annotations or {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def _pod(name: str, node: str, service_account: str) -> dict[str, Any]:
    app = name.partition("-")[0]
    image = f"registry.example/{app}"
    container = {
        "name": "app",
        "image": f"{image}:latest",
        "env": [{"name": "API_TOKEN", "value": "do-not-tell"}],
        "securityContext": {"privileged": app == "cart"},
    }
    made = _object(
        "v1", "Pod", name,
        spec={"nodeName": node, "serviceAccountName": service_account, "containers": [container]},
        status={
            "phase": "Running",
            "podIP": "10.20.0.77",
            "startTime": "2026-01-01T00:00:00Z",
            "containerStatuses": [
                {"name": "app", "imageID": f"{image}@sha256:{app.encode().hex():0>64}", "restartCount": 0}
            ],
        },
    )  # fmt: skip
    made["metadata"]["labels"] = {"app": app}
    made["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": name.rpartition("-")[0]}]
    return made


LAYER: Final = StrictLayer(
    answers={
        "eks:DescribeCluster": describe_cluster,
        "eks:UpdateClusterConfig": update_config,
        "eks:ListAccessEntries": list_entries,
        "eks:DescribeAccessEntry": describe_entry,
        "eks:CreateAccessEntry": create_entry,
        "eks:DeleteAccessEntry": delete_entry,
        "eks:ListAssociatedAccessPolicies": list_policies,
        "eks:ListAccessPolicies": list_known_policies,
        "eks:DescribeAddon": describe_addon,
        "eks:AssociateAccessPolicy": associate,
        "eks:ListPodIdentityAssociations": list_associations,
        "eks:DescribePodIdentityAssociation": describe_association,
    },
)
