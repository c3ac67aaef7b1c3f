"""What a finding means for the runs that exist, and whether it may be acted on at all. Pure decisions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from irrunner.clock import parse_iso
from irrunner.findings.model import Finding
from irrunner.journal.store import RunRow
from irrunner.settings import Settings

SAMPLE: Final = "sample-finding"
INCOMPLETE: Final = "finding-incomplete"
NO_PLAYBOOK: Final = "no-playbook"


@dataclass(frozen=True, slots=True)
class Act:
    """The finding is about something real."""


@dataclass(frozen=True, slots=True)
class Drill:
    """A sample or archived finding, played against a simulated AWS."""


@dataclass(frozen=True, slots=True)
class NotActed:
    """A person decides."""

    reason: str
    """``finding-incomplete`` or ``sample-finding``."""
    message: str
    """What is the matter, in a sentence without a full stop."""


Gate: TypeAlias = Act | Drill | NotActed


@dataclass(frozen=True, slots=True)
class NewRun:
    """Start a run."""

    reopens: str | None = None
    """The ended run of the same incident that this one follows."""


@dataclass(frozen=True, slots=True)
class SameEvent:
    """The event is known: show the run and its exit code."""

    run: RunRow


@dataclass(frozen=True, slots=True)
class Update:
    """Append the event to the open run."""

    run: RunRow
    severity: float | None = None
    """The run's new severity where it rises."""


@dataclass(frozen=True, slots=True)
class Late:
    """An older state of a finding that the run already knows better; change nothing."""

    run: RunRow


@dataclass(frozen=True, slots=True)
class Settled:
    """The incident's run ended a short time ago; nothing new happens before ``reopens_at``."""

    run: RunRow
    reopens_at: datetime


Correlation: TypeAlias = NewRun | SameEvent | Update | Late | Settled


def gate(finding: Finding, settings: Settings, *, loopback: bool) -> Gate:
    """Return whether the finding may be acted on.

    Args:
        finding: The finding.
        settings: ``drill.allow`` says whether samples may be played.
        loopback: Whether the AWS endpoint is on this machine; samples never reach another.
    """
    if finding.problems:
        return NotActed(INCOMPLETE, "; ".join(finding.problems))
    if not finding.sample and not finding.archived:
        return Act()
    if settings.drill.allow and loopback:
        return Drill()
    what = "a sample finding" if finding.sample else "an archived finding"
    return NotActed(SAMPLE, f"{what} is played only against a simulated AWS, with drill.allow: true")


def correlate(
    finding: Finding,
    playbook_id: str,
    *,
    reopen_after_s: float,
    now: datetime,
    of_event: Sequence[RunRow],
    of_incident: Sequence[RunRow],
    last_events: Mapping[str, str] | None = None,
) -> Correlation:
    """Return what the finding means for the runs of one playbook.

    Args:
        finding: A finding that passed :func:`gate`.
        playbook_id: The playbook that would answer it.
        reopen_after_s: How long after its run's end an incident of the same severity starts no run.
        now: The time, with its zone.
        of_event: ``Store.runs_of_event(finding.event_key)``.
        of_incident: ``Store.runs_of_incident(finding.incident_key)``, newest first.
        last_events: Run id to the key of the event that was attached to it last; a run that is missing
            knows only the event that started it.
    """
    same = next(_of_playbook(of_event, playbook_id), None)
    if same is not None:
        return SameEvent(same)
    known = next(_of_playbook(of_incident, playbook_id), None) if finding.incident_key else None
    if known is None:
        return NewRun()
    if is_older(finding.event_key, (last_events or {}).get(known.run_id, known.event_key)):
        return Late(known)
    if not known.status.ended:
        return Update(known, finding.severity if finding.severity > known.severity else None)
    return _after_the_end(finding, known, now, reopen_after_s)


def _of_playbook(runs: Sequence[RunRow], playbook_id: str) -> Iterator[RunRow]:
    return (run for run in runs if run.playbook_id == playbook_id and run.undoes is None)


def _after_the_end(finding: Finding, ended: RunRow, now: datetime, reopen_after_s: float) -> Correlation:
    ended_at = parse_iso(ended.ended_at or ended.created_at)
    reopens_at = ended_at + timedelta(seconds=reopen_after_s)
    if now >= reopens_at or finding.severity > ended.severity:
        return NewRun(reopens=ended.run_id)
    return Settled(ended, reopens_at)


def is_older(event_key: str, known_key: str) -> bool:
    """Return whether an event is an earlier state of the same finding than one that is known.

    Updates have the finding's id and a later update time, or the same time and a larger count.
    """
    ours, known = _occurrence(event_key), _occurrence(known_key)
    return ours is not None and known is not None and ours[0] == known[0] and ours[1] < known[1]


def _occurrence(event_key: str) -> tuple[tuple[str, str], tuple[str, int]] | None:
    """Return (source, id) and (update time, count) of a key; None if it is a digest."""
    if not event_key.startswith("["):
        return None
    source, identifier, updated_at, count = json.loads(event_key)
    return (source, identifier), (updated_at, count)
