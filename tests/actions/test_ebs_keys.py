"""The KMS decision table, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from irrunner.actions.ebs.keys import REMEDY, Key, Route, obstacle, read_key, route_of
from irrunner.errors import ActionDenied, TargetNotFound
from irrunner.testing import FakeApi

ACCOUNT = "111122223333"
ARN = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"


def key(manager: str = "CUSTOMER", state: str = "Enabled") -> Key:
    """Return a key of the account."""
    return Key(arn=ARN, account_id=ACCOUNT, manager=manager, state=state)


def api_of(**metadata: Any) -> FakeApi:
    """Return an account that describes one key."""
    whole = {"Arn": ARN, "AWSAccountId": ACCOUNT, "KeyManager": "CUSTOMER", "KeyState": "Enabled"} | metadata
    return FakeApi({"kms:DescribeKey": lambda **_: {"KeyMetadata": whole}})


@pytest.mark.parametrize(
    ("encrypted", "manager", "route"),
    [
        (False, None, Route.PLAIN),
        (True, "CUSTOMER", Route.CUSTOMER_KEY),
        (True, "AWS", Route.TRANSFER),
    ],
)
def test_route(*, encrypted: bool, manager: str | None, route: Route) -> None:
    """Plain snapshots are shared, customer keys lent, default keys left by a transfer copy."""
    assert route_of(encrypted, key(manager) if manager else None) is route


@pytest.mark.parametrize("state", sorted(REMEDY))
def test_a_key_that_cannot_be_used_says_what_to_do(state: str) -> None:
    """Each state that bars the key names the key, the state and a remedy."""
    text = obstacle(key(state=state), "the key of snap-1")

    assert text is not None
    assert ARN in text
    assert state in text
    assert REMEDY[state] in text


def test_an_enabled_key_is_no_obstacle() -> None:
    """Nothing bars an enabled key."""
    assert obstacle(key(), "the key") is None


def test_a_state_that_kms_adds_later_still_bars() -> None:
    """An unknown state fails closed."""
    assert "Hibernating" in str(obstacle(key(state="Hibernating"), "the key"))


def test_no_key_is_an_obstacle() -> None:
    """An encrypted snapshot without a named key cannot be routed."""
    assert obstacle(None, "the key of snap-1") == "AWS names no key for the key of snap-1"


def test_a_foreign_key_is_not_asked_for() -> None:
    """A key ARN of another account is foreign without a call, which would only be refused."""
    api = FakeApi({})

    found = read_key(api, "arn:aws:kms:eu-central-1:999988887777:key/abc", ACCOUNT)

    assert (found.state, found.account_id) == ("Foreign", "999988887777")
    assert api.calls == []


def test_an_alias_is_resolved_to_the_keys_arn() -> None:
    """Later comparisons need the ARN, not the alias."""
    assert read_key(api_of(), "alias/irrunner-evidence", ACCOUNT) == key()


def test_an_alias_of_a_key_elsewhere_is_foreign() -> None:
    """The answer's account counts, not the name's."""
    assert read_key(api_of(AWSAccountId="999988887777"), "alias/x", ACCOUNT).state == "Foreign"


@pytest.mark.parametrize(
    ("error", "state"), [(TargetNotFound("gone"), "NotFound"), (ActionDenied("no"), "AccessDenied")]
)
def test_a_key_that_cannot_be_read_is_a_finding(error: Exception, state: str) -> None:
    """A missing or barred key is a row of the table, not a crash."""

    def refuse(**_: Any) -> Mapping[str, Any]:
        raise error

    assert read_key(FakeApi({"kms:DescribeKey": refuse}), ARN, ACCOUNT).state == state
