"""The SQL store of runs: one transaction per call, one writer at a time, reads beside it.

A store may be used by many threads, and a file by many processes. It must be opened after a fork, never
carried over one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import true
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from irrunner.clock import iso
from irrunner.errors import JournalCorrupt, JournalUnavailable, SettingsError
from irrunner.journal import creation, ended, leases, queries, sqlite
from irrunner.journal.appends import Append, HotStatements, flush
from irrunner.journal.creation import storable
from irrunner.journal.group_commit import GroupCommit
from irrunner.journal.migrate import bring_up_to_date
from irrunner.journal.outbox import Outbox
from irrunner.journal.records import Draft, Record, canonical
from irrunner.journal.schema import runs
from irrunner.journal.store import ChainReport, Lease, NewRun, Request, RunChange, RunRow, Timer

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from irrunner.clock import Clock
    from irrunner.settings import Settings

Answer = TypeVar("Answer")

_OPENING: Final = threading.Lock()
"""One thread opens at a time: alembic and the creation of the file are not for two."""


_STORE_HINT: Final = "give IRRUNNER_STORE or `store` a path, or sqlite:////absolute/path"


def open_store(settings: Settings, clock: Clock) -> SqlStore:
    """Open the store that the environment or the configuration names, or the user's own.

    Raises:
        SettingsError: If it is named by something else than a path or an SQLite URL.
        JournalUnavailable: If it cannot be opened.
    """
    return SqlStore(os.environ.get("IRRUNNER_STORE") or settings.store or default_path(), clock)


def default_path() -> Path:
    """Return ``$XDG_STATE_HOME/irrunner/irrunner.db`` (``~/.local/state`` where it is unset or relative)."""
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():
        state = Path.home() / ".local" / "state"
    return state / "irrunner" / "irrunner.db"


class SqlStore:
    """A :class:`irrunner.journal.store.Store` on SQLite."""

    def __init__(self, url_or_path: str | Path, clock: Clock) -> None:
        """Open the store, and bring its schema up to date.

        Raises:
            SettingsError: If the URL is not SQLite's.
            JournalUnavailable: If the file cannot be opened, or a newer irrunner wrote it.
        """
        self.path: Final = _path_of(url_or_path)
        self._clock = clock
        with _OPENING:
            self._engine = sqlite.connect(self.path)
            with sqlite.errors(self.path):
                bring_up_to_date(self._engine)
        self._hot = HotStatements(self._engine.dialect)
        self._write_lock = threading.Lock()
        self._writer: Connection | None = None
        self._appends: GroupCommit[Append] = GroupCommit(self._flush)
        self.outbox: Final = Outbox(self._read, self._write, clock)

    def create_run(
        self, run: NewRun, drafts: Sequence[Draft], owner: str, ttl_s: float, *, takes: Timer | None = None
    ) -> Lease:
        """See :class:`irrunner.journal.store.Store`."""
        texts = [(draft, canonical(draft.body)) for draft in drafts]
        lease = Lease(run.run_id, owner, epoch=1)

        def write(connection: Connection) -> None:
            now, expires_at = self._now(), self._now(ttl_s)
            if takes is not None:
                creation.take_expiry(connection, takes)
            creation.create(connection, self._hot, run, lease, texts, now=now, expires_at=expires_at)

        self._write(write)
        return lease

    def acquire(
        self, run_id: str, owner: str, ttl_s: float, *, instead_of: str | None = None
    ) -> Lease | None:
        """See :class:`irrunner.journal.store.Store`."""
        return self._write(
            lambda c: leases.take(c, run_id, owner, self._now(), self._now(ttl_s), instead_of=instead_of)
        )

    def renew(self, lease: Lease, ttl_s: float) -> None:
        """See :class:`irrunner.journal.store.Store`."""
        self._write(lambda c: leases.extend(c, lease, self._now(ttl_s)))

    def release(self, lease: Lease) -> None:
        """See :class:`irrunner.journal.store.Store`."""
        self._write(lambda c: leases.give_back(c, lease))

    def append(self, lease: Lease, drafts: Sequence[Draft], change: RunChange | None = None) -> list[Record]:
        """See :class:`irrunner.journal.store.Store`."""
        append = Append(lease, drafts, change)
        self._appends.submit(append)
        return append.result()

    def records(self, run_id: str, after_seq: int = -1) -> list[Record]:
        """See :class:`irrunner.journal.store.Store`."""
        return self._read(lambda c: queries.list_records(c, run_id, after_seq))

    def run(self, run_id: str) -> RunRow:
        """See :class:`irrunner.journal.store.Store`."""
        return self._read(lambda c: queries.find_run(c, storable(run_id), self._now()))

    def runs(self, *, open_only: bool = False, limit: int = 100) -> list[RunRow]:
        """See :class:`irrunner.journal.store.Store`."""
        wanted = runs.c.ended_at.is_(None) if open_only else true()
        return self._read(lambda c: queries.list_runs(c, self._now(), wanted, limit))

    def runs_of_incident(self, incident_key: str) -> list[RunRow]:
        """See :class:`irrunner.journal.store.Store`."""
        wanted = runs.c.incident_key == storable(incident_key)
        return self._read(lambda c: queries.list_runs(c, self._now(), wanted))

    def runs_of_event(self, event_key: str) -> list[RunRow]:
        """See :class:`irrunner.journal.store.Store`."""
        wanted = queries.of_event(storable(event_key))
        return self._read(lambda c: queries.list_runs(c, self._now(), wanted))

    def attach_event(self, run_id: str, event_key: str) -> None:
        """See :class:`irrunner.journal.store.Store`."""
        self._write(lambda c: creation.attach_event(c, run_id, event_key, self._now()))

    def request(self, run_id: str, kind: str, body: Mapping[str, Any]) -> int:
        """See :class:`irrunner.journal.store.Store`."""
        text = canonical(body)
        return self._write(lambda c: creation.ask(c, run_id, kind, text, self._now()))

    def requests(self, run_id: str) -> list[Request]:
        """See :class:`irrunner.journal.store.Store`."""
        return self._read(lambda c: queries.list_requests(c, run_id))

    def timers(self, run_id: str) -> list[Timer]:
        """See :class:`irrunner.journal.store.Store`."""
        return self._read(lambda c: queries.list_timers(c, run_id))

    def expiries(self) -> list[Timer]:
        """See :class:`irrunner.journal.store.Store`."""
        return self._read(queries.list_expiries)

    def move_expiry(self, expiry: Timer, due_at: str | None) -> None:
        """See :class:`irrunner.journal.store.Store`."""
        self._write(lambda c: creation.move_expiry(c, expiry, due_at))

    def undos_of(self, run_id: str) -> list[RunRow]:
        """See :class:`irrunner.journal.store.Store`."""
        return self._read(lambda c: queries.list_runs(c, self._now(), runs.c.undoes == run_id))

    def due_runs(self, now: str) -> list[str]:
        """See :class:`irrunner.journal.store.Store`."""
        return self._read(lambda c: queries.list_due(c, now))

    def lock(self, lease: Lease, arns: Sequence[str]) -> str | None:
        """See :class:`irrunner.journal.store.Store`."""
        return self._write(lambda c: leases.lock(c, lease, arns, self._now()))

    def unlock(self, lease: Lease) -> None:
        """See :class:`irrunner.journal.store.Store`."""
        self._write(lambda c: leases.unlock(c, lease))

    def verify(self, run_id: str) -> ChainReport:
        """See :class:`irrunner.journal.store.Store`."""
        return self._read(lambda c: ended.verify_run(c, run_id))

    def verify_all(self) -> ChainReport:
        """See :class:`irrunner.journal.store.Store`."""
        return self._read(ended.verify_store)

    def close(self) -> None:
        """See :class:`irrunner.journal.store.Store`."""
        with self._write_lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        self._engine.dispose()

    def _now(self, plus_s: float = 0.0) -> str:
        return iso(self._clock.now() + timedelta(seconds=plus_s))

    def _read(self, query: Callable[[Connection], Answer]) -> Answer:
        """Answer from one snapshot."""
        with sqlite.errors(self.path), self._engine.connect() as connection:
            return query(connection)

    def _write(self, change: Callable[[Connection], Answer]) -> Answer:
        """Change in one transaction; it is on disk when this returns, or nothing was written."""
        with self._write_lock, sqlite.errors(self.path):
            if self._writer is None:
                self._writer = self._engine.connect().execution_options(**{sqlite.WRITES: True})
            with self._writer.begin():
                return change(self._writer)

    def _flush(self, batch: Sequence[Append]) -> None:
        """Commit the batch; where one run's rows are broken, commit the others without it."""
        try:
            self._write(lambda c: flush(c, self._hot, batch, self._now()))
        except JournalCorrupt as problem:
            if len(batch) > 1:
                for append in batch:
                    self._flush([append])
            else:
                batch[0].fail(problem)
        except JournalUnavailable as problem:
            for append in batch:
                append.fail(problem)
        else:
            for append in batch:
                append.committed = True


def _path_of(url_or_path: str | Path) -> Path:
    """Return the file of a path or SQLite URL.

    Raises:
        SettingsError: If it is something else.
    """
    text = str(url_or_path)
    if "://" not in text:
        return Path(text).expanduser().absolute()
    try:
        url = make_url(text)
    except ArgumentError as problem:
        raise SettingsError(f"the store {text!r} is no URL", hint=_STORE_HINT) from problem
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        shown = url.render_as_string(hide_password=True)
        raise SettingsError(f"the store {shown} is no SQLite file", hint=_STORE_HINT)
    return Path(url.database).absolute()
