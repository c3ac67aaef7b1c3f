"""Events of our own, in the shape in which EventBridge delivers GuardDuty findings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ACCOUNT = "111122223333"
REGION = "us-west-2"
INSTANCE = "i-0123456789abcdef0"
KEY = "AKIAIOSFODNN7EXAMPLE"


def _event(type_: str, resource: dict[str, Any], **changes: Any) -> dict[str, Any]:
    detail: dict[str, Any] = {
        "schemaVersion": "2.0",
        "accountId": ACCOUNT,
        "region": REGION,
        "partition": "aws",
        "id": "f1",
        "arn": f"arn:aws:guardduty:{REGION}:{ACCOUNT}:detector/d/finding/f1",
        "type": type_,
        "severity": 8,
        "createdAt": "2026-03-01T10:00:00.000Z",
        "updatedAt": "2026-03-01T10:00:00.000Z",
        "title": "Something acts against others.",
        "description": "It does.",
        "resource": resource,
        "service": {"serviceName": "guardduty", "resourceRole": "ACTOR", "count": 1, "archived": False},
    }
    service = {**detail["service"], **changes.pop("service", {})}
    return {
        "version": "0",
        "id": "e1",
        "detail-type": "GuardDuty Finding",
        "source": "aws.guardduty",
        "account": ACCOUNT,
        "region": REGION,
        "time": "2026-03-01T10:00:01Z",
        "resources": [],
        "detail": {**detail, **changes, "service": service},
    }


def instance_event(
    directory: Path, name: str = "instance", *, tags: dict[str, str] | None = None, **changes: Any
) -> Path:
    """Write an event about an instance with two interfaces, and return its path.

    Args:
        directory: Where.
        name: Of the file.
        tags: Of the instance; without ``Environment`` it counts as production.
        changes: Of the finding's fields.
    """
    details = {
        "instanceId": INSTANCE,
        "imageId": "ami-0123456789abcdef0",
        "tags": [{"key": key, "value": value} for key, value in (tags or {}).items()],
        "iamInstanceProfile": {"arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/web", "id": "AIPA1"},
        "networkInterfaces": [
            {"networkInterfaceId": f"eni-0123456789abcde{number}f", "ipv6Addresses": ["2001:db8::1"]}
            for number in range(2)
        ],
    }
    resource = {"resourceType": "Instance", "instanceDetails": details}
    return _write(directory, name, _event("Backdoor:EC2/C&CActivity.B", resource, **changes))


def key_event(
    directory: Path, name: str = "key", *, key: str = KEY, user: str = "alice", **changes: Any
) -> Path:
    """Write an event about a user's access key, and return its path."""
    details = {"accessKeyId": key, "userName": user, "userType": "IAMUser", "principalId": "AIDA1"}
    resource = {"resourceType": "AccessKey", "accessKeyDetails": details}
    return _write(directory, name, _event("Discovery:IAMUser/AnomalousBehavior", resource, **changes))


def _write(directory: Path, name: str, event: dict[str, Any]) -> Path:
    path = directory / f"{name}.json"
    path.write_text(json.dumps(event), encoding="utf-8")
    return path
