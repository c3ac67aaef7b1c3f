"""Ten thousand runs that wait for a person: what they cost while they wait, and how fast due ones go on.

One run of the product's own engine is driven to its gate; its journal is copied under new run ids, through
the store, until there are enough. Then a process of its own, with nothing but a runner on that store, does
what ``irrunner resume --due`` does. Its resident memory counts the interpreter and every library.

Run ``python benchmarks/parked.py``; it exits with 1 where a floor is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.engine import Bench
from irrunner.journal.records import Draft, Record
from irrunner.journal.store import NewRun, RunChange, RunRow, Timer
from irrunner.playbook.loader import load_playbook
from irrunner.playbook.model import Playbook
from irrunner.vocabulary import RunStatus

RESIDENT_MAX_MB = 200
RESUME_MAX_S = 10.0
IDLE_LOOKS = 20
COPIERS = 16
TEXT = """\
schema: irrunner/v1
id: bench-parked
version: 1.0.0
title: Wait for a person
owner: bench
steps:
  - {id: before, uses: bench.none.do-nothing, with: {name: x}}
  - id: ask
    approve: {message: "Go on?", from: [nobody], within: 24h}
    then:
      - {id: after, uses: bench.none.do-nothing, with: {name: x}}
"""


class ParkedBench(Bench):
    """A runner whose one playbook asks a person."""

    def parked_playbook(self) -> Playbook:
        """Return the playbook."""
        return load_playbook(TEXT, "parked.yaml", self.services.compiler.registry)

    def park_one(self) -> str:
        """Drive a run to its gate, and return its id."""
        self.playbook = self.parked_playbook()
        document = self.runner.drive(self.create())
        if document["status"] != RunStatus.WAITING:
            raise SystemExit(f"benchmark invalid: {document['status']}")
        return str(document["run_id"])

    def copy(self, row: RunRow, journal: Sequence[Record], timers: Sequence[Timer], number: int) -> None:
        """Store another run with this journal, parked as the first one is."""
        run_id = f"{row.run_id[:23]}-{number:012x}"
        names = NewRun.__dataclass_fields__
        new = NewRun(**{name: getattr(row, name) for name in names} | {"run_id": run_id})
        drafts = [Draft(record.kind, record.body, record.path) for record in journal]
        lease = self.store.create_run(new, drafts, "bench", 60)
        moved = [replace(timer, run_id=run_id) for timer in timers]
        self.store.append(lease, [], RunChange(status=RunStatus.WAITING, timers_set=moved))
        self.store.release(lease)


def prepare(path: Path, runs: int) -> float:
    """Fill a store with parked runs; return its size in MB."""
    bench = ParkedBench(path)
    run_id = bench.park_one()
    row, journal, timers = bench.store.run(run_id), bench.store.records(run_id), bench.store.timers(run_id)
    with ThreadPoolExecutor(COPIERS) as pool:
        list(pool.map(lambda number: bench.copy(row, journal, timers, number), range(1, runs)))
    bench.store.close()
    return path.stat().st_size / 1e6


def make_due(path: Path, count: int) -> list[str]:
    """Let somebody decide about some of the runs, as another process would; return their ids."""
    bench = ParkedBench(path)
    chosen = [row.run_id for row in bench.store.runs(open_only=True, limit=count)]
    for run_id in chosen:
        bench.store.request(
            run_id, "deny", {"path": "ask", "by": {"id": "os:bench"}, "reason": "benchmark", "note": ""}
        )
    bench.store.close()
    return chosen


def resident_mb() -> float:
    """Return the largest resident set of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def watch(path: Path, looks: int) -> dict[str, Any]:
    """Be the process that resumes: look for due runs, and drive those that are."""
    bench = ParkedBench(path)
    resumed: list[Any] = []
    started, cpu_started = time.perf_counter(), time.process_time()
    for _ in range(looks):
        resumed += bench.runner.resume_due()
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
    statuses = [document["status"] for document in resumed]
    bench.store.close()
    return {"seconds": seconds, "cpu_s": cpu_s, "ended": statuses.count("succeeded"), "mb": resident_mb()}


def in_process(path: Path, looks: int) -> dict[str, Any]:
    """Run :func:`watch` in a process of its own."""
    command = [sys.executable, __file__, "--watch", str(path), "--looks", str(looks)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _per_look(idle: dict[str, Any]) -> str:
    return f"{idle['seconds'] / IDLE_LOOKS:>10.4f}{idle['cpu_s'] / IDLE_LOOKS:>10.4f}"


def measure(path: Path, runs: int, due: Iterable[int]) -> bool:
    """Measure and print; return whether the floors are met."""
    machine = f"{platform.machine()}  {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    print(f"{datetime.now(UTC):%Y-%m-%d}  Python {platform.python_version()}  {machine}")
    size = prepare(path, runs)
    idle = in_process(path, IDLE_LOOKS)
    print(f"{runs:,} parked runs, store {size:.0f} MB")
    print(f"{'':32}{'seconds':>10}{'CPU s':>10}{'resident':>12}")
    print(f"{'one look, none due':32}{_per_look(idle)}{idle['mb']:>9.0f} MB")
    met = bool(idle["mb"] < RESIDENT_MAX_MB)
    for count in due:
        make_due(path, count)
        woken = in_process(path, 1)
        if woken["ended"] != count:
            raise SystemExit(f"benchmark invalid: {woken} of {count}")
        figures = f"{woken['seconds']:>10.2f}{woken['cpu_s']:>10.2f}{woken['mb']:>9.0f} MB"
        print(f"{f'{count:,} due, found and resumed':32}{figures}")
        met = met and bool(woken["seconds"] < RESUME_MAX_S and woken["mb"] < RESIDENT_MAX_MB)
    print(f"floors (under {RESIDENT_MAX_MB} MB, under {RESUME_MAX_S:g} s): {'met' if met else 'MISSED'}")
    return met


def main() -> int:
    """Measure and print; return 1 where a floor is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--due", type=int, nargs="*", default=[1, 100, 1000])
    parser.add_argument("--watch", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--looks", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.watch:
        print(json.dumps(watch(options.watch, options.looks)))
        return 0
    with tempfile.TemporaryDirectory() as name:
        return 0 if measure(Path(name) / "parked.db", options.runs, options.due) else 1


if __name__ == "__main__":
    sys.exit(main())
