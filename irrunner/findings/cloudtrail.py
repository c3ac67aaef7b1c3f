"""CloudTrail records: who called what, and on which resource."""

from __future__ import annotations

import ipaddress
from typing import Any

from irrunner.findings import tolerant as t
from irrunner.findings.guardduty import credentials
from irrunner.findings.hub_resources import hub_resource
from irrunner.findings.identity import finding, partition_of
from irrunner.findings.model import Finding, FindingResource


def parse_cloudtrail(event: dict[str, Any], record: dict[str, Any], shape: str) -> Finding:
    """Return a CloudTrail record as a finding: its type is the API call's name.

    Args:
        event: The envelope as found, or an empty object.
        record: One CloudTrail record.
        shape: How it came: ``cloudtrail`` with an envelope or without.
    """
    identity = t.mapping(record.get("userIdentity"))
    resource = _resource(record, identity)
    name = t.text(record.get("eventName"))
    region = t.first_text(record.get("awsRegion"), event.get("region"))
    at = t.timestamp(record.get("eventTime")) or t.timestamp(event.get("time"))
    error = t.text(record.get("errorCode"))
    account = t.first_text(record.get("recipientAccountId"), event.get("account"), identity.get("accountId"))
    return finding(
        source="cloudtrail",
        id=t.first_text(record.get("eventID"), event.get("id"), record.get("requestID")),
        type=name,
        title=f"{name} by {resource.user_name or resource.user_type or 'unknown'}"
        + (f": {error}" if error else ""),
        description=t.text(record.get("errorMessage")),
        account_id=account,
        region=region,
        partition=partition_of(t.text(identity.get("arn")) or region),
        created_at=at,
        updated_at=at,
        remote_ip=_address(t.text(record.get("sourceIPAddress"))),
        service_name=t.text(record.get("eventSource")),
        resource=resource,
        resources=(resource,),
        event_id=t.text(event.get("id")),
        shape=shape,
        raw=event or _envelope(record, account, region),
    )


def _resource(record: dict[str, Any], identity: dict[str, Any]) -> FindingResource:
    """Return the caller's credentials; the thing that the call changes is the kind, where we know it."""
    issuer = t.text(t.dig(identity, "sessionContext", "sessionIssuer", "userName"))
    fields = credentials(
        t.text(identity.get("accessKeyId")),
        t.text(identity.get("principalId")),
        issuer or t.text(identity.get("userName")),
        t.text(identity.get("type")),
    )
    target = _target(t.text(record.get("eventSource")), t.mapping(record.get("requestParameters")))
    named = {} if target is None else target.model_dump(exclude_defaults=True)
    return FindingResource(**{**fields, **named})


def _target(service: str, request: dict[str, Any]) -> FindingResource | None:
    instances = t.objects(t.dig(request, "instancesSet", "items"))
    instance = t.first_text(
        instances[0].get("instanceId") if instances else "",
        next(iter(t.items(request.get("instanceIds"))), ""),
        request.get("instanceId"),
    )
    found = {
        "cloudtrail.amazonaws.com": (
            "AwsCloudTrailTrail",
            t.first_text(request.get("name"), request.get("trailName")),
        ),
        "s3.amazonaws.com": ("AwsS3Bucket", t.text(request.get("bucketName"))),
        "ec2.amazonaws.com": ("AwsEc2Instance", instance),
        "ssm.amazonaws.com": ("AwsEc2Instance", instance),
        "rds.amazonaws.com": ("AwsRdsDbInstance", t.text(request.get("dBInstanceIdentifier"))),
        "lambda.amazonaws.com": ("AwsLambdaFunction", t.text(request.get("functionName"))),
    }.get(service)
    return hub_resource(found[0], found[1], {}, {}) if found and found[1] else None


def _address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return ""


def _envelope(record: dict[str, Any], account: str, region: str) -> dict[str, Any]:
    service = t.text(record.get("eventSource")).partition(".")[0]
    return {
        "source": f"aws.{service}" if service else "aws.cloudtrail",
        "detail-type": "AWS API Call via CloudTrail",
        "account": account,
        "region": region,
        "resources": [],
        "detail": record,
    }
