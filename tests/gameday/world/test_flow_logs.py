"""Flow logs of the world: buckets of other accounts, and refusals that are no errors."""

from __future__ import annotations

from typing import Any

import pytest

from gameday.world import World
from gameday.world.organisation import evidence_bucket


def record(ec2: Any, world: World, bucket: str) -> Any:
    """Ask for a flow log of the VPC."""
    return ec2.create_flow_logs(
        ResourceIds=[world.resources["vpc_id"]], ResourceType="VPC", TrafficType="ALL",
        LogDestinationType="s3", LogDestination=f"arn:aws:s3:::{bucket}",
    )  # fmt: skip


def test_to_the_evidence_bucket(ec2: Any, world: World, member: str, refused: Any) -> None:
    """The bucket is the forensic account's; a second flow log to it is refused."""
    bucket = evidence_bucket(world.organisation, world.region)
    made = record(ec2, world, bucket)
    (shown,) = ec2.describe_flow_logs()["FlowLogs"]
    state = world.state()["accounts"][member]["regions"][world.region]["flow_logs"]

    assert [shown["FlowLogId"]] == made["FlowLogIds"]
    assert shown["LogDestinationType"] == "s3"
    assert list(state) == [f"{world.resources['vpc_id']}/arn:aws:s3:::{bucket}"]
    assert refused(record, ec2=ec2, world=world, bucket=bucket) == "FlowLogAlreadyExists"


@pytest.mark.parametrize("bucket", ["nobodys-bucket", ""])
def test_a_bucket_that_is_not_there(ec2: Any, world: World, bucket: str) -> None:
    """AWS answers without an error, and says so in the answer only."""
    answer = record(ec2, world, bucket)

    assert answer["FlowLogIds"] == []
    assert answer["Unsuccessful"][0]["ResourceId"] == world.resources["vpc_id"]
