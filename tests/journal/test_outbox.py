"""The outbox loses nothing, doubles nothing, keeps order, and ends."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from irrunner.journal.outbox import (
    CLAIM_S,
    DELIVERED,
    LONGEST_WAIT_S,
    MOST_ATTEMPTS,
    UNCERTAIN_WAIT_S,
    Delivery,
    Outbox,
)
from irrunner.journal.sql import SqlStore
from irrunner.testing import ManualClock
from irrunner.vocabulary import DeliveryStatus

RUN = "run-1"


@pytest.fixture
def outbox(store: SqlStore, begin: Callable[..., Any]) -> Outbox:
    """Return the outbox of a store with a run."""
    begin(RUN)
    return store.outbox


def put(outbox: Outbox, key: str, *, incident: str = "inc-1", tracker: str = "jira") -> None:
    """Queue a delivery."""
    outbox.put(Delivery(key, RUN, incident, tracker, "update", {"text": "\ud800 and \0"}))


def keys(outbox: Outbox) -> list[str]:
    """Claim all that is due; return the keys."""
    found = []
    while (claimed := outbox.claim()) is not None:
        found.append(claimed.key)
    return found


def test_a_key_is_put_once(outbox: Outbox) -> None:
    """The step that is resumed puts again, and nothing is queued twice; a delivered one stays delivered."""
    put(outbox, "a")
    claimed = outbox.claim()
    assert claimed is not None
    outbox.settle(claimed, reference="SEC-1", url="")
    put(outbox, "a")

    assert outbox.undelivered() == []
    known = outbox.get("a")
    assert known is not None
    assert (known.status, known.reference) == (DELIVERED, "SEC-1")
    assert outbox.reference("jira", "inc-1") == "SEC-1"
    assert outbox.reference("jira", "inc-2") == ""


def test_an_incident_is_told_in_order(outbox: Outbox, clock: ManualClock) -> None:
    """What comes later waits for what came before, however long that is put off; other incidents do not."""
    for key in ("a", "b"):
        put(outbox, key)
    put(outbox, "c", incident="inc-2")
    put(outbox, "d", tracker="hook")
    first = outbox.claim()
    assert first is not None
    outbox.put_off(first, "it is down", uncertain=False)

    assert keys(outbox) == ["c", "d"]
    clock.advance(31)
    assert keys(outbox) == ["a"]


def test_a_claim_is_one_processes(outbox: Outbox, path: Path, clock: ManualClock) -> None:
    """Nobody else gets it until the claim has run out; then the late one cannot spoil anything."""
    put(outbox, "a")
    other = SqlStore(path, clock)
    first = outbox.claim()
    assert first is not None
    assert other.outbox.claim() is None
    clock.advance(CLAIM_S)
    second = other.outbox.claim()
    assert second is not None
    outbox.put_off(first, "late", uncertain=True)
    other.outbox.settle(second, reference="SEC-1", url="")
    outbox.put_off(first, "later", uncertain=True)
    other.close()

    assert outbox.undelivered() == []


def test_trying_has_an_end_that_shows(outbox: Outbox, clock: ManualClock) -> None:
    """Ever longer waits, an hour at most; after the last attempt it is given up, and stays in sight."""
    put(outbox, "a")
    waits = []
    for _ in range(MOST_ATTEMPTS):
        claimed = outbox.claim()
        while claimed is None:
            clock.advance(60)
            claimed = outbox.claim()
        outbox.put_off(claimed, "it is down", uncertain=False)
        waits.append(clock.now())
    clock.advance(10 * LONGEST_WAIT_S)

    assert outbox.claim() is None
    assert [(left.status, left.problem) for left in outbox.undelivered(RUN)] == [
        (DeliveryStatus.GIVEN_UP, "it is down")
    ]
    assert max(b - a for a, b in pairwise(waits)).total_seconds() <= LONGEST_WAIT_S


def test_after_a_lost_answer_the_search_gets_time(outbox: Outbox, clock: ManualClock) -> None:
    """A tracker's index lags: looking at once would not find what was just made."""
    put(outbox, "a")
    claimed = outbox.claim()
    assert claimed is not None
    outbox.put_off(claimed, "the answer was lost", uncertain=True)
    clock.advance(UNCERTAIN_WAIT_S - 1)
    assert outbox.claim() is None
    clock.advance(1)
    assert outbox.claim() is not None


def test_a_tracker_that_is_down_is_passed_over(outbox: Outbox) -> None:
    """One that does not answer holds no other up."""
    put(outbox, "a")
    put(outbox, "b", tracker="hook")

    claimed = outbox.claim(passed={"jira"})
    assert claimed is not None
    assert claimed.key == "b"
    assert outbox.claim(passed={"jira"}, incident="inc-1") is None
