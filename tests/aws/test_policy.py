"""Session policies: always short enough, never without an action, never wider than they need."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrunner.actions.contract import Permission
from irrunner.aws.policy import LIMIT_CHARACTERS, resource, session_policy
from irrunner.errors import InvalidCall

PLACE = {"partition": "aws", "region": "us-east-1", "account": "333333333333"}
INSTANCE = "arn:{partition}:ec2:{region}:{account}:instance/{instance_id}"


def statements(text: str) -> list[dict[str, Any]]:
    """Return the statements of a policy as a list."""
    found = json.loads(text)["Statement"]
    return found if isinstance(found, list) else [found]


def listed(value: Any) -> list[str]:
    """Return a policy element as a list."""
    return value if isinstance(value, list) else [value]


def allows(text: str, action: str, arn: str) -> bool:
    """Return whether a statement names action and resource, wildcards considered."""
    return any(
        any(fnmatchcase(action, pattern) for pattern in listed(statement["Action"]))
        and any(arn == pattern or fnmatchcase(arn, pattern) for pattern in listed(statement["Resource"]))
        for statement in statements(text)
        if statement["Effect"] == "Allow"
    )


def test_braces_become_the_place_and_the_values() -> None:
    """A step on one instance gets a session for that instance."""
    text = session_policy([Permission("ec2:StopInstances", INSTANCE)], {**PLACE, "instance_id": "i-1"})
    assert text == (
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:StopInstances",'
        '"Resource":"arn:aws:ec2:us-east-1:333333333333:instance/i-1"}}'
    )


def test_unknown_brace_is_a_wildcard() -> None:
    """What a step does not know beforehand (ids found by its look) is any of that type."""
    assert resource(INSTANCE, PLACE) == "arn:aws:ec2:us-east-1:333333333333:instance/*"
    assert resource(INSTANCE, {**PLACE, "instance_id": ""}).endswith("instance/*")


@pytest.mark.parametrize(
    ("value", "literal"),
    [("*", "${*}"), ("a?", "a${?}"), ("${aws:x}", "${$}{aws:x}"), ('a"b', "a?b"), ("ä\n", "??")],
)
def test_hostile_values_do_not_widen(value: str, literal: str) -> None:
    """A resource called * is that one resource; characters that IAM refuses match any one character."""
    assert resource("arn:aws:s3:::{bucket}", {"bucket": value}) == f"arn:aws:s3:::{literal}"


def test_actions_on_the_same_resources_share_a_statement() -> None:
    """The text is short by construction, so that ARNs fit."""
    text = session_policy([Permission("ec2:DescribeInstances"), Permission("ec2:DescribeVolumes")], PLACE)
    (statement,) = statements(text)
    assert statement["Action"] == ["ec2:DescribeInstances", "ec2:DescribeVolumes"]


def test_conditions_are_kept_apart() -> None:
    """A conditional permission does not lend its condition, nor lose it."""
    tagged = {"StringEquals": {"aws:ResourceTag/irrunner:run": "{run}"}}
    text = session_policy(
        [Permission("ec2:DeleteTags", conditions=tagged), Permission("ec2:CreateTags")],
        {**PLACE, "run": "r1"},
    )
    by_action = {statement["Action"]: statement for statement in statements(text)}
    condition = {"StringEquals": {"aws:ResourceTag/irrunner:run": "r1"}}
    assert by_action["ec2:DeleteTags"]["Condition"] == condition
    assert "Condition" not in by_action["ec2:CreateTags"]


def test_too_long_is_broadened_longest_first_within_the_account() -> None:
    """The action with most text gives way first; the others keep their ARNs."""
    many = [
        Permission("ec2:StopInstances", f"arn:{{partition}}:ec2:{{region}}:{{account}}:instance/i-{n:017d}")
        for n in range(40)
    ]
    text = session_policy([*many, Permission("iam:GetRole", "arn:aws:iam::{account}:role/only")], PLACE)
    by_action = {statement["Action"]: statement for statement in statements(text)}
    stop = by_action["ec2:StopInstances"]
    assert stop["Resource"] == "arn:aws:ec2:us-east-1:333333333333:instance/*"
    assert by_action["iam:GetRole"]["Resource"] == "arn:aws:iam::333333333333:role/only"


def test_nothing_granted_denies_everything() -> None:
    """An empty session policy would be no session policy: the whole role."""
    assert statements(session_policy([], PLACE)) == [{"Effect": "Deny", "Action": "*", "Resource": "*"}]


def test_what_cannot_fit_is_refused() -> None:
    """Dropping an action silently would fail in the middle of a step instead."""
    with pytest.raises(InvalidCall):
        session_policy([Permission(f"service{n}:DoSomething{n}") for n in range(400)], PLACE)


services = st.sampled_from(["ec2", "iam", "kms", "s3", "ebs", "elasticloadbalancing"])
verbs = st.sampled_from(["Describe", "Get", "List", "Create", "Modify", "Put", "Delete"])
nouns = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=40)
actions = st.builds("{}:{}{}".format, services, verbs, nouns)
resources = st.one_of(
    st.just("*"),
    st.just(INSTANCE),
    st.builds("arn:{{partition}}:ec2:{{region}}:{{account}}:volume/{}".format, nouns),
    st.builds("arn:{{partition}}:iam::{{account}}:role/{}".format, nouns),
    st.builds("arn:aws:s3:::{}/*".format, nouns),
)
permissions = st.lists(st.builds(Permission, actions, resources), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(permissions, st.text(max_size=80))
def test_every_permission_survives_within_the_limit(granted: list[Permission], value: str) -> None:
    """However many and however named: the text is valid JSON, fits STS, and allows each permission."""
    values = {**PLACE, "instance_id": value}
    text = session_policy(granted, values)
    assert len(text) <= LIMIT_CHARACTERS
    assert text.isascii()
    for permission in granted:
        assert allows(text, permission.action, resource(permission.resource, values))


@settings(max_examples=30, deadline=None)
@given(permissions, st.randoms(use_true_random=False))
def test_order_does_not_matter(granted: list[Permission], random: Any) -> None:
    """Sessions are cached by policy text, so the same permissions give the same text."""
    shuffled = list(granted)
    random.shuffle(shuffled)
    assert session_policy(shuffled, PLACE) == session_policy(granted, PLACE)
