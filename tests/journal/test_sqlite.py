"""What SQLite adds: file modes, pragmas, and clear errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from irrunner.errors import JournalCorrupt, JournalUnavailable
from irrunner.journal import sqlite
from irrunner.journal.records import Draft
from irrunner.journal.sql import SqlStore
from irrunner.journal.store import Lease, NewRun
from irrunner.testing import ManualClock

BIG = Draft("outcome", {"output": "x" * 200_000})


def pragma(store: SqlStore, statement: str) -> object:
    """Run a pragma on the connection that writes."""
    assert store._writer is not None
    result = store._writer.exec_driver_sql(f"PRAGMA {statement}")
    answer = result.scalar() if result.returns_rows else None
    store._writer.rollback()
    return answer


def reopen_and_verify(path: Path, clock: ManualClock) -> None:
    """Open a store, read all of it, close it."""
    with closing(SqlStore(path, clock)) as store:
        store.verify_all()


@pytest.fixture
def lease(store: SqlStore, new_run: Callable[..., NewRun]) -> Lease:
    """Return the lease of a run that has one record."""
    return store.create_run(new_run("run-1"), [Draft("started", {})], "me", 30)


def test_the_journal_is_private(store: SqlStore, path: Path) -> None:
    """Nobody else reads a journal: file 0600, directory 0700."""
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_an_existing_store_is_made_private(
    path: Path, clock: ManualClock, new_run: Callable[..., NewRun]
) -> None:
    """A copied or mounted store that others could read or rewrite is ours alone once it is opened."""
    with closing(SqlStore(path, clock)) as first:
        first.create_run(new_run("run-1"), [Draft("started", {})], "me", 30)
        files = [path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")]
        for file in files:
            file.chmod(0o666)

        with closing(SqlStore(path, clock)) as second:
            assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * 3
            assert second.verify_all().ok


def test_a_store_of_somebody_else_must_be_private(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What we cannot close to others is not believed, and the message says what to do."""
    SqlStore(path, clock).close()
    path.chmod(0o644)
    monkeypatch.setattr("os.geteuid", lambda: path.stat().st_uid + 1)

    with pytest.raises(JournalUnavailable, match=r"0644.*another user") as refused:
        SqlStore(path, clock)

    assert "chmod 600" in refused.value.hint
    assert path.stat().st_mode & 0o777 == 0o644


def test_an_existing_directory_keeps_its_mode(tmp_path: Path, clock: ManualClock) -> None:
    """We do not change directories that we did not make."""
    tmp_path.chmod(0o755)

    SqlStore(tmp_path / "x.db", clock).close()

    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_commits_reach_the_disk(store: SqlStore, lease: Lease) -> None:
    """The writer uses write-ahead logging, flushes fully, and checks foreign keys."""
    asked = [pragma(store, name) for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")]

    assert asked == ["wal", 2, 1, 10_000]


def test_a_full_disk_loses_nothing(store: SqlStore, lease: Lease) -> None:
    """An append that does not fit is refused with a hint, the chain stays whole, and work goes on later."""
    pages = pragma(store, "page_count")
    pragma(store, f"max_page_count = {pages}")

    with pytest.raises(JournalUnavailable, match="full") as refused:
        store.append(lease, [Draft("intent", {}), BIG])

    assert "space" in refused.value.hint
    assert [record.kind for record in store.records("run-1")] == ["started"]
    assert store.verify_all().ok
    pragma(store, "max_page_count = 100000")
    assert [record.seq for record in store.append(lease, [BIG])] == [1]


def test_a_read_only_store_is_named(store: SqlStore, lease: Lease) -> None:
    """A store that may not be written is refused with what to do."""
    pragma(store, "query_only = ON")

    with pytest.raises(JournalUnavailable, match="readonly") as refused:
        store.append(lease, [Draft("intent", {})])

    assert "writable" in refused.value.hint


def test_a_store_that_stays_locked_is_named(store: SqlStore, lease: Lease, path: Path) -> None:
    """A process that never lets go shows after the timeout, and nothing was written."""
    pragma(store, "busy_timeout = 1")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalUnavailable, match="locked") as refused:
            store.append(lease, [Draft("intent", {})])

    assert "another process" in refused.value.hint
    assert len(store.append(lease, [Draft("intent", {})])) == 1


def test_a_file_of_something_else_is_refused_and_untouched(tmp_path: Path, clock: ManualClock) -> None:
    """A wrong path in IRRUNNER_STORE destroys nothing."""
    other = tmp_path / "notes.txt"
    other.write_text("not a database, and long enough to have a header of its own " * 20, encoding="utf-8")
    before = other.read_bytes()

    with pytest.raises(JournalUnavailable, match="not a database"):
        SqlStore(other, clock)

    assert other.read_bytes() == before


def test_a_damaged_file_is_called_corrupt(
    store: SqlStore, lease: Lease, path: Path, clock: ManualClock
) -> None:
    """A database image that SQLite cannot read is a corrupt journal, not a crash."""
    for _ in range(20):
        store.append(lease, [BIG])
    store.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 8)

    with pytest.raises(JournalCorrupt, match="malformed") as refused:
        reopen_and_verify(path, clock)

    assert "backup" in refused.value.hint


def test_a_path_that_cannot_be_made_is_named(tmp_path: Path, clock: ManualClock) -> None:
    """A file where a directory should be gives one clear error."""
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(JournalUnavailable, match="cannot open the store"):
        SqlStore(tmp_path / "file" / "irrunner.db", clock)


def test_every_hint_belongs_to_an_error_that_is_reported(tmp_path: Path) -> None:
    """The extended code of an I/O error finds the hint of its family."""
    problem = sqlite3.OperationalError("disk I/O error")
    problem.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
    problem.sqlite_errorname = "SQLITE_IOERR_WRITE"

    error = sqlite.journal_error(tmp_path / "x.db", problem)

    assert "check the disk" in error.hint
    assert error.detail["sqlite"] == "SQLITE_IOERR_WRITE"


def test_a_file_system_without_write_ahead_logging_is_refused(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where write-ahead logging is impossible, the store says so instead of losing its promises."""
    in_memory = sqlite3.Connection(":memory:")  # which cannot do it either
    monkeypatch.setattr(sqlite3, "connect", lambda *_, **__: in_memory)

    with pytest.raises(JournalUnavailable, match="write-ahead"):
        SqlStore(path, clock)
