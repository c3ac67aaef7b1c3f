"""Taking an instance out of its Auto Scaling group's service: what is decided in each lifecycle state."""

from __future__ import annotations

from typing import Any

import pytest

from irrunner.actions.autoscaling.detach import DetachInstance, DetachState
from irrunner.actions.autoscaling.membership import Group, Replacement
from irrunner.actions.autoscaling.processes import SuspendParams, SuspendProcesses, SuspendState
from irrunner.actions.autoscaling.standby import EnterStandby, StandbyOutputs, StandbyParams, StandbyState
from irrunner.actions.contract import Act, Broken, Call, Refused, Settled, Waiting

INSTANCE = "i-0123456789abcdef0"
STANDBY, DETACH, SUSPEND = EnterStandby(), DetachInstance(), SuspendProcesses()
LOWER = "ShouldDecrementDesiredCapacity"


def group(desired: int = 2, smallest: int = 1, **more: Any) -> Group:
    """Return a group."""
    values: dict[str, Any] = {"load_balanced": False, "suspended": (), **more}
    return Group(name="web", min_size=smallest, max_size=4, desired_capacity=desired, **values)


def standby(lifecycle: str, found: Group | None = None, instance_state: str = "running") -> StandbyState:
    """Return what Standby sees."""
    return StandbyState(
        instance_id=INSTANCE, instance_state=instance_state, lifecycle=lifecycle, group=found or group()
    )


def detaching(lifecycle: str, found: Group | None = None) -> DetachState:
    """Return what detaching sees."""
    return DetachState(
        instance_id=INSTANCE, instance_state="running", lifecycle=lifecycle, group=found or group()
    )


def wanting(replacement: Replacement = "if-needed", **more: Any) -> StandbyParams:
    """Return parameters."""
    return StandbyParams(instance_id=INSTANCE, replacement=replacement, **more)


def only_call(decision: object) -> Call:
    """Return the one call of a decision."""
    assert isinstance(decision, Act)
    (call,) = decision.calls
    return call


@pytest.mark.parametrize(
    ("lifecycle", "standby_kind", "detach_kind"),
    [
        ("InService", Act, Act),
        ("Standby", Settled, Act),
        ("EnteringStandby", Waiting, Waiting),
        ("Pending", Waiting, Waiting),
        ("Pending:Wait", Waiting, Waiting),
        ("ReplacingRootVolume", Waiting, Waiting),
        ("Terminating", Refused, Refused),
        ("Terminating:Wait", Refused, Refused),
        ("Terminating:Proceed", Refused, Refused),
        ("Warmed:Stopped", Refused, Refused),
        ("Detaching", Refused, Waiting),
        ("Newfangled", Broken, Broken),
    ],
)
def test_decides_by_lifecycle_state(lifecycle: str, standby_kind: type, detach_kind: type) -> None:
    """Only what AWS accepts is sent; what passes by itself is awaited; the rest says what to do instead."""
    assert type(STANDBY.decide(wanting(), standby(lifecycle))) is standby_kind
    assert type(DETACH.decide(wanting(), detaching(lifecycle))) is detach_kind


@pytest.mark.parametrize(
    ("replacement", "desired", "lowered"),
    [("if-needed", 2, True), ("if-needed", 1, False), ("always", 2, False), ("always", 1, False),
     ("never", 2, True)],
)  # fmt: skip
def test_the_capacity_goes_down_where_it_may(replacement: Replacement, desired: int, lowered: bool) -> None:  # noqa: FBT001 - a column of the table
    """AWS refuses to go below MinSize; there, and where it is wanted, the group launches another instance."""
    state = standby("InService", group(desired=desired))

    call = only_call(STANDBY.decide(wanting(replacement), state))

    assert call.params[LOWER] is lowered
    assert call.tolerate == (("ValidationError",) if lowered else ())


def test_a_weighted_member_takes_its_weight_along() -> None:
    """In a mixed group one instance may be much of the capacity: less than MinSize is refused by AWS."""
    heavy = standby("InService", group(desired=4, smallest=1)).model_copy(update={"weight": 4})
    call = only_call(STANDBY.decide(wanting(), heavy))
    roomy = heavy.model_copy(update={"group": group(desired=5, smallest=1)})

    assert call.params[LOWER] is False
    assert only_call(STANDBY.decide(wanting(), roomy)).after == {"desired_capacity": 1}


def test_isolation_need_not_wait_for_load_balancers() -> None:
    """Entering is enough to be safe from the group; draining may take minutes that the host uses."""
    decision = STANDBY.decide(wanting(await_draining=False), standby("EnteringStandby"))

    assert isinstance(decision, Settled)
    assert isinstance(decision.outputs, StandbyOutputs)
    assert decision.outputs.lifecycle_state == "EnteringStandby"
    assert standby("EnteringStandby").footprint() == standby("Standby").footprint()


def test_without_replacement_the_smallest_group_is_refused() -> None:
    """The refusal names both ways out, for it stands between the host and its isolation."""
    decision = STANDBY.decide(wanting("never"), standby("InService", group(desired=1)))

    assert isinstance(decision, Refused)
    assert not decision.nothing_to_do
    assert "if-needed" in decision.reason
    assert "aws.autoscaling.suspend-processes" in decision.reason


def test_detaching_from_standby_lowers_nothing() -> None:
    """What is in Standby does not count for the capacity."""
    call = only_call(DETACH.decide(wanting("never"), detaching("Standby", group(desired=1))))

    assert call.params[LOWER] is False


def test_an_instance_of_no_group_needs_nothing() -> None:
    """No group, no trap: the step counts as done, and the playbook goes on."""
    free = StandbyState(instance_id=INSTANCE, instance_state="running")
    decision = STANDBY.decide(wanting(), free)

    assert isinstance(decision, Refused)
    assert decision.nothing_to_do
    assert free.footprint() == {}
    assert isinstance(
        DETACH.decide(wanting(), DetachState(instance_id=INSTANCE, instance_state="running")), Settled
    )


def test_an_instance_that_has_ended_is_refused() -> None:
    """There is nothing left to keep from the group."""
    decision = STANDBY.decide(wanting(), standby("InService", instance_state="terminated"))

    assert isinstance(decision, Refused)
    assert "terminated" in decision.reason


def test_undo_leaves_standby_that_was_there_before() -> None:
    """Who put it there before us may have had a reason."""
    before = standby("Standby")

    assert STANDBY.undo_calls(wanting(), before, before, before, frozenset({INSTANCE})) == ()


@pytest.mark.parametrize("lifecycle", ["Pending", "Pending:Wait", "Pending:Proceed"])
def test_what_comes_back_is_no_drift(lifecycle: str) -> None:
    """After ExitStandby a hook may hold it for a while: it is on its way, nobody has changed it."""
    assert standby(lifecycle).footprint() == standby("InService").footprint()


def test_another_group_is_drift() -> None:
    """Somebody has detached it and attached it elsewhere: that is not ours to undo."""
    elsewhere = standby("Standby", Group(**{**group().model_dump(), "name": "other"}))

    assert elsewhere.footprint() != standby("Standby").footprint()


def test_says_what_standby_cannot_do() -> None:
    """Deleting the group ends what is in Standby; load balancers let connections drain."""
    decision = STANDBY.decide(wanting(), standby("Standby", group(load_balanced=True)))

    assert isinstance(decision, Settled)
    assert "deleted" in decision.warnings[0]
    assert "deregistration delay" in decision.warnings[1]


def test_only_processes_that_run_are_suspended_and_resumed() -> None:
    """What somebody had suspended before stays suspended after undo."""
    params = SuspendParams(group_name="web", processes=["AZRebalance", "ReplaceUnhealthy"])
    before = SuspendState(group_name="web", suspended={"AZRebalance": True, "ReplaceUnhealthy": False})
    after = SuspendState(group_name="web", suspended={"AZRebalance": True, "ReplaceUnhealthy": True})

    call = only_call(SUSPEND.decide(params, before))
    keys = frozenset({"web/ReplaceUnhealthy", "web/AZRebalance"})
    (back,) = SUSPEND.undo_calls(params, before, after, after, keys)

    assert call.params["ScalingProcesses"] == ["ReplaceUnhealthy"]
    assert back.params["ScalingProcesses"] == ["ReplaceUnhealthy"]
    assert isinstance(SUSPEND.decide(params, after), Settled)


@pytest.mark.parametrize("name", ["", "a:b", "x" * 256, "line\nbreak"])
def test_names_that_no_group_has_are_refused(name: str) -> None:
    """Names come from findings and tags."""
    with pytest.raises(ValueError, match="Auto Scaling group name"):
        SuspendParams(group_name=name)
