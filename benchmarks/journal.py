"""Overhead of the store against a bare SQLite loop that writes the same bytes in two commits a step.

A step is three records in two commits: the intent, then its outcome together with ``verified``. Both sides
use WAL, ``synchronous=FULL`` and the same hash chain. Rounds alternate between the sides and the medians are
compared, because a machine's disk and cores are noisy: trust the ratios.

Run ``python benchmarks/journal.py``; it exits with 1 where a floor is missed.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from statistics import median

from irrunner.clock import SystemClock, iso
from irrunner.journal.records import GENESIS, Draft, first_break, seal
from irrunner.journal.sql import SqlStore
from irrunner.journal.store import Lease, NewRun

SLOWDOWN_AT_1_RUN_MAX = 3.0
THROUGHPUT_AT_100_RUNS_MIN = 0.7
TTL_S = 600.0

_ACTION = {"action": "aws.ec2.isolate-instance", "action_version": "1", "attempt": 1}
_TARGET = {"target": "arn:aws:ec2:eu-central-1:123456789012:instance/i-0123456789abcdef0"}
_GROUPS = {"eni-0123456789abcdef0": ["sg-0123456789abcdef0", "sg-0fedcba9876543210"]}
STEP: tuple[Draft, ...] = (
    Draft("intent", {**_ACTION, **_TARGET, "params_sha256": GENESIS}, "isolate"),
    Draft("outcome", {**_ACTION, "outcome": "applied", "before": _GROUPS, "calls": 3}, "isolate"),
    Draft("verified", {**_ACTION, "after": {"eni-0123456789abcdef0": ["sg-quarantine"]}}, "isolate"),
)
"""The records of one step, of a size as the engine's."""


def bare_loop(
    path: Path, records_per_step: int = 3, *, steps: int = 1000, drafts: Sequence[Draft] = STEP
) -> float:
    """Write steps into a plain table: the first record in one commit, the others in a second.

    Args:
        path: File that is created.
        records_per_step: How many of the drafts make a step; at least 2.
        steps: How many steps to write.
        drafts: What is written, again for each step.

    Returns:
        Steps per second.
    """
    step = drafts[:records_per_step]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(
            "CREATE TABLE records (run_id TEXT, seq INTEGER, at TEXT, kind TEXT, path TEXT, body TEXT,"
            " prev_sha256 TEXT, sha256 TEXT, PRIMARY KEY (run_id, seq))"
        )
        started = time.perf_counter()
        seq, head = 0, GENESIS
        for _ in range(steps):
            for commit in (step[:1], step[1:]):
                seq, head = _bare_commit(connection, seq, head, commit)
        elapsed_s = time.perf_counter() - started
        written = connection.execute("SELECT count(*) FROM records").fetchone()[0]
    _require(written == steps * len(step), f"the bare loop wrote {written} records")
    return steps / elapsed_s


def _bare_commit(
    connection: sqlite3.Connection, seq: int, head: str, drafts: Sequence[Draft]
) -> tuple[int, str]:
    rows = []
    at = iso(SystemClock().now())
    for draft in drafts:
        record, body = seal("run", seq, at, draft, head)
        rows.append((record.run_id, seq, at, draft.kind, draft.path, body, head, record.sha256))
        seq, head = seq + 1, record.sha256
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.execute("COMMIT")
    return seq, head


def store_runs(path: Path, *, runs: int, steps: int) -> float:
    """Write the same steps through the store, each run in a thread of its own.

    Returns:
        Steps per second, of all runs together.
    """
    store = SqlStore(path, SystemClock())
    leases = [store.create_run(_new_run(number), (), "benchmark", TTL_S) for number in range(runs)]
    gate = threading.Barrier(runs + 1)
    threads = [threading.Thread(target=_drive, args=(store, lease, steps, gate)) for lease in leases]
    for thread in threads:
        thread.start()
    gate.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    elapsed_s = time.perf_counter() - started
    _check(store, leases, steps)
    store.close()
    return runs * steps / elapsed_s


def _drive(store: SqlStore, lease: Lease, steps: int, gate: threading.Barrier) -> None:
    gate.wait()
    for _ in range(steps):
        store.append(lease, STEP[:1])
        store.append(lease, STEP[1:])


def _check(store: SqlStore, leases: Sequence[Lease], steps: int) -> None:
    """Assert what makes the comparison fair: FULL, three records a step, an intact chain."""
    with store._engine.connect() as connection:  # noqa: SLF001 - the setting is the connection's own
        synchronous = connection.exec_driver_sql("PRAGMA synchronous").scalar()
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
    _require((synchronous, mode) == (2, "wal"), f"synchronous={synchronous}, journal_mode={mode}")
    for lease in leases:
        records = store.records(lease.run_id)
        _require(len(records) == steps * len(STEP), f"{len(records)} records for {steps} steps")
        _require(first_break(records) is None, f"the chain of {lease.run_id} is broken")


def _new_run(number: int) -> NewRun:
    return NewRun(
        run_id=f"run-{number:04d}",
        incident_id="incident",
        incident_key="",
        event_key="",
        playbook_id="benchmark",
        playbook_version="1.0.0",
        playbook_sha256=GENESIS,
        title="benchmark",
        account_id="123456789012",
        region="eu-central-1",
        severity=8.0,
        drill=True,
    )


def _require(holds: bool, problem: str) -> None:  # noqa: FBT001 - an assertion that -O leaves in
    if not holds:
        raise SystemExit(f"benchmark invalid: {problem}")


def measure(folder: Path, rounds: int, steps: int) -> tuple[float, float, float]:
    """Return the median steps per second of the bare loop, the store at 1 run, and at 100 runs."""
    bare, one, hundred = [], [], []
    for number in range(rounds):
        bare.append(bare_loop(folder / f"bare-{number}.db", steps=steps))
        one.append(store_runs(folder / f"one-{number}.db", runs=1, steps=steps))
        hundred.append(store_runs(folder / f"hundred-{number}.db", runs=100, steps=max(steps // 50, 1)))
    return median(bare), median(one), median(hundred)


def main() -> int:
    """Print the table; return 1 where a floor is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1000, help="steps a round, at one run")
    parser.add_argument("--folder", type=Path, help="directory on the disk to measure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        bare, one, hundred = measure(Path(folder), options.rounds, options.steps)
    slowdown, throughput = bare / one, hundred / bare
    print(f"{'':24}{'steps/s':>10}{'ms/step':>10}{'against bare':>16}")
    print(f"{'bare SQLite loop':24}{bare:>10.0f}{1000 / bare:>10.3f}{'1':>16}")
    print(f"{'store, 1 run':24}{one:>10.0f}{1000 / one:>10.3f}{f'{slowdown:.2f}x slower':>16}")
    print(f"{'store, 100 runs':24}{hundred:>10.0f}{1000 / hundred:>10.3f}{f'{throughput:.2f}x as fast':>16}")
    met = slowdown <= SLOWDOWN_AT_1_RUN_MAX and throughput >= THROUGHPUT_AT_100_RUNS_MIN
    print(f"floors (at most {SLOWDOWN_AT_1_RUN_MAX}x; at least {THROUGHPUT_AT_100_RUNS_MIN}x):", end=" ")
    print("met" if met else "MISSED")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
