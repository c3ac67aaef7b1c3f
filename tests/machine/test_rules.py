"""The rules of sequences, modifiers and branches."""

from __future__ import annotations

import pytest

from irrunner.machine import messages as m
from irrunner.machine.execution import Execution
from irrunner.playbook import model as p
from irrunner.vocabulary import Outcome, RunStatus
from tests.machine.machine_driver import (
    TRUE,
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
)


def fire(execution: Execution, path: str, purpose: m.Purpose, attempt: int = 0) -> tuple[m.Command, ...]:
    """Fire a timer."""
    return execution.feed(m.TimerFired(path, purpose, attempt))


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
