"""What goes into an :class:`~irrunner.machine.execution.Execution` (events) and comes out (commands).

Events are facts: each is journalled before it is fed, so that a fold over the journal rebuilds the
Execution. Commands are derived from the state; issuing one twice is harmless because its answer is an
event, and an event that no longer fits (duplicate, late) changes nothing.

A *path* names one instance of a step: ``isolate``, ``copy_out[3]`` (item 3 of a ``for_each``),
``matrix[1][0]`` (nested), ``contain/isolate`` (step of the playbook that step ``contain`` runs).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

from irrunner.vocabulary import Outcome, RunStatus

Purpose: TypeAlias = Literal["wait", "retry", "approval", "escalation", "manual", "poll", "until"]


@dataclass(frozen=True, slots=True)
class WhenEvaluated:
    """The step's ``when`` was evaluated."""

    kind: ClassVar[str] = "when_evaluated"
    path: str
    holds: bool


@dataclass(frozen=True, slots=True)
class ItemsEvaluated:
    """The items of a ``for_each`` were evaluated (plain data, journalled: a fold never evaluates again)."""

    kind: ClassVar[str] = "items_evaluated"
    path: str
    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class BranchChosen:
    """A ``choose`` was decided: index of the branch, or None for ``otherwise``."""

    kind: ClassVar[str] = "branch_chosen"
    path: str
    branch: int | None


@dataclass(frozen=True, slots=True)
class EvaluationFailed:
    """An expression failed: the step fails (never runs, never is skipped)."""

    kind: ClassVar[str] = "evaluation_failed"
    path: str
    error: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A ``run`` step began: the callee's inputs, evaluated."""

    kind: ClassVar[str] = "call_started"
    path: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OutputsEvaluated:
    """The declared outputs of a ``run`` step's callee, evaluated when the callee had ended well."""

    kind: ClassVar[str] = "outputs_evaluated"
    path: str
    outputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StepSucceeded:
    """An attempt ended well and was verified (or verification is not the action's to give)."""

    kind: ClassVar[str] = "step_verified"
    path: str
    attempt: int
    outcome: Outcome
    outputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StepFailed:
    """An attempt failed. ``outcome`` is failed, refused or unknown."""

    kind: ClassVar[str] = "step_failed"
    path: str
    attempt: int
    outcome: Outcome
    error: Mapping[str, Any]
    retryable: bool


@dataclass(frozen=True, slots=True)
class PollAnswered:
    """One poll of ``wait.until``: whether the condition holds; only the last is journalled."""

    kind: ClassVar[str] = "poll_answered"
    path: str
    polls: int
    holds: bool
    outputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A durable timer's instant has passed; ``attempt`` is that of its StartTimer."""

    kind: ClassVar[str] = "timer_fired"
    path: str
    purpose: Purpose
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class ApprovalGiven:
    """A person approved; ``by`` is who, as recorded."""

    kind: ClassVar[str] = "approval_given"
    path: str
    by: Mapping[str, Any]
    plan_sha256: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalDenied:
    """A person denied."""

    kind: ClassVar[str] = "approval_denied"
    path: str
    by: Mapping[str, Any]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalStale:
    """The gate plan changed between decision and execution: asked anew."""

    kind: ClassVar[str] = "approval_stale"
    path: str
    difference: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ManualConfirmed:
    """A person confirmed (``done``) or gave up a manual instruction."""

    kind: ClassVar[str] = "manual_confirmed"
    path: str
    by: Mapping[str, Any]
    done: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class AbortRequested:
    """No new step; what is in flight is settled, then ``finally``."""

    kind: ClassVar[str] = "abort_requested"
    by: Mapping[str, Any]
    reason: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The run's deadline passed: as an abort, but the run failed.

    With the path ``finally`` it is the bound on ``finally`` that passed: what is left of it is cut.
    """

    kind: ClassVar[str] = "deadline_passed"
    path: str = ""


Event: TypeAlias = (
    "WhenEvaluated | ItemsEvaluated | BranchChosen | EvaluationFailed | CallStarted | OutputsEvaluated"
    " | StepSucceeded | StepFailed | PollAnswered | TimerFired | ApprovalGiven | ApprovalDenied"
    " | ApprovalStale | ManualConfirmed | AbortRequested | DeadlinePassed"
)

EVENTS: Mapping[str, type[Any]] = {
    cls.kind: cls
    for cls in (
        WhenEvaluated, ItemsEvaluated, BranchChosen, EvaluationFailed, CallStarted, OutputsEvaluated,
        StepSucceeded, StepFailed, PollAnswered, TimerFired, ApprovalGiven, ApprovalDenied, ApprovalStale,
        ManualConfirmed, AbortRequested, DeadlinePassed,
    )
}  # fmt: skip


def event_body(event: Event) -> dict[str, Any]:
    """Return the event's fields, as they are, in a new dict (without its kind)."""
    return {name: getattr(event, name) for name in event.__slots__}


def event_of(kind: str, body: Mapping[str, Any]) -> Event | None:
    """Return the event of a journal record, or None where the kind is no machine event."""
    cls = EVENTS.get(kind)
    if cls is None:
        return None
    values = dict(body)
    if "outcome" in values:
        values["outcome"] = Outcome(values["outcome"])
    for name in ("items", "difference"):
        if name in values:
            values[name] = tuple(values[name])
    return cls(**{name: value for name, value in values.items() if name in cls.__slots__})  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class EvaluateWhen:
    """Evaluate the step's ``when``; answer: WhenEvaluated or EvaluationFailed."""

    path: str


@dataclass(frozen=True, slots=True)
class EvaluateItems:
    """Evaluate the step's ``for_each``; answer: ItemsEvaluated or EvaluationFailed."""

    path: str


@dataclass(frozen=True, slots=True)
class EvaluateBranch:
    """Evaluate the guards of a ``choose`` in order; answer: BranchChosen or EvaluationFailed."""

    path: str


@dataclass(frozen=True, slots=True)
class StartCall:
    """Evaluate the inputs of a ``run`` step; answer: CallStarted or EvaluationFailed."""

    path: str


@dataclass(frozen=True, slots=True)
class EvaluateOutputs:
    """Evaluate the callee's declared outputs, in the callee's scope ``path + "/"``.

    Answer: OutputsEvaluated or EvaluationFailed.
    """

    path: str


@dataclass(frozen=True, slots=True)
class RunStep:
    """Run a ``uses`` step's action; answer: StepSucceeded, StepFailed or EvaluationFailed."""

    path: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Poll:
    """Poll a ``wait.until``; answer: PollAnswered, StepFailed or EvaluationFailed."""

    path: str
    polls: int


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Make a durable timer; answer, when it is due: TimerFired.

    ``delay_s`` counts from the instant the timer is journalled; ``jitter`` asks for full jitter in
    (delay/2, delay).
    """

    path: str
    purpose: Purpose
    delay_s: float
    attempt: int = 0
    jitter: bool = False


@dataclass(frozen=True, slots=True)
class AskApproval:
    """Open a gate: make its plan, tell the approvers.

    Answer: ApprovalGiven, ApprovalDenied, ApprovalStale or EvaluationFailed.
    """

    path: str
    asked: int = 0
    """How often it was asked before (stale plans)."""
    escalated: bool = False
    """Whether half of ``within`` has passed: tell the ``escalate`` list too."""


@dataclass(frozen=True, slots=True)
class AskManual:
    """Show an instruction; answer: ManualConfirmed."""

    path: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The run has ended."""

    status: RunStatus


Command: TypeAlias = (
    "EvaluateWhen | EvaluateItems | EvaluateBranch | StartCall | EvaluateOutputs | RunStep | Poll"
    " | StartTimer | AskApproval | AskManual | Finish"
)


@dataclass(frozen=True, slots=True)
class StepView:
    """What a person or an expression may know of one step instance."""

    path: str
    step_id: str
    outcome: Outcome
    attempts: int = 0
    outputs: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    waiting_for: Purpose | None = None
    items: tuple[Any, ...] | None = None
    children: tuple[str, ...] = field(default=())
