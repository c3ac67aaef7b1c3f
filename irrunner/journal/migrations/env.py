"""Alembic's entry point: run the revisions on the connection that :mod:`irrunner.journal.migrate` holds.

It never opens a database by itself: the caller's transaction (BEGIN IMMEDIATE) is what makes it safe for
two processes to migrate at once.
"""

from __future__ import annotations

from alembic import context

from irrunner.journal.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
