"""The stages of a volume's way into the forensic account: what comes next, from what was seen.

snapshot, lock, (transfer copy,) lend the key and share, copy, lock the copy, take back what was lent. No
stage is remembered: each is read off the snapshots, locks, shares and grants that are there, so that a
process that dies at any point loses none of them and repeats none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

from forensics.acquisition.seen import AcquireState, Taken, VolumeSeen
from irrunner.actions.contract import Call
from irrunner.actions.ebs import copy_calls
from irrunner.actions.ebs.copy_to_forensics import CONCURRENT_COPIES, KEY_TRIES, transfer_obstacle
from irrunner.actions.ebs.keys import Route, obstacle
from irrunner.actions.ebs.lending import lend_key, return_key
from irrunner.actions.ebs.locks import lock_call
from irrunner.actions.ebs.snapshots import DRILL_TAG, INSTANCE_TAG, MARKER_TAG, tag_specification
from irrunner.clock import parse_iso

SET_VISIBLE_S: Final = 600.0
"""So long a set of snapshots is given to show all of its members: 5 minutes, and 5 of clock skew, beyond
which AWS refuses our signatures."""

Outcome: TypeAlias = Literal["acquired", "preserved", "not-acquired"]
"""``preserved``: a snapshot stays in the source account, but it could not be copied out of its reach."""


@dataclass(frozen=True, slots=True)
class Waits:
    """AWS is working, or a place in the queue is not free."""

    queued: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more can be done for a volume, good or bad."""

    outcome: Outcome
    reason: str = ""


@dataclass(slots=True)
class Slots:
    """Free places for copies, by destination; first come, first served, in the order of the volumes."""

    free: Counter[str]

    @classmethod
    def of(cls, state: AcquireState) -> Slots:
        """Return what the copies in progress leave free."""
        return cls(
            Counter(
                target=CONCURRENT_COPIES - state.transfers_in_progress,
                forensics=CONCURRENT_COPIES - state.copies_in_progress,
            )
        )

    def take(self, destination: str) -> bool:
        """Take a place, if one is free."""
        if self.free[destination] <= 0:
            return False
        self.free[destination] -= 1
        return True


Step: TypeAlias = "tuple[Call, ...] | Waits | Ended"


def apart(call: Call) -> Call:
    """Return a call that fails for itself alone and shares no token."""
    return replace(call, apart=True, yields={})


def steps(state: AcquireState) -> dict[str, Step]:
    """Return what comes next for each volume."""
    slots = Slots.of(state)
    return {volume.volume_id: next_step(state, volume, slots) for volume in state.volumes}


def next_step(state: AcquireState, volume: VolumeSeen, slots: Slots) -> Step:
    """Return what comes next for a volume.

    Args:
        state: What was seen.
        volume: The volume.
        slots: Free places for copies; one is taken where a copy comes next.
    """
    if volume.copy_made is not None and volume.copy_made.state != "error":
        return _with_copy(state, volume, volume.copy_made)
    if volume.source is None:
        return _snapshot(state, volume)
    return _with_source(state, volume, volume.source, slots)


def _with_source(state: AcquireState, volume: VolumeSeen, source: Taken, slots: Slots) -> Step:
    if source.state == "error":
        return Ended("not-acquired", source.trouble)
    if state.lock_days and not source.locked and "lock" not in volume.refused:
        return (lock_call(source.snapshot_id, "governance", state.lock_days),)
    if source.state != "completed":
        return Waits()
    reason = _cannot_leave(state, volume)
    if reason:
        return _end(state, volume, Ended("preserved", reason))
    return _transfer(state, volume, slots) or _lend(state, volume) or _copy(state, volume, slots)


def _snapshot(state: AcquireState, volume: VolumeSeen) -> Step:
    if not volume.exists:
        return Ended("not-acquired", f"{volume.volume_id} does not exist (any more), and was not snapshotted")
    if "snapshot" in volume.refused:
        return Ended("not-acquired", volume.refused["snapshot"])
    if not volume.in_set or "set" in volume.refused:
        return (create_one(state, volume),)
    taken_at = min((s.started_at for s in _set_of(state, volume)), default="")
    if not taken_at:
        return (create_set(state, str(volume.instance_id)),)
    age_s = (parse_iso(state.seen_at) - parse_iso(taken_at)).total_seconds()
    expected = volume.attached_at <= taken_at and age_s < SET_VISIBLE_S
    return Waits() if expected else (create_one(state, volume),)


def _set_of(state: AcquireState, volume: VolumeSeen) -> list[Taken]:
    return [
        item.source
        for item in state.volumes
        if item.instance_id == volume.instance_id and item.source is not None
    ]


def _cannot_leave(state: AcquireState, volume: VolumeSeen) -> str:
    """Return why the snapshot cannot be copied to the forensic account; empty: it can."""
    name = f"the forensic key {state.forensic_key_name} (forensics.kms_key)"
    found = obstacle(state.forensic_key, name) or volume.obstacle
    if not found and state.route(volume) is Route.TRANSFER:
        found = transfer_obstacle(state) or ""
    refused = (
        volume.refused[stage] for stage in ("transfer", "lend", "share", "copy") if stage in volume.refused
    )
    return found or next(refused, "") or _failed_for_good(state, volume)


def _failed_for_good(state: AcquireState, volume: VolumeSeen) -> str:
    """Return AWS's reason where copies failed: only a key that KMS did not know yet is worth a second try."""
    if volume.transfer is not None and volume.transfer.state == "error":
        return volume.transfer.trouble
    copy = volume.copy_made
    if copy is None or copy.state != "error":
        return ""
    about_key = "key" in copy.message.lower() and state.lent_key(volume) is not None
    return "" if about_key and volume.failed_copies < KEY_TRIES else copy.trouble


def _transfer(state: AcquireState, volume: VolumeSeen, slots: Slots) -> Step | None:
    if state.route(volume) is not Route.TRANSFER:
        return None
    if volume.transfer is None:
        if not slots.take("target"):
            return Waits(queued=True)
        return (apart(copy_calls.transfer_copy(state, volume.as_snapshot(state.account_id))),)
    return None if volume.transfer.state == "completed" else Waits()


def _lend(state: AcquireState, volume: VolumeSeen) -> Step | None:
    """Lend the key (one grant for all volumes under it) and share the snapshot."""
    key, lent = state.lent_key(volume), state.lent(volume)
    calls = []
    if key is not None and key.arn not in state.grants:
        calls.append(apart(lend_key(state, key)))
    if lent is not None and not volume.shared:
        calls.append(apart(copy_calls.share(state, lent.snapshot_id)))
    return tuple(calls) or None


def _copy(state: AcquireState, volume: VolumeSeen, slots: Slots) -> Step:
    lent = state.lent(volume)
    assert lent is not None  # noqa: S101 - what is shared exists
    if not slots.take("forensics"):
        return Waits(queued=True)
    source = volume.as_snapshot(state.account_id)
    return (apart(copy_calls.forensic_copy(state, source, lent.snapshot_id)),)


def _with_copy(state: AcquireState, volume: VolumeSeen, copy: Taken) -> Step:
    """Once the copy is there: lock it, and take the snapshot back, in one round."""
    if copy.state != "completed":
        return Waits()
    wrong = differences(state, volume, copy)
    ended = Ended("preserved", f"{copy.snapshot_id}, read back: {wrong}") if wrong else Ended("acquired")
    last = _end(state, volume, ended)
    if not state.lock_days or copy.locked or "lock-copy" in volume.refused:
        return last
    more: dict[str, Any] = {"scope": "forensics", "region": state.forensic_region}
    lock = lock_call(copy.snapshot_id, "governance", state.lock_days, **more)
    return (lock, *last) if isinstance(last, tuple) else (lock,)


def differences(state: AcquireState, volume: VolumeSeen, copy: Taken) -> str:
    """Return how a copy differs from what was asked for; empty: it does not."""
    key = state.forensic_key.arn if state.forensic_key else state.forensic_key_name
    checks = (
        ("owner", copy.owner_id, str(state.forensic_account_id)),
        ("key", copy.kms_key_id, key),
        ("size in GiB", copy.size_gib, volume.size_gib or copy.size_gib),
    )
    return "; ".join(f"{name} is {found}, not {wanted}" for name, found, wanted in checks if found != wanted)


def _end(state: AcquireState, volume: VolumeSeen, ended: Ended) -> Step:
    """Take the snapshot back from the forensic account before the end, good or bad."""
    lent = state.lent(volume)
    if volume.shared and lent is not None and "share" not in volume.refused:
        return (apart(copy_calls.unshare(state, lent.snapshot_id)),)
    return ended


def returns(state: AcquireState, following: Iterable[tuple[VolumeSeen, Step]]) -> tuple[Call, ...]:
    """Return the calls that take back the keys that no volume needs any more.

    Args:
        state: What was seen.
        following: Each volume with what comes next for it.
    """
    needed, refused = set(), set()
    for volume, step in following:
        key = state.lent_key(volume)
        if key is not None and not isinstance(step, Ended):
            needed.add(key.arn)
        if key is not None and "return" in volume.refused:
            refused.add(key.arn)
    lent = {key.arn: key for volume in state.volumes if (key := state.lent_key(volume)) is not None}
    return tuple(
        apart(return_key(lent[arn], grant_id))
        for arn, grant_id in sorted(state.grants.items())
        if arn not in needed | refused and arn in lent
    )


def create_one(state: AcquireState, volume: VolumeSeen) -> Call:
    """Return the call that snapshots one volume."""
    return apart(
        Call(
            operation="ec2:CreateSnapshot",
            params={
                "VolumeId": volume.volume_id,
                "Description": f"irrunner evidence of {volume.volume_id}",
                "TagSpecifications": tag_specification(_tags(state, volume.instance_id)),
            },
            target=volume.volume_id,
            summary=f"Snapshot {volume.volume_id}",
            reversible=False,
        )
    )


def create_set(state: AcquireState, instance_id: str) -> Call:
    """Return the call that snapshots all volumes of an instance at one instant."""
    return apart(
        Call(
            operation="ec2:CreateSnapshots",
            params={
                "Description": f"irrunner evidence of {instance_id}",
                "InstanceSpecification": {"InstanceId": instance_id, "ExcludeBootVolume": False},
                "TagSpecifications": tag_specification(_tags(state, instance_id)),
            },
            target=instance_id,
            summary=f"Snapshot all volumes of {instance_id} at one instant",
            reversible=False,
        )
    )


def _tags(state: AcquireState, instance_id: str | None) -> dict[str, str]:
    return {
        MARKER_TAG: state.marker,
        INSTANCE_TAG: instance_id or "",
        DRILL_TAG: "true" if state.drill else "",
    }
