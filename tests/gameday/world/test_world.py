from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from gameday.world import World
from irrunner.settings import load_settings
from irrunner.testing import ManualClock


def _http(world: World, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{world.endpoint_url}{path}", data=data, method=method)  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
        return json.loads(answer.read())


def test_the_same_seed_gives_the_same_world() -> None:
    """Ids repeat between worlds of one seed, and differ between seeds."""
    worlds = []
    for seed in (7, 7, 8):
        with World.build(seed=seed) as world:
            worlds.append((world.organisation, world.resources, world.state()))

    assert worlds[0] == worlds[1]
    assert worlds[0] != worlds[2]


def test_reading_a_region_leaves_the_state_as_it_was(world: World) -> None:
    """A Region in which somebody only looked is not in the state."""
    before = world.state()

    world.client(world.organisation.members[0], "ec2", "eu-north-1").describe_instances()

    assert world.state() == before


def test_two_worlds_at_once_are_refused(world: World) -> None:
    """A process has one state of moto: a second world would be the first one."""
    with pytest.raises(RuntimeError, match="another World"), World.build():
        pass


def test_a_call_is_recorded_whole(world: World, ec2: Any) -> None:
    """Operation, account, Region, principal, parameters and error, in the names of the API."""
    ec2.create_tags(Resources=[world.resources["instance_id"]], Tags=[{"Key": "a", "Value": "b"}])

    (call,) = _http(world, "GET", "/world/calls?mutating=1")
    assert call | {"seq": 0, "time": ""} == {
        "seq": 0,
        "time": "",
        "operation": "ec2:CreateTags",
        "account": world.resources["account_id"],
        "region": "us-east-1",
        "principal": f"arn:aws:sts::{world.resources['account_id']}:assumed-role/observer/observer",
        "params": {"Resources": [world.resources["instance_id"]], "Tags": [{"Key": "a", "Value": "b"}]},
        "error": None,
        "fault": None,
        "mutating": True,
    }


@pytest.mark.parametrize(
    ("service", "call", "operation"),
    [
        ("s3", lambda client: client.put_object(Bucket="b-evidence", Key="k/é", Body=b"x"), "s3:PutObject"),
        ("kms", lambda client: client.list_aliases(), "kms:ListAliases"),
        ("ssm", lambda client: client.describe_parameters(), "ssm:DescribeParameters"),
        ("elbv2", lambda client: client.describe_load_balancers(), "elbv2:DescribeLoadBalancers"),
        ("cloudtrail", lambda client: client.describe_trails(), "cloudtrail:DescribeTrails"),
    ],
)
def test_every_protocol_is_understood(
    world: World, member: str, service: str, call: Callable[[Any], Any], operation: str
) -> None:
    """Query, JSON and REST calls are recorded by operation and reach moto."""
    world.client(member, "s3").create_bucket(Bucket="b-evidence")

    call(world.client(member, service))

    assert (world.calls()[-1].operation, world.calls()[-1].error) == (operation, None)


def test_reads_are_not_mutating(world: World, ec2: Any, iam: Any) -> None:
    """A plan that only reads leaves the list of mutating calls empty."""
    ec2.describe_instances()
    iam.list_users()
    iam.get_user(UserName="alice")

    assert world.calls(mutating=True) == []


def test_the_state_is_read_without_changing_it(world: World) -> None:
    """Looking twice shows the same, by HTTP as in the process."""
    assert _http(world, "GET", "/world/state") == world.state()


def test_a_look_at_an_empty_region_changes_no_state(world: World, member: str) -> None:
    """Describing creates nothing that a scorer would see as collateral."""
    before = world.state()

    world.client(member, "ec2", "eu-west-1").describe_instances()

    assert world.state() == before


def test_the_clock_is_moved_and_scaled(world: World, ec2: Any) -> None:
    """Asynchronous states need no waiting."""
    ec2.create_snapshot(VolumeId=world.resources["volume_ids"][0])

    _http(world, "POST", "/world/clock", {"advance_s": 10, "scale": 60})

    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"][0]["State"] == "completed"


def test_the_world_can_follow_a_tests_clock() -> None:
    """With an injected clock nothing completes by itself."""
    clock = ManualClock()
    with World.build(clock=clock, snapshot_s=5) as world:
        ec2 = world.client(world.organisation.members[0], "ec2")
        ec2.create_snapshot(VolumeId=world.resources["volume_ids"][0])
        states = []
        for _ in range(2):
            states.append(ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"][0]["State"])
            clock.advance(6)

    assert states == ["pending", "completed"]


def test_faults_and_acts_come_by_http(world: World, member: str) -> None:
    """The control routes take what the Python interface takes, and refuse nonsense with 400."""
    assert _http(world, "POST", "/world/faults", {"operation": "ec2:*", "kind": "deny"})["faults"]
    assert _http(world, "DELETE", "/world/faults") == {"faults": []}
    act = {"act": "attach-interface", "account": member, "region": world.region}
    built = _http(world, "POST", "/world/act", act | {"instance_id": world.resources["instance_id"]})
    region = world.state()["accounts"][member]["regions"][world.region]
    assert (
        built["network_interface_id"]
        in region["instances"][world.resources["instance_id"]]["network_interface_ids"]
    )
    for path, body in (("faults", {"kind": "deny"}), ("act", {"act": "dance"}), ("clock", {"advance_s": -1})):
        with pytest.raises(HTTPError, match="400"):
            _http(world, "POST", f"/world/{path}", body)


def test_acts_change_the_cloud_past_the_call_log(world: World, member: str) -> None:
    """What an attacker or administrator does is no call of the runner."""
    key = world.act("mint-access-key", account=member, region=world.region, user_name="alice")
    world.act(
        "set-access-key-status",
        account=member,
        user_name="alice",
        access_key_id=key["access_key_id"],
        status="Inactive",
    )

    keys = world.state()["accounts"][member]["users"]["alice"]["access_keys"]
    assert keys == {world.resources["access_key_id"]: "Active", key["access_key_id"]: "Inactive"}
    assert world.calls() == []


def test_the_configuration_fits_the_runner(world: World) -> None:
    """The file that IRRUNNER_CONFIG names is valid, allows drills, and names the forensic account."""
    settings = load_settings(Path(world.env["IRRUNNER_CONFIG"]))

    assert settings.drill.allow
    assert settings.forensics.account_id == world.organisation.forensics


def test_requests_at_the_same_time_are_all_answered(world: World, member: str) -> None:
    """Threads do not disturb each other."""
    volume = world.resources["volume_ids"][0]
    clients = [world.client(member, "ec2") for _ in range(4)]

    def work(client: Any) -> None:
        for _ in range(5):
            client.create_tags(Resources=[volume], Tags=[{"Key": "a", "Value": "b"}])

    threads = [threading.Thread(target=work, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    calls = world.calls()
    assert [call.seq for call in calls] == list(range(1, 21))
    assert {call.error for call in calls} == {None}


def test_unsigned_requests_are_refused(world: World) -> None:
    """Who does not say who he is gets nothing."""
    with pytest.raises(HTTPError, match="403"):
        _http(world, "GET", "/some-bucket")


def test_guardduty_shows_and_archives_nothing_in_a_world_without_findings(world: World, member: str) -> None:
    """The list is there and empty."""
    guardduty = world.client(member, "guardduty")
    (detector,) = guardduty.list_detectors()["DetectorIds"]

    assert guardduty.list_findings(DetectorId=detector)["FindingIds"] == []
