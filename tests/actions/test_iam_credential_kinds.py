"""Kinds of credentials by caller and role, and the advice for each."""

from __future__ import annotations

from typing import Any

import pytest

from irrunner.actions.catalogue import CATALOGUE
from irrunner.actions.contract import Settled
from irrunner.actions.iam.caller import Caller, claimed
from irrunner.actions.iam.credential_kinds import ROUTES
from irrunner.actions.iam.role_users import Role
from irrunner.actions.iam.route import RouteCredential, RouteCredentialParams, RouteCredentialState

ROUTE = RouteCredential()
OWN, OTHER = "111122223333", "444455556666"
SESSION, KEY = "ASIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"


def trust(**principal: Any) -> dict[str, Any]:
    """Return a trust policy."""
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def role(path: str = "/", name: str = "web", **principal: Any) -> Role:
    """Return a role."""
    return Role(
        role_name=name,
        role_arn=f"arn:aws:iam::{OWN}:role{path}{name}",
        path=path,
        max_session_duration_s=3600,
        trust=trust(**(principal or {"Service": "ec2.amazonaws.com"})),
    )


@pytest.mark.parametrize(
    ("caller", "role_", "key", "kind"),
    [
        (Caller(type="AssumedRole"), role("/aws-service-role/x.amazonaws.com/"), "", "service-linked-role"),
        (
            Caller(type="AssumedRole", name="r"),
            role("/aws-reserved/sso.amazonaws.com/eu-west-1/"),
            SESSION,
            "identity-center",
        ),
        (Caller(type="AssumedRole"), role(name="AWSReservedSSO_x_1", AWS="*"), "", "assumed-role"),
        (Caller(type="AssumedRole"), role(Federated="arn:aws:iam::1:saml-provider/x"), "", "federated-role"),
        (
            Caller(type="AssumedRole", name="r", issued_by="AssumeRoleWithSAML"),
            role(AWS="*"),
            SESSION,
            "federated-role",
        ),
        (Caller(type="AssumedRole", name="r", service="ec2.amazonaws.com"), role(), SESSION, "instance-role"),
        (Caller(type="AssumedRole", name="r"), None, SESSION, "unknown"),
        (Caller(type="FederatedUser", name="alice"), None, SESSION, "federated-user"),
        (Caller(type="Root"), None, SESSION, "root-session"),
        (Caller(type="Root"), None, "", "root-session"),
        (Caller(type="Root"), None, KEY, "root-key"),
        (Caller(type="Anonymous"), None, "", "anonymous"),
        (Caller(type="AWSService"), None, "", "service"),
        (Caller(type="IAMUser", account_id=OTHER), None, KEY, "other-account"),
        (Caller(type="SomethingNew"), None, SESSION, "unknown"),
    ],
)  # fmt: skip
def test_kinds(caller: Caller, role_: Role | None, key: str, kind: str) -> None:
    """A name like Identity Center's outside its path is an impostor's: the path is AWS's."""
    params = RouteCredentialParams(access_key_id=key, user_name="x")
    state = RouteCredentialState(caller=caller, account_id=OWN, management_account=None, role=role_)
    decision = ROUTE.decide(params, state)

    assert isinstance(decision, Settled)
    assert decision.outputs.kind == kind  # type: ignore[attr-defined]


def test_every_recommended_action_exists_and_none_is_refused_too() -> None:
    """A playbook that follows the advice finds the actions."""
    for kind, route in ROUTES.items():
        assert set(route.recommended) <= set(CATALOGUE), kind
        assert not set(route.recommended) & set(route.refused or {}), kind
        assert set(route.refused or {}) <= set(CATALOGUE), kind


@pytest.mark.parametrize(
    ("given", "caller"),
    [
        ((f"arn:aws:iam::{OWN}:user/team/alice", "", "", ""), ("IAMUser", OWN, "alice", "")),
        ((f"arn:aws:iam::{OWN}:root", "", "", ""), ("Root", OWN, "", "")),
        ((f"arn:aws:sts::{OWN}:assumed-role/web/i-1/x", "", "", ""), ("AssumedRole", OWN, "web", "i-1/x")),
        ((f"arn:aws:sts::{OWN}:federated-user/bob", "", "", ""), ("FederatedUser", OWN, "bob", "")),
        (("", "Role", "web", "AROA:i-1"), ("AssumedRole", "", "web", "i-1")),
        (("", "", "ANONYMOUS_PRINCIPAL", ""), ("Anonymous", "", "", "")),
    ],
)
def test_what_a_finding_claims(given: tuple[str, str, str, str], caller: tuple[str, ...]) -> None:
    """ARNs, and GuardDuty's words."""
    found = claimed(*given)

    assert (found.type, found.account_id, found.name, found.session_name) == caller
    assert not found.by_aws
