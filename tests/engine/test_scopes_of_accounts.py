"""Whose role a step needs: its action's permissions say so, account by account."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from irrunner.actions.contract import AnyAction, Permission, Where
from irrunner.engine.loaded import RunFacts
from irrunner.engine.stepping import Binding, Services
from irrunner.errors import CredentialsInvalid, InvalidCall
from tests.engine.lab import Ground, Lab, LabCloud, SetValue, ValueParams

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WHERE = Where("aws", "111111111111", "eu-central-1", None, None, None)


class Closed(LabCloud):
    """A cloud in which some roles cannot be assumed."""

    def __init__(self, *closed: str) -> None:
        super().__init__(Ground())
        self.closed = closed

    def member(self, account_id: str, region: str, **more: Any) -> Ground:
        """Refuse, or return the ground."""
        return self._of("target", super().member(account_id, region, **more))

    def management(self, region: str, **more: Any) -> Ground:
        """Refuse, or return the ground."""
        return self._of("management", super().management(region, **more))

    def _of(self, scope: str, ground: Ground) -> Ground:
        if scope in self.closed:
            raise CredentialsInvalid(f"cannot assume the role of {scope}")
        return ground


def bound(lab: Lab, cloud: LabCloud, *scopes: Any) -> Binding:
    """Return a binding of an action that has one permission in each of these accounts."""
    permissions = tuple(Permission("lab:GetValue", scope=scope) for scope in scopes)
    action: AnyAction = type("Elsewhere", (SetValue,), {"permissions": permissions})()
    known = lab.runner.services
    services = Services(known.compiler, cloud, known.settings, known.clock, known.local)
    facts = RunFacts("run-1", WHERE, False, {}, None, NOW, NOW)
    return Binding(services, facts, action, ValueParams(name="a"), "step", NOW, {})


def test_the_incidents_account_is_not_needed_from_elsewhere(lab: Lab) -> None:
    """An attacker who removed our role there does not stop a service control policy."""
    binding = bound(lab, Closed("target"), "management")

    context = binding.look_context()

    assert context.management is not None
    assert context.management.call("lab:GetValue", Name="a")["Value"] is None
    assert binding.ports().management is not None
    with pytest.raises(InvalidCall, match="declares no permission"):
        context.api.call("lab:GetValue", Name="a")


def test_the_management_account_is_not_needed_from_the_incidents(lab: Lab) -> None:
    """What acts in the account of the incident never asks for the organisation's."""
    context = bound(lab, Closed("management"), "target").look_context()

    assert context.management is None
    assert context.api.call("lab:GetValue", Name="a")["Value"] is None


def test_a_role_that_is_needed_and_missing_says_so(lab: Lab) -> None:
    """The step fails with the reason, not with "not configured"."""
    with pytest.raises(CredentialsInvalid, match="management"):
        bound(lab, Closed("management"), "target", "management").look_context()
