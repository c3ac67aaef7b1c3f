from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gameday.world import Place, World, build_role

Refused = Callable[..., str]


@pytest.mark.parametrize("name", ["AWSReservedSSO_Admin_0123456789abcdef", "AWSServiceRoleForSupport"])
def test_protected_roles_cannot_be_changed(
    world: World, iam: Any, member: str, refused: Refused, name: str
) -> None:
    """Roles of Identity Center and of services refuse an inline policy."""
    build_role(Place(member, world.region, 1), name)

    code = refused(iam.put_role_policy, RoleName=name, PolicyName="deny", PolicyDocument="{}")

    assert code == "UnmodifiableEntity"


def test_inline_policies_have_a_quota(iam: Any, refused: Refused) -> None:
    """A user's inline policies together hold 2,048 characters, white space not counted."""
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    small = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=400)
    large = json.dumps(
        {"Version": "2012-10-17", "Statement": [statement | {"Sid": f"S{n}"} for n in range(40)]}
    )

    iam.put_user_policy(UserName="alice", PolicyName="small", PolicyDocument=small)

    assert (
        refused(iam.put_user_policy, UserName="alice", PolicyName="x", PolicyDocument=large)
        == "LimitExceeded"
    )


def test_when_a_key_was_last_used_is_known_in_its_account_only(
    world: World, iam: Any, refused: Refused
) -> None:
    """The key's own account learns user and date; another account is refused."""
    key = {"AccessKeyId": world.resources["access_key_id"]}
    elsewhere = world.client(world.organisation.members[1], "iam")

    assert iam.get_access_key_last_used(**key)["UserName"] == "alice"
    assert refused(elsewhere.get_access_key_last_used, **key) == "AccessDenied"


def test_a_key_of_nobody_cannot_be_switched_off(iam: Any, refused: Refused) -> None:
    """UpdateAccessKey of an unknown key says NoSuchEntity."""
    key = {"UserName": "alice", "AccessKeyId": "AKIA0000000000000000", "Status": "Inactive"}

    assert refused(iam.update_access_key, **key) == "NoSuchEntity"
