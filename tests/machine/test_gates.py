"""The rules of steps that wait for people."""

from __future__ import annotations

import pytest

from irrunner.machine import messages as m
from irrunner.machine.execution import Execution
from irrunner.playbook import model as p
from irrunner.vocabulary import RunStatus
from tests.machine.machine_driver import (
    TRUE,
    approve,
    bad,
    good,
    outcomes,
    playbook,
    run_of,
    started,
    step,
)

ANN, BOB = {"id": "ann"}, {"id": "bob"}
ABORT = m.AbortRequested(ANN, "enough")


def fire(execution: Execution, path: str, purpose: m.Purpose, attempt: int = 0) -> tuple[m.Command, ...]:
    """Fire a timer."""
    return execution.feed(m.TimerFired(path, purpose, attempt))


# -- approve --------------------------------------------------------------------------------------


def test_an_approved_gate_runs_then() -> None:
    """A gate asks, sets its deadline, and lets through."""
    execution = run_of(playbook(step("ask", approve(step("stop"))), step("after")))

    assert execution.start() == (m.AskApproval("ask"), m.StartTimer("ask", "approval", 1800.0))
    assert execution.status is RunStatus.WAITING
    assert execution.feed(m.ApprovalGiven("ask", ANN)) == (m.RunStep("stop", 1),)
    assert execution.outstanding() == (m.RunStep("stop", 1),)
    execution.feed(good("stop"))
    assert outcomes(execution)["ask"] == "applied"


def test_a_gate_wants_so_many_different_people() -> None:
    """One person twice is one person."""
    execution = started(playbook(step("ask", approve(step("stop"), minimum=2))))

    assert execution.feed(m.ApprovalGiven("ask", ANN)) == ()
    assert execution.feed(m.ApprovalGiven("ask", ANN)) == ()
    assert execution.feed(m.ApprovalGiven("ask", BOB)) == (m.RunStep("stop", 1),)
    view = execution.view("ask")
    assert view is not None
    assert view.outputs == {"approved_by": [ANN, BOB]}


@pytest.mark.parametrize("denial", [m.ApprovalDenied("ask", ANN, "no"), m.TimerFired("ask", "approval")])
def test_a_denied_or_expired_gate_is_no_failure(denial: m.Event) -> None:
    """`then` is left out, `otherwise` is run, the run goes on."""
    gate = approve(step("stop"), otherwise=(step("watch"),))
    execution = started(playbook(step("ask", gate), step("after")))

    assert execution.feed(denial) == (m.RunStep("watch", 1),)
    assert execution.feed(good("watch")) == (m.RunStep("after", 1),)
    assert execution.feed(good("after")) == (m.Finish(RunStatus.SUCCEEDED),)
    assert outcomes(execution) == {"ask": "denied", "watch": "applied", "after": "applied"}


def test_a_failing_otherwise_fails_the_gate() -> None:
    """Only the denial itself is no failure."""
    execution = started(playbook(step("ask", approve(otherwise=(step("watch"),)))))
    execution.feed(m.ApprovalDenied("ask", ANN))

    assert execution.feed(bad("watch")) == (m.Finish(RunStatus.FAILED),)
    assert outcomes(execution)["ask"] == "failed"


def test_a_gate_escalates_at_half_time() -> None:
    """More people are asked when half of the time has passed; the deadline stands."""
    execution = run_of(playbook(step("ask", approve(step("stop"), escalate=("lead",)))))

    assert m.StartTimer("ask", "escalation", 900.0) in execution.start()
    assert fire(execution, "ask", "escalation") == (m.AskApproval("ask", 0, escalated=True),)
    assert execution.outstanding() == (
        m.StartTimer("ask", "approval", 1800.0), m.AskApproval("ask", 0, escalated=True),
    )  # fmt: skip


def test_a_stale_approval_is_asked_anew_and_the_deadline_stands() -> None:
    """What was approved before the plan changed is void."""
    execution = started(playbook(step("ask", approve(step("stop"), minimum=2))))
    execution.feed(m.ApprovalGiven("ask", ANN))

    assert execution.feed(m.ApprovalStale("ask", ("a",))) == (m.AskApproval("ask", 1),)
    assert execution.feed(m.ApprovalGiven("ask", BOB)) == ()
    assert m.StartTimer("ask", "approval", 1800.0) in execution.outstanding()


def test_an_approved_gate_whose_plan_changed_before_any_effect_asks_anew() -> None:
    """Approved, crashed, resumed: the plan may differ when it is carried out."""
    execution = started(playbook(step("ask", approve(step("look", when=TRUE), step("stop")))))
    execution.feed(m.ApprovalGiven("ask", ANN))
    execution.feed(m.WhenEvaluated("look", holds=True))

    again = execution.feed(m.ApprovalStale("ask"))
    assert again == (m.AskApproval("ask", 1), m.StartTimer("ask", "approval", 1800.0, 1))
    assert execution.feed(good("look")) == ()
    assert execution.feed(m.ApprovalGiven("ask", ANN)) == (m.EvaluateWhen("look"),)


def test_an_approved_gate_stays_open_once_something_was_done() -> None:
    """After an effect there is nothing to ask anew."""
    execution = started(playbook(step("ask", approve(step("a"), step("b")))))
    execution.feed(m.ApprovalGiven("ask", ANN))
    execution.feed(good("a"))

    assert execution.feed(m.ApprovalStale("ask")) == ()
    assert execution.outstanding() == (m.RunStep("b", 1),)


def test_a_manual_step_is_done_when_a_person_says_so() -> None:
    """The instruction is shown, with a deadline."""
    execution = run_of(playbook(step("call", p.Manual("Call them", ("lead",), 600.0))))

    assert execution.start() == (m.AskManual("call"), m.StartTimer("call", "manual", 600.0))
    assert execution.feed(m.ManualConfirmed("call", ANN, done=True)) == (m.Finish(RunStatus.SUCCEEDED),)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (m.ManualConfirmed("call", ANN, done=False, note="no answer"), "manual-not-done"),
        (m.TimerFired("call", "manual"), "manual-expired"),
    ],
)
def test_a_manual_step_that_is_not_done_has_failed(event: m.Event, code: str) -> None:
    """Given up or not answered in time: the step failed."""
    execution = started(playbook(step("call", p.Manual("Call them", ("lead",), 600.0))))
    execution.feed(event)

    assert execution.status is RunStatus.FAILED
    assert (execution.error or {})["code"] == code
