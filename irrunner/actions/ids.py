"""Types of AWS identifiers in action parameters: strict patterns, and a plan's tokens where there is a plan.

A parameter of a later step may name a thing that does not exist yet. While planning, such a value is a
token (``<from snapshot.snapshot_ids[0]>``); it is accepted only when the model is validated with
:data:`PLANNING` as context, so that no token can ever reach AWS.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
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


def _on_the_calendar(value: str) -> str:
    """Return an instant that exists; the pattern admits a 31st of February.

    Raises:
        ValueError: If there is no such day or time.
    """
    if not is_token(value):
        datetime.fromisoformat(value)
    return value


AutoScalingGroupName = Annotated[
    str, *_id(r"[^:\x00-\x1f\x7f]{1,255}", "an Auto Scaling group name (no colon)", "web-servers")
]
ImageId = Annotated[str, *_id(f"ami-{_HEX}", "an Amazon machine image id (ami-...)", "ami-0123456789abcdef0")]
Instant = Annotated[
    str,
    *_id(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)",
        "an instant with its offset (RFC 3339)",
        "2026-11-25T03:00:00Z",
    ),
    AfterValidator(_on_the_calendar),
]
InstanceProfile = Annotated[
    str,
    *_id(
        rf"(?:{_PARTITION}:iam::\d{{12}}:instance-profile/{_PATH})?[A-Za-z0-9_+=,.@-]{{1,128}}",
        "the name or ARN of an instance profile",
        "deny-all",
    ),
]
SubnetId = Annotated[str, *_id(f"subnet-{_HEX}", "a subnet id (subnet-...)", "subnet-0123456789abcdef0")]
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
DomainName = Annotated[
    str,
    *_id(
        rf"(?=.{{1,253}}\Z)(?:\*\.)?(?:{_LABEL}\.)+{_LABEL}\.?",
        "a domain name, or *. and a domain name for what is below it",
        "evil.example",
    ),
]
CallerArn = Annotated[
    str,
    *_id(
        rf"{_PARTITION}:(?:iam|sts)::\d{{12}}:(?:root|(?:user|role|assumed-role|federated-user)/[\x21-\x7e]{{1,600}})",
        "the ARN of a caller (user, role, assumed role, federated user, root)",
        "arn:aws:sts::111122223333:assumed-role/web-server/i-0123456789abcdef0",
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
PermissionSetArn = Annotated[
    str,
    *_id(
        rf"{_PARTITION}:sso:::permissionSet/(?:sso)?ins-[0-9a-zA-Z-.]{{1,64}}/ps-[0-9a-zA-Z-./]{{1,64}}",
        "the ARN of a permission set",
        "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef",
    ),
]
IdentityCenterId = Annotated[
    str,
    *_id(
        r"(?:[0-9a-f]{10}-)?[A-Fa-f0-9]{8}(?:-[A-Fa-f0-9]{4}){3}-[A-Fa-f0-9]{12}",
        "the id of a user or group of the identity store",
        "94d81498-1234-1234-1234-abcdef012345",
    ),
]
OrganizationTarget = Annotated[
    str,
    *_id(
        r"\d{12}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}",
        "an account id or the id of an organisational unit",
        "111122223333",
    ),
]
SecretName = Annotated[
    str,
    *_id(
        rf"(?:{_PARTITION}:secretsmanager:{_REGION}:\d{{12}}:secret:)?[A-Za-z0-9/_+=.@-]{{1,512}}",
        "the name or ARN of a secret",
        "prod/database",
    ),
]
IdentityStoreUserName = Annotated[
    str,
    *_id(r"[\w+=,.@-]{1,128}", "a user name of Identity Center", "alice@example.com"),
]
BucketName = Annotated[
    str,
    *_id(
        r"(?!\d+\.\d+\.\d+\.\d+$)(?!xn--|sthree-)(?!.*(?:\.\.|-s3alias$|--[a-z]+-s3$|\.mrap$))"
        r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
        "the name of a general purpose S3 bucket",
        "acme-customer-data",
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
FunctionName = Annotated[
    str, *_id(r"[A-Za-z0-9_-]{1,64}", "a Lambda function's name, without version or alias", "order-export")
]
EcsClusterName = Annotated[str, *_id(r"[A-Za-z0-9_-]{1,255}", "an ECS cluster's name", "shop")]
EcsServiceName = Annotated[str, *_id(r"[A-Za-z0-9_-]{1,255}", "an ECS service's name", "checkout")]
EcsTaskId = Annotated[
    str, *_id(r"[0-9a-f]{32}|[0-9a-f-]{36}", "an ECS task's id", "0123456789abcdef0123456789abcdef")
]
EksClusterName = Annotated[str, *_id(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", "an EKS cluster's name", "shop")]
_DNS_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
NamespaceName = Annotated[str, *_id(_DNS_LABEL, "a Kubernetes namespace", "checkout")]
KubernetesName = Annotated[
    str,
    *_id(
        rf"(?=.{{1,253}}$){_DNS_LABEL}(?:\.{_DNS_LABEL})*",
        "the name of a Kubernetes object",
        "checkout-7d9f8c-x2x7k",
    ),
]
LabelKey = Annotated[
    str,
    *_id(
        rf"(?:(?=.{{1,253}}/){_DNS_LABEL}(?:\.{_DNS_LABEL})*/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{{0,61}}[A-Za-z0-9])?",
        "a label's key",
        "irrunner.io/incident",
    ),
]
LabelValue = Annotated[
    str,
    *_id(
        r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?",
        "a label's value of at most 63",
        "compromised",
    ),
]
IamPrincipalArn = Annotated[
    str,
    *_id(
        rf"{_PARTITION}:iam::\d{{12}}:(?:user|role)/{_PATH}[A-Za-z0-9_+=,.@-]{{1,64}}",
        "the ARN of an IAM user or role",
        "arn:aws:iam::111122223333:role/developer",
    ),
]
_ECR_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
EcrRepositoryName = Annotated[
    str, *_id(rf"(?=.{{2,256}}$){_ECR_PART}(?:/{_ECR_PART})*", "an ECR repository's name", "shop/checkout")
]
ImageDigest = Annotated[
    str, *_id(r"sha256:[0-9a-f]{64}", "the digest of a container image", f"sha256:{'0123456789abcdef' * 4}")
]
ImageTag = Annotated[
    str, *_id(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", "the tag of a container image", "2026-01-01")
]
GuardDutyFindingId = Annotated[
    str, *_id(r"[A-Za-z0-9-]{1,64}", "a GuardDuty finding id", "16afba5c5c43e07c9e3e5e2e544e95df")
]
SecurityHubFindingId = Annotated[
    str,
    *_id(
        r"[\x21-\x7e]{1,512}",
        "the Id of a Security Hub finding",
        "arn:aws:guardduty:eu-central-1:111122223333:detector/12ab/finding/34cd",
    ),
]
SecurityHubProductArn = Annotated[
    str,
    *_id(
        rf"{_PARTITION}:securityhub:{_REGION}:(?:\d{{12}})?:product/[\x21-\x7e]{{1,128}}/[\x21-\x7e]{{1,128}}",
        "the ProductArn of a Security Hub finding",
        "arn:aws:securityhub:eu-central-1::product/aws/guardduty",
    ),
]
SnsTopicArn = Annotated[
    str,
    *_id(
        rf"{_PARTITION}:sns:{_REGION}:\d{{12}}:[A-Za-z0-9_-]{{1,251}}(?:\.fifo)?",
        "the ARN of an SNS topic",
        "arn:aws:sns:eu-central-1:111122223333:security-incidents",
    ),
]
EventBusName = Annotated[str, *_id(r"[A-Za-z0-9._/-]{1,256}", "the name of an event bus", "default")]
