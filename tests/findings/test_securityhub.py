from __future__ import annotations

from typing import Any

import pytest

from irrunner.findings.model import Finding
from irrunner.findings.parse import parse_events
from tests.findings.finding_events import ACCOUNT, REGION, asff


def parsed(**changes: Any) -> Finding:
    """Return the finding of a changed ASFF object."""
    return parse_events(asff(**changes))[0]


def test_only_awss_own_product_arn_makes_a_guardduty_finding() -> None:
    """Whoever may import findings can call a product GuardDuty; the ARN without an account is AWS's."""
    forged = f"arn:aws:securityhub:{REGION}:{ACCOUNT}:product/{ACCOUNT}/default"

    assert parsed(ProductArn=forged, ProductName="GuardDuty").source == "securityhub"
    assert parsed(ProductArn=forged + "::product/aws/guardduty").source == "securityhub"


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        ({"Product": 5, "Normalized": 40, "Label": "LOW"}, 5.0),
        ({"Product": 800, "Normalized": 70}, 7.0),
        ({"Normalized": 0}, 1.0),
        ({"Label": "CRITICAL"}, 9.0),
        ({"Normalized": 4000, "Label": "MEDIUM"}, 5.0),
        ({}, 0.0),
        ("HIGH", 0.0),
    ],
)
def test_severity_is_the_products_then_normalized_then_the_label(severity: Any, expected: float) -> None:
    """All forms land on GuardDuty's scale."""
    assert parsed(Severity=severity).severity == expected


def test_of_several_resources_the_one_that_the_type_speaks_of_is_primary() -> None:
    """A finding about an instance may list the key first."""
    key = {"Type": "AwsIamAccessKey", "Id": "AWS::IAM::AccessKey:AKIAI44QH8DHBEXAMPLE"}

    found = parsed(Resources=[key, *asff()["Resources"]])

    assert [item.kind for item in found.resources] == ["instance", "access-key"]


def test_a_long_term_key_with_a_user_name_is_an_iam_users() -> None:
    """ASFF leaves the type of the principal out; only root and users have AKIA keys."""
    resource = {
        "Type": "AwsIamAccessKey",
        "Id": "AWS::IAM::AccessKey:AKIAI44QH8DHBEXAMPLE",
        "Details": {"AwsIamAccessKey": {"UserName": "alice"}},
    }
    found = parsed(Types=["TTPs/Discovery/Recon:IAMUser-UserPermissions"], Resources=[resource])

    assert found.type == "Recon:IAMUser/UserPermissions"
    assert (found.resource.access_key_id, found.resource.user_type) == ("AKIAI44QH8DHBEXAMPLE", "IAMUser")


@pytest.mark.parametrize(
    "change",
    [
        {"RecordState": "ARCHIVED"},
        {"Workflow": {"Status": "SUPPRESSED"}},
        {"Workflow": {"Status": "RESOLVED"}},
        {"ProductFields": {"archived": "true"}},
    ],
)
def test_what_somebody_closed_is_archived(change: dict[str, Any]) -> None:
    """Closed in Security Hub or in GuardDuty, it is not acted on."""
    assert parsed(**change).archived


@pytest.mark.parametrize(
    "change",
    [
        {"Sample": True},
        {"ProductFields": {"aws/guardduty/service/additionalInfo/sample": "true"}},
        {"ProductFields": {"additionalInfo": '{"sample":true}'}},
        {"Title": "[SAMPLE] x"},
        {
            "Resources": [
                {"Type": "AwsEc2Instance", "Id": f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-99999999"}
            ]
        },
    ],
)
def test_samples_are_recognised(change: dict[str, Any]) -> None:
    """Flattened fields mark samples too."""
    assert parsed(**change).sample


@pytest.mark.parametrize(
    ("type_name", "identifier", "field", "expected"),
    [
        ("AwsS3Bucket", "arn:aws:s3:::loot", "bucket_names", ("loot",)),
        ("AwsS3Object", "arn:aws:s3:::loot/a/b", "bucket_names", ("loot",)),
        ("AwsRdsDbInstance", f"arn:aws:rds:{REGION}:{ACCOUNT}:db:orders", "db_instance_id", "orders"),
        ("AwsLambdaFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f", "function_name", "f"),
        ("AwsEksCluster", f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/c", "cluster_name", "c"),
        ("AwsCloudTrailTrail", f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/t", "trail_name", "t"),
        ("AwsIamUser", f"arn:aws:iam::{ACCOUNT}:user/path/alice", "user_name", "alice"),
        ("AwsIamRole", f"arn:aws:iam::{ACCOUNT}:role/web", "role_name", "web"),
        (
            "AwsEc2Instance",
            "arn:aws::ec2:us-east-1:193043430472:instance/i-0c10c2c7863d1a356",
            "instance_id",
            "i-0c10c2c7863d1a356",
        ),
    ],
)
def test_resources_are_named_by_their_arns(
    type_name: str, identifier: str, field: str, expected: object
) -> None:
    """The last part of the ARN is the name, also with the empty part of AWS's own examples."""
    resource = parsed(Resources=[{"Type": type_name, "Id": identifier}]).resource

    assert getattr(resource, field) == expected
    assert resource.arn == identifier
