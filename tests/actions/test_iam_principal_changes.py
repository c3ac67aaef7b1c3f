"""What a principal made: found by its events, and put to nobody else's account."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.contract import LookContext, Settled, Where
from irrunner.actions.iam.principal_changes import FindPrincipalChanges, FindPrincipalChangesOutputs
from irrunner.actions.iam.principal_search import (
    MOST_FOLLOWED,
    MOST_OF_A_KIND,
    FindPrincipalChangesParams,
)
from irrunner.actions.iam.trail import regions_of
from irrunner.errors import ActionDenied
from irrunner.settings import Settings

FIND = FindPrincipalChanges()
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY, SECOND, SESSION = "AKIA0000000000000001", "AKIA0000000000000002", "ASIA0000000000000003"
ALICE = {"type": "IAMUser", "userName": "alice", "accessKeyId": KEY}


class Trail:
    """A CloudTrail that answers by attribute and Region, a page at a time."""

    def __init__(self, region: str = "eu-central-1", *, page: int = 50) -> None:
        self.region, self.page = region, page
        self.events: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        self.closed: set[str] = set()
        self.lookups: list[tuple[str, str]] = []

    def call(self, operation: str, /, **asked: Any) -> Mapping[str, Any]:
        """Answer a page."""
        assert operation == "cloudtrail:LookupEvents"
        if self.region in self.closed:
            raise ActionDenied("an SCP closes the Region")
        attribute = asked["LookupAttributes"][0]
        self.lookups.append((self.region, attribute["AttributeValue"]))
        found = self.events.get((self.region, attribute["AttributeKey"], attribute["AttributeValue"]), [])
        start = int(asked.get("NextToken", 0))
        more = {"NextToken": str(start + self.page)} if start + self.page < len(found) else {}
        return {"Events": found[start : start + self.page], **more}

    def pages(self, operation: str, path: str, /, **asked: Any) -> list[Any]:
        """Not used."""
        raise AssertionError(operation, path, asked)

    def in_region(self, region: str) -> Trail:
        """Return the same trail elsewhere."""
        other = Trail(region, page=self.page)
        other.events, other.closed, other.lookups = self.events, self.closed, self.lookups
        return other

    def add(self, name: str, *, key: str = KEY, region: str = "us-east-1", **record: Any) -> None:
        """Add an event of a key in the Region of global services."""
        whole: dict[str, Any] = {
            "eventSource": "iam.amazonaws.com",
            "eventName": name,
            "eventID": f"e-{sum(map(len, self.events.values()))}",
            "requestID": "r-1",
            "userIdentity": ALICE | {"accessKeyId": key},
            **record,
        }
        raw = {"EventName": name, "EventTime": NOW, "CloudTrailEvent": json.dumps(whole)}
        self.events.setdefault((region, "AccessKeyId", key), []).append(raw)


@pytest.fixture
def trail() -> Trail:
    """A history that is empty."""
    return Trail()


def found(trail: Trail, **params: Any) -> tuple[FindPrincipalChangesOutputs, tuple[str, ...]]:
    """Look, decide, and return outputs and warnings."""
    given = FindPrincipalChangesParams.model_validate({"access_key_id": KEY} | params)
    context = LookContext(
        api=trail, forensics=None, where=Where("aws", "1", "eu-central-1", None, None, None),
        now=NOW, started=NOW, run_id="r", marker="r/s", drill=False, settings=Settings(),
    )  # fmt: skip
    decision = FIND.decide(given, FIND.look(context, given))
    assert isinstance(decision, Settled)
    assert isinstance(decision.outputs, FindPrincipalChangesOutputs)
    return decision.outputs, decision.warnings


def made_key(user: str, key: str) -> dict[str, Any]:
    """Return the response of CreateAccessKey."""
    return {"responseElements": {"accessKey": {"userName": user, "accessKeyId": key, "status": "Active"}}}


def test_everything_made_is_listed_for_what_contains_it(trail: Trail) -> None:
    """Each list is what ``for_each`` of another action takes."""
    trail.add("CreateUser", requestParameters={"userName": "ghost"})
    trail.add("CreateAccessKey", **made_key("ghost", SECOND))
    trail.add("CreateLoginProfile", requestParameters={"userName": "ghost"})
    trail.add("CreateRole", requestParameters={"roleName": "door"})
    trail.add("UpdateAssumeRolePolicy", requestParameters={"roleName": "web"})
    trail.add("AttachUserPolicy", requestParameters={"userName": "ghost", "policyArn": "arn:p"})
    trail.add(
        "EnableMFADevice", requestParameters={"userName": "bob", "serialNumber": "arn:aws:iam::1:mfa/x"}
    )
    trail.add("StopLogging", eventSource="cloudtrail.amazonaws.com", requestParameters={"name": "main"})
    trail.add("CreateGroup", requestParameters={"groupName": "g"})
    trail.add(
        "RunInstances",
        region="eu-central-1",
        eventSource="ec2.amazonaws.com",
        responseElements={"instancesSet": {"items": [{"instanceId": "i-1"}, {"instanceId": "i-2"}]}},
    )

    outputs, _ = found(trail)

    assert outputs.user_names == ["ghost"]
    assert [key.model_dump() for key in outputs.access_keys] == [
        {"access_key_id": SECOND, "user_name": "ghost"}
    ]
    assert outputs.login_profile_user_names == ["ghost"]
    assert (outputs.role_names, outputs.trust_changed_role_names) == (["door"], ["web"])
    assert outputs.policy_changed_names == ["ghost"]
    assert outputs.mfa_devices == ["arn:aws:iam::1:mfa/x"]
    assert outputs.defence_changes == ["StopLogging"]
    assert [(one.instance_id, one.region) for one in outputs.instances] == [
        ("i-1", "eu-central-1"),
        ("i-2", "eu-central-1"),
    ]
    assert outputs.other_changes == {"iam:CreateGroup": 1}
    assert outputs.changes[0].request_id == "r-1"
    assert outputs.complete


def test_what_was_made_is_followed(trail: Trail) -> None:
    """A second key goes on where the first one was cut off."""
    trail.add("CreateAccessKey", **made_key("ghost", SECOND))
    trail.add("CreateUser", key=SECOND, requestParameters={"userName": "deeper"})
    trail.add(
        "AssumeRole",
        key=SECOND,
        eventSource="sts.amazonaws.com",
        readOnly=True,
        requestParameters={"roleArn": "arn:aws:iam::1:role/admin", "roleSessionName": "x"},
        responseElements={"credentials": {"accessKeyId": SESSION}},
    )
    trail.add("CreateUser", key=SESSION, requestParameters={"userName": "deepest"})

    outputs, _ = found(trail)

    assert set(outputs.user_names) == {"deeper", "deepest"}
    assert [(one.access_key_id, one.role_arn) for one in outputs.sessions] == [
        (SESSION, "arn:aws:iam::1:role/admin")
    ]
    assert outputs.followed[:3] == [KEY, SECOND, "deeper"]
    assert found(trail, follow=False)[0].user_names == []


def test_calls_that_were_refused_made_nothing(trail: Trail) -> None:
    """They are counted: an intruder who is denied is one who tries."""
    trail.add("CreateUser", errorCode="AccessDenied", requestParameters={"userName": "ghost"})

    outputs, _ = found(trail)

    assert (outputs.user_names, outputs.denied_calls, outputs.other_changes) == ([], 1, {})


def test_a_session_called_like_a_user_is_not_hers(trail: Trail) -> None:
    """Who assumes a role chooses the session's name: alice's account is not charged with it."""
    trail.add("CreateUser", requestParameters={"userName": "frame-up"})
    (raw,) = trail.events.pop(("us-east-1", "AccessKeyId", KEY))
    record = json.loads(raw["CloudTrailEvent"])
    record["userIdentity"] = {"type": "AssumedRole", "principalId": "AROA1:alice", "accessKeyId": SESSION}
    raw["CloudTrailEvent"] = json.dumps(record)
    trail.events["us-east-1", "Username", "alice"] = [raw]

    outputs, _ = found(trail, access_key_id=None, user_name="alice")

    assert (outputs.user_names, outputs.events) == ([], 0)


def test_a_loop_of_identities_ends(trail: Trail) -> None:
    """Keys that make each other are each searched once."""
    trail.add("CreateAccessKey", **made_key("a", SECOND))
    trail.add("CreateAccessKey", key=SECOND, **made_key("b", KEY))

    assert found(trail)[0].followed == [KEY, SECOND]


def test_many_identities_are_cut_off_and_it_is_said(trail: Trail) -> None:
    """An intruder who makes a thousand users does not hold the search up."""
    for number in range(MOST_FOLLOWED + 5):
        trail.add("CreateUser", requestParameters={"userName": f"u{number}"})

    outputs, warnings = found(trail)

    assert len(outputs.user_names) == MOST_FOLLOWED + 5
    assert len(outputs.followed) == MOST_FOLLOWED
    assert not outputs.complete
    assert any("not followed" in text for text in warnings)


def test_a_flood_of_one_kind_does_not_hide_another(trail: Trail) -> None:
    """An intruder who writes a thousand policies first, and makes his key then, is still found out."""
    for number in range(MOST_OF_A_KIND + 20):
        trail.add("PutUserPolicy", requestParameters={"userName": f"u{number}", "policyName": "x"})
    trail.add("CreateAccessKey", **made_key("ghost", SECOND))

    outputs, warnings = found(trail)

    assert len(outputs.policy_changed_names) == MOST_OF_A_KIND
    assert [key.access_key_id for key in outputs.access_keys] == [SECOND]
    assert not outputs.complete
    assert any("20 things more" in text for text in warnings)


def test_the_same_change_many_times_is_told_once(trail: Trail) -> None:
    """With how often it was."""
    for _ in range(3):
        trail.add("PutUserPolicy", requestParameters={"userName": "u", "policyName": "x"})

    (change,) = found(trail)[0].changes

    assert (change.name, change.times) == ("u", 3)


def test_keys_are_followed_before_users_and_sessions(trail: Trail) -> None:
    """However many roles were assumed before, the second key is searched."""
    for number in range(MOST_FOLLOWED + 5):
        trail.add(
            "AssumeRole",
            eventSource="sts.amazonaws.com",
            requestParameters={"roleArn": "arn:aws:iam::1:role/r"},
            responseElements={"credentials": {"accessKeyId": f"ASIA{number:016}"}},
        )
    trail.add("CreateAccessKey", **made_key("ghost", SECOND))
    trail.add("CreateUser", key=SECOND, requestParameters={"userName": "deeper"})

    outputs, _ = found(trail)

    assert outputs.followed[:3] == [KEY, SECOND, "deeper"]
    assert outputs.user_names == ["deeper"]
    assert not outputs.complete


def test_events_are_read_in_pages_and_within_bounds(trail: Trail) -> None:
    """What was not read is said: nothing found is no proof."""
    trail.page = 10
    for number in range(75):
        trail.add("CreateGroup", requestParameters={"groupName": f"g{number}"})

    outputs, warnings = found(trail, most_events=50, follow=False)

    assert (outputs.events, outputs.complete) == (50, False)
    assert any("more events" in text for text in warnings)


def test_a_closed_region_is_named_and_the_incidents_own_is_an_error(trail: Trail) -> None:
    """Where the incident is, a search that is denied must not look like one that found nothing."""
    trail.closed = {"us-east-1"}

    outputs, warnings = found(trail)

    assert outputs.regions_searched == ["eu-central-1"]
    assert any("us-east-1 cannot be searched" in text for text in warnings)
    trail.closed = {"eu-central-1"}
    with pytest.raises(ActionDenied):
        found(trail)


def test_global_services_are_searched_where_their_events_are(trail: Trail) -> None:
    """IAM's events are in us-east-1, whatever the incident's Region."""
    found(trail)

    assert [region for region, _ in trail.lookups] == ["eu-central-1", "us-east-1"]


@pytest.mark.parametrize(
    ("partition", "home"),
    [("aws", "us-east-1"), ("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1"), ("aws-iso", None)],
)
def test_each_partition_has_its_own_region_of_global_services(partition: str, home: str | None) -> None:
    """What is not known is not guessed."""
    context = LookContext(
        api=Trail(), forensics=None, where=Where(partition, "1", "x-y-1", None, None, None),
        now=NOW, started=NOW, run_id="r", marker="r/s", drill=False, settings=Settings(regions=("x-y-2",)),
    )  # fmt: skip

    assert regions_of(context) == tuple(name for name in ("x-y-1", home, "x-y-2") if name)


def test_a_failed_sign_in_is_no_console_login(trail: Trail) -> None:
    """ConsoleLogin carries its failure in the response, not as an error code."""
    trail.add(
        "ConsoleLogin", eventSource="signin.amazonaws.com", responseElements={"ConsoleLogin": "Failure"}
    )
    trail.add(
        "ConsoleLogin", eventSource="signin.amazonaws.com", responseElements={"ConsoleLogin": "Success"}
    )

    assert found(trail)[0].console_logins == 1


def test_a_record_that_is_no_json_breaks_nothing(trail: Trail) -> None:
    """It is nobody's: only a record tells whose it is."""
    trail.events["us-east-1", "AccessKeyId", KEY] = [
        {"EventName": "CreateUser", "EventTime": NOW, "CloudTrailEvent": text} for text in ("{", "[]", "null")
    ]

    assert found(trail)[0].events == 0


def test_somebody_must_be_named() -> None:
    """A search for nobody would be a search for everybody."""
    with pytest.raises(ValidationError, match="access_key_id or user_name"):
        FindPrincipalChangesParams()
