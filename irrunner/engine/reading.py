"""What the store says of a run, without AWS: for `show` and `watch`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from irrunner.clock import Clock
from irrunner.engine.compiled import Compiler
from irrunner.engine.expiry import expiries_of
from irrunner.engine.report import run_document
from irrunner.journal.integrity import intact_row
from irrunner.journal.records import Record
from irrunner.journal.store import Store


def document(store: Store, compiler: Compiler, run: str) -> dict[str, Any]:
    """Return a run's document, by its id or a unique prefix of it.

    Raises:
        RunNotFound: If there is none.
        JournalCorrupt: If its chain is broken.
    """
    row = intact_row(store, run)
    records = store.records(row.run_id)
    undelivered = store.outbox.undelivered(row.run_id)
    shown = run_document(row, records, compiler, undelivered)
    return shown | {"expiries": expiries_of(store, row, records)}


def follow(store: Store, clock: Clock, run: str, *, every_s: float = 0.2) -> Iterator[Record]:
    """Yield the records of a run as they come, until it has ended or is parked."""
    row = store.run(run)
    seen = -1
    while True:
        for record in store.records(row.run_id, after_seq=seen):
            seen = record.seq
            yield record
        row = store.run(row.run_id)
        if (row.status.ended or row.owner is None) and row.records == seen + 1:
            return
        clock.wait(threading.Event(), every_s)
