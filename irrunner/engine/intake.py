"""From an event's bytes to what is to be done: start a run, show or update one, or leave it to a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from irrunner.engine.loaded import ATTACHED
from irrunner.errors import EXIT_ENVIRONMENT, FindingIncomplete, FindingMalformed
from irrunner.findings.correlate import (
    INCOMPLETE,
    NO_PLAYBOOK,
    Act,
    Drill,
    Late,
    NewRun,
    NotActed,
    Update,
    correlate,
    gate,
)
from irrunner.findings.matching import match
from irrunner.findings.model import Finding
from irrunner.findings.parse import parse_events
from irrunner.journal.store import RunRow
from irrunner.playbook.expressions import evaluate_on_finding
from irrunner.playbook.model import Expr, Playbook
from irrunner.playbook.types import bind_inputs
from irrunner.vocabulary import RunStatus

if TYPE_CHECKING:
    from irrunner.engine.service import Runner
    from irrunner.playbook.library import Library


@dataclass(frozen=True, slots=True)
class Taken:
    """What is to be done about one finding."""

    finding: Finding | None
    playbook: Playbook | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    drill: bool = False
    existing: RunRow | None = None
    also_matched: tuple[str, ...] = ()
    reason: str = ""
    message: str = ""
    problems: tuple[str, ...] = ()
    exit_code: int = EXIT_ENVIRONMENT

    @property
    def starts(self) -> Playbook | None:
        """Return the playbook of which a run would begin, if one would."""
        return self.playbook if self.existing is None else None

    def about(self) -> dict[str, Any]:
        """Return what the command's document says beside the run's own."""
        finding = self.finding
        shown = {
            "id": finding.id, "type": finding.type, "title": finding.title, "severity": finding.severity,
            "account_id": finding.account_id, "region": finding.region, "sample": finding.sample,
            "event_key": finding.event_key, "incident_key": finding.incident_key,
        } if finding else None  # fmt: skip
        document: dict[str, Any] = {"finding": shown, "also_matched": list(self.also_matched)}
        if self.existing is not None:
            return {**document, "reason": self.message}
        if self.playbook is None:
            document |= {
                "run_id": None, "incident_id": None, "playbook": None, "status": RunStatus.NO_PLAYBOOK,
                "reason_code": self.reason, "reason": self.message, "problems": list(self.problems),
                "started_at": None, "ended_at": None, "steps": [], "objectives": {}, "journal": None,
                "exit_code": self.exit_code,
            }  # fmt: skip
        return document


def _holds(expr: Expr, finding: Finding) -> bool:
    return bool(evaluate_on_finding(expr, finding))


def take_in(
    runner: Runner, library: Library, data: bytes, *, again: bool, accepted_at: datetime
) -> list[Taken]:
    """Decide about every finding of an event.

    Args:
        runner: For the store, settings and cloud.
        library: The playbooks.
        data: The event, as received.
        again: Run a known event once more.
        accepted_at: When it was accepted.

    Raises:
        FindingMalformed: If the bytes are no event.
    """
    findings = parse_events(data)
    if not findings:
        raise FindingMalformed("the event holds no finding", hint="an empty array needs no response")
    return [_take(runner, library, finding, again=again, now=accepted_at) for finding in findings]


def _take(runner: Runner, library: Library, finding: Finding, *, again: bool, now: datetime) -> Taken:
    drill = _gate(runner, finding)
    if isinstance(drill, Taken):
        return drill
    matched = match(finding, library.all(), _holds)
    if not matched:
        message = f"no playbook answers {finding.type or 'this event'}: a person decides"
        return Taken(finding, reason=NO_PLAYBOOK, message=message)
    playbook, also = matched[0], tuple(other.id for other in matched[1:])
    if not again:
        existing = _existing(runner, finding, playbook, now, also)
        if existing is not None:
            return existing
    try:
        inputs = bind_inputs(playbook, finding, {})
    except FindingIncomplete as problem:
        return Taken(finding, reason=INCOMPLETE, message=str(problem), problems=(problem.message,))
    return Taken(finding, playbook, inputs, drill, also_matched=also)


def _gate(runner: Runner, finding: Finding) -> bool | Taken:
    """Return whether the finding is a drill, or why it is not acted on."""
    settings = runner.services.settings
    needs_place = (finding.sample or finding.archived) and settings.drill.allow
    loopback = needs_place and runner.services.cloud.caller().simulated
    decision = gate(finding, settings, loopback=loopback)
    if isinstance(decision, NotActed):
        message = f"{decision.reason}: {decision.message}"
        return Taken(finding, reason=decision.reason, message=message, problems=finding.problems)
    return isinstance(decision, Drill) and not isinstance(decision, Act)


def _existing(
    runner: Runner, finding: Finding, playbook: Playbook, now: datetime, also: tuple[str, ...]
) -> Taken | None:
    store = runner.store
    of_incident = store.runs_of_incident(finding.incident_key) if finding.incident_key else []
    decision = correlate(
        finding, playbook.id, reopen_after_s=playbook.reopen_after_s, now=now,
        of_event=store.runs_of_event(finding.event_key), of_incident=of_incident,
        last_events=_last_events(runner, of_incident),
    )  # fmt: skip
    if isinstance(decision, NewRun):
        return None
    if isinstance(decision, Update):
        runner.attach(decision.run, finding)
        message = f"a newer update of the finding was attached to run {decision.run.run_id}"
    elif isinstance(decision, Late):
        message = f"an older update: run {decision.run.run_id} knows a newer one; nothing was changed"
    else:
        message = f"this event is known: run {decision.run.run_id}"
    return Taken(finding, playbook, existing=decision.run, also_matched=also, message=message)


def _last_events(runner: Runner, rows: Sequence[RunRow]) -> dict[str, str]:
    """Return the newest attached event key of each run."""
    last = {}
    for row in rows:
        for record in runner.store.records(row.run_id):
            if record.kind == ATTACHED:
                last[row.run_id] = str(record.body["event_key"])
    return last


def take_for(
    runner: Runner, playbook: Playbook, data: bytes | None, given: Mapping[str, str], *, accepted_at: datetime
) -> Taken:
    """Decide about a run that a person asked for by name.

    Args:
        runner: For settings and cloud.
        playbook: The playbook.
        data: An event, if one is given.
        given: ``--input`` values.
        accepted_at: When it was asked.

    Raises:
        FindingMalformed: If the bytes are no event, or hold several findings.
        InvalidArgument: If an input is wrong.
        FindingIncomplete: If the finding lacks an input.
    """
    del accepted_at
    if data is None:
        return Taken(None, playbook, bind_inputs(playbook, None, given))
    findings = parse_events(data)
    if len(findings) != 1:
        raise FindingMalformed(
            f"the event holds {len(findings)} findings, not one", hint="use irrunner respond, or split it"
        )
    drill = _gate(runner, findings[0])
    if isinstance(drill, Taken):
        return drill
    return Taken(findings[0], playbook, bind_inputs(playbook, findings[0], given), drill)
