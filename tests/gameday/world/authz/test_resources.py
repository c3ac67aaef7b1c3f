from __future__ import annotations

from typing import Any

import pytest

from gameday.world.authz.resources import resources_of

PLACE = {"Partition": "aws", "Region": "eu-central-1", "Account": "111122223333"}
EC2 = "arn:aws:ec2:eu-central-1:111122223333"


@pytest.mark.parametrize(
    ("action", "params", "arns"),
    [
        ("ec2:DescribeInstances", {"InstanceIds": ["i-0123456789abcdef0"]}, ["*"]),
        ("ec2:StopInstances", {"InstanceIds": ["i-0123456789abcdef0", "i-0fedcba9876543210"]},
         [f"{EC2}:instance/i-0123456789abcdef0", f"{EC2}:instance/i-0fedcba9876543210"]),
        ("ec2:ModifyNetworkInterfaceAttribute",
         {"NetworkInterfaceId": "eni-0123456789abcdef0", "Groups": ["sg-0123456789abcdef0"]},
         [f"{EC2}:network-interface/eni-0123456789abcdef0", f"{EC2}:security-group/sg-0123456789abcdef0"]),
        ("ec2:CreateSecurityGroup", {"GroupName": "q", "VpcId": "vpc-0123456789abcdef0"},
         [f"{EC2}:security-group/*", f"{EC2}:vpc/vpc-0123456789abcdef0"]),
        ("ec2:CreateTags",
         {"Resources": ["eni-0123456789abcdef0"], "Tags": [{"Key": "was", "Value": "sg-0123456789abcdef0"}]},
         [f"{EC2}:network-interface/eni-0123456789abcdef0"]),
        ("ec2:CopySnapshot", {"SourceSnapshotId": "snap-0123456789abcdef0"},
         ["arn:aws:ec2:eu-central-1::snapshot/snap-0123456789abcdef0"]),
        ("iam:UpdateAccessKey", {"UserName": "alice", "AccessKeyId": "AKIAIOSFODNN7EXAMPLE"},
         ["arn:aws:iam::111122223333:user/alice"]),
        ("iam:PutRolePolicy", {"RoleArn": "arn:aws:iam::111122223333:role/a/web", "RoleName": "web"},
         ["arn:aws:iam::111122223333:role/a/web"]),
        ("s3:PutObject", {"Bucket": "evidence", "Key": "a/b"}, ["arn:aws:s3:::evidence/a/b"]),
        ("s3:PutBucketPolicy", {"Bucket": "evidence", "Policy": "{}"}, ["arn:aws:s3:::evidence"]),
        ("autoscaling:EnterStandby", {"AutoScalingGroupName": "web", "InstanceIds": ["i-0123456789abcdef0"]},
         ["arn:aws:autoscaling:eu-central-1:111122223333:autoScalingGroup:*:autoScalingGroupName/web"]),
        ("elasticloadbalancing:DeregisterTargets",
         {"TargetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/web/73e2"},
         ["arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/web/73e2"]),
        ("no:Such", {"Name": "x"}, ["*"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_a_call_is_about(action: str, params: dict[str, Any], arns: list[str]) -> None:
    """Named resources by their ARN, new ones by ``*``, and ids that are only spoken of not at all."""
    assert sorted(forms[0] for forms in resources_of(action, params, PLACE)) == sorted(arns)


@pytest.mark.parametrize(
    ("action", "params", "forms"),
    [
        ("network-firewall:DescribeRuleGroup", {"RuleGroupName": "deny", "Type": "STATEFUL"},
         "arn:aws:network-firewall:eu-central-1:111122223333:stateful-rulegroup/deny"),
        ("lambda:DeleteProvisionedConcurrencyConfig", {"FunctionName": "pay", "Qualifier": "live"},
         "arn:aws:lambda:eu-central-1:111122223333:function:pay:live"),
        ("rds:DescribeDBSubnetGroups", {}, "arn:aws:rds:eu-central-1:111122223333:subgrp:*"),
    ],
)  # fmt: skip
def test_a_resource_that_may_have_several_forms(action: str, params: dict[str, Any], forms: str) -> None:
    """Where the parameters leave open of which type a resource is, a policy on one of the forms is enough."""
    (entry,) = resources_of(action, params, PLACE)

    assert forms in entry
