"""Run as a program: child processes that use one store, and are killed or race.

``children.py kill PATH ROUNDS`` forks appending children, kills each by SIGKILL, and writes the ``run seq``
pairs that they acknowledged. ``children.py race PATH PROCESSES`` has processes open a store that does not
exist yet and append at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from irrunner.clock import SystemClock
from irrunner.journal.records import GENESIS, Draft
from irrunner.journal.sql import SqlStore
from irrunner.journal.store import Lease, NewRun

THREADS = 3
APPENDS = 25
NO_ORDER = 7919
"""A prime that spreads the instants of the kills."""


def new_run(run_id: str) -> NewRun:
    """Return a run."""
    return NewRun(run_id, "", "", "", "p", "1", GENESIS, "t", "", "", 1.0, drill=True)


def append_for_ever(store: SqlStore, lease: Lease, out: int) -> None:
    """Append, and acknowledge each append by a line."""
    while True:
        records = store.append(lease, [Draft("intent", {"x": "y" * 300}), Draft("outcome", {"z": 1})])
        for record in records:
            os.write(out, f"{record.run_id} {record.seq}\n".encode())


def victim(path: Path, number: int, out: int) -> None:
    """Append from several threads until killed."""
    store = SqlStore(path, SystemClock())
    run_ids = [f"run-{number}-{thread}" for thread in range(THREADS)]
    leases = [store.create_run(new_run(run_id), [Draft("started", {})], "me", 30) for run_id in run_ids]
    for lease in leases:
        threading.Thread(target=append_for_ever, args=(store, lease, out), daemon=True).start()
    signal.pause()


def kill(path: Path, rounds: int) -> None:
    """Kill a child in each round, and pass on what it acknowledged."""
    for number in range(rounds):
        readable, writable = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(readable)
            victim(path, number, writable)
        os.close(writable)
        wanted_bytes = 200 + number * NO_ORDER % 1500
        seen = b""
        while len(seen) < wanted_bytes:
            seen += os.read(readable, wanted_bytes)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while rest := os.read(readable, 65536):
            seen += rest
        os.close(readable)
        sys.stdout.write(seen.decode())


def rival(path: Path, number: int) -> None:
    """Open the store together with others, and append from several threads."""
    store = SqlStore(path, SystemClock())
    leases = [
        store.create_run(new_run(f"run-{number}-{thread}"), [Draft("started", {})], "me", 30)
        for thread in range(THREADS)
    ]
    threads = [threading.Thread(target=append_some, args=(store, lease)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()


def append_some(store: SqlStore, lease: Lease) -> None:
    """Append a few records."""
    for n in range(APPENDS):
        store.append(lease, [Draft("intent", {"n": n})])


def race(path: Path, processes: int) -> None:
    """Start the rivals at once; fail if one of them fails."""
    readable, writable = os.pipe()
    children = []
    for number in range(processes):
        child = os.fork()
        if child == 0:
            os.close(writable)
            os.read(readable, 1)  # returns when the parent closes its end: all start together
            rival(path, number)
            os._exit(0)
        children.append(child)
    os.close(readable)
    os.close(writable)
    failed = [child for child in children if os.waitpid(child, 0)[1] != 0]
    if failed:
        raise SystemExit(f"{len(failed)} processes failed")


if __name__ == "__main__":
    {"kill": kill, "race": race}[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
