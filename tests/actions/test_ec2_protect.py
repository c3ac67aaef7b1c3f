"""Protection: what can be protected is, what cannot is said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrunner.actions.contract import Act, Call, Refused, Settled
from irrunner.actions.ec2.instances import OneInstance
from irrunner.actions.ec2.protect import GUARDS, ProtectInstance, ProtectState, Volume
from irrunner.vocabulary import Outcome

INSTANCE = "i-0123456789abcdef0"
ACTION = ProtectInstance()
PARAMS = OneInstance(instance_id=INSTANCE)


def state_of(**more: Any) -> ProtectState:
    """Return an unprotected instance with two volumes, one of which would be deleted with it."""
    values: dict[str, Any] = {
        "instance_state": "running",
        "spot": False,
        "ebs_root": True,
        "auto_scaling_group": "",
        "guards": {
            "disableApiTermination": False,
            "disableApiStop": False,
            "instanceInitiatedShutdownBehavior": "terminate",
        },
        "volumes": (
            Volume(volume_id="vol-1", device="/dev/xvda", delete_on_termination=True),
            Volume(volume_id="vol-2", device="/dev/xvdb", delete_on_termination=False),
        ),
    }
    return ProtectState(instance_id=INSTANCE, **(values | more))


def apply(state: ProtectState, calls: tuple[Call, ...]) -> ProtectState:
    """Carry out calls as AWS would: one attribute each."""
    for call in calls:
        sent = dict(call.params)
        assert sent.pop("InstanceId") == state.instance_id
        if "BlockDeviceMappings" in sent:
            new = {
                item["DeviceName"]: item["Ebs"]["DeleteOnTermination"] for item in sent["BlockDeviceMappings"]
            }
            volumes = tuple(
                volume.model_copy(
                    update={"delete_on_termination": new.get(volume.device, volume.delete_on_termination)}
                )
                for volume in state.volumes
            )
            state = state.model_copy(update={"volumes": volumes})
        else:
            guard = next(
                guard for guard in GUARDS if guard.answer in sent or sent.get("Attribute") == guard.attribute
            )
            value = sent["Value"] if guard.generic else sent[guard.answer]["Value"]
            state = state.model_copy(update={"guards": state.guards | {guard.attribute: value}})
    return state


BOOLEANS = st.sampled_from((True, False))
STATES = st.builds(
    state_of,
    spot=BOOLEANS,
    ebs_root=BOOLEANS,
    guards=st.fixed_dictionaries(
        {
            "disableApiTermination": BOOLEANS,
            "disableApiStop": BOOLEANS,
            "instanceInitiatedShutdownBehavior": st.sampled_from(("stop", "terminate")),
        }
    ),
    volumes=st.lists(BOOLEANS, max_size=3).map(
        lambda flags: tuple(
            Volume(volume_id=f"vol-{number}", device=f"/dev/xvd{number}", delete_on_termination=flag)
            for number, flag in enumerate(flags)
        )
    ),
)


@settings(max_examples=60, deadline=None)
@given(STATES)
def test_one_round_protects_and_undo_restores(before: ProtectState) -> None:
    """After the calls nothing is left to do; after undo's calls the footprint is as before."""
    after = apply(before, ACTION.forecast(PARAMS, before))
    was, made = before.footprint(), after.footprint()
    keys = frozenset(key for key in made if made[key] != was[key])

    assert isinstance(ACTION.decide(PARAMS, after), Settled)
    assert not any(volume.delete_on_termination for volume in after.volumes)
    assert apply(after, ACTION.undo_calls(PARAMS, before, after, after, keys)).footprint() == was


def test_each_call_sets_one_attribute() -> None:
    """ModifyInstanceAttribute takes one attribute a call; groups are never among them."""
    decision = ACTION.decide(PARAMS, state_of())

    assert isinstance(decision, Act)
    assert len(decision.calls) == 4
    assert all("Groups" not in call.params for call in decision.calls)


def test_a_spot_instance_is_skipped_with_a_warning() -> None:
    """AWS cannot protect Spot Instances; their volumes are kept all the same."""
    spot = state_of(spot=True)
    decision = ACTION.decide(PARAMS, spot)
    settled = ACTION.decide(PARAMS, apply(spot, ACTION.forecast(PARAMS, spot)))

    assert isinstance(decision, Act)
    assert [sorted(call.params) for call in decision.calls] == [["BlockDeviceMappings", "InstanceId"]]
    assert isinstance(settled, Settled)
    assert "Spot" in settled.warnings[0]
    assert settled.outputs.model_dump()["termination_protected"] is False


def test_auto_scaling_is_warned_of() -> None:
    """Termination protection does not bind Auto Scaling."""
    state = state_of(auto_scaling_group="web-asg")
    settled = ACTION.decide(PARAMS, apply(state, ACTION.forecast(PARAMS, state)))

    assert isinstance(settled, Settled)
    assert "web-asg" in settled.warnings[0]


def test_refuses_an_instance_that_ends() -> None:
    """It is too late."""
    assert isinstance(ACTION.decide(PARAMS, state_of(instance_state="shutting-down")), Refused)


def test_protects_and_undoes_on_moto(driver: Any, moto_api: Any, launch_host: Any) -> None:
    """Termination is refused while it is protected, and allowed again after undo."""
    host = launch_host(InstanceInitiatedShutdownBehavior="terminate")
    params = OneInstance(instance_id=host.instance_id)
    driven = driver.run(ACTION, params, moto_api)
    ec2 = moto_api.client("ec2")

    assert driven.done.outcome is Outcome.APPLIED
    with pytest.raises(Exception, match="OperationNotPermitted"):
        ec2.terminate_instances(InstanceIds=[host.instance_id])
    assert driver.run(ACTION, params, moto_api).done.outcome is Outcome.ALREADY_DONE
    assert driver.undo(ACTION, params, driven, moto_api).verified
    assert ec2.terminate_instances(InstanceIds=[host.instance_id])


def test_a_plan_foresees_that_stop_protection_stands_in_the_way() -> None:
    """A later stop in the same plan claims the call that lifts it; where it cannot be set, it does not."""
    facts = ACTION.foresee(PARAMS, state_of(), "protect").facts
    without = ACTION.foresee(PARAMS, state_of(ebs_root=False), "protect").facts

    assert facts == {INSTANCE: {"stop_protected": True}}
    assert without == {}
