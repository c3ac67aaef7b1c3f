"""Events of the other services. What we do not know becomes a finding that a person looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from irrunner.findings import tolerant as t
from irrunner.findings.hub_resources import hub_resource
from irrunner.findings.identity import ACCESS_KEY, arn_parts, finding, partition_of
from irrunner.findings.model import Finding, FindingResource, Source

_DONE: Final = frozenset({"ARCHIVED", "RESOLVED", "CLOSED", "SUPPRESSED"})
_EXPOSED: Final = "AWS_RISK_CREDENTIALS_EXPOSED"
_ALARM_SEVERITY: Final = 4.0

_Event = dict[str, Any]


def parse_other(event: _Event, detail: _Event, shape: str) -> Finding:
    """Return the event of any service as a finding.

    Args:
        event: The envelope as found, or an empty object.
        detail: Its ``detail``, or the bare object.
        shape: How it came.
    """
    service = t.text(event.get("source"))
    source, reader = _READERS.get(service, (_source_of(service), _plain))
    fields: dict[str, Any] = {**_common(event, detail), **reader(event, detail)}
    resource = fields.setdefault("resource", FindingResource())
    fields.setdefault("resources", (resource,) if resource != FindingResource() else ())
    return finding(source=source, shape=shape, **fields)


def parse_text(message: str, envelope: _Event) -> Finding:
    """Return a notification that is no JSON: its text, for a person.

    Args:
        message: The text.
        envelope: The SNS or SQS envelope.
    """
    _, region, account, _ = arn_parts(t.first_text(envelope.get("TopicArn"), envelope.get("eventSourceARN")))
    identifier = t.first_text(envelope.get("MessageId"), envelope.get("messageId"))
    kind = t.text(envelope.get("Type")) or "Message"
    return finding(
        source="unknown",
        id=identifier,
        type=f"Text {kind}",
        title=t.text(envelope.get("Subject")) or message.strip()[:80],
        description=message,
        account_id=account,
        region=region,
        partition=partition_of(region),
        updated_at=t.timestamp(envelope.get("Timestamp")),
        event_id=identifier,
        shape="sns",
        raw=envelope,
    )


def _source_of(service: str) -> Source:
    return "custom" if service and not service.startswith("aws.") else "unknown"


def _common(event: _Event, detail: _Event) -> dict[str, Any]:
    region = t.first_text(event.get("region"), detail.get("region"), detail.get("awsRegion"))
    at = t.timestamp(event.get("time"))
    arns = t.texts(t.items(event.get("resources")))
    return {
        "id": t.first_text(detail.get("id"), event.get("id")),
        "type": t.text(event.get("detail-type")),
        "title": t.first_text(detail.get("title"), event.get("detail-type")),
        "description": t.text(detail.get("description")),
        "account_id": t.first_text(detail.get("accountId"), detail.get("awsAccountId"), event.get("account")),
        "region": region,
        "partition": partition_of(region),
        "created_at": t.timestamp(detail.get("createdAt")) or at,
        "updated_at": t.timestamp(detail.get("updatedAt")) or at,
        "event_id": t.text(event.get("id")),
        "resource": FindingResource(arn=arns[0]) if arns else FindingResource(),
        "raw": event or _envelope(detail),
    }


def _envelope(detail: _Event) -> _Event:
    return {"source": "", "detail-type": "", "resources": [], "detail": detail}


def _plain(event: _Event, detail: _Event) -> dict[str, Any]:
    del event, detail
    return {}


def _config(event: _Event, detail: _Event) -> dict[str, Any]:
    item = t.mapping(detail.get("configurationItem"))
    type_name = t.first_text(item.get("resourceType"), detail.get("resourceType"))
    identifier = t.first_text(item.get("ARN"), item.get("resourceName"), detail.get("resourceId"))
    rule = t.text(detail.get("configRuleName"))
    status = t.text(t.dig(detail, "newEvaluationResult", "complianceType"))
    return {
        "account_id": t.first_text(
            item.get("awsAccountId"), detail.get("awsAccountId"), event.get("account")
        ),
        "title": " ".join(filter(None, (rule or t.text(event.get("detail-type")), status))),
        "resource": hub_resource(type_name, identifier, {}, t.tags(item.get("tags"))),
    }


def _macie(event: _Event, detail: _Event) -> dict[str, Any]:
    bucket = t.mapping(t.dig(detail, "resourcesAffected", "s3Bucket"))
    name = t.text(bucket.get("name"))
    score = t.number(detail.get("risk-score"))
    fields: dict[str, Any] = {
        "type": t.first_text(detail.get("type"), event.get("detail-type")),
        "title": t.first_text(detail.get("title"), detail.get("name")),
        "severity": t.label_severity(t.dig(detail, "severity", "description")) or (score or 0.0) / 10,
        "count": t.count_of(detail.get("count")),
        "archived": t.flag(detail.get("archived")),
        "sample": t.flag(detail.get("sample")),
    }
    if name:
        fields["resource"] = hub_resource("AwsS3Bucket", name, {}, t.tags(bucket.get("tags")))
    return {**fields, "severity": t.severity(fields["severity"])}


def _inspector(event: _Event, detail: _Event) -> dict[str, Any]:
    first = next(iter(t.objects(detail.get("resources"))), {})
    return {
        "id": t.first_text(detail.get("findingArn"), event.get("id")),
        "type": t.first_text(detail.get("type"), event.get("detail-type")),
        "severity": t.severity(detail.get("inspectorScore")) or t.severity(detail.get("severity")),
        "created_at": t.timestamp(detail.get("firstObservedAt")),
        "updated_at": t.timestamp(detail.get("updatedAt") or detail.get("lastObservedAt")),
        "archived": t.text(detail.get("status")) in _DONE,
        "resource": hub_resource(
            _INSPECTOR_TYPES.get(t.text(first.get("type")), ""),
            t.text(first.get("id")),
            {},
            t.tags(first.get("tags")),
        ),
    }


_INSPECTOR_TYPES: Final[Mapping[str, str]] = {
    "AWS_EC2_INSTANCE": "AwsEc2Instance",
    "AWS_LAMBDA_FUNCTION": "AwsLambdaFunction",
}


def _access_analyzer(event: _Event, detail: _Event) -> dict[str, Any]:
    return {
        "title": f"{t.text(event.get('detail-type'))}: {t.text(detail.get('resource'))}".strip(": "),
        "archived": t.text(detail.get("status")) in _DONE or t.flag(detail.get("isDeleted")),
        "resource": hub_resource(t.text(detail.get("resourceType")), t.text(detail.get("resource")), {}, {}),
    }


def _health(event: _Event, detail: _Event) -> dict[str, Any]:
    code = t.text(detail.get("eventTypeCode"))
    entities = t.objects(detail.get("affectedEntities"))
    described = t.objects(detail.get("eventDescription"))
    named = t.texts(entity.get("entityValue") for entity in entities) or t.texts(
        t.items(event.get("resources"))
    )
    resources = tuple(_affected(name, code) for name in named)
    return {
        "id": t.first_text(detail.get("eventArn"), event.get("id")),
        "type": code or t.text(event.get("detail-type")),
        "title": code,
        "description": t.text(described[0].get("latestDescription")) if described else "",
        "account_id": t.first_text(event.get("account"), detail.get("affectedAccount")),
        "severity": _HEALTH_SEVERITIES.get(code, 0.0),
        "resource": resources[0] if resources else FindingResource(),
        "resources": resources,
    }


_HEALTH_SEVERITIES: Final[Mapping[str, float]] = {_EXPOSED: 8.0, "AWS_RISK_CREDENTIALS_COMPROMISED": 9.0}
"""Health has no severities; exposed credentials are acted on at once."""


def _affected(name: str, code: str) -> FindingResource:
    if ACCESS_KEY.fullmatch(name) or code in _HEALTH_SEVERITIES:
        return FindingResource(kind="access-key", access_key_id=name)
    is_instance = name.startswith("i-") or "instance/" in name
    return hub_resource("AwsEc2Instance" if is_instance else "", name, {}, {})


def _alarm(event: _Event, detail: _Event) -> dict[str, Any]:
    name = t.first_text(detail.get("alarmName"), detail.get("AlarmName"))
    state = t.first_text(t.dig(detail, "state", "value"), detail.get("NewStateValue"))
    at = t.timestamp(t.dig(detail, "state", "timestamp")) or t.timestamp(detail.get("StateChangeTime"))
    return {
        "id": t.first_text(event.get("id"), detail.get("AlarmArn"), name),
        "type": t.text(event.get("detail-type")) or "CloudWatch Alarm State Change",
        "title": f"{name} is {state}" if state else name,
        "description": t.first_text(t.dig(detail, "state", "reason"), detail.get("NewStateReason")),
        "account_id": t.first_text(event.get("account"), detail.get("AWSAccountId")),
        "region": t.first_text(event.get("region"), arn_parts(t.text(detail.get("AlarmArn")))[1]),
        "severity": _ALARM_SEVERITY if state == "ALARM" else 0.0,
        "updated_at": at or t.timestamp(event.get("time")),
    }


def _ec2(event: _Event, detail: _Event) -> dict[str, Any]:
    name = t.text(detail.get("instance-id"))
    state = t.text(detail.get("state"))
    return {
        "title": f"{name} is {state}" if state else t.text(event.get("detail-type")),
        "resource": hub_resource("AwsEc2Instance", name, {}, {}) if name else FindingResource(),
    }


def _guardduty(event: _Event, detail: _Event) -> dict[str, Any]:
    """Read what GuardDuty sends beside findings: malware scan results, coverage health."""
    bucket = t.text(t.dig(detail, "s3ObjectDetails", "bucketName"))
    result = t.text(t.dig(detail, "scanResultDetails", "scanResultStatus"))
    fields: dict[str, Any] = {"title": " ".join(filter(None, (t.text(event.get("detail-type")), result)))}
    if bucket:
        fields["resource"] = hub_resource("AwsS3Bucket", bucket, {}, {})
    return fields


_READERS: Final[Mapping[str, tuple[Source, Callable[[_Event, _Event], dict[str, Any]]]]] = {
    "aws.guardduty": ("guardduty", _guardduty),
    "aws.securityhub": ("securityhub", _plain),
    "aws.config": ("config", _config),
    "aws.macie": ("macie", _macie),
    "aws.macie2": ("macie", _macie),
    "aws.inspector": ("inspector", _inspector),
    "aws.inspector2": ("inspector", _inspector),
    "aws.access-analyzer": ("access-analyzer", _access_analyzer),
    "aws.health": ("health", _health),
    "aws.cloudwatch": ("cloudwatch", _alarm),
    "aws.ec2": ("ec2", _ec2),
}
"""EventBridge source to ours and the reader of its fields."""
