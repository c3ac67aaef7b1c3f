"""``aws.eks.describe-cluster``: who may reach a cluster, who has access, and what it logs."""

from __future__ import annotations

from typing import Any

from irrunner.actions.contract import (
    Action,
    Decision,
    LookContext,
    Model,
    Permission,
    ReadApi,
    Settled,
    State,
    Where,
)
from irrunner.actions.eks.access import AccessEntry, read_entry
from irrunner.actions.eks.clusters import (
    API_REFERENCE,
    CLUSTER,
    DESCRIBE_CLUSTER,
    USER_GUIDE,
    OneCluster,
    cluster_arn,
)
from irrunner.actions.eks.logs import logged
from irrunner.actions.registry import action
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class Principal(Model):
    """A principal with an access entry."""

    arn: str
    entry: AccessEntry


class ClusterFacts(State):
    """A cluster, described."""

    cluster_name: str
    cluster_arn: str
    version: str
    status: str
    role_arn: str
    endpoint: str
    endpoint_public: bool
    endpoint_private: bool
    public_cidrs: list[str]
    """From where the public endpoint can be reached."""
    oidc_issuer: str
    """Trusted by IAM roles of service accounts; empty where there is none."""
    authentication_mode: str
    """With ``CONFIG_MAP`` in it, the ConfigMap aws-auth gives access, too."""
    principals: list[Principal]
    logs: list[str]


@action(
    "aws.eks.describe-cluster",
    title="Describe a cluster's endpoint, access entries and logs",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=(
        DESCRIBE_CLUSTER,
        Permission("eks:ListAccessEntries", CLUSTER),
        *(
            Permission(name, "arn:{partition}:eks:{region}:{account}:access-entry/{cluster_name}/*")
            for name in ("eks:DescribeAccessEntry", "eks:ListAssociatedAccessPolicies")
        ),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="Only reads, so that there is nothing to undo.",
    timeout_s=120.0,
    sources=(
        f"{API_REFERENCE}/API_DescribeCluster.html",
        f"{USER_GUIDE}/cluster-endpoint.html",
        f"{USER_GUIDE}/access-entries.html",
    ),
)
class DescribeCluster(Action[OneCluster, ClusterFacts]):
    """Read the cluster and all of its access entries."""

    Params = OneCluster
    Outputs = ClusterFacts
    StateModel = ClusterFacts

    def look(self, ctx: LookContext, params: OneCluster) -> ClusterFacts:
        """Read; an entry that vanishes between two reads is left out."""
        name = params.cluster_name
        found: dict[str, Any] = ctx.api.call("eks:DescribeCluster", name=name)["cluster"]
        network = found.get("resourcesVpcConfig") or {}
        return ClusterFacts(
            cluster_name=name,
            cluster_arn=found["arn"],
            version=found.get("version") or "",
            status=found.get("status") or "",
            role_arn=found.get("roleArn") or "",
            endpoint=found.get("endpoint") or "",
            endpoint_public=bool(network.get("endpointPublicAccess")),
            endpoint_private=bool(network.get("endpointPrivateAccess")),
            public_cidrs=sorted(network.get("publicAccessCidrs") or ()),
            oidc_issuer=((found.get("identity") or {}).get("oidc") or {}).get("issuer") or "",
            authentication_mode=(found.get("accessConfig") or {}).get("authenticationMode") or "CONFIG_MAP",
            principals=_principals(ctx.api, name, found),
            logs=logged(found),
        )

    def decide(self, params: OneCluster, state: ClusterFacts) -> Decision:
        """Nothing to do."""
        return Settled(state)

    def targets(self, params: OneCluster, where: Where) -> tuple[str, ...]:
        """Return the cluster."""
        return (cluster_arn(where, params.cluster_name),)


def _principals(api: ReadApi, name: str, found: dict[str, Any]) -> list[Principal]:
    if (found.get("accessConfig") or {}).get("authenticationMode", "CONFIG_MAP") == "CONFIG_MAP":
        return []
    arns = api.pages("eks:ListAccessEntries", "accessEntries", clusterName=name)
    principals = []
    for arn in sorted(arns):
        try:
            principals.append(Principal(arn=arn, entry=read_entry(api, name, arn)))
        except TargetNotFound:
            continue
    return principals
