"""Effects that expire: taken off once, by the action's own undo, whoever dies or meddles meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from irrunner.actions.registry import Registry, action
from irrunner.clock import iso
from irrunner.engine.expiry import require_guard
from irrunner.engine.undoing import Undoing
from irrunner.errors import ActionDenied, ActionIncomplete, ExpiryUnguarded, RunBusy, ServiceUnavailable
from irrunner.journal.store import EXPIRY, RunChange, Timer
from irrunner.settings import Channel, Settings
from irrunner.vocabulary import Phase, Risk, RunStatus, UndoPolicy
from tests.engine.hazards import created, kinds_of
from tests.engine.lab import Lab, SetValue, outcomes

DAY_S = 24 * 3600.0
BLOCK = """
  - {id: block, uses: lab.value.set-value, with: {name: a, value: "1"}, expires_after: 24h}
"""
BLOCK_AND_ASK = (
    BLOCK.replace("24h", "1h")
    + """
  - id: ask
    approve: {message: "Set b?", from: [lead], within: 3d}
    then:
      - {id: two, uses: lab.value.set-value, with: {name: b, value: "2"}}
"""
)


@pytest.fixture
def blocked(lab: Lab) -> str:
    """A run that has ended, with an effect that lasts a day."""
    lab.ground.values["a"] = "old"
    document = lab.start(lab.playbook(BLOCK))
    assert document["status"] == "succeeded"
    return str(document["run_id"])


def expiries(lab: Lab, run_id: str) -> list[tuple[str, str]]:
    """Return step and state of what expires."""
    return [(each["id"], each["state"]) for each in lab.runner.document(run_id)["expiries"]]


class TestExpiry:
    def test_the_run_ends_and_the_effect_stays(self, lab: Lab, blocked: str) -> None:
        """Nobody holds a run open for a day; the due item is in the store and in the journal."""
        lab.clock.advance(DAY_S - 1)

        assert lab.runner.resume_due() == []
        assert lab.ground.values == {"a": "1"}
        assert expiries(lab, blocked) == [("block", "pending")]
        assert "expiry_set" in kinds_of(lab, blocked)
        assert lab.store.verify_all().ok

    def test_when_due_it_is_taken_off_by_an_undo_of_its_own(self, lab: Lab, blocked: str) -> None:
        """The undo is a run in the list, names the run that it undoes, and happens once."""
        lab.clock.advance(DAY_S)
        (document,) = lab.runner.resume_due()

        assert (document["undoes"], document["status"], document["exit_code"]) == (blocked, "succeeded", 0)
        assert outcomes(document) == {"block": "applied"}
        assert document["steps"][0]["verified"]
        assert document["title"] == f"expiry of block of {blocked}"
        assert lab.ground.values == {"a": "old"}
        assert lab.runner.resume_due() == []
        assert expiries(lab, blocked) == [("block", "taken_off")]
        assert lab.runner.document(blocked)["expiries"][0]["run_id"] == document["run_id"]
        assert lab.store.runs()[0].undoes == blocked
        assert lab.store.verify_all().ok

    def test_a_later_change_of_somebody_is_left(self, lab: Lab, blocked: str) -> None:
        """Drift: the report says what was found, and the run's page which command is left to a person."""
        lab.ground.values["a"] = "somebody's"
        lab.clock.advance(DAY_S)
        (document,) = lab.runner.resume_due()

        assert (document["status"], document["exit_code"]) == ("partial", 1)
        assert document["steps"][0]["error"]["code"] == "drift"
        assert lab.ground.values == {"a": "somebody's"}
        assert expiries(lab, blocked) == [("block", "left_on")]
        assert lab.runner.resume_due() == []

    def test_an_undo_before_cancels_it(self, lab: Lab, blocked: str) -> None:
        """A block that somebody puts on again later is not taken off by the old timer."""
        lab.runner.undo(blocked, None, release_credentials=False)
        lab.ground.values["a"] = "1"
        lab.clock.advance(DAY_S)

        assert lab.runner.resume_due() == []
        assert lab.ground.values == {"a": "1"}
        assert expiries(lab, blocked) == [("block", "taken_off")]

    def test_an_undo_that_was_refused_cancels_nothing(self, lab: Lab, blocked: str) -> None:
        """Somebody meddled for an hour only: at its time the effect still comes off."""
        lab.ground.values["a"] = "somebody's"
        assert lab.runner.undo(blocked, None, release_credentials=False)["status"] == "partial"
        lab.ground.values["a"] = "1"
        lab.clock.advance(DAY_S)
        (document,) = lab.runner.resume_due()

        assert outcomes(document) == {"block": "applied"}
        assert expiries(lab, blocked) == [("block", "taken_off")]

    def test_what_was_there_before_does_not_expire(self, lab: Lab) -> None:
        """It is somebody else's: this step has nothing to take off, and says so."""
        lab.ground.values["a"] = "1"
        document = lab.start(lab.playbook(BLOCK))

        assert document["expiries"] == []
        assert "takes nothing off" in document["steps"][0]["warnings"][0]

    def test_a_parked_run_stays_parked(self, lab: Lab) -> None:
        """The effect comes off while a question is open; the question stays open."""
        lab.ground.values["a"] = "old"
        run_id = lab.start(lab.playbook(BLOCK_AND_ASK))["run_id"]
        lab.clock.advance(3600)
        (document,) = lab.runner.resume_due()

        assert document["undoes"] == run_id
        assert lab.ground.values == {"a": "old"}
        assert lab.store.run(run_id).status is RunStatus.WAITING
        assert lab.runner.approve(run_id, None)["status"] == "succeeded"
        assert lab.ground.values == {"a": "old", "b": "2"}

    def test_a_run_that_acts_is_left_alone(self, lab: Lab) -> None:
        """Its effect is taken off when it has ended or parked: nobody acts under its hands."""
        lease = created(lab, lab.playbook(BLOCK))
        now = iso(lab.clock.now())
        lab.store.append(lease, [], RunChange(timers_set=[Timer(lease.run_id, "block", EXPIRY, 0, now)]))
        lab.clock.advance(29)

        assert lab.runner.resume_due() == []
        assert [timer.purpose for timer in lab.store.timers(lease.run_id)] == [EXPIRY]

    def test_an_interrupted_run_keeps_nothing_on(self, lab: Lab) -> None:
        """Ctrl-C after the block: nobody drives the run, and the block comes off all the same."""
        lease = created(lab, lab.playbook(BLOCK))
        now = iso(lab.clock.now())
        lab.store.append(lease, [], RunChange(timers_set=[Timer(lease.run_id, "block", EXPIRY, 0, now)]))
        lab.store.release(lease)
        (document,) = lab.runner.resume_due()

        assert document["undoes"] == lease.run_id
        assert lab.store.timers(lease.run_id) == []

    def test_a_failed_step_that_left_something_behind_expires(self, lab: Lab) -> None:
        """Half a block is not left for ever either."""
        lab.ground.values["a"] = "old"

        def meddle(operation: str, params: Mapping[str, Any]) -> None:
            lab.ground.values["a"] = "half"

        lab.ground.after = meddle
        document = lab.start(lab.playbook(BLOCK.replace("expires", "retry: {attempts: 1}, expires")))
        lab.ground.after = None
        assert document["status"] == "failed"
        lab.clock.advance(DAY_S)
        (undo,) = lab.runner.resume_due()

        assert outcomes(undo) == {"block": "applied"}
        assert lab.ground.values == {"a": "old"}

    def test_a_failed_step_without_effect_leaves_nothing_due(self, lab: Lab) -> None:
        """A denial blocked nothing: nothing is shown that would come off."""

        def denied(operation: str, params: Mapping[str, Any]) -> None:
            if operation == "lab:PutValue":
                raise ActionDenied("no")

        lab.ground.before = denied
        document = lab.start(lab.playbook(BLOCK))

        assert document["status"] == "failed"
        assert document["expiries"] == []


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
        due = lab.store.due_expiries

        def after_the_other(now: str) -> list[Timer]:
            found = due(now)
            monkeypatch.setattr(lab.store, "due_expiries", due)
            assert len(other.resume_due()) == 1
            return found

        monkeypatch.setattr(lab.store, "due_expiries", after_the_other)

        assert lab.runner.resume_due() == []
        assert lab.writes() == [("a", "1"), ("a", "old")]
        assert [row.undoes for row in lab.store.runs()].count(blocked) == 1

    def test_a_cancelled_expiry_makes_no_run(self, lab: Lab, blocked: str) -> None:
        """The store itself refuses: the due item and the undo are one commit."""
        (timer,) = lab.store.timers(blocked)
        lab.runner.undo(blocked, None, release_credentials=False)
        with pytest.raises(RunBusy, match="cancelled"):
            Undoing(lab.runner).expire(timer)


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


class TestTelling:
    @pytest.mark.parametrize("drifted", [False, True])
    def test_people_are_told_once(self, tmp_path: Path, drifted: bool) -> None:  # noqa: FBT001 - a parameter
        """That it is off, or that it is not and what to do; at most once, whatever happens after."""
        settings = Settings(channels={"oncall": Channel(url="env:URL")}, expiry_channel="oncall")
        lab = Lab(tmp_path, settings)
        lab.ground.values["a"] = "old"
        run_id = lab.start(lab.playbook(BLOCK))["run_id"]
        if drifted:
            lab.ground.values["a"] = "somebody's"
        lab.clock.advance(DAY_S)
        (document,) = lab.runner.resume_due()
        (sent,) = [params for operation, params in lab.ground.calls if operation == "notify:Send"]
        lab.store.close()

        assert sent["Channel"] == "oncall"
        assert ("NOT taken off: block" in sent["Title"]) == drifted
        assert run_id in sent["Body"]
        assert document["status"] == ("partial" if drifted else "succeeded")

    def test_a_chat_that_is_down_changes_nothing(self, tmp_path: Path) -> None:
        """The journal says that nobody was told."""
        lab = Lab(tmp_path, Settings(expiry_channel="oncall"))
        lab.ground.values["a"] = "old"
        run_id = lab.start(lab.playbook(BLOCK))["run_id"]

        def down(operation: str, params: Mapping[str, Any]) -> None:
            if operation == "notify:Send":
                raise ServiceUnavailable("chat is down")

        lab.ground.before = down
        lab.clock.advance(DAY_S)
        (document,) = lab.runner.resume_due()
        told = [r.body for r in lab.store.records(document["run_id"]) if r.kind == "expiry_told"]
        lab.store.close()

        assert document["status"] == "succeeded"
        assert told == [{"channel": "oncall", "sent": False, "reason": "chat is down"}]
        assert run_id == document["undoes"]


class TestDeclaration:
    def test_nothing_expires_without_somebody_who_takes_it_off(self, lab: Lab) -> None:
        """The refusal names the step, and the option."""
        with pytest.raises(ExpiryUnguarded, match=r"block \(after 1d\)") as caught:
            require_guard(lab.playbook(BLOCK))

        assert caught.value.exit_code == 3
        assert "--no-expiry-guard" in caught.value.hint
        require_guard(lab.playbook(BLOCK.replace(", expires_after: 24h", "")))

    def test_an_action_that_cannot_restore_cannot_expire(self) -> None:
        """Declared so, it does not load."""
        odd = action(
            "lab.value.odd-value", title="Odd", phase=Phase.CONTAINMENT, risk=Risk.DISRUPTIVE, permissions=(),
            undo=UndoPolicy.RELEASE, undo_note="Only with --release-credentials.", may_expire=True,
        )(type("Odd", (SetValue,), {}))  # fmt: skip

        with pytest.raises(ActionIncomplete, match="restores"):
            Registry((odd,))
