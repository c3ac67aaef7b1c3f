"""Drive one run: answer the Execution's commands, journal each event before it is fed.

A driver belongs to whoever holds the run's lease. All appends of a run go through one lock, so that
the order of the journal is the order of the fold. Slow work (looks, calls) happens outside the lock,
on the engine's threads; waiting holds no thread: it is an entry on the engine's time line.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from irrunner.clock import IdSource
from irrunner.engine import loaded as kinds
from irrunner.engine.attempts import Attempts
from irrunner.engine.evaluation import evaluated
from irrunner.engine.loaded import LoadedRun
from irrunner.engine.owner import LEASE_TTL_S
from irrunner.engine.people import People
from irrunner.engine.polling import Polling
from irrunner.engine.scopes import Scopes
from irrunner.engine.stepping import EVIDENCE_PREFIXES, Services
from irrunner.engine.timers import Timers
from irrunner.errors import IRRunnerError, RunError
from irrunner.journal.records import Draft
from irrunner.journal.store import Lease, RunChange, Store
from irrunner.machine.messages import (
    AbortRequested,
    AskApproval,
    AskManual,
    Command,
    DeadlinePassed,
    Event,
    Finish,
    Poll,
    RunStep,
    StartTimer,
    event_body,
)
from irrunner.playbook.model import Uses
from irrunner.vocabulary import RunStatus

FINALLY_S = 300.0
PARKING_PURPOSES = frozenset({"approval", "escalation", "manual"})


class Engine(Protocol):
    """What a driver needs of its engine."""

    def submit(self, driver: Driver, work: Callable[[], None], *, evidence: bool = False) -> None:
        """Run work on a thread."""

    def later(
        self, driver: Driver, delay_s: float, work: Callable[[], None], *, evidence: bool = False
    ) -> None:
        """Run work on a thread after a delay; it counts as work in flight."""

    def timer(self, driver: Driver, due: datetime, fire: Callable[[], None]) -> None:
        """Run ``fire`` when the instant has come, if the driver is still there."""


@dataclass(slots=True)
class Driver:
    """One run under one lease."""

    services: Services
    store: Store
    lease: Lease
    run: LoadedRun
    engine: Engine
    ids: IdSource
    observer: Callable[[str, str, Mapping[str, Any]], None]
    """Called with (kind, path, body) after each append; for live progress."""
    scopes: Scopes = field(init=False)
    attempts: Attempts = field(init=False)
    polling: Polling = field(init=False)
    people: People = field(init=False)
    timers: Timers = field(init=False)
    finished: RunStatus | None = None
    failure: IRRunnerError | None = None
    busy: int = 0
    """Work in flight or scheduled soon; a run with none is parked or ended."""
    _working: int = 0
    """Work in flight on threads."""
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _stopped: bool = False
    _closing: bool = False
    _aborted: bool = False
    _held_at: datetime = field(init=False)
    """When the store last proved that the lease is ours."""

    def __post_init__(self) -> None:
        """Make the parts that answer commands."""
        self.scopes = Scopes(self.run, self.services.compiler)
        self.attempts = Attempts(self)
        self.polling = Polling(self)
        self.people = People(self)
        self.timers = Timers(self)
        self._held_at = self.services.clock.now()
        self._aborted = any(record.kind == AbortRequested.kind for record in self.run.records)

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Take up the run where its journal ends."""
        if not self.run.fresh:
            self.timers.take_up()
        if self.run.facts.deadline_at <= self.services.clock.now():
            self._record([DeadlinePassed()], (), None, None)  # before anybody's late decision
        self.engine.timer(self, self.run.facts.deadline_at, lambda: self.soon(self._deadline))
        intents = self.run.intents()
        commands = []
        for command in self.run.execution.outstanding():
            if isinstance(command, RunStep) and command.path in intents:
                self._resume(command, intents[command.path].body)
            elif not self._already_armed(command):
                commands.append(command)
        self._issue(commands)

    def _resume(self, command: RunStep, intent: Mapping[str, Any]) -> None:
        self.soon(lambda: self.attempts.resume(command, intent))

    def _already_armed(self, command: Command) -> bool:
        if isinstance(command, StartTimer):
            return command in self.timers
        if isinstance(command, AskApproval):
            return self.run.was_asked(command.path, command.asked, escalated=command.escalated)
        return isinstance(command, AskManual) and self.run.was_instructed(command.path)

    @property
    def over(self) -> bool:
        """Whether nothing more is to be done here: the run has ended, or it failed to be driven."""
        return self.finished is not None or self.failure is not None

    def idle(self) -> bool:
        """Return whether no thread works for the run; only then may its lease be given back."""
        with self._lock:
            return self._working == 0

    def fail(self, problem: IRRunnerError) -> None:
        """Drive no further, unless the run has ended: then whatever came too late does not matter."""
        with self._lock:
            if self.finished is None and self.failure is None:
                self.failure = problem
            self._stopped = True

    def parked(self) -> bool:
        """Return whether only people are awaited."""
        with self._lock:
            if self.busy or self.over:
                return False
            return self.timers.purposes() <= PARKING_PURPOSES

    def _deadline(self) -> None:
        if self.finished is None:
            self.commit([DeadlinePassed()])

    def renew(self) -> None:
        """Extend the lease. Raises LeaseLost."""
        self.store.renew(self.lease, LEASE_TTL_S)
        self._held_at = self.services.clock.now()

    def hold(self) -> None:
        """Make sure of the lease before AWS is changed: this machine may have slept, and another taken over.

        Raises:
            LeaseLost: If another process drives the run.
        """
        if self.services.clock.now() - self._held_at > timedelta(seconds=LEASE_TTL_S / 2):
            self.renew()

    # -- journal ------------------------------------------------------------------------------

    def commit(
        self,
        events: Iterable[Event],
        drafts: Iterable[Draft] = (),
        change: RunChange | None = None,
        *,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Append drafts and events in one commit, feed the events, and issue what they cause.

        Args:
            events: Machine events, in order; journalled after the drafts.
            drafts: Other records.
            change: Rows that change in the same commit.
            extra: Further facts for the records of the events (the state that was verified).
        """
        events = list(events)
        self._issue(self._record(events, drafts, change, extra))
        if events:
            self._prune()
            self._bound_finally()

    def _record(
        self,
        events: Sequence[Event],
        drafts: Iterable[Draft],
        change: RunChange | None,
        extra: Mapping[str, Any] | None,
    ) -> list[Command]:
        """Append and feed; return what became due. An answer to a run that has ended came too late."""
        rows = [*drafts, *(_draft(event, extra) for event in events)]
        due: list[Command] = []
        with self._lock:
            if self.finished is not None:
                return due
            self.store.append(self.lease, rows, change)
            self._held_at = self.services.clock.now()
            for event in events:
                self._aborted = self._aborted or isinstance(event, AbortRequested)
                due.extend(self.run.execution.feed(event))
        for row in rows:
            self.observer(row.kind, row.path, row.body)
        return due

    def _prune(self) -> None:
        with self._lock:
            stale = [] if self.finished is not None else self.timers.stale()
            if stale:
                self.store.append(self.lease, [], RunChange(timers_cleared=stale))

    def _bound_finally(self) -> None:
        """Give ``finally`` its five minutes, from the moment it begins."""
        if self._closing or self.run.execution.stage != "closing" or self.finished is not None:
            return
        self._closing = True
        due = self.services.clock.now() + timedelta(seconds=FINALLY_S)
        self.engine.timer(self, due, lambda: self.soon(self._end_finally))

    def _end_finally(self) -> None:
        if self.finished is None:
            self.commit([DeadlinePassed("finally")])

    def aborted(self) -> bool:
        """Whether the run is being closed by an abort: ``finally`` then changes nothing in the cloud."""
        return self._aborted

    def guard(self, work: Callable[[], None]) -> None:
        """Run work; a journal that cannot be written stops the run (no journal, no action)."""
        with self._lock:
            if self._stopped:
                self.busy -= 1
                return
            self._working += 1
        try:
            work()
        except IRRunnerError as problem:
            self.fail(problem)
        except Exception as problem:  # noqa: BLE001 - the step runner's edge: a fault of ours must not hang the run
            failure = RunError(
                f"internal error: {type(problem).__name__}: {problem}",
                hint=f"the run stays resumable: irrunner resume {self.run.facts.run_id}",
            )
            failure.__cause__ = problem
            self.fail(failure)
        finally:
            with self._lock:
                self.busy -= 1
                self._working -= 1

    def stop(self) -> None:
        """Start nothing any more; what is being done now is finished and journalled."""
        self._stopped = True

    def soon(self, work: Callable[[], None], delay_s: float = 0.0, *, evidence: bool = False) -> None:
        """Do work on a thread, now or after a delay; the run is not parked before it is done."""
        with self._lock:
            if self.failure is not None or self._stopped:
                return
            self.busy += 1
        if delay_s > 0:
            self.engine.later(self, delay_s, lambda: self.guard(work), evidence=evidence)
        else:
            self.engine.submit(self, lambda: self.guard(work), evidence=evidence)

    # -- commands -----------------------------------------------------------------------------

    def _issue(self, commands: Iterable[Command]) -> None:
        timers = [command for command in commands if isinstance(command, StartTimer)]
        if timers:
            self.timers.start(timers)
        for command in commands:
            if isinstance(command, Finish):
                self._finish(command)
            elif not isinstance(command, StartTimer):
                work = partial(self._answer, command)
                self.soon(work, evidence=isinstance(command, RunStep) and self._keeps_evidence(command))

    def _keeps_evidence(self, command: RunStep) -> bool:
        kind = self.run.execution.step(command.path).kind
        return isinstance(kind, Uses) and kind.action.startswith(EVIDENCE_PREFIXES)

    def _answer(self, command: Command) -> None:
        if isinstance(command, RunStep):
            self.attempts.run(command)
        elif isinstance(command, Poll):
            self.polling.answer(command)
        elif isinstance(command, AskApproval):
            self.people.ask(command)
        elif isinstance(command, AskManual):
            self.people.ask_manual(command)
        else:
            self.commit([evaluated(self.run.execution, self.scopes, command)])

    # -- end ----------------------------------------------------------------------------------

    def _finish(self, command: Finish) -> None:
        body = {"status": command.status}
        with self._lock:
            if self.finished is not None:
                return
            self.timers.clear()
            change = RunChange(status=command.status, ended=True)
            self.store.append(self.lease, [Draft(kinds.FINISHED, body)], change)
            self.finished = command.status
        self.observer(kinds.FINISHED, "", body)


def _draft(event: Event, extra: Mapping[str, Any] | None) -> Draft:
    body = event_body(event)
    path = body.pop("path", "")
    return Draft(event.kind, {**body, **(extra or {})}, path)
