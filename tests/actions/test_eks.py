"""EKS: what is refused, what a policy really denies, and what must not be given back."""

from __future__ import annotations

from typing import Any

import pytest

from irrunner.actions.contract import Act, Refused, Settled, Waiting
from irrunner.actions.eks.access import AccessEntry, AccessPolicy, RemoveAccessEntry, RemoveEntryState
from irrunner.actions.eks.clusters import OneCluster, OnePod, instance_id_of
from irrunner.actions.eks.cordon import CordonNode, CordonNodeState
from irrunner.actions.eks.describe_pod import DescribePod
from irrunner.actions.eks.isolate import IsolatePod, IsolatePodState
from irrunner.actions.eks.logs import AuditLogState, EnableAuditLog
from irrunner.actions.eks.policies import ISOLATED, denies_all, deny_all, lets_through, policy_name, selects
from irrunner.actions.page import action_page
from irrunner.actions.registry import load_registry
from irrunner.errors import TargetNotFound
from irrunner.testing import FakeApi

UID = "0f2a7e1c-1111-4222-8333-444455556666"
POD = OnePod(cluster_name="shop", namespace="shop", pod_name="cart-1")
ROLE = "arn:aws:iam::111122223333:role/team/developer"
VIEW = AccessPolicy(arn="arn:aws:eks::aws:cluster-access-policy/View", scope="cluster", namespaces=[])
ENTRY = AccessEntry(
    kind="STANDARD",
    username="arn:aws:sts::111122223333:assumed-role/developer/{{SessionName}}",
    groups=["deployers"],
    policies=[VIEW],
    tags={},
)
ENTRIES = RemoveAccessEntry.Params(cluster_name="shop", principal_arn=ROLE)


def pod(**more: Any) -> IsolatePodState:
    """Return a state of isolation."""
    values: dict[str, Any] = {
        "phase": "Running", "host_network": False, "label": None, "policy": None, "uid": UID, **more
    }  # fmt: skip
    return IsolatePodState(namespace="shop", pod_name="cart-1", **values)


def operations(decision: object) -> list[str]:
    """Return what is sent."""
    assert isinstance(decision, Act)
    return [call.operation.partition(":")[2] for call in decision.calls]


def test_the_policy_is_there_before_the_label() -> None:
    """The label cuts the pod off at once, whatever happens then."""
    assert operations(IsolatePod().decide(POD, pod())) == ["CreateNetworkPolicy", "PatchPod"]


@pytest.mark.parametrize(
    "change",
    [
        {"egress": [{}]}, {"ingress": [{"from": []}]}, {"policyTypes": ["Ingress"]}, {"podSelector": {}},
        {"podSelector": {"matchLabels": {ISOLATED: "another"}}},
    ],
)  # fmt: skip
def test_a_policy_of_our_name_is_not_trusted(change: dict[str, Any]) -> None:
    """Whoever may write policies may have written this one."""
    state = pod(policy=deny_all(UID) | change, policy_uid="p-1", label=UID)
    decision = IsolatePod().decide(POD, state)

    assert operations(decision) == ["ReplaceNetworkPolicy"]
    assert isinstance(decision, Act)
    assert decision.calls[0].params["Body"]["metadata"]["uid"] == "p-1"


def test_a_policy_as_the_cluster_shows_it_is_right() -> None:
    """Order and empty lists are the cluster's business."""
    spec = deny_all(UID) | {"policyTypes": ["Egress", "Ingress"], "ingress": [], "egress": None}

    assert denies_all(spec, UID)
    assert isinstance(IsolatePod().decide(POD, pod(policy=spec, label=UID)), Settled)


def test_policies_that_still_allow_are_named() -> None:
    """Network policies add up: a deny-all beside an allow-all denies nothing."""
    state = pod(policy=deny_all(UID), label=UID, others=("allow-web",))
    decision = IsolatePod().decide(POD, state)

    assert isinstance(decision, Settled)
    assert any("allow-web" in warning for warning in decision.warnings)


@pytest.mark.parametrize(("enforced", "told"), [(True, ""), (False, "NOT cut off"), (None, "check that")])
def test_whether_anything_enforces_the_policy_is_told(enforced: Any, told: str) -> None:
    """A policy that nobody enforces reads back as well as any other."""
    decision = IsolatePod().decide(POD, pod(policy=deny_all(UID), label=UID, enforced=enforced))

    assert isinstance(decision, Settled)
    assert len(decision.warnings) == (2 if told else 1)
    assert told in decision.warnings[0]


@pytest.mark.parametrize(
    ("addon", "expected"),
    [
        ({"configurationValues": '{"enableNetworkPolicy": "true"}'}, True),
        ({"configurationValues": '{"enableNetworkPolicy": true}'}, True),
        ({"configurationValues": "enableNetworkPolicy: true"}, False),
        ({}, False),
        (None, None),
    ],
)
def test_the_add_on_says_whether_it_enforces(addon: dict[str, str] | None, expected: object) -> None:
    """It does not by default; settings that cannot be read count as off, for the louder warning."""

    def describe(**_: Any) -> dict[str, Any]:
        if addon is None:
            raise TargetNotFound("no addon")
        return {"addon": addon}

    found = {"metadata": {"uid": UID}, "spec": {}}
    context = Context(found)
    context.api = FakeApi(
        {
            "kubernetes:GetPod": lambda **_: found,
            "kubernetes:ListNetworkPolicies": lambda **_: {"items": []},
            "eks:DescribeAddon": describe,
        }
    )
    assert IsolatePod().look(context, POD).enforced is expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "told"), [({"host_network": True}, "cordon the node"), ({"phase": "Succeeded"}, "has ended")]
)
def test_pods_that_no_policy_reaches_are_refused(change: dict[str, Any], told: str) -> None:
    """Success would be said of a pod that goes on talking."""
    decision = IsolatePod().decide(POD, pod(**change))

    assert isinstance(decision, Refused)
    assert told in decision.reason


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        ({"matchLabels": {"app": "cart"}}, True),
        ({"matchLabels": {"app": "cart", "tier": "web"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["cart", "shop"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["cart"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "NewOne"}]}, True),
    ],
)
def test_selectors_select_as_in_kubernetes(selector: dict[str, Any], expected: object) -> None:
    """What is not understood is taken to select: a warning too many harms less than one too few."""
    assert selects(selector, {"app": "cart"}) is expected
    assert lets_through({"podSelector": selector, "egress": [{}]}, {"app": "cart"}) is expected
    assert not lets_through({"podSelector": selector, "policyTypes": ["Ingress"]}, {"app": "cart"})


def test_names_of_policies_fit() -> None:
    """Names and label values have limits of 253 and 63 characters."""
    assert len(policy_name(UID)) < 63
    assert len(UID) < 63


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ("aws:///eu-central-1a/i-0123456789abcdef0", "i-0123456789abcdef0"),
        ("aws:///eu-central-1a/fargate-ip-10-0-0-1", ""),
        ("gce://project/zone/i-1", ""),
        (None, ""),
    ],
)
def test_the_instance_of_a_node_is_ec2s(provider: str | None, expected: str) -> None:
    """What is no instance must not be isolated as one."""
    assert instance_id_of({"spec": {"providerID": provider}}) == expected


def test_a_cordon_is_never_a_drain() -> None:
    """One patch, of exactly this node; pods are evidence."""
    params = CordonNode.Params(cluster_name="shop", node_name="n-1")
    state = CordonNodeState(target="n-1", value=False, uid="u-1", instance_id="")
    decision = CordonNode().decide(params, state)

    assert operations(decision) == ["PatchNode"]
    assert isinstance(decision, Act)
    assert decision.calls[0].params["Body"] == {
        "metadata": {"uid": "u-1"}, "spec": {"unschedulable": True},
    }  # fmt: skip


def entries(**more: Any) -> RemoveEntryState:
    """Return a state of removing an entry."""
    values = {"mode": "API_AND_CONFIG_MAP", "entry": ENTRY, "ours": False, "policy_arns": [VIEW.arn], **more}
    return RemoveEntryState(cluster_name="shop", principal_arn=ROLE, **values)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"ours": True}, "locked out"),
        ({"mode": "CONFIG_MAP", "entry": None}, "aws-auth"),
        ({"entry": ENTRY.model_copy(update={"kind": "EC2_LINUX"})}, "nodes"),
    ],
)
def test_entries_that_must_stay_are_refused(change: dict[str, Any], told: str) -> None:
    """Ours, those of nodes, and those that there are not."""
    decision = RemoveAccessEntry().decide(ENTRIES, entries(**change))

    assert isinstance(decision, Refused)
    assert told in decision.reason


def test_undo_gives_nothing_to_an_entry_that_somebody_made() -> None:
    """Policies of before on an entry of now would be access that nobody has decided on."""
    gone, other = entries(entry=None), ENTRY.model_copy(update={"groups": ["x"], "policies": []})
    keys = frozenset({f"shop/{ROLE}/View"})

    assert RemoveAccessEntry().undo_calls(ENTRIES, entries(), gone, entries(entry=other), keys) == ()


@pytest.mark.parametrize(
    ("username", "given"), [(ENTRY.username, False), (ROLE, False), ("dev:{{SessionName}}", True)]
)
def test_undo_names_the_user_only_where_eks_would_not(username: str, given: object) -> None:
    """EKS makes the usual name itself, and refuses some spellings of it."""
    before = entries(entry=ENTRY.model_copy(update={"username": username}))
    gone = entries(entry=None)
    calls = RemoveAccessEntry().undo_calls(ENTRIES, before, gone, gone, frozenset(before.footprint()))

    assert ("username" in calls[0].params) is given
    assert [call.operation for call in calls] == ["eks:CreateAccessEntry", "eks:AssociateAccessPolicy"]


def audit(**more: Any) -> AuditLogState:
    """Return a state of logging."""
    return AuditLogState(target="arn/logging", **{"value": ["api"], "status": "ACTIVE", **more})


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (audit(), Act),
        (audit(value=["api", "audit", "authenticator"]), Settled),
        (audit(value=["api", "audit", "authenticator"], status="UPDATING"), Waiting),
        (audit(status="FAILED"), Refused),
    ],
)
def test_logging_is_settled_when_the_update_has_ended(state: AuditLogState, kind: type) -> None:
    """EKS makes one update at a time, and shows the settings before they work."""
    assert isinstance(EnableAuditLog().decide(OneCluster(cluster_name="shop"), state), kind)


def test_logging_only_adds() -> None:
    """What somebody else logs goes on."""
    decision = EnableAuditLog().decide(OneCluster(cluster_name="shop"), audit())

    assert isinstance(decision, Act)
    assert decision.calls[0].params["logging"]["clusterLogging"] == [
        {"types": ["audit", "authenticator"], "enabled": True}
    ]


class Context:
    """A look's context with an API alone."""

    def __init__(self, found: dict[str, Any]) -> None:
        missing: dict[str, Any] = {"metadata": {}, "spec": {}}
        self.api = FakeApi(
            {
                "kubernetes:GetPod": lambda **_: found,
                "kubernetes:GetNode": lambda **_: missing,
                "kubernetes:GetServiceAccount": lambda **_: {
                    "metadata": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/a/irsa"}}
                },
                "eks:ListPodIdentityAssociations": lambda **_: {"associations": [{"associationId": "a-1"}]},
                "eks:DescribePodIdentityAssociation": lambda **_: {
                    "association": {"roleArn": "arn:aws:iam::1:role/identity"}
                },
                "kubernetes:ListPods": lambda **_: {"items": [found]},
            }
        )


def test_a_debug_container_and_the_host_are_evidence() -> None:
    """What an intruder adds is an ephemeral container; what lets him out is in the spec."""
    container = {"name": "app", "image": "app:1", "env": [{"name": "TOKEN", "value": "s3cret"}]}
    found = {
        "metadata": {"name": "cart-1", "namespace": "shop", "uid": UID},
        "spec": {
            "containers": [container],
            "ephemeralContainers": [{"name": "debugger", "image": "kali"}],
            "hostPID": True,
            "volumes": [{"name": "root", "hostPath": {"path": "/"}}, {"name": "tmp", "emptyDir": {}}],
        },
    }
    facts = DescribePod().look(Context(found), POD)  # type: ignore[arg-type]

    assert [found.name for found in facts.containers] == ["app", "debugger"]
    assert (facts.host_namespaces, facts.host_paths) == (["hostPID"], ["/"])
    assert facts.phase == "Unknown"
    assert facts.role_names == ["irsa", "identity"]
    assert facts.containers[0].environment_names == ["TOKEN"]
    assert "s3cret" not in facts.model_dump_json()


def test_the_page_tells_iam_and_rbac_apart() -> None:
    """Whoever grants permissions puts the one kind into a policy and the other into the cluster."""
    page = action_page(load_registry().get("aws.eks.isolate-pod"))

    assert "| `patch` | `pods` | `api/v1` | act |" in page
    assert "kubernetes:" not in page
    assert "`eks:DescribeCluster`" in page
