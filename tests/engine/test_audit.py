"""What an audit found: a store that does not verify, a typo, a known run, polls, denials."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from irrunner.engine import reading
from irrunner.engine.report import exit_code
from irrunner.errors import InvalidArgument, JournalCorrupt
from irrunner.journal.integrity import intact_row
from tests.engine.lab import Lab

ONE = """
  - {id: one, uses: lab.value.set-value, with: {name: a, value: "1"}}
"""
UNTIL = """
  - id: ready
    wait:
      until: "${{ poll.value == 'green' }}"
      uses: lab.value.read-value
      with: {name: a}
      every: 1s
      timeout: 5s
    on_failure: continue
"""


def sql(lab: Lab, statement: str) -> None:
    """Change the store past the product."""
    with closing(sqlite3.connect(lab.path)) as connection, connection:
        connection.execute(statement)


class TestTamperedStore:
    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM records WHERE seq > 2",
            "UPDATE runs SET status = 'failed'",
            "UPDATE records SET body = '{}' WHERE seq = 1",
        ],
    )
    def test_nothing_is_shown_or_undone(self, lab: Lab, statement: str) -> None:
        """A run that does not verify is neither shown as if it did, nor undone."""
        lab.ground.values["a"] = "before"
        run_id = lab.start(lab.playbook(ONE))["run_id"]
        sql(lab, statement)

        with pytest.raises(JournalCorrupt):
            reading.document(lab.store, lab.runner.services.compiler, run_id)
        with pytest.raises(JournalCorrupt):
            lab.runner.undo(run_id, None, release_credentials=False)
        assert lab.ground.values["a"] == "1"

    def test_a_deleted_run_is_missed(self, lab: Lab) -> None:
        """A run that ended and was deleted is said to be deleted, not unknown."""
        run_id = lab.start(lab.playbook(ONE))["run_id"]
        sql(lab, "DELETE FROM records")
        sql(lab, "DELETE FROM runs")

        with pytest.raises(JournalCorrupt, match="deleted"):
            intact_row(lab.store, run_id)


def test_a_misspelt_step_is_no_undo(lab: Lab) -> None:
    """Undo of a step that changed nothing is refused by name, before a run of it is made."""
    lab.ground.values["a"] = "before"
    run_id = lab.start(lab.playbook(ONE))["run_id"]

    with pytest.raises(InvalidArgument, match="did you mean 'one'"):
        lab.runner.undo(run_id, "onw", release_credentials=False)
    assert len(lab.store.runs()) == 1


def test_a_wait_that_times_out_keeps_its_last_poll(lab: Lab) -> None:
    """The last poll and the count are journalled, also when the condition never held."""
    lab.ground.values["a"] = "red"

    document = lab.start(lab.playbook(UNTIL))

    polls = [record for record in lab.store.records(document["run_id"]) if record.kind == "poll_answered"]
    assert [record.body["outputs"] for record in polls] == [{"value": "red"}]
    assert polls[0].body["polls"] >= 4
    assert f"({polls[0].body['polls']} polls)" in document["steps"][0]["error"]["message"]


def test_times_are_of_one_form(lab: Lab) -> None:
    """Every time of a document is RFC 3339 in UTC with a Z."""
    document = lab.start(lab.playbook(ONE))

    assert document["started_at"].endswith("Z")
    assert document["ended_at"].endswith("Z")


def test_a_denial_is_no_failure_of_the_environment() -> None:
    """Without a forensic account the code is 3, whether the gate beside it was denied or approved."""
    error = {"code": "forensics-not-configured"}
    copy = {"error": error, "outcome": "refused", "calls": 0, "phase": "containment"}
    gate = {"error": {"code": "approval-denied"}, "outcome": "denied", "calls": 0, "phase": None}

    assert exit_code({"status": "partial", "undoes": None, "steps": [copy, gate]}) == 3
