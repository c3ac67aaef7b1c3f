"""The body of a forked process: a command line, with its own environment, directory and output."""

from __future__ import annotations

import functools
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import irrunner.actions.channels
import irrunner.engine.intake
import irrunner.playbook.expressions
import irrunner.playbook.library  # noqa: F401 - imported once, for all forks
from irrunner.aws.client import BotoApi
from irrunner.cli import app
from irrunner.clock import SystemClock
from irrunner.engine.service import Runner  # noqa: F401 - as above
from irrunner.journal.sql import SqlStore

DIED = 137
"""As the shell says of a process that was killed."""


@dataclass(frozen=True)
class Twist:
    """What is unusual about a process."""

    die_at: int = 0
    """End without a trace at this step over the program's edge; 0: never."""
    speed: float = 1.0
    """Its seconds per second: windows in which AWS may not show yet what was done pass so much faster."""


def run(arguments: list[str], env: dict[str, str], directory: str, output: str, twist: Twist) -> None:
    """Run a command line and end the process with its exit code.

    Args:
        arguments: Without the program's name.
        env: The whole environment.
        directory: Where to run.
        output: Directory of the files ``out`` and ``err``.
        twist: What is unusual.
    """
    # A shell's background job, CI perhaps, starts with SIGINT ignored; a person's terminal does not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(directory)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{output}/{name}", os.O_WRONLY | os.O_APPEND), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    die_at_edge(twist.die_at)
    hurry(twist.speed)
    code = app.run(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def hurry(speed: float) -> None:
    """Let the process's clock run faster, and its waits be as much shorter."""
    now, wait = SystemClock.now, SystemClock.wait
    began = now(SystemClock())
    SystemClock.now = lambda self: began + (now(self) - began) * speed  # type: ignore[method-assign]
    SystemClock.wait = lambda self, event, timeout_s: wait(self, event, timeout_s / speed)  # type: ignore[method-assign]


def die_at_edge(step: int) -> None:
    """End the process before or after its n-th commit or AWS call: odd numbers before, even ones after."""
    steps = itertools.count(1)
    SqlStore.append = _deadly(SqlStore.append, steps, step)  # type: ignore[method-assign]
    BotoApi.call = _deadly(BotoApi.call, steps, step)  # type: ignore[method-assign]


def _deadly(function: Callable[..., Any], steps: Iterator[int], last: int) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if next(steps) == last:
            os._exit(DIED)
        answer = function(*args, **kwargs)
        if next(steps) == last:
            os._exit(DIED)
        return answer

    return wrapped
