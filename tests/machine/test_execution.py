"""The rules of the machine, one by one."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest

from irrunner.machine import messages as m
from irrunner.machine.execution import Execution
from irrunner.playbook import model as p
from irrunner.vocabulary import Outcome, Phase, RunStatus
from tests.machine.machine_driver import (
    TRUE,
    approve,
    bad,
    choose,
    each,
    good,
    outcomes,
    parallel,
    playbook,
    run_of,
    started,
    step,
    wait_until,
)

ANN, BOB = {"id": "ann"}, {"id": "bob"}
ABORT = m.AbortRequested(ANN, "enough")


def fire(execution: Execution, path: str, purpose: m.Purpose, attempt: int = 0) -> tuple[m.Command, ...]:
    """Fire a timer."""
    return execution.feed(m.TimerFired(path, purpose, attempt))


def calls(callee: p.Playbook, **fields: Any) -> p.Playbook:
    """Make a playbook whose only step `contain` runs another one."""
    return playbook(step("contain", p.Run(callee.id, {})), callees={callee.id: callee}, **fields)


# -- sequence -------------------------------------------------------------------------------------


def test_steps_run_one_after_the_other() -> None:
    """A step begins when the one before has ended well; then the run has succeeded."""
    execution = run_of(playbook(step("a"), step("b")))

    assert execution.start() == (m.RunStep("a", 1),)
    assert execution.feed(good("a")) == (m.RunStep("b", 1),)
    assert execution.feed(good("b")) == (m.Finish(RunStatus.SUCCEEDED),)
    assert execution.status is RunStatus.SUCCEEDED


def test_a_second_start_changes_nothing() -> None:
    """Starting twice issues nothing twice."""
    execution = started(playbook(step("a")))

    assert execution.start() == ()
    assert execution.outstanding() == (m.RunStep("a", 1),)


def test_a_playbook_without_steps_succeeds_at_once() -> None:
    """An empty sequence is a defined outcome."""
    assert run_of(playbook()).start() == (m.Finish(RunStatus.SUCCEEDED),)


def test_a_failed_step_stops_the_run() -> None:
    """By default a failure stops the run, which says where and why."""
    execution = started(playbook(step("a"), step("b")))

    assert execution.feed(bad("a")) == (m.Finish(RunStatus.FAILED),)
    assert execution.failed_step == "a"
    assert execution.error == {"code": "test", "message": "a failed"}
    assert execution.view("b") is None


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.REFUSED, Outcome.UNKNOWN])
def test_every_bad_outcome_is_kept_and_fails_the_flow(outcome: Outcome) -> None:
    """Refused and unknown stop the flow like failed, under their own names."""
    execution = started(playbook(step("a")))
    execution.feed(bad("a", outcome=outcome))

    assert outcomes(execution) == {"a": outcome}
    assert execution.status is RunStatus.FAILED


def test_a_success_with_a_bad_outcome_is_no_success() -> None:
    """An event that contradicts itself changes nothing."""
    execution = started(playbook(step("a")))

    assert execution.feed(m.StepSucceeded("a", 1, Outcome.UNKNOWN, {})) == ()
    assert execution.outstanding() == (m.RunStep("a", 1),)


# -- when, for_each -------------------------------------------------------------------------------


def test_when_false_skips_the_step() -> None:
    """A guard that does not hold is a defined outcome, and the run goes on."""
    execution = run_of(playbook(step("a", when=TRUE), step("b")))

    assert execution.start() == (m.EvaluateWhen("a"),)
    assert execution.feed(m.WhenEvaluated("a", holds=False)) == (m.RunStep("b", 1),)
    assert outcomes(execution)["a"] == "skipped"
    assert execution.visible("b") == {}


def test_a_failing_when_fails_the_step() -> None:
    """A guard that cannot be evaluated neither runs nor skips its step."""
    execution = started(playbook(step("a", when=TRUE)))
    execution.feed(m.EvaluationFailed("a", {"code": "expression-failed", "message": "no key"}))

    assert outcomes(execution) == {"a": "failed"}
    assert execution.status is RunStatus.FAILED


def test_when_is_asked_first_and_once_for_all_items() -> None:
    """The order is: guard, items, then each item."""
    execution = started(playbook(step("a", when=TRUE, for_each=each())))

    assert execution.feed(m.WhenEvaluated("a", holds=True)) == (m.EvaluateItems("a"),)
    assert execution.feed(m.ItemsEvaluated("a", ("x", "y"))) == (m.RunStep("a[0]", 1), m.RunStep("a[1]", 1))


def test_an_empty_for_each_is_applied() -> None:
    """No items: the step is applied, and its items are an empty list."""
    execution = started(playbook(step("a", for_each=each()), step("b")))

    assert execution.feed(m.ItemsEvaluated("a", ())) == (m.RunStep("b", 1),)
    assert outcomes(execution)["a"] == "applied"
    assert execution.visible("b") == {"a": {"items": []}}


def test_for_each_keeps_at_most_so_many_in_flight() -> None:
    """The next item begins when one has ended, in input order."""
    execution = started(playbook(step("a", for_each=each(at_most=2))))

    assert len(execution.feed(m.ItemsEvaluated("a", ("x", "y", "z")))) == 2
    assert execution.feed(good("a[1]")) == (m.RunStep("a[2]", 1),)
    assert execution.feed(good("a[0]")) == ()


def test_a_failed_item_does_not_cancel_the_others() -> None:
    """All items are tried; then the step fails, by its first failed item in input order."""
    execution = started(playbook(step("a", for_each=each(at_most=1))))
    execution.feed(m.ItemsEvaluated("a", ("x", "y", "z")))
    for event in (good("a[0]"), bad("a[1]"), bad("a[2]")):
        execution.feed(event)

    assert outcomes(execution) == {"a": "failed", "a[0]": "applied", "a[1]": "failed", "a[2]": "failed"}
    assert execution.failed_step == "a[1]"


def test_items_are_visible_in_input_order_also_after_failures() -> None:
    """After `on_failure: continue` the items say which of them failed."""
    execution = started(playbook(step("a", for_each=each(), on_failure="continue"), step("b")))
    execution.feed(m.ItemsEvaluated("a", ("x", "y")))
    execution.feed(good("a[1]", id=7))
    execution.feed(bad("a[0]"))

    assert execution.visible("b")["a"] == {
        "items": [
            {"item": "x", "outcome": "failed", "outputs": {}},
            {"item": "y", "outcome": "applied", "outputs": {"id": 7}},
        ]
    }


def test_nested_loops_have_a_path_an_item_and_a_scope_each() -> None:
    """Inside loops a step sees its own iteration, the loops' variables, and what stands outside."""
    inner = (step("look"), step("act", for_each=each("port")))
    outer = step("hosts", parallel(inner), for_each=each("host"))
    execution = started(playbook(step("facts"), outer))
    execution.feed(good("facts", n=1))
    execution.feed(m.ItemsEvaluated("hosts", ("h0", "h1")))
    execution.feed(good("look[0]", n=2))
    execution.feed(good("look[1]", n=3))
    execution.feed(m.ItemsEvaluated("act[1]", (22, 80)))

    assert execution.item("act[1][0]") == {"host": "h1", "port": 22, "index": 0}
    assert execution.item("act[1]") == {"host": "h1", "index": 1}
    assert execution.visible("act[1][0]") == {"facts": {"n": 1}, "look": {"n": 3}}
    assert execution.step("act[1][0]").id == "act"
    assert list(execution.views()) == [
        "facts", "hosts",
        "hosts[0]", "look[0]", "act[0]",
        "hosts[1]", "look[1]", "act[1]", "act[1][0]", "act[1][1]",
    ]  # fmt: skip


# -- retry ----------------------------------------------------------------------------------------


def test_a_retryable_failure_is_tried_again_with_a_doubled_jittered_delay() -> None:
    """Without `retry` there are three attempts, after 2 s and 4 s."""
    execution = started(playbook(step("a")))

    first = execution.feed(bad("a", 1, retryable=True))
    assert first == (m.StartTimer("a", "retry", 2.0, 1, jitter=True),)
    assert fire(execution, "a", "retry", 1) == (m.RunStep("a", 2),)
    second = execution.feed(bad("a", 2, retryable=True))
    assert second == (m.StartTimer("a", "retry", 4.0, 2, jitter=True),)
    fire(execution, "a", "retry", 2)
    assert execution.feed(bad("a", 3, retryable=True)) == (m.Finish(RunStatus.FAILED),)
    view = execution.view("a")
    assert view is not None
    assert view.attempts == 3


def test_a_back_off_is_at_most_a_minute() -> None:
    """Doubling ends at 60 s, and does not overflow."""
    execution = started(playbook(step("a", retry=p.Retry(2000, 2.0))))
    for attempt in range(1, 1500):
        (timer,) = execution.feed(bad("a", attempt, retryable=True))
        fire(execution, "a", "retry", attempt)

    assert isinstance(timer, m.StartTimer)
    assert timer.delay_s == 60.0


def test_a_final_failure_is_not_tried_again() -> None:
    """Only a failure that says so is tried again."""
    execution = started(playbook(step("a", retry=p.Retry(5, 1.0))))

    assert execution.feed(bad("a")) == (m.Finish(RunStatus.FAILED),)


def test_a_run_that_backs_off_is_waiting() -> None:
    """With nothing but timers and people outstanding, the run waits."""
    execution = started(playbook(step("a")))
    before = execution.status
    execution.feed(bad("a", retryable=True))

    assert [before, execution.status] == [RunStatus.RUNNING, RunStatus.WAITING]
    view = execution.view("a")
    assert view is not None
    assert (view.outcome, view.waiting_for) == (Outcome.WAITING, "retry")


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


# -- manual, wait ---------------------------------------------------------------------------------


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


def test_a_wait_is_a_timer() -> None:
    """Waiting holds nothing but a timer."""
    execution = run_of(playbook(step("pause", p.Wait(60.0))))

    assert execution.start() == (m.StartTimer("pause", "wait", 60.0),)
    assert fire(execution, "pause", "wait") == (m.Finish(RunStatus.SUCCEEDED),)


def test_wait_until_polls_until_the_condition_holds() -> None:
    """Polls follow each other after `every`; the last one's outputs are the step's."""
    execution = run_of(playbook(step("done", wait_until()), step("b")))

    assert execution.start() == (m.Poll("done", 1), m.StartTimer("done", "until", 600.0))
    later = execution.feed(m.PollAnswered("done", 1, holds=False, outputs={}))
    assert later == (m.StartTimer("done", "poll", 15.0, 1),)
    assert fire(execution, "done", "poll", 1) == (m.Poll("done", 2),)
    assert execution.feed(m.PollAnswered("done", 2, holds=True, outputs={"n": 1})) == (m.RunStep("b", 1),)
    assert execution.visible("b") == {"done": {"n": 1}}


def test_the_last_poll_alone_is_enough_for_a_fold() -> None:
    """Polls that did not hold need not be journalled."""
    execution = started(playbook(step("done", wait_until())))

    ended = execution.feed(m.PollAnswered("done", 17, holds=True, outputs={}))

    assert ended == (m.Finish(RunStatus.SUCCEEDED),)
    view = execution.view("done")
    assert view is not None
    assert view.attempts == 17


def test_a_poll_that_may_work_later_is_repeated() -> None:
    """A throttled poll does not end the wait; a denied one does."""
    execution = started(playbook(step("done", wait_until())))

    assert execution.feed(bad("done", 1, retryable=True)) == (m.StartTimer("done", "poll", 15.0, 1),)
    fire(execution, "done", "poll", 1)
    assert execution.feed(bad("done", 2)) == (m.Finish(RunStatus.FAILED),)


def test_wait_until_ends_at_its_timeout() -> None:
    """Every wait ends."""
    execution = started(playbook(step("done", wait_until())))

    assert fire(execution, "done", "until") == (m.Finish(RunStatus.FAILED),)
    assert (execution.error or {})["code"] == "action-timed-out"


# -- parallel, choose -----------------------------------------------------------------------------


def test_parallel_waits_for_all_and_fails_by_its_first_branch() -> None:
    """A failed branch does not cancel its siblings; the join decides, in document order."""
    book = playbook(step("fork", parallel([step("a"), step("b")], [step("c")])), step("after"))
    execution = run_of(book)

    assert execution.start() == (m.RunStep("a", 1), m.RunStep("c", 1))
    assert execution.feed(bad("c")) == ()
    assert execution.feed(good("a")) == (m.RunStep("b", 1),)
    assert execution.feed(bad("b")) == (m.Finish(RunStatus.FAILED),)
    assert execution.failed_step == "b"
    assert outcomes(execution)["fork"] == "failed"


def test_after_parallel_all_branches_are_visible() -> None:
    """A name is visible if its step dominates the reference."""
    execution = started(playbook(step("fork", parallel([step("a")], [step("b")])), step("c")))
    execution.feed(good("b", n=2))
    execution.feed(good("a", n=1))

    assert execution.visible("c") == {"fork": {}, "a": {"n": 1}, "b": {"n": 2}}


@pytest.mark.parametrize(("branch", "begun"), [(0, "a"), (1, "b"), (None, "c")])
def test_choose_runs_one_branch(branch: int | None, begun: str) -> None:
    """The chosen branch, or `otherwise`."""
    execution = started(playbook(step("pick", choose([step("a")], [step("b")], otherwise=[step("c")]))))

    assert execution.feed(m.BranchChosen("pick", branch)) == (m.RunStep(begun, 1),)


def test_choose_without_a_match_is_skipped() -> None:
    """No branch and no `otherwise` is a defined outcome."""
    execution = started(playbook(step("pick", choose([step("a")]))))

    assert execution.feed(m.BranchChosen("pick", None)) == (m.Finish(RunStatus.SUCCEEDED),)
    assert outcomes(execution) == {"pick": "skipped"}


def test_a_branch_that_does_not_exist_is_not_chosen() -> None:
    """An impossible event changes nothing."""
    execution = started(playbook(step("pick", choose([step("a")]))))

    assert execution.feed(m.BranchChosen("pick", 7)) == ()
    assert execution.outstanding() == (m.EvaluateBranch("pick"),)


# -- run ------------------------------------------------------------------------------------------


def test_a_callee_runs_in_its_own_scope() -> None:
    """Its steps have its prefix, see its inputs and its outputs; the caller sees what it declares."""
    callee = playbook(step("isolate"), step("tag"), id="contain-host", outputs={"group": TRUE})
    book = playbook(
        step("facts"), step("contain", p.Run(callee.id, {})), step("after"), callees={callee.id: callee}
    )
    execution = started(book)

    assert execution.feed(good("facts", n=1)) == (m.StartCall("contain"),)
    assert execution.feed(m.CallStarted("contain", {"id": "i-1"})) == (m.RunStep("contain/isolate", 1),)
    assert execution.scope_inputs("contain/isolate") == {"id": "i-1"}
    execution.feed(good("contain/isolate", n=2))
    assert execution.visible("contain/tag") == {"isolate": {"n": 2}}
    assert execution.feed(good("contain/tag")) == (m.EvaluateOutputs("contain"),)
    assert execution.visible("contain/") == {"isolate": {"n": 2}, "tag": {}}
    assert execution.scope_playbook("contain/") is callee
    assert execution.feed(m.OutputsEvaluated("contain", {"group": "g"})) == (m.RunStep("after", 1),)
    assert execution.visible("after") == {"facts": {"n": 1}, "contain": {"group": "g"}}


def test_a_callees_own_failure_steps_run_inside() -> None:
    """`on_failure` and `finally` of the callee run before the caller hears of the failure."""
    callee = playbook(step("a"), id="c", on_failure=(step("tell"),), finally_=(step("tidy"),))
    execution = started(calls(callee, on_failure=(step("page"),)))
    execution.feed(m.CallStarted("contain", {}))

    assert execution.feed(bad("contain/a")) == (m.RunStep("contain/tell", 1),)
    failure = execution.scope_failure("contain/tell")
    assert failure is not None
    assert failure.path == "contain/a"
    assert execution.feed(good("contain/tell")) == (m.RunStep("contain/tidy", 1),)
    assert execution.feed(good("contain/tidy")) == (m.RunStep("page", 1),)
    assert execution.failed_step == "contain/a"


def test_a_partial_callee_makes_the_run_partial() -> None:
    """What was not verified inside is not verified outside."""
    callee = playbook(step("a", on_failure="continue"), id="c")
    execution = started(calls(callee))
    execution.feed(m.CallStarted("contain", {}))

    assert execution.feed(bad("contain/a")) == (m.Finish(RunStatus.PARTIAL),)
    assert outcomes(execution)["contain"] == "applied"


def test_a_call_of_nothing_fails() -> None:
    """A callee that the record does not hold cannot be run."""
    assert run_of(playbook(step("a", p.Run("gone", {})))).start() == (m.Finish(RunStatus.FAILED),)


# -- failures -------------------------------------------------------------------------------------


def test_continue_keeps_the_outcome_and_goes_on() -> None:
    """The step stays failed, the run goes on, and is partial at the end."""
    execution = started(playbook(step("a", on_failure="continue"), step("b")))

    assert execution.feed(bad("a")) == (m.RunStep("b", 1),)
    assert execution.feed(good("b")) == (m.Finish(RunStatus.PARTIAL),)
    assert outcomes(execution)["a"] == "failed"
    assert execution.failed_step is None


@pytest.mark.parametrize(
    ("phase", "status"), [(Phase.ANALYSIS, RunStatus.SUCCEEDED), (Phase.CONTAINMENT, RunStatus.PARTIAL)]
)
def test_steps_replace_a_failure(phase: Phase, status: RunStatus) -> None:
    """The run goes on after them; only an unverified containment leaves it partial."""
    execution = started(playbook(step("a", phase=phase, on_failure=(step("instead"),)), step("b")))

    assert execution.feed(bad("a")) == (m.RunStep("instead", 1),)
    assert execution.feed(good("instead")) == (m.RunStep("b", 1),)
    assert execution.feed(good("b")) == (m.Finish(status),)
    assert outcomes(execution)["a"] == "failed"


def test_a_failing_replacement_stops_the_run() -> None:
    """The first failure is the one that is named."""
    execution = started(playbook(step("a", on_failure=(step("instead"),))))
    execution.feed(bad("a"))

    assert execution.feed(bad("instead")) == (m.Finish(RunStatus.FAILED),)
    assert execution.failed_step == "a"


def test_on_failure_runs_once_and_finally_always() -> None:
    """After a failure: `on_failure`, then `finally`, then the end."""
    book = playbook(step("a"), on_failure=(step("tell"), step("more")), finally_=(step("tidy"),))
    execution = started(book)

    assert execution.feed(bad("a")) == (m.RunStep("tell", 1),)
    assert execution.stage == "recovering"
    assert execution.feed(bad("tell")) == (m.RunStep("tidy", 1),)
    assert execution.stage == "closing"
    assert execution.in_finally("tidy")
    assert execution.feed(good("tidy")) == (m.Finish(RunStatus.FAILED),)
    assert execution.failed_step == "a"


def test_all_of_finally_is_tried() -> None:
    """A failed step of `finally` does not stop the others; the run is partial."""
    execution = started(playbook(step("a"), finally_=(step("x"), step("y"))))
    execution.feed(good("a"))

    assert execution.feed(bad("x")) == (m.RunStep("y", 1),)
    assert execution.feed(good("y")) == (m.Finish(RunStatus.PARTIAL),)


# -- abort, deadline ------------------------------------------------------------------------------


def test_an_abort_settles_what_is_in_flight_then_runs_finally() -> None:
    """No new step begins, waiting ones are dropped, effects are awaited; nothing is undone."""
    forked = parallel(
        [step("act"), step("next")], [step("ask", approve(step("stop")))], [step("w", p.Wait(9.0))]
    )
    execution = started(
        playbook(step("fork", forked), step("b"), on_failure=(step("f"),), finally_=(step("tidy"),))
    )

    assert execution.feed(ABORT) == ()
    assert execution.stage == "stopping"
    assert execution.outstanding() == (m.RunStep("act", 1),)
    assert execution.feed(m.ApprovalGiven("ask", ANN)) == ()
    assert execution.feed(good("act")) == (m.RunStep("tidy", 1),)
    assert execution.feed(good("tidy")) == (m.Finish(RunStatus.ABORTED),)
    assert outcomes(execution) == {
        "fork": "failed", "act": "applied", "ask": "skipped", "w": "skipped", "tidy": "applied",
    }  # fmt: skip
    assert (execution.error or {})["code"] == "aborted"


def test_an_aborted_step_is_not_tried_again() -> None:
    """A retryable failure after an abort is the end of its step; a back-off ends with its last outcome."""
    execution = started(playbook(step("fork", parallel([step("a")], [step("b")]))))
    execution.feed(bad("b", retryable=True, outcome=Outcome.UNKNOWN))
    execution.feed(ABORT)

    assert execution.feed(bad("a", retryable=True)) == (m.Finish(RunStatus.ABORTED),)
    assert outcomes(execution) == {"fork": "failed", "a": "failed", "b": "unknown"}


def test_an_abort_runs_the_callees_finally_too() -> None:
    """Each playbook tidies up, the inner one first."""
    callee = playbook(step("a"), step("b"), id="c", finally_=(step("tidy"),), outputs={"x": TRUE})
    execution = started(calls(callee, finally_=(step("outer"),)))
    execution.feed(m.CallStarted("contain", {}))
    execution.feed(ABORT)

    assert execution.feed(good("contain/a")) == (m.RunStep("contain/tidy", 1),)
    assert execution.feed(good("contain/tidy")) == (m.RunStep("outer", 1),)
    assert execution.feed(good("outer")) == (m.Finish(RunStatus.ABORTED),)


def test_the_deadline_is_an_abort_that_failed() -> None:
    """The run's deadline ends it as failed, after `finally`."""
    execution = started(playbook(step("w", p.Wait(1e9)), finally_=(step("tidy"),)))

    assert execution.feed(m.DeadlinePassed()) == (m.RunStep("tidy", 1),)
    assert execution.feed(ABORT) == ()
    assert execution.feed(good("tidy")) == (m.Finish(RunStatus.FAILED),)
    assert (execution.error or {})["code"] == "deadline-passed"


def test_finally_has_a_bound_of_its_own() -> None:
    """What waits in `finally` is cut when the engine says so; a good run is then partial."""
    execution = started(playbook(step("a"), finally_=(step("w", p.Wait(1e9)), step("x"))))
    execution.feed(good("a"))

    assert execution.feed(m.DeadlinePassed("finally")) == (m.Finish(RunStatus.PARTIAL),)


def test_nothing_follows_the_end() -> None:
    """An ended run takes no event, and its Finish stays due until the engine has recorded it."""
    execution = started(playbook(step("a")))
    execution.feed(good("a"))

    assert execution.feed(ABORT) == ()
    assert execution.feed(bad("a")) == ()
    assert execution.outstanding() == (m.Finish(RunStatus.SUCCEEDED),)


# -- cost -----------------------------------------------------------------------------------------


def elapsed_s(count: int) -> float:
    """Return the best of three times to run a flat playbook."""
    book = playbook(*(step(f"s{index}") for index in range(count)))
    times = []
    for _ in range(3):
        execution = started(book)
        events = [good(f"s{index}") for index in range(count)]
        begun = time.perf_counter()
        for event in events:
            execution.feed(event)
        times.append(time.perf_counter() - begun)
        assert execution.status is RunStatus.SUCCEEDED
    return min(times)


def test_a_long_playbook_costs_linear_time() -> None:
    """Ten times the steps take about ten times as long."""
    assert elapsed_s(5000) < 30 * elapsed_s(500)


def test_a_wide_loop_costs_linear_time() -> None:
    """An event touches only the ancestors of its leaf, however many siblings there are."""
    events = []
    for count in (300, 3000):
        execution = started(playbook(step("a", for_each=each(at_most=count))))
        execution.feed(m.ItemsEvaluated("a", tuple(range(count))))
        begun = time.perf_counter()
        for index in range(count):
            execution.feed(good(f"a[{index}]"))
            assert execution.status is not None
        events.append((time.perf_counter() - begun) / count)

    assert events[1] < 5 * events[0]


def test_neither_depth_nor_length_recurses() -> None:
    """Thousands of steps that end at once, and deep nesting, need no deep stack."""
    inner = step("leaf")
    for level in range(sys.getrecursionlimit() * 2):
        inner = step(f"n{level}", parallel([inner]))
    empty = [step(f"e{index}", parallel()) for index in range(5000)]
    execution = started(playbook(*empty, inner))

    assert execution.feed(good("leaf")) == (m.Finish(RunStatus.SUCCEEDED),)
