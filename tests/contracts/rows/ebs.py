"""EBS: snapshots, their completion, their copies into the forensic account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gameday.world import seam
from tests.contracts.bench import Bench
from tests.contracts.row import OVER_S, Row, Values
from tests.contracts.rows.ec2 import erase_instance, instance


def snapshots(bench: Bench) -> Values:
    """Snapshots of all disks, which are not completed yet."""
    made = [
        bench.client("ec2").create_snapshot(VolumeId=volume)["SnapshotId"]
        for volume in bench.resources["volume_ids"]
    ]
    return {"snapshot_ids": made}


def key_kind(bench: Bench, volume: Mapping[str, Any]) -> str:
    """Return the row of the KMS table that a volume is in."""
    if not volume["Encrypted"]:
        return "unencrypted"
    described = bench.client("kms").describe_key(KeyId=volume["KmsKeyId"])["KeyMetadata"]
    return "customer" if described["KeyManager"] == "CUSTOMER" else "aws/ebs"


def snapshot_under(kind: str) -> Callable[[Bench], Values]:
    """A completed snapshot of the disk under a kind of key."""

    def arrange(bench: Bench) -> Values:
        ec2 = bench.client("ec2")
        volumes = ec2.describe_volumes(VolumeIds=bench.resources["volume_ids"])["Volumes"]
        chosen = next(volume for volume in volumes if key_kind(bench, volume) == kind)
        made = ec2.create_snapshot(VolumeId=chosen["VolumeId"])["SnapshotId"]
        bench.clock.advance(OVER_S)
        return {"snapshot_id": made}

    return arrange


def erase_snapshots(bench: Bench, values: Values) -> None:
    """Somebody deletes the snapshots."""
    for snapshot_id in values.get("snapshot_ids") or [values["snapshot_id"]]:
        del seam.ec2(bench.account, bench.where.region).snapshots[snapshot_id]


COPY = ("ec2:CopySnapshot", "ec2:ModifySnapshotAttribute")
COPY_ENCRYPTED = (*COPY, "kms:CreateGrant", "kms:RevokeGrant")

ROWS = (
    Row("aws.ebs.snapshot-instance", instance, erase_instance, operations=("ec2:CreateSnapshots",)),
    Row("aws.ebs.await-snapshots", snapshots, erase_snapshots),
    *(
        Row("aws.ebs.copy-to-forensics", snapshot_under(kind), erase_snapshots, operations, name=kind)
        for kind, operations in (
            ("unencrypted", COPY), ("customer", COPY_ENCRYPTED), ("aws/ebs", COPY_ENCRYPTED)
        )
    ),
)  # fmt: skip
