"""Steps that wait for time: ``wait``, and ``wait.until``, which polls."""

from __future__ import annotations

from irrunner.machine.flow import Flow
from irrunner.machine.messages import Poll, PollAnswered, StepFailed
from irrunner.machine.tree import VERDICTS, Node
from irrunner.playbook.model import Wait, WaitUntil


def wait(flow: Flow, node: Node) -> None:
    """Begin a ``wait`` step."""
    flow.move(node, "wait")
    kind = node.step.kind
    if isinstance(kind, Wait):
        flow.timer(node, "wait", kind.for_s)


def waited(flow: Flow, node: Node) -> None:
    """End a ``wait`` step: its time has passed."""
    flow.end(node, "apply")


def wait_until(flow: Flow, node: Node) -> None:
    """Begin a ``wait.until`` step: poll at once, and bound it all."""
    kind = node.step.kind
    if isinstance(kind, WaitUntil):
        poll(flow, node)
        flow.timer(node, "until", kind.timeout_s)


def poll(flow: Flow, node: Node) -> None:
    """Poll once more."""
    flow.move(node, "run")
    node.attempt += 1
    flow.issue(node, Poll(node.path, node.attempt))


def polled(flow: Flow, node: Node, event: PollAnswered) -> None:
    """Take a poll's answer, or a later poll's: earlier ones need not have been journalled."""
    if not _current(node, event.polls):
        return
    node.attempt = event.polls
    if event.holds:
        flow.end(node, "apply", outputs=event.outputs)
    else:
        node.error = None
        _poll_later(flow, node)


def poll_failed(flow: Flow, node: Node, event: StepFailed) -> None:
    """Poll again after a failure that may pass: the time-out bounds it."""
    if not _current(node, event.attempt):
        return
    node.attempt = event.attempt
    if event.retryable:
        node.error = event.error
        _poll_later(flow, node)
    else:
        flow.end(node, VERDICTS.get(event.outcome, "fail"), error=event.error)


def _current(node: Node, polls: int) -> bool:
    """Return whether an answer belongs to the poll that is due, or to a later one."""
    if "until" not in node.due or polls < node.attempt:
        return False
    return polls > node.attempt or type(node.due.get("")) is Poll


def _poll_later(flow: Flow, node: Node) -> None:
    flow.answered(node)
    if node.state == "running":
        flow.move(node, "wait")
    kind = node.step.kind
    if isinstance(kind, WaitUntil):
        flow.timer(node, "poll", kind.every_s, node.attempt)


def timed_out(flow: Flow, node: Node) -> None:
    """Fail a ``wait.until`` whose condition did not hold in time."""
    message = f"the condition did not hold in time ({node.attempt} polls)"
    last = {"last_error": node.error} if node.error else {}
    flow.end(node, "fail", error={"code": "action-timed-out", "message": message, **last})
