"""The outbox: what trackers of tickets shall hear, until they have heard it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXTS = ("key", "run_id", "incident", "tracker", "kind", "body", "status")
MORE_TEXTS = ("queued_at", "due_at", "reference", "url", "problem")


def upgrade() -> None:
    """Create the table and its index."""
    op.create_table(
        "outbox",
        sa.Column("position", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in TEXTS),
        sa.Column("attempts", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in MORE_TEXTS),
        sa.Column("claimed_until", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("key"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"]),
        sqlite_autoincrement=True,
    )
    where = sa.text("status != 'delivered'")
    op.create_index("undelivered", "outbox", ["run_id"], sqlite_where=where, postgresql_where=where)
