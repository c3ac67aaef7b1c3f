"""Overhead of the whole engine against a bare SQLite loop that writes the same bytes in two commits a step.

A run is ten steps of an action that does nothing: playbook, machine, expressions, runtime, journal and
threads are the product's own; only the cloud is absent. The bare loop writes the very records of such a
run. Rounds alternate, medians are compared: trust the ratios.

Run ``python benchmarks/engine.py``; it exits with 1 where a floor is missed. ``--peer`` adds DBOS on
SQLite to the same run, if it is installed.
"""

from __future__ import annotations

import argparse
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.journal import bare_loop
from irrunner.actions.contract import (
    Action,
    Decision,
    LookContext,
    Model,
    Permission,
    Settled,
    State,
    Where,
)
from irrunner.actions.registry import Registry, action
from irrunner.aws.api import Caller
from irrunner.clock import SystemClock, SystemIds
from irrunner.engine.compiled import Compiler
from irrunner.engine.service import Runner
from irrunner.engine.stepping import Services
from irrunner.journal.records import Draft, Record, first_break
from irrunner.journal.sql import SqlStore
from irrunner.playbook.loader import load_playbook
from irrunner.playbook.model import Playbook
from irrunner.settings import Settings
from irrunner.vocabulary import Phase, Risk, UndoPolicy

STEPS = 10
SLOWDOWN_AT_1_RUN_MAX = 3.0
THROUGHPUT_AT_100_RUNS_MIN = 0.7
RECORDS_A_STEP = 3


class NoParams(Model):
    """The target."""

    name: str


class NoState(State):
    """Nothing."""


class NoResult(Model):
    """Nothing but the name."""

    name: str


@action(
    "bench.none.do-nothing",
    title="Do nothing",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    permissions=(Permission("sts:GetCallerIdentity"),),
    undo=UndoPolicy.NEVER,
    undo_note="it does nothing, there is nothing to undo",
)
class DoNothing(Action[NoParams, NoState]):
    """Do nothing, by the whole contract."""

    Params = NoParams
    Outputs = NoResult
    StateModel = NoState

    def look(self, ctx: LookContext, params: NoParams) -> NoState:
        """See nothing."""
        return NoState()

    def decide(self, params: NoParams, state: NoState) -> Decision:
        """Be content."""
        return Settled(NoResult(name=params.name))

    def targets(self, params: NoParams, where: Where) -> tuple[str, ...]:
        """Change nothing."""
        return ()


class NoApi:
    """An API that nobody calls."""

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Refuse."""
        raise SystemExit(f"benchmark invalid: {operation} {params}")

    def pages(self, operation: str, path: str, /, **params: Any) -> list[Any]:
        """Refuse."""
        raise SystemExit(f"benchmark invalid: {operation} {path} {params}")

    def in_region(self, region: str) -> NoApi:
        """Return itself."""
        del region
        return self


class NoCloud:
    """A cloud without calls."""

    def caller(self) -> Caller:
        """Return nobody."""
        return Caller("111111111111", "arn:aws:iam::111111111111:user/bench", simulated=True)

    def base(self, region: str | None = None) -> NoApi:
        """Return no API."""
        del region
        return NoApi()

    def member(self, *places: str, **narrow: Any) -> NoApi:
        """Return no API."""
        del places, narrow
        return NoApi()

    forensics = member

    def forensic_account_id(self) -> str | None:
        """Return none."""
        return None


def playbook(registry: Registry) -> Playbook:
    """Return ten steps, each of which uses the step before."""
    lines = ["schema: irrunner/v1", "id: bench", "version: 1.0.0", "title: Bench", "owner: bench", "steps:"]
    for number in range(STEPS):
        name = "start" if number == 0 else f"${{{{ steps.s{number - 1}.name }}}}"
        lines.append(f'  - {{id: s{number}, uses: bench.none.do-nothing, with: {{name: "{name}"}}}}')
    return load_playbook("\n".join(lines), "bench.yaml", registry)


class Bench:
    """A runner without a cloud on a store of its own."""

    def __init__(self, path: Path) -> None:
        clock = SystemClock()
        self.store = SqlStore(path, clock)
        registry = Registry((DoNothing,))
        cloud: Any = NoCloud()
        local: Any = lambda _: NoApi()  # noqa: E731 - a port that nobody uses
        self.services = Services(Compiler(registry), cloud, Settings(), clock, local)
        self.runner = Runner(self.services, self.store, SystemIds())
        self.playbook = playbook(registry)

    def create(self) -> Any:
        """Write record 0 of a run, and return its lease."""
        now = self.services.clock.now()
        facts = self.runner.facts(self.playbook, {}, None, drill=True, accepted_at=now)
        return self.runner.create(self.playbook, facts)

    def drive(self, runs: int) -> tuple[float, list[list[Record]]]:
        """Drive runs at once in one engine; return steps per second and their journals."""
        leases = [self.create() for _ in range(runs)]
        engine = self.runner.engine()
        drivers = [engine.adopt(lease) for lease in leases]
        started = time.perf_counter()
        engine.drive(*drivers)
        elapsed_s = time.perf_counter() - started
        engine.close()
        journals = [self.store.records(lease.run_id) for lease in leases]
        for journal in journals:
            check(journal)
        return runs * STEPS / elapsed_s, journals


def check(journal: Sequence[Record]) -> None:
    """Assert what makes the comparison fair: three records a step, an intact chain, all steps verified."""
    verified = [record for record in journal if record.kind == "step_verified"]
    of_steps = [record for record in journal if record.path]
    if len(verified) != STEPS or len(of_steps) != STEPS * RECORDS_A_STEP or first_break(journal) is not None:
        raise SystemExit("benchmark invalid: a journal is not as it should be")


def same_bytes(journal: Sequence[Record]) -> list[Draft]:
    """Return the drafts of one step of a run, for the bare loop."""
    step = [record for record in journal if record.path == "s5"]
    return [Draft(record.kind, record.body, record.path) for record in step]


def synchronous(path: Path) -> str:
    """Return how the store syncs; the floor is measured with FULL."""
    store = SqlStore(path, SystemClock())
    with store._engine.connect() as connection:  # noqa: SLF001 - the setting is the connection's own
        found = connection.exec_driver_sql("PRAGMA synchronous").scalar()
    store.close()
    if found != 2:  # noqa: PLR2004 - SQLite's number for FULL
        raise SystemExit(f"benchmark invalid: synchronous={found}, not FULL")
    return "FULL"


def measure(folder: Path, rounds: int, runs: int) -> dict[str, float]:
    """Return median steps per second of the bare loop, one run after the other, and many at once."""
    figures: dict[str, list[float]] = {"bare": [], "one": [], "many": []}
    for number in range(rounds):
        bench = Bench(folder / f"engine-{number}.db")
        bench.drive(1)
        singles: list[float] = []
        journal: list[Record] = []
        for _ in range(runs // 5):
            speed, (journal,) = bench.drive(1)
            singles.append(speed)
        figures["one"].append(median(singles))
        drafts = same_bytes(journal)
        bare = folder / f"bare-{number}.db"
        figures["bare"].append(bare_loop(bare, RECORDS_A_STEP, steps=runs * 5, drafts=drafts))
        figures["many"].append(bench.drive(runs)[0])
        bench.store.close()
    synchronous(folder / "engine-0.db")
    return {name: median(values) for name, values in figures.items()}


def dbos_steps_per_s(folder: Path, workflows: int = 20) -> float | None:
    """Return DBOS's steps per second on SQLite for the same ten no-op steps, or None if not installed."""
    try:
        dbos: Any = import_module("dbos").DBOS  # a peer to measure, no requirement
    except ImportError:
        return None
    dbos(config={"name": "bench", "system_database_url": f"sqlite:///{folder / 'dbos.db'}"})
    nothing = dbos.step()(_nothing)

    def flow() -> str:
        name = "start"
        for _ in range(STEPS):
            name = nothing(name)
        return name

    flow = dbos.workflow()(flow)
    dbos.launch()
    flow()
    started = time.perf_counter()
    for _ in range(workflows):
        flow()
    elapsed_s = time.perf_counter() - started
    dbos.destroy()
    return workflows * STEPS / elapsed_s


def _nothing(name: str) -> str:
    return name


def report(figures: Mapping[str, float], peer: float | None) -> bool:
    """Print the table; return whether the floors are met."""
    bare, one, many = figures["bare"], figures["one"], figures["many"]
    versions = f"Python {platform.python_version()}  SQLite {sqlite3.sqlite_version}"
    print(f"{datetime.now(UTC):%Y-%m-%d}  {versions}")
    print(f"{'':32}{'steps/s':>10}{'ms/step':>10}{'against bare':>18}")
    print(f"{'bare loop, same bytes':32}{bare:>10.0f}{1000 / bare:>10.3f}{'1':>18}")
    print(f"{'engine, 1 run':32}{one:>10.0f}{1000 / one:>10.3f}{f'{bare / one:.2f}x slower':>18}")
    print(f"{'engine, 100 runs':32}{many:>10.0f}{1000 / many:>10.3f}{f'{many / bare:.2f}x as fast':>18}")
    print(f"100 runs against 1 run: {many / one:.2f}x")
    if peer:
        print(f"{'DBOS on SQLite':32}{peer:>10.0f}{1000 / peer:>10.3f}{f'{bare / peer:.1f}x slower':>18}")
        print(f"engine against DBOS: {one / peer:.1f}x as fast")
    met = bare / one <= SLOWDOWN_AT_1_RUN_MAX and many / bare >= THROUGHPUT_AT_100_RUNS_MIN
    floors = f"at most {SLOWDOWN_AT_1_RUN_MAX}x, at least {THROUGHPUT_AT_100_RUNS_MIN}x"
    print(f"floors ({floors}): {'met' if met else 'MISSED'}")
    return met


def main() -> int:
    """Measure and print; return 1 where a floor is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--peer", action="store_true", help="measure DBOS in the same run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = measure(folder, options.rounds, options.runs)
        peer = dbos_steps_per_s(folder) if options.peer else None
    return 0 if report(figures, peer) else 1


if __name__ == "__main__":
    sys.exit(main())
