"""Types of AWS identifiers in action parameters: strict patterns, and a plan's tokens where there is a plan.

A parameter of a later step may name a thing that does not exist yet. While planning, such a value is a
token (``<from snapshot.snapshot_ids[0]>``); it is accepted only when the model is validated with
:data:`PLANNING` as context, so that no token can ever reach AWS.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import AfterValidator, ValidationInfo, WithJsonSchema

PLANNING: Final = {"planning": True}
"""Validation context of a plan: ``Params.model_validate(values, context=PLANNING)``."""

TOKEN: Final = re.compile(r"<[^<>\n]{1,256}>")

_PARTITION: Final = r"arn:aws[a-z-]{0,24}"
_PATH: Final = r"(?:[\x21-\x7e]{0,510}/)?"
_REGION: Final = r"[a-z]{2,4}(?:-[a-z]+){1,3}-\d{1,2}"


def is_token(value: object) -> bool:
    """Return whether a value is the text of a plan's token, such as ``<quarantine-group>``."""
    return isinstance(value, str) and TOKEN.fullmatch(value) is not None


def _matches(pattern: str, what: str) -> Callable[[str, ValidationInfo], str]:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str, info: ValidationInfo) -> str:
        if compiled.fullmatch(value):
            return value
        if is_token(value) and (info.context or {}).get("planning"):
            return value
        raise ValueError(f"not {what}: {value[:80]!r}")

    return check


def _id(pattern: str, what: str, example: str) -> tuple[AfterValidator, WithJsonSchema]:
    schema: dict[str, Any] = {
        "type": "string",
        "pattern": f"^(?:{pattern})$",
        "description": what,
        "examples": [example],
    }
    return AfterValidator(_matches(pattern, what)), WithJsonSchema(schema)


_HEX = r"(?:[0-9a-f]{8}|[0-9a-f]{17})"

InstanceId = Annotated[str, *_id(f"i-{_HEX}", "an EC2 instance id (i-...)", "i-0123456789abcdef0")]
VolumeId = Annotated[str, *_id(f"vol-{_HEX}", "an EBS volume id (vol-...)", "vol-0123456789abcdef0")]
SnapshotId = Annotated[str, *_id(f"snap-{_HEX}", "an EBS snapshot id (snap-...)", "snap-0123456789abcdef0")]
SecurityGroupId = Annotated[str, *_id(f"sg-{_HEX}", "a security group id (sg-...)", "sg-0123456789abcdef0")]
EniId = Annotated[str, *_id(f"eni-{_HEX}", "a network interface id (eni-...)", "eni-0123456789abcdef0")]
VpcId = Annotated[str, *_id(f"vpc-{_HEX}", "a VPC id (vpc-...)", "vpc-0123456789abcdef0")]
AccountId = Annotated[str, *_id(r"\d{12}", "an AWS account id of 12 digits", "111122223333")]
RegionName = Annotated[str, *_id(_REGION, "a Region name", "eu-central-1")]
AccessKeyId = Annotated[
    str,
    *_id(r"(?:AKIA|ASIA)[A-Z0-9]{12,124}", "an access key id (AKIA... or ASIA...)", "AKIAIOSFODNN7EXAMPLE"),
]
UserName = Annotated[str, *_id(r"[A-Za-z0-9_+=,.@-]{1,64}", "an IAM user name", "alice")]
RoleName = Annotated[str, *_id(r"[A-Za-z0-9_+=,.@-]{1,64}", "an IAM role name", "web-server")]
InstanceProfileName = Annotated[
    str, *_id(r"[A-Za-z0-9_+=,.@-]{1,128}", "an instance profile name", "web-server")
]
InstanceProfileArn = Annotated[
    str,
    *_id(
        rf"{_PARTITION}:iam::\d{{12}}:instance-profile/{_PATH}[A-Za-z0-9_+=,.@-]{{1,128}}",
        "the ARN of an instance profile",
        "arn:aws:iam::111122223333:instance-profile/web-server",
    ),
]
PolicyArn = Annotated[
    str,
    *_id(
        rf"{_PARTITION}:iam::(?:\d{{12}}|aws):policy/{_PATH}[A-Za-z0-9_+=,.@-]{{1,128}}",
        "the ARN of an IAM managed policy",
        "arn:aws:iam::aws:policy/ReadOnlyAccess",
    ),
]
KmsKeyArn = Annotated[
    str,
    *_id(
        rf"{_PARTITION}:kms:{_REGION}:\d{{12}}:key/(?:mrk-)?[0-9a-f-]{{32,36}}",
        "the ARN of a KMS key",
        "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    ),
]
TagKey = Annotated[
    str,
    *_id(r"(?![aA][wW][sS]:)[^\x00-\x1f]{1,128}", "a tag key (1 to 128 characters, not aws:...)", "Incident"),
]
TagValue = Annotated[str, *_id(r"[^\x00-\x1f]{0,256}", "a tag value of at most 256 characters", "IR-42")]
BucketName = Annotated[
    str,
    *_id(
        r"(?!\d+\.\d+\.\d+\.\d+$)(?!xn--|sthree-)(?!.*(?:\.\.|-s3alias$|--[a-z]+-s3$|\.mrap$))"
        r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
        "the name of a general purpose S3 bucket",
        "acme-customer-data",
    ),
]
PrincipalArn = Annotated[
    str,
    *_id(
        rf"{_PARTITION}:iam::\d{{12}}:(?:role|user)/(?:[!-#%-)+->@-~]{{0,510}}/)?[A-Za-z0-9_+=,.@-]{{1,64}}",
        "the ARN of an IAM role or user, without wildcards",
        "arn:aws:iam::111122223333:role/break-glass",
    ),
]
TrailName = Annotated[
    str,
    *_id(
        rf"(?:{_PARTITION}:cloudtrail:{_REGION}:\d{{12}}:trail/)?[A-Za-z0-9](?:[A-Za-z0-9]|[._-](?![._-])){{2,127}}(?<![._-])",
        "the name or ARN of a CloudTrail trail",
        "arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit",
    ),
]
_RDS_NAME: Final = r"(?!.*(?:--|-$))[a-z][a-z0-9-]{0,62}"
DbInstanceId = Annotated[str, *_id(_RDS_NAME, "an RDS DB instance identifier (lower case)", "orders")]
DbClusterId = Annotated[str, *_id(_RDS_NAME, "an RDS DB cluster identifier (lower case)", "orders-aurora")]
DbSnapshotArn = Annotated[
    str,
    *_id(
        rf"{_PARTITION}:rds:{_REGION}:\d{{12}}:(?:snapshot|cluster-snapshot):(?:rds:|awsbackup:)?[A-Za-z][A-Za-z0-9-]{{0,254}}",
        "the ARN of an RDS DB snapshot or DB cluster snapshot",
        "arn:aws:rds:eu-central-1:111122223333:snapshot:orders-2026-01-01",
    ),
]
KmsKeyId = Annotated[
    str,
    *_id(
        rf"(?:{_PARTITION}:kms:{_REGION}:\d{{12}}:key/)?(?:mrk-[0-9a-f]{{32}}|[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})",
        "the id or ARN of a KMS key (an alias may be moved meanwhile)",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
    ),
]
ConfigRuleName = Annotated[
    str, *_id(r"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?", "an AWS Config rule name", "s3-public-read")
]
ResourceType = Annotated[
    str, *_id(r"AWS::[A-Za-z0-9]{1,64}(?:::[A-Za-z0-9]{1,64}){1,2}", "a resource type", "AWS::S3::Bucket")
]
ResourceId = Annotated[
    str, *_id(r"[\x21-\x7e]{1,768}", "an id by which AWS Config knows a resource", "acme-customer-data")
]
TableName = Annotated[str, *_id(r"[A-Za-z0-9_.-]{3,255}", "a DynamoDB table name", "orders")]
