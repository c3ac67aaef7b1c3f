"""Runs, their records, events, requests, timers and locks, and the chain of ended runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

GENESIS = "0" * 64


def upgrade() -> None:
    """Create everything."""
    _runs()
    _records()
    _run_events()
    _requests()
    _timers()
    _locks()
    _ended()


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _run() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"])


def _partial_index(
    name: str, table: str, columns: list[str], condition: str, *, unique: bool = False
) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)


def _runs() -> None:
    op.create_table(
        "runs",
        _text("run_id"),
        _text("incident_id"),
        _text("incident_key"),
        _text("event_key"),
        _text("playbook_id"),
        _text("playbook_version"),
        _text("playbook_sha256"),
        _text("title"),
        _text("account_id"),
        _text("region"),
        sa.Column("severity", sa.Float(), nullable=False),
        sa.Column("drill", sa.Boolean(), nullable=False),
        _text("undoes", nullable=True),
        _text("status"),
        _text("created_at"),
        _text("ended_at", nullable=True),
        _count("records"),
        _text("head_sha256"),
        _text("lease_owner", nullable=True),
        _count("lease_epoch"),
        _text("lease_expires_at", nullable=True),
        sa.PrimaryKeyConstraint("run_id"),
    )
    incident = "ended_at IS NULL AND incident_key != ''"
    _partial_index("one_open_run", "runs", ["playbook_id", "incident_key"], incident, unique=True)
    op.create_index("runs_incident", "runs", ["incident_key"])
    _partial_index("open_runs", "runs", ["run_id"], "ended_at IS NULL")


def _records() -> None:
    op.create_table(
        "records",
        _text("run_id"),
        _count("seq"),
        _text("at"),
        _text("kind"),
        _text("path"),
        _text("body"),
        _text("prev_sha256"),
        _text("sha256"),
        sa.PrimaryKeyConstraint("run_id", "seq"),
        _run(),
    )


def _run_events() -> None:
    op.create_table(
        "run_events",
        _text("event_key"),
        _text("run_id"),
        _text("at"),
        sa.PrimaryKeyConstraint("event_key", "run_id"),
        _run(),
    )


def _requests() -> None:
    op.create_table(
        "requests",
        _count("request_id"),
        _text("run_id"),
        _text("kind"),
        _text("body"),
        _text("at"),
        _text("settled_at", nullable=True),
        sa.PrimaryKeyConstraint("request_id"),
        _run(),
        sqlite_autoincrement=True,
    )
    _partial_index("unsettled_requests", "requests", ["run_id"], "settled_at IS NULL")


def _timers() -> None:
    op.create_table(
        "timers",
        _text("run_id"),
        _text("path"),
        _text("purpose"),
        _count("attempt"),
        _text("due_at"),
        sa.PrimaryKeyConstraint("run_id", "path", "purpose", "attempt"),
        _run(),
    )
    op.create_index("timers_due", "timers", ["run_id", "due_at"])


def _locks() -> None:
    op.create_table(
        "locks", _text("arn"), _text("run_id"), _text("at"), sa.PrimaryKeyConstraint("arn"), _run()
    )
    op.create_index("locks_run", "locks", ["run_id"])


def _ended() -> None:
    op.create_table(
        "ended_runs",
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        _text("run_id"),
        _text("status"),
        _text("ended_at"),
        _count("records"),
        _text("head_sha256"),
        _text("prev_sha256"),
        _text("sha256"),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("run_id"),
    )
    head = op.create_table("ended_head", _count("length"), _text("sha256"))
    op.bulk_insert(head, [{"length": 0, "sha256": GENESIS}])
