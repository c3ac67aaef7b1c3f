"""Small events that tests vary."""

from __future__ import annotations

from typing import Any

ACCOUNT = "111122223333"
REGION = "eu-central-1"
INSTANCE = "i-0abcdef1234567890"
KEY = "AKIAI44QH8DHBEXAMPLE"


def detail(**changes: Any) -> dict[str, Any]:
    """Return a GuardDuty finding as EventBridge sends it."""
    body: dict[str, Any] = {
        "schemaVersion": "2.0",
        "accountId": ACCOUNT,
        "region": REGION,
        "partition": "aws",
        "id": "46ba0ac2845071e23ccdeb2ae03bfdea",
        "arn": f"arn:aws:guardduty:{REGION}:{ACCOUNT}:detector/d1/finding/46ba0ac2845071e23ccdeb2ae03bfdea",
        "type": "Backdoor:EC2/C&CActivity.B",
        "resource": {
            "resourceType": "Instance",
            "instanceDetails": {"instanceId": INSTANCE, "tags": [{"key": "Environment", "value": "test"}]},
        },
        "service": {"resourceRole": "ACTOR", "archived": False, "count": 3, "additionalInfo": {}},
        "severity": 8,
        "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-02T00:00:00.000Z",
        "title": "The instance talks to a command and control server",
    }
    return body | changes


def event(body: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a finding in EventBridge's envelope."""
    return {
        "version": "0",
        "id": "cd2d702e-ab31-411b-9344-793ce56b1bc7",
        "detail-type": "GuardDuty Finding",
        "source": "aws.guardduty",
        "account": "999999999999",
        "time": "2026-01-02T00:05:00Z",
        "region": REGION,
        "resources": [],
        "detail": detail() if body is None else body,
    } | changes


def key_detail(**credentials: Any) -> dict[str, Any]:
    """Return a GuardDuty finding about credentials."""
    details = {"accessKeyId": KEY, "principalId": "AIDAI4", "userName": "alice", "userType": "IAMUser"}
    resource = {"resourceType": "AccessKey", "accessKeyDetails": details | credentials}
    return detail(type="UnauthorizedAccess:IAMUser/TorIPCaller", resource=resource)


def asff(**changes: Any) -> dict[str, Any]:
    """Return what Security Hub makes of :func:`detail`."""
    body: dict[str, Any] = {
        "SchemaVersion": "2018-10-08",
        "Id": f"arn:aws:guardduty:{REGION}:{ACCOUNT}:detector/d1/finding/46ba0ac2845071e23ccdeb2ae03bfdea",
        "ProductArn": f"arn:aws:securityhub:{REGION}::product/aws/guardduty",
        "AwsAccountId": ACCOUNT,
        "Region": REGION,
        "Types": ["TTPs/Command and Control/Backdoor:EC2-C&CActivity.B"],
        "Severity": {"Product": 8, "Label": "HIGH", "Normalized": 80},
        "CreatedAt": "2026-01-01T00:00:00.000Z",
        "UpdatedAt": "2026-01-02T00:00:00.000Z",
        "Title": "The instance talks to a command and control server",
        "ProductFields": {
            "aws/guardduty/service/count": "3",
            "aws/guardduty/service/archived": "false",
            "aws/guardduty/service/resourceRole": "ACTOR",
        },
        "Resources": [
            {
                "Type": "AwsEc2Instance",
                "Id": f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{INSTANCE}",
                "Tags": {"Environment": "test"},
            }
        ],
        "RecordState": "ACTIVE",
    }
    return body | changes


def ocsf(**changes: Any) -> dict[str, Any]:
    """Return what the new Security Hub makes of :func:`detail`."""
    body: dict[str, Any] = {
        "category_uid": 2,
        "class_uid": 2004,
        "activity_id": 1,
        "status_id": 1,
        "severity_id": 4,
        "count": 3,
        "cloud": {"account": {"uid": ACCOUNT}, "region": REGION, "provider": "AWS"},
        "metadata": {"product": {"uid": f"arn:aws:securityhub:{REGION}::productv2/aws/guardduty"}},
        "finding_info": {
            "uid": asff()["Id"],
            "types": ["Threats", "Backdoor:EC2/C&CActivity.B"],
            "title": "The instance talks to a command and control server",
            "created_time": 1767225600000,
            "modified_time_dt": "2026-01-02T00:00:00.000Z",
        },
        "resources": [
            {
                "type": "AWS::EC2::Instance",
                "uid": f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{INSTANCE}",
                "tags": [{"name": "Environment", "value": "test"}],
            }
        ],
    }
    return body | changes
