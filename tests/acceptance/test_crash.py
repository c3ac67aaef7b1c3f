"""kill -9 at any instant, then `resume`: the same end, every effect once, a journal that verifies."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from irrunner.clock import SystemClock
from irrunner.journal.sql import open_store
from irrunner.journal.store import RunRow, Store
from irrunner.settings import Settings
from tests.acceptance.events import REGION, instance_event
from tests.acceptance.forked import DIED, Twist
from tests.acceptance.served_world import CommandLine, Done, Served, Started, checked, eventually, serve
from tests.acceptance.shapes import effects, shape

pytestmark = pytest.mark.crash
EDGES = 520
"""Commits and AWS calls of the whole run, twice; a few more are harmless."""
FAST = Twist(speed=10)
"""The windows in which AWS may not show yet what was done are up to 30 seconds long."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make as many kill points as the option says."""
    if "point" in metafunc.fixturenames:
        points = range(metafunc.config.getoption("--kill-points"))
        metafunc.parametrize("point", points, ids=lambda point: f"point-{point}")


@dataclass(frozen=True)
class Whole:
    """A run that nobody killed."""

    shape: list[tuple[str, str]]
    effects: Counter[str]
    took_s: float
    """From the line that names the run to the end."""


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Run the playbook once without killing it."""
    directory = tmp_path_factory.mktemp("whole")
    event = playable(directory)
    with serve(event, directory / "world") as world:
        process = begin(CommandLine(world.env, directory, (REGION,)), event)
        began = time.monotonic()
        assert process.end().code == 0
        return Whole(shape(world.state()), effects(world), time.monotonic() - began)


def playable(directory: Path) -> Path:
    """Write an event whose run asks nobody."""
    return instance_event(directory, tags={"Environment": "test"})


def begin(irrunner: CommandLine, event: Path) -> Started:
    """Begin a response and return when it has said which run it is."""
    process = irrunner.start("respond", "--event", event, "--json")
    eventually(lambda: process.err.startswith("run "), "the run has begun")
    return process


def store_of(world: Served) -> Store:
    """Open the runner's store."""
    return open_store(Settings(store=str(world.store)), SystemClock())


def test_a_killed_run_ends_as_if_nobody_had_killed_it(
    point: int, whole: Whole, tmp_path: Path,
    start_world: Callable[..., Served], command_line: Callable[..., CommandLine],
) -> None:  # fmt: skip
    """SIGKILL at a random instant, `resume` at once: same state, no effect twice, the chain verifies."""
    event = playable(tmp_path)
    world = start_world(event)
    irrunner = command_line(world, REGION)
    instant_s = random.Random(point).uniform(0.0, whole.took_s)  # noqa: S311 - a seed to repeat it by

    process = begin(irrunner, event)
    time.sleep(instant_s)
    process.signal(signal.SIGKILL)
    process.end()
    ended = resumed(irrunner, store_of(world).runs()[0])

    row = store_of(world).runs()[0]
    assert (row.status, row.ended_at is not None) == ("succeeded", True), (instant_s, ended)
    assert effects(world) == whole.effects, instant_s
    assert shape(world.state()) == whole.shape, instant_s
    assert store_of(world).verify_all().ok


def resumed(irrunner: CommandLine, row: RunRow, twist: Twist = FAST) -> Done | None:
    """Resume a run, unless the kill came too late."""
    if row.status.ended:
        return None
    done = checked(irrunner.start("resume", row.run_id, "--json", twist=twist).end())
    assert done.code == 0, (done.err, done.out)
    return done


def test_a_run_that_ends_at_an_edge_ends_as_if_nothing_had_been(
    point: int, whole: Whole, tmp_path: Path,
    start_world: Callable[..., Served], command_line: Callable[..., CommandLine],
) -> None:  # fmt: skip
    """Just before or after a commit or an AWS call, the worst instants: the same as for any other."""
    event = playable(tmp_path)
    world = start_world(event)
    irrunner = command_line(world, REGION)
    step = random.Random(point).randint(1, EDGES)  # noqa: S311 - as above

    process = irrunner.start("respond", "--event", event, "--json", twist=Twist(die_at=step))
    died = process.end()
    rows = store_of(world).runs()
    ended = resumed(irrunner, rows[0]) if rows else irrunner("respond", "--event", event, "--json")

    row = store_of(world).runs()[0]
    assert died.code in (0, DIED), died.err
    assert row.status == "succeeded", (step, ended)
    assert effects(world) == whole.effects, step
    assert shape(world.state()) == whole.shape, step
    assert store_of(world).verify_all().ok


def test_nobody_waits_for_a_dead_process(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """The lease of a killed runner is taken at once, without a clock that moved; a living one keeps it."""
    event = playable(tmp_path)
    world = start_world(event, scale=0)
    irrunner = command_line(world, REGION)
    process = begin(irrunner, event)
    run_id = store_of(world).runs()[0].run_id

    busy = irrunner("resume", run_id)
    process.signal(signal.SIGKILL)
    process.end()
    world.scale(50)

    assert busy.code == 3
    assert busy.err.startswith("error: run-busy: ")
    assert resumed(irrunner, store_of(world).runs()[0], Twist()) is not None


def test_a_killed_undo_ends_as_if_nobody_had_killed_it(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """An undo is a run: killed and resumed, it gives everything back once."""
    event = playable(tmp_path)
    world = start_world(event)
    irrunner = command_line(world, REGION)
    contained = irrunner("respond", "--event", event, "--json").document["run_id"]
    sent = len(world.calls(mutating=True))
    process = irrunner.start("undo", contained)
    eventually(lambda: process.ended or len(world.calls(mutating=True)) > sent, "the undo has begun")
    assert not process.ended, (process.out, process.err)
    process.signal(signal.SIGKILL)
    process.end()

    row = store_of(world).runs()[0]
    done = checked(irrunner.start("resume", row.run_id, "--json", twist=FAST).end())

    assert row.undoes == contained
    assert done.code == 5, (done.err, done.out)
    operations = [call["operation"] for call in world.calls(mutating=True)[sent:] if call["error"] is None]
    assert operations.count("ec2:AssociateIamInstanceProfile") == 1
    assert store_of(world).verify_all().ok
