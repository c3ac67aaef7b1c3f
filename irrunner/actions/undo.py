"""Undo one action: compare what was, what we made and what is now; put back, and read back.

Same shape as :mod:`irrunner.actions.runtime`, towards the prior state. The prior values are data of the
journal; what somebody changed since is refused, what is gone is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from irrunner.actions.contract import AnyAction, Call, LookContext, Model, State
from irrunner.actions.runtime import FIRST_RELOOK_S, MAX_SENDS, Done, Later, Progress
from irrunner.actions.sending import Sender
from irrunner.clock import Clock
from irrunner.errors import ActionError, OutcomeUnknown, TargetNotFound
from irrunner.vocabulary import Outcome


@dataclass(frozen=True, slots=True)
class UndoView:
    """What an undo of one step would do, resource by resource."""

    restore: tuple[str, ...]
    already: tuple[str, ...]
    gone: tuple[str, ...]
    drift: tuple[str, ...]
    """``eni-1: expected ['sg-q'], found ['sg-x']``."""
    calls: tuple[Call, ...]


def view_undo(action: AnyAction, params: Model, before: State, after: State, now: State | None) -> UndoView:
    """Compare the footprints and return what undo would send.

    Args:
        action: The action.
        params: Its parameters then.
        before: Journalled prior state.
        after: Journalled state after verification.
        now: A fresh look, or None where the target is gone.
    """
    was, made = before.footprint(), after.footprint()
    current = now.footprint() if now is not None else {}
    restore, already, gone, drift = [], [], [], []
    for key in sorted(made):
        if was.get(key) == made[key]:
            continue
        if key not in current:
            gone.append(key)
        elif current[key] == was.get(key):
            already.append(key)
        elif current[key] == made[key] or action.on_the_way(key, was.get(key), made[key], current[key]):
            restore.append(key)
        else:
            drift.append(f"{key}: we set {made[key]!r}, found {current[key]!r}")
    calls: tuple[Call, ...] = ()
    if restore and now is not None:
        calls = action.undo_calls(params, before, after, now, frozenset(restore))
    return UndoView(tuple(restore), tuple(already), tuple(gone), tuple(drift), calls)


@dataclass(slots=True)
class UndoRun:
    """Undo of one step: same shape as :class:`StepRun`, towards the prior state."""

    action: AnyAction
    params: Model
    before: State
    after: State
    look_context: Callable[[], LookContext]
    sender: Sender
    clock: Clock
    deadline: datetime
    _sends: int = 0
    _sent_at: datetime | None = None

    def look(self) -> State | None:
        """Look; None where the target is gone."""
        try:
            state: State = self.action.look(self.look_context(), self.params)
        except TargetNotFound:
            return None
        return state

    def view(self) -> UndoView:
        """Return what undo would do now."""
        return view_undo(self.action, self.params, self.before, self.after, self.look())

    def advance(self) -> Progress:
        """Look, refuse on drift, send what is missing, and look again until all is as before.

        Raises:
            ActionError: If a look or a call fails for good.
        """
        try:
            now = self.look()
        except ActionError as problem:
            if not problem.retryable or self.clock.now() >= self.deadline:
                raise
            wait_s = float(problem.detail.get("retry_after_s", FIRST_RELOOK_S))
            return Later(wait_s, f"cannot look now: {problem.message}")
        return self._follow(view_undo(self.action, self.params, self.before, self.after, now), now)

    def _follow(self, view: UndoView, now: State | None) -> Progress:
        if not view.calls:
            return self._ended(view, now)
        if self.clock.now() >= self.deadline:
            return Done(
                Outcome.FAILED, {}, now, verified=False, code="action-timed-out",
                reason=f"still not as before: {', '.join(view.restore)}",
            )  # fmt: skip
        window = timedelta(seconds=self.action.consistency_s)
        if self._sent_at is not None and self.clock.now() - self._sent_at < window:
            return Later(FIRST_RELOOK_S, "waiting until the effect is visible")
        if self._sends >= MAX_SENDS:
            return Done(
                Outcome.FAILED, {}, now, verified=False, code="verification-failed",
                reason=f"sent {self._sends} times, still not as before: {', '.join(view.restore)}",
            )  # fmt: skip
        return self._send(view)

    def _send(self, view: UndoView) -> Progress:
        self._sends += 1
        self._sent_at = self.clock.now()
        try:
            self.sender.send(view.calls)
        except OutcomeUnknown:
            return Later(FIRST_RELOOK_S, "the answer was lost: looking")
        except ActionError as problem:
            return self._again_after(problem)
        return Later(0.0, "reading back")

    def _again_after(self, problem: ActionError) -> Later:
        """Look and send again after a refusal that may pass; our own pacing is none, and does not count.

        Raises:
            ActionError: If it will not pass, or did not.
        """
        wait_s = float(problem.detail.get("retry_after_s", 0.0))
        if not problem.retryable or (not wait_s and self._sends >= MAX_SENDS):
            raise problem
        self._sends, self._sent_at = self._sends - (1 if wait_s else 0), None
        return Later(wait_s or 2.0**self._sends, f"refused for now: {problem.message}")

    def _ended(self, view: UndoView, now: State | None) -> Done:
        detail = {"already": list(view.already), "gone": list(view.gone)}
        if view.drift:
            return Done(
                Outcome.REFUSED, detail, now, verified=False, code="drift",
                reason="changed by somebody since: " + "; ".join(view.drift),
            )  # fmt: skip
        if view.restore:
            return Done(
                Outcome.REFUSED, detail, now, verified=False, code="no-prior-value",
                reason=f"nothing is known to put back, left as they are: {', '.join(view.restore)}",
            )  # fmt: skip
        outcome = Outcome.APPLIED if self._sends else Outcome.ALREADY_DONE
        return Done(outcome, detail, now, verified=True)
