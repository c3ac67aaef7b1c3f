"""Keys off: the right key of the right user, its history kept, and back only on request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from irrunner.actions.contract import Broken, Refused, Where
from irrunner.actions.iam.access_key import (
    DeactivateAccessKey,
    DeactivateAccessKeyParams,
    DeactivateAccessKeyState,
)
from irrunner.errors import TargetNotFound
from irrunner.settings import Settings
from irrunner.testing import FakeApi
from irrunner.vocabulary import Outcome, UndoPolicy

ACTION = DeactivateAccessKey()
KEY, OTHER = "AKIAIOSFODNN7EXAMPLE", "AKIAI44QH8DHBEXAMPLE"


def params(key_id: str = KEY, user_name: str | None = None) -> DeactivateAccessKeyParams:
    """Return parameters."""
    return DeactivateAccessKeyParams(access_key_id=key_id, user_name=user_name)


def state(status: str | None = "Active", **other: Any) -> DeactivateAccessKeyState:
    """Return a look at alice's key."""
    facts: dict[str, Any] = {"access_key_id": KEY, "user_name": "alice", "status": status}
    return DeactivateAccessKeyState(**(facts | other))


def alice(api: Any, keys: int = 1) -> list[str]:
    """Make a user with keys on moto and return their ids."""
    iam = api.client("iam")
    iam.create_user(UserName="alice")
    return [iam.create_access_key(UserName="alice")["AccessKey"]["AccessKeyId"] for _ in range(keys)]


@pytest.mark.parametrize(
    ("given", "seen", "says"),
    [
        (params("ASIAIOSFODNN7EXAMPLE"), state(None, user_name=None), "aws.iam.revoke-role-sessions"),
        (params(), state(None, user_name=None), "root user"),
        (params(user_name="bob"), state(), "a key of alice, not of bob"),
        (params(), state(user_protected=True), "protected by the configuration"),
    ],
)
def test_what_must_not_be_switched_off_is_refused(
    given: DeactivateAccessKeyParams, seen: DeactivateAccessKeyState, says: str
) -> None:
    """Each refusal says what to do instead."""
    decision = ACTION.decide(given, seen)

    assert isinstance(decision, Refused)
    assert says in decision.reason
    assert ACTION.foresee(given, seen, "off").outputs == {}


def test_a_key_that_vanished_is_not_called_contained() -> None:
    """A key that the user no longer has may be a wrong finding: it fails, it does not succeed."""
    assert ACTION.decide(params(), state(None)) == Broken(
        f"alice has no key {KEY} any more", code="target-not-found"
    )


def test_a_temporary_key_is_never_asked_for(driver: Any) -> None:
    """IAM knows nothing of temporary credentials."""
    api = FakeApi({})

    ACTION.look(driver.context(api), params("ASIAIOSFODNN7EXAMPLE"))

    assert api.calls == []


def test_last_use_is_recorded(driver: Any) -> None:
    """When and where the key was used last is evidence, and part of the outputs."""
    used = {"LastUsedDate": datetime(2026, 1, 1, tzinfo=UTC), "ServiceName": "s3", "Region": "eu-west-1"}
    api = FakeApi(
        {
            "iam:GetAccessKeyLastUsed": lambda **_: {"UserName": "alice", "AccessKeyLastUsed": used},
            "iam:ListAccessKeys": lambda **_: {
                "AccessKeyMetadata": [
                    {"AccessKeyId": KEY, "Status": "Active"},
                    {"AccessKeyId": OTHER, "Status": "Active"},
                ]
            },
        }
    )

    seen = ACTION.look(driver.context(api), params())

    assert ACTION.foresee(params(), seen, "off").outputs == {
        "access_key_id": KEY,
        "user_name": "alice",
        "status": "Inactive",
        "last_used_at": "2026-01-01T00:00:00.000Z",
        "last_used_service": "s3",
        "last_used_region": "eu-west-1",
        "other_active_keys": [OTHER],
    }


def test_the_configuration_protects_a_user_named_by_nobody(driver: Any) -> None:
    """A break-glass user is protected also where the playbook knows only the key."""
    driver.settings = Settings(protected=("break-glass*",))
    api = FakeApi(
        {
            "iam:GetAccessKeyLastUsed": lambda **_: {"UserName": "break-glass-1", "AccessKeyLastUsed": {}},
            "iam:ListAccessKeys": lambda **_: {
                "AccessKeyMetadata": [{"AccessKeyId": KEY, "Status": "Active"}]
            },
        }
    )

    assert isinstance(ACTION.decide(params(), ACTION.look(driver.context(api), params())), Refused)


def test_deactivates_and_reads_back(moto_api: Any, driver: Any) -> None:
    """The key is off, the second attempt finds nothing to do, and live sessions are warned of."""
    first, second = alice(moto_api, 2)

    driven = driver.run(ACTION, params(first), moto_api)

    assert driven.done.outcome is Outcome.APPLIED
    assert driven.done.outputs["status"] == "Inactive"
    assert driven.done.outputs["other_active_keys"] == [second]
    assert "GetSessionToken" in driven.done.warnings[0]
    assert second in driven.done.warnings[1]
    assert driver.run(ACTION, params(first), moto_api).done.outcome is Outcome.ALREADY_DONE
    assert moto_api.operations() == ["iam:UpdateAccessKey"]


def test_undo_gives_the_status_back(moto_api: Any, driver: Any) -> None:
    """Undo is a release of credentials: it activates what was active."""
    (key_id,) = alice(moto_api)
    driven = driver.run(ACTION, params(key_id), moto_api)

    done = driver.undo(ACTION, params(key_id), driven, moto_api)

    assert ACTION.undo is UndoPolicy.RELEASE
    assert done.outcome is Outcome.APPLIED
    keys = moto_api.client("iam").list_access_keys(UserName="alice")["AccessKeyMetadata"]
    assert [key["Status"] for key in keys] == ["Active"]


def test_undo_leaves_a_key_that_was_off_before(moto_api: Any, driver: Any) -> None:
    """What was inactive before stays inactive."""
    (key_id,) = alice(moto_api)
    moto_api.client("iam").update_access_key(UserName="alice", AccessKeyId=key_id, Status="Inactive")
    driven = driver.run(ACTION, params(key_id), moto_api)

    assert driver.undo(ACTION, params(key_id), driven, moto_api).outcome is Outcome.ALREADY_DONE
    assert moto_api.operations() == []


def test_an_unknown_key_is_an_error(moto_api: Any, driver: Any) -> None:
    """A key of nobody in this account is not contained."""
    with pytest.raises(TargetNotFound):
        driver.run(ACTION, params(), moto_api)


def test_targets_are_the_key_and_the_named_user() -> None:
    """Both can be locked and protected."""
    where = Where("aws", "123456789012", "eu-central-1", None, None, None)

    assert ACTION.targets(params(), where) == (KEY,)
    assert ACTION.targets(params(user_name="alice"), where) == (KEY, "arn:aws:iam::123456789012:user/alice")
