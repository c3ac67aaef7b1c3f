"""Leases that fence, and locks on resources."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from irrunner.errors import LeaseLost, RunNotFound
from irrunner.journal.records import Draft
from irrunner.journal.sql import SqlStore
from irrunner.journal.store import Lease, RunChange
from irrunner.testing import ManualClock
from irrunner.vocabulary import RunStatus

Begin = Callable[..., Lease]
END = RunChange(status=RunStatus.SUCCEEDED, ended=True)


def test_a_lease_excludes_until_it_expires(store: SqlStore, begin: Begin, clock: ManualClock) -> None:
    """Nobody gets a live lease; after its expiry anybody does, and the old owner is fenced off."""
    old = begin("run-1")
    assert store.acquire("run-1", "you", 30) is None
    clock.advance(30)

    new = store.acquire("run-1", "you", 30)

    assert new == Lease("run-1", "you", 2)
    for refused in (
        lambda: store.append(old, [Draft("late", {})]),
        lambda: store.renew(old, 30),
        lambda: store.lock(old, ["arn:a"]),
        lambda: store.unlock(old),
    ):
        with pytest.raises(LeaseLost):
            refused()
    store.release(old)
    assert store.run("run-1").owner == "you"
    assert store.run("run-1").records == 1


def test_a_lease_is_taken_from_a_holder_that_is_gone(store: SqlStore, begin: Begin) -> None:
    """Who proves that the holder is gone need not wait; another's lease meanwhile is not touched."""
    old = begin("run-1")
    assert store.acquire("run-1", "you", 30, instead_of="somebody else") is None

    new = store.acquire("run-1", "you", 30, instead_of=old.owner)

    assert new == Lease("run-1", "you", 2)
    assert store.acquire("run-1", "late", 30, instead_of=old.owner) is None
    with pytest.raises(LeaseLost):
        store.append(old, [Draft("late", {})])


def test_an_expired_lease_that_nobody_took_still_appends(
    store: SqlStore, begin: Begin, clock: ManualClock
) -> None:
    """The epoch fences, not the time: a slow owner without a rival goes on."""
    lease = begin("run-1")
    clock.advance(3600)

    assert store.append(lease, [Draft("slow", {})])[0].seq == 1
    assert store.run("run-1").owner is None


def test_renewing_moves_the_expiry(store: SqlStore, begin: Begin, clock: ManualClock) -> None:
    """A renewed lease is held from now on."""
    lease = begin("run-1")
    clock.advance(29)
    store.renew(lease, 30)
    clock.advance(29)

    assert store.acquire("run-1", "you", 30) is None


def test_a_released_lease_is_free_and_fenced(store: SqlStore, begin: Begin) -> None:
    """Who gave the lease back can no longer append, even if nobody took it."""
    lease = begin("run-1")
    store.release(lease)

    with pytest.raises(LeaseLost):
        store.append(lease, [Draft("late", {})])
    assert store.acquire("run-1", "you", 30) is not None


def test_an_unknown_run_has_no_lease(store: SqlStore) -> None:
    """Acquiring, asking of and attaching to a run that is not there says so."""
    for refused in (
        lambda: store.acquire("nobody", "me", 30),
        lambda: store.request("nobody", "abort", {}),
        lambda: store.attach_event("nobody", "event"),
        lambda: store.verify("nobody"),
    ):
        with pytest.raises(RunNotFound):
            refused()


def test_of_many_rivals_one_gets_the_lease(store: SqlStore, begin: Begin) -> None:
    """Threads that race for a free lease get exactly one."""
    store.release(begin("run-1"))
    won: list[Lease | None] = []
    threads = [
        threading.Thread(target=lambda n=n: won.append(store.acquire("run-1", f"owner-{n}", 30)))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sum(lease is not None for lease in won) == 1


def test_locks_are_all_or_none(store: SqlStore, begin: Begin) -> None:
    """Where one resource is another run's, none is locked and that run is named."""
    first, second = begin("run-1"), begin("run-2")
    assert store.lock(first, ["arn:b", "arn:a", "arn:b"]) is None

    assert store.lock(second, ["arn:c", "arn:b"]) == "run-1"

    assert store.lock(first, ["arn:a", "arn:c"]) is None
    store.unlock(first)
    assert store.lock(second, ["arn:c", "arn:b"]) is None
    assert store.lock(second, []) is None
