"""Decisions of people: once, in time, by whom they are asked of, on the plan that was shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from irrunner.engine import loaded as kinds
from irrunner.errors import (
    ApproverNotAllowed,
    JournalUnavailable,
)
from irrunner.journal.store import Lease
from irrunner.settings import Settings
from tests.engine.hazards import (
    GATED,
    kinds_of,
    wait_until_settled,
)
from tests.engine.lab import Lab, outcomes


class TestDecisions:
    def test_a_stale_plan_after_escalation_is_asked_anew(self, lab: Lab) -> None:
        """A gate that was escalated shows its new plan when the old one went stale, and can be passed."""
        run_id = lab.start(lab.playbook(GATED))["run_id"]
        lab.clock.advance(901)
        lab.runner.resume_due()
        lab.ground.values["b"] = "changed by somebody"

        document = lab.runner.approve(run_id, None)

        assert document["status"] == "waiting"
        assert document["gates"][0]["approvers"] == ["lead", "boss"]
        assert lab.runner.approve(run_id, None)["status"] == "succeeded"

    def test_an_escalation_survives_a_crash(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where a process dies between the timer and the telling, resume tells."""
        run_id = lab.start(lab.playbook(GATED))["run_id"]
        lab.clock.advance(901)
        append = lab.store.append

        def dies(lease: Lease, drafts: Any, change: Any = None) -> Any:
            if any(draft.kind == kinds.ESCALATED for draft in drafts):
                raise JournalUnavailable("died")
            return append(lease, drafts, change)

        with monkeypatch.context() as patch:
            patch.setattr(lab.store, "append", dies)
            with pytest.raises(JournalUnavailable):
                lab.runner.resume_due()

        document = lab.runner.resume(run_id)

        assert document["gates"][0]["approvers"] == ["lead", "boss"]

    def test_a_second_approval_does_not_reopen_the_gate(self, lab: Lab) -> None:
        """Two people approve at once: the second finds the gate passed, whatever the first has begun."""
        run_id = lab.start(lab.playbook(GATED))["run_id"]
        body = {"path": "ask", "by": {"id": "os:one"}, "plan_sha256": ""}
        lab.store.request(run_id, "approve", body)

        def again(operation: str, params: Any) -> None:
            if operation == "lab:PutValue":
                lab.store.request(run_id, "approve", {**body, "by": {"id": "os:two"}})
                lab.clock.advance(1)
                wait_until_settled(lab, run_id)

        lab.ground.before = again

        document = lab.runner.resume(run_id)

        assert document["status"] == "succeeded"
        assert "approval_stale" not in kinds_of(lab, run_id)
        assert lab.writes() == [("b", "2")]

    def test_each_item_has_its_own_gate(self, lab: Lab) -> None:
        """Gates inside a ``for_each`` are decided one by one, by path."""
        steps = """
  - id: ask
    for_each: [a, b]
    as: name
    approve: {message: "Set ${{ name }}?", from: [lead], within: 30m}
    then:
      - {id: set, uses: lab.value.set-value, with: {name: "${{ name }}", value: "1"}}
"""
        run_id = lab.start(lab.playbook(steps))["run_id"]
        assert lab.runner.approve(run_id, "ask[1]")["status"] == "waiting"

        document = lab.runner.deny(run_id, None, "no")

        assert outcomes(document) == {"ask[0]": "denied", "ask[1]": "applied", "set[1]": "applied"}
        assert lab.writes() == [("b", "1")]

    def test_one_person_may_deny_what_needs_two(self, lab: Lab) -> None:
        """Two people must agree to act; one is enough to say no."""
        steps = GATED.replace("within: 30m", "within: 30m, minimum: 2")
        run_id = lab.start(lab.playbook(steps))["run_id"]
        with pytest.raises(ApproverNotAllowed):
            lab.runner.approve(run_id, None)

        assert outcomes(lab.runner.deny(run_id, None, "no")) == {"ask": "denied"}

    def test_an_instruction_is_confirmed_by_its_group(self, tmp_path: Path) -> None:
        """A configured group decides who may confirm a manual step, as it does for gates."""
        lab = Lab(tmp_path, Settings(approvers={"network": ("os:somebody-else",)}))
        steps = '\n  - {id: pull, manual: {instruction: "Pull the plug", by: [network], within: 1h}}\n'
        run_id = lab.start(lab.playbook(steps))["run_id"]

        with pytest.raises(ApproverNotAllowed):
            lab.runner.approve(run_id, None)
        lab.store.close()

    def test_a_manual_step_is_confirmed_once_asked_once(self, lab: Lab) -> None:
        """Taking a run up again does not ask for the same thing again."""
        steps = '\n  - {id: pull, manual: {instruction: "Pull the plug", by: [network], within: 1h}}\n'
        run_id = lab.start(lab.playbook(steps))["run_id"]
        lab.runner.resume(run_id)

        document = lab.runner.approve(run_id, None)

        assert document["status"] == "succeeded"
        assert kinds_of(lab, run_id).count("manual_asked") == 1

    def test_an_instruction_that_cannot_be_written_fails_its_step(self, lab: Lab) -> None:
        """An expression that fails in an instruction fails the step; the run does not hang on it."""
        steps = """
  - {id: read, uses: lab.value.read-value, with: {name: a}}
  - {id: pull, manual: {instruction: "Pull ${{ int(steps.read.value) }}", by: [network], within: 1h}}
"""
        document = lab.start(lab.playbook(steps))

        assert document["status"] == "failed"
        assert outcomes(document)["pull"] == "failed"

    def test_a_plan_that_names_its_instant_does_not_go_stale_by_waiting(self, lab: Lab) -> None:
        """The plan is made again as of the instant at which it was shown: time alone is no difference."""
        steps = GATED.replace('set-value, with: {name: b, value: "2"}', "stamp-value, with: {name: b}")
        run_id = lab.start(lab.playbook(steps))["run_id"]
        lab.clock.advance(600)

        assert lab.runner.approve(run_id, None)["status"] == "succeeded"
