from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from irrunner.journal.records import GENESIS, Draft
from irrunner.journal.sql import SqlStore
from irrunner.journal.store import NewRun
from irrunner.settings import Tracker
from irrunner.testing import ManualClock
from irrunner.tickets.port import Tickets
from tests.tickets.trackers import FakeJira, FakeReceiver

RUN = "run-1"
TOKEN = "canary-token-51c9"


@pytest.fixture
def clock() -> ManualClock:
    """A clock that moves when told."""
    return ManualClock()


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[SqlStore]:
    """A store with a run of incident ``inc-1``."""
    store = SqlStore(tmp_path / "store.db", clock)
    run = NewRun(
        RUN, "inc-1", "key", "event", "lab", "1.0.0", GENESIS, "Lab", "111111111111", "us-east-1", 5.0,
        drill=False,
    )  # fmt: skip
    store.create_run(run, [Draft("started", {})], "me", 30)
    yield store
    store.close()


@pytest.fixture
def jira() -> Iterator[FakeJira]:
    """A Jira that listens."""
    tracker = FakeJira()
    with tracker.listening():
        yield tracker


@pytest.fixture
def receiver() -> Iterator[FakeReceiver]:
    """A receiver of webhooks that listens."""
    tracker = FakeReceiver()
    with tracker.listening():
        yield tracker


@pytest.fixture
def trackers(jira: FakeJira, receiver: FakeReceiver, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tracker]:
    """Both, configured; their secrets are canaries in the environment."""
    monkeypatch.setenv("TOKEN", TOKEN)
    monkeypatch.setenv("USER_NAME", "bot@example.com")
    return {
        "jira": Tracker(
            kind="jira-cloud", url=jira.url, project="SEC", user="env:USER_NAME", token="env:TOKEN"
        ),
        "hook": Tracker(kind="webhook", url=receiver.url, token="env:TOKEN"),
    }


@pytest.fixture
def tickets(trackers: dict[str, Tracker], store: SqlStore, clock: ManualClock) -> Tickets:
    """The port of the run's tickets."""
    return Tickets(trackers, lambda: store, clock.now, run_id=RUN)


@pytest.fixture
def tell(tickets: Tickets) -> Callable[..., Any]:
    """Tells a tracker something under a key, and returns how far it is."""

    def call(kind: str, key: str, *, tracker: str = "jira", **body: Any) -> Any:
        said = {"title": "Contained", "body": "i-1 is cut off", **body}
        return tickets.call(f"ticket:{kind}", Key=key, Tracker=tracker, Body=said)

    return call
