"""People in a run: gates with their plans, manual instructions, decisions."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from irrunner.clock import iso, parse_iso
from irrunner.engine import loaded as kinds
from irrunner.engine.gate import GatePlan, gate_plan
from irrunner.engine.requests import event_of_request
from irrunner.engine.stepping import error_of
from irrunner.errors import IRRunnerError, JournalError, LeaseLost, PlaybookError
from irrunner.journal.records import Draft
from irrunner.journal.store import Request, RunChange
from irrunner.machine.messages import (
    ApprovalGiven,
    ApprovalStale,
    AskApproval,
    AskManual,
    EvaluationFailed,
    ManualConfirmed,
)
from irrunner.playbook.model import Approve, Manual

if TYPE_CHECKING:
    from irrunner.engine.driver import Driver


class People:
    """Answers ``AskApproval`` and ``AskManual`` for one run, and takes decisions."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._taken: set[int] = set()
        self._deciding = threading.Lock()

    def _gate(self, path: str, at: datetime) -> GatePlan:
        step = self._driver.run.execution.step(path)
        return gate_plan(self._driver.services, self._driver.run, self._driver.scopes, path, step, at)

    def ask(self, command: AskApproval) -> None:
        """Open a gate: make the plan of what stands behind it, and journal both."""
        path = command.path
        kind = self._driver.run.execution.step(path).kind
        if not isinstance(kind, Approve):
            raise PlaybookError(f"{path} asks nobody")
        latest = self._latest_asked(path)
        if command.escalated and latest is not None and latest["asked"] == command.asked:
            self._driver.commit([], [Draft(kinds.ESCALATED, {"approvers": list(kind.escalate)}, path)])
            self._tell(kind.escalate, path, "nobody has decided yet")
            return
        approvers = (*kind.approvers, *(kind.escalate if command.escalated else ()))
        at = iso(self._driver.services.clock.now())
        try:
            message = self._driver.scopes.text(path, kind.message)
            plan = self._gate(path, parse_iso(at))
        except IRRunnerError as problem:
            if isinstance(problem, JournalError | LeaseLost):
                raise
            self._driver.commit([EvaluationFailed(path, error_of(problem))])
            return
        body = {
            "asked": command.asked, "escalated": command.escalated, "message": message,
            "approvers": list(approvers), "minimum": kind.minimum, "within_s": kind.within_s,
            "planned_at": at, "plan": plan.as_dict(), "sha256": plan.sha256,
        }  # fmt: skip
        self._driver.commit([], [Draft(kinds.ASKED, body, path)])
        self._tell(approvers, path, message)

    def _tell(self, groups: Iterable[str], path: str, message: str) -> None:
        """Send the question to channels named like the groups; a chat that is down is no failure."""
        run_id = self._driver.run.facts.run_id
        port = self._driver.services.local(run_id)
        for group in groups:
            if group in self._driver.services.settings.channels:
                body = f"{message}\nirrunner show {run_id}"
                port.call("notify:Send", Channel=group, Title=f"Decision needed: {path}", Body=body)

    def ask_manual(self, command: AskManual) -> None:
        """Journal an instruction for a person."""
        path = command.path
        kind = self._driver.run.execution.step(path).kind
        if not isinstance(kind, Manual):
            raise PlaybookError(f"{path} instructs nobody")
        try:
            text = self._driver.scopes.text(path, kind.instruction)
        except PlaybookError as problem:
            self._driver.commit([EvaluationFailed(path, error_of(problem))])
            return
        body = {"instruction": text, "by": list(kind.by)}
        self._driver.commit([], [Draft(kinds.INSTRUCTED, body, path)])
        self._tell(kind.by, path, text)

    def take(self, request: Request) -> None:
        """Take a request; it is settled by the commit that acts on it, so that a crash loses no decision."""
        if request.request_id in self._taken:
            return
        self._taken.add(request.request_id)
        settled = RunChange(requests_settled=[request.request_id])
        event = event_of_request(request)
        if isinstance(event, ApprovalGiven):
            self._driver.soon(lambda: self._approve(event, settled))
        elif request.kind == "attach":
            self._driver.soon(lambda: self._attach(request))
        else:
            late = isinstance(event, ManualConfirmed) and self._driver.timers.overdue(event.path, "manual")
            events = [] if event is None or late else [event]
            self._driver.soon(lambda: self._driver.commit(events, (), settled))

    def _attach(self, request: Request) -> None:
        severity = float(request.body["severity"])
        change = RunChange(requests_settled=[request.request_id], severity=severity)
        self._driver.commit([], [Draft(kinds.ATTACHED, dict(request.body))], change)

    def _approve(self, event: ApprovalGiven, settled: RunChange) -> None:
        """Check an approval against the plan made again now; a late one is refused by the stored deadline.

        One at a time: the second of two approvals must find the gate passed, and not compare its plan with
        what the first one has begun.
        """
        with self._deciding:
            self._decide(event, settled)

    def _decide(self, event: ApprovalGiven, settled: RunChange) -> None:
        asked = self._latest_asked(event.path) if self._is_open(event.path) else None
        if asked is None or self._driver.timers.overdue(event.path, "approval"):
            self._driver.commit([], (), settled)
            return
        plan = self._gate(event.path, parse_iso(asked["planned_at"]))
        if plan.sha256 != (event.plan_sha256 or asked["sha256"]):
            stale = ApprovalStale(event.path, plan.difference(asked["plan"]))
            self._driver.commit([stale], (), settled)
            return
        self._driver.commit([event], (), settled)

    def _is_open(self, path: str) -> bool:
        return any(
            isinstance(command, AskApproval) and command.path == path
            for command in self._driver.run.execution.outstanding()
        )

    def _latest_asked(self, path: str) -> Mapping[str, Any] | None:
        for record in reversed(self._driver.store.records(self._driver.run.facts.run_id)):
            if record.kind == kinds.ASKED and record.path == path:
                return record.body
        return None
