from __future__ import annotations

import json
from typing import Any

import pytest

from gameday.world.authz.conditions import conditions_hold
from gameday.world.authz.documents import matches, statements, substitute
from gameday.world.authz.evaluate import Asked, Caller, Policies, evaluate

ACCOUNT, OTHER = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/web"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/web/i-1"
BUCKET = "arn:aws:s3:::evidence/a"


def allow(action: str = "*", resource: str = "*", **more: Any) -> str:
    """Return a policy of one statement."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def deny(action: str = "*", resource: str = "*", **more: Any) -> str:
    """Return a policy that denies."""
    return allow(action, resource, **{**more, "Effect": "Deny"})


def asked(action: str = "s3:GetObject", resource: str = BUCKET, **context: str) -> Asked:
    """Return a request of the role's session."""
    keys = {name.replace("__", ":").lower(): (value,) for name, value in context.items()}
    return Asked(action, resource, Caller(ACCOUNT, SESSION, ROLE), keys)


@pytest.mark.parametrize(
    ("policies", "because"),
    [
        (Policies(identity=()), "no identity-based policy"),
        (Policies(identity=(allow("s3:Put*"),)), "no identity-based policy"),
        (Policies(identity=(allow(), deny("s3:GetObject"))), "explicit deny in an identity-based policy"),
        (Policies(identity=(allow(),), session=(allow("ec2:*"),)), "no session policy"),
        (Policies(identity=(allow(),), session=(allow(), deny())), "explicit deny in a session policy"),
        (Policies(identity=(allow(),), boundary=allow("ec2:*")), "no permissions boundary"),
        (Policies(identity=(allow(),), scps=((allow(),), (allow("ec2:*"),))), "no service control policy"),
        (Policies(identity=(allow(),), scps=((allow(), deny("s3:*")),)), "in a service control policy"),
        (Policies(identity=(allow(),), resource=deny(Principal="*"), resource_account=ACCOUNT),
         "explicit deny in a resource-based policy"),
        (Policies(identity=(allow(),), resource_account=OTHER), "no resource-based policy"),
        (Policies(identity=(allow(),), resource=None, resource_account=ACCOUNT, resource_decides=True),
         "no resource-based policy"),
        (Policies(identity=(), resource=allow(Principal={"AWS": OTHER}), resource_account=OTHER),
         "no resource-based policy"),
        (Policies(identity=(), resource=allow(Principal={"AWS": ACCOUNT}), resource_account=OTHER),
         "no identity-based policy"),
    ],
)  # fmt: skip
def test_each_layer_refuses_in_its_own_name(policies: Policies, because: str) -> None:
    """A refusal says which kind of policy is in the way, as AWS does."""
    verdict = evaluate(asked(), policies)

    assert not verdict.allowed
    assert because in verdict.because


@pytest.mark.parametrize(
    "policies",
    [
        Policies(identity=(allow("s3:Get*", "arn:aws:s3:::evidence/*"),)),
        Policies(identity=(), resource=allow(Principal={"AWS": SESSION}), resource_account=ACCOUNT),
        Policies(identity=(), resource=allow(Principal={"AWS": ROLE}), resource_account=ACCOUNT),
        Policies(identity=(allow(),), resource=allow(Principal={"AWS": ROLE}), resource_account=OTHER),
        Policies(identity=(allow(),), resource=allow(Principal={"AWS": ACCOUNT}), resource_account=ACCOUNT,
                 resource_decides=True),
        Policies(identity=(allow(),), session=(allow(),), boundary=allow(), scps=((allow(),),)),
    ],
)  # fmt: skip
def test_what_every_layer_allows_is_allowed(policies: Policies) -> None:
    """Identity and resource policies add up within an account; across accounts both must allow."""
    assert evaluate(asked(), policies).allowed


def test_a_session_named_itself_is_not_bound_by_its_session_policy() -> None:
    """A resource that names the session itself grants past its policy; one that names its role does not."""
    bound = {"identity": (), "session": (allow("ec2:*"),), "resource_account": ACCOUNT}

    assert evaluate(asked(), Policies(resource=allow(Principal={"AWS": SESSION}), **bound)).allowed  # type: ignore[arg-type]
    assert not evaluate(asked(), Policies(resource=allow(Principal={"AWS": ROLE}), **bound)).allowed  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("operator", "value", "actual", "holds"),
    [
        ("StringEquals", "a", "a", True),
        ("StringEquals", "A", "a", False),
        ("StringEqualsIgnoreCase", "A", "a", True),
        ("StringLike", "a*c", "abc", True),
        ("StringNotLike", "a*c", "abc", False),
        ("NumericLessThanEquals", "10", "10", True),
        ("NumericGreaterThan", "10", "10", False),
        ("NumericEquals", "ten", "10", False),
        ("DateLessThan", "2026-01-02T00:00:00Z", "2026-01-01T23:59:59+00:00", True),
        ("DateGreaterThan", "1767225600", "2026-01-02T00:00:00Z", True),
        ("Bool", "true", "True", True),
        ("IpAddress", "10.0.0.0/8", "10.255.0.1", True),
        ("IpAddress", "10.0.0.0/8", "not-an-address", False),
        ("NotIpAddress", "2001:db8::/32", "2001:db8::1", False),
        ("ArnLike", "arn:aws:iam::*:role/*", f"{ROLE}", True),
        ("ArnLike", "arn:aws:*", f"{ROLE}", False),
        ("NoSuchOperator", "a", "a", False),
    ],
)
def test_operators(operator: str, value: str, actual: str, holds: bool) -> None:  # noqa: FBT001 - a table
    """Each operator as documented; one that does not exist never holds."""
    assert conditions_hold({operator: {"k": (value,)}}, {"k": (actual,)}) is holds


@pytest.mark.parametrize(
    ("operator", "holds"),
    [
        ("StringEquals", False),
        ("StringEqualsIfExists", True),
        ("StringNotEquals", True),
        ("ArnNotLike", True),
        ("ForAllValues:StringEquals", True),
        ("ForAnyValue:StringEquals", False),
    ],
)
def test_a_key_that_is_not_there(operator: str, holds: bool) -> None:  # noqa: FBT001 - a table
    """Only negations, ``IfExists`` and ``ForAllValues`` hold without the key."""
    assert conditions_hold({operator: {"k": ("a",)}}, {}) is holds


def test_several_values() -> None:
    """Each value among the policy's, or any of them."""
    context = {"aws:tagkeys": ("a", "x")}

    assert not conditions_hold({"ForAllValues:StringEquals": {"aws:tagkeys": ("a", "b")}}, context)
    assert conditions_hold({"ForAnyValue:StringEquals": {"aws:tagkeys": ("a", "b")}}, context)
    assert conditions_hold({"Null": {"aws:tagkeys": ("false",)}}, context)


def test_variables_are_literal_and_must_have_a_value() -> None:
    """A user named ``*`` owns the home of ``*`` alone; an unknown variable matches nothing."""
    context = {"aws:username": ("*",)}
    home = substitute("arn:aws:s3:::home/${aws:username}/x", context)

    assert home is not None
    assert matches(home, "arn:aws:s3:::home/*/x")
    assert not matches(home, "arn:aws:s3:::home/alice/x")
    assert substitute("${aws:PrincipalTag/none}", context) is None
    assert substitute("${aws:PrincipalTag/none, 'team'}", context) == "team"
    policies = Policies(identity=(allow("s3:*", "arn:aws:s3:::evidence/${aws:PrincipalTag/none}"),))
    assert not evaluate(asked(), policies).allowed


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"Statement": "x"}', '{"Statement": [{"Effect": "Maybe"}]}']
)
def test_a_document_that_cannot_be_read_allows_nothing(text: str) -> None:
    """Broken text has no statements."""
    assert statements(text) == ()
