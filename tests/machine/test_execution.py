"""What a run costs: linear time, no deep stack."""

from __future__ import annotations

import sys
import time

from irrunner.machine import messages as m
from irrunner.vocabulary import RunStatus
from tests.machine.machine_driver import (
    each,
    good,
    parallel,
    playbook,
    started,
    step,
)


def elapsed_s(count: int) -> float:
    """Return the best of three times to run a flat playbook."""
    book = playbook(*(step(f"s{index}") for index in range(count)))
    times = []
    for _ in range(3):
        execution = started(book)
        events = [good(f"s{index}") for index in range(count)]
        begun = time.perf_counter()
        for event in events:
            execution.feed(event)
        times.append(time.perf_counter() - begun)
        assert execution.status is RunStatus.SUCCEEDED
    return min(times)


def test_a_long_playbook_costs_linear_time() -> None:
    """Ten times the steps take about ten times as long."""
    assert elapsed_s(5000) < 30 * elapsed_s(500)


def loop_elapsed_s(count: int) -> float:
    """Return the best of five times to run a loop of this width."""
    times = []
    for _ in range(5):
        execution = started(playbook(step("a", for_each=each(at_most=count))))
        execution.feed(m.ItemsEvaluated("a", tuple(range(count))))
        begun = time.perf_counter()
        for index in range(count):
            execution.feed(good(f"a[{index}]"))
            assert execution.status is not None
        times.append(time.perf_counter() - begun)
    return min(times)


def test_a_wide_loop_costs_linear_time() -> None:
    """An event touches only the ancestors of its leaf, however many siblings there are."""
    assert loop_elapsed_s(3000) < 50 * loop_elapsed_s(300)


def test_neither_depth_nor_length_recurses() -> None:
    """Thousands of steps that end at once, and deep nesting, need no deep stack."""
    inner = step("leaf")
    for level in range(sys.getrecursionlimit() * 2):
        inner = step(f"n{level}", parallel([inner]))
    empty = [step(f"e{index}", parallel()) for index in range(5000)]
    execution = started(playbook(*empty, inner))

    assert execution.feed(good("leaf")) == (m.Finish(RunStatus.SUCCEEDED),)
