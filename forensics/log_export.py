"""``aws.logs.export``: copy the log objects of a time window out of the reach of whoever can delete them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from forensics.s3_objects import measured_object
from forensics.sink import OWN_ACCOUNT, PREFIX, SINK_PERMISSIONS, Retention, path_of
from irrunner.actions.contract import (
    Act,
    Action,
    Broken,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    ReadApi,
    Refused,
    Settled,
    State,
    Where,
)  # fmt: skip
from irrunner.actions.registry import action
from irrunner.clock import iso, parse_iso
from irrunner.vocabulary import Phase, Risk, UndoPolicy

CALLS_OF_A_ROUND: Final = 200
LARGEST_COPY: Final = 5 << 30
"""Bytes that CopyObject copies. Source: S3 API reference, CopyObject."""
LATE: Final = timedelta(hours=2)
"""So long after the event a log may be delivered; objects of the window are looked for so much longer."""
MOST_DAYS: Final = 92
MOST_PAGES: Final = 50
COPY: Final = "s3:CopyObject"


class ExportLogsParams(Model):
    """Parameters of ``aws.logs.export``, as ``aws.logs.locate`` says them."""

    bucket: str = Field(min_length=3, max_length=63)
    prefix: str = Field(default="", max_length=900)
    day_format: str = Field(default="", max_length=64)
    since: str
    """RFC 3339."""
    until: str
    most_objects: int = Field(default=500, ge=1, le=1000)
    most_bytes: int = Field(default=10 << 30, ge=1)

    @field_validator("since", "until")
    @classmethod
    def _is_an_instant(cls, value: str) -> str:
        if parse_iso(value).tzinfo is None:
            raise ValueError("an instant needs its offset from UTC: 2026-01-01T00:00:00Z")
        return value

    @model_validator(mode="after")
    def _is_a_window(self) -> Self:
        since, until = self.window
        if not since < until <= since + timedelta(days=MOST_DAYS):
            raise ValueError(f"until must be after since, by at most {MOST_DAYS} days")
        return self

    @property
    def window(self) -> tuple[datetime, datetime]:
        """Return from when to when."""
        return parse_iso(self.since), parse_iso(self.until)


class LogObject(Model):
    """One log object, and its copy."""

    key: str
    bytes: int
    etag: str
    modified_at: str
    copy_key: str
    state: Literal["wanted", "copied", "refused", "differs"]
    reason: str = ""
    sha256: str = ""
    """Of the copy, once every object has been tried."""


class ExportLogsState(State):
    """The objects of the window, within the bounds, and which of them are copied."""

    source_bucket: str
    bucket: str | None
    region: str | None = None
    marker: str = ""
    retention_mode: str = ""
    """Object Lock of the copies; empty: as the bucket's default says."""
    retain_until: str = ""
    objects: tuple[LogObject, ...] = ()
    left_out: int = 0
    """Objects of the window beyond the bounds."""
    complete: bool = True
    """Whether the whole listing was read."""


class ExportedObject(Model):
    """A log object in the evidence bucket."""

    key: str
    location: str
    bytes: int
    etag: str
    sha256: str


class ExportLogsOutputs(Model):
    """Outputs of ``aws.logs.export``."""

    bucket: str
    objects: list[ExportedObject]
    count: int
    bytes: int
    not_copied: list[str]
    complete: bool
    """Whether every object of the window is there."""


@action(
    "aws.logs.export",
    title="Copy the logs of a time window into the evidence bucket",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    permissions=(
        Permission("s3:ListBucket", "arn:{partition}:s3:::{bucket}"),
        *SINK_PERMISSIONS,
        Permission("s3:GetObject", "arn:{partition}:s3:::{bucket}/*", scope="forensics", use="act"),
        Permission(
            "s3:PutObjectTagging",
            f"arn:{{partition}}:s3:::*/{PREFIX}/*",
            scope="forensics",
            use="act",
            conditions=OWN_ACCOUNT,
        ),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="The copies are evidence, which undo never deletes; the logs themselves are only read.",
    timeout_s=3600.0,
    consistency_s=5.0,
    sources=(
        "https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html",
        "https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html",
    ),
)
class ExportLogs(Action[ExportLogsParams, ExportLogsState]):
    """Copy inside S3, as the forensic role: the log bucket's policy must let it read."""

    Params = ExportLogsParams
    Outputs = ExportLogsOutputs
    StateModel = ExportLogsState

    def look(self, ctx: LookContext, params: ExportLogsParams) -> ExportLogsState:
        """List the objects of each day of the window, and the copies."""
        where = ctx.where
        if ctx.forensics is None or where.evidence_bucket is None:
            return ExportLogsState(source_bucket=params.bucket, bucket=None)
        found, complete = _in_window(ctx.api, params)
        kept, kept_by = _within_bounds(params, found), Retention.of(ctx)
        copies = _copies(ctx.forensics, where.evidence_bucket, ctx.marker)
        objects = tuple(_object(ctx, params, item, copies) for item in kept)
        return ExportLogsState(
            source_bucket=params.bucket,
            bucket=where.evidence_bucket,
            region=where.forensic_region,
            marker=ctx.marker,
            retention_mode=kept_by.mode if kept_by else "",
            retain_until=iso(kept_by.until) if kept_by else "",
            objects=_digested(ctx.forensics, where.evidence_bucket, objects),
            left_out=len(found) - len(kept),
            complete=complete,
        )

    def decide(self, params: ExportLogsParams, state: ExportLogsState) -> Decision:
        """Copy what is not copied; then say what could not be."""
        if state.bucket is None:
            return Refused(
                "no evidence bucket can be reached: set forensics.account_id in irrunner.yaml",
                code="forensics-not-configured",
            )
        calls = self.forecast(params, state)
        if calls:
            return Act(calls[:CALLS_OF_A_ROUND])
        if not state.objects:
            return Refused(
                f"no log object under s3://{params.bucket}/{params.prefix} from {params.since} to"
                f" {params.until}: check prefix and day_format (aws.logs.locate)",
                nothing_to_do=True,
            )
        if not any(item.state == "copied" for item in state.objects):
            first = state.objects[0]
            return Broken(f"no log could be copied; {first.key}: {first.reason}", refused=True)
        return Settled(_outputs(state), _warnings(state))

    def forecast(self, params: ExportLogsParams, state: ExportLogsState) -> tuple[Call, ...]:
        """Return one call for each object that is to be copied."""
        return tuple(_copy(state, item) for item in state.objects if item.state == "wanted")

    def foresee(self, params: ExportLogsParams, state: ExportLogsState, step: str) -> PlannedOutputs:
        """Return what would be in the bucket."""
        if state.bucket is None or not state.objects:
            return PlannedOutputs({})
        after = [item.model_copy(update={"state": "copied"}) for item in state.objects if not item.reason]
        return PlannedOutputs(
            _outputs(state.model_copy(update={"objects": tuple(after)})).model_dump(mode="json")
        )

    def targets(self, params: ExportLogsParams, where: Where) -> tuple[str, ...]:
        """Return nothing: no existing resource changes."""
        return ()


def _prefixes(params: ExportLogsParams) -> list[str]:
    """Return the prefixes to list: one for each day of the window where the day is part of the key."""
    if not params.day_format:
        return [params.prefix]
    since, until = params.window
    days = ((until + LATE).date() - since.date()).days
    return [
        params.prefix + (since + timedelta(days=number)).strftime(params.day_format)
        for number in range(days + 1)
    ]


def _in_window(api: ReadApi, params: ExportLogsParams) -> tuple[list[Mapping[str, Any]], bool]:
    since, until = params.window
    found, complete = dict[str, Mapping[str, Any]](), True
    for prefix in _prefixes(params):
        pages = _pages(api, params.bucket, prefix)
        for number, page in enumerate(pages, start=1):
            found |= {
                item["Key"]: item
                for item in page.get("Contents") or ()
                if since <= item["LastModified"] <= until + LATE
            }
            if number == MOST_PAGES and page.get("NextContinuationToken"):
                complete = False
                break
    return sorted(found.values(), key=lambda item: (item["LastModified"], item["Key"])), complete


def _pages(api: ReadApi, bucket: str, prefix: str) -> Iterator[Mapping[str, Any]]:
    asked: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix}
    while True:
        page = api.call("s3:ListObjectsV2", **asked)
        yield page
        if not page.get("NextContinuationToken"):
            return
        asked["ContinuationToken"] = page["NextContinuationToken"]


def _within_bounds(params: ExportLogsParams, found: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    kept, total = [], 0
    for item in found[: params.most_objects]:
        total += int(item["Size"])
        if total > params.most_bytes:
            break
        kept.append(item)
    return kept


def _copies(forensics: ReadApi, bucket: str, marker: str) -> dict[str, Mapping[str, Any]]:
    prefix = path_of(marker, "logs") + "/"
    return {
        item["Key"]: item for page in _pages(forensics, bucket, prefix) for item in page.get("Contents") or ()
    }


def _object(
    ctx: LookContext,
    params: ExportLogsParams,
    item: Mapping[str, Any],
    copies: Mapping[str, Mapping[str, Any]],
) -> LogObject:
    key, size, etag = item["Key"], int(item["Size"]), str(item.get("ETag") or "").strip('"')
    number = hashlib.sha256(f"{params.bucket}/{key}".encode()).hexdigest()[:16]
    copy_key = path_of(ctx.marker, "logs", f"{number}-{key.rpartition('/')[2]}")
    copy = copies.get(copy_key)
    state, reason = "wanted", ""
    if copy is not None:
        same = int(copy["Size"]) == size
        state, reason = (
            ("copied", "") if same else ("differs", f"the copy has {copy['Size']} bytes, not {size}")
        )
    elif size > LARGEST_COPY:
        state, reason = "refused", f"{size} bytes are more than one copy takes ({LARGEST_COPY})"
    else:
        reason = ctx.refused.get(("forensics", COPY, f"s3://{params.bucket}/{key}"), "")
        state = "refused" if reason else "wanted"
    return LogObject.model_validate(
        {
            "key": key, "bytes": size, "etag": etag, "modified_at": iso(item["LastModified"]),
            "copy_key": copy_key, "state": state, "reason": reason,
        }
    )  # fmt: skip


def _digested(forensics: ReadApi, bucket: str, objects: tuple[LogObject, ...]) -> tuple[LogObject, ...]:
    """Add what the copies are, in the last look alone: S3 computed it when it copied."""
    if any(item.state == "wanted" for item in objects):
        return objects
    return tuple(
        item.model_copy(update={"sha256": measured_object(forensics, bucket, item.copy_key).sha256})
        if item.state == "copied"
        else item
        for item in objects
    )


def _copy(state: ExportLogsState, item: LogObject) -> Call:
    return Call(
        operation=COPY,
        params={
            "Bucket": state.bucket,
            "Key": item.copy_key,
            "CopySource": {"Bucket": state.source_bucket, "Key": item.key},
            "CopySourceIfMatch": item.etag,
            "ChecksumAlgorithm": "SHA256",
            "MetadataDirective": "COPY",
            **_retention(state),
        },
        target=f"s3://{state.source_bucket}/{item.key}",
        summary=f"Copy {item.key} ({item.bytes} bytes) to {state.bucket}",
        after={"bucket": state.bucket, "key": item.copy_key},
        reversible=False,
        scope="forensics",
        region=state.region,
        apart=True,
    )


def _retention(state: ExportLogsState) -> dict[str, Any]:
    if not state.retention_mode:
        return {}
    return Retention(state.retention_mode, parse_iso(state.retain_until)).params


def _outputs(state: ExportLogsState) -> ExportLogsOutputs:
    copied = [item for item in state.objects if item.state == "copied"]
    return ExportLogsOutputs(
        bucket=str(state.bucket),
        objects=[
            ExportedObject(
                key=item.key,
                location=f"s3://{state.bucket}/{item.copy_key}",
                bytes=item.bytes,
                etag=item.etag,
                sha256=item.sha256,
            )
            for item in copied
        ],
        count=len(copied),
        bytes=sum(item.bytes for item in copied),
        not_copied=[item.key for item in state.objects if item.state != "copied"],
        complete=state.complete and not state.left_out and len(copied) == len(state.objects),
    )


def _warnings(state: ExportLogsState) -> tuple[str, ...]:
    told = [f"{item.key}: {item.reason}" for item in state.objects if item.reason]
    if state.left_out:
        told.append(f"{state.left_out} more objects of the window were left out: raise the bounds")
    if not state.complete:
        told.append("there are more objects than were listed: name a prefix and a day_format")
    return tuple(told)
