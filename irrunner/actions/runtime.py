"""Run one action by the contract: look, record, act, read back, typed outcome.

Knows nothing of journals, threads or timers: the engine calls :meth:`StepRun.begin` (reads only),
journals the intent, then calls :meth:`StepRun.advance` until it is done; between two advances it may
wait any time, or die. A :class:`StepRun` made from a journalled intent goes on where the world stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from irrunner.actions.apart import Apart
from irrunner.actions.contract import (
    Act,
    AnyAction,
    Broken,
    Call,
    Decision,
    LookContext,
    Model,
    Refused,
    Settled,
    State,
    Waiting,
)
from irrunner.actions.sending import Sender
from irrunner.clock import Clock
from irrunner.errors import ActionError, OutcomeUnknown, TargetConflict
from irrunner.vocabulary import Outcome, Settle

MAX_SENDS = 3
"""How often the same calls are sent within one attempt when looks say that they had no effect."""
FIRST_RELOOK_S = 0.5
LONGEST_RELOOK_S = 5.0


@dataclass(frozen=True, slots=True)
class Done:
    """The attempt has ended."""

    outcome: Outcome
    outputs: Mapping[str, Any]
    after: State | None
    verified: bool
    warnings: tuple[str, ...] = ()
    reason: str = ""
    code: str = ""
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class Later:
    """Advance again after ``poll_s`` seconds."""

    poll_s: float
    reason: str


Progress: TypeAlias = "Done | Later"


@dataclass(frozen=True, slots=True)
class Begun:
    """What the intent records."""

    before: State
    calls: tuple[Call, ...]
    """Everything that the action would send from here."""
    refusal: Refused | None = None


def protected_target(targets: tuple[str, ...], globs: tuple[str, ...]) -> str | None:
    """Return the first target that a protected glob names (ids, names and ARNs), or None."""
    for target in targets:
        names = {target, target.rsplit("/", 1)[-1], target.rsplit(":", 1)[-1]}
        if any(fnmatchcase(name, glob) for name in names for glob in globs):
            return target
    return None


def signature(calls: tuple[Call, ...]) -> frozenset[tuple[str, str]]:
    """Return what a plan claims of calls: (operation, target) pairs."""
    return frozenset((call.operation, call.target) for call in calls)


@dataclass(slots=True)
class StepRun:
    """One attempt of one action on one target."""

    action: AnyAction
    params: Model
    look_context: Callable[[], LookContext]
    """Makes the context of a look; called for each look (``now`` moves)."""
    sender: Sender
    clock: Clock
    deadline: datetime
    before: State | None = None
    """The journalled prior state, when an intent is resumed."""
    resumed_at: datetime | None = None
    """When the resumed intent was journalled."""
    _pending: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    _sent_at: datetime | None = None
    _seen: State | None = None
    """The first look of an action that only reads: the intent in between changes nothing."""
    _sends: int = 0
    _conflicts: int = 0
    _relook_s: float = FIRST_RELOOK_S
    _unknown: OutcomeUnknown | None = None
    _apart: Apart = field(default_factory=Apart)

    def look(self) -> State:
        """Look at the world now."""
        context = replace(self.look_context(), refused=self._apart.told())
        state: State = self.action.look(context, self.params)
        return state

    def begin(self) -> Begun:
        """Look once and say what would be done; nothing is sent.

        Raises:
            ActionError: If the look fails.
        """
        state = self.look()
        if self.before is None:
            self.before = state
        decision = self.action.decide(self.params, state)
        context = self.look_context()
        targets = self.action.targets(self.params, context.where)
        protected = protected_target(targets, context.settings.protected) if self._mutates() else None
        if protected:
            refusal = Refused(f"{protected} is protected by the configuration (protected:)")
            return Begun(state, (), refusal)
        if isinstance(decision, Refused):
            return Begun(state, (), decision)
        calls = self.action.forecast(self.params, state)
        if not self._mutates():
            self._seen = state
        return Begun(state, calls)

    def resume(self, calls: int, at: datetime) -> None:
        """Take up a journalled intent: its effects may have happened, and may not be visible yet.

        Args:
            calls: How many the intent foresaw.
            at: When it was journalled. The last call may have left much later, just before the crash: so
                the time in which an effect may be invisible is counted from now.
        """
        self.resumed_at = at
        if calls:
            self._sent_at = self.clock.now()
            self._sends = 1

    def advance(self) -> Progress:
        """Look, and do the next thing.

        Raises:
            ActionError: If a look or a call fails (the engine makes it a failed attempt).
        """
        if self.resumed_at is not None and self._sends and self.action.settle is Settle.AT_MOST_ONCE:
            return Done(
                Outcome.UNKNOWN, {}, None, verified=False, code="outcome-unknown",
                reason="interrupted while it was sent; it is not sent twice",
            )  # fmt: skip
        try:
            state, self._seen = self._seen or self.look(), None
        except ActionError as problem:
            return self._blind(problem)
        return self._follow(self.action.decide(self.params, state), state)

    def _blind(self, problem: ActionError) -> Progress:
        """Go on looking where something was sent: only a look can tell what became of it.

        Raises:
            ActionError: If nothing was sent, or looking again is of no use.
        """
        late = self.clock.now() >= self.deadline
        if late and self._sends and (problem.retryable or self._unknown):
            return self._cannot_tell(str(problem))
        if late or not self._sends or not problem.retryable:
            raise problem
        return Later(self._back_off(problem), f"cannot look now: {problem.message}")

    def _back_off(self, problem: ActionError | None = None) -> float:
        """Return how long to wait before the next look: what AWS or our pacing asks, else ever longer."""
        self._relook_s = min(self._relook_s * 2, LONGEST_RELOOK_S)
        asked = float(problem.detail.get("retry_after_s", 0.0)) if problem else 0.0
        return max(asked, self._relook_s / 2)

    def _mutates(self) -> bool:
        return any(permission.use == "act" for permission in self.action.permissions)

    def _follow(self, decision: Decision, state: State) -> Progress:
        if isinstance(decision, Settled):
            return self._settled(decision, state)
        if isinstance(decision, Refused):
            outcome = Outcome.ALREADY_DONE if decision.nothing_to_do else Outcome.REFUSED
            outputs = decision.outputs.model_dump(mode="json") if decision.outputs else {}
            return Done(
                outcome, outputs, state, verified=decision.nothing_to_do and not outputs,
                warnings=(decision.reason,) if outputs else (), reason=decision.reason, code=decision.code,
            )  # fmt: skip
        if isinstance(decision, Broken):
            if decision.refused and self._apart.refused:
                raise next(iter(self._apart.refused.values()))
            return Done(Outcome.FAILED, {}, state, verified=False, reason=decision.reason, code=decision.code)
        if self.clock.now() >= self.deadline:
            return self._too_late(decision)
        if isinstance(decision, Waiting):
            return Later(decision.poll_s, decision.reason)
        return self._act(decision, state)

    def _settled(self, decision: Settled, state: State) -> Done:
        effect = self._sends > 0 or not self._mutates()
        outcome = Outcome.APPLIED if effect else Outcome.ALREADY_DONE
        outputs = decision.outputs.model_dump(mode="json")
        return Done(outcome, outputs, state, verified=decision.verified, warnings=decision.warnings)

    def _too_late(self, decision: Waiting | Act) -> Done:
        if self._unknown is not None:
            return self._cannot_tell(str(self._unknown))
        doing = decision.reason if isinstance(decision, Waiting) else "the effect is not visible"
        return Done(
            Outcome.FAILED, {}, None, verified=False, code="action-timed-out",
            reason=f"{doing}; the step's time is over",
        )  # fmt: skip

    def _cannot_tell(self, reason: str) -> Done:
        return Done(Outcome.UNKNOWN, {}, None, verified=False, reason=reason, code="outcome-unknown")

    def _act(self, decision: Act, state: State) -> Progress:
        if all(call.apart for call in decision.calls):
            return self._act_apart(decision)
        wanted = signature(decision.calls)
        if self._may_be_invisible(wanted):
            return Later(self._back_off(), "waiting until the effect is visible")
        if self._sends >= MAX_SENDS and wanted == self._pending:
            return Done(
                Outcome.FAILED, {}, state, verified=False, code="verification-failed",
                reason=f"sent {self._sends} times, and still not as intended: "
                + "; ".join(call.summary for call in decision.calls),
            )  # fmt: skip
        before = self._sends, self._pending, self._sent_at
        sent = len(self.sender.sent)
        self._sends = self._sends + 1 if wanted == self._pending else max(self._sends, 1)
        self._pending, self._sent_at, self._relook_s = wanted, self.clock.now(), FIRST_RELOOK_S
        try:
            return self._send(decision, state)
        except ActionError as problem:
            if all(call.error for call in self.sender.sent[sent:]):
                self._sends, self._pending, self._sent_at = before  # no effect to count, or to wait for
            return self._look_again_after(problem)

    def _act_apart(self, decision: Act) -> Later:
        """Send what is due of calls that stand by themselves; what fails is told to the next look."""
        if self._may_be_invisible(frozenset()):  # taken up: the last calls may have left just before the end
            return Later(self._back_off(), "waiting until the effect is visible")
        given_up = len(self._apart.refused)
        due = self._apart.due(decision.calls, self.clock.now(), self.action.consistency_s)
        if not due:
            more = len(self._apart.refused) > given_up
            return Later(0.0 if more else self._back_off(), "waiting until the effects are visible")
        self._relook_s = FIRST_RELOOK_S
        problem = self._apart.send(due, self.sender)
        self._sends = max(self._sends, int(self._apart.sent))
        if problem is not None:
            return Later(self._back_off(problem), f"held back for now: {problem.message}")
        return Later(0.0, "reading back")

    def _look_again_after(self, problem: ActionError) -> Later:
        """Decide anew where somebody else was at the same thing (a storm makes one group for many hosts).

        Raises:
            ActionError: If it is no conflict, or not the first ones.
        """
        if not isinstance(problem, TargetConflict) or self._conflicts >= MAX_SENDS:
            raise problem
        self._conflicts += 1
        return Later(2.0**self._conflicts, f"somebody else was at it: {problem.message}")

    def _may_be_invisible(self, wanted: frozenset[tuple[str, str]]) -> bool:
        if self._sent_at is None or (self._pending and wanted != self._pending):
            return False
        return self.clock.now() - self._sent_at < timedelta(seconds=self.action.consistency_s)

    def _send(self, decision: Act, state: State) -> Progress:
        try:
            self.sender.send(decision.calls)
        except OutcomeUnknown as problem:
            self._unknown = problem
            if self.action.settle is Settle.AT_MOST_ONCE:
                return self._cannot_tell(str(problem))
            return Later(FIRST_RELOOK_S, "the answer was lost: looking")
        if self.sender.sent and self.sender.sent[-1].error in decision.calls[-1].tolerate:
            # AWS said "not now" (a quota of concurrent copies): no effect, so it does not count.
            self._sends -= 1
        if self.action.settle is Settle.AT_MOST_ONCE:
            settled = self.action.settled_after_send(self.params, state, tuple(self.sender.answers))
            return self._settled(settled, state)
        return Later(0.0, "reading back")
