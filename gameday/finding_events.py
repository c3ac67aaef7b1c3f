"""GuardDuty findings as EventBridge delivers them, about resources that a world holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from irrunner.clock import iso
from irrunner.journal.records import digest

DETECTED_AFTER = timedelta(minutes=5)
"""GuardDuty publishes a new finding within about five minutes of the activity."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a finding is about; what is empty is left out of it."""

    account: str
    region: str
    instance_id: str = ""
    network_interfaces: tuple[Mapping[str, str], ...] = ()
    """Each with ``id``, ``private_ip`` and perhaps ``public_ip`` and ``ipv6``."""
    vpc_id: str = ""
    subnet_id: str = ""
    instance_profile_arn: str = ""
    role_name: str = ""
    user_name: str = ""
    access_key_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Detection:
    """What GuardDuty says about it."""

    type: str
    severity: float = 8.0
    title: str = ""
    resource_role: str = "ACTOR"
    """``ACTOR`` or ``TARGET``; empty: the finding does not say."""
    domain: str = ""
    """Domain that was asked for, of DNS findings."""
    sample: bool = False
    archived: bool = False
    count: int = 1


def instance_event(subject: Subject, detection: Detection, now: datetime) -> dict[str, Any]:
    """Return a finding about an instance.

    Args:
        subject: The instance.
        detection: What was detected.
        now: When the event arrives.
    """
    resource = {"resourceType": "Instance", "instanceDetails": _instance_details(subject)}
    return _event(subject, detection, resource, subject.instance_id, now)


def user_key_event(subject: Subject, detection: Detection, now: datetime) -> dict[str, Any]:
    """Return a finding about a user's access key; arguments as of :func:`instance_event`."""
    details = {
        "accessKeyId": subject.access_key_id,
        "principalId": f"AIDA{digest(subject.user_name)[:17].upper()}",
        "userName": subject.user_name,
        "userType": "IAMUser",
    }
    resource = {"resourceType": "AccessKey", "accessKeyDetails": details}
    return _event(subject, detection, resource, subject.user_name, now)


def instance_session_event(subject: Subject, detection: Detection, now: datetime) -> dict[str, Any]:
    """Return a finding about stolen credentials of an instance; arguments as of :func:`instance_event`."""
    details = {
        "accessKeyId": f"ASIA{digest(subject.instance_id)[:16].upper()}",
        "principalId": f"AROA{digest(subject.role_name)[:17].upper()}:{subject.instance_id}",
        "userName": subject.role_name,
        "userType": "Role",
    }
    resource = {
        "resourceType": "AccessKey",
        "accessKeyDetails": details,
        "instanceDetails": _instance_details(subject),
    }
    return _event(subject, detection, resource, subject.instance_id, now)


def _event(
    subject: Subject, detection: Detection, resource: Mapping[str, Any], name: str, now: datetime
) -> dict[str, Any]:
    account, region = subject.account, subject.region
    finding_id = digest(f"{account} {region} {name} {detection.type} {iso(now)}")[:32]
    detector = digest(f"detector {account} {region}")[:32]
    created = iso(now - DETECTED_AFTER / 2)
    verb = "is acting against" if detection.resource_role == "TARGET" else "was seen in"
    title = detection.title or f"{detection.type} {verb} {name}"
    return {
        "version": "0",
        "id": _uuid(f"event {finding_id}"),
        "detail-type": "GuardDuty Finding",
        "source": "aws.guardduty",
        "account": account,
        "time": iso(now),
        "region": region,
        "resources": [],
        "detail": {
            "schemaVersion": "2.0",
            "accountId": account,
            "region": region,
            "partition": "aws",
            "id": finding_id,
            "arn": f"arn:aws:guardduty:{region}:{account}:detector/{detector}/finding/{finding_id}",
            "type": detection.type,
            "severity": detection.severity,
            "title": f"[SAMPLE] {title}" if detection.sample else title,
            "description": title,
            "createdAt": created,
            "updatedAt": created,
            "resource": dict(resource),
            "service": _service(detection, detector, now),
        },
    }


def _service(detection: Detection, detector: str, now: datetime) -> dict[str, Any]:
    service = {
        "serviceName": "guardduty",
        "detectorId": detector,
        "action": _action(detection),
        "additionalInfo": {"sample": True} if detection.sample else {},
        "eventFirstSeen": iso(now - DETECTED_AFTER),
        "eventLastSeen": iso(now - DETECTED_AFTER / 2),
        "archived": detection.archived,
        "count": detection.count,
    }
    return {**service, "resourceRole": detection.resource_role} if detection.resource_role else service


def _action(detection: Detection) -> dict[str, Any]:
    if detection.domain:
        asked = {"domain": detection.domain, "protocol": "UDP", "blocked": False}
        return {"actionType": "DNS_REQUEST", "dnsRequestAction": asked}
    remote = {"ipAddressV4": "198.51.100.77", "organization": {"asn": "64496", "asnOrg": "Documentation"}}
    if ":IAMUser/" in detection.type:
        call = {"api": "DescribeInstances", "serviceName": "ec2.amazonaws.com", "remoteIpDetails": remote}
        return {"actionType": "AWS_API_CALL", "awsApiCallAction": call}
    connection = {"connectionDirection": "OUTBOUND", "protocol": "TCP", "remoteIpDetails": remote}
    return {"actionType": "NETWORK_CONNECTION", "networkConnectionAction": connection}


def _instance_details(subject: Subject) -> dict[str, Any]:
    details: dict[str, Any] = {
        "instanceId": subject.instance_id,
        "instanceType": "m5.large",
        "instanceState": "running",
        "availabilityZone": f"{subject.region}a",
        "imageId": "ami-0123456789abcdef0",
        "networkInterfaces": [_interface(subject, entry) for entry in subject.network_interfaces],
        "tags": [{"key": key, "value": value} for key, value in subject.tags.items()],
    }
    if subject.instance_profile_arn:
        profile_id = f"AIPA{digest(subject.instance_profile_arn)[:17].upper()}"
        details["iamInstanceProfile"] = {"arn": subject.instance_profile_arn, "id": profile_id}
    return details


def _interface(subject: Subject, entry: Mapping[str, str]) -> dict[str, Any]:
    return {
        "networkInterfaceId": entry["id"],
        "privateIpAddress": entry.get("private_ip", ""),
        "publicIp": entry.get("public_ip", ""),
        "ipv6Addresses": [entry["ipv6"]] if entry.get("ipv6") else [],
        "subnetId": subject.subnet_id,
        "vpcId": subject.vpc_id,
    }


def _uuid(text: str) -> str:
    digits = digest(text)[:32]
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
