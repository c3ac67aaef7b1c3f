"""The rules of steps that wait for time."""

from __future__ import annotations

from irrunner.machine import messages as m
from irrunner.machine.execution import Execution
from irrunner.playbook import model as p
from irrunner.vocabulary import RunStatus
from tests.machine.machine_driver import (
    bad,
    playbook,
    run_of,
    started,
    step,
    wait_until,
)


def fire(execution: Execution, path: str, purpose: m.Purpose, attempt: int = 0) -> tuple[m.Command, ...]:
    """Fire a timer."""
    return execution.feed(m.TimerFired(path, purpose, attempt))


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
