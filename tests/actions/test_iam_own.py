"""irrunner never takes away the credentials by which it acts: nothing could be undone then."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from irrunner.actions.contract import Where
from irrunner.actions.iam.access_key import DeactivateAccessKey, DeactivateAccessKeyParams
from irrunner.actions.iam.own import is_own_role, is_own_user
from irrunner.actions.iam.quarantine import QuarantineUser, QuarantineUserParams
from irrunner.actions.iam.role_sessions import RevokeRoleSessions, RevokeRoleSessionsParams
from irrunner.settings import Settings
from irrunner.vocabulary import Outcome

USER = "arn:aws:iam::{account}:user/machines/runner"
ROLE = "arn:aws:sts::{account}:assumed-role/runner/session"


@pytest.fixture
def home(driver: Any) -> Any:
    """Let irrunner run with an identity of the incident's account."""

    def runs_as(arn: str) -> str:
        driver.home_arn = arn.format(account=driver.where.account_id)
        return str(driver.home_arn)

    return runs_as


def test_a_user_and_his_key_that_irrunner_runs_with_are_left(home: Any, driver: Any, moto_api: Any) -> None:
    """A finding about our own key is for a person."""
    home(USER)
    iam = moto_api.client("iam")
    iam.create_user(UserName="runner", Path="/machines/")
    key = iam.create_access_key(UserName="runner")["AccessKey"]["AccessKeyId"]

    for action, params in (
        (QuarantineUser(), QuarantineUserParams(user_name="runner")),
        (DeactivateAccessKey(), DeactivateAccessKeyParams(access_key_id=key)),
    ):
        done = driver.run(action, params, moto_api).done
        assert done.outcome is Outcome.REFUSED
        assert "runs with the keys of runner" in done.reason
    assert moto_api.operations() == []


@pytest.mark.parametrize(("name", "arn"), [("irrunner-responder", USER), ("runner", ROLE)])
def test_roles_by_which_irrunner_acts_keep_their_sessions(
    home: Any, driver: Any, moto_api: Any, name: str, arn: str
) -> None:
    """The deny would hit the sessions of the run that puts it."""
    home(arn)
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    moto_api.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)

    done = driver.run(RevokeRoleSessions(), RevokeRoleSessionsParams(role_name=name), moto_api).done

    assert done.outcome is Outcome.REFUSED
    assert "irrunner itself acts by" in done.reason
    assert moto_api.operations() == []


def test_names_are_compared_within_the_account(home: Any, driver: Any, moto_api: Any) -> None:
    """A role of the same name elsewhere, a user of a role's name, a session's name: none of them is ours."""
    home(ROLE)
    context = driver.context(moto_api)
    elsewhere = replace(context, where=Where("aws", "999999999999", "us-east-1", None, None, None))

    assert is_own_role(context, "runner")
    assert not is_own_role(context, "session")
    assert not is_own_role(elsewhere, "runner")
    assert not is_own_user(context, "runner")
    assert not is_own_user(context, None)


def test_an_intruder_finds_no_shelter_behind_a_name(home: Any, driver: Any, moto_api: Any) -> None:
    """The forensic role is ours in the forensic account, and the organisation's in the management account."""
    home(ROLE)
    management = {"account_id": "888888888888"}
    driver.settings = Settings.model_validate({"management": management})
    context = driver.context(moto_api)
    forensics = replace(context.where, account_id="7" * 12, forensic_account_id="7" * 12)

    assert not is_own_role(context, "irrunner-forensics")
    assert not is_own_role(context, "irrunner-organization")
    assert is_own_role(replace(context, where=forensics), "irrunner-forensics")
    assert is_own_role(
        replace(context, where=replace(forensics, account_id="8" * 12)), "irrunner-organization"
    )
