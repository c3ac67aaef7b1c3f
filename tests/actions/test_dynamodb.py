"""Tables: protected where they can be, waited for where they are busy."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.contract import Act, Refused, Settled, Waiting
from irrunner.actions.dynamodb.protection import (
    EnableProtection,
    EnableProtectionParams,
    EnableProtectionState,
)
from irrunner.testing import FakeApi

PARAMS = EnableProtectionParams(table_name="orders")
ACTION = EnableProtection()


def table(status: str = "ACTIVE", *, deletion: bool = False, recovery: bool = False) -> EnableProtectionState:
    """Return a table."""
    return EnableProtectionState(
        table_name="orders", table_arn="arn", status=status, deletion_protected=deletion,
        recoverable=recovery, earliest_restorable_at="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "operations"),
    [
        (table(), ["dynamodb:UpdateContinuousBackups", "dynamodb:UpdateTable"]),
        (table(deletion=True), ["dynamodb:UpdateContinuousBackups"]),
        (table(recovery=True), ["dynamodb:UpdateTable"]),
    ],
)
def test_what_is_off_is_switched_on(state: EnableProtectionState, operations: list[str]) -> None:
    """Recovery first: a table that is deleted with it leaves a backup."""
    decision = ACTION.decide(PARAMS, state)

    assert isinstance(decision, Act)
    assert [call.operation for call in decision.calls] == operations


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (table("UPDATING"), Waiting),
        (table("DELETING"), Refused),
        (table("UPDATING", deletion=True, recovery=True), Settled),
    ],
)
def test_a_busy_table_is_waited_for_only_where_it_must_change(
    state: EnableProtectionState, kind: type
) -> None:
    """AWS refuses a change while another is made."""
    assert isinstance(ACTION.decide(PARAMS, state), kind)


def test_an_answer_without_recovery_is_not_protection(driver: Any) -> None:
    """What AWS does not say is off."""
    api = FakeApi(
        {
            "dynamodb:DescribeTable": lambda **_: {"Table": {"TableArn": "arn"}},
            "dynamodb:DescribeContinuousBackups": lambda **_: {},
        }
    )

    seen = ACTION.look(driver.context(api), PARAMS)

    assert (seen.recoverable, seen.deletion_protected) == (False, False)
    assert isinstance(ACTION.decide(PARAMS, seen), Waiting)


@pytest.mark.parametrize("name", ["ab", "arn:aws:dynamodb:x", "a b c", "x" * 256])
def test_names_that_are_no_table_are_refused(name: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ValidationError):
        EnableProtectionParams(table_name=name)
