from __future__ import annotations

from typing import Any

import pytest

from irrunner.findings.model import Finding
from irrunner.findings.parse import parse_events
from tests.findings.finding_events import ACCOUNT, INSTANCE, KEY, REGION


def parsed(**changes: Any) -> Finding:
    """Return the finding of a changed CloudTrail record."""
    record: dict[str, Any] = {
        "eventID": "e1",
        "eventName": "StopLogging",
        "eventSource": "cloudtrail.amazonaws.com",
        "eventTime": "2025-02-19 16:32:39.000000000",
        "awsRegion": REGION,
        "recipientAccountId": ACCOUNT,
        "sourceIPAddress": "198.51.100.7",
        "userIdentity": {"type": "IAMUser", "accessKeyId": KEY, "userName": "alice"},
        "requestParameters": {"name": f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/main"},
    }
    return parse_events(record | changes)[0]


def test_a_record_names_caller_and_target() -> None:
    """The trail is the resource; the caller's key stands beside it."""
    found = parsed()

    assert (found.source, found.type, found.id) == ("cloudtrail", "StopLogging", "e1")
    assert (found.resource.kind, found.resource.trail_name) == ("trail", "main")
    assert (found.resource.access_key_id, found.resource.user_name) == (KEY, "alice")
    assert (found.updated_at, found.remote_ip) == ("2025-02-19T16:32:39.000Z", "198.51.100.7")
    assert found.problems == ()


def test_a_role_session_has_the_role_of_its_issuer() -> None:
    """The session's name is not the role's."""
    identity = {
        "type": "AssumedRole",
        "principalId": f"AROAI4:{INSTANCE}",
        "accessKeyId": "ASIAI44QH8DHBEXAMPLE",
        "sessionContext": {"sessionIssuer": {"userName": "web"}},
    }
    found = parsed(
        userIdentity=identity, eventName="ListBuckets", eventSource="s3.amazonaws.com", requestParameters=None
    )

    assert (found.resource.kind, found.resource.role_name, found.resource.instance_id) == (
        "access-key",
        "web",
        INSTANCE,
    )


@pytest.mark.parametrize("address", ["AWS Internal", "lambda.amazonaws.com", "06.237.252.245", None, 5])
def test_a_service_is_no_remote_address(address: Any) -> None:
    """Only addresses are shown as such."""
    assert parsed(sourceIPAddress=address).remote_ip == ""


@pytest.mark.parametrize(
    ("service", "request_parameters", "field", "expected"),
    [
        ("ec2", {"instancesSet": {"items": [{"instanceId": INSTANCE}]}}, "instance_id", INSTANCE),
        ("ssm", {"instanceIds": [INSTANCE]}, "instance_id", INSTANCE),
        ("s3", {"bucketName": "loot"}, "bucket_names", ("loot",)),
        ("rds", {"dBInstanceIdentifier": "orders"}, "db_instance_id", "orders"),
        ("lambda", {"functionName": "f"}, "function_name", "f"),
    ],
)
def test_targets_of_calls_are_found(
    service: str, request_parameters: dict[str, Any], field: str, expected: object
) -> None:
    """Each service names its resource in its own way."""
    found = parsed(eventSource=f"{service}.amazonaws.com", requestParameters=request_parameters)

    assert getattr(found.resource, field) == expected


def test_a_garbled_key_is_a_problem() -> None:
    """The response would be about that key."""
    found = parsed(eventSource="iam.amazonaws.com", userIdentity={"type": "IAMUser", "accessKeyId": "1111"})

    assert found.problems == ("not a valid access key id: '1111'",)
