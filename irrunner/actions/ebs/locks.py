"""Snapshot locks: how they are read, how strong they are, and the call that sets one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from irrunner.actions.contract import Call, Model, ReadApi, Scope
from irrunner.actions.ebs.snapshots import instant
from irrunner.clock import parse_iso

Mode: TypeAlias = Literal["governance", "compliance"]

STANDING: Final = {"governance": 1, "compliance-cooloff": 2, "compliance": 2}
"""Lock states that protect, by strength; ``expired`` does not.

Source: EC2 API reference, LockSnapshot, LockState.
"""
SLACK_DAYS: Final = 0.5
"""A step that is repeated within hours finds its own lock long enough."""
DAY_S: Final = 86_400.0
_IDS_OF_ONE_READ: Final = 200


class Lock(Model):
    """A lock on a snapshot, described."""

    snapshot_id: str
    state: str
    days: int
    expires_at: str = ""
    """Empty while a pending snapshot has not begun to count."""

    def holds(self, mode: Mode, days: int, now: datetime) -> bool:
        """Return whether the lock is as strong as asked for, and as long.

        Args:
            mode: The mode that is wanted.
            days: How long from now on.
            now: When the lock was looked at.
        """
        if STANDING.get(self.state, 0) < STANDING[mode]:
            return False
        left = (parse_iso(self.expires_at) - now).total_seconds() / DAY_S if self.expires_at else self.days
        return left >= days - SLACK_DAYS


def locks_of(api: ReadApi, snapshot_ids: Iterable[str]) -> dict[str, Lock]:
    """Return the locks of own snapshots by snapshot id; one that is not locked is absent.

    botocore has no paginator for this read, so its pages are followed here.

    Args:
        api: Reads in the account and Region that own the snapshots.
        snapshot_ids: Which snapshots.
    """
    wanted, found = sorted(set(snapshot_ids)), dict[str, Lock]()
    for start in range(0, len(wanted), _IDS_OF_ONE_READ):
        found |= _read(api, wanted[start : start + _IDS_OF_ONE_READ])
    return found


def _read(api: ReadApi, snapshot_ids: Sequence[str]) -> dict[str, Lock]:
    asked: dict[str, Any] = {"SnapshotIds": list(snapshot_ids)}
    found: dict[str, Lock] = {}
    while True:
        answer = api.call("ec2:DescribeLockedSnapshots", **asked)
        locks = (_lock(item) for item in answer.get("Snapshots") or ())
        found |= {lock.snapshot_id: lock for lock in locks}
        if not answer.get("NextToken"):
            return found
        asked["NextToken"] = answer["NextToken"]


def _lock(answer: Mapping[str, Any]) -> Lock:
    return Lock(
        snapshot_id=answer["SnapshotId"],
        state=answer.get("LockState") or "expired",
        days=int(answer.get("LockDuration") or 0),
        expires_at=instant(answer.get("LockExpiresOn")),
    )


def lock_call(
    snapshot_id: str, mode: Mode, days: int, *, cool_off_hours: int | None = None, scope: Scope = "target",
    region: str | None = None, held: Lock | None = None,
) -> Call:  # fmt: skip
    """Return the call that locks a snapshot, or makes its lock longer or stronger.

    Args:
        snapshot_id: The snapshot; it may still be pending.
        mode: ``governance``, which a privileged person can remove, or ``compliance``, which nobody can.
        days: From now on.
        cool_off_hours: In which a compliance lock can still be removed; None: it holds at once.
        scope: The account that owns the snapshot.
        region: Its Region, if it is not the incident's.
        held: The lock that there is; one in compliance mode stays in it.
    """
    strict = held is not None and STANDING.get(held.state) == STANDING["compliance"]
    chosen: Mode = "compliance" if strict else mode
    params: dict[str, Any] = {"SnapshotId": snapshot_id, "LockMode": chosen, "LockDuration": days}
    if chosen == "compliance" and cool_off_hours is not None and not strict:
        params["CoolOffPeriod"] = cool_off_hours
    return Call(
        operation="ec2:LockSnapshot",
        params=params,
        target=snapshot_id,
        summary=f"Lock {snapshot_id} against deletion ({chosen}, {days} days)",
        before={"lock": held.state if held else None},
        after={"lock": chosen, "days": days},
        reversible=False,
        scope=scope,
        region=region,
        apart=True,
    )
