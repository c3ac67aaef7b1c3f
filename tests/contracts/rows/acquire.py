"""Acquisition: locks, many volumes at once, digests, facts, logs, the workstation."""

from __future__ import annotations

import tempfile
from collections.abc import Callable

from gameday.world import seam
from tests.contracts.bench import Bench
from tests.contracts.row import OVER_S, Row, Values
from tests.contracts.rows.ebs import erase_snapshots, key_kind, snapshot_under, snapshots
from tests.contracts.rows.ec2 import erase_instance, instance


def locked(mode: str, arrange: Callable[[Bench], Values]) -> Callable[[Bench], Values]:
    """Snapshots that are to be locked."""
    more = {"cool_off_hours": 24} if mode == "compliance" else {}
    return lambda bench: {**arrange(bench), "mode": mode, **more}


def forensic_copy(bench: Bench) -> Values:
    """A copy in the forensic account."""
    source = snapshot_under("unencrypted")(bench)
    action = bench.registry.get("aws.ebs.copy-to-forensics")
    made = bench.run(action, source).done.outputs["forensic_snapshot_id"]
    bench.clock.advance(OVER_S)
    return {"snapshot_ids": [made], "account": "forensics"}


def volumes_under(*kinds: str) -> Callable[[Bench], Values]:
    """Volumes of the instance under these kinds of key, named one by one."""

    def arrange(bench: Bench) -> Values:
        described = bench.client("ec2").describe_volumes(VolumeIds=bench.resources["volume_ids"])["Volumes"]
        chosen = [volume["VolumeId"] for volume in described if key_kind(bench, volume) in kinds]
        return {"volume_ids": chosen}

    return arrange


def whole_instance(bench: Bench) -> Values:
    """All volumes of the instance, one under each kind of key; locks are of the other row."""
    return {"instance_ids": [bench.resources["instance_id"]], "lock_days": 0}


def erase_volumes(bench: Bench, values: Values) -> None:
    """Somebody deletes the instance and its volumes."""
    for instance_id in values.get("instance_ids", ()):
        erase_instance(bench, {"instance_id": instance_id})
    backend = seam.ec2(bench.account, bench.where.region)
    for volume_id in bench.resources["volume_ids"]:
        backend.volumes.pop(volume_id, None)


def digested(bench: Bench) -> Values:
    """A snapshot under a customer key, whose digest nobody has begun."""
    directory = tempfile.mkdtemp(prefix="irrunner-digests-")
    bench.settings = bench.settings.model_copy(update={"store": f"{directory}/irrunner.db"})
    bench.registry.get("aws.ebs.digest-snapshot")._open.clear()  # type: ignore[attr-defined]
    return snapshot_under("customer")(bench)


LOAN = ("kms:CreateGrant", "kms:RevokeGrant")
ACQUIRE = ("ec2:CopySnapshot", "ec2:LockSnapshot", "ec2:ModifySnapshotAttribute")

ROWS = (
    Row(
        "forensics.acquire-volumes", whole_instance, erase_volumes,
        ("ec2:CreateSnapshots", "ec2:CopySnapshot", "ec2:ModifySnapshotAttribute", *LOAN),
        ("ec2:CreateSnapshots", *LOAN), name="instance",
    ),
    Row(
        "forensics.acquire-volumes", volumes_under("unencrypted"), erase_volumes,
        ("ec2:CreateSnapshot", *ACQUIRE), ("ec2:LockSnapshot",), name="unencrypted",
    ),
    Row("aws.ebs.digest-snapshot", digested, erase_snapshots),
    Row("aws.ec2.collect-instance-evidence", instance, erase_instance, ("s3:PutObject",)),
    Row("aws.ebs.lock-snapshots", locked("governance", snapshots), erase_snapshots, ("ec2:LockSnapshot",)),
    Row(
        "aws.ebs.lock-snapshots", locked("compliance", snapshots), erase_snapshots, ("ec2:LockSnapshot",),
        name="compliance",
    ),
    Row("aws.ebs.lock-snapshots", forensic_copy, None, ("ec2:LockSnapshot",), name="forensics"),
)  # fmt: skip
