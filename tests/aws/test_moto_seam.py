"""The seam through moto in this process: the same sessions and calls as over the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import boto3
import pytest
from moto import mock_aws

from irrunner.actions.contract import Permission
from irrunner.aws.cloud import BotoCloud
from irrunner.errors import TargetNotFound
from irrunner.settings import Settings
from irrunner.testing import ManualClock

ACCOUNT = "123456789012"


@pytest.fixture
def in_moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Moto in this process, with a responder role."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        boto3.client("iam", region_name="us-east-1").create_role(
            RoleName="irrunner-responder", AssumeRolePolicyDocument=json.dumps({"Statement": []})
        )
        yield


@pytest.mark.usefixtures("in_moto")
def test_member_session_makes_and_reads_a_resource() -> None:
    """Clients without credentials, signed call by call, are what moto takes too."""
    cloud = BotoCloud(Settings(), ManualClock(datetime.now(UTC)))
    assert not cloud.caller().simulated
    granted = [Permission("ec2:CreateVpc"), Permission("ec2:DescribeVpcs")]
    api = cloud.member(ACCOUNT, "us-east-1", run_id="run-1", permissions=granted, values={})

    vpc_id = api.call("ec2:CreateVpc", CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]

    assert vpc_id in api.pages("ec2:DescribeVpcs", "Vpcs[].VpcId")
    assert vpc_id not in api.in_region("eu-west-1").pages("ec2:DescribeVpcs", "Vpcs[].VpcId")
    with pytest.raises(TargetNotFound):
        api.call("ec2:DescribeVpcs", VpcIds=["vpc-0123456789abcdef0"])
