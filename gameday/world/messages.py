"""SNS and EventBridge: what they refuse and moto takes, and what was sent, kept for scorers.

Source: SNS API reference, Publish; EventBridge API reference, PutEvents (an event for a bus that does not
exist is accepted and dropped; failures of entries come with HTTP status 200).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from gameday.world import seam
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

_SUBJECT_CHARACTERS: Final = 100
_LIMIT_BYTES: Final = 262_144


def check_publish(scene: Scene) -> None:
    """Refuse subjects and sizes that SNS does not take."""
    subject = scene.params.get("Subject")
    if subject is not None:
        plain = subject.isascii() and subject.isprintable() and subject[:1].strip()
        if not plain or len(subject) > _SUBJECT_CHARACTERS:
            raise Refusal("InvalidParameter", "Invalid parameter: Subject")
    attributes = scene.params.get("MessageAttributes") or {}
    parts = [scene.params.get("Message", ""), *(str(a.get("StringValue", "")) for a in attributes.values())]
    if sum(len(part.encode()) for part in parts) > _LIMIT_BYTES:
        raise Refusal("InvalidParameter", "Invalid parameter: Message too long")


def put_events(scene: Scene) -> Mapping[str, Any]:
    """Take events, entry by entry."""
    backend = seam.backend("events", scene.account, scene.region)
    kept: list[Any] = vars(backend).setdefault("world_events", [])
    entries = []
    for entry in scene.params["Entries"]:
        code = _fault_of(entry)
        if code:
            entries.append({"ErrorCode": code, "ErrorMessage": "The entry was not taken."})
            continue
        entries.append({"EventId": f"event-{len(kept)}"})
        bus = str(entry.get("EventBusName", "default"))
        if bus in backend.event_buses:
            detail = json.loads(entry["Detail"])
            kept.append(
                {"bus": bus, "source": entry["Source"], "type": entry["DetailType"], "detail": detail}
            )
    failed = sum("ErrorCode" in entry for entry in entries)
    return {"FailedEntryCount": failed, "Entries": entries}


def _fault_of(entry: Mapping[str, Any]) -> str:
    if not entry.get("Source") or not entry.get("DetailType") or str(entry["Source"]).startswith("aws."):
        return "NotAuthorizedForSource" if entry.get("Source") else "InvalidArgument"
    try:
        json.loads(entry.get("Detail", ""))
    except ValueError:
        return "MalformedDetail"
    return ""


def shown_messages(backend: Any) -> dict[str, Any]:
    """Return subjects and texts that were published, by topic."""
    return {
        arn: [{"subject": subject, "message": text} for _, text, subject, *_ in topic.sent_notifications]
        for arn, topic in backend.topics.items()
    }


def shown_events(backend: Any) -> dict[str, Any]:
    """Return the events that were taken, by number."""
    return {f"{number:04}": event for number, event in enumerate(vars(backend).get("world_events", ()))}


LAYER: Final = StrictLayer(rules={"sns:Publish": (check_publish,)}, answers={"events:PutEvents": put_events})
