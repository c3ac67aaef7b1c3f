"""Snapshot locks, which moto does not know.

Source: EBS user guide, "Amazon EBS snapshot lock"; EC2 API reference, LockSnapshot. Pending snapshots can be
locked; governance locks can be removed, compliance locks only within their cool-off period.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from gameday.world import ebs, seam
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock on a snapshot."""

    mode: str
    created_on: datetime
    cool_off_hours: int
    expires_on: datetime

    def state(self, now: datetime) -> str:
        """Return ``governance compliance compliance-cooloff expired``."""
        if now >= self.expires_on:
            return "expired"
        cooling = now < self.created_on + timedelta(hours=self.cool_off_hours)
        return "compliance-cooloff" if self.mode == "compliance" and cooling else self.mode


def lock_snapshot(scene: Scene) -> Mapping[str, Any]:
    """Lock a snapshot against deletion."""
    snapshot, params, now = ebs.own(scene), scene.params, scene.realm.clock.now()
    if ("LockDuration" in params) == ("ExpirationDate" in params):
        raise Refusal(
            "InvalidParameterCombination", "Specify either LockDuration or ExpirationDate, but not both."
        )
    if "CoolOffPeriod" in params and params["LockMode"] != "compliance":
        raise Refusal("InvalidParameterCombination", "CoolOffPeriod is for compliance mode only.")
    held = _held(snapshot, now)
    expires_on = params.get("ExpirationDate") or now + timedelta(days=int(params["LockDuration"]))
    if held and held.state(now) == "compliance" and expires_on < held.expires_on:
        raise Refusal("OperationNotPermitted", "A compliance lock cannot be shortened.")
    snapshot.lock = Lock(params["LockMode"], now, int(params.get("CoolOffPeriod", 0)), expires_on)
    return _view(snapshot, now)


def unlock_snapshot(scene: Scene) -> Mapping[str, Any]:
    """Remove a lock that may be removed."""
    snapshot, now = ebs.own(scene), scene.realm.clock.now()
    held = _held(snapshot, now)
    if held is None:
        raise Refusal("SnapshotLock.NotFound", f"Snapshot {snapshot.id} is not locked.")
    if held.state(now) == "compliance":
        raise Refusal("OperationNotPermitted", "A compliance lock cannot be removed.")
    snapshot.lock = None
    return {"SnapshotId": snapshot.id}


def describe_locked_snapshots(scene: Scene) -> Mapping[str, Any]:
    """List own locked snapshots."""
    now, asked = scene.realm.clock.now(), scene.params.get("SnapshotIds") or []
    mine = seam.ec2(scene.account, scene.region).snapshots.values()
    return {"Snapshots": [_view(s, now) for s in mine if _held(s, now) and (not asked or s.id in asked)]}


def refuse_deletion(scene: Scene) -> None:
    """Refuse to delete a locked snapshot."""
    snapshot = ebs.own(scene)
    if _held(snapshot, scene.realm.clock.now()):
        raise Refusal("OperationNotPermitted", f"Snapshot {snapshot.id} is locked.")


def lock_of(snapshot: Any) -> Lock | None:
    """Return a snapshot's lock, or None."""
    found: Lock | None = getattr(snapshot, "lock", None)
    return found


def _held(snapshot: Any, now: datetime) -> Lock | None:
    lock = lock_of(snapshot)
    return lock if lock and lock.state(now) != "expired" else None


def _view(snapshot: Any, now: datetime) -> dict[str, Any]:
    lock = snapshot.lock
    return {
        "OwnerId": snapshot.owner_id,
        "SnapshotId": snapshot.id,
        "LockState": lock.state(now),
        "LockDuration": (lock.expires_on - lock.created_on).days,
        "CoolOffPeriod": lock.cool_off_hours or None,
        "LockCreatedOn": lock.created_on,
        "LockExpiresOn": lock.expires_on,
    }


LAYER: Final = StrictLayer(
    rules={"ec2:DeleteSnapshot": (refuse_deletion,)},
    answers={
        "ec2:LockSnapshot": lock_snapshot,
        "ec2:UnlockSnapshot": unlock_snapshot,
        "ec2:DescribeLockedSnapshots": describe_locked_snapshots,
    },
)
