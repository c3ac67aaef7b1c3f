"""RDS as it is: snapshots that take time and cross accounts under KMS rules, changes that take time.

Source: Amazon RDS user guide ("Sharing a DB snapshot", "Copying a DB snapshot", "DB instance status"), Aurora
user guide, RDS API reference.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from gameday.world import keys, seam
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

_ARN: Final = re.compile(r"arn:[^:]+:rds:(?P<region>[^:]+):(?P<account>\d{12}):(?P<kind>[a-z-]+):(?P<id>.+)")
_ACCOUNT: Final = re.compile(r"\d{12}")
_USABLE: Final = frozenset({"available", "storage-optimization"})
_SHARES: Final = 20
_PREFIXES: Final = ("DB", "DBCluster")


def _create(prefix: str) -> Callable[[Scene], Mapping[str, Any]]:
    """Return the answer that begins a snapshot."""

    def answer(scene: Scene) -> Mapping[str, Any]:
        backend, name = _rds(scene), str(scene.params[f"{prefix}SnapshotIdentifier"]).lower()
        if prefix == "DB":
            source = scene.params["DBInstanceIdentifier"]
            _check_state("DB instance", backend.describe_db_instances(source)[0])
            made = backend.create_db_snapshot(source, name, tags=scene.params.get("Tags"))
        else:
            source = scene.params["DBClusterIdentifier"]
            _check_state("DB cluster", backend.describe_db_clusters(source)[0])
            made = backend.create_db_cluster_snapshot(source, name, tags=scene.params.get("Tags"))
        _begin(scene, made, "creating")
        return {f"{prefix}Snapshot": _view(prefix, made)}

    return answer


def _copy(prefix: str) -> Callable[[Scene], Mapping[str, Any]]:
    """Return the answer that begins a copy, of what the account owns or was lent."""

    def answer(scene: Scene) -> Mapping[str, Any]:
        params = scene.params
        source = _visible(scene, prefix, str(params[f"Source{prefix}SnapshotIdentifier"]))
        name = str(params[f"Target{prefix}SnapshotIdentifier"]).lower()
        if name in _all(_rds(scene), prefix):
            raise Refusal(
                f"{prefix}SnapshotAlreadyExists", f"Cannot create the snapshot because {name} exists."
            )
        if source.status != "available":
            raise Refusal(f"Invalid{prefix}SnapshotState", f"{source.arn} is in state {source.status}.")
        key = _copy_key(scene, prefix, source)
        database = copy.copy(source.database if prefix == "DB" else source.cluster)
        database.kms_key_id, database.storage_encrypted = key, key is not None
        made = type(source)(_rds(scene), database, name, tags=params.get("Tags"), kms_key_id=key)
        made.copied_from = source.arn
        _all(_rds(scene), prefix)[name] = made
        _begin(scene, made, "copying" if source.account_id == scene.account else "creating")
        return {f"{prefix}Snapshot": _view(prefix, made)}

    return answer


def _share_rules(prefix: str) -> Callable[[Scene], None]:
    """Return the rule that refuses to share what RDS does not share."""

    def rule(scene: Scene) -> None:
        added = scene.params.get("ValuesToAdd") or []
        snapshot = _own(scene, prefix, str(scene.params[f"{prefix}SnapshotIdentifier"]))
        if snapshot.snapshot_type != "manual":
            raise Refusal(f"Invalid{prefix}SnapshotState", "Only manual snapshots can be shared.")
        key = (
            keys.resolve(scene.account, scene.region, snapshot.kms_key_id or "")
            if snapshot.encrypted
            else None
        )
        if added and snapshot.encrypted and (key is None or keys.is_aws_managed(key)):
            raise Refusal(
                "InvalidParameterCombination",
                "Snapshots encrypted with the default KMS key cannot be shared.",
            )
        if "all" in added and snapshot.encrypted:
            raise Refusal("InvalidParameterCombination", "Encrypted snapshots cannot be made public.")
        if any(not _ACCOUNT.fullmatch(value) for value in added if value != "all"):
            raise Refusal("InvalidParameterValue", "Invalid account id")
        if len({*snapshot.attributes["restore"], *added}) > _SHARES:
            raise Refusal("SharedSnapshotQuotaExceeded", f"At most {_SHARES} accounts.")

    return rule


def changeable(scene: Scene) -> None:
    """Refuse a change of a database that is busy, and groups that are not of its network."""
    params, backend = scene.params, _rds(scene)
    if "DBInstanceIdentifier" in params:
        database = backend.describe_db_instances(params["DBInstanceIdentifier"])[0]
        _check_state("DB instance", database)
        if params.get("VpcSecurityGroupIds") and getattr(database, "db_cluster_identifier", None):
            raise Refusal(
                "InvalidParameterCombination", "The VPC security groups are those of the DB cluster."
            )
    else:
        database = backend.describe_db_clusters(params["DBClusterIdentifier"])[0]
        _check_state("DB cluster", database)
    known = seam.ec2(scene.account, scene.region).groups
    groups = {group_id for in_vpc in known.values() for group_id in in_vpc}
    missing = sorted(set(params.get("VpcSecurityGroupIds") or ()) - groups)
    if missing:
        raise Refusal("InvalidParameterValue", f"Invalid security group , groupId= {missing[0]}, groupName=.")
    if params.get("RotateMasterUserPassword") and not hasattr(database, "master_user_secret"):
        raise Refusal("InvalidParameterCombination", "The master user password is not managed.")


def take_time(scene: Scene) -> None:
    """Let a change of a database take its time: it is busy, and its public flag is the old one until then."""
    params, backend, now = scene.params, _rds(scene), scene.realm.clock.now()
    database: Any = (
        backend.databases[params["DBInstanceIdentifier"]]
        if "DBInstanceIdentifier" in params
        else backend.clusters[params["DBClusterIdentifier"]]
    )
    _date_secret(scene, database)
    database.status = "modifying"
    flag = params.get("PubliclyAccessible")
    if flag is not None:
        database.publicly_accessible = not flag

    def finish() -> None:
        database.status = "available"
        if flag is not None:
            database.publicly_accessible = flag

    scene.realm.schedule.at(now + timedelta(seconds=scene.realm.snapshot_s), finish)


def show_databases(backend: Any) -> Mapping[str, Any]:
    """Return the DB instances and clusters for the canonical state."""
    return {
        database.arn: {
            "status": database.status,
            "security_group_ids": sorted(database.vpc_security_group_ids),
            "publicly_accessible": bool(getattr(database, "publicly_accessible", False)),
            "managed_password": hasattr(database, "master_user_secret"),
        }
        for database in (*backend.databases.values(), *backend.clusters.values())
    }


def show_snapshots(backend: Any) -> Mapping[str, Any]:
    """Return the manual snapshots for the canonical state; names of RDS's own hold moto's time."""
    return {
        snapshot.arn: {
            "status": snapshot.status,
            "encrypted": bool(snapshot.encrypted),
            "kms_key_id": snapshot.kms_key_id,
            "copied_from": getattr(snapshot, "copied_from", None),
            "shared_with": sorted(snapshot.attributes["restore"]),
        }
        for prefix in _PREFIXES
        for snapshot in _all(backend, prefix).values()
        if snapshot.snapshot_type == "manual"
    }


def _rds(scene: Scene) -> Any:
    return seam.backend("rds", scene.account, scene.region)


def _all(backend: Any, prefix: str) -> Any:
    return backend.database_snapshots if prefix == "DB" else backend.cluster_snapshots


def _own(scene: Scene, prefix: str, name: str) -> Any:
    found = _all(_rds(scene), prefix).get(name.rpartition(":")[2] if name.startswith("arn:") else name)
    if found is None:
        raise _not_found(prefix, name)
    return found


def _visible(scene: Scene, prefix: str, name: str) -> Any:
    """Return an own snapshot, or, by its ARN, one that is shared with the account."""
    named = _ARN.fullmatch(name)
    if named is None or named["account"] == scene.account:
        return _own(scene, prefix, named["id"] if named else name)
    if named["region"] not in seam.used("rds", named["account"]):
        raise _not_found(prefix, name)
    found = _all(seam.backend("rds", named["account"], named["region"]), prefix).get(named["id"])
    if found is None or not {scene.account, "all"} & set(found.attributes["restore"]):
        raise _not_found(prefix, name)
    return found


def _copy_key(scene: Scene, prefix: str, source: Any) -> str | None:
    """Return the ARN of the key of a copy."""
    wanted = scene.params.get("KmsKeyId")
    if not source.encrypted and not wanted:
        return None
    if not source.encrypted and prefix == "DBCluster":
        raise Refusal(
            "InvalidParameterCombination", "An unencrypted DB cluster snapshot cannot be encrypted."
        )
    key = keys.resolve(scene.account, scene.region, wanted or source.kms_key_id)
    origin = (
        keys.resolve(source.account_id, scene.region, source.kms_key_id or "") if source.encrypted else None
    )
    readable = not source.encrypted or (
        origin is not None and keys.may_use(origin, scene, keys.READING_A_SNAPSHOT)
    )
    if key is None or not readable or not keys.may_use(key, scene, keys.WRITING_A_SNAPSHOT):
        raise Refusal("KMSKeyNotAccessibleFault", "The specified KMS key is not accessible.")
    return str(key.arn)


def _begin(scene: Scene, snapshot: Any, status: str) -> None:
    now = scene.realm.clock.now()
    snapshot.status, snapshot.created, snapshot.percent_progress = status, now, 0

    def finish() -> None:
        snapshot.status, snapshot.percent_progress = "available", 100

    scene.realm.schedule.at(now + timedelta(seconds=scene.realm.snapshot_s), finish)


def _view(prefix: str, snapshot: Any) -> dict[str, Any]:
    return {
        f"{prefix}SnapshotIdentifier": snapshot.resource_id,
        f"{prefix}SnapshotArn": snapshot.arn,
        "Status": snapshot.status,
        "SnapshotType": snapshot.snapshot_type,
    }


def _check_state(what: str, database: Any) -> None:
    if database.status not in _USABLE:
        code = "InvalidDBInstanceState" if what == "DB instance" else "InvalidDBClusterStateFault"
        raise Refusal(code, f"{what} is not in available state.")


def _date_secret(scene: Scene, database: Any) -> None:
    """Give the dates of a managed password the world's time; moto has its own."""
    rotated = scene.params.get("RotateMasterUserPassword")
    if not rotated and not scene.params.get("ManageMasterUserPassword"):
        return
    at = scene.realm.clock.now().timestamp()
    secret = database.master_user_secret.secret
    secret.last_rotation_date = at if rotated else None
    if not rotated:
        secret.created_date = at


def _not_found(prefix: str, name: str) -> Refusal:
    code = "DBSnapshotNotFound" if prefix == "DB" else "DBClusterSnapshotNotFoundFault"
    return Refusal(code, f"{prefix}Snapshot {name} not found.", 404)


LAYER: Final = StrictLayer(
    rules={
        **{f"rds:Modify{prefix}SnapshotAttribute": (_share_rules(prefix),) for prefix in _PREFIXES},
        "rds:ModifyDBInstance": (changeable,),
        "rds:ModifyDBCluster": (changeable,),
    },
    answers={
        **{f"rds:Create{prefix}Snapshot": _create(prefix) for prefix in _PREFIXES},
        **{f"rds:Copy{prefix}Snapshot": _copy(prefix) for prefix in _PREFIXES},
    },
    effects={"rds:ModifyDBInstance": take_time, "rds:ModifyDBCluster": take_time},
)
