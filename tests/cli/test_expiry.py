"""Expiring effects at the command line: who guards them, what remains, and what takes them off."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import PLAYBOOK, Desk

EXPIRING = PLAYBOOK.partition("  - id: ask")[0].replace('"1"}}', '"1"}, expires_after: 24h}')


@pytest.fixture
def blocking(desk: Desk) -> Desk:
    """A desk whose playbook blocks for a day."""
    (desk.folder / "playbooks" / "lab.yaml").write_text(EXPIRING)
    desk.lab.ground.values["a"] = "old"
    return desk


class TestGuard:
    @pytest.mark.parametrize("command", ["respond", "run"])
    def test_nothing_starts_without_a_server(self, blocking: Desk, command: str) -> None:
        """Exit code 3, the option is named, and nothing was changed or begun."""
        words = ("respond", "--event", blocking.event) if command == "respond" else ("run", "lab-response")
        done = blocking.run(*words)

        assert done.code == 3
        assert "--no-expiry-guard" in done.err
        assert "one (after 1d)" in done.err
        assert blocking.lab.writes() == []
        assert blocking.lab.store.runs() == []

    def test_looking_is_free(self, blocking: Desk) -> None:
        """A plan needs no guard."""
        planned = blocking.run("plan", "lab-response")
        assert planned.code == 0
        assert "comes off by itself after 1 d" in " ".join(planned.out.split())
        assert blocking.run("respond", "--event", blocking.event, "--dry-run").code == 0

    def test_a_known_event_is_shown(self, blocking: Desk) -> None:
        """The same event again starts nothing: there is nothing to guard."""
        blocking.run("respond", "--event", blocking.event, "--no-expiry-guard")

        assert blocking.run("respond", "--event", blocking.event).code == 0


def test_from_start_to_end(blocking: Desk) -> None:
    """The end of a run says until when; a day later `resume --due` takes it off, and `show` says so."""
    ended = blocking.run("run", "lab-response", "--no-expiry-guard")
    run_id = blocking.lab.store.runs()[0].run_id
    blocking.lab.clock.advance(3600)
    shown = blocking.run("show", run_id)
    blocking.lab.clock.advance(23 * 3600)
    due = blocking.run("resume", "--due")
    after = blocking.run("show", run_id, "--json").json

    assert ended.code == 0
    assert "Expires" in ended.out
    assert "irrunner resume --due" in ended.out
    assert "in 23 h" in " ".join(shown.out.split())
    assert due.code == 0
    assert blocking.lab.ground.values == {"a": "old"}
    (expiry,) = after["expiries"]
    assert (expiry["id"], expiry["state"]) == ("one", "taken_off")
    assert expiry["run_id"] in [row["run_id"] for row in blocking.run("runs", "--all", "--json").json]
    assert "expiry_set" in [
        json.loads(line)["kind"] for line in blocking.run("timeline", run_id, "--json").out.splitlines()
    ]


def test_what_could_not_be_taken_off(blocking: Desk) -> None:
    """Drift: exit code 1, and `show` of the run names the command that is left."""
    blocking.run("run", "lab-response", "--no-expiry-guard")
    run_id = blocking.lab.store.runs()[0].run_id
    blocking.lab.ground.values["a"] = "somebody's"
    blocking.lab.clock.advance(24 * 3600)

    assert blocking.run("resume", "--due").code == 1
    shown = " ".join(blocking.run("show", run_id).out.split())
    assert "NOT taken off" in shown
    assert f"irrunner undo {run_id[:13]} --step one" in shown
