"""Calls to the APIs of EKS clusters, with the narrowed session of AWS and the official Kubernetes client.

The endpoint and its certificate authority are what ``eks:DescribeCluster`` says; the token is a presigned
``sts:GetCallerIdentity`` that names the cluster, so that it is of no use elsewhere. The client is imported
at the first call: the command line would pay for it.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import jmespath
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from irrunner import __version__
from irrunner.aws.clients import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, Clients
from irrunner.aws.cluster_errors import lost, refusal
from irrunner.aws.cluster_operations import MERGE_PATCH, cluster_operation, query_of
from irrunner.aws.identity import Identity
from irrunner.aws.operations import is_read
from irrunner.aws.redact import Redactor
from irrunner.errors import InvalidCall, OutcomeUnknown, ServiceUnavailable, TargetConflict
from irrunner.urls import is_loopback

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

TOKEN_PREFIX: Final = "k8s-aws-v1."  # noqa: S105 - no secret, but what all of them begin with
TOKEN_S: Final = 60
CLUSTER_HEADER: Final = "x-k8s-aws-id"
PAGE: Final = 500
_ACTIVE: Final = frozenset({"ACTIVE", "UPDATING"})
_SUCCESS: Final = range(200, 300)


@dataclass(frozen=True, slots=True)
class Connection:
    """A cluster's API."""

    cluster: str
    url: str
    client: ApiClient


class ClusterCalls:
    """Calls of one session to clusters of its account and Region. Safe for threads."""

    def __init__(
        self,
        describe: Callable[[str], Mapping[str, Any]],
        clients: Clients,
        identity: Identity,
        region: str,
        redactor: Redactor,
    ) -> None:
        """Keep the parts; nothing is sent.

        Args:
            describe: Returns the answer of ``eks:DescribeCluster``.
            clients: Knows the endpoint of STS.
            identity: Whose calls these are.
            region: Of the clusters.
            redactor: Cleans messages.
        """
        self._describe = describe
        self._clients = clients
        self._identity = identity
        self._region = region
        self._redactor = redactor
        self._connections: dict[str, Connection] = {}
        self._lock = threading.Lock()

    def call(self, operation: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Call one operation of the cluster that ``Cluster`` names, and return its JSON answer.

        Raises:
            ActionError: As mapped in :mod:`irrunner.aws.cluster_errors`.
        """
        known = cluster_operation(operation)
        path = known.path(params) + query_of(operation, params)
        connection = self._connect(operation, str(params.get("Cluster") or ""))
        headers = {"Accept": "application/json", "Authorization": f"Bearer {self._token(connection.cluster)}"}
        if known.method != "GET":
            headers["Content-Type"] = MERGE_PATCH if known.method == "PATCH" else "application/json"
        return self._send(operation, connection, known.method, path, headers, params.get("Body"))

    def pages(self, operation: str, path: str, params: Mapping[str, Any]) -> list[Any]:
        """Return the list at a JMESPath of all pages of a read."""
        items, found, given = jmespath.compile(path), list[Any](), {"Limit": PAGE, **params}
        while True:
            answer = self.call(operation, given)
            found += items.search(answer) or ()
            following = (answer.get("metadata") or {}).get("continue")
            if not following:
                return found
            given["Continue"] = following

    def _connect(self, operation: str, cluster: str) -> Connection:
        if not cluster:
            raise InvalidCall(f"{operation} needs Cluster", operation=operation)
        with self._lock:
            known = self._connections.get(cluster)
        if known is None:
            known = self._made(cluster)
            with self._lock:
                self._connections[cluster] = known
        return known

    def _made(self, cluster: str) -> Connection:
        found = self._describe(cluster)["cluster"]
        if found.get("status") not in _ACTIVE or not found.get("endpoint"):
            raise TargetConflict(f"cluster {cluster} is {found.get('status')}: its API does not answer yet")
        url = str(found["endpoint"]).rstrip("/")
        self._clients.check_cluster(url)
        try:
            client = _client(url, (found.get("certificateAuthority") or {}).get("data"))
        except ValueError as problem:
            raise InvalidCall(f"the certificate authority of cluster {cluster} cannot be read") from problem
        return Connection(cluster, url, client)

    def _token(self, cluster: str) -> str:
        """Return a bearer token for the cluster.

        Source: EKS user guide, "Kubernetes authentication"; kubernetes-sigs/aws-iam-authenticator, "API
        Authorization from Outside a Cluster".
        """
        endpoint = self._clients.get("sts", self._region, retries=True).meta.endpoint_url.rstrip("/")
        asked = f"{endpoint}/?Action=GetCallerIdentity&Version=2011-06-15"
        request = AWSRequest(method="GET", url=asked, headers={CLUSTER_HEADER: cluster})
        keys = self._identity.credentials.get_frozen_credentials()
        SigV4QueryAuth(keys, "sts", self._region, expires=TOKEN_S).add_auth(request)
        return TOKEN_PREFIX + base64.urlsafe_b64encode(request.url.encode()).decode().rstrip("=")

    def _send(
        self,
        operation: str,
        connection: Connection,
        method: str,
        path: str,
        headers: dict[str, str],
        body: Any,
    ) -> Mapping[str, Any]:
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415 - see above
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        headers["User-Agent"] = f"irrunner/{__version__} run/{self._identity.run_id}"
        timeout = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        try:
            response = connection.client.call_api(
                method, f"{connection.url}{path}", headers, body, _request_timeout=timeout
            )
            content: bytes = response.read()  # type: ignore[no-untyped-call]
        except (ApiException, HTTPError, OSError) as problem:
            raise lost(operation, connection.cluster, problem, self._redactor) from None
        if response.status not in _SUCCESS:
            raise refusal(
                operation, connection.cluster, response.status, content, response.headers, self._redactor
            )
        return _parsed(operation, content)


def _parsed(operation: str, content: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        unread = ServiceUnavailable if is_read(operation) else OutcomeUnknown
        raise unread(f"{operation}: the cluster's answer cannot be read", operation=operation)
    return answer


def _client(url: str, authority: str | None) -> ApiClient:
    """Return a client that trusts the cluster's own authority, follows no redirect and repeats nothing."""
    from kubernetes.client import ApiClient, Configuration  # noqa: PLC0415 - see above

    configuration = Configuration(host=url)
    configuration.retries = False
    configuration.ca_cert_data = base64.b64decode(authority or "").decode() or None
    if is_loopback(url):
        configuration.proxy = None
    return ApiClient(configuration)
