"""AWS Config: remediations, and the memory of resources."""

from __future__ import annotations

from datetime import timedelta

from gameday.world.config import memory
from tests.contracts.bench import Bench
from tests.contracts.row import Row, Values

RULE = "s3-public-read"
RESOURCE = {"resource_type": "AWS::CloudTrail::Trail", "resource_id": "audit"}


def remediation(bench: Bench) -> Values:
    """A rule with a remediation, and two resources that it found wrong."""
    configuration = {
        "ConfigRuleName": RULE, "TargetType": "SSM_DOCUMENT", "TargetId": "AWS-DisableS3BucketPublicReadWrite"
    }  # fmt: skip
    bench.client("config").put_remediation_configurations(RemediationConfigurations=[configuration])
    since = (bench.clock.now() - timedelta(minutes=5)).isoformat()
    names = {"resource_type": "AWS::S3::Bucket", "resource_ids": ["acme-one", "acme-two"]}
    return {"config_rule_name": RULE, "since": since, **names}


def history(bench: Bench) -> Values:
    """A resource of which Config remembers two configurations."""
    now = bench.clock.now()
    memory(bench.account, bench.where.region).items.extend(
        {
            "resourceType": RESOURCE["resource_type"],
            "resourceId": RESOURCE["resource_id"],
            "configurationItemCaptureTime": now - timedelta(days=days),
            "configurationItemStatus": "OK",
            "arn": "arn:aws:cloudtrail:us-east-1:111122223333:trail/audit",
            "configuration": '{"s3BucketName": "acme-audit"}',
        }
        for days in (1, 2)
    )
    return RESOURCE


ROWS = (
    Row("aws.config.get-resource-history", history, None),
    Row("aws.config.start-remediation", remediation, None, operations=("config:StartRemediationExecution",)),
)
