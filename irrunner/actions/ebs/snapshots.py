"""A snapshot as the EBS actions see it, how one is found again, and the tags that tell where it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from irrunner.actions.contract import Model, ReadApi
from irrunner.clock import iso

MARKER_TAG: Final = "irrunner:run"
"""Written with every effect: ``<run>/<step>[<item>]``."""
INSTANCE_TAG: Final = "irrunner:instance"
DRILL_TAG: Final = "irrunner:drill"

FILTER_VALUES: Final = 200
"""Most values that one EC2 filter takes."""
MAX_TAGS: Final = 50
"""User tags of one resource; those of AWS itself (``aws:``) do not count.

Source: Amazon EC2 user guide, "Tag your Amazon EC2 resources", tag restrictions.
"""

_NOT_PLAIN: Final = re.compile(r"[^a-zA-Z0-9/_.:-]")
_INSTANCE: Final = re.compile(r"i-[0-9a-f]{8,17}", re.ASCII)


class Snapshot(Model):
    """One snapshot, described."""

    snapshot_id: str
    volume_id: str
    owner_id: str
    state: str
    state_message: str = ""
    progress: str = ""
    started_at: str = ""
    completed_at: str = ""
    encrypted: bool
    kms_key_id: str | None
    size_gib: int
    tier: str = "standard"
    instance_id: str | None = None
    """From the tag that our own snapshots carry."""

    @property
    def trouble(self) -> str:
        """Return AWS's reason in words: asynchronous failures show nowhere else."""
        return f"{self.snapshot_id} of {self.volume_id}: {self.state_message or 'AWS gives no StateMessage'}"


def instant(value: object) -> str:
    """Return RFC 3339 text of a time in an answer, empty where there is none."""
    return iso(value) if isinstance(value, datetime) else ""


def snapshot_of(answer: Mapping[str, Any]) -> Snapshot:
    """Return the snapshot of one element of ``DescribeSnapshots.Snapshots``."""
    instance_id = tags_of(answer).get(INSTANCE_TAG, "")
    return Snapshot(
        snapshot_id=answer["SnapshotId"],
        volume_id=answer.get("VolumeId") or "",
        owner_id=answer.get("OwnerId") or "",
        state=answer.get("State") or "pending",
        state_message=answer.get("StateMessage") or "",
        progress=answer.get("Progress") or "",
        started_at=instant(answer.get("StartTime")),
        completed_at=instant(answer.get("CompletionTime")),
        encrypted=bool(answer.get("Encrypted")),
        kms_key_id=answer.get("KmsKeyId") or None,
        size_gib=int(answer.get("VolumeSize") or 0),
        tier=answer.get("StorageTier") or "standard",
        instance_id=instance_id if _INSTANCE.fullmatch(instance_id) else None,
    )


def tags_of(answer: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a described resource."""
    return {tag["Key"]: tag.get("Value", "") for tag in answer.get("Tags") or ()}


def marked_answers(api: ReadApi, marker: str) -> list[Mapping[str, Any]]:
    """Return our account's snapshots that carry the marker, as AWS describes them.

    The value of a filter is a pattern (``*`` and ``?``), and a marker has brackets: whatever might mean
    something in a pattern is asked for as ``?``, and the exact value compared here.

    Source: EC2 API reference, "Filtering", wildcards.
    """
    found = api.pages(
        "ec2:DescribeSnapshots",
        "Snapshots",
        OwnerIds=["self"],
        Filters=[{"Name": f"tag:{MARKER_TAG}", "Values": [_NOT_PLAIN.sub("?", marker)]}],
    )
    return [answer for answer in found if tags_of(answer).get(MARKER_TAG) == marker]


def marked(api: ReadApi, marker: str) -> tuple[Snapshot, ...]:
    """Return our account's snapshots that carry the marker, oldest first."""
    snapshots = map(snapshot_of, marked_answers(api, marker))
    return tuple(sorted(snapshots, key=lambda item: (item.started_at, item.snapshot_id)))


def described(api: ReadApi, snapshot_ids: Sequence[str]) -> tuple[Snapshot, ...]:
    """Return the snapshots of these ids that exist: asked for by filter, so that one gone hides no other."""
    return tuple(
        snapshot_of(answer)
        for start in range(0, len(snapshot_ids), FILTER_VALUES)
        for answer in api.pages(
            "ec2:DescribeSnapshots",
            "Snapshots",
            Filters=[{"Name": "snapshot-id", "Values": list(snapshot_ids[start : start + FILTER_VALUES])}],
        )
    )


def tag_specification(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return ``TagSpecifications`` for a new snapshot; empty values are left out."""
    pairs = [{"Key": key, "Value": value} for key, value in tags.items() if value]
    return [{"ResourceType": "snapshot", "Tags": pairs}]
