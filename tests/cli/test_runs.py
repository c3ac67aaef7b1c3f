"""Commands about runs: their exit codes, their JSON, and what a person is told to do next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from irrunner.journal.store import ChainReport
from tests.cli.conftest import Desk

STEP_KEYS = {"id", "phase", "action", "outcome", "verified", "attempts", "started_at", "ended_at", "error"}
RUN_KEYS = {
    "run_id", "incident_id", "playbook", "status", "started_at", "ended_at", "steps", "objectives", "journal",
}  # fmt: skip
OUTCOMES = {
    "applied", "already_done", "unknown", "refused", "failed", "skipped", "denied", "waiting", "running",
}  # fmt: skip


def check_run(document: dict[str, Any]) -> None:
    """Check the shape that the contract promises for a run."""
    assert document.keys() >= RUN_KEYS
    assert document["playbook"].keys() == {"id", "version", "sha256"}
    assert document["journal"].keys() == {"records", "head_sha256"}
    for objective in document["objectives"].values():
        assert objective.keys() == {"target_s", "actual_s", "met"}
    for step in document["steps"]:
        assert step.keys() >= STEP_KEYS
        assert step["outcome"] in OUTCOMES


class TestJson:
    def test_a_run_has_the_documented_shape(self, desk: Desk) -> None:
        """`respond`, `show`, `approve` and `run` print one document of the contract's shape."""
        waiting = desk.respond()
        run_id = waiting["run_id"]
        shown = desk.run("show", run_id, "--json").json
        approved = desk.run("approve", run_id, "--json").json
        ran = desk.run("run", "lab-response", "--json").json

        for document in (waiting, shown, approved, ran):
            check_run(document)
        assert shown["steps"] == waiting["steps"]
        assert (approved["status"], ran["status"]) == ("succeeded", "waiting")

    def test_the_contracts_times_are_of_one_form(self, desk: Desk) -> None:
        """A step's times are ISO instants in UTC that end in Z."""
        step = desk.respond()["steps"][0]

        assert step["started_at"].endswith("Z")
        assert step["ended_at"].endswith("Z")

    def test_nobody_answers_an_event(self, desk: Desk) -> None:
        """An event without playbook keeps the shape, with status no_playbook and exit code 3."""
        event = desk.write_event("other.json", type="Recon:EC2/PortProbeUnprotectedPort")

        done = desk.run("respond", "--event", event, "--json")

        assert done.json.keys() >= RUN_KEYS
        assert (done.code, done.json["status"], done.json["run_id"]) == (3, "no_playbook", None)

    def test_lists_and_plans(self, desk: Desk) -> None:
        """`runs`, `plan`, `playbooks` and `actions` print one document each."""
        desk.respond()

        assert [row["status"] for row in desk.run("runs", "--json").json] == ["waiting"]
        plan = desk.run("plan", "lab-response", "--json").json
        assert [call["step"] for call in plan["calls"]] == ["two", "three"]
        assert plan["calls"][0].keys() >= {
            "operation", "target", "before", "after", "reversible", "permission",
        }  # fmt: skip
        assert [entry["id"] for entry in desk.run("playbooks", "--json").json] == ["lab-response"]
        assert len(desk.run("actions", "--json").json) == len(desk.lab.registry)

    def test_records_are_json_lines(self, desk: Desk) -> None:
        """`timeline` and `watch` print one record a line."""
        run_id = desk.respond()["run_id"]

        for command in ("timeline", "watch"):
            records = [json.loads(line) for line in desk.run(command, run_id, "--json").out.splitlines()]
            assert [record["seq"] for record in records] == list(range(len(records)))
            assert records[0]["kind"] == "run_started"

    def test_dry_run_stops_at_the_plan(self, desk: Desk) -> None:
        """`respond --dry-run` prints the plan, starts no run and sends nothing."""
        done = desk.run("respond", "--event", desk.event, "--dry-run", "--json")

        assert (done.code, done.json["status"]) == (0, "planned")
        assert desk.lab.writes() == []
        assert desk.run("runs", "--json").json == []


class TestDecisions:
    def test_one_open_gate_needs_no_name(self, desk: Desk) -> None:
        """`approve RUN` takes the only open gate, by a beginning of the id."""
        run_id = desk.respond()["run_id"]

        done = desk.run("approve", run_id[:13], "--json")

        assert (done.code, done.json["status"]) == (0, "succeeded")
        assert desk.lab.writes() == [("a", "1"), ("b", "2"), ("c", "3")]

    def test_denied_steps_are_skipped(self, desk: Desk) -> None:
        """`deny` lets the run go on without the steps behind the gate."""
        run_id = desk.respond()["run_id"]

        done = desk.run("deny", run_id, "ask", "--reason", "not today", "--json")

        assert (done.code, done.json["status"]) == (0, "succeeded")
        assert ("b", "2") not in desk.lab.writes()

    def test_an_abort_was_asked_for(self, desk: Desk) -> None:
        """`abort` ends with 0 when the run was aborted: that is what was asked."""
        done = desk.run("abort", desk.respond()["run_id"], "--reason", "false positive", "--json")

        assert (done.code, done.json["status"]) == (0, "aborted")

    def test_undo_puts_back(self, desk: Desk) -> None:
        """`undo` ends with 0 when all is as before, and names the run that it undid."""
        desk.lab.ground.values["a"] = "before"
        run_id = desk.respond()["run_id"]

        done = desk.run("undo", run_id, "--json")

        assert (done.code, done.json["undoes"]) == (0, run_id)
        assert desk.lab.ground.values["a"] == "before"

    def test_undo_leaves_drift_alone(self, desk: Desk) -> None:
        """`undo` ends with 1 where somebody changed the value since, and says what it found."""
        run_id = desk.respond()["run_id"]
        desk.lab.ground.values["a"] = "theirs"

        done = desk.run("undo", run_id)

        assert done.code == 1
        assert "Not put back" in done.out
        assert "theirs" in done.out
        assert f"irrunner undo {run_id[:13]}" in done.out
        assert desk.lab.ground.values["a"] == "theirs"

    def test_the_same_event_shows_the_run(self, desk: Desk) -> None:
        """A known event starts nothing, and ends as its run stands."""
        run_id = desk.respond()["run_id"]

        done = desk.run("respond", "--event", desk.event, "--json")

        assert (done.code, done.json["run_id"], done.json["duplicate"]) == (5, run_id, True)

    def test_due_runs(self, desk: Desk) -> None:
        """`resume --due` takes up what is due, and without any ends with 0."""
        desk.respond()
        nothing = desk.run("resume", "--due", "--json")
        desk.lab.clock.advance(31 * 60)

        done = desk.run("resume", "--due", "--json")

        assert (nothing.code, nothing.json) == (0, [])
        assert [document["status"] for document in done.json] == ["succeeded"]

    def test_a_broken_run_holds_no_due_run_up(self, desk: Desk) -> None:
        """`resume --due` takes up every run it can, and then ends with what is wrong with the others."""
        good = desk.run("run", "lab-response", "--json").json["run_id"]
        bad = desk.run("run", "lab-response", "--json").json["run_id"]
        with desk.lab.store._engine.begin() as connection:
            connection.exec_driver_sql("DROP TRIGGER IF EXISTS records_no_update")
            connection.exec_driver_sql("UPDATE records SET body = '{}' WHERE seq = 1 AND run_id = ?", (bad,))
        desk.lab.clock.advance(31 * 60)

        done = desk.run("resume", "--due")

        assert done.code == 3
        assert f"error: journal-corrupt: run {bad}" in done.err
        assert desk.run("show", good, "--json").json["status"] == "succeeded"


class TestPeople:
    def test_the_run_is_announced_at_once(self, desk: Desk) -> None:
        """The run's id and where it acts stand on the first line of standard error, with --json too."""
        done = desk.run("respond", "--event", desk.event, "--json")

        assert done.err.splitlines()[0] == f"run {done.json['run_id']}  [SIMULATED]"

    def test_what_waits_is_not_what_failed(self, desk: Desk) -> None:
        """An open gate stands under "Waiting for you" with message, effect, deadline and commands."""
        done = desk.run("respond", "--event", desk.event)
        run_id = desk.run("runs", "--json").json[0]["run_id"][:13]

        waiting = done.out.partition("Waiting for you")[2].partition("\n\n")[0]
        assert "Set b?" in waiting
        assert "1 call, 0 cannot be undone: set b" in waiting
        assert "until 00:30 UTC, in 30 min, then it is denied by itself" in waiting
        assert f"irrunner approve {run_id}\n" in waiting
        assert f'irrunner deny {run_id} --reason "..."' in waiting
        assert "Not done" not in done.out

    def test_contained_is_said_first(self, desk: Desk) -> None:
        """The summary says what is contained before anything else, and how to undo it at the end."""
        out = desk.run("respond", "--event", desk.event).out

        heads = ["WAITING", "Contained", "Waiting for you", "Time to verified", "What next", "irrunner undo"]
        places = [out.index(head) for head in heads]
        assert places == sorted(places)

    @pytest.mark.parametrize("words", [
        ("respond", "--event", "{event}"), ("show", "{run}"), ("plan", "lab-response"), ("runs",),
        ("timeline", "{run}"), ("watch", "{run}"), ("playbooks",), ("actions",),
        ("explain", "lab.value.set-value"), ("explain", "lab-response"),
    ])  # fmt: skip
    def test_pipes_get_plain_text(self, desk: Desk, words: tuple[str, ...]) -> None:
        """Without a terminal there is no escape sequence, and no line is padded."""
        names = {"event": desk.event, "run": desk.respond()["run_id"]}

        done = desk.run(*(word.format(**names) for word in words))

        assert "\x1b" not in done.out + done.err
        assert done.out.strip()

    def test_a_list_in_a_pipe_has_one_line_a_run(self, desk: Desk) -> None:
        """In a pipe `runs` shows whole ids and whole titles, each run on its line."""
        run_id = desk.respond()["run_id"]

        lines = desk.run("runs").out.splitlines()

        assert lines[0].split()[:3] == ["run", "status", "since"]
        assert lines[1].startswith(f"{run_id}  waiting")
        assert lines[1].endswith("Somebody reads a bucket")

    def test_a_timeline_names_its_day_once(self, desk: Desk) -> None:
        """The record of a run is one line a record, under the day."""
        document = desk.respond()

        lines = desk.run("timeline", document["run_id"]).out.splitlines()

        assert lines[0] == "2026-01-01 UTC"
        assert len(lines) == document["journal"]["records"] + 1

    def test_a_plan_says_what_changes(self, desk: Desk) -> None:
        """A plan shows operation, target, the value now and after, and what stands behind a gate."""
        desk.lab.ground.values["a"] = "0"

        out = desk.run("plan", "lab-response").out

        assert "lab:PutValue → a" in out
        assert "0 → 1" in out
        assert "after approval of ask" in out
        assert "3 calls, 0 of them cannot be undone" in out
        assert desk.lab.writes() == []


class TestErrors:
    @pytest.mark.parametrize(("words", "code", "exit_code"), [
        (("show", "none"), "run-not-found", 2),
        (("approve", "{run}", "nothing"), "approval-not-open", 2),
        (("approve", "{run}", "--plan", "0" * 64), "approval-stale", 2),
        (("resume",), "invalid-argument", 2),
        (("respond", "--event", "/none"), "invalid-argument", 2),
        (("respond", "--event", "{empty}"), "finding-malformed", 2),
        (("run", "lab-respons"), "unknown-playbook", 2),
        (("run", "lab-response", "--input", "x"), "invalid-argument", 2),
        (("plan", "lab-response", "--input", "x=1"), "invalid-argument", 2),
        (("explain", "lab.value.set-valu"), "unknown-action", 2),
        (("undo", "none"), "run-not-found", 2),
        (("compile", "nope"), "unknown-playbook", 2),
        (("shw",), "invalid-argument", 2),
        (("show",), "invalid-argument", 2),
        (("runs", "--limit", "x"), "invalid-argument", 2),
        (("abort", "{run}"), "invalid-argument", 2),
    ])  # fmt: skip
    def test_each_error_has_a_code_and_a_next_command(
        self, desk: Desk, tmp_path: Path, words: tuple[str, ...], code: str, exit_code: int
    ) -> None:
        """An error is told on standard error with its code and a command; with --json as a document, too."""
        (tmp_path / "empty.json").write_bytes(b"")
        names = {"run": desk.respond()["run_id"], "empty": str(tmp_path / "empty.json")}

        done = desk.run(*(word.format(**names) for word in words))
        as_json = desk.run(*(word.format(**names) for word in words), "--json")

        assert (done.code, as_json.code) == (exit_code, exit_code)
        assert f"error: {code}: " in done.err
        assert "irrunner " in done.err.partition("error: ")[2]
        assert done.out == ""
        error = as_json.json["error"]
        assert error.keys() >= {"code", "message", "hint", "exit_code", "detail"}
        assert (error["code"], error["exit_code"]) == (code, exit_code)

    def test_a_failed_run_says_what_to_do(self, desk: Desk) -> None:
        """A run that failed ends with 1, names the step and its error, and prints the next commands."""
        (desk.folder / "playbooks" / "bad.yaml").write_text(
            "schema: irrunner/v1\nid: bad\nversion: 1.0.0\ntitle: Bad\nowner: tests\n"
            "inputs: {text: {type: string, default: x}}\nsteps:\n"
            '  - {id: one, when: "${{ int(inputs.text) > 1 }}", uses: lab.value.read-value,\n'
            "     with: {name: a}}\n"
        )

        done = desk.run("run", "bad")

        assert done.code == 1
        assert "Not done" in done.out
        assert "expression-failed" in done.out
        assert "irrunner respond --event FILE --again" in done.out
        assert "irrunner timeline " in done.out

    def test_another_process_drives_it(self, desk: Desk) -> None:
        """A run that somebody drives is not taken from them: the command to follow it is named."""
        run_id = desk.respond()["run_id"]
        desk.lab.store.acquire(run_id, "somebody", 60)

        done = desk.run("resume", run_id)

        assert done.code == 3
        assert f"irrunner watch {run_id}" in done.err

    def test_a_broken_chain_is_told_after_the_record(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`timeline` prints what there is, and ends with 3 where the chain does not verify."""
        run_id = desk.respond()["run_id"]
        monkeypatch.setattr(
            desk.lab.store, "verify", lambda _: ChainReport(ok=False, records=3, broken_at=2, problem="cut")
        )

        done = desk.run("timeline", run_id)

        assert done.code == 3
        assert "run_started" in done.out
        assert "error: journal-corrupt: " in done.err
