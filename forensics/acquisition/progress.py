"""How far an acquisition is, and about how long it will take: from AWS's own progress of running copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from forensics.acquisition.seen import AcquireState, Taken, VolumeSeen
from forensics.acquisition.stages import Ended, Step, Waits
from irrunner.actions.ebs.copy_to_forensics import CONCURRENT_COPIES
from irrunner.actions.ebs.keys import Route
from irrunner.clock import parse_iso

_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


def remaining_s(state: AcquireState, following: Mapping[str, Step]) -> float | None:
    """Return about how many seconds the copies still need; None while AWS has shown no progress.

    The mean speed of the copies so far, over as many at a time as AWS lets run. A snapshot's own time is
    not in it: snapshots run all at once, and copies wait for them.
    """
    speeds = [
        speed for volume in state.volumes for taken in _copies(volume) if (speed := _speed(state, taken))
    ]
    open_volumes = [item for item in state.volumes if not isinstance(following[item.volume_id], Ended)]
    left_gib = sum(_left_gib(state, volume) for volume in open_volumes)
    if not speeds or not open_volumes:
        return None
    lanes = min(CONCURRENT_COPIES, len(open_volumes))
    return left_gib / (sum(speeds) / len(speeds) * lanes)


def words(state: AcquireState, following: Mapping[str, Step]) -> str:
    """Return the progress in one line for people."""
    ended = [step for step in following.values() if isinstance(step, Ended)]
    acquired = sum(step.outcome == "acquired" for step in ended)
    queued = sum(isinstance(step, Waits) and step.queued for step in following.values())
    parts = [f"{acquired} of {len(following)} volumes acquired"]
    if len(ended) > acquired:
        parts.append(f"{len(ended) - acquired} cannot be")
    parts.append(f"{state.copies_in_progress + state.transfers_in_progress} copies running, {queued} queued")
    left_s = remaining_s(state, following)
    return ", ".join(parts) + (f"; about {duration(left_s)} left" if left_s is not None else "")


def duration(seconds: float) -> str:
    """Return a time in the unit that people would say it in."""
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.1f} h"


def _copies(volume: VolumeSeen) -> list[Taken]:
    return [taken for taken in (volume.transfer, volume.copy_made) if taken and taken.state != "error"]


def _speed(state: AcquireState, taken: Taken) -> float | None:
    """Return GiB a second; None where AWS's and our clocks do not allow a statement."""
    ended = taken.completed_at or (state.seen_at if taken.state == "pending" else "")
    if not ended or not taken.started_at or not taken.percent:
        return None
    elapsed_s = (parse_iso(ended) - parse_iso(taken.started_at)).total_seconds()
    return taken.size_gib * taken.percent / 100 / elapsed_s if elapsed_s > 0 else None


def _left_gib(state: AcquireState, volume: VolumeSeen) -> float:
    legs = [volume.copy_made]
    if state.route(volume) is Route.TRANSFER:
        legs.append(volume.transfer)
    done = sum((taken.percent if taken and taken.state != "error" else 0) for taken in legs)
    return volume.size_gib * (len(legs) - done / 100)
