"""The schema: how it comes to be, and when it is refused."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, Table, create_engine, insert

from irrunner.errors import JournalUnavailable
from irrunner.journal.schema import REVISIONS, metadata
from irrunner.journal.sql import SqlStore
from irrunner.testing import ManualClock

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


def test_an_older_store_is_brought_up_to_date(path: Path, clock: ManualClock) -> None:
    """Opening a store of the first revision migrates it, and keeps its runs."""
    path.parent.mkdir()
    old = create_engine(f"sqlite:///{path}")
    with old.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "irrunner.journal:migrations")
        config.set_main_option("path_separator", "os")
        command.upgrade(config, REVISIONS[0])
        runs = Table("runs", MetaData(), autoload_with=connection)
        values = {column.name: 0 if str(column.type) != "TEXT" else "failed" for column in runs.c}
        connection.execute(insert(runs), values)
    old.dispose()

    opened = SqlStore(path, clock)
    assert [run.run_id for run in opened.runs()] == ["failed"]
    assert opened.outbox.undelivered() == []
    opened.close()


def test_the_known_revisions_are_those_of_the_scripts() -> None:
    """The list that opening compares with names every migration, in order."""
    config = Config()
    config.set_main_option("script_location", "irrunner.journal:migrations")
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)

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
