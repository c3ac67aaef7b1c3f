"""Builders of playbooks, a hypothesis strategy for them, and an engine in miniature that answers commands."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from irrunner.machine import messages as m
from irrunner.machine.chart import build_chart
from irrunner.machine.execution import Execution
from irrunner.playbook import model as p
from irrunner.vocabulary import Outcome, Phase, RunStatus

PLACE = p.Place("test.yaml", 1, 1)
TRUE = p.Expr("true", PLACE)
MOST_EVENTS = 20_000


# -- builders -------------------------------------------------------------------------------------


def playbook(*steps: p.Step, **fields: Any) -> p.Playbook:
    """Make a playbook of steps; ``fields`` override anything else."""
    defaults: dict[str, Any] = {
        "id": "main", "version": "1.0.0", "title": "A test", "owner": "tests", "description": "",
        "references": (), "techniques": (), "triggers": (), "inputs": {}, "outputs": {}, "limits": {},
        "objectives": {}, "order": "evidence-first", "priority": 0,
        "deadline_s": 3600.0, "reopen_after_s": 86400.0, "on_failure": (), "finally_": (), "tests": (),
        "place": PLACE, "text": "", "sha256": "0" * 64, "callees": {},
    }  # fmt: skip
    return p.Playbook(**{**defaults, "steps": steps, **fields})


def step(identity: str, kind: p.StepKind | None = None, **fields: Any) -> p.Step:
    """Make a step; without a kind it uses an action."""
    return p.Step(identity, kind or p.Uses("aws.ec2.stop-instance", {}), PLACE, **fields)


def each(name: str = "item", at_most: int = 10) -> p.ForEach:
    """Make a ``for_each``."""
    return p.ForEach(TRUE, name, at_most)


def approve(*then: p.Step, **fields: Any) -> p.Approve:
    """Make an ``approve``."""
    defaults: dict[str, Any] = {
        "message": "Stop it?", "approvers": ("approver",), "within_s": 1800.0, "escalate": (), "minimum": 1,
        "otherwise": (),
    }  # fmt: skip
    return p.Approve(**{**defaults, "then": then, **fields})


def wait_until(timeout_s: float = 600.0) -> p.WaitUntil:
    """Make a ``wait.until``."""
    return p.WaitUntil("aws.ec2.describe-instance", {}, TRUE, 15.0, timeout_s)


def choose(*branches: Sequence[p.Step], otherwise: Sequence[p.Step] = ()) -> p.Choose:
    """Make a ``choose``."""
    return p.Choose(tuple(p.Branch(TRUE, tuple(steps)) for steps in branches), tuple(otherwise))


def parallel(*branches: Sequence[p.Step]) -> p.Parallel:
    """Make a ``parallel``."""
    return p.Parallel(tuple(tuple(branch) for branch in branches))


def run_of(book: p.Playbook) -> Execution:
    """Make a run that has not started."""
    return Execution(build_chart(book))


def started(book: p.Playbook) -> Execution:
    """Make a run that has started."""
    execution = run_of(book)
    execution.start()
    return execution


def good(path: str, attempt: int = 1, **outputs: Any) -> m.StepSucceeded:
    """Make the event of a verified attempt."""
    return m.StepSucceeded(path, attempt, Outcome.APPLIED, outputs)


def bad(
    path: str, attempt: int = 1, *, retryable: bool = False, outcome: Outcome = Outcome.FAILED
) -> m.StepFailed:
    """Make the event of a failed attempt."""
    return m.StepFailed(path, attempt, outcome, {"code": "test", "message": f"{path} failed"}, retryable)


def outcomes(execution: Execution) -> dict[str, str]:
    """Return each begun path's outcome."""
    return {path: str(view.outcome) for path, view in execution.views().items()}


# -- a strategy for playbooks ---------------------------------------------------------------------


class Ids:
    """Unique step ids."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    def __call__(self) -> str:
        """Return the next id."""
        return f"s{next(self._numbers)}"


@st.composite
def playbooks(draw: st.DrawFn, depth: int = 3) -> p.Playbook:
    """Draw a playbook: every kind and modifier, nested to a depth, with callees."""
    names = iter(f"callee{index}" for index in itertools.count())
    return _playbook(draw, "main", depth, names)


def _playbook(draw: st.DrawFn, name: str, depth: int, names: Iterator[str]) -> p.Playbook:
    ids, callees = Ids(), {}

    def sequence(level: int, most: int = 3, least: int = 0) -> tuple[p.Step, ...]:
        return tuple(one(level) for _ in range(draw(st.integers(least, most))))

    def callee(level: int) -> p.Run:
        called = _playbook(draw, next(names), level - 1, names)
        callees[called.id] = called
        return p.Run(called.id, {})

    def kind(level: int) -> p.StepKind:
        flat: list[Callable[[], p.StepKind]] = [
            lambda: p.Uses("aws.ec2.stop-instance", {}),
            lambda: p.Wait(60.0),
            wait_until,
            lambda: p.Manual("look", ("approver",), 600.0),
        ]
        nested: list[Callable[[], p.StepKind]] = [
            lambda: approve(
                *sequence(level - 1, 2),
                minimum=draw(st.integers(1, 2)),
                escalate=draw(st.sampled_from([(), ("lead",)])),
                otherwise=sequence(level - 1, 1),
            ),
            lambda: parallel(*(sequence(level - 1, 2) for _ in range(draw(st.integers(0, 3))))),
            lambda: choose(
                *(sequence(level - 1, 2) for _ in range(draw(st.integers(1, 2)))),
                otherwise=sequence(level - 1, 1),
            ),
            lambda: callee(level),
        ]
        return draw(st.sampled_from(flat + nested if level > 0 else flat))()

    def on_failure(level: int) -> Any:
        policy = draw(st.sampled_from(["stop", "stop", "continue", "steps"]))
        return sequence(max(0, level - 1), 2) if policy == "steps" else policy

    def one(level: int) -> p.Step:
        return step(
            ids(),
            kind(level),
            phase=draw(st.sampled_from([None, Phase.ANALYSIS, Phase.CONTAINMENT])),
            when=draw(st.sampled_from([None, None, TRUE])),
            for_each=draw(st.sampled_from([None, None, None, each(at_most=1), each(at_most=2)])),
            retry=draw(st.sampled_from([None, p.Retry(2, 1.0)])),
            on_failure=on_failure(level),
        )

    return playbook(
        *sequence(depth, 3, least=1), id=name, callees=callees,
        on_failure=sequence(min(depth, 1), 1), finally_=sequence(min(depth, 1), 2),
        outputs=draw(st.sampled_from([{}, {"result": TRUE}])),
    )  # fmt: skip


# -- an engine in miniature -----------------------------------------------------------------------


class Oracle:
    """Answers commands by their path (and attempt) alone, so that order cannot change an answer."""

    def __init__(self, seed: int, *, calm: bool = False) -> None:
        """Make an oracle; a calm one lets no timer of a retry, approval, manual or until race an answer."""
        self._seed = seed
        self._calm = calm

    def die(self, *about: object) -> int:
        """Return 0..99, the same for the same question."""
        return zlib.crc32(repr((self._seed, *about)).encode()) % 100

    def answer(self, command: m.Command) -> m.Event | None:
        """Return the event that answers a command; None where (in a calm world) nothing does."""
        return ANSWERS[type(command)](self, command)

    def timer(self, command: m.StartTimer) -> m.Event | None:
        """Fire a timer, unless it would race a person or a poll."""
        if self._calm and command.purpose in ("approval", "escalation", "manual", "until"):
            return None
        return m.TimerFired(command.path, command.purpose, command.attempt)

    def attempt(self, command: m.RunStep) -> m.Event:
        """End an attempt in one of every way."""
        die = self.die(command.path, command.attempt)
        if die < 60:
            outcome = Outcome.APPLIED if die < 45 else Outcome.ALREADY_DONE
            return m.StepSucceeded(command.path, command.attempt, outcome, {"die": die})
        if die < 65:
            return m.EvaluationFailed(command.path, {"code": "expression-failed", "message": "no key"})
        outcome = (Outcome.FAILED, Outcome.REFUSED, Outcome.UNKNOWN)[die % 3]
        return bad(command.path, command.attempt, retryable=die < 85, outcome=outcome)

    def poll(self, command: m.Poll) -> m.Event:
        """Answer a poll; the fourth holds."""
        die = self.die(command.path, command.polls)
        if die < 10:
            return bad(command.path, command.polls, retryable=die < 5)
        return m.PollAnswered(command.path, command.polls, die < 50 or command.polls > 3, {"die": die})

    def gate(self, command: m.AskApproval) -> m.Event:
        """Approve, deny, or find the plan stale (once)."""
        die = self.die(command.path, command.asked)
        if die < 15 and command.asked == 0:
            return m.ApprovalStale(command.path)
        if die < 40:
            return m.ApprovalDenied(command.path, {"id": "someone"})
        return m.ApprovalGiven(command.path, {"id": f"person{command.asked}"})

    def calmly(self, command: m.Command, fed: Mapping[str, int]) -> m.Event | None:
        """Answer, but let each approval come from another person."""
        event = self.answer(command)
        if isinstance(event, m.ApprovalGiven):
            return replace(event, by={"id": f"person{fed.get(event.path, 0)}"})
        return event


ANSWERS: Mapping[type[Any], Callable[[Oracle, Any], m.Event | None]] = {
    m.EvaluateWhen: lambda o, c: m.WhenEvaluated(c.path, o.die(c.path, "when") < 70),
    m.EvaluateItems: lambda o, c: (
        m.EvaluationFailed(c.path, {"code": "x", "message": ""})
        if o.die(c.path, "items") < 10
        else m.ItemsEvaluated(c.path, tuple(range(o.die(c.path, "count") % 4)))
    ),
    m.EvaluateBranch: lambda o, c: m.BranchChosen(c.path, (None, 0, 0)[o.die(c.path, "branch") % 3]),
    m.StartCall: lambda _, c: m.CallStarted(c.path, {"from": c.path}),
    m.EvaluateOutputs: lambda o, c: m.OutputsEvaluated(c.path, {"result": o.die(c.path, "out")}),
    m.RunStep: Oracle.attempt,
    m.Poll: Oracle.poll,
    m.StartTimer: Oracle.timer,
    m.AskApproval: Oracle.gate,
    m.AskManual: lambda o, c: m.ManualConfirmed(c.path, {"id": "p"}, o.die(c.path, "manual") < 70),
}


def drive(
    execution: Execution,
    oracle: Oracle,
    pick: Callable[[int], int],
    interruptions: Mapping[int, m.Event] | None = None,
) -> list[m.Event]:
    """Answer outstanding commands, in the order ``pick`` chooses, until the run finishes.

    Returns:
        The events that were fed.
    """
    log: list[m.Event] = []
    fed: dict[str, int] = {}
    while not execution.status.ended:
        assert len(log) < MOST_EVENTS, "the run does not end"
        interruption = (interruptions or {}).get(len(log))
        if interruption is not None:
            log.append(interruption)
            execution.feed(interruption)
            interruptions = {at: event for at, event in (interruptions or {}).items() if at != len(log) - 1}
            continue
        answers = [oracle.calmly(command, fed) for command in execution.outstanding()]
        possible = [answer for answer in answers if answer is not None]
        assert possible, "the run is stuck"
        event = possible[pick(len(possible))]
        path = getattr(event, "path", "")
        fed[path] = fed.get(path, 0) + 1
        log.append(event)
        execution.feed(event)
    return log


def replayed(book: p.Playbook, events: Sequence[m.Event]) -> Execution:
    """Fold events."""
    execution = started(book)
    for event in events:
        execution.feed(event)
    return execution


def snapshot(execution: Execution) -> tuple[RunStatus, dict[str, m.StepView], str | None, Any]:
    """Return everything that people see of a run."""
    return execution.status, dict(execution.views()), execution.failed_step, execution.error
