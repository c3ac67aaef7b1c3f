"""Lists of runs, events, requests, and what is due."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from irrunner.clock import iso
from irrunner.errors import RunNotFound
from irrunner.journal.integrity import intact_row
from irrunner.journal.sql import SqlStore
from irrunner.journal.store import Lease, RunChange, Timer
from irrunner.testing import ManualClock
from irrunner.vocabulary import RunStatus

Begin = Callable[..., Lease]
END = RunChange(status=RunStatus.SUCCEEDED, ended=True)


def test_a_unique_prefix_names_a_run(store: SqlStore, begin: Begin) -> None:
    """A person types the beginning of an id; an ambiguous or foreign one is refused."""
    begin("019c-aaaa")
    begin("019c-aaab")
    begin("019c-aaa")

    assert store.run("019c-aaab").run_id == "019c-aaab"
    assert store.run("019c-aaa").run_id == "019c-aaa"
    for prefix in ("019c", "", "02", "%", "\ud800"):
        with pytest.raises(RunNotFound):
            store.run(prefix)


def test_a_beginning_of_several_runs_says_which(store: SqlStore, begin: Begin) -> None:
    """Runs of one minute begin alike: "no run" would send a responder looking for a deleted one."""
    begin("019c-aaaa")
    begin("019c-aaab")

    with pytest.raises(RunNotFound, match="begins several run ids: 019c-aaaa, 019c-aaab"):
        intact_row(store, "019c")
    with pytest.raises(RunNotFound, match="no run"):
        intact_row(store, "02")


def test_runs_are_listed_newest_first(store: SqlStore, begin: Begin, clock: ManualClock) -> None:
    """The list begins with the newest run, and may leave out the ended ones."""
    for n in range(4):
        lease = begin(f"run-{n}")
        clock.advance(1)
    store.append(lease, [], END)

    assert [row.run_id for row in store.runs(limit=2)] == ["run-3", "run-2"]
    assert [row.run_id for row in store.runs(open_only=True)] == ["run-2", "run-1", "run-0"]


def test_an_event_finds_its_runs(store: SqlStore, begin: Begin, clock: ManualClock) -> None:
    """The event that started a run and those attached later lead to it; attaching twice is harmless."""
    begin("run-1", event_key="event-1")
    clock.advance(1)
    begin("run-2", event_key="event-1")
    store.attach_event("run-1", "event-2")
    store.attach_event("run-1", "event-2")

    assert [row.run_id for row in store.runs_of_event("event-1")] == ["run-2", "run-1"]
    assert [row.run_id for row in store.runs_of_event("event-2")] == ["run-1"]
    assert store.runs_of_event("event-3") == []


def test_requests_wait_in_order_until_settled(store: SqlStore, begin: Begin, clock: ManualClock) -> None:
    """A driver sees open requests, oldest first, and settles them with its own append only."""
    lease = begin("run-1")
    other = begin("run-2")
    first = store.request("run-1", "deny", {"reason": "no"})
    second = store.request("run-1", "abort", {})
    store.append(other, [], RunChange(requests_settled=[second]))

    store.append(lease, [], RunChange(requests_settled=[first]))

    (left,) = store.requests("run-1")
    assert (left.request_id, left.kind, left.body, left.at) == (second, "abort", {}, iso(clock.now()))


def test_due_runs_are_those_with_something_to_do_and_nobody_to_do_it(
    store: SqlStore, begin: Begin, clock: ManualClock
) -> None:
    """A due timer, an open request or a dead owner makes a run due; a live owner or its end does not."""
    timer = RunChange(timers_set=[Timer("", "a", "wait", 0, "2026-01-01T00:00:10.000Z")])
    leases = {name: begin(name) for name in ("asked", "dead", "ended", "held", "idle", "timer")}
    for name in ("ended", "held", "timer"):
        store.append(leases[name], [], timer)
    for name in ("asked", "idle", "timer"):
        store.release(leases[name])
    store.request("asked", "approve", {})
    store.append(leases["ended"], [], END)

    assert store.due_runs(iso(clock.now())) == ["asked"]
    clock.advance(20)
    assert store.due_runs(iso(clock.now())) == ["asked", "timer"]
    store.renew(leases["held"], 60)
    clock.advance(20)
    assert store.due_runs(iso(clock.now())) == ["asked", "dead", "timer"]
