"""Fixtures of the acceptance tests: the real command line and a served world, as processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.served_world import CommandLine, Served, serve


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here: it runs processes."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.acceptance)


@pytest.fixture(scope="session")
def findings_dir() -> Path:
    """Return the directory of real events: ``IRRUNNER_FINDINGS``, else ``../shared/findings``."""
    named = os.environ.get("IRRUNNER_FINDINGS")
    path = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "findings"
    if not (path / "manifest.csv").is_file():
        pytest.skip(f"no real events at {path}; set IRRUNNER_FINDINGS")
    return path


@pytest.fixture
def start_world(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Return a function that serves a world in another process until the test ends."""
    with ExitStack() as stack:

        def start(event: Path | None = None, **settings: int) -> Served:
            number = len(list(tmp_path.glob("world-*")))
            return stack.enter_context(serve(event, tmp_path / f"world-{number}", **settings))

        yield start


@pytest.fixture
def command_line(tmp_path: Path) -> Callable[..., CommandLine]:
    """Return a function that makes the command line of a served world."""

    def of(world: Served, *regions: str) -> CommandLine:
        return CommandLine(world.env, tmp_path, regions)

    return of
