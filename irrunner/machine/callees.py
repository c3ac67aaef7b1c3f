"""The life of a playbook inside the machine: steps, ``on_failure``, ``finally``, and its end.

The run itself and every callee of a ``run`` step live the same life; only their ends differ.
"""

from __future__ import annotations

from irrunner.machine.flow import Flow
from irrunner.machine.messages import AbortRequested, CallStarted, DeadlinePassed, EvaluateOutputs, StartCall
from irrunner.machine.tree import Frame, Lane, Node, Role, Scope
from irrunner.playbook.model import Playbook, Run
from irrunner.vocabulary import RunStatus

STATUSES = {
    "succeed": RunStatus.SUCCEEDED,
    "fall_short": RunStatus.PARTIAL,
    "give_up": RunStatus.FAILED,
    "abort": RunStatus.ABORTED,
}


def live(flow: Flow, owner: Node, frame: Frame) -> None:
    """Begin a playbook's life."""
    owner.callee = frame
    flow.turn(frame.scope, "start")
    flow.open(owner, Role.STEPS, frame.scope.playbook.steps, frame)


def call(flow: Flow, node: Node) -> None:
    """Begin a ``run`` step."""
    flow.move(node, "decide")
    if _callee_of(flow, node) is None:
        error = {"code": "unknown-playbook", "message": "the called playbook is not part of this run"}
        flow.end(node, "fail", error=error)
    else:
        flow.issue(node, StartCall(node.path))


def called(flow: Flow, node: Node, event: CallStarted) -> None:
    """Begin the callee's life with its inputs."""
    playbook = _callee_of(flow, node)
    if playbook is not None:
        flow.answered(node)
        flow.move(node, "run")
        live(flow, node, Frame(Scope(playbook, f"{node.path}/", event.inputs)))


def _callee_of(flow: Flow, node: Node) -> Playbook | None:
    kind = node.step.kind
    if not isinstance(kind, Run):
        return None
    near = node.lane.frame.scope.playbook.callees.get(kind.playbook)
    return near or flow.scope.playbook.callees.get(kind.playbook)


def steps_done(flow: Flow, owner: Node, lane: Lane) -> None:
    """Go to ``on_failure`` after a failure, else to ``finally``."""
    scope = lane.frame.scope
    scope.failure = lane.failure
    if lane.failure is not None and not flow.halted(lane):
        flow.turn(scope, "fail")
        flow.open(owner, Role.ON_FAILURE, scope.playbook.on_failure, lane.frame)
    else:
        _close(flow, owner, lane)


def on_failure_done(flow: Flow, owner: Node, lane: Lane) -> None:
    """Go to ``finally``, however ``on_failure`` ended: the first failure counts."""
    _close(flow, owner, lane)


def _close(flow: Flow, owner: Node, lane: Lane) -> None:
    scope = lane.frame.scope
    if flow.halted(lane):
        if scope.state != "stopping":
            flow.turn(scope, "stop")
        flow.turn(scope, "settle")
    else:
        flow.turn(scope, "complete")
    flow.open(owner, Role.FINALLY, scope.playbook.finally_, lane.frame)


def finally_done(flow: Flow, owner: Node, lane: Lane) -> None:
    """End the playbook's life; a failed ``finally`` leaves the run short, not failed."""
    scope = lane.frame.scope
    flow.short |= lane.failure is not None or lane.cut
    trigger = _end_of(flow, owner, scope)
    flow.turn(scope, trigger)
    if owner is flow.root:
        flow.finish_run(STATUSES[trigger])
    elif flow.halted(owner.lane):
        flow.cut(owner, "fail")
    elif scope.failure is not None:
        flow.fail_with(owner, scope.failure)
    elif scope.playbook.outputs:
        flow.issue(owner, EvaluateOutputs(owner.path))
    else:
        flow.end(owner, "apply")


def _end_of(flow: Flow, owner: Node, scope: Scope) -> str:
    if flow.stopped is not None and flow.halted(owner.lane):
        return flow.stopped
    if scope.failure is not None:
        return "give_up"
    return "fall_short" if flow.short else "succeed"


def abort(flow: Flow, event: AbortRequested) -> None:
    """Halt on a person's request."""
    _stop(flow, "abort", {"code": "aborted", "message": event.reason, "by": dict(event.by)})


def expire(flow: Flow, event: DeadlinePassed) -> None:
    """Halt at the run's deadline; or cut ``finally`` at its own."""
    if event.path != "finally":
        _stop(flow, "give_up", {"code": "deadline-passed", "message": "the run's deadline passed"})
    elif flow.scope.state in ("stopping", "closing"):
        flow.halt(2, {"code": "finally-cut", "message": "`finally` took too long"})


def _stop(flow: Flow, trigger: str, error: dict[str, object]) -> None:
    if flow.scope.state in ("running", "recovering"):
        flow.stopped, flow.stop_error = trigger, error
        flow.turn(flow.scope, "stop")
        flow.halt(1, error)
