from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gameday.world import World, keys

Refused = Callable[..., str]
PASSWORD = "Correct-horse-1"


@pytest.fixture
def rds(world: World, member: str) -> Any:
    """Return RDS of the member account, with an encrypted DB instance."""
    client = world.client(member, "rds")
    key = keys.resolve(member, world.region, "alias/app-data")
    assert key is not None
    client.create_db_instance(
        DBInstanceIdentifier="orders", DBInstanceClass="db.m6g.large", Engine="postgres", AllocatedStorage=20,
        MasterUsername="root", MasterUserPassword=PASSWORD, StorageEncrypted=True, KmsKeyId=key.arn,
        PubliclyAccessible=True,
    )  # fmt: skip
    return client


def snapshot(world: World, rds: Any) -> str:
    """Return the ARN of an available snapshot."""
    made = rds.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="one")["DBSnapshot"]
    assert made["Status"] == "creating"
    world.advance(60)
    return str(made["DBSnapshotArn"])


def copy(client: Any, source: str, key: str) -> Any:
    """Copy a snapshot."""
    return client.copy_db_snapshot(
        SourceDBSnapshotIdentifier=source, TargetDBSnapshotIdentifier="two", KmsKeyId=key
    )


def test_a_snapshot_takes_time(world: World, rds: Any) -> None:
    """It is not available at once, and its copy is refused until then."""
    rds.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="one")

    before = rds.describe_db_snapshots(DBSnapshotIdentifier="one")["DBSnapshots"][0]["Status"]
    world.advance(60)

    assert before == "creating"
    assert rds.describe_db_snapshots(DBSnapshotIdentifier="one")["DBSnapshots"][0]["Status"] == "available"


def test_a_copy_needs_share_and_key(world: World, rds: Any, refused: Refused) -> None:
    """The forensic account sees what is shared with it, and reads it by a key that lets it."""
    source = snapshot(world, rds)
    forensics = world.client(world.organisation.forensics, "rds")
    transfer, evidence = "alias/irrunner-transfer", "alias/irrunner-evidence"
    shared = {"AttributeName": "restore", "ValuesToAdd": [world.organisation.forensics]}

    assert refused(copy, client=forensics, source=source, key=evidence) == "DBSnapshotNotFound"
    rds.modify_db_snapshot_attribute(DBSnapshotIdentifier="one", **shared)
    assert refused(copy, client=forensics, source=source, key=evidence) == "KMSKeyNotAccessibleFault"
    moved = copy(rds, source, transfer)["DBSnapshot"]["DBSnapshotArn"]
    world.advance(60)
    rds.modify_db_snapshot_attribute(DBSnapshotIdentifier="two", **shared)
    assert copy(forensics, moved, evidence)["DBSnapshot"]["Status"] == "creating"


def test_the_default_key_is_not_shared(world: World, member: str, rds: Any, refused: Refused) -> None:
    """Under aws/rds, or public and encrypted: refused."""
    snapshot(world, rds)
    attribute = {"DBSnapshotIdentifier": "one", "AttributeName": "restore"}

    assert (
        refused(rds.modify_db_snapshot_attribute, **attribute, ValuesToAdd=["all"])
        == "InvalidParameterCombination"
    )
    key = keys.resolve(member, world.region, "alias/app-data")
    assert key is not None
    key.key_manager = "AWS"
    shared = refused(rds.modify_db_snapshot_attribute, **attribute, ValuesToAdd=["111122223333"])
    assert shared == "InvalidParameterCombination"


def test_a_change_takes_time_and_refuses_the_next(world: World, rds: Any, refused: Refused) -> None:
    """The old value is there until RDS is ready."""
    change = {"DBInstanceIdentifier": "orders", "ApplyImmediately": True}
    rds.modify_db_instance(**change, PubliclyAccessible=False)

    during = rds.describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"][0]
    again = refused(rds.modify_db_instance, **change, PubliclyAccessible=True)
    world.advance(60)
    after = rds.describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"][0]

    assert (during["DBInstanceStatus"], during["PubliclyAccessible"]) == ("modifying", True)
    assert again == "InvalidDBInstanceState"
    assert (after["DBInstanceStatus"], after["PubliclyAccessible"]) == ("available", False)


def test_groups_and_passwords_that_do_not_exist_are_refused(rds: Any, refused: Refused) -> None:
    """A group of nowhere, and a rotation of a password that Secrets Manager does not have."""
    change = {"DBInstanceIdentifier": "orders", "ApplyImmediately": True}

    assert refused(rds.modify_db_instance, **change, VpcSecurityGroupIds=["sg-1"]) == "InvalidParameterValue"
    rotated = refused(rds.modify_db_instance, **change, RotateMasterUserPassword=True)
    assert rotated == "InvalidParameterCombination"
