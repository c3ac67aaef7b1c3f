"""The router on the simulated organisation, which keeps the books of its own calls."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contracts.bench import Bench
from tests.contracts.conftest import OpenWorld
from tests.contracts.rows import identity

ROUTE = "aws.iam.route-credential"


def routed(bench: Bench, values: Any) -> Any:
    """Run the router and return its outputs."""
    return bench.run(bench.registry.get(ROUTE), values).done.outputs


@pytest.mark.parametrize(
    ("arrange", "kind", "first"),
    [
        (identity.user_key, "user-key", "aws.iam.deactivate-access-key"),
        (identity.user_session, "user-session", "aws.iam.quarantine-user"),
        (identity.instance_session, "instance-role", "aws.ec2.remove-instance-profile"),
        (identity.role_by_arn, "assumed-role", "aws.iam.restrict-role-trust"),
        (identity.identity_center_session, "identity-center", "aws.sso-admin.remove-account-assignment"),
    ],
)
def test_each_kind_is_told_with_what_contains_it(
    arrange: Any, kind: str, first: str, open_world: OpenWorld
) -> None:
    """By real calls of real credentials."""
    with open_world() as bench:
        outputs = routed(bench, arrange(bench))

    assert (outputs["kind"], outputs["recommended"][0]) == (kind, first)


def test_a_session_names_the_key_that_made_it(open_world: OpenWorld) -> None:
    """That key is compromised as well; the session has done nothing yet."""
    with open_world() as bench:
        outputs = routed(bench, identity.user_session(bench))

        assert outputs["user_name"] == "alice"
        assert outputs["source_key_id"] == bench.resources["access_key_id"]
        assert outputs["verified"]


def test_the_key_of_another_account_is_nobodys_here(open_world: OpenWorld) -> None:
    """The caller of the security account has a key that this account must not touch."""
    with open_world() as bench:
        outputs = routed(bench, {"access_key_id": bench.world.env["AWS_ACCESS_KEY_ID"]})

        assert outputs["kind"] == "other-account"
        assert outputs["account_id"] == bench.world.organisation.security


def test_the_instance_is_named_where_its_credentials_were_stolen(open_world: OpenWorld) -> None:
    """So that it can be isolated."""
    with open_world() as bench:
        outputs = routed(bench, identity.instance_session(bench))

        assert outputs["instance_id"] == bench.resources["instance_id"]
        assert outputs["role_name"] == bench.resources["role_name"]
