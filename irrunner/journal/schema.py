"""Tables of the store, and the names of the schema's revisions.

The tables say what the newest revision looks like; ``migrations/versions`` says how to get there, and a
test holds the two equal. Times are RFC 3339 text of fixed width, so that comparing text compares time.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

REVISIONS: Final = ("0001", "0002")
"""Revisions that this program knows, oldest first; the last one is what it works with."""

metadata: Final = MetaData()


def _run_id() -> Column[str]:
    return Column("run_id", Text, ForeignKey("runs.run_id"), nullable=False)


runs: Final = Table(
    "runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("incident_id", Text, nullable=False),
    Column("incident_key", Text, nullable=False),
    Column("event_key", Text, nullable=False),
    Column("playbook_id", Text, nullable=False),
    Column("playbook_version", Text, nullable=False),
    Column("playbook_sha256", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("severity", Float, nullable=False),
    Column("drill", Boolean, nullable=False),
    Column("undoes", Text),
    Column("status", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("records", Integer, nullable=False),
    Column("head_sha256", Text, nullable=False),
    Column("lease_owner", Text),
    Column("lease_epoch", Integer, nullable=False),
    Column("lease_expires_at", Text),
)
Index(
    "one_open_run",
    runs.c.playbook_id,
    runs.c.incident_key,
    unique=True,
    sqlite_where=text("ended_at IS NULL AND incident_key != ''"),
    postgresql_where=text("ended_at IS NULL AND incident_key != ''"),
)
Index("runs_incident", runs.c.incident_key)
Index(
    "open_runs",
    runs.c.run_id,
    sqlite_where=text("ended_at IS NULL"),
    postgresql_where=text("ended_at IS NULL"),
)

records: Final = Table(
    "records",
    metadata,
    _run_id(),
    Column("seq", Integer, nullable=False),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("prev_sha256", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "seq"),
)

run_events: Final = Table(
    "run_events",
    metadata,
    Column("event_key", Text, nullable=False),
    _run_id(),
    Column("at", Text, nullable=False),
    PrimaryKeyConstraint("event_key", "run_id"),
)

requests: Final = Table(
    "requests",
    metadata,
    Column("request_id", Integer, primary_key=True),
    _run_id(),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("settled_at", Text),
    sqlite_autoincrement=True,
)
Index(
    "unsettled_requests",
    requests.c.run_id,
    sqlite_where=text("settled_at IS NULL"),
    postgresql_where=text("settled_at IS NULL"),
)

timers: Final = Table(
    "timers",
    metadata,
    _run_id(),
    Column("path", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("due_at", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "path", "purpose", "attempt"),
)
Index("timers_due", timers.c.run_id, timers.c.due_at)

locks: Final = Table(
    "locks",
    metadata,
    Column("arn", Text, primary_key=True),
    _run_id(),
    Column("at", Text, nullable=False),
)
Index("locks_run", locks.c.run_id)

ended_runs: Final = Table(
    "ended_runs",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("run_id", Text, nullable=False, unique=True),
    Column("status", Text, nullable=False),
    Column("ended_at", Text, nullable=False),
    Column("records", Integer, nullable=False),
    Column("head_sha256", Text, nullable=False),
    Column("prev_sha256", Text, nullable=False),
    Column("sha256", Text, nullable=False),
)

ended_head: Final = Table(
    "ended_head",
    metadata,
    Column("length", Integer, nullable=False),
    Column("sha256", Text, nullable=False),
)
"""One row: how long the chain of ended runs is, and its head (a cut tail of that chain shows)."""

outbox: Final = Table(
    "outbox",
    metadata,
    Column("position", Integer, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    _run_id(),
    Column("incident", Text, nullable=False),
    Column("tracker", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("queued_at", Text, nullable=False),
    Column("due_at", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Column("claimed_until", Text),
    sqlite_autoincrement=True,
)
Index(
    "undelivered",
    outbox.c.run_id,
    sqlite_where=text("status != 'delivered'"),
    postgresql_where=text("status != 'delivered'"),
)
