"""``aws.eks.remove-access-entry``: a principal of IAM is nobody in the cluster any more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    ReadApi,
    Refused,
    Settled,
    State,
    Where,
)
from irrunner.actions.eks.clusters import (
    API_REFERENCE,
    CLUSTER,
    DESCRIBE_CLUSTER,
    USER_GUIDE,
    OneCluster,
    cluster_arn,
)
from irrunner.actions.ids import IamPrincipalArn
from irrunner.actions.registry import action
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

ENTRY: Final = "arn:{partition}:eks:{region}:{account}:access-entry/{cluster_name}/*"
STANDARD: Final = "STANDARD"
"""Entries of other types are of nodes."""
CONFIG_MAP: Final = "CONFIG_MAP"


class AccessPolicy(Model):
    """A policy of EKS that an entry has."""

    arn: str
    scope: str
    """``cluster`` or ``namespace``."""
    namespaces: list[str]


class AccessEntry(Model):
    """An access entry, all that is needed to make it again."""

    kind: str
    username: str
    groups: list[str]
    policies: list[AccessPolicy]
    tags: dict[str, str]


class RemoveEntryParams(OneCluster):
    """Parameters."""

    principal_arn: IamPrincipalArn


class RemoveEntryState(State):
    """What removing sees."""

    cluster_name: str
    principal_arn: str
    mode: str
    entry: AccessEntry | None
    ours: bool
    """Whether it is the responder's own."""
    policy_arns: list[str]
    """All policies that EKS knows: those that the entry has not got are part of the picture."""

    def footprint(self) -> dict[str, Any]:
        """Return the entry, and each policy by itself: undo gives them one after the other."""
        own = self.entry.policies if self.entry else []
        had = {policy.arn: policy.model_dump(mode="json") for policy in own}
        name = f"{self.cluster_name}/{self.principal_arn}"
        policies = {_key(self, arn): had.get(arn) for arn in sorted({*self.policy_arns, *had})}
        return {name: _without_policies(self.entry) if self.entry else None, **policies}


class RemoveEntryOutputs(Model):
    """Outputs."""

    cluster_name: str
    principal_arn: str


@action(
    "aws.eks.remove-access-entry",
    title="Remove a principal's access entry from a cluster",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=120.0,
    consistency_s=5.0,
    permissions=(
        DESCRIBE_CLUSTER,
        *(Permission(n, ENTRY) for n in ("eks:DescribeAccessEntry", "eks:ListAssociatedAccessPolicies")),
        Permission("eks:ListAccessPolicies"),
        Permission("eks:DeleteAccessEntry", ENTRY, use="act"),
        Permission("eks:CreateAccessEntry", CLUSTER, use="undo"),
        Permission("eks:TagResource", ENTRY, use="undo"),
        Permission("eks:AssociateAccessPolicy", ENTRY, use="undo"),
    ),
    undo=UndoPolicy.RELEASE,
    undo_note="Creates the entry again with its user name, groups, tags and policies; only with "
    "--release-credentials.",
    sources=(
        f"{API_REFERENCE}/API_DeleteAccessEntry.html",
        f"{API_REFERENCE}/API_CreateAccessEntry.html",
        f"{API_REFERENCE}/API_AssociateAccessPolicy.html",
        f"{USER_GUIDE}/access-entries.html",
    ),
)
class RemoveAccessEntry(Action[RemoveEntryParams, RemoveEntryState]):
    """Delete the entry, whose groups and policies are in the journal before."""

    Params = RemoveEntryParams
    Outputs = RemoveEntryOutputs
    StateModel = RemoveEntryState

    def look(self, ctx: LookContext, params: RemoveEntryParams) -> RemoveEntryState:
        """Read the cluster and the entry."""
        cluster = ctx.api.call("eks:DescribeCluster", name=params.cluster_name)["cluster"]
        mode = (cluster.get("accessConfig") or {}).get("authenticationMode") or CONFIG_MAP
        own = f":{ctx.where.account_id}:role/{ctx.settings.responder_role.lstrip('/')}"
        return RemoveEntryState(
            cluster_name=params.cluster_name,
            principal_arn=params.principal_arn,
            mode=mode,
            entry=None if mode == CONFIG_MAP else _entry_or_none(ctx.api, params),
            ours=params.principal_arn.endswith(own),
            policy_arns=sorted(ctx.api.pages("eks:ListAccessPolicies", "accessPolicies[].arn")),
        )

    def decide(self, params: RemoveEntryParams, state: RemoveEntryState) -> Decision:
        """Delete an entry of a person or a workload."""
        refusal = _refusal(state)
        if refusal:
            return refusal
        if state.entry is not None:
            return Act((_delete(state),))
        return Settled(_outputs(state), tuple(_warnings(state)))

    def foresee(self, params: RemoveEntryParams, state: RemoveEntryState, step: str) -> PlannedOutputs:
        """Return the outputs: all of them are known."""
        return PlannedOutputs({} if _refusal(state) else _outputs(state).model_dump(mode="json"))

    def targets(self, params: RemoveEntryParams, where: Where) -> tuple[str, ...]:
        """Return the principal and the cluster."""
        return (params.principal_arn, cluster_arn(where, params.cluster_name))

    def undo_calls(
        self,
        params: RemoveEntryParams,
        before: RemoveEntryState,
        after: RemoveEntryState,
        now: RemoveEntryState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Create the entry, then give it its policies; an entry that somebody else made gets none of them."""
        if not keys or before.entry is None:
            return ()
        if now.entry is not None and _without_policies(now.entry) != _without_policies(before.entry):
            return ()
        create = () if now.entry else (_create(before, before.entry),)
        missing = [policy for policy in before.entry.policies if _key(before, policy.arn) in keys]
        return (*create, *(_associate(before, policy) for policy in missing))


def read_entry(api: ReadApi, cluster_name: str, principal_arn: str) -> AccessEntry:
    """Return an access entry with its policies, sorted.

    Raises:
        TargetNotFound: If there is none.
    """
    asked = {"clusterName": cluster_name, "principalArn": principal_arn}
    found = api.call("eks:DescribeAccessEntry", **asked)["accessEntry"]
    policies = api.pages("eks:ListAssociatedAccessPolicies", "associatedAccessPolicies", **asked)
    return AccessEntry(
        kind=found.get("type") or STANDARD,
        username=found.get("username") or "",
        groups=sorted(found.get("kubernetesGroups") or ()),
        tags=dict(sorted((found.get("tags") or {}).items())),
        policies=[
            AccessPolicy(
                arn=policy["policyArn"],
                scope=policy["accessScope"]["type"],
                namespaces=sorted(policy["accessScope"].get("namespaces") or ()),
            )
            for policy in sorted(policies, key=lambda policy: str(policy["policyArn"]))
        ],
    )


def _entry_or_none(api: ReadApi, params: RemoveEntryParams) -> AccessEntry | None:
    try:
        return read_entry(api, params.cluster_name, params.principal_arn)
    except TargetNotFound:
        return None


def _refusal(state: RemoveEntryState) -> Refused | None:
    if state.ours:
        return Refused(f"{state.principal_arn} is our own role: without its entry we are locked out")
    if state.mode == CONFIG_MAP:
        return Refused(
            f"{state.cluster_name} has no access entries (authentication mode CONFIG_MAP): take the "
            "principal out of the ConfigMap aws-auth"
        )
    if state.entry is not None and state.entry.kind != STANDARD:
        return Refused(
            f"{state.principal_arn} is the role of nodes ({state.entry.kind}): without its entry they leave "
            "the cluster; revoke the role's sessions, or isolate the instance"
        )
    return None


def _key(state: RemoveEntryState, policy_arn: str) -> str:
    return f"{state.cluster_name}/{state.principal_arn}/{policy_arn.rpartition('/')[2]}"


def _without_policies(entry: AccessEntry) -> dict[str, Any]:
    return entry.model_dump(mode="json", exclude={"policies"})


def _delete(state: RemoveEntryState) -> Call:
    return Call(
        "eks:DeleteAccessEntry",
        {"clusterName": state.cluster_name, "principalArn": state.principal_arn},
        target=state.principal_arn,
        summary=f"Delete the access entry of {state.principal_arn} in {state.cluster_name}",
        before=state.entry.model_dump(mode="json") if state.entry else None,
        after=None,
        tolerate=("ResourceNotFoundException",),
    )


def _create(state: RemoveEntryState, entry: AccessEntry) -> Call:
    """The user name is given only where it is not the one that EKS makes itself.

    Source: EKS API reference, CreateAccessEntry, ``username``.
    """
    _, partition, _, _, account_id, path = state.principal_arn.split(":", 5)
    role = f"arn:{partition}:sts::{account_id}:assumed-role/{path.rpartition('/')[2]}/{{{{SessionName}}}}"
    username = {} if entry.username in {role, state.principal_arn} else {"username": entry.username}
    return Call(
        "eks:CreateAccessEntry",
        {
            "clusterName": state.cluster_name,
            "principalArn": state.principal_arn,
            "kubernetesGroups": entry.groups,
            "type": entry.kind,
            "tags": entry.tags,
            **username,
        },
        target=state.principal_arn,
        summary=f"Create the access entry of {state.principal_arn} in {state.cluster_name}",
        before=None,
        after=entry.model_dump(mode="json"),
    )


def _associate(state: RemoveEntryState, policy: AccessPolicy) -> Call:
    namespaces = {"namespaces": policy.namespaces} if policy.namespaces else {}
    return Call(
        "eks:AssociateAccessPolicy",
        {
            "clusterName": state.cluster_name,
            "principalArn": state.principal_arn,
            "policyArn": policy.arn,
            "accessScope": {"type": policy.scope, **namespaces},
        },
        target=f"{state.principal_arn}/{policy.arn.rpartition('/')[2]}",
        summary=f"Give {state.principal_arn} {policy.arn.rpartition('/')[2]} in {state.cluster_name}",
        before=None,
        after=policy.model_dump(mode="json"),
    )


def _outputs(state: RemoveEntryState) -> RemoveEntryOutputs:
    return RemoveEntryOutputs(cluster_name=state.cluster_name, principal_arn=state.principal_arn)


def _warnings(state: RemoveEntryState) -> Iterator[str]:
    yield (
        "tokens of service accounts that the principal has read work on, and so does what it has deployed: "
        "look at the audit log for both"
    )
    if CONFIG_MAP in state.mode:
        yield "the ConfigMap aws-auth may give the principal access, too: look into it"
