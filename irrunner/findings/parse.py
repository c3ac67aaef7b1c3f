"""From any supported event to findings: unwrap envelopes, tell the shape, read it.

Whatever is JSON becomes at least one finding; what nobody knows has source ``unknown``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from irrunner.errors import FindingMalformed
from irrunner.findings import guardduty
from irrunner.findings import tolerant as t
from irrunner.findings.cloudtrail import parse_cloudtrail
from irrunner.findings.model import Finding
from irrunner.findings.ocsf import parse_ocsf
from irrunner.findings.others import parse_other, parse_text
from irrunner.findings.reading import plain, read_event
from irrunner.findings.securityhub import parse_asff

_MAX_WRAPPERS: Final = 5
"""SNS in SQS in EventBridge is three; deeper nesting is nobody's delivery."""
_SNS_TYPES: Final = frozenset({"Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"})
_ASFF_VERSION: Final = "2018-10-08"

_Event = dict[str, Any]
_Parser = Callable[[_Event, _Event, str], Finding]


def parse_events(data: bytes | str | Mapping[str, Any] | list[Any]) -> list[Finding]:
    """Return the findings in an event; never empty.

    Args:
        data: Bytes or text of JSON (or JSON Lines), or what was read from it: an EventBridge event, an SNS,
            SQS or Lambda envelope, a finding alone in any shape, or an array of these.

    Raises:
        FindingMalformed: If it is no JSON object or array of objects, too large, or nested too deep.
    """
    value = read_event(data) if isinstance(data, bytes | str) else plain(data)
    findings = [found for event in _objects(value) for found in _unwrap(event, 0)]
    if not findings:
        raise FindingMalformed("the event holds no finding", hint="give an event with at least one finding")
    return findings


def _objects(value: Any) -> list[_Event]:
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return value
    what = "an array without events" if isinstance(value, list) else "no object"
    raise FindingMalformed(f"the event is {what}", hint="give a JSON object, or an array of objects")


def _unwrap(event: _Event, depth: int) -> Iterator[Finding]:
    """Yield the findings behind the envelopes of SNS, SQS, Lambda and API answers."""
    for key in ("Records", "Messages", "Findings", "findings"):
        inner = t.objects(event.get(key))
        if inner and depth < _MAX_WRAPPERS and "detail" not in event:
            for item in inner:
                yield from _unwrap(item, depth + 1)
            return
    envelope, message = _message(event)
    if message is None or depth >= _MAX_WRAPPERS:
        yield from _bare(event)
        return
    yield from _inside(envelope, message, depth)


def _message(event: _Event) -> tuple[_Event, str | None]:
    """Return the SNS or SQS envelope and the text in it; None where there is no envelope."""
    sns = t.mapping(event.get("Sns")) or event
    if isinstance(sns.get("Message"), str) and (sns is not event or t.text(sns.get("Type")) in _SNS_TYPES):
        return sns, sns["Message"]
    for body, identifier in (("body", "messageId"), ("Body", "MessageId")):
        if isinstance(event.get(body), str) and identifier in event:
            return event, event[body]
    return event, None


def _inside(envelope: _Event, message: str, depth: int) -> Iterator[Finding]:
    try:
        events = _objects(read_event(message))
    except FindingMalformed:
        yield parse_text(message, envelope)
        return
    for event in events:
        yield from _unwrap(event, depth + 1)


def _bare(event: _Event) -> Iterator[Finding]:
    if "detail" in event or "detail-type" in event:
        yield from _eventbridge(event)
        return
    for recognises, parser, shape in _SHAPES:
        if recognises(event):
            yield parser({}, event, shape)
            return
    yield parse_other(*_standing_in(event), "unknown")


def _eventbridge(event: _Event) -> Iterator[Finding]:
    """Yield the findings of an EventBridge event: one, or those of Security Hub's list.

    Anybody who may put events on the bus can copy a service's ``detail-type``, but only AWS can write a
    source that begins with ``aws.``; an event without a source was taken out of its envelope by its owner.

    Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
    """
    detail = t.mapping(event.get("detail"))
    listed = t.objects(detail.get("findings"))
    source = t.text(event.get("source"))
    if listed and source in {"aws.securityhub", ""}:
        for item in listed:
            yield (parse_ocsf if _is_ocsf(item) else parse_asff)(event, item, "securityhub")
    elif _is_cloudtrail(detail) and (source.startswith("aws.") or not source):
        yield parse_cloudtrail(event, detail, "cloudtrail")
    elif t.text(event.get("detail-type")) == "GuardDuty Finding" and source in {"aws.guardduty", ""}:
        yield guardduty.parse(event, detail, "eventbridge")
    else:
        yield parse_other(event, detail, "eventbridge")


def _is_ocsf(event: _Event) -> bool:
    return "class_uid" in event


def _is_asff(event: _Event) -> bool:
    return event.get("SchemaVersion") == _ASFF_VERSION or ("ProductArn" in event and "Resources" in event)


def _is_cloudtrail(event: _Event) -> bool:
    return "eventName" in event and "eventSource" in event


def _is_guardduty(event: _Event) -> bool:
    body = {key[:1].lower() + key[1:]: value for key, value in event.items()}
    has_parts = isinstance(body.get("resource"), dict) and "type" in body
    return has_parts and ("service" in body or "severity" in body)


def _is_pascal_guardduty(event: _Event) -> bool:
    return "Type" in event and _is_guardduty(event)


_SHAPES: Final[tuple[tuple[Callable[[_Event], bool], _Parser, str], ...]] = (
    (_is_ocsf, parse_ocsf, "ocsf"),
    (_is_asff, parse_asff, "asff"),
    (_is_cloudtrail, parse_cloudtrail, "cloudtrail"),
    (_is_pascal_guardduty, guardduty.parse, "native"),
    (_is_guardduty, guardduty.parse, "detail"),
)
"""How an event without an envelope is recognised, in this order."""

_STAND_INS: Final[Mapping[str, tuple[str, str]]] = {
    "resourcesAffected": ("aws.macie", "Macie Finding"),
    "findingArn": ("aws.inspector2", "Inspector2 Finding"),
    "analyzedAt": ("aws.access-analyzer", "Access Analyzer Finding"),
    "NewStateValue": ("aws.cloudwatch", "CloudWatch Alarm State Change"),
    "eventTypeCode": ("aws.health", "AWS Health Event"),
}
"""A key that only one service writes, to the envelope that EventBridge would have put around it."""


def _standing_in(event: _Event) -> tuple[_Event, _Event]:
    """Return the event in the envelope that it would have had, and the event."""
    for key, (source, detail_type) in _STAND_INS.items():
        if key in event:
            return {"source": source, "detail-type": detail_type, "resources": [], "detail": event}, event
    return {}, event
