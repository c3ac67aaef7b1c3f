"""A database as the RDS actions see it: a DB instance, or the DB cluster that an Aurora instance belongs to.

Findings name instances. Of a cluster's instance the cluster has the storage, the security groups and the
master password, so that it is what is snapshotted, isolated and rotated.

Source: Aurora user guide, "Amazon Aurora DB clusters"; GuardDuty user guide, "RDS Protection finding types".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, Self

from pydantic import model_validator

from irrunner.actions.contract import LookContext, Model, Permission, Refused, Waiting, Where
from irrunner.actions.ids import DbClusterId, DbInstanceId
from irrunner.errors import TargetNotFound

API_REFERENCE: Final = "https://docs.aws.amazon.com/AmazonRDS/latest/APIReference"
USER_GUIDE: Final = "https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide"
AURORA_GUIDE: Final = "https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide"
INSTANCES: Final = "arn:{partition}:rds:{region}:{account}:db:*"
CLUSTERS: Final = "arn:{partition}:rds:{region}:{account}:cluster:*"
DESCRIBE: Final = (
    Permission("rds:DescribeDBInstances", INSTANCES),
    Permission("rds:DescribeDBClusters", CLUSTERS),
)
USABLE: Final = frozenset({"available", "storage-optimization"})
"""States in which RDS takes a change or a snapshot."""
STUCK: Final = frozenset(
    {
        "deleting", "failed", "inaccessible-encryption-credentials",
        "inaccessible-encryption-credentials-recoverable", "incompatible-create", "incompatible-network",
        "incompatible-option-group", "incompatible-parameters", "incompatible-restore",
        "insufficient-capacity", "restore-error", "stopped", "storage-full",
    }
)  # fmt: skip
"""States that do not pass by themselves; all others do.

Source: Amazon RDS user guide, "Viewing Amazon RDS DB instance status".
"""
POLL_S: Final = 10.0

Kind = Literal["instance", "cluster"]
PREFIX: Final[Mapping[Kind, str]] = {"instance": "DBInstance", "cluster": "DBCluster"}


class OneDatabase(Model):
    """Parameters: a DB instance or a DB cluster."""

    db_instance_id: DbInstanceId | None = None
    db_cluster_id: DbClusterId | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.db_instance_id is None) == (self.db_cluster_id is None):
            raise ValueError("give db_instance_id or db_cluster_id")
        return self


class Database(Model):
    """A DB instance that stands alone, or a DB cluster."""

    kind: Kind
    db_id: str
    arn: str
    status: str
    engine: str
    group_ids: tuple[str, ...]
    """VPC security groups, sorted; one that is being removed is none any more."""
    groups_settled: bool
    """No group is being added or removed."""
    vpc_id: str
    """Of the instance; empty for a cluster, which names only its subnet group."""
    subnet_group: str
    encrypted: bool
    kms_key_id: str | None
    secret_arn: str | None
    """Of the master password, where Secrets Manager manages it."""
    rotation: str
    """SecretStatus: ``creating``, ``active``, ``rotating``, ``impaired``; empty without a secret."""
    instance_ids: tuple[str, ...]
    """Of the cluster."""

    @property
    def named(self) -> dict[str, str]:
        """Return the parameter that names it."""
        return {f"{PREFIX[self.kind]}Identifier": self.db_id}

    @property
    def modify(self) -> str:
        """Return the operation that changes it."""
        return f"rds:Modify{PREFIX[self.kind]}"


def find_database(ctx: LookContext, params: OneDatabase) -> Database:
    """Describe the database: the instance's cluster, where it is of one.

    Raises:
        TargetNotFound: If there is none.
    """
    cluster_id = params.db_cluster_id
    if cluster_id is None:
        raw = describe_instance(ctx, str(params.db_instance_id))
        cluster_id = raw.get("DBClusterIdentifier")
        if not cluster_id:
            return _instance(raw)
    found = ctx.api.call("rds:DescribeDBClusters", DBClusterIdentifier=cluster_id).get("DBClusters") or ()
    if not found:
        raise TargetNotFound(f"no DB cluster {cluster_id} in {ctx.where.account_id} {ctx.where.region}")
    return _cluster(found[0])


def describe_instance(ctx: LookContext, db_id: str) -> Mapping[str, Any]:
    """Return the description of a DB instance.

    Raises:
        TargetNotFound: If there is none.
    """
    found = ctx.api.call("rds:DescribeDBInstances", DBInstanceIdentifier=db_id).get("DBInstances") or ()
    if not found:
        raise TargetNotFound(f"no DB instance {db_id} in {ctx.where.account_id} {ctx.where.region}")
    description: Mapping[str, Any] = found[0]
    return description


def targets_of(params: OneDatabase, where: Where) -> tuple[str, ...]:
    """Return the ARN that the parameters name."""
    kind, name = ("cluster", params.db_cluster_id) if params.db_cluster_id else ("db", params.db_instance_id)
    return (f"arn:{where.partition}:rds:{where.region}:{where.account_id}:{kind}:{name}",)


def not_now(db_id: str, status: str) -> Refused | Waiting | None:
    """Return why a database takes no change in its state, or None."""
    if status in USABLE:
        return None
    if status in STUCK:
        return Refused(
            f"{db_id} is {status}: RDS takes no change in this state;"
            " set that right, or work from its last automated snapshot"
        )
    return Waiting(f"{db_id} is {status}", POLL_S)


def _instance(raw: Mapping[str, Any]) -> Database:
    subnets = raw.get("DBSubnetGroup") or {}
    return Database(
        kind="instance",
        db_id=raw["DBInstanceIdentifier"],
        arn=raw["DBInstanceArn"],
        status=raw.get("DBInstanceStatus") or "",
        vpc_id=subnets.get("VpcId") or "",
        subnet_group=subnets.get("DBSubnetGroupName") or "",
        instance_ids=(),
        **_common(raw),
    )


def _cluster(raw: Mapping[str, Any]) -> Database:
    members = raw.get("DBClusterMembers") or ()
    return Database(
        kind="cluster",
        db_id=raw["DBClusterIdentifier"],
        arn=raw["DBClusterArn"],
        status=raw.get("Status") or "",
        vpc_id="",
        subnet_group=raw.get("DBSubnetGroup") or "",
        instance_ids=tuple(sorted(member["DBInstanceIdentifier"] for member in members)),
        **_common(raw),
    )


def _common(raw: Mapping[str, Any]) -> dict[str, Any]:
    groups = raw.get("VpcSecurityGroups") or ()
    secret = raw.get("MasterUserSecret") or {}
    staying = [group["VpcSecurityGroupId"] for group in groups if group.get("Status") != "removing"]
    return {
        "engine": raw.get("Engine") or "",
        "group_ids": tuple(sorted(staying)),
        "groups_settled": all(group.get("Status", "active") == "active" for group in groups),
        "encrypted": bool(raw.get("StorageEncrypted")),
        "kms_key_id": raw.get("KmsKeyId") or None,
        "secret_arn": secret.get("SecretArn") or None,
        "rotation": secret.get("SecretStatus") or "",
    }
