"""Cold starts of the command line, each a whole process, against what Python itself and boto3 cost.

The commands alternate, medians are compared. The floors are for a machine that has nothing else to do: on a
busy one, read the ratio to ``python -c pass``.

Run ``python benchmarks/cli.py``; it exits with 1 where a floor is missed.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.engine import Bench
from irrunner.playbook.loader import load_playbook

ROOT = Path(__file__).resolve().parent.parent
PLAYBOOK = "playbooks/ec2/ec2-instance-compromise.yaml"
FLOORS_MS = {"--version": 150, "validate": 500}
PYTHON = "python -c pass"
TEXT = """\
schema: irrunner/v1
id: asks
version: 1.0.0
title: Wait for a person
owner: bench
steps:
  - id: ask
    approve: {message: "Go on?", from: [nobody], within: 24h}
    then:
      - {id: pause, wait: 1s}
"""
Commands = Mapping[str, Sequence[str]]


def commands(run_id: str) -> Commands:
    """Return what is measured: a name, and the command line behind ``python``."""
    program = ("-m", "irrunner")
    return {
        PYTHON: ("-c", "pass"),
        "python -c 'import boto3'": ("-c", "import boto3"),
        "--version": (*program, "--version"),
        "--help": (*program, "--help"),
        "validate": (*program, "validate", PLAYBOOK),
        "playbooks": (*program, "playbooks"),
        "runs": (*program, "runs"),
        "show": (*program, "show", run_id),
    }


def park(store: Path) -> str:
    """Store a run that waits, of a playbook that needs no action; return its id."""
    bench = Bench(store)
    bench.playbook = load_playbook(TEXT, "asks.yaml", bench.services.compiler.registry)
    document = bench.runner.drive(bench.create())
    bench.store.close()
    return str(document["run_id"])


def once(words: Sequence[str], env: Mapping[str, str]) -> float:
    """Run a process to its end; return milliseconds."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, env=env, cwd=ROOT, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - started) * 1000


def measure(store: Path, rounds: int) -> dict[str, float]:
    """Return the median milliseconds of each command; the first round, which fills caches, is left out."""
    run_id = park(store)
    env = {**os.environ, "IRRUNNER_STORE": str(store), "IRRUNNER_CONFIG": os.devnull}
    times: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        for name, words in commands(run_id).items():
            elapsed_ms = once(words, env)
            if number:
                times.setdefault(name, []).append(elapsed_ms)
    return {name: median(values) for name, values in times.items()}


def report(figures: Mapping[str, float]) -> bool:
    """Print the table; return whether the floors are met."""
    load = os.getloadavg()[0]
    print(f"{datetime.now(UTC):%Y-%m-%d}  Python {platform.python_version()}  {platform.machine()}", end="  ")
    print(f"{os.cpu_count()} CPUs, load {load:.1f}")
    print(f"{'':28}{'ms':>8}{'floor':>8}{'against Python':>18}")
    missed = []
    for name, elapsed_ms in figures.items():
        floor = FLOORS_MS.get(name)
        ratio = f"{elapsed_ms / figures[PYTHON]:.1f}x"
        print(f"{name:28}{elapsed_ms:>8.0f}{floor or '':>8}{ratio:>18}")
        if floor and elapsed_ms >= floor:
            missed.append(name)
    print(f"floors: {'MISSED by ' + ', '.join(missed) if missed else 'met'}")
    return not missed


def main() -> int:
    """Measure and print; return 1 where a floor is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        return 0 if report(measure(Path(name) / "cli.db", options.rounds)) else 1


if __name__ == "__main__":
    sys.exit(main())
