from __future__ import annotations

import os
import subprocess
import sys

from irrunner.engine import owner
from irrunner.engine.owner import is_gone, owner_name


def _with(name: str, **parts: str) -> str:
    place, pid, started, chance = name.rsplit(":", 3)
    return ":".join((parts.get("place", place), parts.get("pid", pid), parts.get("started", started), chance))


def test_a_living_process_is_not_gone() -> None:
    """Nobody takes a run from a process that lives."""
    assert not is_gone(owner_name())


def test_a_process_that_ended_is_gone() -> None:
    """After kill -9 nobody waits for the lease to expire."""
    code = "from irrunner.engine.owner import owner_name; print(owner_name())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert is_gone(ended.stdout.strip())


def test_a_process_number_that_was_given_out_again_is_gone() -> None:
    """The same number with another start is another process."""
    assert is_gone(_with(owner_name(), started="1"))


def test_what_cannot_be_known_is_not_gone() -> None:
    """Another machine's process, or a name of another form, keeps its lease until that expires."""
    ended = _with(owner_name(), started="1")

    assert not is_gone(_with(ended, place="elsewhere"))
    assert not is_gone("worker-7")
    assert not is_gone("")


def test_without_process_files_nothing_is_gone() -> None:
    """Where there is no /proc, a lease is only ever outlived."""
    assert owner._started(2**22 + 1) == ""
    assert not is_gone(f"{owner._place()}:{os.getpid()}::0")
