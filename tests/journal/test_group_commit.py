"""Group commit: one leader flushes for all, and an interrupted thread holds nobody up."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType

import pytest

from irrunner.journal.group_commit import GroupCommit


class Flusher:
    """A flush that can be held."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, batch: Sequence[str]) -> None:
        """Keep the batch; the first one waits."""
        self.batches.append(list(batch))
        self.entered.set()
        assert self.go_on.wait(10)


def until(holds: Callable[[], bool]) -> None:
    """Wait for another thread."""
    tick = threading.Event()
    for _ in range(2000):
        if holds():
            return
        tick.wait(0.005)
    raise AssertionError("it never came to hold")


def start(group: GroupCommit[str], works: str) -> list[threading.Thread]:
    """Submit each letter in a thread of its own, in order."""
    threads = []
    for work in works:
        thread = threading.Thread(target=group.submit, args=(work,))
        queued = len(group._queue)
        thread.start()
        until(lambda queued=queued: len(group._queue) > queued)  # type: ignore[misc]
        threads.append(thread)
    return threads


def lead(group: GroupCommit[str], flusher: Flusher) -> threading.Thread:
    """Start a leader that stays in its flush."""
    leader = threading.Thread(target=group.submit, args=("a",))
    leader.start()
    assert flusher.entered.wait(10)
    return leader


def test_a_lone_work_is_flushed_at_once() -> None:
    """Without company the submitting thread flushes its own work."""
    flusher = Flusher()
    flusher.go_on.set()

    GroupCommit(flusher).submit("a")

    assert flusher.batches == [["a"]]


def test_works_that_come_during_a_flush_share_the_next() -> None:
    """Everything queued behind a flush goes into one batch."""
    flusher = Flusher()
    group = GroupCommit(flusher)
    leader = lead(group, flusher)
    followers = start(group, "bcd")

    flusher.go_on.set()
    for thread in (leader, *followers):
        thread.join(10)

    assert flusher.batches == [["a"], ["b", "c", "d"]]


def test_a_failing_flush_fails_its_leader_only_and_frees_the_others() -> None:
    """An exception in a flush reaches the leader; the queue goes on."""
    flushed: list[list[str]] = []

    def flush(batch: Sequence[str]) -> None:
        flushed.append(list(batch))
        if "bad" in batch:
            raise KeyboardInterrupt

    group = GroupCommit(flush)

    with pytest.raises(KeyboardInterrupt):
        group.submit("bad")
    group.submit("good")

    assert flushed == [["bad"], ["good"]]


class Interrupted(Exception):
    """Raised by a signal handler, as Ctrl-C would."""


def test_an_interrupted_follower_takes_its_work_back() -> None:
    """Ctrl-C while waiting withdraws the work, and those behind it are still served."""
    flusher = Flusher()
    group = GroupCommit(flusher)
    leader = lead(group, flusher)

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    def queue_one_more_and_interrupt() -> None:
        until(lambda: len(group._queue) == 1)
        followers.extend(start(group, "c"))
        os.kill(os.getpid(), signal.SIGUSR1)

    followers: list[threading.Thread] = []
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        helper = threading.Thread(target=queue_one_more_and_interrupt)
        helper.start()
        with pytest.raises(Interrupted):
            group.submit("b")
        helper.join(10)
    finally:
        signal.signal(signal.SIGUSR1, before)
    flusher.go_on.set()
    for thread in (leader, *followers):
        thread.join(10)

    assert flusher.batches == [["a"], ["c"]]


def test_hundreds_of_threads_lose_nothing() -> None:
    """Under load every work is flushed exactly once."""
    seen: list[int] = []
    group: GroupCommit[int] = GroupCommit(seen.extend)

    def submit(first: int) -> None:
        for work in range(first, first + 50):
            group.submit(work)

    threads = [threading.Thread(target=submit, args=(n * 50,)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(seen) == list(range(2500))
    assert not group._led
