"""An RDS snapshot as the actions see it: of an instance or of a cluster, described and named.

The two kinds have operations of their own that differ in a prefix only. A snapshot of ours is named after
the step's marker, so that a repetition can make no second one: RDS refuses a name that is taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from irrunner.actions.contract import Model, Permission, ReadApi, Where
from irrunner.actions.ids import DbSnapshotArn, is_token
from irrunner.actions.rds.databases import Kind
from irrunner.clock import iso
from irrunner.errors import TargetNotFound

MARKER_TAG: Final = "irrunner:run"
DRILL_TAG: Final = "irrunner:drill"
SNAPSHOTS: Final = (
    "arn:{partition}:rds:{region}:{account}:snapshot:*",
    "arn:{partition}:rds:{region}:{account}:cluster-snapshot:*",
)
PREFIX: Final[Mapping[Kind, str]] = {"instance": "DB", "cluster": "DBCluster"}
_RESOURCE: Final[Mapping[Kind, str]] = {"instance": "snapshot", "cluster": "cluster-snapshot"}
DESCRIBE_SNAPSHOTS: Final = (
    Permission("rds:DescribeDBSnapshots", SNAPSHOTS[0]),
    Permission("rds:DescribeDBClusterSnapshots", SNAPSHOTS[1]),
)
_NAME_CHARACTERS: Final = 63
"""Longest name of a DB cluster snapshot; a DB snapshot's may have 255 characters."""
_DIGEST_CHARACTERS: Final = 16


class OneSnapshot(Model):
    """Parameters: an RDS snapshot."""

    snapshot_arn: DbSnapshotArn


class Snapshot(Model):
    """A DB snapshot or DB cluster snapshot, described."""

    kind: Kind
    snapshot_id: str
    arn: str
    source_id: str
    """The DB instance or cluster."""
    type: str
    """``manual``, ``automated`` (which cannot be shared), ``awsbackup``."""
    status: str
    percent: int
    encrypted: bool
    kms_key_id: str | None
    engine: str
    size_gib: int
    taken_at: str
    account_id: str

    @property
    def failed(self) -> bool:
        """Whether it will never be available."""
        return self.status in {"failed", "deleting", "incompatible-restore"}


def operation(verb: str, kind: Kind, noun: str = "Snapshot") -> str:
    """Return ``rds:CreateDBSnapshot`` or ``rds:CreateDBClusterSnapshot``."""
    return f"rds:{verb}{PREFIX[kind]}{noun}"


def named(kind: Kind, snapshot_id: Any, role: str = "") -> dict[str, Any]:
    """Return the parameter that names a snapshot, as ``Source`` or ``Target`` of a copy if told so."""
    return {f"{role}{PREFIX[kind]}SnapshotIdentifier": snapshot_id}


def snapshot_name(source_id: str, marker: str, purpose: str = "") -> str:
    """Return the name of a step's snapshot: ``irrunner-orders-0123456789abcdef``.

    Args:
        source_id: The database's id, or a snapshot's.
        marker: The step's marker.
        purpose: Tells several snapshots of one step apart.
    """
    digest = hashlib.sha256(f"{marker} {purpose} {source_id}".encode()).hexdigest()[:_DIGEST_CHARACTERS]
    room = _NAME_CHARACTERS - len("irrunner--") - _DIGEST_CHARACTERS
    plain = source_id.lower().removeprefix("irrunner-")[:room].strip("-")
    return f"irrunner-{plain}-{digest}"


def tags(marker: str, *, drill: bool) -> list[dict[str, str]]:
    """Return the tags of a snapshot of ours; RDS takes fewer characters than a marker may have."""
    plain = "".join(
        character if character.isalnum() or character in " _.:/=+-@" else "_" for character in marker
    )
    pairs = {MARKER_TAG: plain[:256], **({DRILL_TAG: "true"} if drill else {})}
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def kind_of(arn: str) -> Kind:
    """Return the kind of snapshot that an ARN names; a plan's token stands for an instance's."""
    return "cluster" if ":cluster-snapshot:" in arn else "instance"


def arn_of(kind: Kind, partition: str, region: str, account_id: str, snapshot_id: str) -> str:
    """Return the ARN of a snapshot."""
    return f"arn:{partition}:rds:{region}:{account_id}:{_RESOURCE[kind]}:{snapshot_id}"


def id_of(arn: str) -> str:
    """Return the identifier in an ARN; automated ones have a colon: ``rds:orders-2026-01-01``."""
    return arn if is_token(arn) else arn.split(":", 6)[6]


def belongs(arn: str, where: Where) -> bool:
    """Return whether an ARN is of the incident's account and Region; a plan's token is."""
    return is_token(arn) or arn.split(":")[3:5] == [where.region, where.account_id]


def read_snapshot(api: ReadApi, kind: Kind, snapshot_id: str) -> Snapshot | None:
    """Describe a snapshot of the account by its id; None where there is none."""
    try:
        answer = api.call(operation("Describe", kind, "Snapshots"), **named(kind, snapshot_id))
    except TargetNotFound:
        return None
    found = answer.get(f"{PREFIX[kind]}Snapshots") or ()
    return snapshot_of(kind, found[0]) if found else None


def snapshot_of(kind: Kind, raw: Mapping[str, Any]) -> Snapshot:
    """Return the snapshot of one element of an answer."""
    prefix = PREFIX[kind]
    arn = str(raw[f"{prefix}SnapshotArn"])
    taken = raw.get("SnapshotCreateTime")
    owner = "DBInstance" if kind == "instance" else "DBCluster"
    return Snapshot(
        kind=kind,
        snapshot_id=raw[f"{prefix}SnapshotIdentifier"],
        arn=arn,
        source_id=raw.get(f"{owner}Identifier") or "",
        type=raw.get("SnapshotType") or "manual",
        status=raw.get("Status") or "creating",
        percent=int(raw.get("PercentProgress") or 0),
        encrypted=bool(raw.get("Encrypted") or raw.get("StorageEncrypted")),
        kms_key_id=raw.get("KmsKeyId") or None,
        engine=raw.get("Engine") or "",
        size_gib=int(raw.get("AllocatedStorage") or 0),
        taken_at=iso(taken) if isinstance(taken, datetime) else "",
        account_id=arn.split(":")[4],
    )
