"""Clusters' own APIs behind the seam: sessions, tokens, errors, pages; and what IAM is not told."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from urllib3.exceptions import NewConnectionError, ProtocolError, ReadTimeoutError

from gameday.world import World, clusters, seam
from gameday.world.content import Place
from irrunner.actions.contract import Permission
from irrunner.aws.cloud import BotoCloud
from irrunner.aws.cluster_errors import lost, refusal
from irrunner.aws.cluster_operations import OPERATIONS, cluster_operation, query_of
from irrunner.aws.endpoints import EndpointRule
from irrunner.aws.operations import ReadOnlyApi, is_read
from irrunner.aws.policy import session_policy
from irrunner.aws.redact import Redactor
from irrunner.errors import (
    ActionDenied,
    ActionError,
    ActionThrottled,
    CredentialsInvalid,
    InvalidCall,
    OutcomeUnknown,
    ServiceUnavailable,
    SettingsError,
    TargetConflict,
    TargetNotFound,
)
from irrunner.settings import Settings
from irrunner.testing import ManualClock

PLACE = {"partition": "aws", "region": "us-east-1", "account": "333333333333"}
DESCRIBE = Permission("eks:DescribeCluster", "arn:{partition}:eks:{region}:{account}:cluster/shop")
PATCH = Permission("kubernetes:PatchPod", "arn:{partition}:eks:{region}:{account}:cluster/shop", use="act")
POD = {"Cluster": "shop", "Namespace": "shop", "Name": "cart-55c4-klmno"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Open a world with a cluster."""
    with World.build(seed=5, clock=ManualClock()) as built:
        for name, value in built.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        clusters.build_cluster(Place(built.organisation.members[0], built.region, 5), "shop")
        yield built


@pytest.fixture
def cloud(world: World) -> BotoCloud:
    """A cloud over the world."""
    return BotoCloud(Settings(), ManualClock())


@pytest.fixture
def api(world: World, cloud: BotoCloud) -> Any:
    """A session of the responder in the member account."""
    member = world.organisation.members[0]
    return cloud.member(member, world.region, run_id="run-1", permissions=(DESCRIBE, PATCH), values={})


def test_iam_is_not_told_of_kubernetes() -> None:
    """STS would refuse a policy with actions that IAM does not know; the cluster grants them."""
    text = session_policy([DESCRIBE, PATCH], PLACE)

    assert "kubernetes" not in text
    assert json.loads(text)["Statement"]["Action"] == "eks:DescribeCluster"


def test_kubernetes_alone_is_a_session_that_may_nothing() -> None:
    """Leaving permissions out must never widen a session."""
    assert json.loads(session_policy([PATCH], PLACE))["Statement"]["Effect"] == "Deny"


def test_a_patch_reaches_the_pod_of_the_cluster(world: World, api: Any) -> None:
    """The call is made with the narrowed session, and is in the log as an operation of its own."""
    answer = api.call("kubernetes:PatchPod", **POD, Body={"metadata": {"labels": {"a": "b"}}})
    call = world.calls(mutating=True)[-1]

    assert answer["metadata"]["labels"]["a"] == "b"
    assert (call.operation, call.params["name"]) == ("kubernetes:PatchPod", POD["Name"])
    assert call.principal.endswith("/irrunner-run-1")


def test_lists_are_read_to_their_end(api: Any) -> None:
    """The cluster answers two at a time here; the third pod counts as much as the first."""
    names = api.pages("kubernetes:ListPods", "items[].metadata.name", Cluster="shop")

    assert len(names) == 3
    assert len(api.pages("kubernetes:ListPods", "items", Cluster="shop", LabelSelector="app=cart")) == 1


def test_looks_change_no_cluster(api: Any) -> None:
    """What only reads has no way to a patch."""
    with pytest.raises(InvalidCall):
        ReadOnlyApi(api).call("kubernetes:PatchPod", **POD, Body={})
    with pytest.raises(InvalidCall):
        api.pages("kubernetes:DeleteNetworkPolicy", "items", **POD)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "deny"}, ActionDenied),
        ({"kind": "lost-before-effect"}, OutcomeUnknown),
        ({"kind": "effect-then-lost"}, OutcomeUnknown),
        ({"kind": "error", "code": "Conflict", "status": 409}, TargetConflict),
        ({"kind": "error", "code": "InternalError", "status": 500}, OutcomeUnknown),
        ({"kind": "error", "code": "ServiceUnavailable", "status": 503}, ServiceUnavailable),
    ],
)
def test_mishaps_are_typed(world: World, api: Any, fault: dict[str, Any], error: type) -> None:
    """The same words as for AWS, so that the runtime settles them the same way."""
    world.fault("kubernetes:PatchPod", **fault)
    with pytest.raises(error) as caught:
        api.call("kubernetes:PatchPod", **POD, Body={"metadata": {"labels": {"a": "b"}}})
    assert "k8s-aws-v1" not in f"{caught.value!r} {caught.value}"


def test_a_denial_names_the_verb_of_rbac(world: World, api: Any) -> None:
    """Whoever mends the access entry needs to know what is missing."""
    world.fault("kubernetes:PatchPod", "deny")
    with pytest.raises(ActionDenied, match="RBAC verb patch on pods"):
        api.call("kubernetes:PatchPod", **POD, Body={})


def test_without_an_access_entry_the_responder_is_nobody(world: World, api: Any) -> None:
    """IAM permissions are none in the cluster: the hint says what is."""
    cluster = world_cluster(world)
    cluster.access_entries.clear()
    with pytest.raises(CredentialsInvalid, match="access entry of cluster shop"):
        api.call("kubernetes:GetPod", **POD)


def test_a_view_policy_lets_read_only(world: World, api: Any) -> None:
    """The world's RBAC refuses as a cluster does."""
    entries = world_cluster(world).access_entries
    for entry in entries.values():
        entry["policies"] = {clusters.VIEW: {}}

    assert api.call("kubernetes:GetPod", **POD)["kind"] == "Pod"
    with pytest.raises(ActionDenied):
        api.call("kubernetes:PatchPod", **POD, Body={})


def test_another_pod_of_the_same_name_is_a_conflict(api: Any) -> None:
    """A StatefulSet's new pod has the old one's name; the uid tells them apart."""
    with pytest.raises(TargetConflict):
        api.call("kubernetes:PatchPod", **POD, Body={"metadata": {"uid": "another", "labels": {"a": "b"}}})


def test_unknown_names_are_errors_of_ours(api: Any) -> None:
    """Nothing is sent that the table does not know."""
    for operation, params in (
        ("kubernetes:DrainNode", {"Cluster": "shop", "Name": "n"}),
        ("kubernetes:GetPod", {"Cluster": "shop", "Namespace": "shop"}),
        ("kubernetes:GetPod", {**POD, "Name": ".."}),
        ("kubernetes:GetPod", {**POD, "Force": True}),
        ("kubernetes:GetPod", {"Namespace": "shop", "Name": "a"}),
    ):
        with pytest.raises(InvalidCall):
            api.call(operation, **params)
    with pytest.raises(ActionDenied):  # the session is cut to the one cluster
        api.call("kubernetes:GetPod", **{**POD, "Cluster": "other"})


def test_a_name_is_one_part_of_the_path() -> None:
    """Names come from findings: none leads to another resource."""
    path = cluster_operation("kubernetes:GetPod").path({**POD, "Name": "../../nodes/n?x=1"})

    assert path == "/api/v1/namespaces/shop/pods/..%2F..%2Fnodes%2Fn%3Fx%3D1"
    assert query_of("kubernetes:ListPods", {"LabelSelector": "a=b&c"}) == "?labelSelector=a%3Db%26c"


def test_reads_and_changes_are_told_by_their_names() -> None:
    """The read-only seam goes by the name: verb and method must agree with it."""
    for name, operation in OPERATIONS.items():
        assert is_read(f"kubernetes:{name}") == (operation.method == "GET"), name


@pytest.mark.parametrize(
    ("problem", "changing", "reading"),
    [
        (NewConnectionError(None, "refused"), ServiceUnavailable, ServiceUnavailable),  # type: ignore[arg-type]
        (ReadTimeoutError(None, "", "timed out"), OutcomeUnknown, ServiceUnavailable),  # type: ignore[arg-type]
        (ProtocolError("connection broken"), OutcomeUnknown, ServiceUnavailable),
        (ConnectionResetError("reset"), OutcomeUnknown, ServiceUnavailable),
    ],
)
def test_lost_requests_are_unknown_only_where_they_left(
    problem: Exception, changing: type[ActionError], reading: type[ActionError]
) -> None:
    """A refused connection had no effect; a lost answer may have had one, if it was asked for."""
    assert type(lost("kubernetes:PatchPod", "shop", problem, Redactor())) is changing
    assert type(lost("kubernetes:GetPod", "shop", problem, Redactor())) is reading


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, InvalidCall), (401, CredentialsInvalid), (404, TargetNotFound), (409, TargetConflict),
        (415, InvalidCall), (422, InvalidCall), (429, ActionThrottled), (504, OutcomeUnknown),
        (302, InvalidCall), (410, ServiceUnavailable),
    ],
)  # fmt: skip
def test_statuses_are_typed_whatever_the_body(status: int, error: type[ActionError]) -> None:
    """A proxy answers in HTML; the status decides."""
    given = refusal("kubernetes:PatchPod", "shop", status, b"<html>", {}, Redactor())

    assert type(given) is error


def test_a_busy_cluster_says_when_to_come_back() -> None:
    """Priority and fairness answers with Retry-After."""
    given = refusal("kubernetes:PatchPod", "shop", 429, b"{}", {"Retry-After": "7"}, Redactor())

    assert given.detail["retry_after_s"] == 7.0


RULE = EndpointRule(frozenset({"amazonaws.com", "api.aws"}), ("proxy.example.com",))


@pytest.mark.parametrize(
    "url",
    [
        "https://ABC.gr7.eu-central-1.eks.amazonaws.com", "https://abc.eks-cluster.eu-central-1.api.aws",
        "https://proxy.example.com", "http://127.0.0.1:5000/kubernetes",
    ],
)  # fmt: skip
def test_endpoints_of_clusters_pass(url: str) -> None:
    """AWS's, those that are configured, and this machine's."""
    RULE.check_cluster(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://ABC.gr7.eu-central-1.eks.amazonaws.com", "https://evil.example.com",
        "https://evilamazonaws.com", "ftp://x.amazonaws.com", "",
    ],
)  # fmt: skip
def test_other_endpoints_get_no_token(url: str) -> None:
    """A token sent in clear, or to a stranger, is lost."""
    with pytest.raises(SettingsError):
        RULE.check_cluster(url)


def test_a_token_names_its_cluster_and_is_hidden(world: World, cloud: BotoCloud, api: Any) -> None:
    """It is of no use at another cluster, and appears in no log."""
    api.call("kubernetes:GetPod", **POD)
    session = api._api._clusters
    token = session._token("shop")
    url = base64.urlsafe_b64decode(token.removeprefix("k8s-aws-v1.") + "===").decode()

    assert "x-k8s-aws-id" in url
    assert "X-Amz-Expires=60" in url
    assert token.removeprefix("k8s-aws-v1.") not in cloud.redactor.text(f"Authorization: Bearer {token}")


class Elsewhere(BaseHTTPRequestHandler):
    """Sends every caller somewhere else, and counts."""

    asked = 0

    def do_PATCH(self) -> None:
        """Redirect."""
        type(self).asked += 1
        self.send_response(302)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_no_redirect_gets_the_token(world: World, api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirected request would carry the bearer token to wherever the answer points."""
    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        described = {"cluster": {"status": "ACTIVE", "endpoint": url}}
        monkeypatch.setattr(api._api._clusters, "_describe", lambda _name: described)
        with pytest.raises(InvalidCall):
            api.call("kubernetes:PatchPod", **POD, Body={})
        server.shutdown()
        thread.join()
    assert Elsewhere.asked == 1


@pytest.mark.parametrize(
    ("found", "error"),
    [
        ({"status": "CREATING"}, TargetConflict),
        ({"status": "ACTIVE", "endpoint": "https://evil.example.com"}, SettingsError),
        (
            {"status": "ACTIVE", "endpoint": "http://127.0.0.1:1", "certificateAuthority": {"data": "a"}},
            InvalidCall,
        ),
    ],
)
def test_odd_clusters_are_typed(
    api: Any, monkeypatch: pytest.MonkeyPatch, found: dict[str, Any], error: type[Exception]
) -> None:
    """What cannot be talked to gets no token, and the reason is in our words."""
    monkeypatch.setattr(api._api._clusters, "_describe", lambda _name: {"cluster": found})
    with pytest.raises(error):
        api.call("kubernetes:GetPod", **POD)


def test_the_client_is_imported_at_the_first_call() -> None:
    """A drill of EC2 does not pay for Kubernetes."""
    script = "import irrunner.aws.cloud, sys; print('kubernetes' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


def world_cluster(world: World) -> Any:
    """Return the cluster's state."""
    return seam.backend("eks", world.organisation.members[0], world.region).clusters["shop"]
