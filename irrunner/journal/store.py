"""What the engine needs of a store. The SQL store implements it; tests run one suite over every store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from irrunner.journal.records import Draft, Record
from irrunner.vocabulary import RunStatus

if TYPE_CHECKING:
    from irrunner.journal.outbox import Outbox

EXPIRY: Final = "expiry"
"""Purpose of a timer that outlives its run: then an effect of its step is taken off again."""


@dataclass(frozen=True, slots=True)
class NewRun:
    """What identifies a run in lists; everything else is in its journal."""

    run_id: str
    incident_id: str
    incident_key: str
    """Empty when the run has no finding (then it never joins)."""
    event_key: str
    playbook_id: str
    playbook_version: str
    playbook_sha256: str
    title: str
    account_id: str
    region: str
    severity: float
    drill: bool
    undoes: str | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """One line of ``irrunner runs``."""

    run_id: str
    incident_id: str
    incident_key: str
    event_key: str
    playbook_id: str
    playbook_version: str
    playbook_sha256: str
    title: str
    account_id: str
    region: str
    severity: float
    drill: bool
    undoes: str | None
    status: RunStatus
    created_at: str
    ended_at: str | None
    records: int
    head_sha256: str
    owner: str | None
    """Who holds the lease, None when parked or ended."""
    next_timer_at: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """Ownership of a run; ``epoch`` fences appends of owners that lost it."""

    run_id: str
    owner: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks of a run that another process may be driving: approve, deny, abort, confirm."""

    request_id: int
    run_id: str
    kind: str
    body: Mapping[str, Any]
    at: str


@dataclass(frozen=True, slots=True)
class Timer:
    """A durable timer."""

    run_id: str
    path: str
    purpose: str
    attempt: int
    due_at: str


@dataclass(frozen=True, slots=True)
class RunChange:
    """Columns and rows that change in the same commit as an append."""

    status: RunStatus | None = None
    ended: bool = False
    """Release locks and the lease, drop timers (but of expiries), and add the run's head to the store-wide
    chain of ended runs.

    Whoever appends later gets LeaseLost."""
    timers_set: Sequence[Timer] = field(default=())
    timers_cleared: Sequence[tuple[str, str, int]] = field(default=())
    """(path, purpose, attempt)."""
    expiries_cleared: Sequence[tuple[str, str]] = field(default=())
    """(run, path) of effects, of whatever run, that are off now."""
    requests_settled: Sequence[int] = field(default=())
    severity: float | None = None


@dataclass(frozen=True, slots=True)
class ChainReport:
    """Result of verifying one run, or the whole store."""

    ok: bool
    records: int
    broken_at: int | None = None
    problem: str = ""
    head_sha256: str = ""
    """Head of the run, or of the chain of ended runs: kept elsewhere, it proves everything behind it."""


class Store(Protocol):
    """Durable runs. Every method that writes returns after the commit is on disk."""

    @property
    def outbox(self) -> Outbox:
        """Return what trackers of tickets shall hear."""

    def create_run(
        self, run: NewRun, drafts: Sequence[Draft], owner: str, ttl_s: float, *, takes: Timer | None = None
    ) -> Lease:
        """Insert the run with its first records and take its lease, in one commit.

        Args:
            run: The run.
            drafts: Its first records.
            owner: Who drives it.
            ttl_s: How long the lease lasts, in seconds.
            takes: The expiry that the run carries out: it is removed in the same commit.

        Raises:
            RunExists: If an open run of (playbook, incident key) exists (carries its id).
            RunBusy: If another process took the expiry, or it was cancelled.
            JournalUnavailable: If the store cannot be written.
        """

    def acquire(
        self, run_id: str, owner: str, ttl_s: float, *, instead_of: str | None = None
    ) -> Lease | None:
        """Take the lease if it is free or has expired; bump the epoch. None if it is held.

        Args:
            run_id: The run.
            owner: Who takes it.
            ttl_s: For how many seconds.
            instead_of: A holder that is known to be gone: its lease counts as expired.

        Raises:
            RunNotFound: If there is no such run.
            RunNotResumable: If it has ended.
        """

    def renew(self, lease: Lease, ttl_s: float) -> None:
        """Extend the lease. Raises LeaseLost."""

    def release(self, lease: Lease) -> None:
        """Give the lease back; no error if it was lost."""

    def append(self, lease: Lease, drafts: Sequence[Draft], change: RunChange | None = None) -> list[Record]:
        """Append records in one commit (shared with other runs': group commit).

        Raises:
            LeaseLost: If the lease's epoch is no longer the run's; nothing was written.
            JournalUnavailable: If the store cannot be written; nothing was written.
        """

    def records(self, run_id: str, after_seq: int = -1) -> list[Record]:
        """Return the run's records after a sequence number."""

    def run(self, run_id: str) -> RunRow:
        """Return one run; a unique prefix of its id is enough. Raises RunNotFound."""

    def runs(self, *, open_only: bool = False, limit: int = 100) -> list[RunRow]:
        """Return runs, newest first."""

    def runs_of_incident(self, incident_key: str) -> list[RunRow]:
        """Return the runs of an incident, newest first."""

    def runs_of_event(self, event_key: str) -> list[RunRow]:
        """Return the runs that an event started or was attached to, newest first."""

    def attach_event(self, run_id: str, event_key: str) -> None:
        """Remember that the event belongs to the run."""

    def request(self, run_id: str, kind: str, body: Mapping[str, Any]) -> int:
        """Ask something of a run; its driver polls.

        Raises:
            RunNotFound: If there is no such run.
            RunNotResumable: If it has ended.
        """

    def requests(self, run_id: str) -> list[Request]:
        """Return requests that are not settled, oldest first."""

    def timers(self, run_id: str) -> list[Timer]:
        """Return the run's timers."""

    def expiries(self) -> list[Timer]:
        """Return the expiries of all runs, open or ended, the next one first."""

    def move_expiry(self, expiry: Timer, due_at: str | None) -> None:
        """Let an expiry be due later, or never; nothing where another process took it up meanwhile."""

    def undos_of(self, run_id: str) -> list[RunRow]:
        """Return the runs that undo a run, newest first."""

    def due_runs(self, now: str) -> list[str]:
        """Return open runs without a live owner that have a due timer, an open request, or were orphaned.

        Orphaned is a run whose lease expired; one whose lease was given back waits for a person.
        """

    def lock(self, lease: Lease, arns: Sequence[str]) -> str | None:
        """Lock resources, all or none, in sorted order; return the id of a run that holds one, or None.

        Raises:
            LeaseLost: If the lease is another's.
        """

    def unlock(self, lease: Lease) -> None:
        """Release the run's locks (it parks). Raises LeaseLost."""

    def verify(self, run_id: str) -> ChainReport:
        """Verify one run's chain and its entry in the store-wide chain. Raises RunNotFound."""

    def verify_all(self) -> ChainReport:
        """Verify the store-wide chain of ended runs, and every run: a deleted run or a cut tail shows."""

    def close(self) -> None:
        """Close connections."""
