"""CloudTrail's event history of the world: its own calls, as AWS shows them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gameday.world import World, seam
from irrunner.testing import ManualClock

Refused = Callable[..., str]


@pytest.fixture
def world() -> Iterator[World]:
    """Open the default world on a clock that stands."""
    with World.build(seed=1, clock=ManualClock()) as built:
        yield built


@pytest.fixture
def trail(world: World, member: str) -> Any:
    """Return CloudTrail of the member account."""
    return world.client(member, "cloudtrail")


@pytest.fixture
def mallory(world: World, caller: Callable[..., Any]) -> Callable[[str], Any]:
    """Return clients with alice's stolen key."""
    key = {"AccessKeyId": world.resources["access_key_id"], "SecretAccessKey": "stolen"}
    return lambda service: caller(service, key)


def by(trail: Any, key: str, value: str, **other: Any) -> list[dict[str, Any]]:
    """Look events up by one attribute."""
    attributes = [{"AttributeKey": key, "AttributeValue": value}]
    return list(trail.lookup_events(LookupAttributes=attributes, **other)["Events"])


def test_a_new_key_is_shown_with_its_id_and_without_its_secret(
    world: World, trail: Any, mallory: Callable[[str], Any]
) -> None:
    """The id of a key that an intruder made is what containment needs."""
    made = mallory("iam").create_access_key(UserName="alice")["AccessKey"]

    (event,) = by(trail, "AccessKeyId", world.resources["access_key_id"])
    record = json.loads(event["CloudTrailEvent"])

    assert (event["EventName"], event["Username"], event["ReadOnly"]) == ("CreateAccessKey", "alice", "false")
    assert record["responseElements"]["accessKey"]["accessKeyId"] == made["AccessKeyId"]
    assert record["userIdentity"]["type"] == "IAMUser"
    assert {"ResourceType": "AWS::IAM::AccessKey", "ResourceName": made["AccessKeyId"]} in event["Resources"]
    assert made["SecretAccessKey"] not in event["CloudTrailEvent"]


def test_a_session_is_found_by_the_event_that_issued_it(
    world: World, trail: Any, mallory: Callable[[str], Any]
) -> None:
    """Whoever holds a session's key id can ask who made it."""
    session = mallory("sts").get_session_token()["Credentials"]["AccessKeyId"]

    (event,) = by(trail, "ResourceName", session)

    assert (event["EventName"], event["AccessKeyId"]) == ("GetSessionToken", world.resources["access_key_id"])


def test_events_of_global_services_are_in_one_region(
    world: World, member: str, mallory: Callable[[str], Any]
) -> None:
    """Who asks the incident's Region only does not find what was done to IAM."""
    mallory("iam").list_users()
    elsewhere = world.client(member, "cloudtrail", "eu-central-1")

    assert by(elsewhere, "EventName", "ListUsers") == []


def test_pages_follow_each_other_newest_first(trail: Any, mallory: Callable[[str], Any]) -> None:
    """A token belongs to its parameters."""
    for name in ("one", "two", "three"):
        mallory("iam").create_user(UserName=name)
    asked = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "CreateUser"}]}

    first = trail.lookup_events(MaxResults=2, **asked)
    second = trail.lookup_events(MaxResults=2, NextToken=first["NextToken"], **asked)
    names = [
        json.loads(event["CloudTrailEvent"])["requestParameters"]["userName"]
        for event in (*first["Events"], *second["Events"])
    ]

    assert names == ["three", "two", "one"]
    assert "NextToken" not in second


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"NextToken": "50-x"}, "InvalidNextTokenException"),
        ({"StartTime": 1_800_000_000, "EndTime": 1_700_000_000}, "InvalidTimeRangeException"),
        (
            {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "x"}] * 2},
            "InvalidLookupAttributesException",
        ),
    ],
)
def test_what_cloudtrail_refuses(trail: Any, refused: Refused, asked: dict[str, Any], code: str) -> None:
    """One attribute, a window that is none, a token of other parameters."""
    assert refused(trail.lookup_events, **asked) == code


def test_events_show_late_and_go_after_ninety_days(
    world: World, trail: Any, mallory: Callable[[str], Any]
) -> None:
    """A look just after the deed sees nothing yet: nothing found is no proof."""
    world.trail_delay_s = 900
    mallory("iam").create_user(UserName="ghost")

    assert by(trail, "EventName", "CreateUser") == []
    world.advance(901)
    assert len(by(trail, "EventName", "CreateUser")) == 1
    world.advance(91 * 86_400)
    assert by(trail, "EventName", "CreateUser") == []


def test_denied_calls_are_shown_with_their_error(
    world: World, member: str, trail: Any, mallory: Callable[[str], Any], refused: Refused
) -> None:
    """What an intruder tried is evidence too."""
    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    seam.iam(member).users["alice"].put_policy("deny", json.dumps(deny))

    refused(mallory("iam").create_user, UserName="ghost")
    (event,) = by(trail, "Username", "alice")

    assert json.loads(event["CloudTrailEvent"])["errorCode"] == "AccessDenied"


def test_objects_are_no_management_events(
    world: World, member: str, trail: Any, mallory: Callable[[str], Any]
) -> None:
    """The event history never shows data events."""
    world.client(member, "s3").create_bucket(Bucket="loot")
    mallory("s3").put_object(Bucket="loot", Key="x", Body=b"")

    assert by(trail, "EventName", "PutObject") == []
    assert len(by(trail, "EventName", "CreateBucket")) == 1
