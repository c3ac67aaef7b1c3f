"""``aws.cloudtrail.export-events``: who did what around an incident, as a file of evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Self

from pydantic import Field, field_validator, model_validator

from forensics.evidence_files import LINES, Content, FilesOutputs, FilesState, Source, StoreFiles, files_of
from forensics.sink import SINK_PERMISSIONS
from irrunner.actions.contract import LookContext, Model, Permission, ReadApi
from irrunner.actions.ids import AccessKeyId, RegionName
from irrunner.actions.registry import action
from irrunner.clock import iso, parse_iso
from irrunner.vocabulary import Phase, Risk, UndoPolicy

FILE: Final = "cloudtrail-events.jsonl"
OF_A_PAGE: Final = 50
"""Most events that one LookupEvents answers; AWS allows two such calls a second."""
ATTRIBUTES: Final = {"access_key_id": "AccessKeyId", "user_name": "Username", "resource_name": "ResourceName"}
"""Parameter to the attribute that LookupEvents looks up; it takes one only."""


class ExportEventsParams(Model):
    """Parameters of ``aws.cloudtrail.export-events``: exactly one of the first three."""

    access_key_id: AccessKeyId | None = None
    user_name: str | None = Field(default=None, min_length=1, max_length=128)
    """User, or role session name."""
    resource_name: str | None = Field(default=None, min_length=1, max_length=512)
    around: str | None = None
    """Instant of the incident, RFC 3339; none: the step's start."""
    hours_before: int = Field(default=24, ge=0, le=2160)
    hours_after: int = Field(default=1, ge=0, le=2160)
    region: RegionName | None = None
    """Where the events are recorded, if not in the incident's Region: us-east-1 for IAM."""
    most_events: int = Field(default=2000, ge=1, le=20_000)

    @field_validator("around")
    @classmethod
    def _is_an_instant(cls, value: str | None) -> str | None:
        if value is not None and parse_iso(value).tzinfo is None:
            raise ValueError("an instant needs its offset from UTC: 2026-01-01T00:00:00Z")
        return value

    @model_validator(mode="after")
    def _one_is_named(self) -> Self:
        named = [name for name in ATTRIBUTES if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError(f"name one of {', '.join(ATTRIBUTES)}: CloudTrail looks up one at a time")
        return self

    def window(self, started: datetime) -> tuple[datetime, datetime]:
        """Return from when to when events are wanted."""
        middle = parse_iso(self.around) if self.around else started
        return middle - timedelta(hours=self.hours_before), middle + timedelta(hours=self.hours_after)


class ExportEventsOutputs(FilesOutputs):
    """Outputs of ``aws.cloudtrail.export-events``."""

    events: int
    oldest: str
    newest: str
    complete: bool
    """Whether all events of the window are in the file."""


@action(
    "aws.cloudtrail.export-events",
    title="Store the CloudTrail events of a principal or resource as evidence",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=(Permission("cloudtrail:LookupEvents"), *SINK_PERMISSIONS),
    undo=UndoPolicy.NEVER,
    undo_note="The file is evidence, which undo never deletes; CloudTrail is only read.",
    timeout_s=1800.0,
    evidence=True,
    sources=(
        "https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html",
        "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events.html",
    ),
)
class ExportEvents(StoreFiles[ExportEventsParams]):
    """Look up management events of the last 90 days and store them as they were recorded."""

    Params = ExportEventsParams
    Outputs = ExportEventsOutputs

    def materials(self, ctx: LookContext, params: ExportEventsParams) -> tuple[Source, ...]:
        """Return the one file."""
        since, until = params.window(ctx.started)
        api = ctx.api.in_region(params.region) if params.region else ctx.api
        read = partial(_read_events, api, params, since, min(until, ctx.now))
        return (Source(FILE, read, LINES, {"since": iso(since), "until": iso(until)}),)

    def outputs(self, params: ExportEventsParams, state: FilesState) -> Model:
        """Return the file and what is in it."""
        facts = _facts(state)
        return ExportEventsOutputs(
            **files_of(state),
            events=int(facts.get("events") or 0),
            oldest=facts.get("oldest", ""),
            newest=facts.get("newest", ""),
            complete=facts.get("complete") == "true",
        )

    def warnings(self, params: ExportEventsParams, state: FilesState) -> tuple[str, ...]:
        """Say what LookupEvents cannot give, and what was cut short."""
        told = ["data events (S3 objects, Lambda calls) are not in CloudTrail's event history"]
        facts = _facts(state)
        if facts and facts.get("complete") != "true":
            told.append(
                f"the newest {facts.get('events')} events only, back to {facts.get('oldest')}: shorten the"
                " window, or raise most_events"
            )
        return tuple(told)


def _facts(state: FilesState) -> Mapping[str, str]:
    return next((item.facts for item in state.files if not item.missing), {})


def _read_events(api: ReadApi, params: ExportEventsParams, since: datetime, until: datetime) -> Content:
    """Read page after page, newest first, until the window or the bound ends."""
    name = next(name for name in ATTRIBUTES if getattr(params, name) is not None)
    asked: dict[str, Any] = {
        "LookupAttributes": [{"AttributeKey": ATTRIBUTES[name], "AttributeValue": getattr(params, name)}],
        "StartTime": since,
        "EndTime": until,
        "MaxResults": OF_A_PAGE,
    }
    events: dict[str, Mapping[str, Any]] = {}
    complete = False
    while len(events) < params.most_events and not complete:
        answer = api.call("cloudtrail:LookupEvents", **asked)
        for number, event in enumerate(answer.get("Events") or ()):
            events.setdefault(event.get("EventId") or f"{len(events)}-{number}", event)
        complete = not answer.get("NextToken")
        asked["NextToken"] = answer.get("NextToken")
    kept = list(events.values())[: params.most_events]
    times = sorted(iso(event["EventTime"]) for event in kept if isinstance(event.get("EventTime"), datetime))
    lines = "".join(f"{_line(event)}\n" for event in kept)
    return Content(
        lines.encode(),
        {
            "events": str(len(kept)),
            "complete": str(complete and len(kept) == len(events)).lower(),
            "oldest": times[0] if times else "",
            "newest": times[-1] if times else "",
        },
    )


def _line(event: Mapping[str, Any]) -> str:
    """Return the event as CloudTrail recorded it, on one line."""
    recorded = event.get("CloudTrailEvent")
    try:
        value = json.loads(recorded) if recorded else dict(event)
    except ValueError:
        value = {"unreadable": str(recorded)}
    return json.dumps(value, sort_keys=True, default=str)
