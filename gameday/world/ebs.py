"""EBS snapshots, answered by the world itself: asynchronous, shared across accounts, under KMS rules.

Source: EBS user guide ("Share a snapshot", "Copy a snapshot", "Lock a snapshot"), EC2 API reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from gameday.world import blocks, keys, seam
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

CONCURRENT_COPIES: Final = 20
PENDING_PER_VOLUME: Final = 5
_KEY_FAILURE: Final = "Given key ID is not accessible"
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class SourceOfACopy:
    """What a copied snapshot says of its volume."""

    size: int
    id: str = "vol-ffffffff"


def create_snapshot(scene: Scene) -> Mapping[str, Any]:
    """Begin a snapshot of one volume."""
    backend = seam.ec2(scene.account, scene.region)
    volume = backend.get_volume(scene.params["VolumeId"])
    return view(_begin(scene, volume, _tags(scene)), scene.realm.clock.now())


def create_snapshots(scene: Scene) -> Mapping[str, Any]:
    """Begin crash-consistent snapshots of an instance's volumes."""
    backend = seam.ec2(scene.account, scene.region)
    wanted = scene.params.get("InstanceSpecification", {})
    instance = backend.get_instance(wanted.get("InstanceId", ""))
    left_out = set(wanted.get("ExcludeDataVolumeIds", []))
    volumes = [
        backend.get_volume(device.volume_id)
        for name, device in instance.get_block_device_mapping
        if device.volume_id not in left_out
        and not (wanted.get("ExcludeBootVolume") and name == instance.root_device_name)
    ]
    if not volumes:
        raise Refusal("InvalidParameterValue", f"Instance {instance.id} has no EBS volume to snapshot")
    copied = scene.params.get("CopyTagsFromSource") == "volume"
    begun = [_begin(scene, volume, (_tags_of(volume) if copied else {}) | _tags(scene)) for volume in volumes]
    now = scene.realm.clock.now()
    return {"Snapshots": [view(snapshot, now) for snapshot in begun]}


def copy_snapshot(scene: Scene) -> Mapping[str, Any]:
    """Begin a copy; a key that cannot be used fails it silently and later, as AWS does."""
    params = scene.params
    source = visible(scene.account, params.get("SourceRegion", ""), params.get("SourceSnapshotId", ""))
    if source.status != "completed":
        raise Refusal("IncorrectState", f"Snapshot '{source.id}' is not 'completed'.")
    if params.get("KmsKeyId") and not (source.encrypted or params.get("Encrypted")):
        raise Refusal(
            "InvalidParameterDependency",
            "The parameter KmsKeyId requires the parameter Encrypted to be set.",
        )
    _limit_copies(scene)
    encrypted = bool(source.encrypted or params.get("Encrypted"))
    key = _destination_key(scene) if encrypted else None
    failure = _KEY_FAILURE if encrypted and not _keys_work(scene, source, key) else ""
    snapshot: Any = seam.Snapshot(
        seam.ec2(scene.account, scene.region),
        seam.random_snapshot_id(),
        SourceOfACopy(source.volume_size),
        params.get("Description") or f"[Copied {source.id} from {params.get('SourceRegion')}]",
        encrypted=encrypted,
        kms_key_id=key.arn if key else None,
    )
    snapshot.copied_from = source.id
    snapshot.blocks = blocks.of_snapshot(source)
    _start(scene, snapshot, _tags(scene), failure)
    return {"SnapshotId": snapshot.id, "Tags": _tag_list(snapshot)}


def describe_snapshots(scene: Scene) -> Mapping[str, Any]:
    """List own snapshots and those shared with the caller's account."""
    params = scene.params
    known = list(_visible(scene.account, scene.region))
    asked = params.get("SnapshotIds") or []
    missing = [item for item in asked if item not in {snapshot.id for snapshot in known}]
    if missing:
        raise _not_found(missing[0])
    owners = {scene.account if owner == "self" else owner for owner in params.get("OwnerIds") or []}
    chosen = [
        snapshot
        for snapshot in known
        if (not asked or snapshot.id in asked) and (not owners or snapshot.owner_id in owners)
    ]
    filters = {item["Name"]: item.get("Values", []) for item in params.get("Filters") or []}
    chosen = seam.generic_filter(filters, chosen)
    start, size = int(params.get("NextToken") or 0), int(params.get("MaxResults") or _PAGE)
    now = scene.realm.clock.now()
    page = [view(snapshot, now, viewer=scene.account) for snapshot in chosen[start : start + size]]
    more = {"NextToken": str(start + size)} if start + size < len(chosen) else {}
    return {"Snapshots": page, **more}


def modify_snapshot_attribute(scene: Scene) -> Mapping[str, Any]:
    """Share a snapshot, or stop sharing it."""
    snapshot = own(scene)
    added, removed = _changes(scene.params)
    if added:
        _check_shareable(snapshot, added)
    snapshot.create_volume_permission_userids |= {item["UserId"] for item in added if "UserId" in item}
    snapshot.create_volume_permission_groups |= {item["Group"] for item in added if "Group" in item}
    snapshot.create_volume_permission_userids -= {item.get("UserId") for item in removed}
    snapshot.create_volume_permission_groups -= {item.get("Group") for item in removed}
    return {}


def own(scene: Scene) -> Any:
    """Return the caller's own snapshot of parameter ``SnapshotId``.

    Raises:
        Refusal: If there is none.
    """
    snapshot_id = scene.params.get("SnapshotId", "")
    snapshot = seam.ec2(scene.account, scene.region).snapshots.get(snapshot_id)
    if snapshot is None:
        raise _not_found(snapshot_id)
    return snapshot


def visible(account: str, region: str, snapshot_id: str) -> Any:
    """Return a snapshot that an account owns or that is shared with it.

    Raises:
        Refusal: If there is none.
    """
    for snapshot in _visible(account, region):
        if snapshot.id == snapshot_id:
            return snapshot
    raise _not_found(snapshot_id)


def view(snapshot: Any, now: datetime, viewer: str = "") -> dict[str, Any]:
    """Return a snapshot as EC2 describes it; tags and failure are its owner's only."""
    foreign = viewer not in {"", snapshot.owner_id}
    shown = {
        "SnapshotId": snapshot.id,
        "VolumeId": snapshot.volume_id,
        "VolumeSize": snapshot.volume_size,
        "State": snapshot.status,
        "StateMessage": None if foreign else getattr(snapshot, "state_message", None),
        "StartTime": snapshot.start_time,
        "Progress": progress(snapshot, now),
        "OwnerId": snapshot.owner_id,
        "Description": snapshot.description,
        "Encrypted": snapshot.encrypted,
        "KmsKeyId": snapshot.kms_key_id,
        "StorageTier": snapshot.storage_tier,
        "Tags": None if foreign else _tag_list(snapshot),
    }
    return {name: value for name, value in shown.items() if value is not None}


def progress(snapshot: Any, now: datetime) -> str:
    """Return how far a snapshot is, ``42%``."""
    if snapshot.status != "pending":
        return "100%" if snapshot.status == "completed" else "0%"
    begun, due = snapshot.span
    part = (now - begun) / (due - begun) if due > begun else 0.0
    return f"{min(99, int(part * 100))}%"


def _begin(scene: Scene, volume: Any, tags: Mapping[str, str]) -> Any:
    backend = seam.ec2(scene.account, scene.region)
    pending = [s for s in backend.snapshots.values() if s.volume is volume and s.status == "pending"]
    if len(pending) >= PENDING_PER_VOLUME:
        raise Refusal(
            "ConcurrentSnapshotLimitExceeded", f"Maximum allowed in-progress snapshots for volume {volume.id}"
        )
    snapshot: Any = seam.Snapshot(
        backend,
        seam.random_snapshot_id(),
        volume,
        scene.params.get("Description", ""),
        encrypted=volume.encrypted,
        kms_key_id=volume.kms_key_id,
    )
    snapshot.blocks = blocks.of_volume(volume)
    _start(scene, snapshot, tags, getattr(volume, "snapshot_failure", ""))
    return snapshot


def _start(scene: Scene, snapshot: Any, tags: Mapping[str, str], failure: str = "") -> None:
    begun = scene.realm.clock.now()
    due = begun + timedelta(seconds=scene.realm.snapshot_s)
    snapshot.status = "pending"
    snapshot.start_time = begun
    snapshot.span = (begun, due)
    seam.ec2(scene.account, scene.region).snapshots[snapshot.id] = snapshot
    snapshot.add_tags(dict(tags))

    def finish() -> None:
        snapshot.status = "error" if failure else "completed"
        snapshot.state_message = failure or None

    scene.realm.schedule.at(due, finish)


def _destination_key(scene: Scene) -> Any | None:
    named = scene.params.get("KmsKeyId")
    if not named:
        return keys.default_ebs_key(scene.account, scene.region)
    return keys.resolve(scene.account, scene.region, named)


def _keys_work(scene: Scene, source: Any, destination: Any | None) -> bool:
    if destination is None or not keys.may_use(destination, scene, keys.WRITING_A_SNAPSHOT):
        return False
    if not source.encrypted:
        return True
    origin = keys.resolve(source.owner_id, scene.params.get("SourceRegion", ""), source.kms_key_id or "")
    return origin is not None and keys.may_use(origin, scene, keys.READING_A_SNAPSHOT)


def _limit_copies(scene: Scene) -> None:
    mine = seam.ec2(scene.account, scene.region).snapshots.values()
    running = [s for s in mine if s.status == "pending" and hasattr(s, "copied_from")]
    if len(running) >= CONCURRENT_COPIES:
        raise Refusal(
            "ResourceLimitExceeded",
            f"Too many snapshot copies in progress. The limit is {CONCURRENT_COPIES} for this destination.",
        )


def _check_shareable(snapshot: Any, added: Iterable[Mapping[str, str]]) -> None:
    key = keys.resolve(snapshot.owner_id, snapshot.ec2_backend.region_name, snapshot.kms_key_id or "")
    if snapshot.encrypted and (key is None or keys.is_aws_managed(key)):
        raise Refusal("OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared")
    for item in added:
        if "Group" in item and snapshot.encrypted:
            raise Refusal("OperationNotPermitted", "Encrypted snapshots cannot be made public")
        if "UserId" in item and not _ACCOUNT.fullmatch(item["UserId"]):
            raise Refusal("InvalidUserID.Malformed", f'Invalid user id: "{item["UserId"]}"')


def _changes(params: Mapping[str, Any]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    nested = params.get("CreateVolumePermission") or {}
    flat = [{"UserId": user} for user in params.get("UserIds") or []]
    flat += [{"Group": group} for group in params.get("GroupNames") or []]
    adding = params.get("OperationType") == "add"
    removing = params.get("OperationType") == "remove"
    return (
        [*nested.get("Add", []), *(flat if adding else [])],
        [*nested.get("Remove", []), *(flat if removing else [])],
    )


def _visible(account: str, region: str) -> Iterable[Any]:
    for owner in seam.iam_accounts():
        if region not in seam.ec2_regions(owner):
            continue
        for snapshot in list(seam.ec2(owner, region).snapshots.values()):
            if owner == account or _is_shared(snapshot, account):
                yield snapshot


def _is_shared(snapshot: Any, account: str) -> bool:
    shared_with = snapshot.create_volume_permission_userids
    return account in shared_with or "all" in snapshot.create_volume_permission_groups


def _tags(scene: Scene) -> dict[str, str]:
    return {
        tag["Key"]: tag.get("Value", "")
        for specification in scene.params.get("TagSpecifications") or []
        if specification.get("ResourceType") == "snapshot"
        for tag in specification.get("Tags", [])
    }


def _tags_of(resource: Any) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in resource.get_tags()}


def _tag_list(resource: Any) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in _tags_of(resource).items()]


def _not_found(snapshot_id: str) -> Refusal:
    return Refusal("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")


LAYER: Final = StrictLayer(
    answers={
        "ec2:CreateSnapshot": create_snapshot,
        "ec2:CreateSnapshots": create_snapshots,
        "ec2:CopySnapshot": copy_snapshot,
        "ec2:DescribeSnapshots": describe_snapshots,
        "ec2:ModifySnapshotAttribute": modify_snapshot_attribute,
    }
)
