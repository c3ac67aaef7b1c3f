"""The rules of every step kind, as three tables: how it begins, what an answer does, what a lane's end does.

``BEGIN[kind]`` starts a step. ``ANSWERS[command, event]`` says what an event does to the step whose due
command it answers: an event with no entry, or for no due command, is late or a duplicate and changes
nothing. ``CONCLUDED[role]`` says what the end of a lane means to the step that opened it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, TypeAlias

from irrunner.machine import callees, gates, waits
from irrunner.machine.flow import Flow
from irrunner.machine.messages import (
    ApprovalDenied,
    ApprovalGiven,
    ApprovalStale,
    AskApproval,
    AskManual,
    BranchChosen,
    CallStarted,
    EvaluateBranch,
    EvaluateItems,
    EvaluateOutputs,
    EvaluateWhen,
    EvaluationFailed,
    ItemsEvaluated,
    ManualConfirmed,
    OutputsEvaluated,
    Poll,
    PollAnswered,
    RunStep,
    StartCall,
    StartTimer,
    StepFailed,
    StepSucceeded,
    TimerFired,
    WhenEvaluated,
)
from irrunner.machine.tree import VERDICTS, Lane, Node, Role
from irrunner.playbook.model import (
    Approve,
    Choose,
    Manual,
    Parallel,
    Retry,
    Run,
    Uses,
    Wait,
    WaitUntil,
)
from irrunner.vocabulary import Outcome

Begin: TypeAlias = Callable[[Flow, Node], None]
Answer: TypeAlias = Callable[[Flow, Node, Any], None]
Conclude: TypeAlias = Callable[[Flow, Node, Lane], None]

LONGEST_BACKOFF_S = 60.0
MOST_DOUBLINGS = 30


def begin(flow: Flow, node: Node) -> None:
    """Begin a step that was entered: ``when`` first, once for all items."""
    if node.step.when is not None and node.lane.role is not Role.ITEM:
        flow.move(node, "decide")
        flow.issue(node, EvaluateWhen(node.path))
    else:
        _unfold(flow, node)


def _unfold(flow: Flow, node: Node) -> None:
    if node.step.for_each is not None and node.lane.role is not Role.ITEM:
        flow.move(node, "decide")
        flow.issue(node, EvaluateItems(node.path))
    else:
        BEGIN[type(node.step.kind)](flow, node)


# -- modifiers ------------------------------------------------------------------------------------


def _when_evaluated(flow: Flow, node: Node, event: WhenEvaluated) -> None:
    flow.answered(node)
    if event.holds:
        _unfold(flow, node)
    else:
        flow.end(node, "skip")


def _items_evaluated(flow: Flow, node: Node, event: ItemsEvaluated) -> None:
    flow.answered(node)
    flow.move(node, "run")
    node.items = tuple(event.items)
    at_most = node.step.for_each.at_most if node.step.for_each else 0
    for _ in range(min(max(1, at_most), len(node.items))):
        _next_item(flow, node)
    _join(flow, node)


def _next_item(flow: Flow, node: Node) -> None:
    """Open the next item's lane, if there is one and the run does not halt."""
    items, for_each, index = node.items or (), node.step.for_each, len(node.inner)
    if for_each is not None and index < len(items) and not flow.halted(node.lane):
        node.open += 1
        flow.open_item(node, index, for_each.name, items[index])


def _item_done(flow: Flow, node: Node, lane: Lane) -> None:
    del lane
    node.open -= 1
    _next_item(flow, node)
    _join(flow, node)


def _evaluation_failed(flow: Flow, node: Node, event: EvaluationFailed) -> None:
    flow.end(node, "fail", error=event.error)


def _recovered(flow: Flow, node: Node, lane: Lane) -> None:
    """Go on after a step's own ``on_failure``; where that failed too, the first failure counts."""
    if lane.cut:
        node.lane.cut = True
        flow.agenda.append(node.lane)
    elif lane.failure is not None:
        flow.stop(node.lane, node.failure or lane.failure)
    else:
        flow.go_on(node.lane)


# -- uses -----------------------------------------------------------------------------------------


def _use(flow: Flow, node: Node) -> None:
    flow.move(node, "run")
    node.attempt += 1
    flow.issue(node, RunStep(node.path, node.attempt))


def _step_succeeded(flow: Flow, node: Node, event: StepSucceeded) -> None:
    if event.attempt == node.attempt and event.outcome.good:
        trigger = "find" if event.outcome is Outcome.ALREADY_DONE else "apply"
        flow.end(node, trigger, outputs=event.outputs)


def _step_failed(flow: Flow, node: Node, event: StepFailed) -> None:
    if event.attempt != node.attempt:
        return
    node.verdict = VERDICTS.get(event.outcome, "fail")
    retry = node.step.retry or Retry()
    if event.retryable and node.attempt < retry.attempts and not flow.halted(node.lane):
        flow.answered(node)
        flow.move(node, "back_off")
        node.error = event.error
        delay = min(LONGEST_BACKOFF_S, retry.backoff_s * 2.0 ** min(node.attempt - 1, MOST_DOUBLINGS))
        flow.timer(node, "retry", delay, node.attempt, jitter=True)
    else:
        flow.end(node, node.verdict, error=event.error)


# -- timers ---------------------------------------------------------------------------------------


def _fired(flow: Flow, node: Node, event: TimerFired) -> None:
    timer = node.due[event.purpose]
    if isinstance(timer, StartTimer) and timer.attempt == event.attempt:
        flow.answered(node, event.purpose)
        FIRED[event.purpose](flow, node)


# -- parallel, choose -----------------------------------------------------------------------------


def _fork(flow: Flow, node: Node) -> None:
    flow.move(node, "run")
    kind = node.step.kind
    if isinstance(kind, Parallel):
        node.open = len(kind.branches)
        for branch in kind.branches:
            flow.open(node, Role.BRANCH, branch)
    _join(flow, node)


def _branch_done(flow: Flow, node: Node, lane: Lane) -> None:
    del lane
    node.open -= 1
    _join(flow, node)


def _join(flow: Flow, node: Node) -> None:
    """End a step whose lanes have all ended; the first failure in document order counts."""
    if node.open:
        return
    failure = next((lane.failure for lane in node.inner if lane.failure is not None), None)
    unopened = node.items is not None and len(node.inner) < len(node.items)
    if unopened or any(lane.cut for lane in node.inner):
        flow.cut(node, "fail")
    elif failure is not None:
        flow.fail_with(node, failure)
    else:
        flow.end(node, "apply")


def _decide(flow: Flow, node: Node) -> None:
    flow.move(node, "decide")
    flow.issue(node, EvaluateBranch(node.path))


def _branch_chosen(flow: Flow, node: Node, event: BranchChosen) -> None:
    kind = node.step.kind
    if not isinstance(kind, Choose):
        return
    chosen = dict(enumerate(branch.steps for branch in kind.branches))
    if event.branch is not None and event.branch not in chosen:
        return
    flow.answered(node)
    if event.branch is None and not kind.otherwise:
        flow.end(node, "skip")
        return
    flow.move(node, "run")
    flow.open(node, Role.CHOSEN, kind.otherwise if event.branch is None else chosen[event.branch])


# -- run ------------------------------------------------------------------------------------------


def _outputs_evaluated(flow: Flow, node: Node, event: OutputsEvaluated) -> None:
    flow.end(node, "apply", outputs=event.outputs)


BEGIN: Mapping[type[Any], Begin] = {
    Uses: _use,
    Approve: gates.ask,
    Parallel: _fork,
    Choose: _decide,
    Wait: waits.wait,
    WaitUntil: waits.wait_until,
    Run: callees.call,
    Manual: gates.instruct,
}

ANSWERS: Mapping[tuple[type[Any], type[Any]], Answer] = {
    (EvaluateWhen, WhenEvaluated): _when_evaluated,
    (EvaluateItems, ItemsEvaluated): _items_evaluated,
    (EvaluateBranch, BranchChosen): _branch_chosen,
    (StartCall, CallStarted): callees.called,
    (EvaluateOutputs, OutputsEvaluated): _outputs_evaluated,
    (RunStep, StepSucceeded): _step_succeeded,
    (RunStep, StepFailed): _step_failed,
    (Poll, PollAnswered): waits.polled,
    (Poll, StepFailed): waits.poll_failed,
    (NoneType, PollAnswered): waits.polled,
    (AskApproval, ApprovalGiven): gates.approved,
    (AskApproval, ApprovalDenied): gates.denied,
    (AskApproval, ApprovalStale): gates.stale,
    (NoneType, ApprovalStale): gates.stale_when_open,
    (AskManual, ManualConfirmed): gates.confirmed,
    (StartTimer, TimerFired): _fired,
    **{
        (command, EvaluationFailed): _evaluation_failed
        for command in (
            EvaluateWhen, EvaluateItems, EvaluateBranch, StartCall, EvaluateOutputs,
            RunStep, Poll, AskApproval, AskManual,
        )
    },
}  # fmt: skip

FIRED: Mapping[str, Begin] = {
    "wait": waits.waited,
    "retry": _use,
    "approval": gates.expired,
    "escalation": gates.escalate,
    "manual": gates.manual_expired,
    "poll": waits.poll,
    "until": waits.timed_out,
}

CONCLUDED: Mapping[Role, Conclude] = {
    Role.STEPS: callees.steps_done,
    Role.ON_FAILURE: callees.on_failure_done,
    Role.FINALLY: callees.finally_done,
    Role.THEN: Flow.end_with,
    Role.OTHERWISE: gates.otherwise_done,
    Role.CHOSEN: Flow.end_with,
    Role.BRANCH: _branch_done,
    Role.ITEM: _item_done,
    Role.RECOVERY: _recovered,
}
