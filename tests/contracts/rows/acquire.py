"""Acquisition: locks, many volumes at once, digests, facts, logs, the workstation."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from gameday.world import seam
from gameday.world.content import Place, build_bucket
from irrunner.clock import iso
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
    directory = Path(bench.world.env["IRRUNNER_CONFIG"]).parent
    bench.settings = bench.settings.model_copy(update={"store": str(directory / "irrunner.db")})
    bench.registry.get("aws.ebs.digest-snapshot")._open.clear()  # type: ignore[attr-defined]
    return snapshot_under("customer")(bench)


def log_objects(bench: Bench) -> Values:
    """Two flow log objects of today, in a bucket that lets the forensic account read."""
    s3, now = bench.client("s3"), bench.clock.now()
    build_bucket(Place(bench.account, bench.where.region, 7), "acme-logs")
    statement = {
        "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{bench.where.forensic_account_id}:root"},
        "Action": "s3:GetObject", "Resource": "arn:aws:s3:::acme-logs/*",
    }  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3.put_bucket_policy(Bucket="acme-logs", Policy=policy)
    prefix = f"AWSLogs/{bench.account}/vpcflowlogs/{bench.where.region}/"
    for number in (1, 2):
        key = f"{prefix}{now:%Y/%m/%d}/{number}.log.gz"
        s3.put_object(Bucket="acme-logs", Key=key, Body=f"flow {number}".encode())
        seam.s3(bench.account).buckets["acme-logs"].keys[key].last_modified = now.replace(tzinfo=None)
    since, until = (iso(now + timedelta(hours=hours)) for hours in (-1, 1))
    return {
        "bucket": "acme-logs", "prefix": prefix, "day_format": "%Y/%m/%d", "since": since, "until": until,
    }  # fmt: skip


def erase_logs(bench: Bench, values: Values) -> None:
    """Somebody deletes the bucket of the logs."""
    s3, name = bench.client("s3"), values["bucket"]
    for item in s3.list_objects_v2(Bucket=name)["Contents"]:
        s3.delete_object(Bucket=name, Key=item["Key"])
    s3.delete_bucket(Bucket=name)


def logged_instance(bench: Bench) -> Values:
    """The instance, whose network writes flow logs."""
    build_bucket(Place(bench.account, bench.where.region, 7), "acme-logs")
    bench.client("ec2").create_flow_logs(
        ResourceIds=[bench.resources["vpc_id"]], ResourceType="VPC", TrafficType="ALL",
        LogDestinationType="s3", LogDestination="arn:aws:s3:::acme-logs/flow",
    )  # fmt: skip
    return instance(bench)


def recorded(bench: Bench) -> Values:
    """A key of which CloudTrail recorded two events, where the world has no event history of its own."""
    key, now = bench.resources["access_key_id"], bench.clock.now()
    events = [
        {"EventId": str(number), "EventTime": now, "CloudTrailEvent": f'{{"eventID":"{number}"}}'}
        for number in (2, 1)
    ]
    answers = bench.world._dispatch._answers
    answers.setdefault("cloudtrail:LookupEvents", lambda _: {"Events": events})
    return {"access_key_id": key}


def lab(bench: Bench) -> Values:
    """An isolated network in the forensic account, and a copy of a disk in it."""
    ec2 = bench.client("ec2", str(bench.where.forensic_account_id))
    vpc = ec2.create_vpc(CidrBlock="10.99.0.0/24")["Vpc"]["VpcId"]
    zone = f"{bench.where.region}a"
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.99.0.0/28", AvailabilityZone=zone)["Subnet"]
    group = ec2.create_security_group(GroupName="lab", Description="lab", VpcId=vpc)["GroupId"]
    ec2.create_tags(
        Resources=[subnet["SubnetId"], group], Tags=[{"Key": "irrunner:workstation", "Value": "true"}]
    )
    disk = ec2.create_volume(
        AvailabilityZone=zone, Size=8, Encrypted=True, KmsKeyId="alias/irrunner-evidence"
    )
    made = ec2.create_snapshot(VolumeId=disk["VolumeId"])["SnapshotId"]
    ec2.delete_volume(VolumeId=disk["VolumeId"])
    bench.clock.advance(OVER_S)
    return {"snapshot_ids": [made], "image_id": "ami-0123456789abcdef0"}


def workstation(bench: Bench) -> Values:
    """A workstation of this run; its launch does not count."""
    launched = bench.run(bench.registry.get("forensics.launch-workstation"), lab(bench)).done
    return {"instance_id": launched.outputs["instance_id"]}


def erase_copies(bench: Bench, values: Values) -> None:
    """Somebody deletes the copies."""
    for snapshot_id in values["snapshot_ids"]:
        del seam.ec2(str(bench.where.forensic_account_id), bench.where.region).snapshots[snapshot_id]


def erase_workstation(bench: Bench, values: Values) -> None:
    """An hour after its end AWS does not know the workstation any more."""
    backend = seam.ec2(str(bench.where.forensic_account_id), bench.where.region)
    backend.reservations.clear()


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
    Row(
        "forensics.launch-workstation", lab, erase_copies,
        ("ec2:RunInstances", "ec2:CreateVolume", "ec2:AttachVolume"),
    ),
    Row(
        "forensics.terminate-workstation", workstation, erase_workstation,
        ("ec2:TerminateInstances", "ec2:DeleteVolume"),
    ),
    Row("aws.ebs.digest-snapshot", digested, erase_snapshots),
    Row("aws.ec2.collect-instance-evidence", instance, erase_instance, ("s3:PutObject",)),
    Row("aws.cloudtrail.export-events", recorded, None, ("s3:PutObject",)),
    Row("aws.logs.export", log_objects, erase_logs, ("s3:CopyObject",)),
    Row("aws.logs.locate", logged_instance, erase_instance),
    Row("aws.ebs.lock-snapshots", locked("governance", snapshots), erase_snapshots, ("ec2:LockSnapshot",)),
    Row(
        "aws.ebs.lock-snapshots", locked("compliance", snapshots), erase_snapshots, ("ec2:LockSnapshot",),
        name="compliance",
    ),
    Row("aws.ebs.lock-snapshots", forensic_copy, None, ("ec2:LockSnapshot",), name="forensics"),
)  # fmt: skip
