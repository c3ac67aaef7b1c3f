"""``aws.s3.list-changed-objects``: which object versions were written or deleted in a window of time.

S3 lists by key, not by time: the whole bucket (or prefix) must be read, so the reading is bounded and an
answer says whether it is complete. Keys are the attacker's to choose; S3 is asked to URL-encode them (XML
cannot hold them all), and so they are handed on, so that none can write to a terminal or a report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Self
from urllib.parse import quote, unquote_plus

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from irrunner.actions.contract import Action, Decision, LookContext, Model, Permission, Settled, State, Where
from irrunner.actions.registry import action
from irrunner.actions.s3.buckets import API_REFERENCE, BUCKET, OneBucket, of
from irrunner.clock import iso
from irrunner.vocabulary import Phase, Risk, UndoPolicy

PAGE: Final = 1000
LISTED: Final = 200
"""How many changes an answer names; the rest is counted."""


class ChangedObjectsParams(OneBucket):
    """Parameters."""

    since: AwareDatetime
    until: AwareDatetime | None = None
    """Default: the step's start."""
    prefix: Annotated[str, StringConstraints(max_length=1024)] = ""
    max_versions: int = Field(default=100_000, ge=PAGE, le=1_000_000)
    """How many versions are read at most."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until is not None and self.until <= self.since:
            raise ValueError("until is not after since")
        return self


class Change(Model):
    """A version or delete marker of the window."""

    key: str
    """URL-encoded."""
    version_id: str
    at: str
    size_bytes: int
    """0 for a delete marker."""
    deleted: bool
    """It is a delete marker: the versions below it are still there."""
    latest: bool


class ChangedObjectsOutputs(Model):
    """Outputs."""

    bucket_name: str
    since: str
    until: str
    written_count: int
    written_bytes: int
    delete_marker_count: int
    changes: list[Change]
    """The newest of them, at most 200."""
    read_count: int
    """How many versions were read."""
    complete: bool
    """False: the bucket has more versions than were read."""
    next_key: str | None
    """URL-encoded key from which an incomplete reading would go on."""


class ChangedObjectsState(State):
    """What was read."""

    found: ChangedObjectsOutputs
    versioned: bool


@action(
    "aws.s3.list-changed-objects",
    title="List object versions and delete markers of a window of time",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    timeout_s=1800.0,
    permissions=(
        Permission("s3:ListBucketVersions", BUCKET),
        Permission("s3:GetBucketVersioning", BUCKET),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="Reads only: there is nothing to undo.",
    sources=(
        f"{API_REFERENCE}/API_ListObjectVersions.html",
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeleteMarker.html",
    ),
)
class ListChangedObjects(Action[ChangedObjectsParams, ChangedObjectsState]):
    """Read versions page by page; count all that changed, name the newest."""

    Params = ChangedObjectsParams
    Outputs = ChangedObjectsOutputs
    StateModel = ChangedObjectsState

    def look(self, ctx: LookContext, params: ChangedObjectsParams) -> ChangedObjectsState:
        """Read until the end or the bound."""
        versioning = ctx.api.call("s3:GetBucketVersioning", **of(ctx, params))
        tally = _Tally(params.since, params.until or ctx.started)
        place: dict[str, str] = {}
        for page in _pages(ctx, params):
            tally.add(page)
            place = _next(page)
        found = ChangedObjectsOutputs(
            bucket_name=params.bucket_name,
            since=iso(tally.since),
            until=iso(tally.until),
            written_count=tally.written_count,
            written_bytes=tally.written_bytes,
            delete_marker_count=tally.delete_marker_count,
            changes=tally.newest(),
            read_count=tally.read_count,
            complete=not place,
            next_key=quote(place["KeyMarker"]) if place else None,
        )
        return ChangedObjectsState(found=found, versioned=bool(versioning.get("Status")))

    def decide(self, params: ChangedObjectsParams, state: ChangedObjectsState) -> Decision:
        """Nothing is ever to be done."""
        told = (
            (
                not state.found.complete,
                f"only {state.found.read_count} versions were read: give a prefix, or a larger max_versions",
            ),
            (
                not state.versioned,
                (
                    "the bucket was never versioned: deleted and overwritten objects left no trace here,"
                    " only in CloudTrail data events and server access logs"
                ),
            ),
            (state.versioned, "versions that were deleted for good are not listed"),
        )
        return Settled(state.found, tuple(text for holds, text in told if holds))

    def targets(self, params: ChangedObjectsParams, where: Where) -> tuple[str, ...]:
        """Return nothing: reads only."""
        return ()


class _Tally:
    """Counts what falls into a window, and keeps the newest."""

    def __init__(self, since: datetime, until: datetime) -> None:
        self.since, self.until = since, until
        self.read_count = self.written_count = self.written_bytes = self.delete_marker_count = 0
        self._changes: list[Change] = []

    def add(self, page: Mapping[str, Any]) -> None:
        """Count a page."""
        encoded = _is_encoded(page)
        for name, deleted in (("Versions", False), ("DeleteMarkers", True)):
            for entry in page.get(name) or ():
                self.read_count += 1
                if self.since <= entry["LastModified"] <= self.until:
                    self._count(entry, deleted=deleted, encoded=encoded)
        self._changes = self.newest()

    def newest(self) -> list[Change]:
        """Return the newest changes."""
        return sorted(self._changes, key=lambda change: (change.at, change.key), reverse=True)[:LISTED]

    def _count(self, entry: Mapping[str, Any], *, deleted: bool, encoded: bool) -> None:
        size = 0 if deleted else int(entry.get("Size") or 0)
        self.written_count += not deleted
        self.written_bytes += size
        self.delete_marker_count += deleted
        change = Change(
            key=quote(_raw(entry["Key"], encoded=encoded)),
            version_id=str(entry.get("VersionId") or "null"),
            at=iso(entry["LastModified"]),
            size_bytes=size,
            deleted=deleted,
            latest=bool(entry.get("IsLatest")),
        )
        self._changes.append(change)


def _pages(ctx: LookContext, params: ChangedObjectsParams) -> Iterator[Mapping[str, Any]]:
    """Yield pages up to the bound; botocore's paginator has none."""
    place: dict[str, str] = {}
    for _ in range(-(-params.max_versions // PAGE)):
        page = ctx.api.call(
            "s3:ListObjectVersions",
            **of(ctx, params),
            Prefix=params.prefix,
            MaxKeys=PAGE,
            EncodingType="url",
            **place,
        )
        yield page
        following = _next(page)
        if not following or following == place:
            return
        place = following


def _next(page: Mapping[str, Any]) -> dict[str, str]:
    """Return the markers of the page after this one, none at the end."""
    if not page.get("IsTruncated") or not page.get("NextKeyMarker"):
        return {}
    place = {"KeyMarker": _raw(page["NextKeyMarker"], encoded=_is_encoded(page))}
    version = page.get("NextVersionIdMarker")
    return {**place, "VersionIdMarker": version} if version else place


def _is_encoded(page: Mapping[str, Any]) -> bool:
    return page.get("EncodingType") == "url"


def _raw(key: str, *, encoded: bool) -> str:
    """Return a key as it is; S3 writes a blank as ``+``."""
    return unquote_plus(key) if encoded else str(key)
