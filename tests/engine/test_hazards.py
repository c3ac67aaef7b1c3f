"""What races, crashes and faults of our own may not do to a run."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from irrunner.engine import loaded as kinds
from irrunner.engine.embedded import EmbeddedEngine
from irrunner.errors import (
    JournalUnavailable,
    LeaseLost,
)
from irrunner.journal.store import Lease
from tests.engine.hazards import (
    BOTH,
    GATED,
    ONE,
    POLL,
    created,
    kinds_of,
    unlocked,
    wait_until_ended,
)
from tests.engine.lab import Lab, outcomes


class TestEndings:
    def test_an_answer_after_the_end_is_no_failure(self, lab: Lab) -> None:
        """A poll that answers when an abort has ended the run changes nothing and fails nothing."""
        lease = created(lab, lab.playbook(POLL))
        asked: list[int] = []

        def abort_meanwhile(operation: str, params: Any) -> None:
            if not asked:
                asked.append(lab.store.request(lease.run_id, "abort", {"by": {"id": "os:me"}, "reason": "x"}))
                lab.clock.advance(1)
                wait_until_ended(lab, lease.run_id)
            lab.ground.values["a"] = "go"

        lab.ground.before = abort_meanwhile

        assert lab.runner.drive(lease)["status"] == "aborted"
        assert "poll_answered" not in kinds_of(lab, lease.run_id)

    def test_a_due_timer_is_not_parked_away(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run whose timer is due is not parked while a thread is about to fire it."""
        lab.start(lab.playbook(GATED))
        lab.clock.advance(1801)
        submit = EmbeddedEngine.submit

        def slowly(self: EmbeddedEngine, driver: Any, work: Any, **kind: Any) -> None:
            submit(self, driver, lambda: (threading.Event().wait(0.05), work())[1], **kind)

        monkeypatch.setattr(EmbeddedEngine, "submit", slowly)

        (document,) = lab.runner.resume_due()

        assert outcomes(document) == {"ask": "denied"}

    def test_a_parked_run_ends_at_its_deadline(self, lab: Lab) -> None:
        """A run that waits for a person is due at its deadline, and a later approval runs nothing."""
        playbook = lab.playbook(GATED.replace("30m", "2d"), deadline="1h")
        run_id = lab.start(playbook)["run_id"]
        lab.clock.advance(3601)

        (document,) = lab.runner.resume_due()

        assert (document["run_id"], document["status"]) == (run_id, "failed")
        assert lab.writes() == []

    def test_a_late_approval_meets_the_deadline_first(self, lab: Lab) -> None:
        """An approval that takes up a run after its deadline does not run what stands behind the gate."""
        playbook = lab.playbook(GATED.replace("30m", "2d"), deadline="1h")
        run_id = lab.start(playbook)["run_id"]
        lab.clock.advance(3601)

        assert lab.runner.approve(run_id, None)["status"] == "failed"
        assert lab.writes() == []

    def test_an_ended_run_leaves_nothing_on_the_time_line(self, lab: Lab) -> None:
        """An engine that parked a run keeps nothing of it in memory."""
        engine = lab.runner.engine()
        engine.drive(engine.adopt(created(lab, lab.playbook(GATED))))
        engine.close()

        assert engine._line == []

    def test_a_request_that_came_while_parking_is_taken(
        self, lab: Lab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who found the lease still held needs not ask twice: the parking driver looks once more."""
        lease = created(lab, lab.playbook(GATED))
        unlock = lab.store.unlock

        def ask_meanwhile(held: Lease) -> None:
            unlock(held)
            monkeypatch.setattr(lab.store, "unlock", unlock)
            body = {"path": "ask", "by": {"id": "os:me"}, "plan_sha256": ""}
            lab.store.request(lease.run_id, "approve", body)

        monkeypatch.setattr(lab.store, "unlock", ask_meanwhile)

        assert lab.runner.drive(lease)["status"] == "succeeded"
        assert lab.writes() == [("b", "2")]


class TestOwnFaults:
    def test_a_fault_in_an_action_fails_its_step_only(self, lab: Lab) -> None:
        """An exception that nobody foresaw is a failed step: the other branch contains all the same."""

        def odd(operation: str, params: Any) -> None:
            if params["Name"] == "a":
                raise KeyError("SecretAccessKey")

        lab.ground.before = odd

        document = lab.start(lab.playbook(BOTH))

        assert outcomes(document) == {"bad": "failed", "good": "applied"}
        assert document["steps"][0]["error"]["code"] == "internal-error"

    def test_the_lease_is_held_while_a_thread_acts(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """A driver that failed gives the run back only when no call of it is on its way."""
        lease = created(lab, lab.playbook(BOTH))
        acting, failed, released = threading.Event(), threading.Event(), threading.Event()
        during: list[bool] = []
        append, release = lab.store.append, lab.store.release

        def breaks(held: Lease, drafts: Any, change: Any = None) -> Any:
            if any(draft.path == "bad" and draft.kind == kinds.OUTCOME for draft in drafts):
                failed.set()
                raise JournalUnavailable("disk full")
            return append(held, drafts, change)

        def slow(operation: str, params: Any) -> None:
            if operation == "lab:PutValue" and params["Name"] == "a":
                acting.wait(5)
            if operation == "lab:PutValue" and params["Name"] == "b":
                acting.set()
                failed.wait(5)
                during.append(released.wait(0.3))

        def gives_back(held: Lease) -> None:
            released.set()
            release(held)

        unlocked(lab, monkeypatch, slow)
        monkeypatch.setattr(lab.store, "append", breaks)
        monkeypatch.setattr(lab.store, "release", gives_back)

        with pytest.raises(JournalUnavailable):
            lab.runner.drive(lease)
        assert during == [False]

    def test_nothing_is_sent_under_a_lost_lease(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """A step that waited while this machine slept proves its lease before it sends anything."""
        monkeypatch.setattr(EmbeddedEngine, "_renew", lambda _: None)  # it comes too late
        lab.ground.slow.add("a")
        lease = created(lab, lab.playbook(ONE))

        wait = lab.clock.wait

        def sleep(event: threading.Event, timeout_s: float) -> bool:
            if lab.ground.slow and kinds.INTENT in kinds_of(lab, lease.run_id):
                lab.ground.slow.clear()
                lab.clock.advance(40)
                assert lab.store.acquire(lease.run_id, "another", 30) is not None
            return wait(event, timeout_s)

        lab.clock.wait = sleep  # type: ignore[method-assign]

        with pytest.raises(LeaseLost):
            lab.runner.drive(lease)
        assert lab.writes() == []

    def test_a_clock_that_is_set_back_does_not_stop_renewal(self, lab: Lab) -> None:
        """Leases and requests are looked after even if the machine's clock goes back an hour."""
        lease = created(lab, lab.playbook(POLL))
        polls: list[str] = []

        def set_back(operation: str, params: Any) -> None:
            polls.append(operation)
            if len(polls) == 1:
                lab.clock.advance(-3600)
                lab.store.request(lease.run_id, "abort", {"by": {"id": "os:me"}, "reason": "x"})

        lab.ground.before = set_back

        assert lab.runner.drive(lease)["status"] == "aborted"

    def test_a_run_that_cannot_be_read_is_given_back(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """A journal that cannot be read leaves no lease behind."""
        lease = created(lab, lab.playbook(ONE))

        def unreadable(run_id: str, after_seq: int = -1) -> Any:
            raise JournalUnavailable("disk")

        with monkeypatch.context() as patch:
            patch.setattr(lab.store, "records", unreadable)
            with pytest.raises(JournalUnavailable):
                lab.runner.drive(lease)

        assert lab.store.run(lease.run_id).owner is None


class TestLocks:
    def test_two_runs_never_wait_for_each_other(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run that waits for a resource gives its own back: two runs in opposite order both end."""
        there = """
  - {id: one, uses: lab.value.set-value, with: {name: a, value: "1"}}
  - {id: two, uses: lab.value.set-value, with: {name: b, value: "1"}}
"""
        back = there.replace("name: a", "name: x").replace("name: b", "name: a").replace("name: x", "name: b")
        first, second = (created(lab, lab.playbook(steps)) for steps in (there, back))
        met, begun = threading.Barrier(2, timeout=5), set[str]()

        def meet(operation: str, params: Any) -> None:
            if operation == "lab:PutValue" and params["Name"] not in begun and len(begun) < 2:
                begun.add(params["Name"])
                met.wait()

        unlocked(lab, monkeypatch, meet)
        started = lab.clock.now()
        engine = lab.runner.engine()
        engine.drive(engine.adopt(first), engine.adopt(second))
        engine.close()

        assert {str(lab.store.run(lease.run_id).status) for lease in (first, second)} == {"succeeded"}
        assert lab.clock.now() < started + timedelta(minutes=2)

    def test_the_locks_of_a_dead_process_hold_nobody_up(self, lab: Lab) -> None:
        """A run whose lease has expired does not keep another from containing the same resource."""
        dead = created(lab, lab.playbook(ONE))
        assert lab.store.lock(dead, ["a"]) is None
        alive = created(lab, lab.playbook(ONE))
        assert lab.store.lock(alive, ["a"]) == dead.run_id

        lab.clock.advance(31)
        taken = lab.store.acquire(alive.run_id, "again", 30)

        assert taken is not None
        assert lab.store.lock(taken, ["a"]) is None
