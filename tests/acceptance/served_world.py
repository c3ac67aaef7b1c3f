"""A simulated organisation in another process, and the command line as a process."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance import forked
from tests.acceptance.forked import Twist

FORKS = multiprocessing.get_context("forkserver")
USUAL = Twist()
PROGRAM = (sys.executable, "-m", "irrunner")
TIME_SCALE = 50
"""World seconds per second: snapshots take 3 world seconds."""


@dataclass(frozen=True)
class Served:
    """A world that answers on loopback."""

    ready: Mapping[str, Any]
    directory: Path
    """Holds its configuration and the runner's store."""

    @property
    def env(self) -> dict[str, str]:
        """Return the environment of a caller."""
        return dict(self.ready["env"])

    @property
    def resources(self) -> Mapping[str, Any]:
        """Return the ids of what the event speaks of."""
        found: Mapping[str, Any] = self.ready["resources"]
        return found

    @property
    def store(self) -> Path:
        """Return the runner's store."""
        return self.directory / "irrunner.db"

    def state(self) -> dict[str, Any]:
        """Return the canonical state of the cloud."""
        state: dict[str, Any] = self._ask("GET", "/world/state")
        return state

    def calls(self, *, mutating: bool = False) -> list[dict[str, Any]]:
        """Return the API calls that the world received, in order."""
        calls: list[dict[str, Any]] = self._ask("GET", f"/world/calls?mutating={int(mutating)}")
        return calls

    def act(self, name: str, **details: Any) -> dict[str, Any]:
        """Let somebody else change the cloud, past the API."""
        done: dict[str, Any] = self._ask("POST", "/world/act", {"act": name, **details})
        return done

    def fault(self, operation: str, kind: str, **details: Any) -> None:
        """Put a fault in force."""
        self._ask("POST", "/world/faults", {"operation": operation, "kind": kind, **details})

    def clear_faults(self) -> None:
        """Take all faults away."""
        self._ask("DELETE", "/world/faults")

    def scale(self, factor: float) -> None:
        """Let the world's time run faster or slower."""
        self._ask("POST", "/world/clock", {"scale": factor})

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        url = f"{self.ready['endpoint_url']}{path}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
            return json.load(answer)


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Return the JSON document on stdout."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Started:
    """A process whose output goes to files."""

    process: BaseProcess
    directory: Path
    """Holds ``out`` and ``err``."""

    @property
    def out(self) -> str:
        """Return what it has printed so far."""
        return (self.directory / "out").read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        """Return what it has said on stderr so far."""
        return (self.directory / "err").read_text(encoding="utf-8")

    @property
    def ended(self) -> bool:
        """Return whether it has ended."""
        return self.process.exitcode is not None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it lives."""
        if self.process.pid is not None and not self.ended:
            os.kill(self.process.pid, number)

    def end(self, *, within_s: float = 120.0) -> Done:
        """Wait for the end."""
        self.process.join(within_s)
        assert self.process.exitcode is not None, f"it does not end: {self.out}{self.err}"
        return Done(self.process.exitcode, self.out, self.err)


def fork(arguments: Sequence[str], env: Mapping[str, str], directory: Path, twist: Twist = USUAL) -> Started:
    """Run a command line in a fork of a process that has imported everything: a second quicker."""
    FORKS.set_forkserver_preload(["tests.acceptance.forked"])
    output = Path(tempfile.mkdtemp(prefix="output-", dir=directory))
    for name in ("out", "err"):
        (output / name).touch()
    process = FORKS.Process(
        target=forked.run, args=(list(arguments), dict(env), str(directory), str(output), twist)
    )
    process.start()
    return Started(process, output)


@contextmanager
def serve(event: Path | None, directory: Path, *, seed: int = 1, scale: int = TIME_SCALE) -> Iterator[Served]:
    """Serve a world in another process while the block runs.

    Args:
        event: The world holds what this event speaks of; None: a web server and a user.
        directory: For its configuration and the runner's store.
        seed: Same seed, same ids.
        scale: World seconds per second.
    """
    directory.mkdir(parents=True, exist_ok=True)
    arguments = ["gameday", "world", "serve", "--seed", str(seed), "--directory", str(directory)]
    if event is not None:
        arguments += ["--from-event", str(event)]
    process = fork(arguments, dict(os.environ), directory.parent)
    try:
        eventually(lambda: process.out.endswith("\n") or process.ended, "the world is ready")
        assert process.out, process.err
        world = Served(json.loads(process.out), directory)
        world.scale(scale)
        yield world
    finally:
        process.signal(signal.SIGTERM)
        process.end()


@dataclass(frozen=True)
class CommandLine:
    """Runs ``irrunner`` in processes of its own, as a user of this world."""

    world_env: Mapping[str, str]
    directory: Path
    regions: tuple[str, ...] = ()
    """Regions to act in and to look for users of a role in; none: all."""

    def env(self, **changes: str) -> dict[str, str]:
        """Return the environment: nothing of ours but the path, everything of the world's."""
        home = {"HOME": str(self.directory), "PATH": os.environ["PATH"], "USER": "responder"}
        quiet = {"AWS_EC2_METADATA_DISABLED": "true", "NO_COLOR": "1", "LOGNAME": "responder"}
        where = {"IRRUNNER_REGIONS": json.dumps(self.regions)} if self.regions else {}
        return {**home, **quiet, **where, **self.world_env, **changes}

    def __call__(self, *arguments: object, env: Mapping[str, str] | None = None) -> Done:
        """Run a command to its end, in a process forked from one that has imported everything.

        Args:
            arguments: The command line.
            env: Changes to the environment.
        """
        return checked(self.start(*arguments, env=env).end())

    def start(
        self, *arguments: object, env: Mapping[str, str] | None = None, twist: Twist = USUAL
    ) -> Started:
        """Begin a command.

        Args:
            arguments: The command line.
            env: Changes to the environment.
            twist: What is unusual about the process.
        """
        return fork([str(word) for word in arguments], self.env(**(env or {})), self.directory, twist)

    def program(
        self, *arguments: object, stdin: bytes | None = None, before: Callable[[], None] | None = None
    ) -> Done:
        """Run the program itself, as a shell does.

        Args:
            arguments: The command line.
            stdin: Standard input.
            before: Called in the child before the program begins.
        """
        done = subprocess.run(
            [*PROGRAM, *map(str, arguments)],
            env={
                **self.env(),
                "PYTHONDONTWRITEBYTECODE": "1",
            },  # a child without room would leave cut-off caches
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            check=False,
            timeout=120,
            cwd=self.directory,
            preexec_fn=before,
        )
        return checked(Done(done.returncode, done.stdout.decode(), done.stderr.decode()))


def checked(done: Done) -> Done:
    """Return the end of a command that did not crash."""
    assert "Traceback" not in done.err, done.err
    return done


def eventually(holds: Callable[[], Any], what: str, *, within_s: float = 30.0) -> Any:
    """Return the first true answer; fail the test if none comes."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        answer = holds()
        if answer:
            return answer
        time.sleep(0.02)
    pytest.fail(f"not within {within_s} s: {what}")


def differences(
    before: Any, after: Any, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Yield where two states differ: path, value before, value after; a missing value is None."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted({*before, *after}):
            yield from differences(before.get(name), after.get(name), (*path, name))
    elif before != after:
        yield path, before, after
