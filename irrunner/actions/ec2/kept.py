"""Whether the volumes of an instance are kept by snapshots, as they are read and not as they are listed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from irrunner.actions.contract import Model, ReadApi
from irrunner.actions.ebs.snapshots import MARKER_TAG, instant, tags_of
from irrunner.actions.ids import is_token
from irrunner.clock import iso


class AttachedVolume(Model):
    """An attached EBS volume."""

    volume_id: str
    device: str
    delete_on_termination: bool


class Cover(Model):
    """A snapshot that may keep a volume."""

    snapshot_id: str
    volume_id: str
    state: str
    trouble: str
    """AWS's StateMessage, as a rule empty."""
    started_at: str
    run_id: str
    """The run that took it; empty: none of ours."""


def attached_volumes(instance: Mapping[str, Any]) -> Iterator[AttachedVolume]:
    """Yield the EBS volumes of a described instance."""
    for mapping in instance.get("BlockDeviceMappings") or ():
        if "VolumeId" in mapping.get("Ebs", {}):
            yield AttachedVolume(
                volume_id=mapping["Ebs"]["VolumeId"],
                device=mapping["DeviceName"],
                delete_on_termination=bool(mapping["Ebs"].get("DeleteOnTermination")),
            )


def covers_of(api: ReadApi, volumes: Sequence[AttachedVolume]) -> tuple[Cover, ...]:
    """Return our account's snapshots of the volumes; an instance has fewer than a filter takes values."""
    if not volumes:
        return ()
    described = api.pages(
        "ec2:DescribeSnapshots",
        "Snapshots[]",
        OwnerIds=["self"],
        Filters=[{"Name": "volume-id", "Values": [volume.volume_id for volume in volumes]}],
    )
    covers = (
        Cover(
            snapshot_id=raw["SnapshotId"],
            volume_id=raw["VolumeId"],
            state=raw.get("State") or "pending",
            trouble=raw.get("StateMessage") or "",
            started_at=instant(raw.get("StartTime")),
            run_id=tags_of(raw).get(MARKER_TAG, "").partition("/")[0],
        )
        for raw in described
    )
    return tuple(sorted(covers, key=lambda cover: (cover.volume_id, cover.started_at, cover.snapshot_id)))


def not_kept(
    volumes: Iterable[AttachedVolume], covers: Sequence[Cover], run_id: str, taken_after: str | None
) -> Iterator[str]:
    """Yield why a volume is not kept, for each that is not.

    Args:
        volumes: Those that must be kept.
        covers: The snapshots that may keep them.
        run_id: Snapshots of this run count, whenever they were begun.
        taken_after: Others count if they were begun after this instant (or token of a plan); None: never.
    """
    for volume in volumes:
        flaws = [_flaw(cover, run_id, taken_after) for cover in covers if cover.volume_id == volume.volume_id]
        if "" not in flaws:
            why = ", ".join(flaws) or "none of the snapshots is of it"
            yield f"{volume.volume_id} ({volume.device}): {why}"


def _flaw(cover: Cover, run_id: str, taken_after: str | None) -> str:
    """Return why a snapshot does not keep its volume, empty where it does."""
    name = cover.snapshot_id
    if cover.state == "error":
        return f"{name} has failed ({cover.trouble or 'AWS gives no StateMessage'})"
    if cover.state != "completed":
        return f"{name} is {cover.state}: await it (aws.ebs.await-snapshots)"
    if cover.run_id == run_id:
        return ""
    if taken_after is None:
        return f"{name} is not of this run: say by taken_after when the incident began"
    if not is_token(taken_after) and cover.started_at < iso(datetime.fromisoformat(taken_after)):
        return f"{name} was begun at {cover.started_at}, before the incident"
    return ""
