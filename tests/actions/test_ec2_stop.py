"""Stop: waits for stopped, lifts stop protection, refuses what cannot be stopped, starts again on undo."""

from __future__ import annotations

from typing import Any

import pytest

from irrunner.actions.contract import Act, Refused, Settled, Waiting
from irrunner.actions.ec2.instances import OneInstance
from irrunner.actions.ec2.protect import ProtectInstance
from irrunner.actions.ec2.stop import StopInstance, StopState
from irrunner.vocabulary import Outcome

INSTANCE = "i-0123456789abcdef0"
ACTION = StopInstance()
PARAMS = OneInstance(instance_id=INSTANCE)


def state_of(instance_state: str, **more: Any) -> StopState:
    """Return a state."""
    values = {"stop_protected": False, "ebs_root": True, **more}
    return StopState(instance_id=INSTANCE, instance_state=instance_state, **values)


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (state_of("running"), Act),
        (state_of("pending"), Waiting),
        (state_of("stopping"), Waiting),
        (state_of("stopped"), Settled),
        (state_of("shutting-down"), Refused),
        (state_of("terminated"), Refused),
        (state_of("running", ebs_root=False), Refused),
    ],
)
def test_decides_by_state(state: StopState, kind: type) -> None:
    """Success is said of ``stopped`` alone."""
    assert isinstance(ACTION.decide(PARAMS, state), kind)


def test_stop_protection_is_lifted_first() -> None:
    """Else AWS refuses StopInstances; the plan shows both."""
    decision = ACTION.decide(PARAMS, state_of("running", stop_protected=True))

    assert isinstance(decision, Act)
    assert [call.operation for call in decision.calls] == ["ec2:ModifyInstanceAttribute", "ec2:StopInstances"]


def test_states_in_transition_count_as_where_they_go() -> None:
    """So that undo neither waits for nor quarrels with an instance that is starting; an ended one is gone."""
    assert state_of("pending").footprint() == state_of("running").footprint()
    assert state_of("stopping").footprint() == state_of("stopped").footprint()
    assert state_of("terminated").footprint() == {}


def test_stops_a_protected_host_and_starts_it_again(driver: Any, moto_api: Any, host: Any) -> None:
    """Undo starts it and protects it from stop, as it was."""
    params = OneInstance(instance_id=host.instance_id)
    driver.run(ProtectInstance(), params, moto_api)
    driven = driver.run(ACTION, params, moto_api)
    again = driver.run(ACTION, params, moto_api)
    undone = driver.undo(ACTION, params, driven, moto_api)

    assert driven.done.outcome is Outcome.APPLIED
    assert driven.done.outputs["state"] == "stopped"
    assert again.done.outcome is Outcome.ALREADY_DONE
    assert undone.verified
    assert undone.after.footprint() == driven.before.footprint()
