"""CloudTrail's event history, read within bounds: what AWS itself says about a key, a session, a user.

Whatever a caller may choose (a session's name, a user agent, request parameters) is in an event too. Who
uses an event relies on ``userIdentity``, on ids that AWS gave, and on nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from irrunner.actions.contract import LookContext, Permission, ReadApi
from irrunner.clock import iso

LOOKUP: Final = Permission("cloudtrail:LookupEvents")
PAGE: Final = 50
KEPT: Final = timedelta(days=90)
DELAY: Final = timedelta(minutes=15)
"""How late an event may show.

Source: CloudTrail user guide, "Viewing events with CloudTrail Event history" (90 days, management events
only); "How CloudTrail works" (an event is delivered within an average of about 5 minutes).
"""
GLOBAL_REGION: Final[Mapping[str, str]] = {
    "aws": "us-east-1",
    "aws-cn": "cn-north-1",
    "aws-us-gov": "us-gov-west-1",
}
"""Where the events of global services (IAM, the console's sign-in) are.

Source: CloudTrail user guide, "Global service events".
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the history."""

    name: str
    time: str
    region: str
    record: Mapping[str, Any]
    """The event as CloudTrail wrote it."""

    @property
    def source(self) -> str:
        """Return the service: ``iam.amazonaws.com``."""
        return str(self.record.get("eventSource", ""))

    @property
    def error(self) -> str:
        """Return AWS's error code, empty where the call took effect."""
        return str(self.record.get("errorCode") or "")

    @property
    def identity(self) -> Mapping[str, Any]:
        """Return ``userIdentity``."""
        found = self.record.get("userIdentity")
        return found if isinstance(found, Mapping) else {}

    def text(self, *path: str) -> str:
        """Return a text of the record, empty where there is none."""
        value = _at(self.record, path)
        return value if isinstance(value, str) else ""

    def texts(self, key: str, *path: str) -> list[str]:
        """Return the texts under ``key`` of the items of a list."""
        items = _at(self.record, path)
        found = (
            [item.get(key) for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []
        )
        return [value for value in found if isinstance(value, str)]


@dataclass(frozen=True, slots=True)
class History:
    """What a lookup found."""

    events: tuple[Event, ...]
    """Newest first."""
    complete: bool
    """False: there is more than was read."""


def _at(value: Any, path: Iterable[str]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def regions_of(ctx: LookContext, regions: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the incident's Region, that of global services, and the given (or configured) ones."""
    home = GLOBAL_REGION.get(ctx.where.partition)
    named = tuple(regions) or tuple(ctx.settings.regions)
    return tuple(dict.fromkeys(region for region in (ctx.where.region, home, *named) if region))


def lookup(ctx: LookContext, region: str, attribute: tuple[str, str], since: datetime, most: int) -> History:
    """Read the events of one attribute in one Region, newest first, and no more than ``most``.

    No end is asked for: by a clock that is behind AWS's it would leave the latest events out.

    Args:
        ctx: Reads.
        region: Region.
        attribute: ``("AccessKeyId", "ASIA...")``.
        since: Earliest instant.
        most: How many events to read at most; one page at least.
    """
    api: ReadApi = ctx.api if region == ctx.where.region else ctx.api.in_region(region)
    asked: dict[str, Any] = {
        "LookupAttributes": [{"AttributeKey": attribute[0], "AttributeValue": attribute[1]}],
        "StartTime": max(since, ctx.now - KEPT),
        "MaxResults": PAGE,
    }
    events: list[Event] = []
    while True:
        answer = api.call("cloudtrail:LookupEvents", **asked)
        events.extend(_event(raw, region) for raw in answer.get("Events") or [])
        token = answer.get("NextToken")
        if not token or len(events) >= most:
            return History(tuple(events[:most]), complete=not token and len(events) <= most)
        asked["NextToken"] = token


def _event(raw: Mapping[str, Any], region: str) -> Event:
    try:
        record = json.loads(raw.get("CloudTrailEvent") or "{}")
    except ValueError:
        record = {}
    return Event(
        name=str(raw.get("EventName", "")),
        time=iso(raw["EventTime"]),
        region=region,
        record=record if isinstance(record, dict) else {},
    )
