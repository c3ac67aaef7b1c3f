"""The embedded engine over the compiled playbook: run, wait, decide, abort, resume, undo."""

from __future__ import annotations

from typing import Any

import pytest

from irrunner.errors import (
    ActionThrottled,
    ApprovalNotOpen,
    ApproverNotAllowed,
    JournalUnavailable,
    OutcomeUnknown,
    RunBusy,
)
from irrunner.settings import Settings
from tests.engine.lab import Lab, outcomes

ONE = """
  - {id: one, uses: lab.value.set-value, with: {name: a, value: "1"}}
"""
GATED = """
  - {id: one, uses: lab.value.set-value, with: {name: a, value: "1"}}
  - id: ask
    approve: {message: "Set b?", from: [lead], within: 30m}
    then:
      - {id: two, uses: lab.value.set-value, with: {name: b, value: "2"}}
  - {id: three, uses: lab.value.set-value, with: {name: c, value: "3"}}
"""


class TestRun:
    def test_effect_is_verified_and_journalled(self, lab: Lab) -> None:
        """A step is applied when a look after the call finds the effect; the chain holds."""
        document = lab.start(lab.playbook(ONE))

        assert document["status"] == "succeeded"
        assert document["steps"][0]["verified"]
        assert lab.writes() == [("a", "1")]
        assert lab.store.verify(document["run_id"]).ok

    def test_second_run_changes_nothing(self, lab: Lab) -> None:
        """A run that finds the world as intended sends no call and says so."""
        playbook = lab.playbook(ONE)
        lab.start(playbook)

        document = lab.start(playbook)

        assert outcomes(document) == {"one": "already_done"}
        assert lab.writes() == [("a", "1")]

    def test_outputs_reach_later_steps(self, lab: Lab) -> None:
        """Outputs of verified steps are what later expressions see."""
        lab.ground.values["a"] = "red"
        steps = """
  - {id: read, uses: lab.value.read-value, with: {name: a}}
  - {id: copy, uses: lab.value.set-value, with: {name: b, value: "${{ steps.read.value }}-copy"}}
"""
        lab.start(lab.playbook(steps))

        assert lab.ground.values["b"] == "red-copy"

    def test_waits_hold_no_thread(self, lab: Lab) -> None:
        """While AWS works, the step is looked at again on the clock, until it is ready."""
        lab.ground.slow.add("a")
        looks: list[str] = []

        def ready_later(operation: str, params: Any) -> None:
            looks.append(operation)
            if len(looks) == 4:
                lab.ground.slow.clear()

        lab.ground.before = ready_later

        assert outcomes(lab.start(lab.playbook(ONE))) == {"one": "applied"}

    def test_for_each_runs_every_item(self, lab: Lab) -> None:
        """Items run with a bound, and each is a step instance of its own."""
        steps = """
  - id: each
    for_each: [a, b, c]
    as: name
    at_most: 2
    uses: lab.value.set-value
    with: {name: "${{ name }}", value: "x"}
"""
        document = lab.start(lab.playbook(steps))

        assert set(outcomes(document)) == {"each[0]", "each[1]", "each[2]"}
        assert sorted(lab.writes()) == [("a", "x"), ("b", "x"), ("c", "x")]

    def test_parallel_branches_all_run(self, lab: Lab) -> None:
        """A failed branch does not cancel its sibling."""

        def refuse(operation: str, params: Any) -> None:
            if operation == "lab:PutValue" and params["Name"] == "a":
                raise JournalLess("denied")

        lab.ground.before = refuse
        steps = """
  - id: both
    parallel:
      - steps:
          - {id: bad, uses: lab.value.set-value, with: {name: a, value: "1"}, retry: {attempts: 1}}
      - steps:
          - {id: good, uses: lab.value.set-value, with: {name: b, value: "2"}}
"""
        document = lab.start(lab.playbook(steps))

        assert document["status"] == "failed"
        assert outcomes(document) == {"bad": "failed", "good": "applied"}


class JournalLess(ActionThrottled):
    """A refusal by the ground."""

    retryable = False


class TestFaults:
    def test_throttle_is_retried_with_a_timer(self, lab: Lab) -> None:
        """A retryable refusal is tried again after a back-off on the clock."""
        failures = iter([True, True, False])

        def throttle(operation: str, params: Any) -> None:
            if operation == "lab:PutValue" and next(failures, False):
                raise ActionThrottled("slow down")

        lab.ground.before = throttle
        started = lab.clock.now()

        document = lab.start(lab.playbook(ONE))

        assert document["steps"][0]["attempts"] == 3
        assert (lab.clock.now() - started).total_seconds() >= 2
        assert lab.writes() == [("a", "1")]

    def test_lost_answer_is_settled_by_looking(self, lab: Lab) -> None:
        """An effect whose answer was lost is found, and not sent again."""

        def lose(operation: str, params: Any) -> None:
            raise OutcomeUnknown("the answer was lost")

        lab.ground.after = lose

        document = lab.start(lab.playbook(ONE))

        assert outcomes(document) == {"one": "applied"}
        assert lab.writes() == [("a", "1")]

    def test_no_journal_no_action(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the intent cannot be written, nothing is sent."""
        playbook = lab.playbook(ONE)
        facts = lab.runner.facts(playbook, {}, None, drill=False, accepted_at=lab.clock.now())
        lease = lab.runner.create(playbook, facts)

        def full(*args: Any, **kwargs: Any) -> None:
            raise JournalUnavailable("disk full")

        monkeypatch.setattr(lab.store, "append", full)

        with pytest.raises(JournalUnavailable):
            lab.runner.drive(lease)
        assert lab.writes() == []

    def test_protected_resource_is_refused(self, tmp_path: Any) -> None:
        """What the configuration protects is not changed, whatever a playbook says."""
        lab = Lab(tmp_path, Settings(protected=("a*",)))

        document = lab.start(lab.playbook(ONE))

        assert outcomes(document) == {"one": "refused"}
        assert lab.writes() == []
        lab.store.close()


class TestGates:
    def test_parks_and_goes_on_after_approval(self, lab: Lab) -> None:
        """With only a person awaited the run is parked; approval runs the steps behind the gate."""
        document = lab.start(lab.playbook(GATED))
        assert (document["status"], document["exit_code"]) == ("waiting", 5)
        assert lab.writes() == [("a", "1")]

        document = lab.new_runner().approve(document["run_id"], None)

        assert document["status"] == "succeeded"
        assert lab.writes() == [("a", "1"), ("b", "2"), ("c", "3")]

    def test_denial_skips_and_goes_on(self, lab: Lab) -> None:
        """A denial is an outcome: what stands behind the gate is skipped, the run goes on."""
        run_id = lab.start(lab.playbook(GATED))["run_id"]

        document = lab.runner.deny(run_id, "ask", "not now")

        assert document["status"] == "succeeded"
        assert outcomes(document)["ask"] == "denied"
        assert lab.writes() == [("a", "1"), ("c", "3")]

    def test_nobody_answers_is_a_denial(self, lab: Lab) -> None:
        """A gate that nobody decides in time denies itself; `resume --due` makes it so."""
        lab.start(lab.playbook(GATED))
        lab.clock.advance(1801)

        (document,) = lab.runner.resume_due()

        assert outcomes(document)["ask"] == "denied"
        assert ("b", "2") not in lab.writes()

    def test_changed_world_makes_the_approval_stale(self, lab: Lab) -> None:
        """An approval is bound to the plan that was shown; another plan is asked anew."""
        run_id = lab.start(lab.playbook(GATED))["run_id"]
        lab.ground.values["b"] = "changed by somebody"

        document = lab.runner.approve(run_id, None)

        assert document["status"] == "waiting"
        assert lab.writes() == [("a", "1")]
        assert lab.runner.approve(run_id, None)["status"] == "succeeded"

    def test_wrong_person_is_refused(self, tmp_path: Any) -> None:
        """A configured group admits only its members."""
        lab = Lab(tmp_path, Settings(approvers={"lead": ("os:somebody-else",)}))
        run_id = lab.start(lab.playbook(GATED))["run_id"]

        with pytest.raises(ApproverNotAllowed):
            lab.runner.approve(run_id, None)
        lab.store.close()

    def test_no_open_gate_is_said(self, lab: Lab) -> None:
        """Approving what is not asked names what is open."""
        run_id = lab.start(lab.playbook(GATED))["run_id"]

        with pytest.raises(ApprovalNotOpen, match="open: ask"):
            lab.runner.approve(run_id, "other")


class TestAbortAndResume:
    def test_abort_undoes_nothing(self, lab: Lab) -> None:
        """An aborted run starts no step and leaves what it did."""
        run_id = lab.start(lab.playbook(GATED))["run_id"]

        document = lab.runner.abort(run_id, "false positive")

        assert document["status"] == "aborted"
        assert lab.ground.values == {"a": "1"}

    def test_ended_run_is_shown_not_driven(self, lab: Lab) -> None:
        """Resuming a run that has ended changes nothing and tells how it ended."""
        document = lab.start(lab.playbook(ONE))

        assert lab.runner.resume(document["run_id"]) == document
        assert lab.writes() == [("a", "1")]

    def test_one_driver_at_a_time(self, lab: Lab) -> None:
        """A run that another process drives is busy."""
        playbook = lab.playbook(ONE)
        facts = lab.runner.facts(playbook, {}, None, drill=False, accepted_at=lab.clock.now())
        lab.runner.create(playbook, facts)

        with pytest.raises(RunBusy):
            lab.new_runner().resume(facts.run_id)

    @pytest.mark.parametrize("point", range(1, 14))
    def test_death_at_any_append_repeats_no_effect(
        self, lab: Lab, monkeypatch: pytest.MonkeyPatch, point: int
    ) -> None:
        """Whatever append a process dies in, before or after the commit, resume ends the same."""
        steps = """
  - {id: one, uses: lab.value.set-value, with: {name: a, value: "1"}}
  - {id: two, when: "${{ steps.one.value == '1' }}", uses: lab.value.set-value, with: {name: b, value: "2"}}
  - id: each
    for_each: [c, d]
    as: name
    uses: lab.value.set-value
    with: {name: "${{ name }}", value: "3"}
"""
        playbook = lab.playbook(steps)
        facts = lab.runner.facts(playbook, {}, None, drill=False, accepted_at=lab.clock.now())
        lease = lab.runner.create(playbook, facts)
        append = lab.store.append
        count = 0

        def dies(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == point:
                if point % 2:
                    append(*args, **kwargs)
                raise JournalUnavailable("died")
            return append(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(lab.store, "append", dies)
            try:
                lab.runner.drive(lease)
            except JournalUnavailable:
                lab.store.release(lease)
        row = lab.store.run(lease.run_id)
        document = (
            lab.runner.document(row.run_id) if row.status.ended else lab.new_runner().resume(row.run_id)
        )

        assert document["status"] == "succeeded"
        assert sorted(lab.writes()) == [("a", "1"), ("b", "2"), ("c", "3"), ("d", "3")]
        assert lab.store.verify(row.run_id).ok


class TestLeave:
    def test_another_process_takes_a_left_run_up(self, lab: Lab) -> None:
        """A run that is handed over is due at once, and nothing was done before."""
        playbook = lab.playbook(ONE)
        facts = lab.runner.facts(playbook, {}, None, drill=False, accepted_at=lab.clock.now())
        lab.runner.leave(lab.runner.create(playbook, facts))
        assert lab.writes() == []

        (document,) = lab.new_runner().resume_due()

        assert document["status"] == "succeeded"
        assert lab.runner.resume_due() == []


class TestUndo:
    def test_puts_back_what_was(self, lab: Lab) -> None:
        """Undo restores prior values, newest first."""
        lab.ground.values |= {"a": "old a", "c": "old c"}
        run_id = lab.start(lab.playbook(GATED))["run_id"]
        lab.runner.deny(run_id, None, "no")

        document = lab.runner.undo(run_id, None, release_credentials=False)

        assert (document["status"], document["exit_code"]) == ("succeeded", 0)
        assert lab.ground.values == {"a": "old a", "c": "old c"}
        assert [step["id"] for step in document["steps"]] == ["three", "one"]

    def test_drift_is_left_alone(self, lab: Lab) -> None:
        """What somebody changed since is not touched, and said; the rest is put back."""
        lab.ground.values |= {"a": "old a", "c": "old c"}
        run_id = lab.start(lab.playbook(GATED))["run_id"]
        lab.runner.deny(run_id, None, "no")
        lab.ground.values["a"] = "somebody's"

        document = lab.runner.undo(run_id, None, release_credentials=False)

        assert document["exit_code"] == 1
        assert lab.ground.values == {"a": "somebody's", "c": "old c"}
        assert "somebody's" in next(step for step in document["steps"] if step["id"] == "one")["note"]

    def test_waiting_run_is_closed_first(self, lab: Lab) -> None:
        """Undo of a run that waits for a person closes its questions, then undoes it."""
        lab.ground.values["a"] = "old a"
        run_id = lab.start(lab.playbook(GATED))["run_id"]

        lab.runner.undo(run_id, None, release_credentials=False)

        assert str(lab.store.run(run_id).status) == "aborted"
        assert lab.ground.values == {"a": "old a"}

    def test_second_undo_is_harmless(self, lab: Lab) -> None:
        """Undoing twice finds nothing to do."""
        lab.ground.values["a"] = "old a"
        run_id = lab.start(lab.playbook(ONE))["run_id"]
        lab.runner.undo(run_id, None, release_credentials=False)
        writes = len(lab.writes())

        document = lab.runner.undo(run_id, None, release_credentials=False)

        assert document["exit_code"] == 0
        assert len(lab.writes()) == writes

    def test_one_step_only(self, lab: Lab) -> None:
        """--step undoes that step alone."""
        lab.ground.values |= {"a": "old a", "c": "old c"}
        run_id = lab.start(lab.playbook(GATED))["run_id"]
        lab.runner.deny(run_id, None, "no")

        lab.runner.undo(run_id, "three", release_credentials=False)

        assert lab.ground.values == {"a": "1", "c": "old c"}
