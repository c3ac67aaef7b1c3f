from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from gameday.world import World, ebs_direct, keys

Refused = Callable[..., str]


@pytest.fixture
def snapshot_id(world: World, ec2: Any) -> str:
    """A completed snapshot."""
    made = ec2.create_snapshot(VolumeId=world.resources["volume_ids"][0])["SnapshotId"]
    world.advance(world.snapshot_s)
    return str(made)


@pytest.fixture
def ebs(world: World, member: str) -> Any:
    """EBS direct APIs of the member account."""
    return world.client(member, "ebs")


def test_blocks_come_with_their_checksum(ebs: Any, snapshot_id: str) -> None:
    """What is listed can be read, and its SHA-256 is AWS's."""
    listed = ebs.list_snapshot_blocks(SnapshotId=snapshot_id)
    assert listed["BlockSize"] == 524_288
    for entry in listed["Blocks"]:
        got = ebs.get_snapshot_block(SnapshotId=snapshot_id, **entry)
        data = got["BlockData"].read()
        assert got["DataLength"] == len(data) == 524_288
        assert base64.b64decode(got["Checksum"]) == hashlib.sha256(data).digest()


def test_two_snapshots_of_a_volume_hold_the_same(world: World, ec2: Any, ebs: Any, snapshot_id: str) -> None:
    """Content is the volume's, and not the snapshot's."""
    again = ec2.create_snapshot(VolumeId=world.resources["volume_ids"][0])["SnapshotId"]
    world.advance(world.snapshot_s)
    indexes = [
        [entry["BlockIndex"] for entry in ebs.list_snapshot_blocks(SnapshotId=name)["Blocks"]]
        for name in (snapshot_id, again)
    ]
    assert indexes[0] == indexes[1]


def test_tokens_expire_and_belong_to_a_block(
    world: World, ebs: Any, snapshot_id: str, refused: Refused
) -> None:
    """A token of another block, a made-up one and one that is too old are refused alike."""
    first, second = ebs.list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"][:2]
    mixed = {"SnapshotId": snapshot_id, "BlockIndex": first["BlockIndex"], "BlockToken": second["BlockToken"]}
    assert refused(ebs.get_snapshot_block, **mixed) == "ValidationException"
    assert refused(ebs.get_snapshot_block, **mixed | {"BlockToken": "bm9uZQ=="}) == "ValidationException"
    world.advance(ebs_direct.TOKEN_LIFE_S)
    assert refused(ebs.get_snapshot_block, SnapshotId=snapshot_id, **first) == "ValidationException"


def test_what_is_pending_unknown_or_not_shared_cannot_be_read(
    world: World, ec2: Any, ebs: Any, snapshot_id: str, refused: Refused
) -> None:
    """Another account sees a snapshot once it is shared, and not before."""
    pending = ec2.create_snapshot(VolumeId=world.resources["volume_ids"][0])["SnapshotId"]
    other = world.client(world.organisation.forensics, "ebs")
    assert refused(ebs.list_snapshot_blocks, SnapshotId=pending) == "ValidationException"
    assert refused(ebs.list_snapshot_blocks, SnapshotId="snap-0") == "ResourceNotFoundException"
    assert refused(other.list_snapshot_blocks, SnapshotId=snapshot_id) == "ResourceNotFoundException"


def test_data_needs_its_key(world: World, member: str, ec2: Any, ebs: Any, refused: Refused) -> None:
    """Under a disabled key nothing can be read."""
    for volume in ec2.describe_volumes(VolumeIds=world.resources["volume_ids"])["Volumes"]:
        if not volume["Encrypted"]:
            continue
        made = ec2.create_snapshot(VolumeId=volume["VolumeId"])["SnapshotId"]
        world.advance(world.snapshot_s)
        key = keys.resolve(member, world.region, volume["KmsKeyId"])
        assert key is not None
        assert ebs.list_snapshot_blocks(SnapshotId=made)["Blocks"]
        key.enabled, key.key_state = False, "Disabled"
        assert refused(ebs.list_snapshot_blocks, SnapshotId=made) == "AccessDeniedException"
