"""The API of the world's EKS clusters: pods, nodes, network policies, under ``/kubernetes/<account>/...``.

Tokens are presigned requests to STS, checked against the world's sessions; whoever has no access entry is
nobody. Faults strike ``kubernetes:PatchPod`` as they strike AWS's operations.

Source: Kubernetes API conventions; Kubernetes reference, "API Concepts" (resourceVersion, preconditions,
``continue``); EKS user guide, "Grant IAM users access to Kubernetes with EKS access entries".
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
import time
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from gameday.world import clusters, seam
from gameday.world.calls import CallLog
from gameday.world.cluster_objects import SERVED, Asked
from gameday.world.dispatch import ConnectionLost
from gameday.world.faults import Fault, FaultPlan
from gameday.world.identity import Principal, authenticate
from gameday.world.protocol import ApiRequest, Environ, take_body
from gameday.world.refusals import Refusal, Reply
from gameday.world.services import Realm
from irrunner.clock import iso

PREFIX: Final = "/kubernetes/"
_PATH: Final = re.compile(
    PREFIX + r"(?P<account>[0-9]{12})/(?P<region>[a-z0-9-]+)/(?P<cluster>[^/]+)/"
    r"(?P<group>api/v1|apis/[^/]+/v1)(?:/namespaces/(?P<namespace>[^/]+))?/(?P<resource>[a-z]+)"
    r"(?:/(?P<name>[^/]+))?"
)
_KINDS: Final = {
    ("api/v1", "pods"): "Pod",
    ("api/v1", "nodes"): "Node",
    ("api/v1", "serviceaccounts"): "ServiceAccount",
    ("apis/networking.k8s.io/v1", "networkpolicies"): "NetworkPolicy",
}
_VERBS: Final = {"GET": "Get", "POST": "Create", "PUT": "Replace", "PATCH": "Patch", "DELETE": "Delete"}
_TOKEN: Final = "k8s-aws-v1."  # noqa: S105 - what all tokens begin with
_READS: Final = frozenset({"Get", "List"})


class KubernetesApi:
    """Answers the requests to all clusters, one at a time."""

    def __init__(self, realm: Realm, calls: CallLog, faults: FaultPlan, lock: threading.RLock) -> None:
        self._realm = realm
        self._calls = calls
        self._faults = faults
        self._lock = lock

    def __call__(self, environ: Environ) -> Reply:
        """Answer a request.

        Raises:
            ConnectionLost: If a fault says that the caller shall get no answer.
        """
        body = take_body(environ)
        try:
            asked = _parse(environ, body)
        except Refusal as refusal:
            return _status(refusal)
        fault = self._faults.strike(asked.operation, asked.account)
        if fault and fault.delay_s:
            time.sleep(fault.delay_s)
        with self._lock:
            reply = self._outcome(asked, fault)
        if reply is None or (fault and fault.kind == "effect-then-lost"):
            raise ConnectionLost(asked.operation)
        return reply

    def _outcome(self, asked: Asked, fault: Fault | None) -> Reply | None:
        """Return the answer, or None where the request was lost before any effect; keep the call."""
        reply: Reply | None = None
        who: Principal | None = None
        if not (fault and fault.kind == "lost-before-effect"):
            try:
                self._realm.schedule.run_until(self._realm.clock.now())
                cluster = _cluster(asked)
                who = self._caller(asked, cluster)
                _strike(fault, asked, who)
                _authorize(asked, cluster, who)
                reply = _json(200, SERVED[asked.verb](cluster, asked))
            except Refusal as refusal:
                reply = _status(refusal)
        self._calls.add(
            asked.operation,
            time=iso(self._realm.clock.now()),
            account=asked.account,
            region=asked.region,
            principal=who.arn if who else self._name_of(asked),
            params={
                "cluster": asked.cluster,
                "namespace": asked.namespace,
                "name": asked.name,
                "body": asked.body,
            },
            error=reply.error if reply else None,
            fault=fault.kind if fault else None,
        )
        return reply

    def _caller(self, asked: Asked, cluster: Any) -> Principal:
        """Return who presigned the token, if the cluster knows him."""
        who = self._presigner(asked)
        if who.policy_arn not in cluster.access_entries:
            raise _unauthorized()
        return who

    def _presigner(self, asked: Asked) -> Principal:
        request = _presigned(asked.token)
        try:
            return authenticate(self._realm.sessions, self._realm.clock, request)
        except Refusal as refusal:
            raise _unauthorized() from refusal

    def _name_of(self, asked: Asked) -> str:
        try:
            return self._presigner(asked).arn
        except Refusal:
            return ""


def _parse(environ: Environ, body: bytes) -> Asked:
    found = _PATH.fullmatch(environ["PATH_INFO"])
    kind = _KINDS.get((found["group"], found["resource"])) if found else None
    verb = _VERBS.get(environ["REQUEST_METHOD"])
    if found is None or kind is None or verb is None:
        raise Refusal("NotFound", "the server could not find the requested resource", 404)
    try:
        content = json.loads(body) if body else None
    except ValueError as problem:
        raise Refusal("BadRequest", f"the body is no JSON: {problem}", 400) from problem
    return Asked(
        account=found["account"],
        region=found["region"],
        cluster=found["cluster"],
        namespace=found["namespace"] or "",
        resource=found["resource"],
        name=found["name"] or "",
        kind=kind,
        verb="List" if verb == "Get" and not found["name"] else verb,
        query={name: values[0] for name, values in parse_qs(environ.get("QUERY_STRING", "")).items()},
        body=content,
        content_type=environ.get("CONTENT_TYPE", ""),
        token=environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer "),
    )


def _presigned(token: str) -> ApiRequest:
    """Return the request to STS that a token holds; one that names no cluster is refused."""
    if not token.startswith(_TOKEN):
        raise _unauthorized()
    text = token.removeprefix(_TOKEN)
    try:
        url = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError) as problem:
        raise _unauthorized() from problem
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    signed = query.get("X-Amz-SignedHeaders", "").split(";")
    if query.get("Action") != "GetCallerIdentity" or "x-k8s-aws-id" not in signed:
        raise _unauthorized()
    return ApiRequest(
        service="sts", operation="GetCallerIdentity", params={}, region="", protocol="query", model=None,
        access_key_id=query.get("X-Amz-Credential", "").partition("/")[0],
        session_token=query.get("X-Amz-Security-Token", ""),
    )  # fmt: skip


def _cluster(asked: Asked) -> Any:
    found = seam.backend("eks", asked.account, asked.region).clusters.get(asked.cluster)
    if found is None or not hasattr(found, "objects"):
        raise Refusal("NotFound", "the server could not find the requested resource", 404)
    return found


def _strike(fault: Fault | None, asked: Asked, who: Principal) -> None:
    if fault is None:
        return
    if fault.kind == "throttle":
        raise Refusal("TooManyRequests", "Too many requests, please try again later.", 429)
    if fault.kind == "deny":
        raise _forbidden(asked, who)
    if fault.kind == "error":
        raise Refusal(fault.code, fault.message, fault.status)


def _authorize(asked: Asked, cluster: Any, who: Principal) -> None:
    policies = cluster.access_entries[who.policy_arn]["policies"]
    if clusters.ADMIN not in policies and not (clusters.VIEW in policies and asked.verb in _READS):
        raise _forbidden(asked, who)


def _forbidden(asked: Asked, who: Principal) -> Refusal:
    text = f'{asked.resource} is forbidden: User "{who.arn}" cannot {asked.verb.lower()} resource'
    return Refusal("Forbidden", text, 403)


def _unauthorized() -> Refusal:
    return Refusal("Unauthorized", "Unauthorized", 401)


def _status(refusal: Refusal) -> Reply:
    told = {
        "kind": "Status",
        "status": "Failure",
        "reason": refusal.code,
        "message": refusal.message,
        "code": refusal.status,
    }
    return replace(_json(refusal.status, told), error=refusal.code)


def _json(status: int, value: Any) -> Reply:
    return Reply(status, json.dumps(value).encode(), (("Content-Type", "application/json"),))
