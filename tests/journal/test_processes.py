"""Several processes on one store, and processes that die."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from irrunner.clock import SystemClock
from irrunner.journal.sql import SqlStore

ROOT = Path(__file__).parents[2]


def play(what: str, path: Path, count: int) -> str:
    """Run the child program; return what it wrote."""
    script = Path(__file__).with_name("children.py")
    command = [sys.executable, "-W", "error", str(script), what, str(path), str(count)]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.crash
def test_killed_processes_lose_no_acknowledged_record(path: Path) -> None:
    """After SIGKILL at ten instants acknowledged records are there, none is half there, and chains hold."""
    acknowledged = [line.split() for line in play("kill", path, 10).splitlines()]

    with closing(SqlStore(path, SystemClock())) as store:
        report = store.verify_all()
        written = {row.run_id: row.records for row in store.runs(limit=-1)}

    assert report.ok, report.problem
    assert len(acknowledged) > 100
    assert all(int(seq) < written[run_id] for run_id, seq in acknowledged)
    assert all(records % 2 == 1 for records in written.values())


@pytest.mark.crash
def test_processes_that_open_a_new_store_at_once_share_it(path: Path) -> None:
    """Creation, migration and group commits of four processes do not disturb each other."""
    play("race", path, 4)

    with closing(SqlStore(path, SystemClock())) as store:
        report = store.verify_all()
    assert (report.ok, report.records) == (True, 4 * 3 * 26)
