"""Reads of the store, and rows as the contract's dataclasses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Select, and_, case, exists, func, or_, select

from irrunner.errors import JournalCorrupt, RunNotFound
from irrunner.journal.leases import free
from irrunner.journal.records import Record
from irrunner.journal.schema import records, requests, run_events, runs, timers
from irrunner.journal.store import EXPIRY, Request, RunRow, Timer
from irrunner.vocabulary import RunStatus

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row

_RUN_COLUMNS: Final = tuple(column for column in runs.c if not column.name.startswith("lease_"))
_NEWEST_FIRST: Final = (runs.c.created_at.desc(), runs.c.run_id.desc())


def find_run(connection: Connection, prefix: str, now: str) -> RunRow:
    """Return the run of this id, or the only one whose id begins so.

    Raises:
        RunNotFound: If there is none, or more than one.
    """
    begins = and_(runs.c.run_id >= prefix, runs.c.run_id < f"{prefix}\U0010ffff")
    found = connection.execute(_select_runs(now).where(begins).order_by(runs.c.run_id).limit(4)).all()
    if not prefix or not found:
        raise RunNotFound(f"no run {prefix!r}", hint="`irrunner runs` lists them", run_id=prefix)
    if len(found) > 1 and found[0].run_id != prefix:
        some = [row.run_id for row in found]
        begun = f"{prefix!r} begins several run ids: {', '.join(some)}"
        raise RunNotFound(begun, hint="type more of it", run_ids=some)
    return _run_row(found[0])


def list_runs(
    connection: Connection, now: str, condition: ColumnElement[bool], limit: int = -1
) -> list[RunRow]:
    """Return the runs that meet a condition, newest first; a limit of -1 is none."""
    query = _select_runs(now).where(condition).order_by(*_NEWEST_FIRST)
    return [_run_row(row) for row in connection.execute(query.limit(limit) if limit >= 0 else query)]


def of_event(event_key: str) -> ColumnElement[bool]:
    """Return the condition that an event belongs to a run."""
    return runs.c.run_id.in_(select(run_events.c.run_id).where(run_events.c.event_key == event_key))


def list_due(connection: Connection, now: str) -> list[str]:
    """Return open runs that nobody drives and that have something to do, oldest first."""
    of_run = and_(timers.c.run_id == runs.c.run_id, timers.c.purpose != EXPIRY)
    timer = exists().where(and_(of_run, timers.c.due_at <= now))
    request = exists().where(and_(requests.c.run_id == runs.c.run_id, requests.c.settled_at.is_(None)))
    orphaned = runs.c.lease_owner.is_not(None)
    due = and_(runs.c.ended_at.is_(None), free(now), or_(orphaned, timer, request))
    return list(connection.execute(select(runs.c.run_id).where(due).order_by(runs.c.run_id)).scalars())


def list_expiries(connection: Connection) -> list[Timer]:
    """Return the expiries, the next one first; their runs may have ended."""
    order = (timers.c.due_at, timers.c.run_id, timers.c.path)
    found = connection.execute(select(timers).where(timers.c.purpose == EXPIRY).order_by(*order))
    return [_timer(row) for row in found]


def list_records(connection: Connection, run_id: str, after_seq: int) -> list[Record]:
    """Return a run's records after a sequence number.

    Raises:
        JournalCorrupt: If a body is no JSON.
    """
    of_run = and_(records.c.run_id == run_id, records.c.seq > after_seq)
    found = connection.execute(select(records).where(of_run).order_by(records.c.seq))
    return [_record(row) for row in found]


def list_requests(connection: Connection, run_id: str) -> list[Request]:
    """Return a run's requests that are not settled, oldest first."""
    unsettled = and_(requests.c.run_id == run_id, requests.c.settled_at.is_(None))
    found = connection.execute(select(requests).where(unsettled).order_by(requests.c.request_id))
    return [Request(row.request_id, row.run_id, row.kind, json.loads(row.body), row.at) for row in found]


def list_timers(connection: Connection, run_id: str) -> list[Timer]:
    """Return a run's timers, the next one first."""
    found = connection.execute(select(timers).where(timers.c.run_id == run_id).order_by(timers.c.due_at))
    return [_timer(row) for row in found]


def _timer(row: Row[Any]) -> Timer:
    return Timer(row.run_id, row.path, row.purpose, row.attempt, row.due_at)


def _select_runs(now: str) -> Select[Any]:
    owner = case((runs.c.lease_expires_at > now, runs.c.lease_owner)).label("owner")
    of_run = and_(timers.c.run_id == runs.c.run_id, timers.c.purpose != EXPIRY)
    next_timer = select(func.min(timers.c.due_at)).where(of_run).scalar_subquery()
    return select(*_RUN_COLUMNS, owner, next_timer.label("next_timer_at"))


def _run_row(row: Row[Any]) -> RunRow:
    columns = row._asdict()
    try:
        status = RunStatus(columns["status"])
    except ValueError as problem:
        what = f"run {row.run_id}: no run has the status {columns['status']!r}"
        raise JournalCorrupt(what, hint="restore a backup", run_id=row.run_id) from problem
    return RunRow(**(columns | {"status": status}))


def _record(row: Row[Any]) -> Record:
    try:
        body = json.loads(row.body)
    except ValueError as problem:
        what = f"run {row.run_id}: record {row.seq} is no JSON: {problem}"
        raise JournalCorrupt(what, hint="restore a backup", run_id=row.run_id, seq=row.seq) from problem
    return Record(row.run_id, row.seq, row.at, row.kind, row.path, body, row.prev_sha256, row.sha256)
