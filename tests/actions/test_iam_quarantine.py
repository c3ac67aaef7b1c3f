"""Deny everything to a user, and give back what was there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from irrunner.actions.contract import Where
from irrunner.actions.iam.quarantine import POLICY_NAME, QuarantineUser, QuarantineUserParams, deny_all
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Outcome, UndoPolicy

ACTION = QuarantineUser()
PARAMS = QuarantineUserParams(user_name="alice")
OLDER = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}


@pytest.fixture
def iam(moto_api: Any) -> Any:
    """IAM with user alice, who has a key and a password."""
    client = moto_api.client("iam")
    client.create_user(UserName="alice", Path="/staff/")
    client.create_access_key(UserName="alice")
    client.create_login_profile(UserName="alice", Password="Correct-horse-1")
    return client


def policy(iam: Any) -> Any:
    """Return the quarantine policy of alice, None where there is none."""
    if POLICY_NAME not in iam.list_user_policies(UserName="alice")["PolicyNames"]:
        return None
    return iam.get_user_policy(UserName="alice", PolicyName=POLICY_NAME)["PolicyDocument"]


def test_denies_everything_and_reads_back(iam: Any, moto_api: Any, driver: Any) -> None:
    """The deny is there as JSON; credentials are told; a second attempt has nothing to do."""
    driven = driver.run(ACTION, PARAMS, moto_api)

    assert driven.done.outcome is Outcome.APPLIED
    assert policy(iam) == deny_all()
    outputs = driven.done.outputs
    assert outputs["user_arn"].endswith(":user/staff/alice")
    assert (outputs["console_password"], len(outputs["active_key_ids"])) == (True, 1)
    assert driver.run(ACTION, PARAMS, moto_api).done.outcome is Outcome.ALREADY_DONE
    assert moto_api.operations() == ["iam:PutUserPolicy"]


def test_the_same_policy_in_other_words_is_already_done(iam: Any, moto_api: Any, driver: Any) -> None:
    """Documents are equal as JSON, not as text."""
    text = json.dumps(deny_all(), indent=4, sort_keys=True)
    iam.put_user_policy(UserName="alice", PolicyName=POLICY_NAME, PolicyDocument=text)

    assert driver.run(ACTION, PARAMS, moto_api).done.outcome is Outcome.ALREADY_DONE


@pytest.mark.parametrize("prior", [None, OLDER])
def test_undo_restores_what_was_there(iam: Any, moto_api: Any, driver: Any, prior: Any) -> None:
    """Without a policy before, ours is deleted; else the one before comes back."""
    if prior:
        iam.put_user_policy(UserName="alice", PolicyName=POLICY_NAME, PolicyDocument=json.dumps(prior))
    driven = driver.run(ACTION, PARAMS, moto_api)

    done = driver.undo(ACTION, PARAMS, driven, moto_api)

    assert ACTION.undo is UndoPolicy.RELEASE
    assert done.outcome is Outcome.APPLIED
    assert policy(iam) == prior


def test_undo_stops_at_drift(iam: Any, moto_api: Any, driver: Any) -> None:
    """A policy that somebody changed since is theirs."""
    driven = driver.run(ACTION, PARAMS, moto_api)
    iam.put_user_policy(UserName="alice", PolicyName=POLICY_NAME, PolicyDocument=json.dumps(OLDER))

    done = driver.undo(ACTION, PARAMS, driven, moto_api)

    assert (done.outcome, done.code) == (Outcome.REFUSED, "drift")
    assert policy(iam) == OLDER


def test_undo_of_a_user_who_is_gone_is_done(iam: Any, moto_api: Any, driver: Any) -> None:
    """What no longer exists needs no restoring."""
    driven = driver.run(ACTION, PARAMS, moto_api)
    for key in iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="alice", PolicyName=POLICY_NAME)
    iam.delete_login_profile(UserName="alice")
    iam.delete_user(UserName="alice")

    assert driver.undo(ACTION, PARAMS, driven, moto_api).outcome is Outcome.ALREADY_DONE


def test_an_unknown_user_is_an_error(moto_api: Any, driver: Any) -> None:
    """There is nobody to quarantine."""
    with pytest.raises(TargetNotFound):
        driver.run(ACTION, PARAMS, moto_api)


def test_the_plan_shows_value_now_and_after(iam: Any, moto_api: Any, driver: Any) -> None:
    """The one call names the user, what is there now and what will be; outputs are known before."""
    seen = ACTION.look(driver.context(moto_api), PARAMS)
    (call,) = ACTION.forecast(PARAMS, seen)

    assert (call.before, call.after) == (None, deny_all())
    assert call.target == seen.user_arn
    assert set(ACTION.foresee(PARAMS, seen, "q").outputs) == set(ACTION.Outputs.model_fields)
    assert moto_api.operations() == []


def test_the_policy_is_short_enough_for_a_full_user() -> None:
    """Inline policies of a user share 2,048 characters; ours must find room."""
    assert len(json.dumps(deny_all(), separators=(",", ":"))) < 130


def test_the_user_is_the_target() -> None:
    """The user is locked and can be protected."""
    assert ACTION.targets(PARAMS, Where("aws", "1", "r", None, None, None)) == ("arn:aws:iam::1:user/alice",)
