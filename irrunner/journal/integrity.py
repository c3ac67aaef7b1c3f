"""Read a run only where its journal verifies: chain, row, and its entry among the ended runs."""

from __future__ import annotations

from irrunner.errors import JournalCorrupt, RunNotFound
from irrunner.journal.records import Record
from irrunner.journal.store import ChainReport, RunRow, Store

HINT = "keep the store as it is: it is evidence; restore a backup"


def require_intact(run_id: str, report: ChainReport) -> None:
    """Do nothing if the journal verifies.

    Raises:
        JournalCorrupt: If it does not; says where.
    """
    if not report.ok:
        raise JournalCorrupt(f"run {run_id}: {report.problem}", hint=HINT, run_id=run_id)


def intact_row(store: Store, run: str) -> RunRow:
    """Return a run whose journal verifies, by its id or a unique beginning of it.

    Raises:
        RunNotFound: If there never was one, as far as the store knows, or several begin so.
        JournalCorrupt: If it does not verify, or was deleted.
    """
    try:
        row = store.run(run)
    except RunNotFound as unknown:
        try:
            report = store.verify(run)
        except RunNotFound:  # the first answer also says where several begin so
            raise unknown from None
        require_intact(run, report)
        raise
    require_intact(row.run_id, store.verify(row.run_id))
    return row


def intact_records(store: Store, run: str) -> list[Record]:
    """Return the records of a run whose journal verifies. Raises as :func:`intact_row`."""
    return store.records(intact_row(store, run).run_id)
