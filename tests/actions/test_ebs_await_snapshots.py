"""Waiting for snapshots: progress, errors that never end by themselves, plans."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.contract import Broken, Settled, Waiting, Where
from irrunner.actions.ebs.await_snapshots import AwaitSnapshots, AwaitSnapshotsParams
from irrunner.actions.ids import PLANNING
from irrunner.errors import ActionError
from irrunner.testing import EPOCH, FakeApi
from irrunner.vocabulary import Outcome

ACTION = AwaitSnapshots()
ONE, TWO = "snap-00000000000000001", "snap-00000000000000002"
PARAMS = AwaitSnapshotsParams(snapshot_ids=[ONE, TWO])


def described(snapshot_id: str, state: str, **more: Any) -> dict[str, Any]:
    """Return one element of DescribeSnapshots."""
    return {"SnapshotId": snapshot_id, "VolumeId": "vol-1", "State": state, "VolumeSize": 8} | more


def decide(driver: Any, *snapshots: dict[str, Any]) -> Any:
    """Look at these snapshots and decide."""
    api = FakeApi({"ec2:DescribeSnapshots": lambda **_: {"Snapshots": list(snapshots)}})
    return ACTION.decide(PARAMS, ACTION.look(driver.context(api), PARAMS))


def test_waits_with_progress(driver: Any) -> None:
    """The reason tells a person how far AWS is."""
    decision = decide(driver, described(ONE, "completed"), described(TWO, "pending", Progress="43%"))

    assert isinstance(decision, Waiting)
    assert decision.reason == f"1 of 2 snapshots completed; {TWO} 43%"


def test_error_ends_the_wait(driver: Any) -> None:
    """A snapshot in error ends the wait at once with AWS's reason."""
    message = "Given key ID is not accessible"

    decision = decide(driver, described(ONE, "pending"), described(TWO, "error", StateMessage=message))

    assert decision == Broken(f"{TWO} of vol-1: {message}", code="snapshot-error")


def test_a_deleted_snapshot_ends_the_wait(driver: Any) -> None:
    """What is gone never completes."""
    decision = decide(driver, described(ONE, "completed"))

    assert isinstance(decision, Broken)
    assert (decision.code, TWO in decision.reason) == ("target-not-found", True)


def test_settles_with_the_last_completion(driver: Any) -> None:
    """The set is completed when its last snapshot is."""
    at = EPOCH + timedelta(hours=1)

    decision = decide(
        driver,
        described(ONE, "completed", CompletionTime=EPOCH),
        described(TWO, "completed", CompletionTime=at),
    )

    assert isinstance(decision, Settled)
    assert decision.outputs.model_dump() == {
        "snapshot_ids": [ONE, TWO], "completed_at": "2026-01-01T01:00:00.000Z",
    }  # fmt: skip


def test_polls_until_completed(driver: Any) -> None:
    """The driver waits on the clock; the outcome is applied without a mutating call."""
    due = driver.clock.now() + timedelta(minutes=20)

    def describe(**_: Any) -> dict[str, Any]:
        state = "completed" if driver.clock.now() >= due else "pending"
        return {"Snapshots": [described(ONE, state), described(TWO, state)]}

    driven = driver.run(ACTION, PARAMS, FakeApi({"ec2:DescribeSnapshots": describe}), within_s=7200)

    assert driven.done.outcome is Outcome.APPLIED
    assert driven.done.outputs["completed_at"] >= "2026-01-01T00:20:00.000Z"
    assert driven.calls == ()


def test_nothing_to_await_is_done(driver: Any) -> None:
    """No snapshots are all completed."""
    params = AwaitSnapshotsParams(snapshot_ids=[])

    assert isinstance(ACTION.decide(params, ACTION.look(driver.context(FakeApi({})), params)), Settled)


def test_asks_in_slices_of_what_a_filter_takes(driver: Any) -> None:
    """EC2 takes 200 values in a filter."""
    ids = [f"snap-{number:017x}" for number in range(450)]
    params = AwaitSnapshotsParams(snapshot_ids=ids)

    def describe(**asked: Any) -> dict[str, Any]:
        return {"Snapshots": [described(one, "completed") for one in asked["Filters"][0]["Values"]]}

    api = FakeApi({"ec2:DescribeSnapshots": describe})

    decision = ACTION.decide(params, ACTION.look(driver.context(api), params))

    assert isinstance(decision, Settled)
    assert [len(call["Filters"][0]["Values"]) for _, call in api.calls] == [200, 200, 50]


def test_a_plan_awaits_tokens(driver: Any) -> None:
    """Snapshots that a plan has not made are passed on to later steps, and never sent to AWS."""
    tokens = ["<from snapshot.snapshot_ids[0]>"]
    params = AwaitSnapshotsParams.model_validate({"snapshot_ids": tokens}, context=PLANNING)
    api = FakeApi({})
    look = ACTION.look(driver.context(api), params)

    assert isinstance(ACTION.decide(params, look), Waiting)
    assert ACTION.foresee(params, look, "await").outputs == {
        "snapshot_ids": tokens, "completed_at": "<from await.completed_at>",
    }  # fmt: skip
    assert api.calls == []


def test_a_token_is_refused_outside_a_plan() -> None:
    """No token can reach AWS."""
    with pytest.raises(ValidationError):
        AwaitSnapshotsParams(snapshot_ids=["<from snapshot.snapshot_ids[0]>"])


def test_reads_only() -> None:
    """It changes nothing, so it names no target."""
    assert ACTION.targets(PARAMS, Where("aws", "1", "r", None, None, None)) == ()
    assert {permission.use for permission in ACTION.permissions} == {"look"}


def test_a_failed_read_is_an_error(driver: Any) -> None:
    """Errors of the look are the engine's to see."""

    def fail(**_: Any) -> dict[str, Any]:
        raise ActionError("no")

    with pytest.raises(ActionError):
        driver.run(ACTION, PARAMS, FakeApi({"ec2:DescribeSnapshots": fail}))
