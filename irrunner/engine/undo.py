"""Undo of a run, from its journal: a run of its own, in reverse order, with a drift check.

Evidence, notifications and approvals are never undone; role sessions are held until no old session can
live; keys and users come back only when somebody asks for it by name (``--release-credentials``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from irrunner.actions.contract import AnyAction, Model, State
from irrunner.actions.notify import SEND
from irrunner.actions.registry import Registry
from irrunner.actions.runtime import Done, Later, Progress
from irrunner.actions.sending import Sender, SentCall
from irrunner.actions.undo import UndoRun, UndoView, view_undo
from irrunner.clock import iso, parse_iso
from irrunner.engine import loaded as kinds
from irrunner.engine.expiry import RETRY_S, TELLING, TOLD, UNDO_OUTCOME, kept_until, message_of
from irrunner.engine.loaded import RunFacts
from irrunner.engine.owner import LEASE_TTL_S
from irrunner.engine.stepping import Binding, Services, defects, error_of
from irrunner.errors import ActionError, IRRunnerError, JournalError, LeaseLost, TargetConflict
from irrunner.journal.records import Draft, Record
from irrunner.journal.store import Lease, RunChange, Store, Timer
from irrunner.vocabulary import Outcome, RunStatus, UndoPolicy

UNDO_INTENT = "undo_intent"
LOCK_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class UndoItem:
    """One effect of the run that may be undone."""

    path: str
    action: AnyAction
    params: Model
    before: State
    after: State | None
    """None: possibly done, and nobody saw the result; a person must look."""
    at: datetime

    def changed(self) -> dict[str, Any]:
        """Return what the step has set, and was not so before: its part of the footprint."""
        was, made = self.before.footprint(), self.after.footprint() if self.after is not None else {}
        return {key: value for key, value in made.items() if was.get(key) != value}


def undo_items(records: Sequence[Record], registry: Registry) -> list[UndoItem]:
    """Return the effects of a run, newest first.

    Args:
        records: The journal of the run.
        registry: The actions.
    """
    intents: dict[str, Record] = {}
    ends: dict[str, Record] = {}
    order: list[str] = []
    for record in records:
        if record.kind == kinds.INTENT:
            intents.setdefault(record.path, record)
        elif record.path in intents and _ends(record):
            ends[record.path] = record
            order = [path for path in order if path != record.path] + [record.path]
    items = [_item(intents[path], ends[path], registry) for path in reversed(order)]
    return [item for item in items if item is not None]


def _ends(record: Record) -> bool:
    """Whether the record tells what a step left behind, or that it may have left something."""
    if record.kind != kinds.OUTCOME:
        return record.kind == "step_verified"
    return bool(record.body["calls"]) or bool(record.body.get("possibly_sent"))


def _item(intent: Record, end: Record, registry: Registry) -> UndoItem | None:
    action = registry.get(intent.body["action"])
    params = action.Params.model_validate(intent.body["params"])
    before = action.StateModel.model_validate(intent.body["before"])
    seen = end.body.get("after")
    after = action.StateModel.model_validate(seen) if seen is not None else None
    if after is not None and before.footprint() == after.footprint():
        return None
    return UndoItem(intent.path, action, params, before, after, datetime.fromisoformat(intent.at))


@dataclass(frozen=True, slots=True)
class Hold:
    """Why an item is not undone now."""

    reason: str
    until: datetime | None = None


def hold_of(item: UndoItem, now: datetime, *, release_credentials: bool) -> Hold | None:
    """Return why an item must not be undone now, or None."""
    policy = item.action.undo
    if policy is UndoPolicy.RELEASE and not release_credentials:
        return Hold("credentials stay contained until `irrunner undo --release-credentials`")
    if policy is UndoPolicy.HOLD and item.after is not None:
        until = item.action.hold_until(item.params, item.before, item.after)
        if until is not None and until > now:
            return Hold(f"held until {iso(until)}: an older session could still be alive", until)
    return None


@dataclass(slots=True)
class UndoDriver:
    """Drives one undo run, in the caller's thread: order matters, speed does not."""

    services: Services
    store: Store
    lease: Lease
    items: Sequence[UndoItem]
    undone: RunFacts
    """Facts of the run that is undone: where it acted."""
    facts: RunFacts
    release_credentials: bool
    observer: Callable[[str, str, Mapping[str, Any]], None]
    done: Mapping[str, Mapping[str, Any]]
    """Outcomes of an interrupted undo, by path."""
    expired_at: str = ""
    """When its time was over, where nobody asked: what may pass is tried again, and people are told."""
    _outcomes: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def expiring(self) -> bool:
        """Whether nobody asked for it: an effect's time is over."""
        return bool(self.expired_at)

    def drive(self) -> RunStatus:
        """Undo what can be undone, and return the status.

        Raises:
            JournalError: If the journal cannot be written.
        """
        outcomes: dict[str, str] = {}
        holds: list[tuple[str, datetime]] = []
        for item in self.items:
            known = self.done.get(item.path)
            if known is not None and known["outcome"] not in (Outcome.WAITING, Outcome.RUNNING):
                outcomes[item.path] = str(known["outcome"])
                self._outcomes[item.path] = known
                continue
            self.store.renew(self.lease, LEASE_TTL_S)
            outcome, until = self._undo(item)
            outcomes[item.path] = outcome
            if until is not None:
                holds.append((item.path, until))
        return self._end(outcomes, holds)

    def _undo(self, item: UndoItem) -> tuple[str, datetime | None]:
        if item.action.undo is UndoPolicy.NEVER:
            return self._record(item, Outcome.SKIPPED, item.action.undo_note), None
        now = self.services.clock.now()
        hold = hold_of(item, now, release_credentials=self.release_credentials)
        if hold is not None and self._is_back(item):
            return self._record(item, Outcome.ALREADY_DONE, "already as before", verified=True), None
        if hold is not None:
            outcome = Outcome.WAITING if hold.until else Outcome.SKIPPED
            return self._record(item, outcome, hold.reason, held=True), hold.until
        if item.after is None:
            reason = "possibly done, and its result was never seen: look at it, nothing was changed"
            return self._record(item, Outcome.UNKNOWN, reason), None
        return self._restore(item, item.after)

    def _is_back(self, item: UndoItem) -> bool:
        """Whether somebody put it back already: then there is nothing to hold. Not knowing is holding."""
        try:
            view = preview(self.services, item, self.undone)
        except IRRunnerError:
            return False
        return item.after is not None and not view.restore and not view.drift

    def _restore(self, item: UndoItem, after: State) -> tuple[str, datetime | None]:
        binding = _binding(self.services, self.undone, item)
        deadline = self.services.clock.now() + timedelta(seconds=item.action.timeout_s)
        sent: Sequence[SentCall] = ()
        try:
            self._lock(item, deadline)
            until = self._wanted_until(item)
            if until is not None:
                reason = f"a later run wants it until {iso(until)}"
                return self._record(item, Outcome.WAITING, reason, held=True), until
            sender = Sender(binding.ports(), self.services.clock)
            sent = sender.sent
            run = UndoRun(
                item.action, item.params, item.before, after, binding.look_context,
                sender, self.services.clock, deadline,
            )  # fmt: skip
            self._append(UNDO_INTENT, item.path, {"action": item.action.id})
            with defects(item.action.id):
                progress = self._advance(run)
        except IRRunnerError as problem:
            if isinstance(problem, JournalError | LeaseLost):
                raise
            calls = [call.as_dict() for call in sent]
            again_at = self._again_at(problem)
            if again_at is not None:
                reason = f"tried again at {iso(again_at)}: {problem.message}"
                return self._record(item, Outcome.WAITING, reason, calls=calls, held=True), again_at
            failed = self._record(item, Outcome.FAILED, problem.message, calls=calls, error=error_of(problem))
            return failed, None
        ended = self._record(
            item, progress.outcome, progress.reason, calls=[call.as_dict() for call in sent],
            verified=progress.verified, detail=dict(progress.outputs),
        )  # fmt: skip
        return ended, None

    def _wanted_until(self, item: UndoItem) -> datetime | None:
        """Return until when a run wants an effect that it found while this undo waited for its lock."""
        wanted = kept_until(self.store, self.expired_at, item.changed()) if self.expiring else None
        until = parse_iso(wanted) if wanted else None
        return until if until is not None and until > self.services.clock.now() else None

    def _again_at(self, problem: IRRunnerError) -> datetime | None:
        """Return when an expiry is tried again, that failed through something that may pass; within a day."""
        again_at = self.services.clock.now() + timedelta(seconds=RETRY_S)
        passes = self.expiring and problem.retryable and again_at < self.facts.deadline_at
        return again_at if passes else None

    def _lock(self, item: UndoItem, deadline: datetime) -> None:
        """Lock what the item changes: a run that contains it right now goes first.

        Raises:
            TargetConflict: If another run holds it until the deadline.
        """
        targets = item.action.targets(item.params, self.undone.where)
        while (holder := self.store.lock(self.lease, targets)) is not None:
            self.store.unlock(self.lease)
            if self.services.clock.now() >= deadline:
                raise TargetConflict(f"run {holder} acts on it: nothing was changed", hint="undo again later")
            self._wait(LOCK_WAIT_S)

    def _wait(self, seconds: float) -> None:
        self.services.clock.wait(threading.Event(), seconds)
        self.store.renew(self.lease, LEASE_TTL_S)

    def _advance(self, run: UndoRun) -> Done:
        progress: Progress = run.advance()
        while isinstance(progress, Later):
            self._wait(self.services.pace(progress.poll_s))
            progress = run.advance()
        return progress

    def _append(self, kind: str, path: str, body: Mapping[str, Any], change: RunChange | None = None) -> None:
        self.store.append(self.lease, [Draft(kind, body, path)], change)
        self.observer(kind, path, body)

    def _record(self, item: UndoItem, outcome: Outcome, reason: str, **extra: Any) -> str:
        body = {"action": item.action.id, "outcome": outcome, "reason": reason, **extra}
        off = [(self.undone.run_id, item.path)] if outcome.good else []
        self._append(UNDO_OUTCOME, item.path, body, RunChange(expiries_cleared=off))
        self._outcomes[item.path] = body
        return outcome

    def _end(self, outcomes: Mapping[str, str], holds: Sequence[tuple[str, datetime]]) -> RunStatus:
        bad = {Outcome.FAILED, Outcome.REFUSED, Outcome.UNKNOWN}
        if holds:
            path, until = max(holds, key=lambda hold: hold[1])
            timer = Timer(self.facts.run_id, path, "wait", 0, iso(until))
            change = RunChange(status=RunStatus.WAITING, timers_set=[timer])
            self._append(kinds.PARKED, "", {"until": iso(until)}, change)
            self.store.unlock(self.lease)
            return RunStatus.WAITING
        status = RunStatus.PARTIAL if bad & set(outcomes.values()) else RunStatus.SUCCEEDED
        if self.expiring:
            self._tell()
        self._append(kinds.FINISHED, "", {"status": status}, RunChange(status=status, ended=True))
        return status

    def _tell(self) -> None:
        """Tell people what became of the effect, once: a message that may have been sent is not repeated."""
        channel = self.services.settings.expiry_channel
        told = any(record.kind == TELLING for record in self.store.records(self.facts.run_id))
        if channel is None or told:
            return
        self._append(TELLING, "", {"channel": channel})
        title, text = message_of(self.undone.run_id, self._outcomes, drill=self.facts.drill)
        try:
            port = self.services.local(self.facts.run_id)
            answer = port.call(SEND, Channel=channel, Title=title, Body=text)
            reason = "" if answer.get("Sent") else str(answer.get("Reason") or "no answer")
        except IRRunnerError as problem:
            reason = problem.message
        self._append(TOLD, "", {"channel": channel, "sent": not reason, "reason": reason})


def _binding(services: Services, undone: RunFacts, item: UndoItem) -> Binding:
    return Binding(services, undone, item.action, item.params, item.path, item.at, {}, undoing=True)


def outcomes_of(records: Sequence[Record]) -> dict[str, Mapping[str, Any]]:
    """Return the newest undo outcome of each path."""
    return {record.path: record.body for record in records if record.kind == UNDO_OUTCOME}


def preview(services: Services, item: UndoItem, undone: RunFacts) -> UndoView:
    """Return what undo would do to one item now; reads only.

    Raises:
        ActionError: If the look fails.
    """
    binding = _binding(services, undone, item)
    try:
        now: State | None = item.action.look(binding.look_context(), item.params)
    except ActionError as problem:
        if problem.code != "target-not-found":
            raise
        now = None
    return view_undo(item.action, item.params, item.before, item.after or item.before, now)
