"""Everything that is particular to SQLite: file and modes, pragmas, write lock, error codes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from stat import S_IMODE, S_ISREG
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from irrunner.errors import JournalCorrupt, JournalError, JournalUnavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

BUSY_TIMEOUT_S: Final = 10.0
WRITES: Final = "irrunner_writes"
"""Execution option: the connection's transactions take the write lock when they begin."""
_FOR_OTHERS: Final = 0o077

_HINTS: Final = {
    sqlite3.SQLITE_FULL: "free some space on the disk, then `irrunner resume`",
    sqlite3.SQLITE_IOERR: "check the disk (dmesg), free space and quotas, then `irrunner resume`",
    sqlite3.SQLITE_READONLY: "make the file and its directory writable for this user, or set IRRUNNER_STORE",
    sqlite3.SQLITE_CANTOPEN: "check the path and its permissions, or set IRRUNNER_STORE",
    sqlite3.SQLITE_PERM: "check the permissions of the file, or set IRRUNNER_STORE",
    sqlite3.SQLITE_BUSY: "another process holds the store; look for a stuck irrunner (fuser FILE)",
    sqlite3.SQLITE_LOCKED: "another process holds the store; look for a stuck irrunner (fuser FILE)",
    sqlite3.SQLITE_NOTADB: "the file is no irrunner store: set IRRUNNER_STORE to another path",
}
_CORRUPT_HINT: Final = "restore a backup, or set the file aside and set IRRUNNER_STORE to a new path"


def connect(path: Path) -> Engine:
    """Return an engine on the file, which is created (0600, in a 0700 directory) if it is absent.

    Raises:
        JournalUnavailable: If the file cannot be opened, is no SQLite database, or is open to others and
            not ours to close.
    """
    _create_file(path)
    for name in ("", "-wal", "-shm"):
        _make_private(path.with_name(path.name + name))
    with errors(path):
        _use_wal(path)
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        pool_size=8,
        max_overflow=24,
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


@contextmanager
def errors(path: Path) -> Iterator[None]:
    """Turn the driver's errors into the journal's."""
    try:
        yield
    except DBAPIError as problem:
        raise journal_error(path, problem.orig or problem) from problem
    except sqlite3.Error as problem:
        raise journal_error(path, problem) from problem
    except PoolTimeout as problem:
        raise JournalUnavailable(f"{path}: {problem}", hint="too many threads read the store") from problem


def journal_error(path: Path, problem: BaseException) -> JournalError:
    """Return the journal's error for a driver's error."""
    code = getattr(problem, "sqlite_errorcode", 0) & 0xFF  # the low byte of an extended result code
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CONSTRAINT):  # our own statements meet no constraint
        return JournalCorrupt(f"{path}: {problem}", hint=_CORRUPT_HINT, store=str(path))
    name = getattr(problem, "sqlite_errorname", type(problem).__name__)
    return JournalUnavailable(f"{path}: {problem}", hint=_HINTS.get(code, ""), store=str(path), sqlite=name)


def _create_file(path: Path) -> None:
    """Create the file and its directories with private modes; leave what exists alone.

    The file appears at once, already in write-ahead mode: switching a file that others open meanwhile would
    find it locked, and closing a descriptor of it would drop the locks that SQLite holds in this process.

    Source: https://www.sqlite.org/howtocorrupt.html, section 2.2.
    """
    try:
        for directory in reversed([path.parent, *path.parent.parents]):
            directory.mkdir(mode=0o700, exist_ok=True)
        if not path.exists():
            with TemporaryDirectory(prefix=".new-", dir=path.parent) as folder:  # mode 0700
                _link(_empty_store(Path(folder) / path.name), path)
    except OSError as problem:
        hint = _HINTS[sqlite3.SQLITE_CANTOPEN]
        raise JournalUnavailable(f"cannot open the store {path}: {problem}", hint=hint) from problem


def _make_private(path: Path) -> None:
    """Take an existing file's permissions for others away: who writes a journal rewrites what happened."""
    try:
        seen = path.stat()
        if not S_ISREG(seen.st_mode) or not seen.st_mode & _FOR_OTHERS:
            return
        if seen.st_uid == os.geteuid():
            path.chmod(0o600)
            return
    except FileNotFoundError:
        return
    except OSError as problem:
        hint = _HINTS[sqlite3.SQLITE_PERM]
        raise JournalUnavailable(f"cannot make the store {path} private: {problem}", hint=hint) from problem
    mode = S_IMODE(seen.st_mode)
    raise JournalUnavailable(
        f"the store {path} is open to others (mode {mode:04o}) and belongs to another user",
        hint=f"let its owner `chmod 600 {path}`, or set IRRUNNER_STORE to a file of your own",
        store=str(path),
    )


def _empty_store(path: Path) -> Path:
    """Make an empty database in write-ahead mode, for nobody else to read."""
    path.touch(mode=0o600)
    with errors(path):
        _use_wal(path)
    return path


def _link(new: Path, path: Path) -> None:
    """Give the new file its name, unless another process was faster: then its file is the store."""
    with suppress(FileExistsError):
        path.hardlink_to(new)


def _use_wal(path: Path) -> None:
    """Switch the file to write-ahead logging (it stays so).

    Raises:
        JournalUnavailable: If the file system cannot do it.
    """
    with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as connection:
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        if mode != "wal":
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise JournalUnavailable(
            f"{path}: the file system does not support write-ahead logging (journal mode {mode})",
            hint="put the store on a local disk, with IRRUNNER_STORE",
        )


def _on_connect(connection: Any, _record: object) -> None:
    """Set what SQLite keeps per connection; transactions are begun by :func:`_on_begin` only."""
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _on_begin(connection: Connection) -> None:
    """Take the write lock at once where writes will follow: a lock upgrade could not wait for its turn."""
    writes = connection.get_execution_options().get(WRITES, False)
    connection.connection.cursor().execute("BEGIN IMMEDIATE" if writes else "BEGIN")
