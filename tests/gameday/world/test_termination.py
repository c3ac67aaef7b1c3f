"""The end of an instance: it takes time, and both protections prevent it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gameday.world import World

Refused = Callable[..., str]


@pytest.mark.parametrize("attribute", ["DisableApiTermination", "DisableApiStop"])
def test_either_protection_prevents_termination(
    world: World, ec2: Any, refused: Refused, attribute: str
) -> None:
    """Who lifts one of them only, is refused."""
    name = world.resources["instance_id"]
    ec2.modify_instance_attribute(InstanceId=name, **{attribute: {"Value": True}})
    assert refused(ec2.terminate_instances, InstanceIds=[name]) == "OperationNotPermitted"

    ec2.modify_instance_attribute(InstanceId=name, **{attribute: {"Value": False}})
    ec2.terminate_instances(InstanceIds=[name])


def test_termination_takes_time(world: World, ec2: Any) -> None:
    """Shutting down comes first; volumes that are not to be deleted outlive it."""
    name = world.resources["instance_id"]

    def state() -> str:
        described = ec2.describe_instances(InstanceIds=[name])["Reservations"][0]["Instances"][0]
        return str(described["State"]["Name"])

    ec2.terminate_instances(InstanceIds=[name])
    assert state() == "shutting-down"
    world.advance(5)
    assert state() == "terminated"
    left = {volume["VolumeId"] for volume in ec2.describe_volumes()["Volumes"]}
    assert left == set(world.resources["volume_ids"][1:])
