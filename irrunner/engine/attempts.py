"""Attempts of steps: bind, lock, look, journal the intent, act, read back, journal the outcome."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from irrunner.actions.contract import Refused, Where
from irrunner.actions.registry import Registry
from irrunner.actions.runtime import Done, Later, StepRun
from irrunner.actions.sending import Sender
from irrunner.clock import iso, parse_iso
from irrunner.engine import loaded as kinds
from irrunner.engine.expiry import keep_for_good, set_expiry
from irrunner.engine.stepping import EVIDENCE_PREFIXES, Binding, defects, error_of, params_of
from irrunner.errors import (
    ActionDenied,
    ActionError,
    ActionThrottled,
    Defect,
    IRRunnerError,
    JournalError,
    LeaseLost,
    PlaybookError,
    SettingsError,
)
from irrunner.journal.records import Draft, Record, canonical, digest
from irrunner.journal.store import RunChange
from irrunner.machine.messages import (
    EvaluationFailed,
    Event,
    RunStep,
    StepFailed,
    StepSucceeded,
)
from irrunner.playbook.model import Uses
from irrunner.vocabulary import Outcome, Risk

if TYPE_CHECKING:
    from irrunner.engine.driver import Driver

LOCK_WAIT_S = 1.0
NOT_OURS = (
    "it was there before: kept as long as this step says if a run of ours put it there, else nobody's to end"
)


@dataclass(slots=True)
class InFlight:
    """A step attempt between its intent and its outcome."""

    run: StepRun
    binding: Binding
    attempt: int
    resumed: bool = False
    """Whether an earlier process foresaw calls, and may have sent them."""

    @property
    def possibly_sent(self) -> bool:
        """Whether something may have been changed by this attempt."""
        return self.resumed or bool(self.run.sender.sent)

    def left(self, after: Mapping[str, Any] | None) -> bool:
        """Return whether a failed attempt left an effect behind, or may have.

        Args:
            after: The last look, as JSON; None where nobody could look.
        """
        if not self.possibly_sent or after is None or self.run.before is None:
            return self.possibly_sent
        seen = self.binding.action.StateModel.model_validate(after)
        return bool(seen.footprint() != self.run.before.footprint())


def changed_by(records: Sequence[Record], registry: Registry, where: Where) -> frozenset[str]:
    """Return the resources that a journal's intents were to change."""
    changed: set[str] = set()
    for record in records:
        if record.kind == kinds.INTENT and record.body["calls"]:
            action = registry.get(record.body["action"])
            changed.update(action.targets(params_of(action, record.body["params"]), where))
    return frozenset(changed)


def bind(driver: Driver, path: str, action_id: str, values: Mapping[str, Any], started: datetime) -> Binding:
    """Bind a step of a run to its action and parameters.

    Raises:
        InvalidCall: If a value is not of its parameter's type.
    """
    action = driver.services.registry.get(action_id)
    params = params_of(action, values)
    steps = driver.run.execution.visible(path)
    return Binding(driver.services, driver.run.facts, action, params, path, started, steps)


def step_run(driver: Driver, binding: Binding, path: str) -> StepRun:
    """Return an attempt of a bound step, with the step's time limit."""
    limit_s = driver.run.execution.step(path).timeout_s or binding.action.timeout_s
    deadline = binding.started + timedelta(seconds=limit_s)
    clock = driver.services.clock
    sender = Sender(binding.ports(), clock)
    return StepRun(binding.action, binding.params, binding.look_context, sender, clock, deadline)


class Attempts:
    """Answers ``RunStep`` for one run."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._locking = threading.Lock()
        self._acting: set[str] = set()
        """Paths of steps that have their locks and have not ended."""
        self._changed = changed_by(driver.run.records, driver.services.registry, driver.run.facts.where)

    def run(self, command: RunStep) -> None:
        """Run an attempt: the intent is on disk before anything is sent."""
        path, attempt = command.path, command.attempt
        try:
            step = self._driver.run.execution.step(path)
            if not isinstance(step.kind, Uses):
                raise PlaybookError(f"{path} uses no action")
            values = self._driver.scopes.render(path, step.kind.params)
            binding = bind(self._driver, path, step.kind.action, values, self._driver.services.clock.now())
            self._refuse_after_abort(path, binding)
            if not self._lock_targets(command, binding):
                return
            with defects(binding.action.id):
                flight = self._begin(binding, path, attempt)
        except IRRunnerError as problem:
            if isinstance(problem, JournalError | LeaseLost):
                raise
            self._failed(path, attempt, problem)
            return
        if flight is not None:
            self._advance(path, flight)

    def _refuse_after_abort(self, path: str, binding: Binding) -> None:
        """After an abort, ``finally`` tells people and records; it changes nothing in the cloud."""
        risk = binding.action.risk
        if risk is not Risk.NONE and self._driver.aborted() and self._driver.run.execution.in_finally(path):
            raise ActionDenied(
                f"{path}: after an abort, `finally` runs only actions of risk none, not {risk}"
            )

    def _lock_targets(self, command: RunStep, binding: Binding) -> bool:
        """Lock what the step changes; where another run holds it, come back later."""
        if not any(permission.use == "act" for permission in binding.action.permissions):
            return True
        holder = self._lock(command.path, binding)
        if holder is None:
            return True
        self._driver.observer("queued", command.path, {"behind": holder})
        self._driver.soon(lambda: self.run(command), LOCK_WAIT_S)
        return False

    def _lock(self, path: str, binding: Binding) -> str | None:
        """Lock a step's targets; return the run that holds one of them.

        Who waits holds nothing (but under a step that acts, which ends): two runs never wait for each other.
        """
        store, lease = self._driver.store, self._driver.lease
        targets = sorted(binding.action.targets(binding.params, self._driver.run.facts.where))
        with self._locking:
            holder = store.lock(lease, targets)
            if holder is None:
                self._acting.add(path)
            elif not self._acting:
                store.unlock(lease)
        return holder

    def _begin(self, binding: Binding, path: str, attempt: int) -> InFlight | None:
        run = step_run(self._driver, binding, path)
        begun = run.begin()
        refusal = begun.refusal or (self._beyond_limit(binding) if begun.calls else None)
        if refusal is not None and not refusal.nothing_to_do:
            error = {"code": refusal.code, "message": refusal.reason, "hint": "", "detail": {}}
            self._driver.commit([StepFailed(path, attempt, Outcome.REFUSED, error, retryable=False)])
            return None
        params = binding.params.model_dump(mode="json")
        intent = {
            "attempt": attempt,
            "action": binding.action.id,
            "contract": binding.action.contract,
            "params": params,
            "params_sha256": digest(canonical(params)),
            "before": begun.before.model_dump(mode="json"),
            "calls": [{"operation": call.operation, "target": call.target} for call in begun.calls],
            "started": iso(binding.started),
        }
        self._driver.commit([], [Draft(kinds.INTENT, intent, path)])
        return InFlight(run, binding, attempt)

    def _beyond_limit(self, binding: Binding) -> Refused | None:
        """Return a refusal where the run would change more resources than it may, else count them."""
        run, settings = self._driver.run, self._driver.services.settings
        limit = min(
            settings.limits.resources, run.playbook.limits.get("resources", settings.limits.resources)
        )
        with self._locking:
            changed = self._changed.union(binding.action.targets(binding.params, run.facts.where))
            if len(changed) > limit:
                return Refused(f"the run would change more than {limit} resources", code="limit-reached")
            self._changed = changed
        return None

    def resume(self, command: RunStep, intent: Mapping[str, Any]) -> None:
        """Settle an intent that has no outcome: look first, with the prior state of the journal."""
        path = command.path
        started = parse_iso(intent["started"])
        binding = bind(self._driver, path, intent["action"], intent["params"], started)
        holder = self._lock(path, binding)
        if holder is not None:
            self._driver.observer("queued", path, {"behind": holder})
            self._driver.soon(lambda: self.resume(command, intent), LOCK_WAIT_S)
            return
        run = step_run(self._driver, binding, path)
        run.deadline = self._driver.services.clock.now() + (run.deadline - started)
        flight = InFlight(run, binding, intent["attempt"], resumed=bool(intent["calls"]))
        try:
            with defects(binding.action.id):
                run.before = binding.action.StateModel.model_validate(intent["before"])
        except Defect as problem:  # another version of the action wrote it
            self._failed(path, flight.attempt, problem, flight)
            return
        run.resume(len(intent["calls"]), started)
        self._advance(path, flight)

    def _advance(self, path: str, flight: InFlight) -> None:
        self._driver.hold()
        try:
            with defects(flight.binding.action.id):
                progress = flight.run.advance()
                while isinstance(progress, Later) and progress.poll_s == 0:
                    progress = flight.run.advance()
        except ActionThrottled as problem:
            wait_s = float(problem.detail.get("retry_after_s", 0.0))
            if not wait_s or self._driver.services.clock.now() >= flight.run.deadline:
                self._failed(path, flight.attempt, problem, flight)
                return
            progress = Later(wait_s, "pacing: AWS asked us to slow down")
        except (ActionError, Defect, SettingsError) as problem:
            self._failed(path, flight.attempt, problem, flight)
            return
        if isinstance(progress, Later):
            self._driver.observer("step_waiting", path, {"reason": progress.reason})
            evidence = flight.binding.action.id.startswith(EVIDENCE_PREFIXES)
            self._driver.soon(
                lambda: self._advance(path, flight),
                self._driver.services.pace(progress.poll_s),
                evidence=evidence,
            )
            return
        self._ended(path, flight, progress)

    def _outcome_draft(self, path: str, flight: InFlight, body: Mapping[str, Any]) -> Draft:
        sent = [call.as_dict() for call in flight.run.sender.sent]
        known = {"attempt": flight.attempt, "calls": sent, "possibly_sent": flight.possibly_sent}
        return Draft(kinds.OUTCOME, {**known, **body}, path)

    def _ended(self, path: str, flight: InFlight, done: Done) -> None:
        after = done.after.model_dump(mode="json") if done.after is not None else None
        found = done.outcome.good and not flight.possibly_sent and flight.attempt == 1
        unsure = [NOT_OURS] if found and self._expires_after_s(path) else []
        body: dict[str, Any] = {
            "outcome": done.outcome,
            "reason": done.reason,
            "warnings": [*done.warnings, *unsure, *self._kept_for_good(path, flight, done)],
        }
        if not done.outcome.good:
            body["after"] = after if after is not None else self._last_look(flight)
        outcome = self._outcome_draft(path, flight, body)
        self._acting.discard(path)
        if done.outcome.good:
            expiry, change = self._expiry(path, flight, after)
            event = StepSucceeded(path, flight.attempt, done.outcome, done.outputs)
            verified = {"verified": done.verified, "after": after}
            self._driver.commit([event], [outcome, *expiry], change, extra=verified)
            return
        error = {"code": done.code, "message": done.reason, "hint": "", "detail": {}}
        expiry, change = (
            self._expiry(path, flight, body["after"]) if flight.left(body["after"]) else ([], None)
        )
        failed = StepFailed(path, flight.attempt, done.outcome, error, done.retryable)
        self._driver.commit([failed], [outcome, *expiry], change)

    def _expiry(
        self, path: str, flight: InFlight, after: Mapping[str, Any] | None
    ) -> tuple[list[Draft], RunChange | None]:
        """Return what is committed with an outcome, where the step's effect shall be taken off later."""
        after_s = self._expires_after_s(path)
        if after_s is None:
            return [], None
        seen = flight.binding.action.StateModel.model_validate(after).footprint() if after else {}
        run_id, now = self._driver.run.facts.run_id, self._driver.services.clock.now()
        draft, change = set_expiry(run_id, path, after_s, now, seen)
        return [draft], change

    def _kept_for_good(self, path: str, flight: InFlight, done: Done) -> list[str]:
        """Keep on what the step wants without end, though another run has put it there for a while."""
        lasts = flight.binding.action.may_expire and self._expires_after_s(path) is None
        if not (lasts and done.outcome.good and done.after is not None):
            return []
        return keep_for_good(self._driver.store, self._driver.run.facts.run_id, done.after.footprint())

    def _expires_after_s(self, path: str) -> float | None:
        kind = self._driver.run.execution.step(path).kind
        return kind.expires_after_s if isinstance(kind, Uses) else None

    def _failed(
        self, path: str, attempt: int, problem: IRRunnerError, flight: InFlight | None = None
    ) -> None:
        event: Event
        if isinstance(problem, ActionError):
            event = StepFailed(path, attempt, Outcome.FAILED, error_of(problem), problem.retryable)
        elif isinstance(problem, PlaybookError):
            event = EvaluationFailed(path, error_of(problem))
        else:
            event = StepFailed(path, attempt, Outcome.FAILED, error_of(problem), retryable=False)
        drafts: list[Draft] = []
        expiry: list[Draft] = []
        change = None
        self._acting.discard(path)
        if flight is not None:
            after = self._last_look(flight)
            if flight.left(after):
                expiry, change = self._expiry(path, flight, after)
            body = {"outcome": Outcome.FAILED, "reason": str(problem), "after": after}
            drafts += [self._outcome_draft(path, flight, body), *expiry]
        self._driver.commit([event], drafts, change)

    def _last_look(self, flight: InFlight) -> dict[str, Any] | None:
        """Look once more after a failure: undo's drift check compares with what was left behind."""
        if not flight.possibly_sent:
            return None
        try:
            with defects(flight.binding.action.id):
                return flight.run.look().model_dump(mode="json")
        except IRRunnerError:
            return None
