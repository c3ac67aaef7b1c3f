"""Which operations read, and what IAM calls them."""

from __future__ import annotations

import botocore.session
import pytest

from irrunner.aws.operations import BOTO_SERVICE, IAM_PREFIX, iam_action, is_read, split
from irrunner.errors import InvalidCall


@pytest.mark.parametrize(
    "operation",
    [
        "ec2:DescribeInstances",
        "iam:GetRole",
        "iam:ListAccessKeys",
        "iam:SimulatePrincipalPolicy",
        "cloudtrail:LookupEvents",
        "s3:HeadObject",
        "ecr:BatchGetImage",
        "config:SelectResourceConfig",
        "sts:GetCallerIdentity",
    ],
)
def test_reads(operation: str) -> None:
    """Operations that only tell are reads."""
    assert is_read(operation)


@pytest.mark.parametrize(
    "operation",
    [
        "ec2:CreateTags",
        "ec2:ModifyNetworkInterfaceAttribute",
        "sts:AssumeRole",
        "sts:GetSessionToken",
        "sts:GetFederationToken",
        "redshift:GetClusterCredentials",
        "ec2:Getaway",
        "ssm:SendCommand",
        "nonsense",
        "",
    ],
)
def test_changes_and_minted_credentials_are_no_reads(operation: str) -> None:
    """Everything else may change something; a Get that creates credentials is no read either."""
    assert not is_read(operation)


def test_iam_prefixes_and_actions() -> None:
    """Permissions are written with IAM's names, calls with botocore's."""
    assert iam_action("elbv2:DescribeTargetHealth") == "elasticloadbalancing:DescribeTargetHealth"
    assert iam_action("s3:ListObjectsV2") == "s3:ListBucket"
    assert iam_action("ec2:CreateTags") == "ec2:CreateTags"
    assert split("elasticloadbalancing:DescribeTargetHealth") == ("elbv2", "DescribeTargetHealth")


def test_service_names_exist_in_botocore() -> None:
    """The tables name real services."""
    known = set(botocore.session.Session().get_available_services())
    unknown = {*IAM_PREFIX, *BOTO_SERVICE.values()} - known
    assert unknown == set()


@pytest.mark.parametrize(
    "text", ["", "ec2", "ec2:", "ec2:describe", "EC2:Describe", "ec2:Describe Instances"]
)
def test_what_is_no_operation_is_refused(text: str) -> None:
    """A misspelt operation is refused before a client is made."""
    with pytest.raises(InvalidCall):
        split(text)
