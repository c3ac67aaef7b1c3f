"""New rows: runs with their first records, events that belong to them, and requests to their drivers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, insert, or_, select, update

from irrunner.errors import RunBusy, RunExists, RunNotFound, RunNotResumable
from irrunner.journal.appends import Head, HotStatements, record_rows
from irrunner.journal.records import GENESIS, Draft
from irrunner.journal.schema import requests, run_events, runs, timers
from irrunner.vocabulary import RunStatus

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from irrunner.journal.store import Lease, NewRun, Timer


def create(
    connection: Connection,
    hot: HotStatements,
    run: NewRun,
    lease: Lease,
    drafts: Sequence[tuple[Draft, str]],
    *,
    now: str,
    expires_at: str,
) -> None:
    """Insert a run, its lease, its event and its first records.

    Args:
        drafts: Each with the canonical text of its body.

    Raises:
        RunExists: If an open run of this playbook for this incident exists, or a run of this id.
    """
    row = {name: storable(value) for name, value in asdict(run).items()}
    _refuse_twin(connection, row)
    head = Head(lease.epoch, 0, GENESIS, RunStatus.RUNNING.value)
    bodies = [body for _, body in drafts]
    sealed = head.seal(run.run_id, now, [draft for draft, _ in drafts], bodies)
    row |= {"status": head.status, "created_at": now, "records": head.records, "head_sha256": head.sha256}
    row |= {"lease_owner": lease.owner, "lease_epoch": lease.epoch, "lease_expires_at": expires_at}
    connection.execute(insert(runs), row)
    if sealed:
        connection.exec_driver_sql(hot.insert_records, record_rows(sealed, bodies))
    if row["event_key"]:
        attach_event(connection, run.run_id, row["event_key"], now)


def attach_event(connection: Connection, run_id: str, event_key: str, now: str) -> None:
    """Remember that an event belongs to a run; once is enough.

    Raises:
        RunNotFound: If there is no such run.
    """
    _open(connection, run_id, or_ended=True)
    key = {"event_key": storable(event_key), "run_id": run_id}
    known = and_(run_events.c.event_key == key["event_key"], run_events.c.run_id == run_id)
    if connection.execute(select(run_events.c.at).where(known)).first() is None:
        connection.execute(insert(run_events), key | {"at": now})


def ask(connection: Connection, run_id: str, kind: str, body: str, now: str) -> int:
    """Insert a request; return its id.

    Raises:
        RunNotFound: If there is no such run.
        RunNotResumable: If it has ended.
    """
    _open(connection, run_id, or_ended=False)
    row = {"run_id": run_id, "kind": kind, "body": body, "at": now}
    key = connection.execute(insert(requests).values(row)).inserted_primary_key
    return int(key[0]) if key else 0


def take_expiry(connection: Connection, timer: Timer) -> None:
    """Remove an expiry, for the run that carries it out.

    Raises:
        RunBusy: If it is not there any more, or was moved.
    """
    if connection.execute(delete(timers).where(_same(timer))).rowcount == 0:
        raise RunBusy(f"run {timer.run_id}: the expiry of {timer.path} was taken up or cancelled by another")


def move_expiry(connection: Connection, timer: Timer, due_at: str | None) -> None:
    """Let an expiry be due at another time, or never."""
    if due_at is None:
        connection.execute(delete(timers).where(_same(timer)))
    else:
        connection.execute(update(timers).where(_same(timer)).values(due_at=due_at))


def _same(timer: Timer) -> ColumnElement[bool]:
    """Return the condition that a timer is still as it was read."""
    return and_(
        timers.c.run_id == timer.run_id,
        timers.c.path == timer.path,
        timers.c.purpose == timer.purpose,
        timers.c.due_at == timer.due_at,
    )


def storable(value: Any) -> Any:
    """Return text without what a database refuses (NUL, lone surrogates); other values as they are."""
    if not isinstance(value, str):
        return value
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _refuse_twin(connection: Connection, row: dict[str, Any]) -> None:
    """Raise RunExists where the run, or an open one of the same playbook and incident, exists."""
    same = and_(
        runs.c.playbook_id == row["playbook_id"],
        runs.c.incident_key == row["incident_key"],
        runs.c.incident_key != "",
        runs.c.ended_at.is_(None),
    )
    twin = connection.execute(select(runs.c.run_id).where(or_(same, runs.c.run_id == row["run_id"]))).scalar()
    if twin is not None:
        raise RunExists(
            f"run {twin} of {row['playbook_id']} is open for this incident",
            hint=f"`irrunner show {twin}`; --again is for events whose run has ended",
            run_id=twin,
        )


def _open(connection: Connection, run_id: str, *, or_ended: bool) -> None:
    ended_at = connection.execute(select(runs.c.ended_at).where(runs.c.run_id == run_id)).one_or_none()
    if ended_at is None:
        raise RunNotFound(f"no run {run_id}", hint="`irrunner runs` lists them", run_id=run_id)
    if ended_at[0] is not None and not or_ended:
        raise RunNotResumable(f"run {run_id} ended at {ended_at[0]}", run_id=run_id)
