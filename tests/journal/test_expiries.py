"""Expiries in the store: they outlive their runs, are no run's business, and are taken once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from irrunner.clock import iso
from irrunner.errors import RunBusy, RunNotFound
from irrunner.journal.records import Draft
from irrunner.journal.sql import SqlStore
from irrunner.journal.store import EXPIRY, Lease, NewRun, RunChange, Timer
from irrunner.testing import ManualClock
from irrunner.vocabulary import RunStatus

ENDED = RunChange(status=RunStatus.SUCCEEDED, ended=True)


@pytest.fixture
def expiry(store: SqlStore, begin: Callable[..., Lease], clock: ManualClock) -> Timer:
    """Return the expiry of a run that has ended; another timer of it went with it."""
    lease = begin("run-1")
    expiry = Timer("run-1", "block", EXPIRY, 0, iso(clock.now()))
    other = Timer("run-1", "wait", "wait", 0, iso(clock.now()))
    store.append(lease, [Draft("set", {})], RunChange(timers_set=[expiry, other]))
    store.append(lease, [Draft("ended", {})], ENDED)
    return expiry


def test_it_outlives_its_run(store: SqlStore, expiry: Timer) -> None:
    """A run that has ended holds nothing but what is to be taken off; its chain verifies."""
    assert store.timers("run-1") == [expiry]
    assert store.expiries() == [expiry]
    assert store.due_runs(expiry.due_at) == []
    assert store.run("run-1").next_timer_at is None
    assert store.verify_all().ok


def test_a_parked_run_is_not_due_for_it(
    store: SqlStore, begin: Callable[..., Lease], clock: ManualClock
) -> None:
    """A run that waits for a person is not driven because a block of it has expired."""
    lease = begin("run-2")
    timer = Timer("run-2", "block", EXPIRY, 0, iso(clock.now()))
    store.append(lease, [Draft("set", {})], RunChange(timers_set=[timer]))
    store.release(lease)

    assert store.due_runs(iso(clock.now())) == []


def test_it_is_taken_once(store: SqlStore, expiry: Timer, new_run: Callable[..., NewRun]) -> None:
    """The run that carries it out and the end of the due item are one commit: the second finds none."""
    store.create_run(new_run("undo-1"), [Draft("started", {})], "me", 30, takes=expiry)

    assert store.expiries() == []
    with pytest.raises(RunBusy, match="taken up or cancelled"):
        store.create_run(new_run("undo-2"), [Draft("started", {})], "other", 30, takes=expiry)
    with pytest.raises(RunNotFound):
        store.run("undo-2")


def test_a_moved_one_is_not_taken(store: SqlStore, expiry: Timer, new_run: Callable[..., NewRun]) -> None:
    """Who read the old time comes too early."""
    later = iso(ManualClock().now().replace(year=2030))
    store.move_expiry(expiry, later)
    store.move_expiry(expiry, None)

    assert [timer.due_at for timer in store.expiries()] == [later]
    with pytest.raises(RunBusy):
        store.create_run(new_run("undo-1"), [Draft("started", {})], "me", 30, takes=expiry)


def test_another_run_cancels_it(store: SqlStore, expiry: Timer, begin: Callable[..., Lease]) -> None:
    """With the outcome of an undo, in one commit; those of other steps and runs stay."""
    lease = begin("undo-1")
    store.append(
        lease, [Draft("off", {})], RunChange(expiries_cleared=[("run-1", "other"), ("run-9", "block")])
    )
    assert store.expiries() == [expiry]
    store.append(lease, [Draft("off", {})], RunChange(expiries_cleared=[("run-1", "block")]))

    assert store.expiries() == []


def test_undos_of_a_run(store: SqlStore, expiry: Timer, begin: Callable[..., Lease]) -> None:
    """Newest first, and of this run only."""
    begin("undo-1", undoes="run-1")
    begin("undo-2", undoes="run-1")
    begin("undo-3", undoes="run-9")

    assert [row.run_id for row in store.undos_of(expiry.run_id)] == ["undo-2", "undo-1"]
