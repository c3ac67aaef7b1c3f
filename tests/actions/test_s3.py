"""Buckets: what is decided of odd policies, dangerous callers, and settings that cannot be put back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.contract import Act, Refused, Settled
from irrunner.actions.s3.block_public_access import CLOSED, BlockPublicAccess, BlockPublicAccessState
from irrunner.actions.s3.buckets import OneBucket
from irrunner.actions.s3.changed_objects import LISTED, ChangedObjectsParams, ListChangedObjects
from irrunner.actions.s3.deny_access import (
    DenyBucketAccess,
    DenyBucketAccessParams,
    DenyBucketAccessState,
)
from irrunner.actions.s3.policy import canonical, parsed
from irrunner.actions.s3.versioning import EnableVersioning, VersioningState
from irrunner.actions.undo import view_undo
from irrunner.errors import TargetNotFound
from irrunner.settings import Settings
from irrunner.testing import FakeApi

ACCOUNT = "123456789012"
OWN = f"arn:aws:iam::{ACCOUNT}:role/irrunner-responder"
MALLORY = f"arn:aws:iam::{ACCOUNT}:user/mallory"
BREAK_GLASS = f"arn:aws:iam::{ACCOUNT}:role/break-glass"
NAMED = DenyBucketAccessParams(bucket_name="acme-data", principals=(MALLORY,))
OTHERS = DenyBucketAccessParams(bucket_name="acme-data", everyone_but=(BREAK_GLASS,))
DENY = DenyBucketAccess()
START = datetime(2026, 1, 1, tzinfo=UTC)


def policy_state(**changes: Any) -> DenyBucketAccessState:
    """Return the state of a bucket without a policy."""
    values: dict[str, Any] = {
        "target": "arn:aws:s3:::acme-data/policy/IrrunnerDenyNamed",
        "value": None,
        "bucket_name": "acme-data",
        "account_id": ACCOUNT,
        "partition": "aws",
        "policy": None,
        "public_refused": False,
        "own_roles": (OWN,),
    }
    return DenyBucketAccessState(**values | changes)


def put(decision: Any) -> dict[str, Any]:
    """Return the policy of the one call of a decision."""
    assert isinstance(decision, Act)
    (call,) = decision.calls
    policy: dict[str, Any] = json.loads(call.params["Policy"])
    return policy


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"principals": []},
        {"principals": [MALLORY], "everyone_but": [BREAK_GLASS]},
        {"principals": ["*"]},
        {"principals": ["arn:aws:iam::123456789012:root"]},
        {"everyone_but": ["arn:aws:iam::*:role/x"]},
        {"everyone_but": ["arn:aws:iam::123456789012:role/*/x"]},
        {"principals": ["arn:aws:iam::123456789012:role/${aws:username}/x"]},
        {"account_ids": ["1234"]},
    ],
)
def test_who_is_denied_is_said_exactly(given: dict[str, Any]) -> None:
    """Nothing, both, or a pattern: an empty value of a finding never comes to mean everyone."""
    with pytest.raises(ValidationError):
        DenyBucketAccessParams.model_validate({"bucket_name": "acme-data", **given})


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "Acme",
        "acme..data",
        "192.168.5.4",
        "xn--acme",
        "acme-s3alias",
        "x/y",
        "acme\n",
        "b--use1-az4--x-s3",
    ],
)
def test_names_that_are_no_bucket_are_refused(name: str) -> None:
    """Access point aliases, directory buckets and paths never reach AWS."""
    with pytest.raises(ValidationError):
        OneBucket.model_validate({"bucket_name": name})


def test_other_statements_are_kept() -> None:
    """The policy is the owner's: one statement is added, nothing else changes."""
    theirs = {"Version": "2008-10-17", "Id": "x", "Statement": [{"Sid": "a", "Effect": "Allow"}]}

    written = put(DENY.decide(NAMED, policy_state(policy=theirs)))

    assert written["Statement"][0] == theirs["Statement"][0]
    assert (written["Version"], written["Id"]) == ("2008-10-17", "x")
    assert written["Statement"][1]["Condition"] == {"ArnLike": {"aws:PrincipalArn": MALLORY}}


def test_a_second_run_does_not_free_the_callers_of_the_first() -> None:
    """Two incidents on one bucket: the list of denied callers only grows."""
    first = DENY.wanted(NAMED, policy_state())
    other = NAMED.model_copy(update={"principals": (BREAK_GLASS,), "account_ids": ("444455556666",)})

    second = DENY.wanted(other, policy_state(value=first))

    denied = second["Condition"]["ArnLike"]["aws:PrincipalArn"]
    assert set(denied) == {MALLORY, BREAK_GLASS, "arn:aws:*::444455556666:*"}


@pytest.mark.parametrize(
    "changes",
    [
        {"Effect": "Allow"},
        {"Action": "s3:GetObject"},
        {"Condition": {"ArnLike": {"aws:PrincipalArn": "*"}}},
        {"Condition": {"ArnLike": {"aws:PrincipalArn": OWN}}},
        {"Condition": {"ArnLike": {"aws:PrincipalArn": f"arn:aws:*::{ACCOUNT}:*"}}},
        {"Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/*"}}},
        {"Condition": {"ArnLike": "x"}},
        {"Condition": None},
    ],
)
def test_a_statement_planted_under_our_sid_is_not_taken_over(changes: dict[str, Any]) -> None:
    """An attacker who can write the policy could make us deny ourselves, or everyone."""
    planted = DENY.wanted(NAMED.model_copy(update={"principals": (BREAK_GLASS,)}), policy_state()) | changes

    wanted = DENY.wanted(NAMED, policy_state(value=planted))

    assert wanted == DENY.wanted(NAMED, policy_state())


def test_everyone_but_leaves_us_in() -> None:
    """The responder role and AWS's own services are exempt; without us nobody could undo it."""
    condition = put(DENY.decide(OTHERS, policy_state()))["Statement"][0]["Condition"]

    assert condition["ArnNotLike"]["aws:PrincipalArn"] == [BREAK_GLASS, OWN]
    assert condition["BoolIfExists"] == {"aws:PrincipalIsAWSService": "false"}


@pytest.mark.parametrize(
    ("params", "changes", "because"),
    [
        (NAMED.model_copy(update={"principals": (OWN,)}), {}, "irrunner's own role"),
        (NAMED.model_copy(update={"account_ids": (ACCOUNT,)}), {}, "owns the bucket"),
        (NAMED, {"protected": MALLORY}, "protected by the configuration"),
        (NAMED, {"unreadable": "is not the JSON that S3 takes"}, "not edited by a machine"),
        (NAMED, {"public_refused": True}, "deny before blocking"),
        (NAMED, {"policy": {"Statement": [{"Sid": "x" * 20_400}]}}, "20480"),
    ],
)
def test_dangerous_and_impossible_changes_are_refused(
    params: DenyBucketAccessParams, changes: dict[str, Any], because: str
) -> None:
    """Each refusal says what to do instead."""
    decision = DENY.decide(params, policy_state(**changes))

    assert isinstance(decision, Refused)
    assert because in decision.reason


def test_a_caller_whom_the_configuration_protects_is_not_denied(driver: Any) -> None:
    """A finding may name the break-glass role; its bucket is not what is protected."""
    driver.settings = Settings(protected=("*:role/break-glass",))
    asked = DenyBucketAccessParams(bucket_name="acme-data", principals=(BREAK_GLASS,))

    assert DENY.look(driver.context(no_policy()), asked).protected == BREAK_GLASS
    assert DENY.look(driver.context(no_policy()), NAMED).protected == ""


def no_policy() -> FakeApi:
    """A bucket without policy and settings."""

    def absent(**_: Any) -> Any:
        raise TargetNotFound("none", aws_code="NoSuchBucketPolicy")

    operations = ("s3:GetBucketPolicy", "s3:GetPublicAccessBlock", "s3:GetBucketPolicyStatus")
    return FakeApi(dict.fromkeys((*operations, "s3control:GetPublicAccessBlock"), absent))


def test_a_deny_that_is_there_is_settled_even_where_s3_would_refuse_it_now() -> None:
    """Nothing is to be put, so nothing can be refused."""
    state = policy_state(value=DENY.wanted(NAMED, policy_state()), public_refused=True)

    assert isinstance(DENY.decide(NAMED, state), Settled)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "[]",
        "{}",
        '{"Statement": "x"}',
        '{"Statement": [1]}',
        '{"Statement": [], "Statement": []}',
        "[" * 9999,
    ],
)
def test_odd_policies_are_not_editable(text: str) -> None:
    """What cannot be read exactly is not written back."""
    _, why = parsed(text)
    assert why


def test_spelling_is_no_difference() -> None:
    """S3 answers a list of one as its value and in any order."""
    assert canonical({"Action": ["s3:*"], "Resource": ["b", "a"]}) == canonical(
        {"Action": "s3:*", "Resource": ["a", "b"]}
    )


def test_a_website_is_told_of() -> None:
    """Blocking a website bucket is an outage: the plan's warnings say so."""
    state = BlockPublicAccessState(
        target="arn:aws:s3:::acme-data", value=CLOSED, bucket_name="acme-data", account_id=ACCOUNT,
        account_block=None, policy_public=True, acl_public=True, website=True,
    )  # fmt: skip

    decision = BlockPublicAccess().decide(OneBucket(bucket_name="acme-data"), state)

    assert isinstance(decision, Settled)
    assert any("website" in warning for warning in decision.warnings)


def test_versioning_under_mfa_delete_is_the_root_users() -> None:
    """AWS asks for a code that no role has."""
    state = VersioningState(
        target="a", value="Suspended", bucket_name="acme-data", account_id=ACCOUNT,
        ever_versioned=True, mfa_delete=True,
    )  # fmt: skip

    assert isinstance(EnableVersioning().decide(OneBucket(bucket_name="acme-data"), state), Refused)


def listing(pages: int) -> FakeApi:
    """Return a bucket of many pages, each with a version and a delete marker in the window."""

    def page(**params: Any) -> dict[str, Any]:
        number = int(params.get("KeyMarker", "0"))
        entry = {"LastModified": START + timedelta(seconds=number), "VersionId": "v", "IsLatest": True}
        more = number + 1 < pages
        return {
            "Versions": [{"Key": f"\x1b[2J{number}", "Size": 5, **entry}],
            "DeleteMarkers": [{"Key": "gone", **entry}],
            "IsTruncated": more,
            **({"NextKeyMarker": str(number + 1), "NextVersionIdMarker": "v"} if more else {}),
        }

    return FakeApi(
        {"s3:ListObjectVersions": page, "s3:GetBucketVersioning": lambda **_: {"Status": "Enabled"}}
    )


def test_a_listing_is_bounded_and_says_so(driver: Any) -> None:
    """A bucket has any number of objects: the reading ends, counts all it read, and names the newest."""
    params = ChangedObjectsParams(
        bucket_name="acme-data", since=START, until=START + timedelta(days=1), max_versions=300_000
    )

    found = ListChangedObjects().look(driver.context(listing(1000)), params).found

    assert (found.written_count, found.delete_marker_count, found.written_bytes) == (300, 300, 1500)
    assert (found.complete, found.next_key, len(found.changes)) == (False, "300", LISTED)
    assert found.changes[0].at > found.changes[-1].at


def test_encoded_keys_go_on_from_where_they_are(driver: Any) -> None:
    """The marker of an encoded page is encoded, too; the next request wants it plain."""
    entry = {"Key": "a+b%2Bc", "Size": 1, "LastModified": START, "VersionId": "v", "IsLatest": True}
    pages = [
        {"Versions": [entry], "EncodingType": "url", "IsTruncated": True, "NextKeyMarker": "a+b%2Bc"},
        {"Versions": [entry], "EncodingType": "url", "IsTruncated": False},
    ]
    api = FakeApi(
        {"s3:ListObjectVersions": lambda **_: pages.pop(0), "s3:GetBucketVersioning": lambda **_: {}}
    )
    params = ChangedObjectsParams(bucket_name="acme-data", since=START, until=START + timedelta(days=1))

    found = ListChangedObjects().look(driver.context(api), params).found

    asked = [given for operation, given in api.calls if operation == "s3:ListObjectVersions"]
    assert [given.get("KeyMarker") for given in asked] == [None, "a b+c"]
    assert found.changes[0].key == "a%20b%2Bc"


def test_undo_takes_out_our_statement_and_no_other() -> None:
    """Others changed the policy meanwhile: that is not drift, and it stays."""
    ours = DENY.wanted(NAMED, policy_state())
    theirs = {"Sid": "theirs", "Effect": "Allow"}
    before, after = policy_state(), policy_state(value=ours, policy={"Statement": [ours]})
    now = policy_state(value=ours, policy={"Version": "2012-10-17", "Statement": [ours, theirs]})

    view = view_undo(DENY, NAMED, before, after, now)
    alone = view_undo(DENY, NAMED, before, after, after)

    assert view.drift == ()
    assert json.loads(view.calls[0].params["Policy"])["Statement"] == [theirs]
    assert alone.calls[0].operation == "s3:DeleteBucketPolicy"


def test_keys_cannot_write_to_a_terminal(driver: Any) -> None:
    """Keys are the attacker's: control characters stay encoded, whatever the answer's encoding is."""
    params = ChangedObjectsParams(bucket_name="acme-data", since=START, until=START + timedelta(days=1))

    found = ListChangedObjects().look(driver.context(listing(2)), params).found

    assert found.complete
    assert "\x1b" not in json.dumps(found.model_dump(mode="json"), ensure_ascii=False)
    assert any(change.key.startswith("%1B") for change in found.changes)


def test_a_window_has_a_length() -> None:
    """Until before since is a mistake, not an empty answer."""
    with pytest.raises(ValidationError):
        ChangedObjectsParams(bucket_name="acme-data", since=START, until=START)
