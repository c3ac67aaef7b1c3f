"""Steps and means with which the engine's tests make races, crashes and faults."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from irrunner.journal.store import Lease
from irrunner.playbook.model import Playbook
from tests.engine.lab import Fault, Lab

ONE = """
  - {id: one, uses: lab.value.set-value, with: {name: a, value: "1"}}
"""
GATED = """
  - id: ask
    approve: {message: "Set b?", from: [lead], within: 30m, escalate: [boss]}
    then:
      - {id: two, uses: lab.value.set-value, with: {name: b, value: "2"}}
"""
BOTH = """
  - id: both
    parallel:
      - steps:
          - {id: bad, uses: lab.value.set-value, with: {name: a, value: "1"}, retry: {attempts: 1}}
      - steps:
          - {id: good, uses: lab.value.set-value, with: {name: b, value: "2"}}
"""
DAY_S = 24 * 3600.0
BLOCK = """
  - {id: block, uses: lab.value.set-value, with: {name: a, value: "1"}, expires_after: 24h}
"""
BLOCK_AND_ASK = (
    BLOCK.replace("24h", "1h")
    + """
  - id: ask
    approve: {message: "Set b?", from: [lead], within: 3d}
    then:
      - {id: two, uses: lab.value.set-value, with: {name: b, value: "2"}}
"""
)
POLL = """
  - id: until
    wait:
      until: "${{ poll.value == 'go' }}"
      uses: lab.value.read-value
      with: {name: a}
      every: 9s
      timeout: 5m
"""


def created(lab: Lab, playbook: Playbook) -> Lease:
    """Write record 0 of a run."""
    facts = lab.runner.facts(playbook, {}, None, drill=False, accepted_at=lab.clock.now())
    return lab.runner.create(playbook, facts)


def kinds_of(lab: Lab, run_id: str) -> list[str]:
    """Return the kinds of a run's records."""
    return [record.kind for record in lab.store.records(run_id)]


def wait_until_ended(lab: Lab, run_id: str) -> None:
    """Wait in a worker until the run has ended (the driver's own thread goes on)."""
    never = threading.Event()
    for _ in range(200):
        if lab.store.run(run_id).status.ended:
            return
        never.wait(0.02)


def wait_until_settled(lab: Lab, run_id: str) -> None:
    """Wait in a worker until the run's requests were acted on."""
    never = threading.Event()
    for _ in range(50):
        if not lab.store.requests(run_id):
            return
        never.wait(0.02)


def unlocked(lab: Lab, monkeypatch: pytest.MonkeyPatch, before: Fault) -> None:
    """Call a hook before each call, on as many threads as there are."""
    call = lab.ground.call

    def hooked(operation: str, /, **params: Any) -> Any:
        before(operation, params)
        return call(operation, **params)

    monkeypatch.setattr(lab.ground, "call", hooked)


def pages(lab: Lab, most: int) -> None:
    """Bound the store's size; SQLite never takes less than it has."""
    with lab.store._write_lock:
        assert lab.store._writer is not None
        connection = lab.store._writer.connection.driver_connection
        assert connection is not None
        connection.execute(f"PRAGMA max_page_count = {most}")


def expiries(lab: Lab, run_id: str) -> list[tuple[str, str]]:
    """Return step and state of what expires."""
    return [(each["id"], each["state"]) for each in lab.runner.document(run_id)["expiries"]]
