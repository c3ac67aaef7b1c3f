"""The store-wide chain of ended runs, and what verifies it and each run's own chain.

What an unsigned chain proves: nobody changed, removed or cut anything *behind* a head that somebody kept
elsewhere (``ChainReport.head_sha256``). Who can write the file can also rewrite all of it; against that only
a head kept elsewhere helps. A run that has not ended has no entry yet: its own row holds its head.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, Select, insert, select, union, update

from irrunner.errors import JournalCorrupt, RunNotFound
from irrunner.journal.records import GENESIS, canonical, chain_sha256, digest
from irrunner.journal.schema import ended_head, ended_runs, records, runs
from irrunner.journal.store import ChainReport

if TYPE_CHECKING:
    from sqlalchemy import Connection

_ENTRY = ("position", "run_id", "status", "ended_at", "records", "head_sha256", "prev_sha256")


def enter_ended(
    connection: Connection, run_id: str, status: str, ended_at: str, count: int, *, head_sha256: str
) -> None:
    """Add an ended run to the store-wide chain."""
    length, prev_sha256 = _stored_head(connection)
    entry: dict[str, Any] = {
        "position": length,
        "run_id": run_id,
        "status": status,
        "ended_at": ended_at,
        "records": count,
        "head_sha256": head_sha256,
        "prev_sha256": prev_sha256,
    }
    entry["sha256"] = _entry_sha256(entry)
    connection.execute(insert(ended_runs), entry)
    connection.execute(update(ended_head).values(length=length + 1, sha256=entry["sha256"]))


def verify_run(connection: Connection, run_id: str) -> ChainReport:
    """Verify a run's chain, its row, and its entry in the chain of ended runs.

    Raises:
        RunNotFound: If neither a run nor an entry of this id exists.
    """
    row = _one(connection, select(runs).where(runs.c.run_id == run_id))
    entry = _one(connection, select(ended_runs).where(ended_runs.c.run_id == run_id))
    count, head, problem = _walk(run_id, _record_rows(connection, run_id))
    if row is None:
        if entry is None and not count and not problem:
            raise RunNotFound(f"no run {run_id}", run_id=run_id)
        problem = f"run {run_id} was deleted"
    else:
        problem = problem or _row_problem(row, count, head) or _entry_problem(row, entry)
    if problem:
        return ChainReport(ok=False, records=count, broken_at=count, problem=problem, head_sha256=head)
    return ChainReport(ok=True, records=count, head_sha256=head)


def verify_store(connection: Connection) -> ChainReport:
    """Verify the chain of ended runs, and every run."""
    length, head, problem = _walk_ended(connection)
    if problem:
        return ChainReport(ok=False, records=0, broken_at=length, problem=problem, head_sha256=head)
    total = 0
    known = union(select(runs.c.run_id), select(ended_runs.c.run_id), select(records.c.run_id))
    for run_id in connection.execute(known.order_by("run_id")).scalars().all():
        report = verify_run(connection, run_id)
        total += report.records
        if not report.ok:
            return ChainReport(
                ok=False,
                records=total,
                broken_at=report.broken_at,
                problem=report.problem,
                head_sha256=head,
            )
    return ChainReport(ok=True, records=total, head_sha256=head)


def _one(connection: Connection, query: Select[Any]) -> dict[str, Any] | None:
    found = connection.execute(query).one_or_none()
    return None if found is None else found._asdict()


def _record_rows(connection: Connection, run_id: str) -> Iterable[Row[Any]]:
    columns = (records.c.seq, records.c.at, records.c.kind, records.c.path, records.c.body)
    query = select(*columns, records.c.prev_sha256, records.c.sha256)
    return connection.execute(query.where(records.c.run_id == run_id).order_by(records.c.seq))


def _walk(run_id: str, rows: Iterable[Row[Any]]) -> tuple[int, str, str]:
    """Return how many records are intact, the hash of the last of them, and what is wrong with the next."""
    count, head = 0, GENESIS
    for row in rows:
        if row.seq != count:
            return count, head, f"run {run_id}: record {count} is missing"
        if row.prev_sha256 != head:
            return count, head, f"run {run_id}: record {count} does not follow the record before it"
        if _record_sha256(run_id, row) != row.sha256:
            return count, head, f"run {run_id}: record {count} ({row.kind}) was changed"
        count, head = count + 1, row.sha256
    return count, head, ""


def _record_sha256(run_id: str, row: Row[Any]) -> str:
    prev_sha256 = row.prev_sha256
    return chain_sha256(run_id, row.seq, row.at, row.kind, row.path, body=row.body, prev_sha256=prev_sha256)


def _row_problem(row: Mapping[str, Any], count: int, head: str) -> str:
    """Return how the run's row disagrees with its records, or nothing."""
    if row["records"] > count:
        return f"run {row['run_id']}: {row['records'] - count} records after record {count - 1} were removed"
    if (row["records"], row["head_sha256"]) != (count, head):
        return f"run {row['run_id']}: the run's row does not name the head of its records"
    return ""


def _entry_problem(row: Mapping[str, Any], entry: Mapping[str, Any] | None) -> str:
    """Return how an ended run's row disagrees with its entry in the chain, or nothing."""
    run_id = row["run_id"]
    if entry is None:
        return f"ended run {run_id} is not in the chain of ended runs" if row["ended_at"] else ""
    if _entry_sha256(entry) != entry["sha256"]:
        return f"the entry of run {run_id} in the chain of ended runs was changed"
    for name in ("status", "ended_at", "records", "head_sha256"):
        if row[name] != entry[name]:
            return f"run {run_id}: {name} is not what it was when the run ended"
    return ""


def _walk_ended(connection: Connection) -> tuple[int, str, str]:
    """Return how many entries are intact, the hash of the last of them, and what is wrong."""
    count, head = 0, GENESIS
    for row in connection.execute(select(ended_runs).order_by(ended_runs.c.position)):
        entry = row._asdict()
        if entry["position"] != count or entry["prev_sha256"] != head:
            return count, head, f"chain of ended runs: entry {count} is missing"
        if _entry_sha256(entry) != entry["sha256"]:
            return count, head, f"chain of ended runs: entry {count} (run {entry['run_id']}) was changed"
        count, head = count + 1, entry["sha256"]
    if _stored_head(connection) != (count, head):
        return count, head, f"chain of ended runs: entries after {count} were removed"
    return count, head, ""


def _stored_head(connection: Connection) -> tuple[int, str]:
    """Return the length and the head of the chain of ended runs, as stored.

    Raises:
        JournalCorrupt: If somebody removed or doubled them.
    """
    rows = connection.execute(select(ended_head.c.length, ended_head.c.sha256)).all()
    if len(rows) != 1:
        raise JournalCorrupt("the head of the chain of ended runs is gone", hint="restore a backup")
    return rows[0].length, rows[0].sha256


def _entry_sha256(entry: Mapping[str, Any]) -> str:
    return digest(canonical([entry[name] for name in _ENTRY]))
