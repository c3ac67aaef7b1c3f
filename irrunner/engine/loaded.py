"""A run as its journal tells it: record 0, the playbook pinned in it, and the folded Execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from irrunner.actions.contract import Where
from irrunner.actions.registry import Registry
from irrunner.clock import iso, parse_iso
from irrunner.engine.compiled import Compiler
from irrunner.errors import JournalCorrupt
from irrunner.findings.model import Finding
from irrunner.journal.records import Draft, Record, first_break
from irrunner.machine.execution import Execution
from irrunner.machine.messages import event_of
from irrunner.playbook.model import Playbook

STARTED = "run_started"
INTENT = "step_intent"
OUTCOME = "step_outcome"
ASKED = "approval_asked"
ESCALATED = "approval_escalated"
TIMER = "timer_started"
FINISHED = "run_finished"
PARKED = "run_parked"
RESUMED = "run_resumed"
ATTACHED = "event_attached"
INSTRUCTED = "manual_asked"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What record 0 says of a run; it never changes."""

    run_id: str
    where: Where
    drill: bool
    inputs: Mapping[str, Any]
    finding: Finding | None
    accepted_at: datetime
    deadline_at: datetime


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """A run, folded."""

    facts: RunFacts
    playbook: Playbook
    execution: Execution
    records: Sequence[Record]

    @property
    def fresh(self) -> bool:
        """Whether nothing has happened yet: no timer, intent or request can be stored."""
        return len(self.records) == 1

    def intents(self) -> dict[str, Record]:
        """Return the intents without an outcome, by path."""
        open_intents: dict[str, Record] = {}
        for record in self.records:
            if record.kind == INTENT:
                open_intents[record.path] = record
            elif record.kind in ("step_verified", "step_failed", "evaluation_failed"):
                open_intents.pop(record.path, None)
        return open_intents

    def was_asked(self, path: str, asked: int, *, escalated: bool) -> bool:
        """Return whether a gate was asked for the so-manieth time, and its escalation told, too.

        Args:
            path: The gate.
            asked: How often it had been asked before (stale plans).
            escalated: Whether the escalation must have been told since.
        """
        told = not escalated
        for record in reversed(self.records):
            if record.path == path and record.kind in (ESCALATED, ASKED):
                told = told or record.kind == ESCALATED or bool(record.body.get("escalated"))
                if record.kind == ASKED:
                    return told and bool(record.body["asked"] == asked)
        return False

    def was_instructed(self, path: str) -> bool:
        """Return whether a person was shown the instruction of a ``manual`` step."""
        return any(record.kind == INSTRUCTED and record.path == path for record in self.records)


def started_draft(playbook: Playbook, facts: RunFacts, registry: Registry, extra: Mapping[str, Any]) -> Draft:
    """Return record 0: the texts that this run uses for ever, and where it acts.

    Args:
        playbook: The playbook, with its callees.
        facts: Facts of the run.
        registry: For the contract versions of the actions.
        extra: Further JSON-able facts (caller, event, command line).
    """
    where = facts.where
    body = {
        "playbook": {
            "id": playbook.id, "version": playbook.version, "sha256": playbook.sha256,
            "file": playbook.place.file, "text": playbook.text,
        },
        "callees": {
            name: callee.text for name, callee in playbook.closure().items() if callee is not playbook
        },
        "contracts": {action.id: action.contract for action in registry},
        "inputs": dict(facts.inputs),
        "finding": facts.finding.model_dump(mode="json") if facts.finding else None,
        "where": {name: getattr(where, name) for name in Where.__dataclass_fields__},
        "drill": facts.drill,
        "accepted_at": iso(facts.accepted_at),
        "deadline_at": iso(facts.deadline_at),
        **extra,
    }  # fmt: skip
    return Draft(STARTED, body)


def facts_of(first: Record) -> RunFacts:
    """Return the facts of record 0.

    Raises:
        JournalCorrupt: If the record is no ``run_started``.
    """
    if first.kind != STARTED:
        raise JournalCorrupt(f"run {first.run_id}: record 0 is {first.kind!r}, not {STARTED!r}")
    body = first.body
    finding = body["finding"]
    return RunFacts(
        run_id=first.run_id,
        where=Where(**body["where"]),
        drill=body["drill"],
        inputs=body["inputs"],
        finding=Finding.model_validate(finding) if finding else None,
        accepted_at=parse_iso(body["accepted_at"]),
        deadline_at=parse_iso(body["deadline_at"]),
    )


def load_run(records: Sequence[Record], compiler: Compiler) -> LoadedRun:
    """Verify the chain, load the pinned playbook and fold the events.

    Raises:
        JournalCorrupt: If the chain is broken; nothing is driven from such a journal.
    """
    broken = first_break(records)
    if broken is not None or not records:
        run_id = records[0].run_id if records else "?"
        raise JournalCorrupt(
            f"run {run_id}: the hash chain breaks at record {broken}",
            hint="stop; keep the file as evidence; restore the store from a backup",
        )
    facts = facts_of(records[0])
    pinned = records[0].body["playbook"]
    compiled = compiler.pinned(pinned["text"], pinned["file"], records[0].body["callees"])
    execution = Execution(compiled.chart, facts.inputs)
    execution.start()
    for record in records[1:]:
        event = event_of(record.kind, {**record.body, "path": record.path})
        if event is not None:
            execution.feed(event)
    return LoadedRun(facts, compiled.playbook, execution, records)
