"""EBS direct APIs: which blocks a snapshot holds, and their bytes with AWS's checksum.

Source: EBS direct APIs reference, ListSnapshotBlocks and GetSnapshotBlock; EBS user guide, "Read snapshots
with the EBS direct APIs". Block tokens expire; the data of an encrypted snapshot needs its key.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gameday.world import blocks, ebs, keys
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

TOKEN_LIFE_S: Final = 3600.0
_LEAST, _MOST = 100, 10_000


def list_snapshot_blocks(scene: Scene) -> Mapping[str, Any]:
    """List the blocks from an index on, with tokens for their data."""
    snapshot = _readable(scene)
    params = scene.params
    size = int(params.get("MaxResults") or _MOST)
    if not _LEAST <= size <= _MOST:
        raise Refusal("ValidationException", f"MaxResults must be from {_LEAST} to {_MOST}")
    start = int(params.get("NextToken") or params.get("StartingBlockIndex") or 0)
    held = sorted(index for index in blocks.of_snapshot(snapshot) if index >= start)
    page, rest = held[:size], held[size:]
    until = scene.realm.clock.now() + timedelta(seconds=TOKEN_LIFE_S)
    listed = [{"BlockIndex": index, "BlockToken": _token(snapshot.id, index, until)} for index in page]
    more = {"NextToken": str(rest[0])} if rest else {}
    return {
        "Blocks": listed,
        "ExpiryTime": until,
        "VolumeSize": int(snapshot.volume_size),
        "BlockSize": blocks.BLOCK_BYTES,
        **more,
    }


def get_snapshot_block(scene: Scene) -> Mapping[str, Any]:
    """Return the bytes of one block, and their SHA-256."""
    snapshot, index = _readable(scene), int(scene.params["BlockIndex"])
    seed = blocks.of_snapshot(snapshot).get(index)
    if seed is None:
        raise Refusal("ResourceNotFoundException", f"The block {index} does not exist.", 404)
    _check_token(scene, snapshot.id, index)
    content = blocks.data(seed)
    return {
        "DataLength": len(content),
        "BlockData": content,
        "Checksum": base64.b64encode(hashlib.sha256(content).digest()).decode(),
        "ChecksumAlgorithm": "SHA256",
    }


def _readable(scene: Scene) -> Any:
    snapshot_id = scene.params["SnapshotId"]
    try:
        snapshot = ebs.visible(scene.account, scene.region, snapshot_id)
    except Refusal:
        raise Refusal(
            "ResourceNotFoundException", f"The snapshot '{snapshot_id}' does not exist.", 404
        ) from None
    if snapshot.status != "completed":
        raise Refusal("ValidationException", f"The snapshot '{snapshot_id}' is not completed.")
    if snapshot.encrypted:
        key = keys.resolve(snapshot.owner_id, scene.region, snapshot.kms_key_id or "")
        if key is None or not keys.may_use(key, scene, ("kms:Decrypt",)):
            raise Refusal("AccessDeniedException", "The KMS key of the snapshot cannot be used.", 403)
    return snapshot


def _token(snapshot_id: str, index: int, until: datetime) -> str:
    text = f"{snapshot_id} {index} {until.timestamp()}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _check_token(scene: Scene, snapshot_id: str, index: int) -> None:
    try:
        token = base64.urlsafe_b64decode(scene.params["BlockToken"]).decode().split()
        until = datetime.fromtimestamp(float(token[2]), UTC)
    except (ValueError, IndexError):
        raise Refusal("ValidationException", "Invalid block token.") from None
    if token[:2] != [snapshot_id, str(index)] or until <= scene.realm.clock.now():
        raise Refusal("ValidationException", "The block token is invalid or has expired.")


LAYER: Final = StrictLayer(
    answers={
        "ebs:ListSnapshotBlocks": list_snapshot_blocks,
        "ebs:GetSnapshotBlock": get_snapshot_block,
    }
)
