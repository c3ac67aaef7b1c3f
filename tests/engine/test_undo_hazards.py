"""What may come between a run and its undo."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from irrunner.engine import loaded as kinds
from irrunner.errors import (
    ActionDenied,
    JournalUnavailable,
    ServiceUnavailable,
)
from irrunner.journal.store import Lease
from irrunner.vocabulary import RunStatus
from tests.engine.hazards import (
    BOTH,
    ONE,
    created,
)
from tests.engine.lab import Lab, outcomes


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
