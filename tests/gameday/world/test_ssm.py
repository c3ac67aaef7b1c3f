"""The world's Systems Manager refuses what AWS refuses, and its hosts write with their own role."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from gameday.world import ssm
from gameday.world.organisation import evidence_bucket
from gameday.world.world import World

DOCUMENT = "AWS-RunShellScript"


@pytest.fixture
def client(world: World, member: str) -> Any:
    """Return Systems Manager of the member account."""
    return world.client(member, "ssm")


def params(world: World, **more: Any) -> dict[str, Any]:
    """Return parameters of SendCommand that are right."""
    bucket = evidence_bucket(world.organisation, world.region)
    right = {
        "InstanceIds": [world.resources["instance_id"]], "DocumentName": DOCUMENT,
        "Parameters": {"commands": ["id"]}, "OutputS3BucketName": bucket, "OutputS3KeyPrefix": "run/step",
    }  # fmt: skip
    return right | more


def objects(world: World) -> list[str]:
    """Return the keys in the evidence bucket."""
    bucket = evidence_bucket(world.organisation, world.region)
    listed = world.client(world.organisation.forensics, "s3").list_objects_v2(Bucket=bucket)
    return [each["Key"] for each in listed.get("Contents", [])]


def status(client: Any, command_id: str) -> str:
    """Return how far a command is."""
    found = client.list_command_invocations(CommandId=command_id)["CommandInvocations"]
    return str(found[0]["StatusDetails"]) if found else "none"


def test_a_command_takes_its_time(world: World, client: Any) -> None:
    """Pending, in progress, success; only then its output is in the bucket of the other account."""
    command_id = client.send_command(**params(world, Comment="mine"))["Command"]["CommandId"]
    seen = [status(client, command_id)]
    before = objects(world)
    for _ in range(2):
        world.advance(4)
        seen.append(status(client, command_id))

    assert seen == ["none", "InProgress", "Success"]
    assert before == []
    assert objects(world) == [
        f"run/step/{command_id}/{world.resources['instance_id']}/awsrunShellScript/0.awsrunShellScript/stdout"
    ]
    listed = client.list_commands(InstanceId=world.resources["instance_id"])["Commands"]
    assert [each["Comment"] for each in listed] == ["mine"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"DocumentName": "Mine"}, "InvalidDocument"),
        ({"DocumentName": "AWS-RunPowerShellScript"}, "UnsupportedPlatformType"),
        ({"Comment": "x" * 101}, "ValidationException"),
        ({"TimeoutSeconds": 30 * 86_400 + 2_592_000}, "ValidationException"),
        ({"Parameters": {"commands": ["{{ssm:/secret}}"]}}, "InvalidParameters"),
        ({"Parameters": {"command": ["id"]}}, "InvalidParameters"),
        ({"InstanceIds": ["i-0aaaaaaaaaaaaaaaa"]}, "InvalidInstanceId"),
    ],
)
def test_what_aws_refuses_is_refused(world: World, client: Any, wrong: dict[str, Any], code: str) -> None:
    """Moto takes anything."""
    with pytest.raises(ClientError) as refused:
        client.send_command(**params(world, **wrong))

    assert refused.value.response["Error"]["Code"] == code


def test_a_host_without_an_agent_is_not_there(world: World, client: Any, member: str) -> None:
    """It is not listed, and no command is taken for it."""
    ssm.set_host(member, world.region, world.resources["instance_id"], ping="Absent")

    assert client.describe_instance_information()["InstanceInformationList"] == []
    with pytest.raises(ClientError, match="not in a valid state"):
        client.send_command(**params(world))


def test_an_agent_that_is_offline_never_gets_it(world: World, client: Any, member: str) -> None:
    """The command is taken, and times out undelivered."""
    ssm.set_host(member, world.region, world.resources["instance_id"], ping="ConnectionLost")
    command_id = client.send_command(**params(world, TimeoutSeconds=60))["Command"]["CommandId"]
    world.advance(61)

    assert status(client, command_id) == "DeliveryTimedOut"
    assert objects(world) == []


@pytest.mark.parametrize("lost", ["policy", "profile"])
def test_a_host_that_may_not_write_leaves_nothing(world: World, client: Any, member: str, lost: str) -> None:
    """Success all the same: SSM does not tell that the upload of its output failed."""
    if lost == "policy":
        bucket = evidence_bucket(world.organisation, world.region)
        world.client(world.organisation.forensics, "s3").delete_bucket_policy(Bucket=bucket)
    else:
        ec2 = world.client(member, "ec2")
        (found,) = ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
        ec2.disassociate_iam_instance_profile(AssociationId=found["AssociationId"])
    command_id = client.send_command(**params(world))["Command"]["CommandId"]
    world.advance(10)

    assert status(client, command_id) == "Success"
    assert objects(world) == []
