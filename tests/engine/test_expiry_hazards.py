"""What may come between an effect's time and its being taken off: refusals, races, crashes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from irrunner.engine.undoing import Undoing
from irrunner.errors import ActionDenied, Defect, RunBusy, ServiceUnavailable
from irrunner.journal.store import Lease, Timer
from tests.engine.hazards import BLOCK, DAY_S, created, expiries
from tests.engine.lab import Lab, SetValue, ValueState, outcomes


class TestTrouble:
    def test_what_may_pass_is_tried_again(self, lab: Lab, blocked: str) -> None:
        """AWS is down at that minute: the effect does not stay for ever; the undo is parked, five minutes."""
        down = [True]

        def unavailable(operation: str, params: Mapping[str, Any]) -> None:
            if down and operation == "lab:PutValue":
                raise ServiceUnavailable("503")

        lab.ground.before = unavailable
        lab.clock.advance(DAY_S)
        (parked,) = lab.runner.resume_due()
        assert parked["status"] == "waiting"
        assert expiries(lab, blocked) == [("block", "running")]
        down.clear()
        assert lab.runner.resume_due() == []
        lab.clock.advance(300)
        (document,) = lab.runner.resume_due()

        assert document["run_id"] == parked["run_id"]
        assert (document["status"], outcomes(document)) == ("succeeded", {"block": "applied"})
        assert expiries(lab, blocked) == [("block", "taken_off")]

    def test_not_for_ever(self, lab: Lab, blocked: str) -> None:
        """After a day of trying it fails, and a person is asked."""

        def unavailable(operation: str, params: Mapping[str, Any]) -> None:
            if operation == "lab:PutValue":
                raise ServiceUnavailable("503")

        lab.ground.before = unavailable
        lab.clock.advance(DAY_S)
        lab.runner.resume_due()
        lab.clock.advance(DAY_S)
        (document,) = lab.runner.resume_due()

        assert (document["status"], document["exit_code"]) == ("partial", 1)
        assert expiries(lab, blocked) == [("block", "left_on")]

    def test_a_refusal_for_good_is_a_failure_at_once(self, lab: Lab, blocked: str) -> None:
        """What does not pass by itself is told at once."""

        def denied(operation: str, params: Mapping[str, Any]) -> None:
            if operation == "lab:PutValue":
                raise ActionDenied("no")

        lab.ground.before = denied
        lab.clock.advance(DAY_S)
        (document,) = lab.runner.resume_due()

        assert document["status"] == "partial"
        assert "no" in lab.runner.document(blocked)["expiries"][0]["reason"]

    def test_it_is_taken_up_by_one_of_two(
        self, lab: Lab, blocked: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two processes look at the same due item: one makes the undo, the other passes over it."""
        lab.clock.advance(DAY_S)
        other = lab.new_runner()
        listed = lab.store.expiries

        def after_the_other() -> list[Timer]:
            found = listed()
            monkeypatch.setattr(lab.store, "expiries", listed)
            assert len(other.resume_due()) == 1
            return found

        monkeypatch.setattr(lab.store, "expiries", after_the_other)

        assert lab.runner.resume_due() == []
        assert lab.writes() == [("a", "1"), ("a", "old")]
        assert [row.undoes for row in lab.store.runs()].count(blocked) == 1

    def test_a_cancelled_expiry_makes_no_run(self, lab: Lab, blocked: str) -> None:
        """The store itself refuses: the due item and the undo are one commit."""
        (timer,) = lab.store.timers(blocked)
        lab.runner.undo(blocked, None, release_credentials=False)
        with pytest.raises(RunBusy, match="cancelled"):
            Undoing(lab.runner).expire(timer)

    def test_one_that_breaks_holds_no_other_up(
        self, lab: Lab, blocked: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A state that another version of the action wrote: the next effect comes off all the same."""
        lab.clock.advance(1)
        lab.start(lab.playbook(BLOCK.replace("name: a", "name: b")))
        real = SetValue.StateModel.footprint

        def broken(state: ValueState) -> dict[str, Any]:
            if state.name == "a":
                raise KeyError("a field of another version")
            return real(state)

        monkeypatch.setattr(ValueState, "footprint", broken)
        lab.clock.advance(DAY_S)
        with pytest.raises(Defect, match="another version"):
            lab.runner.resume_due()

        assert [timer.run_id for timer in lab.store.expiries()] == [blocked]

    def test_a_run_that_finds_it_meanwhile_keeps_it_on(
        self, lab: Lab, blocked: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The undo waits for the lock of a run that blocks the same just then, and relies on what it saw."""
        lock = lab.store.lock
        later: list[str] = []

        def after_the_other(lease: Lease, arns: Sequence[str]) -> str | None:
            if not later:
                later.append("")
                later[0] = lab.start(lab.playbook(BLOCK))["run_id"]
            return lock(lease, arns)

        monkeypatch.setattr(lab.store, "lock", after_the_other)
        lab.clock.advance(DAY_S)
        (parked,) = lab.runner.resume_due()

        assert (parked["status"], lab.ground.values) == ("waiting", {"a": "1"})
        told = [each.body["reason"] for each in lab.store.records(parked["run_id"]) if "reason" in each.body]
        assert told[0].startswith("a later run wants it until")
        lab.clock.advance(DAY_S)
        (document,) = lab.runner.resume_due()
        assert (document["status"], lab.ground.values) == ("succeeded", {"a": "old"})
        assert expiries(lab, later[0]) == [("block", "taken_off")]
        assert lab.store.expiries() == []

    def test_tickets_come_last(self, lab: Lab, blocked: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A tracker that is slow holds up nothing that is to come off."""
        seen: list[dict[str, str]] = []

        def deliver() -> int:
            seen.append(dict(lab.ground.values))
            return 0

        services = replace(lab.runner.services, deliver=deliver)
        monkeypatch.setattr(lab.runner, "services", services)
        lab.clock.advance(DAY_S)
        lab.runner.resume_due()

        assert seen == [{"a": "old"}]
        assert expiries(lab, blocked) == [("block", "taken_off")]


class Dies(BaseException):
    """The process dies here."""


WRITES = ("create_run", "append", "lock", "renew")


class TestCrash:
    @pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize("at", range(6))
    def test_killed_at_any_write_it_is_taken_up_once(
        self,
        lab: Lab,
        blocked: str,
        monkeypatch: pytest.MonkeyPatch,
        at: int,
        late: bool,  # noqa: FBT001 - a parameter
    ) -> None:
        """Between due and done the process dies, before or after each commit: the effect comes off once."""
        lab.clock.advance(DAY_S)
        with monkeypatch.context() as patch:
            count = _die(lab, patch, at, late=late)
            with contextlib.suppress(Dies):
                lab.runner.resume_due()
            died = count[0] > at
        lab.clock.advance(60)
        lab.new_runner().resume_due()

        assert died
        assert lab.writes() == [("a", "1"), ("a", "old")]
        assert expiries(lab, blocked) == [("block", "taken_off")]
        assert [row.undoes for row in lab.store.runs()].count(blocked) == 1
        assert lab.store.runs(open_only=True) == []
        assert lab.store.verify_all().ok

    def test_an_undo_that_is_aborted_has_taken_nothing_off(
        self, lab: Lab, blocked: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Killed before it looked, then aborted by a person: the page must not say that the block is gone."""
        lab.clock.advance(DAY_S)
        with monkeypatch.context() as patch:
            _die(lab, patch, 1, late=False)
            with pytest.raises(Dies):
                lab.runner.resume_due()
        lab.clock.advance(60)
        (undo,) = lab.store.undos_of(blocked)
        lab.new_runner().abort(undo.run_id, "by hand")

        assert lab.ground.values == {"a": "1"}
        assert expiries(lab, blocked) == [("block", "left_on")]

    @pytest.mark.parametrize("before", [True, False])
    def test_killed_at_the_call(self, lab: Lab, blocked: str, before: bool) -> None:  # noqa: FBT001 - a parameter
        """The call had no effect yet, or its answer was never seen: a look tells which."""

        def dies(operation: str, params: Mapping[str, Any]) -> None:
            if operation == "lab:PutValue":
                raise Dies

        setattr(lab.ground, "before" if before else "after", dies)
        lab.clock.advance(DAY_S)
        with pytest.raises(Dies):
            lab.runner.resume_due()
        lab.ground.before = lab.ground.after = None
        lab.clock.advance(60)
        (document,) = lab.new_runner().resume_due()

        assert document["status"] == "succeeded"
        assert lab.writes() == [("a", "1"), ("a", "old")]

    def test_killed_before_the_outcome_of_the_step(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """The effect is there, its outcome is not: the run that is resumed sets the expiry."""
        lab.ground.values["a"] = "old"
        lease = created(lab, lab.playbook(BLOCK))
        with monkeypatch.context() as patch:
            _die(lab, patch, 1, late=False)
            lab.runner.engine().adopt(lease)
            with pytest.raises(BaseException):  # noqa: B017, PT011 - a thread of the engine died
                lab.runner.drive(lease)
        lab.clock.advance(60)
        document = lab.new_runner().resume(lease.run_id)

        assert document["status"] == "succeeded"
        assert expiries(lab, lease.run_id) == [("block", "pending")]


def _die(lab: Lab, patch: pytest.MonkeyPatch, at: int, *, late: bool) -> list[int]:
    """Let the process die at a write of the store."""
    count = [0]

    def dying(write: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            number, count[0] = count[0], count[0] + 1
            if number < at or (number == at and late):
                answer = write(*args, **named)
                if number < at:
                    return answer
            raise Dies

        return call

    for name in WRITES:
        patch.setattr(lab.store, name, dying(getattr(lab.store, name)))
    patch.setattr(lab.store, "release", lambda _: None)
    return count
