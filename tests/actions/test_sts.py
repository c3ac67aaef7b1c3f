"""As whom a run acts."""

from __future__ import annotations

from typing import Any

from irrunner.actions.contract import Where
from irrunner.actions.sts import Whoami, WhoamiParams
from irrunner.vocabulary import Outcome


def test_tells_account_and_caller(moto_api: Any, driver: Any) -> None:
    """STS is asked, nothing is changed."""
    driven = driver.run(Whoami(), WhoamiParams(), moto_api)

    assert driven.done.outcome is Outcome.APPLIED
    assert driven.done.outputs["account_id"] == "123456789012"
    assert driven.done.outputs["arn"].startswith("arn:aws:")
    assert moto_api.operations() == []


def test_changes_nothing() -> None:
    """It names no target."""
    assert Whoami().targets(WhoamiParams(), Where("aws", "1", "r", None, None, None)) == ()
