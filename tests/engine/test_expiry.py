"""Effects that expire: taken off once, by the action's own undo, whoever dies or meddles meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from irrunner.actions.registry import Registry, action
from irrunner.clock import iso
from irrunner.engine.expiry import require_guard
from irrunner.errors import ActionDenied, ActionIncomplete, ExpiryUnguarded, ServiceUnavailable
from irrunner.journal.store import EXPIRY, RunChange, Timer
from irrunner.settings import Channel, Settings
from irrunner.vocabulary import Phase, Risk, RunStatus, UndoPolicy
from tests.engine.hazards import BLOCK, BLOCK_AND_ASK, DAY_S, created, expiries, kinds_of
from tests.engine.lab import Lab, SetValue, outcomes


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

    def test_what_was_there_before_is_not_ours_to_end(self, lab: Lab) -> None:
        """It is somebody else's: this step has nothing to take off, and says so."""
        lab.ground.values["a"] = "1"
        document = lab.start(lab.playbook(BLOCK))
        lab.clock.advance(DAY_S)

        assert "it was there before" in document["steps"][0]["warnings"][0]
        assert lab.runner.resume_due() == []
        assert lab.ground.values == {"a": "1"}
        assert lab.store.expiries() == []

    def test_a_later_run_keeps_it_on(self, lab: Lab, blocked: str) -> None:
        """The attacker is back after an hour: the block lasts a day from then, and comes off once."""
        lab.clock.advance(3600)
        again = lab.start(lab.playbook(BLOCK))["run_id"]
        lab.clock.advance(DAY_S - 3600)
        assert lab.runner.resume_due() == []
        assert lab.ground.values == {"a": "1"}
        assert lab.runner.document(blocked)["expiries"][0]["due_at"] == iso(
            lab.clock.now() + timedelta(seconds=3600)
        )
        lab.clock.advance(3600)
        (document,) = lab.runner.resume_due()

        assert document["undoes"] == blocked
        assert lab.ground.values == {"a": "old"}
        assert lab.store.expiries() == []
        assert expiries(lab, again) == [("block", "taken_off")]

    def test_a_later_run_that_is_undone_keeps_nothing_on(self, lab: Lab, blocked: str) -> None:
        """Nobody wants it longer any more: it comes off at its own time."""
        lab.clock.advance(3600)
        again = lab.start(lab.playbook(BLOCK))["run_id"]
        lab.runner.undo(again, None, release_credentials=False)
        assert lab.ground.values == {"a": "1"}
        lab.clock.advance(DAY_S - 3600)
        (document,) = lab.runner.resume_due()

        assert document["undoes"] == blocked
        assert lab.ground.values == {"a": "old"}

    def test_a_later_run_without_end_keeps_it_on(self, lab: Lab, blocked: str) -> None:
        """It was verified for that run: the first run's time does not let the attacker back in."""
        later = lab.start(lab.playbook(BLOCK.replace("expires_after: 24h", "")))
        lab.clock.advance(DAY_S)
        assert lab.runner.resume_due() == []
        assert lab.ground.values == {"a": "1"}
        assert expiries(lab, blocked) == [("block", "kept")]
        assert blocked in later["steps"][0]["warnings"][0]

        lab.runner.undo(blocked, None, release_credentials=False)

        assert lab.ground.values == {"a": "old"}
        assert lab.store.expiries() == []
        assert expiries(lab, blocked) == [("block", "taken_off")]

    def test_a_later_run_without_end_keeps_nothing_else_on(self, lab: Lab, blocked: str) -> None:
        """A lasting block of something else leaves this one's time as it is."""
        lab.start(lab.playbook(BLOCK.replace("expires_after: 24h", "").replace("name: a", "name: b")))

        assert expiries(lab, blocked) == [("block", "pending")]

    def test_another_block_keeps_nothing_on(self, lab: Lab, blocked: str) -> None:
        """A later block of something else is no reason to keep this one."""
        lab.clock.advance(3600)
        lab.start(lab.playbook(BLOCK.replace("name: a", "name: b")))
        lab.clock.advance(DAY_S - 3600)

        assert len(lab.runner.resume_due()) == 1
        assert lab.ground.values["a"] == "old"

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
        lab.runner.resume_due()

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
