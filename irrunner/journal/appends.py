"""Appends of several runs in one transaction: the hot path of the store.

Statements are compiled once and sent as driver SQL, because building them anew would cost more than
running them. Everything an append changes is written, or nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, delete, insert, select, update

from irrunner.errors import IRRunnerError, JournalUnavailable, LeaseLost
from irrunner.journal.ended import enter_ended
from irrunner.journal.records import Draft, Record, canonical, seal_text
from irrunner.journal.schema import locks, records, requests, runs, timers
from irrunner.journal.store import EXPIRY

if TYPE_CHECKING:
    from sqlalchemy import Connection, Dialect
    from sqlalchemy.engine.interfaces import DBAPICursor
    from sqlalchemy.sql.expression import ClauseElement

    from irrunner.journal.store import Lease, RunChange, Timer


@dataclass(slots=True)
class Append:
    """One append in the queue, and what became of it."""

    lease: Lease
    drafts: Sequence[Draft]
    change: RunChange | None
    bodies: tuple[str, ...] = field(init=False)
    records: list[Record] | None = None
    error: IRRunnerError | None = None
    committed: bool = False

    def __post_init__(self) -> None:
        """Make the bodies canonical, in the caller's thread and before anybody waits for it.

        Raises:
            ValueError: If a body, kind or path is no JSON or no UTF-8.
            TypeError: If a body is no JSON.
        """
        self.bodies = tuple(canonical(draft.body) for draft in self.drafts)
        for draft in self.drafts:
            f"{draft.kind}{draft.path}".encode()

    def fail(self, error: IRRunnerError) -> None:
        """Keep why nothing was written."""
        self.records, self.error = None, error

    def result(self) -> list[Record]:
        """Return the records, once they are committed.

        Raises:
            IRRunnerError: If nothing was written.
        """
        if self.error is not None:
            # A batch shares its error, and a traceback belongs to one thread.
            raise copy(self.error) from self.error.__cause__
        if self.records is None or not self.committed:
            hint = "`irrunner resume` reads what was written"
            raise JournalUnavailable(f"an append to run {self.lease.run_id} was interrupted", hint=hint)
        return self.records


@dataclass(slots=True)
class Head:
    """Where a run's chain stands."""

    epoch: int
    records: int
    sha256: str
    status: str

    def seal(self, run_id: str, at: str, drafts: Sequence[Draft], bodies: Sequence[str]) -> list[Record]:
        """Chain the drafts to the head, and move it."""
        sealed = []
        for draft, body in zip(drafts, bodies, strict=True):
            record = seal_text(run_id, self.records, at, draft, body, prev_sha256=self.sha256)
            self.records, self.sha256 = self.records + 1, record.sha256
            sealed.append(record)
        return sealed


def record_rows(sealed: Sequence[Record], bodies: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return rows for :attr:`HotStatements.insert_records`."""
    return [
        (one.run_id, one.seq, one.at, one.kind, one.path, body, one.prev_sha256, one.sha256)
        for one, body in zip(sealed, bodies, strict=True)
    ]


class HotStatements:
    """Driver SQL of the hot path, for one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._select_heads: dict[int, str] = {}
        self.insert_records: Final = self._compiled(insert(records))
        self.update_head: Final = self._compiled(
            update(runs)
            .where(runs.c.run_id == bindparam("run"))
            .values(records=bindparam("n"), head_sha256=bindparam("head"))
        )

    def select_heads(self, count: int) -> str:
        """Return the query for the heads of that many runs."""
        if count not in self._select_heads:
            columns = (runs.c.run_id, runs.c.lease_epoch, runs.c.records, runs.c.head_sha256, runs.c.status)
            of_runs = runs.c.run_id.in_([bindparam(f"run_{n}") for n in range(count)])
            query = select(*columns).where(of_runs).with_for_update()
            self._select_heads[count] = self._compiled(query)
        return self._select_heads[count]

    def _compiled(self, statement: ClauseElement) -> str:
        options = {"render_postcompile": True}
        return str(statement.compile(dialect=self._dialect, compile_kwargs=options))


def flush(connection: Connection, hot: HotStatements, batch: Sequence[Append], at: str) -> None:
    """Write the appends whose lease still holds; the others get LeaseLost.

    Args:
        connection: In a transaction that holds the write lock.
        batch: Results are left in its members; they count only once the transaction is committed.
        at: Time of the records.
    """
    # The driver's own cursor: at this rate SQLAlchemy's result objects cost more than SQLite does.
    cursor = connection.connection.cursor()
    heads = _heads(cursor, hot, sorted({append.lease.run_id for append in batch}))
    rows: list[tuple[Any, ...]] = []
    held: list[Append] = []
    for append in batch:
        append.records, append.error = None, None
        head = heads.get(append.lease.run_id)
        if head is None or head.epoch != append.lease.epoch:
            append.error = lease_lost(append.lease)
            continue
        append.records = head.seal(append.lease.run_id, at, append.drafts, append.bodies)
        rows += record_rows(append.records, append.bodies)
        held.append(append)
        if append.change is not None and append.change.ended:
            head.epoch += 1  # the run's end gives the lease back: whoever comes later in the batch lost it
    if rows:
        cursor.executemany(hot.insert_records, rows)
        moved = sorted({append.lease.run_id for append in held})
        heads_now = [(heads[run_id].records, heads[run_id].sha256, run_id) for run_id in moved]
        cursor.executemany(hot.update_head, heads_now)
    for append in held:
        if append.change is not None:
            _change_run(connection, append.lease.run_id, append.change, heads[append.lease.run_id], at)


def lease_lost(lease: Lease) -> LeaseLost:
    """Return the error of an owner whose lease is another's now."""
    return LeaseLost(
        f"{lease.owner} no longer holds the lease of run {lease.run_id}",
        hint="another process drives the run, or it has ended: `irrunner show RUN`",
        run_id=lease.run_id,
        epoch=lease.epoch,
    )


def _heads(cursor: DBAPICursor, hot: HotStatements, run_ids: Sequence[str]) -> dict[str, Head]:
    cursor.execute(hot.select_heads(len(run_ids)), tuple(run_ids))
    return {row[0]: Head(*row[1:]) for row in cursor.fetchall()}


def _change_run(connection: Connection, run_id: str, change: RunChange, head: Head, at: str) -> None:
    """Write what changes together with an append."""
    values: dict[str, Any] = {}
    if change.status is not None:
        values["status"] = head.status = change.status.value
    if change.severity is not None:
        values["severity"] = change.severity
    if change.ended:
        values |= {"ended_at": at, "lease_owner": None, "lease_expires_at": None, "lease_epoch": head.epoch}
    if values:
        connection.execute(update(runs).where(runs.c.run_id == run_id).values(values))
    if change.requests_settled:
        _settle(connection, run_id, change.requests_settled, at)
    for of_run, path in change.expiries_cleared:
        same = and_(timers.c.run_id == of_run, timers.c.path == path, timers.c.purpose == EXPIRY)
        connection.execute(delete(timers).where(same))
    if change.ended:
        connection.execute(delete(timers).where(timers.c.run_id == run_id, timers.c.purpose != EXPIRY))
        connection.execute(delete(locks).where(locks.c.run_id == run_id))
        enter_ended(connection, run_id, head.status, at, head.records, head_sha256=head.sha256)
    else:
        _change_timers(connection, run_id, change)


def _settle(connection: Connection, run_id: str, request_ids: Sequence[int], at: str) -> None:
    of_run = and_(requests.c.run_id == run_id, requests.c.request_id.in_(request_ids))
    connection.execute(update(requests).where(of_run).values(settled_at=at))


def _change_timers(connection: Connection, run_id: str, change: RunChange) -> None:
    """Remove the cleared timers, then put the set ones (a timer that is set again moves)."""
    moved = [(timer.path, timer.purpose, timer.attempt) for timer in change.timers_set]
    gone = [*change.timers_cleared, *moved]
    if gone:
        one = and_(
            timers.c.run_id == run_id,
            timers.c.path == bindparam("of_path"),
            timers.c.purpose == bindparam("of_purpose"),
            timers.c.attempt == bindparam("of_attempt"),
        )
        keys = [{"of_path": path, "of_purpose": purpose, "of_attempt": n} for path, purpose, n in gone]
        connection.execute(delete(timers).where(one), keys)
    if change.timers_set:
        connection.execute(insert(timers), [_timer_row(run_id, timer) for timer in change.timers_set])


def _timer_row(run_id: str, timer: Timer) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "path": timer.path,
        "purpose": timer.purpose,
        "attempt": timer.attempt,
        "due_at": timer.due_at,
    }
