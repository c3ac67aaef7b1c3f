"""The edge of the program: help, usage errors, interruptions, defects, completion, --version."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from irrunner import __version__
from irrunner.cli import app, runs
from tests.cli.conftest import Desk

COMMANDS = (
    "respond", "run", "plan", "runs", "show", "watch", "timeline", "approve", "deny", "abort", "undo",
    "resume", "validate", "test", "playbooks", "actions", "explain", "schema", "compile", "demo",
    "gameday world serve",
)  # fmt: skip
WITHOUT_JSON = {"demo", "gameday world serve"}


def program(*words: str, env: dict[str, str] | None = None, stdin: int = subprocess.DEVNULL) -> Any:
    """Run the command line as a process."""
    command = [sys.executable, "-W", "error", "-m", "irrunner", *words]
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("_IRRUNNER", "_TYPER"))
    }
    return subprocess.run(
        command, capture_output=True, text=True, env=clean | (env or {}), stdin=stdin, timeout=60, check=False
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` of each command says what it does, shows an example, and names `--json` where it has it."""
    code = app.run([*command.split(), "--help"])

    printed = capsys.readouterr().out
    assert code == 0
    assert f"Usage: irrunner {command}" in printed
    assert f"Example: irrunner {command.split(maxsplit=1)[0]}" in printed
    assert "\x1b" not in printed
    assert "╭" not in printed
    assert command in WITHOUT_JSON or "--json" in printed


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` names every command; alone, the program shows the same and ends with 2."""
    app.run(["--help"])
    listed = capsys.readouterr().out
    code = app.run([])
    alone = capsys.readouterr()

    assert all(f"  {command.split()[0]} " in listed for command in COMMANDS)
    assert code == 2
    assert "Usage: irrunner" in alone.err + alone.out


@pytest.mark.parametrize(("words", "told"), [
    (["shw"], "Did you mean 'show'?"),
    (["respond", "--evnt", "x"], "No such option: --evnt"),
    (["approve"], "Missing argument 'RUN'"),
    (["compile", "x", "--to", "gif"], "'gif'"),
    (["gameday", "wrld"], "Did you mean 'world'?"),
])  # fmt: skip
def test_a_usage_error_is_one_error(desk: Desk, words: list[str], told: str) -> None:
    """A wrong word ends with 2, one coded error, the usage, and the help to ask for; no traceback."""
    done = desk.run(*words)

    lines = done.err.splitlines()
    assert done.code == 2
    assert lines[0].startswith("Usage: irrunner")
    assert lines[1].startswith("error: invalid-argument: ")
    assert told in done.err
    assert lines[-1].endswith("--help")
    assert "Traceback" not in done.err
    assert desk.run(*words, "--json").json["error"]["code"] == "invalid-argument"


class TestInterruption:
    def test_it_says_how_to_go_on(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ctrl-C ends with 130 and names the command that resumes this very run."""

        def interrupted(event: Any, timeout_s: float) -> bool:
            raise KeyboardInterrupt

        desk.lab.ground.slow.add("a")
        monkeypatch.setattr(desk.lab.clock, "wait", interrupted)
        done = desk.run("respond", "--event", desk.event, "--json")
        parked = desk.run("runs", "--json").json[0]["run_id"]

        assert done.code == 130
        assert done.json["error"]["code"] == "interrupted"
        assert done.json["error"]["detail"] == {"run_id": parked}
        assert f"irrunner resume {parked}" in done.err

    def test_before_a_run_there_is_nothing_to_resume(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Interrupted before a run was started, the program says that nothing was."""

        def interrupted(_: str) -> bytes:
            raise KeyboardInterrupt

        monkeypatch.setattr(runs, "read_bytes", interrupted)

        done = desk.run("respond", "--event", desk.event)

        assert done.code == 130
        assert "no run was started" in done.err


class TestDefects:
    def test_a_defect_is_told_as_one(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        """An exception nobody foresaw ends with 3 and a coded line that says where; a trace on request."""

        def broken(_: str) -> bytes:
            raise ZeroDivisionError("by\x1b[31m zero")

        monkeypatch.setattr(runs, "read_bytes", broken)
        done = desk.run("respond", "--event", desk.event, "--json")
        monkeypatch.setenv("IRRUNNER_TRACE", "1")
        traced = desk.run("respond", "--event", desk.event)

        assert (done.code, done.json["error"]["code"]) == (3, "internal-error")
        assert "error: internal-error: ZeroDivisionError: by\ufffd[31m zero (test_app.py:" in done.err
        assert "Traceback" not in done.err
        assert "Traceback" in traced.err


class TestProcess:
    def test_version(self) -> None:
        """`--version` prints name and version."""
        done = program("--version")

        assert (done.returncode, done.stdout) == (0, f"irrunner {__version__}\n")

    def test_a_terminal_without_the_letters(self, tmp_path: Path) -> None:
        """A terminal that cannot show a character shows a question mark, not a traceback."""
        playbook = tmp_path / "x.yaml"
        playbook.write_text("schema: irrunner/v1\nid: ünïcode\n", encoding="utf-8")

        done = program("validate", str(playbook), env={"PYTHONIOENCODING": "ascii"})

        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert "x.yaml:2:" in done.stdout

    def test_nothing_prompts(self, tmp_path: Path) -> None:
        """With standard input closed to questions, commands that lack something end at once."""
        env = {"IRRUNNER_STORE": str(tmp_path / "store.db"), "AWS_EC2_METADATA_DISABLED": "true"}

        done = program("approve", "x", env=env)

        assert (done.returncode, done.stdout) == (2, "")
        assert "error: run-not-found" in done.stderr

    @pytest.mark.parametrize(("shell", "env"), [
        ("bash", {"COMP_WORDS": "irrunner re", "COMP_CWORD": "1"}),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "irrunner re"}),
        ("fish", {"_TYPER_COMPLETE_ARGS": "irrunner re", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}),
    ])  # fmt: skip
    def test_shells_complete(self, shell: str, env: dict[str, str]) -> None:
        """bash, zsh and fish are offered the commands that begin so, and a script to install."""
        offered = program(env=env | {"_IRRUNNER_COMPLETE": f"complete_{shell}"})
        script = program(env={"_IRRUNNER_COMPLETE": f"source_{shell}"})

        assert "respond" in offered.stdout
        assert "resume" in offered.stdout
        assert "validate" not in offered.stdout
        assert f"complete_{shell}" in script.stdout

    def test_json_of_a_usage_error_is_one_document(self) -> None:
        """As a process, too, a usage error with --json is one document on standard output."""
        done = program("show", "--json")

        assert done.returncode == 2
        assert json.loads(done.stdout)["error"]["code"] == "invalid-argument"
