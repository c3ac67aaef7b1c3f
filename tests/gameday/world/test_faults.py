from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError
from pydantic import ValidationError

from gameday.world import Fault, World

Refused = Callable[..., str]


def _snapshots(world: World) -> int:
    region = world.state()["accounts"][world.resources["account_id"]]["regions"][world.region]
    return len(region["snapshots"])


@pytest.mark.parametrize(
    ("kind", "code"), [("throttle", "RequestLimitExceeded"), ("deny", "UnauthorizedOperation")]
)
def test_a_refused_call_has_no_effect(world: World, ec2: Any, refused: Refused, kind: str, code: str) -> None:
    """The fault strikes once, before anything happens."""
    world.fault("ec2:CreateSnapshot", kind)
    volume = {"VolumeId": world.resources["volume_ids"][0]}

    assert refused(ec2.create_snapshot, **volume) == code
    assert _snapshots(world) == 0
    ec2.create_snapshot(**volume)
    assert _snapshots(world) == 1


def test_an_error_of_choice_strikes_the_nth_call(world: World, ec2: Any, refused: Refused) -> None:
    """``nth`` counts matching calls from the fault's arrival."""
    world.fault("ec2:Describe*", "error", nth=[2], code="InternalError", status=500)

    ec2.describe_vpcs()
    assert refused(ec2.describe_subnets) == "InternalError"
    ec2.describe_vpcs()


@pytest.mark.parametrize(("kind", "effects"), [("lost-before-effect", 0), ("effect-then-lost", 1)])
def test_a_lost_answer_tells_nothing_of_the_effect(world: World, ec2: Any, kind: str, effects: int) -> None:
    """Both look alike to the caller; the world knows which was which, and says so in the call log."""
    world.fault("ec2:CreateSnapshot", kind)

    with pytest.raises(ConnectionClosedError):
        ec2.create_snapshot(VolumeId=world.resources["volume_ids"][0])

    assert _snapshots(world) == effects
    assert (world.calls()[-1].fault, world.calls()[-1].error) == (kind, None)


def test_a_stale_read_repeats_an_older_answer(world: World, ec2: Any) -> None:
    """Eventual consistency: the struck read shows the state of an earlier one."""
    world.fault("ec2:DescribeTags", "stale-read", nth=[2])
    assert ec2.describe_tags(Filters=[{"Name": "key", "Values": ["case"]}])["Tags"] == []

    ec2.create_tags(Resources=[world.resources["instance_id"]], Tags=[{"Key": "case", "Value": "7"}])

    stale, fresh = (
        ec2.describe_tags(Filters=[{"Name": "key", "Values": ["case"]}])["Tags"] for _ in range(2)
    )
    assert (len(stale), len(fresh)) == (0, 1)


def test_a_delay_takes_real_time(world: World, ec2: Any) -> None:
    """A slow answer is slow for the caller."""
    world.fault("ec2:DescribeVpcs", "delay", delay_s=0.2)

    begun = time.monotonic()
    ec2.describe_vpcs()

    assert time.monotonic() - begun >= 0.2


def test_a_fault_of_one_account_spares_the_others(world: World, ec2: Any, refused: Refused) -> None:
    """Throttling is per account."""
    world.fault("ec2:DescribeVpcs", "throttle", times=0, account=world.resources["account_id"])

    assert refused(ec2.describe_vpcs) == "RequestLimitExceeded"
    world.client(world.organisation.members[1], "ec2").describe_vpcs()
    world.clear_faults()
    ec2.describe_vpcs()


@pytest.mark.parametrize(
    "fault", [{"kind": "error"}, {"kind": "deny", "code": "X"}, {"kind": "fire"}, {"nht": [1]}]
)
def test_a_fault_that_means_nothing_is_refused(fault: dict[str, object]) -> None:
    """A misspelt fault must not silently be none."""
    with pytest.raises(ValidationError):
        Fault.model_validate({"operation": "ec2:*", "kind": "deny"} | fault)
