"""Who drives a run: leases with an epoch that fences, and locks on resources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, insert, or_, select, update

from irrunner.errors import RunNotFound, RunNotResumable
from irrunner.journal.appends import lease_lost
from irrunner.journal.schema import locks, runs
from irrunner.journal.store import Lease

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection


def take(
    connection: Connection, run_id: str, owner: str, now: str, expires_at: str, *, instead_of: str | None
) -> Lease | None:
    """Take the lease where it is free, expired or of a holder that is gone; None where somebody holds it.

    Raises:
        RunNotFound: If there is no such run.
        RunNotResumable: If it has ended.
    """
    wanted = select(runs.c.lease_owner, runs.c.lease_expires_at, runs.c.lease_epoch, runs.c.ended_at)
    row = connection.execute(wanted.where(runs.c.run_id == run_id).with_for_update()).one_or_none()
    if row is None:
        raise RunNotFound(f"no run {run_id}", hint="`irrunner runs` lists them", run_id=run_id)
    if row.ended_at is not None:
        raise RunNotResumable(f"run {run_id} ended at {row.ended_at}", run_id=run_id)
    if row.lease_owner not in (None, instead_of) and row.lease_expires_at > now:
        return None
    lease = Lease(run_id, owner, row.lease_epoch + 1)
    values = {"lease_owner": owner, "lease_expires_at": expires_at, "lease_epoch": lease.epoch}
    connection.execute(update(runs).where(runs.c.run_id == run_id).values(values))
    return lease


def extend(connection: Connection, lease: Lease, expires_at: str) -> None:
    """Move the expiry of a lease.

    Raises:
        LeaseLost: If another took it, or the run has ended.
    """
    changed = connection.execute(update(runs).where(_held(lease)).values(lease_expires_at=expires_at))
    if changed.rowcount == 0:
        raise lease_lost(lease)


def give_back(connection: Connection, lease: Lease) -> None:
    """Free the lease, and fence off its owner; nothing where another took it."""
    values = {"lease_owner": None, "lease_expires_at": None, "lease_epoch": lease.epoch + 1}
    connection.execute(update(runs).where(_held(lease)).values(values))


def lock(connection: Connection, lease: Lease, arns: Sequence[str], now: str) -> str | None:
    """Lock all the resources or none; return the run that holds the first one that is not free.

    A run that nobody drives (its process died, or gave up) holds nobody up: it locks anew when it goes on.

    Raises:
        LeaseLost: If the lease is another's.
    """
    check(connection, lease)
    wanted = sorted(set(arns))
    columns = (locks.c.arn, locks.c.run_id, free(now).label("free"))
    query = select(*columns).join(runs, runs.c.run_id == locks.c.run_id).where(locks.c.arn.in_(wanted))
    taken = connection.execute(query.order_by(locks.c.arn)).all()
    for row in taken:
        if row.run_id != lease.run_id and not row.free:
            return str(row.run_id)
    left = [row.arn for row in taken if row.run_id != lease.run_id]
    if left:
        connection.execute(delete(locks).where(locks.c.arn.in_(left)))
    mine = {row.arn for row in taken} - set(left)
    rows = [{"arn": arn, "run_id": lease.run_id, "at": now} for arn in wanted if arn not in mine]
    if rows:
        connection.execute(insert(locks), rows)
    return None


def unlock(connection: Connection, lease: Lease) -> None:
    """Free the run's resources.

    Raises:
        LeaseLost: If the lease is another's.
    """
    check(connection, lease)
    connection.execute(delete(locks).where(locks.c.run_id == lease.run_id))


def check(connection: Connection, lease: Lease) -> None:
    """Raise LeaseLost unless the lease's epoch is the run's."""
    if connection.execute(select(runs.c.run_id).where(_held(lease)).with_for_update()).first() is None:
        raise lease_lost(lease)


def _held(lease: Lease) -> ColumnElement[bool]:
    return and_(runs.c.run_id == lease.run_id, runs.c.lease_epoch == lease.epoch)


def free(now: str) -> ColumnElement[bool]:
    """Return the condition that nobody holds a run's lease."""
    return or_(runs.c.lease_owner.is_(None), runs.c.lease_expires_at <= now)
