"""Bring a store's schema up to date, or refuse it.

The usual case (nothing to do) costs one query; alembic is imported only where there is something to do. It
keeps its context in module globals: two threads must not migrate at once (:mod:`irrunner.journal.sql` holds
a lock around opening).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import OperationalError, ProgrammingError

from irrunner.errors import JournalUnavailable
from irrunner.journal.schema import REVISIONS
from irrunner.journal.sqlite import WRITES

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


def bring_up_to_date(engine: Engine) -> None:
    """Migrate the schema to the newest revision, in one transaction that excludes other processes.

    Args:
        engine: Of the store.

    Raises:
        JournalUnavailable: If a newer irrunner wrote the store.
    """
    with engine.connect() as connection:
        if _is_current(connection):
            return
    writes = engine.execution_options(**{WRITES: True})
    with writes.begin() as connection:
        if not _is_current(connection):  # another process may have migrated while this one waited
            _upgrade(connection)


def stored_revision(connection: Connection) -> str | None:
    """Return the revision of the schema, None for an empty database."""
    try:
        found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except (OperationalError, ProgrammingError) as problem:
        if "alembic_version" not in str(problem.orig):
            raise
        return None
    return found


def _is_current(connection: Connection) -> bool:
    """Return whether the schema is the newest that this program knows.

    Raises:
        JournalUnavailable: If the program does not know the schema.
    """
    revision = stored_revision(connection)
    if revision is not None and revision not in REVISIONS:
        raise JournalUnavailable(
            f"the store has schema {revision}, which this irrunner (schema {REVISIONS[-1]}) does not know",
            hint="use the irrunner that wrote it, or set IRRUNNER_STORE to another file",
            found=revision,
            known=list(REVISIONS),
        )
    return revision == REVISIONS[-1]


def _upgrade(connection: Connection) -> None:
    """Run alembic inside the connection's transaction."""
    from alembic import command  # noqa: PLC0415 - 130 ms that only a migration should pay
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "irrunner.journal:migrations")
    config.set_main_option("path_separator", "os")
    command.upgrade(config, "head")
