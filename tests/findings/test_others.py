from __future__ import annotations

from typing import Any

import pytest

from irrunner.findings.model import Finding
from irrunner.findings.parse import parse_events
from tests.findings.finding_events import ACCOUNT, INSTANCE, KEY, REGION


def parsed(source: str, detail_type: str, detail: dict[str, Any], **envelope: Any) -> Finding:
    """Return the finding of an EventBridge event."""
    head = {"id": "e1", "source": source, "detail-type": detail_type, "account": ACCOUNT, "region": REGION}
    return parse_events(
        head | {"time": "2026-01-01T00:00:00Z", "resources": []} | envelope | {"detail": detail}
    )[0]


def test_exposed_credentials_name_the_key() -> None:
    """AWS Health says which key was found in public."""
    found = parsed(
        "aws.health",
        "AWS Health Event",
        {"eventTypeCode": "AWS_RISK_CREDENTIALS_EXPOSED", "affectedEntities": [{"entityValue": KEY}]},
    )

    assert (found.source, found.type) == ("health", "AWS_RISK_CREDENTIALS_EXPOSED")
    assert (found.resource.kind, found.resource.access_key_id) == ("access-key", KEY)
    assert found.severity == 8.0
    assert found.problems == ()


def test_a_key_that_is_none_is_a_problem() -> None:
    """A template's placeholder is not deactivated."""
    found = parsed(
        "aws.health",
        "AWS Health Event",
        {
            "eventTypeCode": "AWS_RISK_CREDENTIALS_EXPOSED",
            "affectedEntities": [{"entityValue": "ACCESS_KEY_ID_HERE"}],
        },
    )

    assert found.problems == ("not a valid access key id: 'ACCESS_KEY_ID_HERE'",)


@pytest.mark.parametrize(
    ("source", "detail_type", "detail", "expected"),
    [
        (
            "aws.ec2",
            "EC2 Instance State-change Notification",
            {"instance-id": INSTANCE, "state": "stopped"},
            ("ec2", "instance"),
        ),
        (
            "aws.config",
            "Config Configuration Item Change",
            {"configurationItem": {"resourceType": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::loot"}},
            ("config", "bucket"),
        ),
        (
            "aws.macie2",
            "Macie Finding",
            {"resourcesAffected": {"s3Bucket": {"name": "loot"}}, "type": "x"},
            ("macie", "bucket"),
        ),
        (
            "aws.inspector2",
            "Inspector2 Finding",
            {"resources": [{"type": "AWS_EC2_INSTANCE", "id": INSTANCE}]},
            ("inspector", "instance"),
        ),
        (
            "aws.access-analyzer",
            "Access Analyzer Finding",
            {"resource": "arn:aws:s3:::loot", "resourceType": "AWS::S3::Bucket"},
            ("access-analyzer", "bucket"),
        ),
        (
            "aws.cloudwatch",
            "CloudWatch Alarm State Change",
            {"alarmName": "a", "state": {"value": "ALARM"}},
            ("cloudwatch", ""),
        ),
        (
            "aws.guardduty",
            "GuardDuty Malware Protection Object Scan Result",
            {"s3ObjectDetails": {"bucketName": "loot"}},
            ("guardduty", "bucket"),
        ),
        ("aws.ecr", "ECR Image Scan", {}, ("unknown", "")),
        ("awsmock.health", "AWS Health Event", {}, ("custom", "")),
        ("com.example.orders", "Order", {}, ("custom", "")),
    ],
)
def test_each_source_is_told_with_its_resource(
    source: str, detail_type: str, detail: dict[str, Any], expected: tuple[str, str]
) -> None:
    """Services that we know name a resource; the rest is for a person."""
    found = parsed(source, detail_type, detail)

    assert (found.source, found.resource.kind) == expected
    assert found.title is not None
    assert found.account_id == ACCOUNT


def test_bare_objects_of_known_services_are_recognised() -> None:
    """Exports and API answers have no envelope."""
    assert (
        parse_events({"AlarmName": "a", "NewStateValue": "ALARM", "AWSAccountId": ACCOUNT})[0].source
        == "cloudwatch"
    )
    assert parse_events({"findingArn": "arn", "awsAccountId": ACCOUNT, "type": "x"})[0].source == "inspector"
    assert parse_events({"resourcesAffected": {}, "accountId": ACCOUNT})[0].source == "macie"


def test_what_nobody_knows_is_a_finding_for_a_person() -> None:
    """It has problems, so that nothing acts on it."""
    found = parse_events({"hello": "world"})[0]

    assert (found.source, found.problems) == ("unknown", ("no type", "no id", "no account"))
    assert found.raw["detail"] == {"hello": "world"}
