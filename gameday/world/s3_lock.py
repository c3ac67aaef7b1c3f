"""S3 Object Lock as AWS keeps it: retention by the world's clock, which nobody shortens.

Source: Amazon S3 user guide, "Locking objects with Object Lock": a version under COMPLIANCE cannot be
deleted, nor its retention shortened or its mode changed, by any user; under GOVERNANCE only with
``x-amz-bypass-governance-retention``; versioning of such a bucket cannot be suspended. A delete without a
version id makes a delete marker, which Object Lock does not prevent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from gameday.world import seam
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

COMPLIANCE: Final = "COMPLIANCE"
GOVERNANCE: Final = "GOVERNANCE"
LOCKED: Final = "Access Denied because object protected by object lock."


def _bucket(scene: Scene) -> Any | None:
    return seam.s3(scene.account).buckets.get(scene.params.get("Bucket", ""))


def _version(scene: Scene, key: str, version_id: str | None) -> Any | None:
    """Return a version of an object; without an id the newest."""
    bucket = _bucket(scene)
    versions = bucket.keys.getlist(key, default=[]) if bucket is not None else []
    wanted = [each for each in versions if version_id is None or str(each.version_id) == version_id]
    return wanted[-1] if wanted else None


def _until(version: Any) -> datetime | None:
    text = getattr(version, "lock_until", None)
    if not text:
        return None
    return _aware(datetime.fromisoformat(str(text)))


def _aware(moment: datetime) -> datetime:
    """Return the moment in UTC; the wire's parser leaves the zone out."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _mode(version: Any, now: datetime) -> str | None:
    """Return the mode that protects a version now."""
    until = _until(version)
    return str(version.lock_mode) if until is not None and until > now and version.lock_mode else None


def _protects(version: Any, now: datetime, *, bypass: bool) -> bool:
    if version is None:
        return False
    mode = _mode(version, now)
    if mode is None:
        version.lock_mode = version.lock_until = None  # moto would look at the machine's clock
    held = getattr(version, "lock_legal_status", None) == "ON"
    return held or mode == COMPLIANCE or (mode == GOVERNANCE and not bypass)


def delete_object(scene: Scene) -> None:
    """Refuse to delete a version under retention or legal hold."""
    version_id, params = scene.params.get("VersionId"), scene.params
    if version_id is None:
        return
    version = _version(scene, params["Key"], version_id)
    if _protects(version, scene.realm.clock.now(), bypass=bool(params.get("BypassGovernanceRetention"))):
        raise Refusal("AccessDenied", LOCKED, 403)


def hold_protected(scene: Scene) -> None:
    """Hold, for this one call, what the world's clock protects: moto then refuses it entry by entry."""
    bypass = bool(scene.params.get("BypassGovernanceRetention"))
    for version in _versions_named(scene):
        held = getattr(version, "lock_legal_status", None) == "ON"
        if _protects(version, scene.realm.clock.now(), bypass=bypass) and not held:
            version.lock_legal_status, version.held_for_a_call = "ON", True


def release_held(scene: Scene) -> None:
    """Take off what :func:`hold_protected` has put on."""
    for version in _versions_named(scene):
        if getattr(version, "held_for_a_call", False):
            version.lock_legal_status, version.held_for_a_call = None, False


def _versions_named(scene: Scene) -> Iterator[Any]:
    for each in _named(scene.params):
        version = _version(scene, each["Key"], each["VersionId"]) if each.get("VersionId") else None
        if version is not None:
            yield version


def _named(params: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return (params.get("Delete") or {}).get("Objects") or ()


def put_object(scene: Scene) -> None:
    """Refuse a retention that has passed already."""
    until = scene.params.get("ObjectLockRetainUntilDate")
    if until is not None and _aware(until) <= scene.realm.clock.now():
        raise Refusal("InvalidArgument", "The retain until date must be in the future!")


def put_retention(scene: Scene) -> None:
    """Refuse to weaken the retention of a version."""
    params, now = scene.params, scene.realm.clock.now()
    version = _version(scene, params["Key"], params.get("VersionId"))
    mode = _mode(version, now) if version is not None else None
    if mode is None:
        return
    wanted = params.get("Retention") or {}
    until, before = wanted.get("RetainUntilDate"), _until(version)
    shorter = until is None or (before is not None and _aware(until) < before)
    weaker = shorter or (mode == COMPLIANCE and wanted.get("Mode") != COMPLIANCE)
    if weaker and not (mode == GOVERNANCE and params.get("BypassGovernanceRetention")):
        raise Refusal("AccessDenied", LOCKED, 403)


def put_versioning(scene: Scene) -> None:
    """Refuse to suspend the versions of a bucket with Object Lock."""
    bucket = _bucket(scene)
    status = (scene.params.get("VersioningConfiguration") or {}).get("Status")
    if bucket is not None and bucket.object_lock_enabled and status != "Enabled":
        raise Refusal(
            "InvalidBucketState",
            "An Object Lock configuration is present on this bucket, so its versioning cannot be changed.",
            409,
        )


LAYER: Final = StrictLayer(
    rules={
        "s3:CopyObject": (put_object,),
        "s3:DeleteObject": (delete_object,),
        "s3:DeleteObjects": (hold_protected,),
        "s3:PutBucketVersioning": (put_versioning,),
        "s3:PutObject": (put_object,),
        "s3:PutObjectRetention": (put_retention,),
    },
    effects={"s3:DeleteObjects": release_held},
)
