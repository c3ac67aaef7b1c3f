"""A store in a temporary file, and runs to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from irrunner.journal.records import GENESIS, Draft
from irrunner.journal.sql import SqlStore
from irrunner.journal.store import Lease, NewRun
from irrunner.testing import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still."""
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store is."""
    return tmp_path / "state" / "irrunner.db"


@pytest.fixture
def store(path: Path, clock: ManualClock) -> Iterator[SqlStore]:
    """Return an empty store."""
    store = SqlStore(path, clock)
    yield store
    store.close()


@pytest.fixture
def new_run() -> Callable[..., NewRun]:
    """Return a maker of runs that takes what differs."""

    def make(run_id: str, **differs: Any) -> NewRun:
        defaults: dict[str, Any] = {
            "incident_id": "incident-1",
            "incident_key": f"key of {run_id}",
            "event_key": f"event of {run_id}",
            "playbook_id": "ec2-instance-compromise",
            "playbook_version": "1.0.0",
            "playbook_sha256": GENESIS,
            "title": "Backdoor:EC2/C&CActivity.B",
            "account_id": "123456789012",
            "region": "eu-central-1",
            "severity": 8.0,
            "drill": False,
        }
        return NewRun(run_id=run_id, **(defaults | differs))

    return make


@pytest.fixture
def begin(store: SqlStore, new_run: Callable[..., NewRun]) -> Callable[..., Lease]:
    """Return what creates a run with one record and returns its lease."""

    def create(run_id: str, **differs: Any) -> Lease:
        return store.create_run(new_run(run_id, **differs), [Draft("started", {})], "me", 30)

    return create
