"""Calls of one step that stand by themselves: none fails for another, and none is sent twice for another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from irrunner.actions.apart import MAX_SENDS, Apart
from irrunner.actions.contract import Call
from irrunner.actions.sending import Ports, Sender
from irrunner.errors import (
    ActionDenied,
    ActionError,
    ActionThrottled,
    CredentialsInvalid,
    OutcomeUnknown,
    QuotaExceeded,
)
from irrunner.testing import FakeApi, ManualClock

WINDOW_S = 30.0


def call(name: str, **more: Any) -> Call:
    """One of many calls."""
    return Call("ec2:LockSnapshot", {"SnapshotId": name}, name, f"Lock {name}", apart=True, **more)


def sender_of(clock: ManualClock, failures: Mapping[str, ActionError]) -> Sender:
    """A sender whose calls on some targets fail."""

    def lock(**params: Any) -> Mapping[str, Any]:
        if params["SnapshotId"] in failures:
            raise failures[params["SnapshotId"]]
        return {}

    api = FakeApi({"ec2:LockSnapshot": lock})
    return Sender(Ports(api, api, api), clock)


def due(apart: Apart, clock: ManualClock, *calls: Call) -> list[str]:
    """Return the targets that may be sent now."""
    return [item.target for item in apart.due(calls, clock.now(), WINDOW_S)]


def test_a_refusal_concerns_its_target_alone() -> None:
    """Hundreds of volumes must not fail for one of them; the next look is told which."""
    clock, apart = ManualClock(), Apart()
    sender = sender_of(clock, {"b": ActionDenied("no")})

    assert apart.send([call("a"), call("b"), call("c")], sender) is None

    assert [entry.target for entry in sender.sent if not entry.error] == ["a", "c"]
    assert apart.told() == {("target", "ec2:LockSnapshot", "b"): "no"}


def test_what_was_sent_is_not_sent_again_while_it_may_be_invisible() -> None:
    """AWS shows one effect before the other: the one that is missing is waited for, not repeated."""
    clock, apart = ManualClock(), Apart()
    apart.send([call("a")], sender_of(clock, {}))

    assert due(apart, clock, call("a"), call("b")) == ["b"]
    clock.advance(WINDOW_S)
    assert due(apart, clock, call("a"), call("b")) == ["a", "b"]


def test_a_lost_answer_is_held_like_an_effect() -> None:
    """Only a look can tell; till then the call is not sent again, and the others are sent."""
    clock, apart = ManualClock(), Apart()
    sender = sender_of(clock, {"a": OutcomeUnknown("lost")})

    assert apart.send([call("a"), call("b")], sender) is None

    assert apart.sent
    assert due(apart, clock, call("a"), call("b"), call("c")) == ["c"]


def test_a_throttle_ends_the_round_and_refuses_nothing() -> None:
    """Slow down is no answer about the target: it stays due, and nothing counts against it."""
    clock, apart = ManualClock(), Apart()
    sender = sender_of(clock, {"b": ActionThrottled("slow down")})

    assert isinstance(apart.send([call("a"), call("b"), call("c")], sender), ActionThrottled)

    assert not apart.refused
    assert due(apart, clock, call("b"), call("c")) == ["b", "c"]


def test_not_now_is_no_effect_to_wait_for() -> None:
    """A quota of concurrent copies: the call is due again at once."""
    clock, apart = ManualClock(), Apart()
    busy = QuotaExceeded("too many", aws_code="ResourceLimitExceeded")
    calls = [call("a", tolerate=("ResourceLimitExceeded",))]

    assert apart.send(calls, sender_of(clock, {"a": busy})) is None

    assert not apart.sent
    assert due(apart, clock, *calls) == ["a"]


def test_what_never_becomes_visible_is_given_up() -> None:
    """No call is repeated for ever: after some sends its target is named."""
    clock, apart = ManualClock(), Apart()
    for _ in range(MAX_SENDS):
        assert due(apart, clock, call("a")) == ["a"]
        apart.send([call("a")], sender_of(clock, {}))
        clock.advance(WINDOW_S)

    assert due(apart, clock, call("a")) == []
    assert "still not as intended" in apart.told()["target", "ec2:LockSnapshot", "a"]


def test_our_own_session_that_ended_is_nobody_elses_fault() -> None:
    """Expired credentials must not make two hundred volumes un-acquirable."""
    clock, apart = ManualClock(), Apart()
    with pytest.raises(CredentialsInvalid):
        apart.send([call("a"), call("b")], sender_of(clock, {"a": CredentialsInvalid("expired")}))
    assert not apart.refused
