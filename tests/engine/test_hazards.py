"""What races, crashes and faults of our own may not do to a run."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from irrunner.engine import loaded as kinds
from irrunner.engine.embedded import EmbeddedEngine
from irrunner.errors import (
    ActionDenied,
    ApproverNotAllowed,
    JournalUnavailable,
    LeaseLost,
    ServiceUnavailable,
)
from irrunner.journal.store import Lease
from irrunner.playbook.model import Playbook
from irrunner.settings import Settings
from irrunner.vocabulary import RunStatus
from tests.engine.lab import Fault, Lab, outcomes

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
POLL = """
  - id: until
    wait:
      {until: "${{ poll.value == 'go' }}", uses: lab.value.read-value, with: {name: a}, every: 30s, timeout: 5m}
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

        def slowly(self: EmbeddedEngine, driver: Any, work: Any) -> None:
            submit(self, driver, lambda: (threading.Event().wait(0.05), work())[1])

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


class TestDecisions:
    def test_a_stale_plan_after_escalation_is_asked_anew(self, lab: Lab) -> None:
        """A gate that was escalated shows its new plan when the old one went stale, and can be passed."""
        run_id = lab.start(lab.playbook(GATED))["run_id"]
        lab.clock.advance(901)
        lab.runner.resume_due()
        lab.ground.values["b"] = "changed by somebody"

        document = lab.runner.approve(run_id, None)

        assert document["status"] == "waiting"
        assert document["gates"][0]["approvers"] == ["lead", "boss"]
        assert lab.runner.approve(run_id, None)["status"] == "succeeded"

    def test_an_escalation_survives_a_crash(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where a process dies between the timer and the telling, resume tells."""
        run_id = lab.start(lab.playbook(GATED))["run_id"]
        lab.clock.advance(901)
        append = lab.store.append

        def dies(lease: Lease, drafts: Any, change: Any = None) -> Any:
            if any(draft.kind == kinds.ESCALATED for draft in drafts):
                raise JournalUnavailable("died")
            return append(lease, drafts, change)

        with monkeypatch.context() as patch:
            patch.setattr(lab.store, "append", dies)
            with pytest.raises(JournalUnavailable):
                lab.runner.resume_due()

        document = lab.runner.resume(run_id)

        assert document["gates"][0]["approvers"] == ["lead", "boss"]

    def test_a_second_approval_does_not_reopen_the_gate(self, lab: Lab) -> None:
        """Two people approve at once: the second finds the gate passed, whatever the first has begun."""
        run_id = lab.start(lab.playbook(GATED))["run_id"]
        body = {"path": "ask", "by": {"id": "os:one"}, "plan_sha256": ""}
        lab.store.request(run_id, "approve", body)

        def again(operation: str, params: Any) -> None:
            if operation == "lab:PutValue":
                lab.store.request(run_id, "approve", {**body, "by": {"id": "os:two"}})
                lab.clock.advance(1)
                wait_until_settled(lab, run_id)

        lab.ground.before = again

        document = lab.runner.resume(run_id)

        assert document["status"] == "succeeded"
        assert "approval_stale" not in kinds_of(lab, run_id)
        assert lab.writes() == [("b", "2")]

    def test_one_person_may_deny_what_needs_two(self, lab: Lab) -> None:
        """Two people must agree to act; one is enough to say no."""
        steps = GATED.replace("within: 30m", "within: 30m, minimum: 2")
        run_id = lab.start(lab.playbook(steps))["run_id"]
        with pytest.raises(ApproverNotAllowed):
            lab.runner.approve(run_id, None)

        assert outcomes(lab.runner.deny(run_id, None, "no")) == {"ask": "denied"}

    def test_an_instruction_is_confirmed_by_its_group(self, tmp_path: Path) -> None:
        """A configured group decides who may confirm a manual step, as it does for gates."""
        lab = Lab(tmp_path, Settings(approvers={"network": ("os:somebody-else",)}))
        steps = '\n  - {id: pull, manual: {instruction: "Pull the plug", by: [network], within: 1h}}\n'
        run_id = lab.start(lab.playbook(steps))["run_id"]

        with pytest.raises(ApproverNotAllowed):
            lab.runner.approve(run_id, None)
        lab.store.close()

    def test_a_manual_step_is_confirmed_once_asked_once(self, lab: Lab) -> None:
        """Taking a run up again does not ask for the same thing again."""
        steps = '\n  - {id: pull, manual: {instruction: "Pull the plug", by: [network], within: 1h}}\n'
        run_id = lab.start(lab.playbook(steps))["run_id"]
        lab.runner.resume(run_id)

        document = lab.runner.approve(run_id, None)

        assert document["status"] == "succeeded"
        assert kinds_of(lab, run_id).count("manual_asked") == 1

    def test_an_instruction_that_cannot_be_written_fails_its_step(self, lab: Lab) -> None:
        """An expression that fails in an instruction fails the step; the run does not hang on it."""
        steps = """
  - {id: read, uses: lab.value.read-value, with: {name: a}}
  - {id: pull, manual: {instruction: "Pull ${{ int(steps.read.value) }}", by: [network], within: 1h}}
"""
        document = lab.start(lab.playbook(steps))

        assert document["status"] == "failed"
        assert outcomes(document)["pull"] == "failed"

    def test_a_plan_that_names_its_instant_does_not_go_stale_by_waiting(self, lab: Lab) -> None:
        """The plan is made again as of the instant at which it was shown: time alone is no difference."""
        steps = GATED.replace('set-value, with: {name: b, value: "2"}', "stamp-value, with: {name: b}")
        run_id = lab.start(lab.playbook(steps))["run_id"]
        lab.clock.advance(600)

        assert lab.runner.approve(run_id, None)["status"] == "succeeded"


class TestLimits:
    STEPS = """
  - id: each
    for_each: [a, b, c, d]
    as: name
    at_most: 1
    uses: lab.value.set-value
    with: {name: "${{ name }}", value: "x"}
"""

    def test_no_more_resources_than_the_playbook_allows(self, lab: Lab) -> None:
        """A run refuses to change one resource more than its playbook's limit."""
        document = lab.start(lab.playbook(self.STEPS, limits="{resources: 3}"))

        assert document["steps"][3]["error"]["code"] == "limit-reached"
        assert lab.writes() == [("a", "x"), ("b", "x"), ("c", "x")]

    def test_the_configuration_bounds_every_playbook(self, tmp_path: Path) -> None:
        """What the configuration allows is the most, after a resume too."""
        lab = Lab(tmp_path, Settings.model_validate({"limits": {"resources": 1}}))
        steps = ONE + GATED
        run_id = lab.start(lab.playbook(steps))["run_id"]

        document = lab.new_runner().approve(run_id, None)

        assert outcomes(document)["two"] == "refused"
        assert lab.writes() == [("a", "1")]
        lab.store.close()


class TestFullDisk:
    def test_a_full_disk_stops_the_run_and_loses_nothing(self, lab: Lab) -> None:
        """Where the store cannot grow nothing more is sent; with space again the run ends as it should."""
        steps = TestLimits.STEPS.replace("at_most: 1", "at_most: 2")
        lease = created(lab, lab.playbook(steps))

        def fill(operation: str, params: Any) -> None:
            if operation == "lab:PutValue" and params["Name"] == "b":
                pages(lab, 1)

        lab.ground.before = fill
        with pytest.raises(JournalUnavailable):
            lab.runner.drive(lease)
        lab.ground.before = None
        pages(lab, 1_000_000)
        if lab.store.run(lease.run_id).owner:
            lab.clock.advance(31)

        document = lab.new_runner().resume(lease.run_id)

        assert document["status"] == "succeeded"
        assert sorted(lab.writes()) == [(name, "x") for name in "abcd"]
        assert lab.store.verify(lease.run_id).ok


def pages(lab: Lab, most: int) -> None:
    """Bound the store's size; SQLite never takes less than it has."""
    with lab.store._write_lock:
        assert lab.store._writer is not None
        connection = lab.store._writer.connection.driver_connection
        assert connection is not None
        connection.execute(f"PRAGMA max_page_count = {most}")


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


class TestUndoHazards:
    def test_what_a_crash_may_have_left_is_listed(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """An effect that nobody could look up after a crash is shown to a person, not forgotten."""
        lease = created(lab, lab.playbook(ONE.replace("}}", "}, retry: {attempts: 1}}")))
        append = lab.store.append

        def dies(held: Lease, drafts: Any, change: Any = None) -> Any:
            if any(draft.kind == kinds.OUTCOME for draft in drafts):
                raise JournalUnavailable("died")
            return append(held, drafts, change)

        with monkeypatch.context() as patch:
            patch.setattr(lab.store, "append", dies)
            with pytest.raises(JournalUnavailable):
                lab.runner.drive(lease)

        def denied(operation: str, params: Any) -> None:
            raise ActionDenied("no more")

        lab.ground.before = denied
        assert lab.runner.resume(lease.run_id)["status"] == "failed"
        lab.ground.before = None

        document = lab.runner.undo(lease.run_id, None, release_credentials=False)

        assert outcomes(document) == {"one": "unknown"}
        assert document["exit_code"] == 1

    def test_undo_waits_for_a_run_that_acts(self, lab: Lab) -> None:
        """A resource that another run holds is not un-contained under its hands."""
        run_id = lab.start(lab.playbook(ONE))["run_id"]
        other = created(lab, lab.playbook(ONE))
        assert lab.store.lock(other, ["a"]) is None
        original = lab.clock.wait

        def keep_alive(event: threading.Event, timeout_s: float) -> bool:
            lab.store.renew(other, 30)
            return original(event, timeout_s)

        lab.clock.wait = keep_alive  # type: ignore[method-assign]

        document = lab.runner.undo(run_id, None, release_credentials=False)

        assert outcomes(document) == {"one": "failed"}
        assert other.run_id in document["steps"][0]["error"]["message"]
        assert lab.ground.values == {"a": "1"}

    def test_a_refusal_that_passes_is_tried_again(self, lab: Lab) -> None:
        """Undo sends again what AWS could not take just now."""
        lab.ground.values["a"] = "old"
        run_id = lab.start(lab.playbook(ONE))["run_id"]
        refusals = iter([True, True])

        def busy(operation: str, params: Any) -> None:
            if operation == "lab:PutValue" and next(refusals, False):
                raise ServiceUnavailable("503")

        lab.ground.before = busy

        document = lab.runner.undo(run_id, None, release_credentials=False)

        assert outcomes(document) == {"one": "applied"}
        assert lab.ground.values == {"a": "old"}

    def test_a_fault_in_one_item_does_not_stop_the_others(self, lab: Lab) -> None:
        """An exception that nobody foresaw fails the undo of its step only."""
        lab.ground.values |= {"a": "old a", "b": "old b"}
        run_id = lab.start(lab.playbook(BOTH))["run_id"]

        def odd(operation: str, params: Any) -> None:
            if params["Name"] == "b":
                raise KeyError("odd")

        lab.ground.before = odd

        document = lab.runner.undo(run_id, None, release_credentials=False)

        assert (document["status"], document["exit_code"]) == ("partial", 1)
        assert lab.ground.values["a"] == "old a"

    def test_an_interrupted_undo_can_be_aborted(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """An undo that nobody wants to go on with is ended by an abort."""
        run_id = lab.start(lab.playbook(ONE))["run_id"]

        def interrupt(operation: str, params: Any) -> None:
            raise KeyboardInterrupt

        lab.ground.before = interrupt
        with pytest.raises(KeyboardInterrupt):
            lab.runner.undo(run_id, None, release_credentials=False)
        (undo,) = lab.store.runs(open_only=True)

        assert lab.runner.abort(undo.run_id, "leave it")["status"] == "aborted"
        assert lab.store.run(undo.run_id).status is RunStatus.ABORTED
