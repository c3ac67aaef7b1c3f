"""What an operation is: its service, whether it only reads, and the IAM action that allows it.

Operations are written ``service:Operation`` with botocore's service name and the API's spelling
(``elbv2:DescribeTargetHealth``); an IAM prefix (``elasticloadbalancing``) is understood too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from irrunner.errors import InvalidCall

if TYPE_CHECKING:
    from irrunner.actions.contract import LocalReads
    from irrunner.aws.api import CloudApi

OPERATION = re.compile(r"^(?P<service>[a-z][a-z0-9-]*):(?P<name>[A-Z][A-Za-z0-9]*)$")
READ_PREFIX = re.compile(r"^(Describe|Get|List|Lookup|Search|Head|BatchGet|Simulate)([A-Z0-9]|$)")

KUBERNETES = "kubernetes:"
"""Prefix of operations of an EKS cluster's own API, which IAM does not know."""

ALSO_READS = frozenset(
    {
        "access-analyzer:ValidatePolicy",
        "accessanalyzer:ValidatePolicy",
        "config:BatchGetResourceConfig",
        "config:SelectResourceConfig",
        "dynamodb:Query",
        "dynamodb:Scan",
        "iam:GenerateCredentialReport",
        "iam:GenerateServiceLastAccessedDetails",
        "logs:FilterLogEvents",
        "sts:DecodeAuthorizationMessage",
    }
)
"""Reads whose names do not say so."""

MINTS_CREDENTIALS = frozenset(
    {
        "cognito-identity:GetCredentialsForIdentity",
        "cognito-identity:GetId",
        "cognito-identity:GetOpenIdToken",
        "cognito-identity:GetOpenIdTokenForDeveloperIdentity",
        "ecr:GetAuthorizationToken",
        "lightsail:GetInstanceAccessDetails",
        "redshift-serverless:GetCredentials",
        "redshift:GetClusterCredentials",
        "redshift:GetClusterCredentialsWithIAM",
        "sso:GetRoleCredentials",
        "sts:GetFederationToken",
        "sts:GetSessionToken",
    }
)
"""Named like reads, but they create sessions, users or keys."""

IAM_PREFIX = {
    "accessanalyzer": "access-analyzer",
    "apigatewayv2": "apigateway",
    "cloudcontrol": "cloudformation",
    "ecr-public": "ecr-public",
    "efs": "elasticfilesystem",
    "elb": "elasticloadbalancing",
    "elbv2": "elasticloadbalancing",
    "emr": "elasticmapreduce",
    "opensearch": "es",
    "resourcegroupstaggingapi": "tag",
    "s3control": "s3",
    "sesv2": "ses",
    "sso-admin": "sso",
    "stepfunctions": "states",
}
"""botocore's service name to the prefix of IAM actions, where they differ."""

BOTO_SERVICE = {
    "access-analyzer": "accessanalyzer",
    "elasticfilesystem": "efs",
    "elasticloadbalancing": "elbv2",
    "elasticmapreduce": "emr",
    "sso": "sso-admin",
    "states": "stepfunctions",
    "tag": "resourcegroupstaggingapi",
}
"""IAM prefix to botocore's service name, where the prefix is no botocore service itself."""

IAM_ACTION = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:CopyObject": "s3:PutObject",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:DeletePublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:GetBucketReplication": "s3:GetReplicationConfiguration",
    "s3:GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:PutObjectLockConfiguration": "s3:PutBucketObjectLockConfiguration",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3:UploadPart": "s3:PutObject",
    "s3control:GetPublicAccessBlock": "s3:GetAccountPublicAccessBlock",
}
"""Operations whose IAM action has another name."""


def split(operation: str) -> tuple[str, str]:
    """Return botocore's service name and the operation's name.

    Args:
        operation: ``ec2:DescribeInstances``.

    Raises:
        InvalidCall: If the text is not ``service:Operation``.
    """
    match = OPERATION.match(operation)
    if match is None:
        raise InvalidCall(f"{operation!r} is no operation", hint="write service:Operation, ec2:CreateTags")
    service = match["service"]
    return BOTO_SERVICE.get(service, service), match["name"]


def is_read(operation: str) -> bool:
    """Return whether the operation changes nothing and creates no credentials.

    Args:
        operation: ``ec2:DescribeInstances``.
    """
    if operation in MINTS_CREDENTIALS:
        return False
    _, _, name = operation.partition(":")
    return operation in ALSO_READS or READ_PREFIX.match(name) is not None


def iam_action(operation: str) -> str:
    """Return the IAM action that allows the operation.

    Args:
        operation: ``elbv2:DescribeTargetHealth``.

    Returns:
        ``elasticloadbalancing:DescribeTargetHealth``.

    Source: AWS Service Authorization Reference, "Actions, resources, and condition keys".
    """
    service, name = split(operation)
    return IAM_ACTION.get(f"{service}:{name}", f"{IAM_PREFIX.get(service, service)}:{name}")


class ReadOnlyApi:
    """A :class:`irrunner.actions.contract.ReadApi`: looks and plans get nothing that could change AWS."""

    def __init__(self, api: CloudApi) -> None:
        self._api = api

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Call one read-only operation.

        Raises:
            InvalidCall: If the operation is mutating; nothing is sent.
            ActionError: As mapped by the seam.
        """
        _require_read(operation)
        return self._api.call(operation, **params)

    def pages(self, operation: str, path: str, /, **params: Any) -> list[Any]:
        """Call a paginated read; raises as :meth:`call`."""
        _require_read(operation)
        return self._api.pages(operation, path, **params)

    def in_region(self, region: str) -> ReadOnlyApi:
        """Return the same account, read-only, in another Region."""
        return ReadOnlyApi(self._api.in_region(region))


class ReadOnlyPort:
    """A :class:`irrunner.actions.contract.LocalReads`: the local port, for looks."""

    def __init__(self, port: LocalReads) -> None:
        self._port = port

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Call one read-only operation.

        Raises:
            InvalidCall: If the operation is mutating; nothing is sent.
        """
        _require_read(operation)
        return self._port.call(operation, **params)


def _require_read(operation: str) -> None:
    if not is_read(operation):
        raise InvalidCall(f"{operation} changes AWS; a look or a plan only reads", operation=operation)
