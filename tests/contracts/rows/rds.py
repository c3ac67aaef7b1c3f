"""RDS: DB instances and Aurora clusters, their snapshots, network, and master password."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from gameday.world import keys, seam
from tests.contracts.bench import Bench
from tests.contracts.row import OVER_S, Row, Values

INSTANCE, CLUSTER, MEMBER = "orders", "orders-aurora", "orders-aurora-1"
SOME_TIME_AGO = "2020-01-01T00:00:00Z"
COPIED = (
    ("instance", "unencrypted"), ("instance", "customer"), ("instance", "aws/rds"),
    ("cluster", "unencrypted"), ("cluster", "aws/rds"),
)  # fmt: skip


def backend(bench: Bench) -> Any:
    """Return moto's RDS of the member account."""
    return seam.backend("rds", bench.account, bench.where.region)


def kms_key(bench: Bench, kind: str) -> str | None:
    """Return the ARN of a key of a kind."""
    if kind == "unencrypted":
        return None
    key = keys.create(bench.account, bench.where.region, alias=f"alias/{kind}")
    key.key_manager = "AWS" if kind.startswith("aws/") else "CUSTOMER"
    return str(key.arn)


def network(bench: Bench) -> dict[str, Any]:
    """A subnet group in the world's network, groups of the database, and the key that secrets are under."""
    kms_key(bench, "aws/secretsmanager")
    seam.backend("rds", bench.account, bench.where.region).create_subnet_group(
        "orders-net",
        "",
        [seam.ec2(bench.account, bench.where.region).get_subnet(bench.resources["subnet_id"])],
        [],
    )
    groups = bench.resources["security_group_ids"]
    return {"DBSubnetGroupName": "orders-net", "VpcSecurityGroupIds": groups}


def instance(bench: Bench, kind: str = "customer", **more: Any) -> Values:
    """A DB instance, public, with a password of its own."""
    encrypted = {"StorageEncrypted": True, "KmsKeyId": kms_key(bench, kind)} if kind != "unencrypted" else {}
    bench.client("rds").create_db_instance(
        DBInstanceIdentifier=INSTANCE, DBInstanceClass="db.m6g.large", Engine="postgres", AllocatedStorage=20,
        MasterUsername="root", MasterUserPassword="Correct-horse-1",
        PubliclyAccessible=True, **network(bench), **encrypted, **more,
    )  # fmt: skip
    return {"db_instance_id": INSTANCE}


def cluster(bench: Bench, kind: str = "customer", **more: Any) -> Values:
    """An Aurora cluster, named by its instance, as findings do."""
    encrypted = {"StorageEncrypted": True, "KmsKeyId": kms_key(bench, kind)} if kind != "unencrypted" else {}
    rds = bench.client("rds")
    rds.create_db_cluster(
        DBClusterIdentifier=CLUSTER, Engine="aurora-postgresql", MasterUsername="root",
        MasterUserPassword="Correct-horse-1", **network(bench), **encrypted, **more,
    )  # fmt: skip
    rds.create_db_instance(
        DBInstanceIdentifier=MEMBER, DBInstanceClass="db.r6g.large", Engine="aurora-postgresql",
        DBClusterIdentifier=CLUSTER,
    )  # fmt: skip
    return {"db_instance_id": MEMBER}


def managed(arrange: Callable[..., Values]) -> Callable[[Bench], Values]:
    """A database whose password Secrets Manager has, which leaked since."""

    def arranged(bench: Bench) -> Values:
        values, rds = arrange(bench), bench.client("rds")
        named = (
            {"DBInstanceIdentifier": INSTANCE} if arrange is instance else {"DBClusterIdentifier": CLUSTER}
        )
        modify = rds.modify_db_instance if arrange is instance else rds.modify_db_cluster
        modify(**named, ManageMasterUserPassword=True, ApplyImmediately=True)
        bench.clock.advance(OVER_S)
        return {**values, "since": (bench.clock.now() - timedelta(minutes=1)).isoformat()}

    return arranged


def unmanaged(arrange: Callable[..., Values]) -> Callable[[Bench], Values]:
    """A database with a password that somebody set."""
    return lambda bench: {**arrange(bench), "since": SOME_TIME_AGO}


def snapshot_of_instance(kind: str) -> Callable[[Bench], Values]:
    """A snapshot of the DB instance under a kind of key."""

    def arrange(bench: Bench) -> Values:
        instance(bench, kind)
        made = bench.client("rds").create_db_snapshot(
            DBInstanceIdentifier=INSTANCE, DBSnapshotIdentifier="found"
        )
        return {"snapshot_arn": made["DBSnapshot"]["DBSnapshotArn"]}

    return arrange


def snapshot_of_cluster(kind: str) -> Callable[[Bench], Values]:
    """A snapshot of the cluster under a kind of key."""

    def arrange(bench: Bench) -> Values:
        cluster(bench, kind)
        made = bench.client("rds").create_db_cluster_snapshot(
            DBClusterIdentifier=CLUSTER, DBClusterSnapshotIdentifier="found"
        )
        return {"snapshot_arn": made["DBClusterSnapshot"]["DBClusterSnapshotArn"]}

    return arrange


def public(bench: Bench) -> Values:
    """A snapshot that everyone may restore, and two accounts, one of which is a partner."""
    values = snapshot_of_instance("unencrypted")(bench)
    sharing = backend(bench).database_snapshots["found"].attributes
    sharing["restore"] = ["111122223333", "444455556666", "all"]
    return {**values, "keep_account_ids": ["444455556666"]}


def lent(bench: Bench) -> Values:
    """A cluster's snapshot that another account may restore."""
    values = snapshot_of_cluster("customer")(bench)
    backend(bench).cluster_snapshots["found"].attributes["restore"] = ["111122223333"]
    return values


def share_again(bench: Bench, values: Values) -> None:
    """Somebody shares the snapshots with somebody else."""
    for snapshot in (*backend(bench).database_snapshots.values(), *backend(bench).cluster_snapshots.values()):
        snapshot.attributes["restore"] = ["777788889999"]


def automated(bench: Bench) -> Values:
    """A snapshot that RDS made by itself, which it does not share."""
    values = snapshot_of_instance("customer")(bench)
    backend(bench).database_snapshots["found"].snapshot_type = "automated"
    return values


def erase_databases(bench: Bench, values: Values) -> None:
    """Somebody deletes the databases."""
    backend(bench).databases.clear()
    backend(bench).clusters.clear()


def erase_snapshots(bench: Bench, values: Values) -> None:
    """Somebody deletes the snapshots."""
    backend(bench).database_snapshots.clear()
    backend(bench).cluster_snapshots.clear()


def other_groups(bench: Bench, values: Values) -> None:
    """Somebody opens the database again, to one of its groups."""
    databases = backend(bench).clusters or backend(bench).databases
    for database in databases.values():
        database.vpc_security_group_ids = bench.resources["security_group_ids"][:1]


MODIFY = {"instance": "rds:ModifyDBInstance", "cluster": "rds:ModifyDBCluster"}
DATABASES: dict[str, Callable[..., Values]] = {"instance": instance, "cluster": cluster}
PREFIX = {"instance": "DB", "cluster": "DBCluster"}
SNAPSHOT_OF = {"instance": snapshot_of_instance, "cluster": snapshot_of_cluster}


def copies(kind: str, key: str) -> tuple[str, ...]:
    """Return the operations of a copy."""
    own = (f"rds:Copy{PREFIX[kind]}Snapshot", f"rds:Modify{PREFIX[kind]}SnapshotAttribute")
    return own if key == "unencrypted" else (*own, "kms:CreateGrant", "kms:RevokeGrant")


ROWS = (
    *(
        Row(
            "aws.rds.snapshot-database", arrange, erase_databases,
            operations=(f"rds:Create{PREFIX[kind]}Snapshot",), name=kind,
        )
        for kind, arrange in DATABASES.items()
    ),
    Row("aws.rds.await-snapshot", snapshot_of_cluster("customer"), erase_snapshots),
    *(
        Row(
            "aws.rds.copy-snapshot-to-forensics", SNAPSHOT_OF[kind](key), erase_snapshots, copies(kind, key),
            name=f"{kind}-{key}",
        )
        for kind, key in COPIED
    ),
    Row(
        "aws.rds.copy-snapshot-to-forensics", automated, erase_snapshots, copies("instance", "customer"),
        name="automated",
    ),
    *(
        Row(
            "aws.rds.isolate-database", arrange, erase_databases,
            operations=("ec2:CreateSecurityGroup", "ec2:RevokeSecurityGroupEgress", MODIFY[kind]),
            drift=other_groups, name=kind,
        )
        for kind, arrange in DATABASES.items()
    ),
    Row("aws.rds.make-private", instance, erase_databases, operations=(MODIFY["instance"],)),
    Row(
        "aws.rds.restrict-snapshot", public, erase_snapshots,
        operations=("rds:ModifyDBSnapshotAttribute",), drift=share_again, name="public",
    ),
    Row(
        "aws.rds.restrict-snapshot", lent, erase_snapshots,
        operations=("rds:ModifyDBClusterSnapshotAttribute",), drift=share_again, name="cluster",
    ),
    *(
        Row(
            "aws.rds.rotate-master-password", how(arrange), erase_databases,
            operations=(MODIFY[kind],), name=f"{how.__name__}-{kind}",
        )
        for how, kind, arrange in ((managed, "instance", instance), (unmanaged, "cluster", cluster))
    ),
)  # fmt: skip
