"""Termination: refused unless every volume is kept; protection is lifted only when asked, and set again."""

from __future__ import annotations

from typing import Any

import pytest

from irrunner.actions.contract import Act, Refused, Settled, Waiting
from irrunner.actions.ec2.kept import AttachedVolume, Cover
from irrunner.actions.ec2.terminate import TerminateInstance, TerminateParams, TerminateState
from irrunner.actions.ids import PLANNING

INSTANCE = "i-0123456789abcdef0"
ROOT, DATA = "vol-0123456789abcdef0", "vol-0123456789abcdef1"
SNAP_ROOT, SNAP_DATA = "snap-0123456789abcdef0", "snap-0123456789abcdef1"
RUN = "019b7c2e-0000-7000-8000-000000000001"
TAKEN = "2026-01-02T03:00:00.000Z"
ACTION = TerminateInstance()
FREE = {"disableApiTermination": False, "disableApiStop": False}


def cover(snapshot_id: str, volume_id: str, **more: Any) -> Cover:
    """Return a completed snapshot of this run."""
    values = {"state": "completed", "trouble": "", "started_at": TAKEN, "run_id": RUN, **more}
    return Cover(snapshot_id=snapshot_id, volume_id=volume_id, **values)


def state_of(*covers: Cover, instance_state: str = "running", **more: Any) -> TerminateState:
    """Return an instance with two volumes and these snapshots."""
    values: dict[str, Any] = {
        "spot": False,
        "auto_scaling_group": "",
        "guards": FREE,
        "volumes": (
            AttachedVolume(volume_id=ROOT, device="/dev/sda1", delete_on_termination=True),
            AttachedVolume(volume_id=DATA, device="/dev/sdf", delete_on_termination=False),
        ),
        **more,
    }
    return TerminateState(
        instance_id=INSTANCE, instance_state=instance_state, run_id=RUN, snapshots=covers, **values
    )


def wanting(**more: Any) -> TerminateParams:
    """Return parameters that name a snapshot of each volume."""
    return TerminateParams.model_validate(
        {"instance_id": INSTANCE, "snapshot_ids": [SNAP_ROOT, SNAP_DATA], **more}
    )


BOTH = (cover(SNAP_ROOT, ROOT), cover(SNAP_DATA, DATA))


def refusal(state: TerminateState, **more: Any) -> str:
    """Return the reason of the refusal."""
    decision = ACTION.decide(wanting(**more), state)
    assert isinstance(decision, Refused)
    assert not decision.nothing_to_do
    return decision.reason


def test_terminates_what_is_kept_and_says_what_goes_with_it() -> None:
    """The plan names the volume that is deleted."""
    decision = ACTION.decide(wanting(), state_of(*BOTH))

    assert isinstance(decision, Act)
    (call,) = decision.calls
    assert (call.operation, call.reversible, call.fallbacks) == ("ec2:TerminateInstances", False, ())
    assert ROOT in call.summary
    assert DATA not in call.summary


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (None, "none of the snapshots is of it"),
        (cover("snap-0123456789abcdef9", DATA), "none of the snapshots is of it"),
        (cover(SNAP_DATA, DATA, state="pending"), "aws.ebs.await-snapshots"),
        (cover(SNAP_DATA, DATA, state="error", trouble="Given key ID is not accessible"), "not accessible"),
        (cover(SNAP_DATA, DATA, state="recoverable"), "recoverable"),
        (cover(SNAP_DATA, DATA, run_id=""), "not of this run"),
        (cover(SNAP_DATA, DATA, run_id="another"), "not of this run"),
    ],
)
def test_a_volume_that_is_not_kept_forbids_it(second: Cover | None, words: str) -> None:
    """Named or not, a snapshot counts only as it is read: of the volume, completed, of this incident."""
    covers = (BOTH[0], second) if second else BOTH[:1]
    reason = refusal(state_of(*covers))

    assert f"{DATA} (/dev/sdf)" in reason
    assert words in reason
    assert ROOT not in reason


@pytest.mark.parametrize(
    ("instant", "enough"),
    [("2026-01-02T02:59:59Z", True), ("2026-01-02T03:30:00+01:00", True), ("2026-01-02T03:00:01Z", False)],
)
def test_snapshots_of_others_count_from_an_instant_on(instant: str, enough: bool) -> None:  # noqa: FBT001 - a column of the table
    """Yesterday's backup does not hold what the attacker did today; offsets are understood."""
    covers = [item.model_copy(update={"run_id": ""}) for item in BOTH]
    decision = ACTION.decide(wanting(taken_after=instant), state_of(*covers))

    assert isinstance(decision, Act if enough else Refused)


def test_protection_forbids_it_unless_it_is_to_be_lifted() -> None:
    """Stop protection keeps from terminating too; both are lifted, and set again if AWS refuses the end."""
    protected = state_of(*BOTH, guards=dict.fromkeys(FREE, True))
    reason = refusal(protected)
    decision = ACTION.decide(wanting(lift_protection=True), protected)

    assert "termination protection and stop protection" in reason
    assert "lift_protection: true" in reason
    assert isinstance(decision, Act)
    *lifts, end = decision.calls
    assert [call.params for call in lifts] == [
        {"InstanceId": INSTANCE, "DisableApiTermination": {"Value": False}},
        {"InstanceId": INSTANCE, "DisableApiStop": {"Value": False}},
    ]
    ((first, second),) = end.fallbacks
    assert (first.params["DisableApiTermination"], second.params["DisableApiStop"]) == (
        {"Value": True},
        {"Value": True},
    )


def test_a_plan_counts_the_snapshots_that_it_takes() -> None:
    """Tokens stand for snapshots of known volumes; the rest is still refused."""
    planned = state_of(planned_volume_ids=(ROOT, DATA))
    half = state_of(planned_volume_ids=(ROOT,))
    unknown = state_of(planned=True)

    assert isinstance(ACTION.decide(wanting(), planned), Act)
    assert DATA in refusal(half)
    assert isinstance(ACTION.decide(wanting(), unknown), Act)


def test_waits_for_the_end_and_says_what_is_gone() -> None:
    """Accepted is not terminated; a group and a persistent request bring another one."""
    params = wanting()
    ended = state_of(volumes=(), instance_state="terminated", auto_scaling_group="web", spot=True)
    decision = ACTION.decide(params, ended)

    assert isinstance(ACTION.decide(params, state_of(*BOTH, instance_state="shutting-down")), Waiting)
    assert isinstance(decision, Settled)
    assert "web launches another" in decision.warnings[1]
    assert "cancel the request" in decision.warnings[2]


def test_an_instant_of_a_plan_is_a_token() -> None:
    """When the incident began may be an output of an earlier step: the run checks, the plan cannot."""
    values = {
        "instance_id": INSTANCE,
        "snapshot_ids": [SNAP_ROOT, SNAP_DATA],
        "taken_after": "<from facts.began_at>",
    }
    params = TerminateParams.model_validate(values, context=PLANNING)
    covers = [item.model_copy(update={"run_id": ""}) for item in BOTH]

    assert isinstance(ACTION.decide(params, state_of(*covers)), Act)


@pytest.mark.parametrize(
    "value",
    ["yesterday", "2026-01-02", "2026-01-02T03:00:00", "1767322800", "2026-02-31T03:00:00Z", "<from a.b>"],
)
def test_an_instant_that_is_none_is_refused(value: str) -> None:
    """A time without a zone would be an hour off for somebody; outside a plan there are no tokens."""
    with pytest.raises(ValueError, match="taken_after"):
        wanting(taken_after=value)
