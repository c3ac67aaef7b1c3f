"""The schema: how it comes to be, and when it is refused."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from irrunner.errors import JournalUnavailable
from irrunner.journal.outbox import Delivery
from irrunner.journal.records import Draft
from irrunner.journal.schema import REVISIONS, metadata
from irrunner.journal.sql import SqlStore
from irrunner.journal.store import NewRun, RunChange, Timer
from irrunner.testing import ManualClock
from irrunner.vocabulary import RunStatus

TABLES = (
    "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '%alembic%' ORDER BY name"
)


def schema_of(path: Path) -> dict[str, str]:
    """Return the DDL of a database by name."""
    with closing(sqlite3.connect(path)) as connection:
        return {name: re.sub(r"\s+", " ", sql) for name, sql in connection.execute(TABLES)}


def test_the_migrations_give_the_schema_of_the_tables(store: SqlStore, tmp_path: Path) -> None:
    """What alembic builds is what the statements are compiled for, down to the partial indexes."""
    direct = create_engine(f"sqlite:///{tmp_path / 'direct.db'}")
    metadata.create_all(direct)
    direct.dispose()

    assert schema_of(store.path) == schema_of(tmp_path / "direct.db")


def alembic_of(**attributes: Connection) -> Config:
    """Return alembic's configuration, as the store makes it."""
    config = Config(attributes=attributes)
    config.set_main_option("script_location", "irrunner.journal:migrations")
    config.set_main_option("path_separator", "os")
    return config


def made_older(path: Path) -> None:
    """Take back what later revisions added, so that a store with true runs is one of the first."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE outbox")
        connection.execute("UPDATE alembic_version SET version_num = ?", REVISIONS[:1])


def test_an_older_store_is_brought_up_to_date(
    store: SqlStore, path: Path, clock: ManualClock, new_run: Callable[..., NewRun]
) -> None:
    """A store of the first revision keeps an ended run, and one that waits with its timer and lease."""
    ended = store.create_run(new_run("ended"), [Draft("started", {})], "me", 30)
    store.append(ended, [Draft("finished", {})], RunChange(status=RunStatus.FAILED, ended=True))
    waiting = store.create_run(new_run("waiting"), [Draft("started", {})], "me", 30)
    timer = Timer("waiting", "gate", "approval", 0, "2000-01-01T00:00:00.000Z")
    store.append(waiting, [], RunChange(status=RunStatus.WAITING, timers_set=[timer]))
    store.close()
    made_older(path)
    before = {name for name in schema_of(path) if "outbox" not in name}

    opened = SqlStore(path, clock)
    opened.append(waiting, [Draft("went_on", {})])
    told = Delivery("k", "waiting", "incident-1", "jira", "create", {})
    opened.outbox.put(told)

    assert {run.run_id: run.status for run in opened.runs()} == {
        "ended": RunStatus.FAILED, "waiting": RunStatus.WAITING,
    }  # fmt: skip
    assert opened.timers("waiting") == [timer]
    assert [record.kind for record in opened.records("waiting")] == ["started", "went_on"]
    assert opened.verify_all().ok
    assert [each.key for each in opened.outbox.undelivered()] == ["k"]
    assert before <= set(schema_of(path))
    opened.close()


def test_an_older_store_gets_the_newest_schema(path: Path, clock: ManualClock, tmp_path: Path) -> None:
    """Step by step or at once: the tables are the same."""
    path.parent.mkdir()
    old = create_engine(f"sqlite:///{path}")
    for revision in REVISIONS[:-1]:
        with old.begin() as connection:
            command.upgrade(alembic_of(connection=connection), revision)
    old.dispose()

    SqlStore(path, clock).close()
    SqlStore(tmp_path / "new.db", clock).close()

    assert schema_of(path) == schema_of(tmp_path / "new.db")


def test_revisions_are_numbered_without_a_hole() -> None:
    """A number that is missing looks like a migration that was lost."""
    assert [int(revision) for revision in REVISIONS] == list(range(1, len(REVISIONS) + 1))


def test_the_known_revisions_are_those_of_the_scripts() -> None:
    """The list that opening compares with names every migration, in order."""
    scripts = ScriptDirectory.from_config(alembic_of())

    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == REVISIONS


def test_a_newer_schema_is_refused(store: SqlStore, path: Path, clock: ManualClock) -> None:
    """An old program never writes into a store that it does not understand, and says what to do."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(JournalUnavailable, match="9999") as refused:
        SqlStore(path, clock)

    assert "IRRUNNER_STORE" in refused.value.hint


def test_opening_an_existing_store_does_not_import_alembic(store: SqlStore, path: Path) -> None:
    """A command on an existing store does not pay for migrations."""
    script = (
        "import sys; from irrunner.journal.sql import SqlStore; from irrunner.clock import SystemClock;"
        "SqlStore(sys.argv[1], SystemClock()).close(); sys.exit('alembic' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], cwd=Path(__file__).parents[2], check=False, timeout=30
    )

    assert done.returncode == 0


def test_reopening_keeps_what_was_there(store: SqlStore, path: Path, clock: ManualClock) -> None:
    """Opening twice changes nothing."""
    before = schema_of(path)

    SqlStore(path, clock).close()

    assert schema_of(path) == before
