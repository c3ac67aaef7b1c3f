"""Findings in OCSF, as the new Security Hub sends them (``Findings Imported V2``): one an event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from irrunner.findings import tolerant as t
from irrunner.findings.guardduty import is_sample_title, kinds_of_type
from irrunner.findings.guardduty_types import type_in_asff
from irrunner.findings.hub_resources import hub_resource, primary_first
from irrunner.findings.identity import finding, partition_of
from irrunner.findings.model import Finding, FindingResource, Source
from irrunner.findings.securityhub import bare_id, names_sample, source_of_product

_SEVERITIES: Final[Mapping[int, float]] = {1: 1.0, 2: 2.0, 3: 5.0, 4: 8.0, 5: 9.0, 6: 10.0}
"""``severity_id`` to GuardDuty's scale; 0 and 99 say nothing."""
_CLOSED_STATUSES: Final = frozenset({3, 4, 5, 6})
"""Suppressed, resolved, archived, deleted."""
_CLOSE: Final = 3
_FINDINGS: Final = 2


def parse_ocsf(event: dict[str, Any], body: dict[str, Any], shape: str) -> Finding:
    """Return the finding in an OCSF object; other classes become a finding of unknown source.

    Args:
        event: The envelope as found, or an empty object.
        body: One OCSF event.
        shape: How it came: ``ocsf``, ``securityhub``.
    """
    info = t.mapping(body.get("finding_info"))
    product = t.text(t.dig(body, "metadata", "product", "uid"))
    source = _source(body, product)
    type_name = _type(body, info, source)
    listed = [_resource(item) for item in t.objects(body.get("resources"))]
    resources = primary_first(listed, kinds_of_type(type_name) if source == "guardduty" else ())
    region = t.first_text(t.dig(body, "cloud", "region"), event.get("region"))
    updated = (
        info.get("modified_time_dt") or info.get("modified_time") or body.get("time_dt") or body.get("time")
    )
    created = info.get("created_time_dt") or info.get("created_time")
    return finding(
        source=source,
        id=bare_id(source, t.first_text(info.get("uid"), t.dig(body, "metadata", "uid"))),
        type=type_name,
        title=t.text(info.get("title")),
        description=t.text(info.get("desc")),
        severity=_severity(body),
        account_id=t.first_text(t.dig(body, "cloud", "account", "uid"), event.get("account")),
        region=region,
        partition=t.text(body.get("cloud_partition")) or partition_of(product or region),
        created_at=t.timestamp(created),
        updated_at=t.timestamp(updated) or t.timestamp(created),
        count=t.count_of(body.get("count")),
        archived=t.number(body.get("status_id")) in _CLOSED_STATUSES
        or t.number(body.get("activity_id")) == _CLOSE,
        sample=is_sample_title(t.text(info.get("title"))) or any(names_sample(item) for item in resources),
        resource=resources[0] if resources else FindingResource(),
        resources=resources,
        event_id=t.text(event.get("id")),
        shape=shape,
        raw=_one_finding(event, body, region),
    )


def _source(body: dict[str, Any], product: str) -> Source:
    if t.number(body.get("category_uid")) != _FINDINGS:
        return "unknown"
    return source_of_product(product)


def _type(body: dict[str, Any], info: dict[str, Any], source: Source) -> str:
    names = list(t.texts(t.items(info.get("types"))))
    found = type_in_asff(names) if source == "guardduty" else ""
    return found or t.first_text(*names, body.get("type_name"), body.get("class_name"))


def _severity(body: dict[str, Any]) -> float:
    found = t.number(body.get("severity_id"))
    known = _SEVERITIES.get(int(found)) if found is not None else None
    return known or t.label_severity(body.get("severity")) or 0.0


def _resource(item: dict[str, Any]) -> FindingResource:
    type_name = t.text(item.get("type"))
    data = t.mapping(item.get("data"))
    details = t.from_snake(t.mapping(data.get(type_name)) or data)
    return hub_resource(type_name, t.text(item.get("uid")), details, t.tags(item.get("tags")))


def _one_finding(event: dict[str, Any], body: dict[str, Any], region: str) -> dict[str, Any]:
    envelope = event or {
        "source": "aws.securityhub",
        "detail-type": "Findings Imported V2",
        "account": t.text(t.dig(body, "cloud", "account", "uid")),
        "region": region,
        "resources": [],
    }
    return {**envelope, "detail": {**t.mapping(envelope.get("detail")), "findings": [body]}}
