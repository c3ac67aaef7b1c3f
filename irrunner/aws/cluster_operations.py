"""The Kubernetes operations of the seam: ``kubernetes:PatchPod`` to method, path and RBAC verb.

They are permissions, too: an action declares ``Permission("kubernetes:PatchPod", ...)``. IAM knows nothing
of them; in the cluster they must be granted by an access entry (or a role binding) of the responder's role.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from irrunner.aws.operations import KUBERNETES
from irrunner.errors import InvalidCall

MERGE_PATCH: Final = "application/merge-patch+json"
"""Also understood by custom resources; a list in it replaces the list."""


@dataclass(frozen=True, slots=True)
class ClusterOperation:
    """One operation of a cluster's API.

    Args:
        method: Of HTTP.
        verb: RBAC's.
        group: API group with its version, ``api/v1``.
        resource: RBAC's, in the plural.
        namespaced: Whether the resource lives in a namespace.
    """

    method: str
    verb: str
    group: str
    resource: str
    namespaced: bool

    @property
    def named(self) -> bool:
        """Whether the path ends with a name."""
        return self.verb not in {"list", "create"}

    def path(self, params: Mapping[str, Any]) -> str:
        """Return the path; a list without a namespace is one of all namespaces.

        Raises:
            InvalidCall: If a part of the path is missing.
        """
        parts = [self.group]
        if self.namespaced and (self.verb != "list" or params.get("Namespace")):
            parts += ["namespaces", _part(params, "Namespace")]
        parts.append(self.resource)
        if self.named:
            parts.append(_part(params, "Name"))
        return "/" + "/".join(parts)


_CORE: Final = "api/v1"
_NETWORKING: Final = "apis/networking.k8s.io/v1"

OPERATIONS: Final[Mapping[str, ClusterOperation]] = {
    "GetPod": ClusterOperation("GET", "get", _CORE, "pods", namespaced=True),
    "ListPods": ClusterOperation("GET", "list", _CORE, "pods", namespaced=True),
    "PatchPod": ClusterOperation("PATCH", "patch", _CORE, "pods", namespaced=True),
    "GetNode": ClusterOperation("GET", "get", _CORE, "nodes", namespaced=False),
    "PatchNode": ClusterOperation("PATCH", "patch", _CORE, "nodes", namespaced=False),
    "GetServiceAccount": ClusterOperation("GET", "get", _CORE, "serviceaccounts", namespaced=True),
    "ListNetworkPolicies": ClusterOperation("GET", "list", _NETWORKING, "networkpolicies", namespaced=True),
    "GetNetworkPolicy": ClusterOperation("GET", "get", _NETWORKING, "networkpolicies", namespaced=True),
    "CreateNetworkPolicy": ClusterOperation(
        "POST", "create", _NETWORKING, "networkpolicies", namespaced=True
    ),
    "ReplaceNetworkPolicy": ClusterOperation(
        "PUT", "update", _NETWORKING, "networkpolicies", namespaced=True
    ),
    "DeleteNetworkPolicy": ClusterOperation(
        "DELETE", "delete", _NETWORKING, "networkpolicies", namespaced=True
    ),
}

_QUERY: Final[Mapping[str, str]] = {
    "LabelSelector": "labelSelector",
    "FieldSelector": "fieldSelector",
    "Limit": "limit",
    "Continue": "continue",
}
_OTHERS: Final = frozenset({"Cluster", "Namespace", "Name", "Body"})


def cluster_operation(operation: str) -> ClusterOperation:
    """Return what an operation is.

    Raises:
        InvalidCall: If there is none of this name.
    """
    known = OPERATIONS.get(operation.removeprefix(KUBERNETES))
    if known is None:
        raise InvalidCall(f"{operation}: no such Kubernetes operation", operation=operation)
    return known


def query_of(operation: str, params: Mapping[str, Any]) -> str:
    """Return the query string of the parameters.

    Raises:
        InvalidCall: If there is a parameter that no operation has.
    """
    unknown = params.keys() - _QUERY.keys() - _OTHERS
    if unknown:
        raise InvalidCall(f"{operation}: no parameter {', '.join(sorted(unknown))}", operation=operation)
    given = {query: params[name] for name, query in _QUERY.items() if params.get(name)}
    return f"?{urlencode(given)}" if given else ""


def _part(params: Mapping[str, Any], name: str) -> str:
    value = str(params.get(name) or "")
    if not value or value in {".", ".."}:
        raise InvalidCall(f"a Kubernetes operation needs {name}")
    return quote(value, safe="")
