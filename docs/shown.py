# ruff: noqa: INP001 - a script, not a package
"""Fill the outputs that the pages show, and the picture of the demo, from real runs in the simulation.

A page marks a block with ``<!-- shown: NAME -->``, or ``<!-- shown: NAME 20 -->`` for its first 20 lines. Run
ids, hashes and times change with each run, so ``make check`` does not compare them.
"""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

DOCS = Path(__file__).parent
ROOT = DOCS.parent
EVENT = "docs/tutorial/finding.json"
MARK = re.compile(r"(<!-- shown: (\S+)(?: (\d+))? -->\n\n?)```console\n.*?^```", re.MULTILINE | re.DOTALL)
FONT = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
YAML_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
SCENE = re.compile(r"^(?=\x1b\[1;36m\d)", re.MULTILINE)
PICTURED = (1, 3, 6, 7, 8)
"""Scenes of the demo that the picture shows: finding, response, the cloud after it, undo, the cloud again."""
CONTROL = re.compile(r"(\n|\r|\x1b\[1A|\x1b\[2K|\x1b\[\?25[lh])")
UP, ERASE, CURSOR = "\x1b[1A", "\x1b[2K", "\x1b[?25"
SCREEN = {
    "COLUMNS": "110",
    "LINES": "100",
    "TERM": "xterm-256color",
    "COLORTERM": "truecolor",
    "LOGNAME": "alice",
}
"""The environment of what is shown: a terminal's size, and a name for the person at it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A command whose output pages show; ``{run}`` is the newest run that is not an undo."""

    name: str
    command: str
    exit_code: int = 0


SESSION = (
    Shown("first-runs", "irrunner runs"),
    Shown("plan", f"irrunner respond --event {EVENT} --dry-run"),
    Shown("respond", f"irrunner respond --event {EVENT}", 5),
    Shown("runs", "irrunner runs"),
    Shown("again", f"irrunner respond --event {EVENT}", 5),
    Shown("approve", "irrunner approve {run}"),
    Shown("show", "irrunner show {run}"),
    Shown("timeline", "irrunner timeline {run}"),
    Shown("undo", "irrunner undo {run}", 5),
    Shown("validate", "irrunner validate protect-first.yaml"),
    Shown("validate-broken", "irrunner validate broken.yaml", 2),
    Shown("compile", "irrunner compile protect-first.yaml --to mermaid"),
    Shown("plan-first", f"irrunner plan protect-first.yaml --event {EVENT}"),
    Shown("run-first", f"irrunner run protect-first.yaml --event {EVENT}", 5),
    Shown("deny-first", "irrunner deny {run} --reason 'the owner has stopped it'"),
    Shown("test-first", "irrunner test tested/protect-first.yaml"),
)


@contextmanager
def world() -> Iterator[dict[str, str]]:
    """Serve the organisation that the tutorial's finding speaks of; yield its environment."""
    command = ["irrunner", "gameday", "world", "serve", "--seed", "7", "--from-event", EVENT]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert server.stdout is not None  # noqa: S101 - asked for above
        yield json.loads(server.stdout.readline())["env"]
    finally:
        server.terminate()
        server.wait(timeout=30)


def play(environment: Mapping[str, str], directory: Path) -> dict[str, str]:
    """Run the session, and return name to what a terminal would show.

    Raises:
        SystemExit: If a command ends with another exit code than expected.
    """
    outputs = {}
    for shown in SESSION:
        command = shown.command.replace("{run}", _newest_run(environment))
        words = [str(directory / word) if word.endswith("first.yaml") or word == "broken.yaml" else word
                 for word in shlex.split(command)]  # fmt: skip
        done = _run(words, environment)
        text = done.stdout.replace(f"{directory}/", "").replace("tested/", "")
        if done.returncode != shown.exit_code:
            sys.exit(f"{command}: exit {done.returncode}, not {shown.exit_code}\n{text}")
        outputs[shown.name] = f"$ {command.replace('tested/', '')}\n{text}"
    return outputs


def _run(words: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, env=os.environ | environment | SCREEN, cwd=ROOT, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def _newest_run(environment: Mapping[str, str]) -> str:
    listed = subprocess.run(
        ["irrunner", "runs", "--all", "--json"],  # noqa: S607 - the venv's
        env=os.environ | environment, text=True, check=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    ids = [row["run_id"] for row in json.loads(listed.stdout) if not row.get("undoes")]
    return max(ids, default="")


def fill(outputs: Mapping[str, str]) -> None:
    """Put the outputs into the marked blocks of all pages.

    Raises:
        SystemExit: If a page marks a block of an unknown name.
    """

    def block(found: re.Match[str]) -> str:
        head, name, limit = found.groups()
        if name not in outputs:
            sys.exit(f"no output is called {name}")
        lines = [line.rstrip() for line in outputs[name].strip("\n").splitlines()]
        if limit and len(lines) > int(limit):
            lines = [*lines[: int(limit)], "..."]
        return head + "\n".join(["```console", *lines, "```"])

    for path in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        text = path.read_text(encoding="utf-8")
        filled = MARK.sub(block, text)
        if filled != text:
            path.write_text(filled, encoding="utf-8")


def on_terminal(command: list[str]) -> str:
    """Run a command on a terminal, and return what it left there, with its colours.

    Raises:
        SystemExit: If the command fails.
    """
    chunks: list[bytes] = []

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 65536)
        chunks.append(data)
        return data

    os.environ.update(SCREEN)
    if pty.spawn(command, read) != 0:
        sys.exit(f"{' '.join(command)} failed")
    return settled(b"".join(chunks).decode(errors="replace"))


def settled(text: str) -> str:
    """Return the lines that stay when the cursor has gone up and lines were erased and written again."""
    lines, row = [""], 0
    for part in CONTROL.split(text):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part == UP:
            row = max(0, row - 1)
        elif part == ERASE:
            lines[row] = ""
        elif part != "\r" and not part.startswith(CURSOR):
            lines[row] += part
    return "\n".join(lines)


def picture(text: str, title: str) -> str:
    """Return coloured text as a picture of a terminal."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=int(SCREEN["COLUMNS"]), file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(text))
        return FONT.sub("", console.export_svg(title=title, unique_id="demo")) + "\n"


def tutorial_playbooks(directory: Path) -> None:
    """Write the tutorial's playbook: whole, broken, and with its tests."""
    page = (DOCS / "tutorial/first-playbook.md").read_text(encoding="utf-8")
    playbook, tests = YAML_BLOCK.findall(page)
    broken = playbook.replace("steps.facts.instance_type", "steps.facts.instance_typ")
    broken = broken.replace("aws.ec2.protect-instance", "aws.ec2.protect-instanc")
    (directory / "tested").mkdir()
    (directory / "protect-first.yaml").write_text(playbook, encoding="utf-8")
    (directory / "broken.yaml").write_text(broken, encoding="utf-8")
    (directory / "tested/protect-first.yaml").write_text(playbook + tests, encoding="utf-8")


def main() -> None:
    """Renew everything that is shown."""
    demo = on_terminal(["irrunner", "demo"])
    scenes = SCENE.split(demo)
    svg = picture("".join(scenes[number] for number in PICTURED), "irrunner demo")
    with tempfile.TemporaryDirectory() as name, world() as environment:
        tutorial_playbooks(Path(name))
        outputs = play(environment, Path(name))
    fill(outputs | {"demo": f"$ irrunner demo\n{Text.from_ansi(demo).plain}"})
    (DOCS / "images/demo.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
