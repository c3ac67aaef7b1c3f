"""Multi-volume snapshots: one set, found again by its marker."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrunner.actions.contract import Act, Broken, Refused, Settled, Waiting, Where
from irrunner.actions.ebs.snapshot_instance import (
    SnapshotInstance,
    SnapshotInstanceParams,
    SnapshotInstanceState,
    Volume,
)
from irrunner.actions.ebs.snapshots import MARKER_TAG, Snapshot
from irrunner.errors import ActionDenied, OutcomeUnknown, TargetNotFound
from irrunner.testing import FakeApi
from irrunner.vocabulary import Outcome

INSTANCE = "i-0123456789abcdef0"
PARAMS = SnapshotInstanceParams(instance_id=INSTANCE)
ACTION = SnapshotInstance()
KEY = "arn:aws:kms:eu-central-1:123456789012:key/k"


def volume(
    number: int, *, attached_at: str = "2026-01-01T00:00:00.000Z", tags: tuple[str, ...] = ()
) -> Volume:
    """Return an attached volume; number 0 is the root."""
    return Volume(
        volume_id=f"vol-{number}",
        device=f"/dev/sd{'abcdefgh'[number]}",
        attached_at=attached_at,
        size_gib=8 + number,
        encrypted=number > 0,
        kms_key_id=KEY if number > 0 else None,
        tag_keys=tags,
    )


def snapshot(number: int, state: str = "pending", message: str = "") -> Snapshot:
    """Return the snapshot of a volume."""
    return Snapshot(
        snapshot_id=f"snap-{number}",
        volume_id=f"vol-{number}",
        owner_id="123456789012",
        state=state,
        state_message=message,
        started_at="2026-01-02T00:00:00.000Z",
        encrypted=number > 0,
        kms_key_id=KEY if number > 0 else None,
        size_gib=8 + number,
    )


def state(
    *, volumes: tuple[Volume, ...] = (), snapshots: tuple[Snapshot, ...] = (), **other: Any
) -> SnapshotInstanceState:
    """Return a look."""
    facts: dict[str, Any] = {
        "instance_id": INSTANCE,
        "instance_state": "running",
        "instance_store": (),
        "instance_store_known": True,
        "marker": "run-1/snapshot",
        "drill": False,
    }
    return SnapshotInstanceState(volumes=volumes, snapshots=snapshots, **(facts | other))


def only_call(look: SnapshotInstanceState) -> Any:
    """Return the one call that is decided."""
    decision = ACTION.decide(PARAMS, look)
    assert isinstance(decision, Act)
    (call,) = decision.calls
    return call


def test_one_call_for_all_volumes_with_the_marker() -> None:
    """All volumes are asked for at one instant, boot volume included, marked and with their own tags."""
    call = only_call(state(volumes=(volume(0), volume(1)), drill=True))

    assert call.operation == "ec2:CreateSnapshots"
    assert call.params["InstanceSpecification"] == {"InstanceId": INSTANCE, "ExcludeBootVolume": False}
    assert call.params["CopyTagsFromSource"] == "volume"
    tags = {tag["Key"]: tag["Value"] for tag in call.params["TagSpecifications"][0]["Tags"]}
    assert tags == {MARKER_TAG: "run-1/snapshot", "irrunner:instance": INSTANCE, "irrunner:drill": "true"}
    assert not call.reversible


@pytest.mark.parametrize(
    ("tags", "copied"),
    [
        ((), True),
        (tuple(f"t{number}" for number in range(48)), True),
        (tuple(f"t{number}" for number in range(49)), False),
        ((*(f"t{number}" for number in range(48)), "aws:cloudformation:stack-name"), True),
        ((MARKER_TAG,), False),
    ],
)
def test_volume_tags_never_cost_the_evidence(*, tags: tuple[str, ...], copied: bool) -> None:
    """Too many tags, or one with our marker's key, are left behind rather than refused by AWS."""
    call = only_call(state(volumes=(volume(0), volume(1, tags=tags))))

    assert ("CopyTagsFromSource" in call.params) is copied


def test_settles_when_every_volume_is_visible_root_first() -> None:
    """Accepted and visible is enough; completion is another step's."""
    look = state(volumes=(volume(0), volume(1)), snapshots=(snapshot(1), snapshot(0, "completed")))

    decision = ACTION.decide(PARAMS, look)

    assert isinstance(decision, Settled)
    outputs = decision.outputs.model_dump()
    assert outputs["snapshot_ids"] == ["snap-0", "snap-1"]
    assert outputs["snapshots"][1] == {
        "snapshot_id": "snap-1", "volume_id": "vol-1", "encrypted": True, "kms_key_id": KEY, "size_gib": 9,
    }  # fmt: skip
    assert outputs["started_at"] == "2026-01-02T00:00:00.000Z"
    assert decision.warnings == ()


def test_waits_for_a_volume_that_is_not_visible_yet() -> None:
    """A set that is seen in part is never asked for again."""
    decision = ACTION.decide(PARAMS, state(volumes=(volume(0), volume(1)), snapshots=(snapshot(0),)))

    assert isinstance(decision, Waiting)
    assert "vol-1" in decision.reason


def test_a_volume_attached_later_is_named_not_awaited() -> None:
    """A volume attached after the instant of the set cannot be in it."""
    late = volume(1, attached_at="2026-01-03T00:00:00.000Z")

    decision = ACTION.decide(PARAMS, state(volumes=(volume(0), late), snapshots=(snapshot(0),)))

    assert isinstance(decision, Settled)
    assert "vol-1 was attached after" in decision.warnings[0]


def test_an_error_carries_awss_own_reason() -> None:
    """A snapshot in error breaks the step with its StateMessage."""
    failed = snapshot(0, "error", "Client.InternalError")

    decision = ACTION.decide(PARAMS, state(volumes=(volume(0),), snapshots=(failed,)))

    assert decision == Broken("snap-0 of vol-0: Client.InternalError", code="snapshot-error")


@pytest.mark.parametrize(
    ("instance_state", "says"), [("terminated", "is terminated"), ("running", "no EBS volume")]
)
def test_nothing_to_snapshot_is_refused(instance_state: str, says: str) -> None:
    """Without volumes there is no evidence, and the reason says what else can be done."""
    decision = ACTION.decide(PARAMS, state(instance_state=instance_state))

    assert isinstance(decision, Refused)
    assert says in decision.reason
    assert not decision.nothing_to_do


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"instance_store": ("2 x 900 GB",)}, "instance-store disks (2 x 900 GB)"),
        ({"instance_store_known": False}, "cannot tell"),
    ],
)
def test_instance_store_is_named(facts: dict[str, Any], says: str) -> None:
    """What the snapshots do not hold is said."""
    decision = ACTION.decide(PARAMS, state(volumes=(volume(0),), snapshots=(snapshot(0),), **facts))

    assert isinstance(decision, Settled)
    assert says in decision.warnings[0]


def test_a_plan_knows_the_snapshots_before_they_exist() -> None:
    """Each volume gives one token, with the facts that a later copy decides by."""
    planned = ACTION.foresee(PARAMS, state(volumes=(volume(0), volume(1))), "snapshot")

    tokens = ["<from snapshot.snapshot_ids[0]>", "<from snapshot.snapshot_ids[1]>"]
    assert planned.outputs["snapshot_ids"] == tokens
    assert [item["snapshot_id"] for item in planned.outputs["snapshots"]] == tokens
    assert set(planned.outputs) == set(ACTION.Outputs.model_fields)
    assert planned.facts[tokens[1]] == {
        "volume_id": "vol-1", "encrypted": True, "kms_key_id": KEY, "size_gib": 9, "instance_id": INSTANCE,
    }  # fmt: skip


def test_a_plan_of_a_done_step_has_the_real_ids() -> None:
    """Where the set exists, no token is invented; where the step refuses, nothing is."""
    done = state(volumes=(volume(0),), snapshots=(snapshot(0),))

    assert ACTION.foresee(PARAMS, done, "s").outputs["snapshot_ids"] == ["snap-0"]
    assert ACTION.foresee(PARAMS, state(), "s").outputs == {}


def test_a_protected_host_may_be_preserved() -> None:
    """The action changes nothing that exists, so there is nothing to protect from it."""
    assert ACTION.targets(PARAMS, Where("aws", "1", "eu-central-1", None, None, None)) == ()


@given(seen=st.sets(st.integers(0, 5), min_size=1), count=st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_once_anything_is_visible_nothing_is_asked_for_again(seen: set[int], count: int) -> None:
    """Whatever part of the set a look shows, the answer is to wait or to settle."""
    look = state(
        volumes=tuple(volume(number) for number in range(count)),
        snapshots=tuple(snapshot(number) for number in seen),
    )

    decision = ACTION.decide(PARAMS, look)

    assert isinstance(decision, Settled if seen >= set(range(count)) else Waiting)


def host(api: Any, *, volumes: int = 2) -> str:
    """Run an instance with extra volumes on moto and return its id."""
    ec2 = api.client("ec2")
    disks = [
        {"DeviceName": f"/dev/sd{'fghij'[number]}", "Ebs": {"VolumeSize": 5 + number}}
        for number in range(volumes - 1)
    ]
    run = ec2.run_instances(
        ImageId="ami-12345678", MinCount=1, MaxCount=1, InstanceType="m5d.large", BlockDeviceMappings=disks
    )
    return str(run["Instances"][0]["InstanceId"])


@pytest.mark.filterwarnings("ignore:.*AMI:PendingDeprecationWarning")
class TestOnMoto:
    def test_applied_and_found_again(self, moto_api: Any, driver: Any) -> None:
        """The set is taken once; a second attempt of the same step finds it."""
        params = SnapshotInstanceParams(instance_id=host(moto_api))

        first = driver.run(ACTION, params, moto_api)
        second = driver.run(ACTION, params, moto_api)

        assert (first.done.outcome, second.done.outcome) == (Outcome.APPLIED, Outcome.ALREADY_DONE)
        assert first.done.outputs == second.done.outputs
        assert moto_api.operations() == ["ec2:CreateSnapshots"]
        assert "75 GB" in first.done.warnings[0]

    def test_a_lost_answer_makes_no_second_set(self, moto_api: Any, driver: Any) -> None:
        """The effect happened and its answer was lost: the marker tells."""
        params = SnapshotInstanceParams(instance_id=host(moto_api))
        send = moto_api.call

        def lossy(operation: str, /, **given: Any) -> Any:
            answer = send(operation, **given)
            if operation == "ec2:CreateSnapshots":
                raise OutcomeUnknown("the connection broke")
            return answer

        moto_api.call = lossy

        done = driver.run(ACTION, params, moto_api).done

        assert done.outcome is Outcome.APPLIED
        assert moto_api.operations() == ["ec2:CreateSnapshots"]

    def test_another_step_takes_its_own_set(self, moto_api: Any, driver: Any) -> None:
        """Snapshots of another run or step are not taken for ours."""
        params = SnapshotInstanceParams(instance_id=host(moto_api))
        driver.run(ACTION, params, moto_api)
        driver.marker = "run-2/step"

        assert driver.run(ACTION, params, moto_api).done.outcome is Outcome.APPLIED

    def test_the_warning_never_costs_the_evidence(self, moto_api: Any, driver: Any) -> None:
        """Without permission to describe instance types the snapshots are taken all the same."""
        params = SnapshotInstanceParams(instance_id=host(moto_api))

        def deny(operation: str, _: Any) -> None:
            if operation == "ec2:DescribeInstanceTypes":
                raise ActionDenied("no")

        moto_api.before = deny

        done = driver.run(ACTION, params, moto_api).done

        assert done.outcome is Outcome.APPLIED
        assert "cannot tell" in done.warnings[0]

    def test_no_such_instance(self, moto_api: Any, driver: Any) -> None:
        """An unknown instance is an error of its own class."""
        with pytest.raises(TargetNotFound):
            driver.run(ACTION, PARAMS, moto_api)


def test_snapshots_outlive_the_description_of_their_instance(driver: Any) -> None:
    """Resumed after the instance was forgotten by EC2, the set still counts."""

    def gone(**_: Any) -> Any:
        raise TargetNotFound("i-0")

    tags = [{"Key": MARKER_TAG, "Value": driver.marker}]
    taken = {
        "SnapshotId": "snap-1",
        "VolumeId": "vol-1",
        "State": "completed",
        "Tags": tags,
        "StartTime": driver.clock.now(),
    }
    api = FakeApi(
        {"ec2:DescribeInstances": gone, "ec2:DescribeSnapshots": lambda **_: {"Snapshots": [taken]}}
    )

    decision = ACTION.decide(PARAMS, ACTION.look(driver.context(api), PARAMS))

    assert isinstance(decision, Settled)
