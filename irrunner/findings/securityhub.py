"""Findings of Security Hub in ASFF, the AWS Security Finding Format, one at a time.

What GuardDuty found is a GuardDuty finding here too: same source, id and incident as from GuardDuty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from irrunner.findings import tolerant as t
from irrunner.findings.guardduty import SAMPLE_INSTANCE, is_sample_title, kinds_of_type
from irrunner.findings.guardduty_types import type_in_asff
from irrunner.findings.hub_resources import hub_resource, primary_first
from irrunner.findings.identity import GENERATED, arn_parts, finding, partition_of
from irrunner.findings.model import Finding, FindingResource, Source

_PRODUCT: Final = re.compile(r"arn:[a-z-]+:{1,2}securityhub:[a-z0-9-]*::product(?:v2)?/aws/([a-z0-9-]+)")
_SOURCES: Final[Mapping[str, Source]] = {
    "guardduty": "guardduty",
    "inspector": "inspector",
    "inspector2": "inspector",
    "macie": "macie",
    "macie2": "macie",
    "access-analyzer": "access-analyzer",
    "config": "config",
    "health": "health",
}
_DONE: Final = frozenset({"SUPPRESSED", "RESOLVED"})


def source_of_product(arn: str) -> Source:
    """Return the service behind a product ARN.

    Only AWS's own product ARNs have no account, so that nobody can import a finding as GuardDuty's; the
    product's name in the finding can be set by whoever imports it and is not looked at.
    """
    found = _PRODUCT.fullmatch(arn)
    return _SOURCES.get(found.group(1), "securityhub") if found else "securityhub"


def bare_id(source: Source, identifier: str) -> str:
    """Return GuardDuty's own finding id out of the ARN; ids of other services stay."""
    if source == "guardduty" and "/finding/" in identifier:
        return identifier.rpartition("/finding/")[2]
    return identifier


def parse_asff(event: dict[str, Any], body: dict[str, Any], shape: str) -> Finding:
    """Return the finding in an ASFF object.

    Args:
        event: The envelope as found, or an empty object.
        body: One finding in ASFF.
        shape: How it came: ``asff``, ``securityhub``.
    """
    source = source_of_product(t.text(body.get("ProductArn")))
    names = list(
        t.texts(t.items(body.get("Types")) or t.items(t.dig(body, "FindingProviderFields", "Types")))
    )
    type_name = (type_in_asff(names) if source == "guardduty" else "") or (names[0] if names else "")
    listed = [_resource(item) for item in t.objects(body.get("Resources"))]
    resources = primary_first(listed, kinds_of_type(type_name) if source == "guardduty" else ())
    _, region, account, _ = arn_parts(t.first_text(body.get("ProductArn")))
    region = t.first_text(
        body.get("Region"), t.dig(next(iter(t.objects(body.get("Resources"))), {}), "Region"), region
    )
    fields = t.mapping(body.get("ProductFields"))
    return finding(
        source=source,
        id=bare_id(source, t.text(body.get("Id"))),
        type=type_name,
        title=t.text(body.get("Title")),
        description=t.text(body.get("Description")),
        severity=_severity(body, source),
        account_id=t.first_text(body.get("AwsAccountId"), account, event.get("account")),
        region=region or t.text(event.get("region")),
        partition=partition_of(t.text(body.get("ProductArn")) or region),
        created_at=t.timestamp(body.get("CreatedAt")),
        updated_at=t.timestamp(body.get("UpdatedAt")),
        count=t.count_of(_product_field(fields, "count")),
        archived=_is_archived(body, fields),
        sample=_is_sample(body, fields, resources),
        resource_role=_product_field(fields, "resourceRole"),
        remote_ip=_field_ending(fields, "/remoteIpDetails/ipAddressV4"),
        service_name=_field_ending(fields, "/awsApiCallAction/serviceName"),
        resource=resources[0] if resources else FindingResource(),
        resources=resources,
        event_id=t.text(event.get("id")),
        shape=shape,
        raw=_one_finding(event, body),
    )


def _resource(item: dict[str, Any]) -> FindingResource:
    type_name = t.text(item.get("Type"))
    details = t.mapping(t.dig(item, "Details", type_name))
    return hub_resource(type_name, t.text(item.get("Id")), details, t.tags(item.get("Tags")))


def _severity(body: dict[str, Any], source: Source) -> float:
    """Return the severity on GuardDuty's scale.

    GuardDuty's own number stands in ``Product``; otherwise ``Normalized`` is ten times as large.
    """
    given = t.mapping(body.get("Severity")) or t.mapping(t.dig(body, "FindingProviderFields", "Severity"))
    if source == "guardduty" and t.severity(given.get("Product")):
        return t.severity(given.get("Product"))
    normalized = t.number(given.get("Normalized"))
    if normalized is not None and 0 <= normalized <= 100:  # noqa: PLR2004 - the format's range
        return max(normalized / 10, 1.0)
    return t.label_severity(given.get("Label")) or 0.0


def _product_field(fields: dict[str, Any], name: str) -> str:
    return t.first_text(fields.get(f"aws/guardduty/service/{name}"), fields.get(name))


def _field_ending(fields: dict[str, Any], ending: str) -> str:
    return t.first_text(*(value for key, value in fields.items() if key.endswith(ending)))


def _is_archived(body: dict[str, Any], fields: dict[str, Any]) -> bool:
    workflow = t.text(t.dig(body, "Workflow", "Status"))
    return (
        t.text(body.get("RecordState")) == "ARCHIVED"
        or workflow in _DONE
        or t.flag(_product_field(fields, "archived"))
    )


def _is_sample(body: dict[str, Any], fields: dict[str, Any], resources: tuple[FindingResource, ...]) -> bool:
    inside = t.mapping(t.embedded(_product_field(fields, "additionalInfo/value")))
    old_style = t.mapping(t.embedded(_product_field(fields, "additionalInfo")))
    return (
        t.flag(body.get("Sample"))
        or t.flag(_product_field(fields, "additionalInfo/sample"))
        or t.flag(inside.get("sample"))
        or t.flag(old_style.get("sample"))
        or is_sample_title(t.text(body.get("Title")))
        or any(names_sample(resource) for resource in resources)
    )


def names_sample(resource: FindingResource) -> bool:
    """Return whether the identifiers that AWS assigns are those of its samples."""
    assigned = (resource.access_key_id, resource.principal_id)
    return resource.instance_id == SAMPLE_INSTANCE or any(value.startswith(GENERATED) for value in assigned)


def _one_finding(event: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """Return the event with this finding alone, so that a pattern never matches by its neighbour."""
    envelope = event or {
        "source": "aws.securityhub",
        "detail-type": "Security Hub Findings - Imported",
        "account": t.text(body.get("AwsAccountId")),
        "region": t.text(body.get("Region")),
        "resources": [],
    }
    return {**envelope, "detail": {**t.mapping(envelope.get("detail")), "findings": [body]}}
