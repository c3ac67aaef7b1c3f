from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gameday.world import World

Refused = Callable[..., str]
READING = ["kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt", "kms:ReEncrypt*"]


@pytest.fixture
def forensics(world: World) -> Any:
    """Return EC2 of the forensic account."""
    return world.client(world.organisation.forensics, "ec2")


def _by_encryption(world: World, ec2: Any) -> dict[str, str]:
    """Snapshot all volumes, let them complete, and name the snapshots ``none``, ``customer``, ``aws/ebs``."""
    begun = ec2.create_snapshots(InstanceSpecification={"InstanceId": world.resources["instance_id"]})[
        "Snapshots"
    ]
    world.advance(60)
    default = ec2.get_ebs_default_kms_key_id()["KmsKeyId"]
    named = {}
    for snapshot in ec2.describe_snapshots(SnapshotIds=[item["SnapshotId"] for item in begun])["Snapshots"]:
        key = snapshot.get("KmsKeyId", "none")
        named["aws/ebs" if key == default else "none" if key == "none" else "customer"] = snapshot[
            "SnapshotId"
        ]
    return named


def _share(ec2: Any, world: World, snapshot_id: str) -> None:
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot_id,
        Attribute="createVolumePermission",
        OperationType="add",
        UserIds=[world.organisation.forensics],
    )


def _copy(client: Any, snapshot_id: str, **more: Any) -> str:
    answer = client.copy_snapshot(SourceSnapshotId=snapshot_id, SourceRegion="us-east-1", **more)
    return str(answer["SnapshotId"])


def _described(client: Any, snapshot_id: str) -> dict[str, Any]:
    described: dict[str, Any] = client.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]
    return described


def test_snapshots_of_an_instance_complete_later(world: World, ec2: Any) -> None:
    """CreateSnapshots answers pending for every volume; progress grows with the world's time."""
    begun = ec2.create_snapshots(
        InstanceSpecification={"InstanceId": world.resources["instance_id"]},
        TagSpecifications=[{"ResourceType": "snapshot", "Tags": [{"Key": "case", "Value": "7"}]}],
    )["Snapshots"]

    assert [snapshot["State"] for snapshot in begun] == ["pending"] * 3
    assert {snapshot["VolumeId"] for snapshot in begun} == set(world.resources["volume_ids"])
    snapshot_id = begun[0]["SnapshotId"]
    world.advance(1.6)
    halfway = _described(ec2, snapshot_id)
    assert halfway["State"] == "pending"
    assert 50 <= int(halfway["Progress"].rstrip("%")) < 100
    world.advance(2)
    assert (_described(ec2, snapshot_id)["State"], _described(ec2, snapshot_id)["Progress"]) == (
        "completed",
        "100%",
    )
    assert _described(ec2, snapshot_id)["Tags"] == [{"Key": "case", "Value": "7"}]


def test_the_three_volumes_are_unencrypted_under_a_customer_key_and_under_the_default_key(
    world: World, ec2: Any
) -> None:
    """Every branch of the KMS decision table is met in one instance."""
    assert set(_by_encryption(world, ec2)) == {"none", "customer", "aws/ebs"}


def test_a_snapshot_that_is_not_completed_cannot_be_copied(world: World, ec2: Any, refused: Refused) -> None:
    """The source must be completed."""
    pending = ec2.create_snapshot(VolumeId=world.resources["volume_ids"][0])["SnapshotId"]

    assert refused(ec2.copy_snapshot, SourceSnapshotId=pending, SourceRegion="us-east-1") == "IncorrectState"


def test_a_snapshot_under_the_default_key_cannot_be_shared(world: World, ec2: Any, refused: Refused) -> None:
    """aws/ebs cannot be shared, nor can an encrypted snapshot be made public."""
    snapshots = _by_encryption(world, ec2)
    add = {"Attribute": "createVolumePermission", "OperationType": "add"}

    assert (
        refused(
            ec2.modify_snapshot_attribute,
            SnapshotId=snapshots["aws/ebs"],
            UserIds=[world.organisation.forensics],
            **add,
        )
        == "OperationNotPermitted"
    )
    assert (
        refused(ec2.modify_snapshot_attribute, SnapshotId=snapshots["customer"], GroupNames=["all"], **add)
        == "OperationNotPermitted"
    )


def test_an_unshared_snapshot_does_not_exist_for_another_account(
    world: World, ec2: Any, forensics: Any, refused: Refused
) -> None:
    """Neither seen nor copied before it is shared, nor after it is unshared."""
    snapshot_id = _by_encryption(world, ec2)["none"]
    copy = {"SourceSnapshotId": snapshot_id, "SourceRegion": "us-east-1"}

    assert refused(forensics.copy_snapshot, **copy) == "InvalidSnapshot.NotFound"
    _share(ec2, world, snapshot_id)
    assert _described(forensics, snapshot_id)["OwnerId"] == world.resources["account_id"]
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot_id,
        CreateVolumePermission={"Remove": [{"UserId": world.organisation.forensics}]},
    )
    assert refused(forensics.describe_snapshots, SnapshotIds=[snapshot_id]) == "InvalidSnapshot.NotFound"


def test_an_unencrypted_snapshot_is_copied_under_the_forensic_key(
    world: World, ec2: Any, forensics: Any
) -> None:
    """The copy belongs to the forensic account, under its key, without the source's tags."""
    snapshot_id = _by_encryption(world, ec2)["none"]
    ec2.create_tags(Resources=[snapshot_id], Tags=[{"Key": "case", "Value": "7"}])
    _share(ec2, world, snapshot_id)

    copy = _copy(forensics, snapshot_id, Encrypted=True, KmsKeyId="alias/irrunner-evidence")

    assert _described(forensics, copy)["State"] == "pending"
    world.advance(60)
    done = _described(forensics, copy)
    assert (done["State"], done["OwnerId"], done["Encrypted"]) == (
        "completed",
        world.organisation.forensics,
        True,
    )
    assert f":{world.organisation.forensics}:key/" in done["KmsKeyId"]
    assert done["VolumeSize"] == _described(ec2, snapshot_id)["VolumeSize"]
    assert done.get("Tags", []) == []


def test_the_documented_way_of_a_snapshot_under_the_default_key(
    world: World, ec2: Any, forensics: Any
) -> None:
    """Copy to the transfer key, share, copy again under the forensic key."""
    first = _copy(ec2, _by_encryption(world, ec2)["aws/ebs"], KmsKeyId="alias/irrunner-transfer")
    world.advance(60)
    _share(ec2, world, first)

    second = _copy(forensics, first, KmsKeyId="alias/irrunner-evidence")
    world.advance(60)

    assert _described(forensics, second)["State"] == "completed"


def test_a_key_that_the_forensic_account_may_not_use_fails_the_copy_later(
    world: World, ec2: Any, forensics: Any
) -> None:
    """CopySnapshot is accepted; the copy becomes an error with a message, silently."""
    snapshot_id = _by_encryption(world, ec2)["customer"]
    _share(ec2, world, snapshot_id)

    copy = _copy(forensics, snapshot_id, KmsKeyId="alias/irrunner-evidence")

    assert _described(forensics, copy)["State"] == "pending"
    world.advance(60)
    failed = _described(forensics, copy)
    assert (failed["State"], failed["StateMessage"]) == ("error", "Given key ID is not accessible")


@pytest.mark.parametrize("way", ["key-policy", "grant"])
def test_a_shared_customer_key_lets_the_copy_succeed(
    world: World, ec2: Any, forensics: Any, member: str, way: str
) -> None:
    """A key policy or a grant for the forensic account suffices."""
    snapshot_id = _by_encryption(world, ec2)["customer"]
    kms = world.client(member, "kms")
    key_id = _described(ec2, snapshot_id)["KmsKeyId"]
    guest = f"arn:aws:iam::{world.organisation.forensics}:root"
    if way == "grant":
        operations = ["DescribeKey", "CreateGrant", "Decrypt", "ReEncryptFrom"]
        kms.create_grant(KeyId=key_id, GranteePrincipal=guest, Operations=operations)
    else:
        statement = {"Effect": "Allow", "Principal": {"AWS": guest}, "Action": READING, "Resource": "*"}
        kms.put_key_policy(
            KeyId=key_id,
            PolicyName="default",
            Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )
    _share(ec2, world, snapshot_id)

    copy = _copy(forensics, snapshot_id, KmsKeyId="alias/irrunner-evidence")
    world.advance(60)

    assert _described(forensics, copy)["State"] == "completed"


@pytest.mark.parametrize("key", ["alias/nowhere", "00000000-0000-4000-8000-000000000000", "disabled"])
def test_a_destination_key_that_does_not_work_fails_the_copy_later(
    world: World, ec2: Any, member: str, key: str
) -> None:
    """Unknown and disabled keys are accepted at first, and the copy ends in error."""
    if key == "disabled":
        key = "alias/irrunner-transfer"
        world.act("disable-key", account=member, region=world.region, key_id=key)

    copy = _copy(ec2, _by_encryption(world, ec2)["none"], Encrypted=True, KmsKeyId=key)
    world.advance(60)

    assert _described(ec2, copy)["State"] == "error"


def test_a_key_for_an_unencrypted_copy_needs_the_flag(world: World, ec2: Any, refused: Refused) -> None:
    """KmsKeyId without Encrypted is refused for an unencrypted source."""
    source = _by_encryption(world, ec2)["none"]

    code = refused(
        ec2.copy_snapshot,
        SourceSnapshotId=source,
        SourceRegion="us-east-1",
        KmsKeyId="alias/irrunner-transfer",
    )

    assert code == "InvalidParameterDependency"


def test_twenty_copies_at_a_time_in_a_region(world: World, ec2: Any, refused: Refused) -> None:
    """The 21st concurrent copy is refused until one is done."""
    source = _by_encryption(world, ec2)["none"]
    for _ in range(20):
        _copy(ec2, source)

    assert (
        refused(ec2.copy_snapshot, SourceSnapshotId=source, SourceRegion="us-east-1")
        == "ResourceLimitExceeded"
    )
    world.advance(60)
    _copy(ec2, source)


def test_a_copy_to_another_region_has_its_own_limit_and_place(world: World, ec2: Any, member: str) -> None:
    """The copy is in the destination Region, which is the client's."""
    source = _by_encryption(world, ec2)["none"]
    frankfurt = world.client(member, "ec2", "eu-central-1")

    copy = _copy(frankfurt, source)

    assert _described(frankfurt, copy)["Description"] == f"[Copied {source} from us-east-1]"


def test_a_locked_snapshot_cannot_be_deleted(world: World, ec2: Any, refused: Refused) -> None:
    """Also a pending one is locked; a governance lock can be removed."""
    snapshot_id = ec2.create_snapshot(VolumeId=world.resources["volume_ids"][0])["SnapshotId"]

    locked = ec2.lock_snapshot(SnapshotId=snapshot_id, LockMode="governance", LockDuration=7)

    assert locked["LockState"] == "governance"
    assert refused(ec2.delete_snapshot, SnapshotId=snapshot_id) == "OperationNotPermitted"
    assert [s["SnapshotId"] for s in ec2.describe_locked_snapshots()["Snapshots"]] == [snapshot_id]
    ec2.unlock_snapshot(SnapshotId=snapshot_id)
    ec2.delete_snapshot(SnapshotId=snapshot_id)


def test_a_compliance_lock_holds_after_its_cool_off(world: World, ec2: Any, refused: Refused) -> None:
    """Within the cool-off period it can be removed, afterwards only its expiry ends it."""
    snapshot_id = ec2.create_snapshot(VolumeId=world.resources["volume_ids"][0])["SnapshotId"]
    ec2.lock_snapshot(SnapshotId=snapshot_id, LockMode="compliance", CoolOffPeriod=1, LockDuration=1)

    world.advance(3601)

    assert refused(ec2.unlock_snapshot, SnapshotId=snapshot_id) == "OperationNotPermitted"
    world.advance(86_400)
    ec2.delete_snapshot(SnapshotId=snapshot_id)


def test_snapshots_are_listed_by_owner_filter_and_page(world: World, ec2: Any) -> None:
    """OwnerIds, filters and pages work as the API says."""
    _by_encryption(world, ec2)

    pages = ec2.get_paginator("describe_snapshots").paginate(
        OwnerIds=["self"], PaginationConfig={"PageSize": 2}
    )
    assert [len(page["Snapshots"]) for page in pages] == [2, 1]
    encrypted = ec2.describe_snapshots(Filters=[{"Name": "encrypted", "Values": ["true"]}])["Snapshots"]
    assert len(encrypted) == 2
    assert ec2.describe_snapshots(OwnerIds=["123456789012"])["Snapshots"] == []
