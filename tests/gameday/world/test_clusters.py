"""The world's clusters refuse what EKS and Kubernetes refuse."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from gameday.world import World, clusters, seam
from gameday.world.content import Place
from tests.gameday.world.conftest import Refused

POD = "api/v1/namespaces/shop/pods/cart-55c4-klmno"
MERGE = "application/merge-patch+json"


@pytest.fixture
def cluster(world: World, member: str) -> Any:
    """Return a cluster that the responder administers, and the observer too."""
    clusters.build_cluster(Place(member, world.region, 1), "shop")
    found = seam.backend("eks", member, world.region).clusters["shop"]
    clusters.grant(found, f"arn:aws:iam::{member}:role/observer", [clusters.ADMIN])
    return found


def token(client: Any, *, headers: str = "host;x-k8s-aws-id", session_token: str = "") -> str:
    """Return a token of a client's session."""
    keys = client._request_signer._credentials.get_frozen_credentials()
    url = (
        f"https://sts/?Action=GetCallerIdentity&X-Amz-Credential={keys.access_key}%2F20260101%2Fx"
        f"&X-Amz-SignedHeaders={quote(headers)}&X-Amz-Security-Token={quote(session_token or keys.token)}"
    )
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def ask(
    world: World, member: str, bearer: str, method: str = "GET", body: Any = None, content_type: str = MERGE
) -> tuple[int, dict[str, Any]]:
    """Return status and body of a request to the cluster."""
    url = f"{world.endpoint_url}/kubernetes/{member}/{world.region}/shop/{POD}"
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": content_type}
    try:
        with urlopen(Request(url, data, headers, method=method), timeout=5) as answer:  # noqa: S310 - loopback
            return answer.status, json.load(answer)
    except HTTPError as problem:
        return problem.code, json.load(problem)


@pytest.mark.usefixtures("cluster")
def test_tokens_are_checked(world: World, member: str) -> None:
    """No token, one of another session, or one that names no cluster: nobody."""
    client = world.client(member, "sts")

    assert ask(world, member, token(client))[0] == 200
    for bearer in ("", "k8s-aws-v1.####", token(client, headers="host"), token(client, session_token="x")):
        assert ask(world, member, bearer)[0] == 401


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("method", "body", "content_type", "status"),
    [
        ("PATCH", {"metadata": {"labels": {"a": "b"}}}, MERGE, 200),
        ("PATCH", {"metadata": {"resourceVersion": "0"}}, MERGE, 409),
        ("PATCH", {"metadata": {"labels": {"a": "no spaces"}}}, MERGE, 422),
        ("PATCH", [{"op": "add"}], "application/json-patch+json", 415),
        ("DELETE", {"preconditions": {"uid": "another"}}, "application/json", 409),
        ("PUT", {"metadata": {"uid": "another"}}, "application/json", 409),
        ("POST", {}, "application/json", 422),
    ],
)
def test_changes_are_checked(
    world: World, member: str, method: str, body: Any, content_type: str, status: int
) -> None:
    """Versions, preconditions and labels count, as in a real cluster."""
    bearer = token(world.client(member, "sts"))

    assert ask(world, member, bearer, method, body, content_type)[0] == status


@pytest.mark.usefixtures("cluster")
def test_each_change_makes_a_new_version(world: World, member: str) -> None:
    """Whoever read before is told so when he writes."""
    bearer = token(world.client(member, "sts"))
    before = ask(world, member, bearer)[1]["metadata"]["resourceVersion"]
    patched = ask(world, member, bearer, "PATCH", {"metadata": {"labels": {"a": None, "b": "c"}}})[1]

    assert int(patched["metadata"]["resourceVersion"]) > int(before)
    assert patched["metadata"]["labels"] == {"app": "cart", "b": "c"}


def test_one_update_at_a_time(world: World, member: str, cluster: Any, refused: Refused) -> None:
    """EKS refuses a second update, and one that changes nothing."""
    client = world.client(member, "eks")
    audit = {"name": "shop", "logging": {"clusterLogging": [{"types": ["audit"], "enabled": True}]}}
    client.update_cluster_config(**audit)

    assert refused(client.update_cluster_config, **audit) == "ResourceInUseException"
    world.advance(clusters.UPDATING_S)
    assert client.describe_cluster(name="shop")["cluster"]["status"] == "ACTIVE"
    assert refused(client.update_cluster_config, **audit) == "InvalidParameterException"
    assert clusters.logged(cluster) == ["api", "audit"]


@pytest.mark.usefixtures("cluster")
def test_entries_are_made_once(world: World, member: str, refused: Refused) -> None:
    """A second entry of a principal is a conflict; one that is gone is not found."""
    client = world.client(member, "eks")
    given = {"clusterName": "shop", "principalArn": f"arn:aws:iam::{member}:role/developer"}

    assert refused(client.create_access_entry, **given) == "ResourceInUseException"
    client.delete_access_entry(**given)
    assert refused(client.describe_access_entry, **given) == "ResourceNotFoundException"
    client.create_access_entry(**given)
    assert client.list_associated_access_policies(**given)["associatedAccessPolicies"] == []
