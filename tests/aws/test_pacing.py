"""Pacing on a clock that only moves when told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrunner.aws.pacing import PATIENCE_S, RECOVERY_S, RESENDS, Bucket, PacedApi, Pacer, Rate
from irrunner.errors import ActionThrottled
from irrunner.testing import FakeApi, ManualClock

PLACE = ("333333333333", "us-east-1", "ec2:StopInstances")


def paced(answer: Callable[..., Mapping[str, Any]], clock: ManualClock) -> tuple[PacedApi, FakeApi]:
    """Return a paced API over one that answers every StopInstances."""
    fake = FakeApi({"ec2:StopInstances": answer, "ec2:DescribeVolumes": answer})
    return PacedApi(fake, Pacer(clock, 8), *PLACE[:2]), fake


def test_burst_is_free_and_then_the_rate_holds() -> None:
    """Fifty changes go at once, the next waits for the refill: 5 a second."""
    bucket = Bucket(Rate(50, 5), 0.0)
    assert [bucket.take(0.0) for _ in range(50)] == [0.0] * 50
    assert bucket.take(0.0) == pytest.approx(0.2)
    assert bucket.take(0.0) == pytest.approx(0.4)
    assert bucket.delay_s(10.0) == 0.0


def test_throttle_halves_once_for_all_calls_on_their_way() -> None:
    """Ten calls refused together are one lesson; a later refusal is another."""
    bucket = Bucket(Rate(50, 8), 0.0)
    for _ in range(10):
        bucket.throttle(sent_s=0.5, now_s=1.0)
    assert bucket.per_s == pytest.approx(4)
    bucket.throttle(sent_s=1.1, now_s=1.1)
    assert bucket.per_s == pytest.approx(2, rel=0.05)
    assert bucket.delay_s(1.1) > 0


def test_rate_recovers_within_a_minute() -> None:
    """A lesson is forgotten when AWS stops teaching it."""
    bucket = Bucket(Rate(50, 8), 0.0)
    bucket.throttle(sent_s=0.0, now_s=1.0)
    bucket.delay_s(1.0 + RECOVERY_S)
    assert bucket.per_s == 8


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 2), min_size=1, max_size=150))
def test_never_more_than_burst_and_refill(gaps: list[float]) -> None:
    """Whenever callers come, what is permitted up to any instant is at most burst + rate x time."""
    bucket, now, permitted = Bucket(Rate(10, 5), 0.0), 0.0, []
    for gap in gaps:
        now += gap
        permitted.append(now + bucket.take(now))
    permitted.sort()
    assert all(count <= 10 + 5 * at + 1e-6 for count, at in enumerate(permitted, start=1))


def test_schedule_is_the_bound_of_the_rate() -> None:
    """A storm of 250 changes with 50 free and 5 a second takes 40 seconds, not more."""
    clock = ManualClock()
    api, fake = paced(lambda **_: {}, clock)
    for _ in range(250):
        api.call("ec2:StopInstances")
    assert len(fake.calls) == 250
    assert clock.monotonic_s() == pytest.approx(40, rel=0.01)


def test_accounts_regions_and_operations_have_their_own_buckets() -> None:
    """A storm in one account does not hold back another."""
    pacer = Pacer(ManualClock(), 8)
    for _ in range(60):
        pacer.reserve(*PLACE, patience_s=100)
    assert pacer.delay_s(*PLACE) > 1
    assert pacer.delay_s("444444444444", *PLACE[1:]) == 0
    assert pacer.delay_s(PLACE[0], "eu-west-1", PLACE[2]) == 0
    assert pacer.delay_s(*PLACE[:2], "ec2:CreateTags") == 0


def test_long_wait_is_refused_before_sending() -> None:
    """No thread sleeps for long: the caller hears when to come back, and no permit is lost."""
    pacer = Pacer(ManualClock(), 8)
    for _ in range(100):
        pacer.reserve(*PLACE, patience_s=100)
    before = pacer.delay_s(*PLACE)
    with pytest.raises(ActionThrottled) as caught:
        pacer.reserve(*PLACE, patience_s=PATIENCE_S)
    assert caught.value.detail["retry_after_s"] == pytest.approx(before)
    assert pacer.delay_s(*PLACE) == before


def test_throttled_change_is_sent_again_more_slowly() -> None:
    """A throttled call had no effect: it is repeated, at half the rate."""
    refusals = [ActionThrottled("slow down"), ActionThrottled("slow down")]

    def answer(**_: Any) -> Mapping[str, Any]:
        if refusals:
            raise refusals.pop()
        return {"ok": True}

    clock = ManualClock()
    api, fake = paced(answer, clock)
    assert api.call("ec2:StopInstances") == {"ok": True}
    assert len(fake.calls) == 3
    assert clock.monotonic_s() > 0


def test_endless_throttling_ends() -> None:
    """After a few resends the throttle is reported; the step's retry goes on from there."""

    def answer(**_: Any) -> Mapping[str, Any]:
        raise ActionThrottled("slow down")

    api, fake = paced(answer, ManualClock())
    with pytest.raises(ActionThrottled):
        api.call("ec2:StopInstances")
    assert len(fake.calls) == RESENDS


def test_read_that_botocore_had_to_repeat_slows_us_down() -> None:
    """Retries inside botocore are a lesson too."""
    clock = ManualClock()
    api, _ = paced(lambda **_: {"ResponseMetadata": {"RetryAttempts": 1}}, clock)
    api.call("ec2:DescribeVolumes")
    assert api._pacer.delay_s(*PLACE[:2], "ec2:DescribeVolumes") > 0


def test_another_region_is_paced_by_its_own_bucket() -> None:
    """in_region keeps the account and changes the bucket."""
    api, fake = paced(lambda **_: {}, ManualClock())
    api.in_region("eu-west-1").pages("ec2:DescribeVolumes", "Volumes")
    assert ("333333333333", "eu-west-1", "ec2:DescribeVolumes") in api._pacer._buckets
    assert fake.calls
