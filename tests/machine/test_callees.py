"""The life of a playbook: failures, `finally`, called playbooks, abort and deadline."""

from __future__ import annotations

from typing import Any

import pytest

from irrunner.machine import messages as m
from irrunner.playbook import model as p
from irrunner.vocabulary import Outcome, Phase, RunStatus
from tests.machine.machine_driver import (
    TRUE,
    approve,
    bad,
    good,
    outcomes,
    parallel,
    playbook,
    run_of,
    started,
    step,
)

ANN, BOB = {"id": "ann"}, {"id": "bob"}
ABORT = m.AbortRequested(ANN, "enough")


def calls(callee: p.Playbook, **fields: Any) -> p.Playbook:
    """Make a playbook whose only step `contain` runs another one."""
    return playbook(step("contain", p.Run(callee.id, {})), callees={callee.id: callee}, **fields)


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
    failure = execution.failure_at("contain/tell")
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
    ("phase", "status"),
    [
        (Phase.ANALYSIS, RunStatus.SUCCEEDED),
        (Phase.CONTAINMENT, RunStatus.PARTIAL),
        (None, RunStatus.PARTIAL),
    ],
)
def test_steps_replace_a_failure(phase: Phase | None, status: RunStatus) -> None:
    """The run goes on after them; an unverified containment, or what may be one, leaves it partial."""
    execution = started(playbook(step("a", phase=phase, on_failure=(step("instead"),)), step("b")))

    assert execution.feed(bad("a")) == (m.RunStep("instead", 1),)
    assert execution.feed(good("instead")) == (m.RunStep("b", 1),)
    assert execution.feed(good("b")) == (m.Finish(status),)
    assert outcomes(execution)["a"] == "failed"


@pytest.mark.parametrize("on_failure", ["continue", (step("instead"),)])
def test_evidence_that_was_not_preserved_leaves_the_run_partial(on_failure: Any) -> None:
    """Whatever phase the step says it is in: `analysis` is the usual one of memory and triage."""
    memory = p.Uses("aws.ssm.capture-memory", {}, evidence=True)
    execution = started(playbook(step("a", memory, phase=Phase.ANALYSIS, on_failure=on_failure)))

    execution.feed(bad("a"))
    if on_failure != "continue":
        execution.feed(good("instead"))

    assert execution.status is RunStatus.PARTIAL


def test_failure_steps_see_the_failure_they_are_for() -> None:
    """`run.failed_step` in a step's own `on_failure` is that step, though the run has not failed."""
    execution = started(playbook(step("a", on_failure=(step("fork", parallel([step("r")])),)), step("b")))
    execution.feed(bad("a"))
    inside = execution.failure_at("r")
    execution.feed(good("r"))

    assert inside is not None
    assert inside.path == "a"
    assert execution.failure_at("b") is None
    assert execution.failed_step is None


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
    stop = execution.failure_at("tidy")
    assert stop is not None
    assert stop.error["code"] == "deadline-passed"
    assert execution.feed(good("tidy")) == (m.Finish(RunStatus.FAILED),)
    assert execution.error == stop.error


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
