from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from botocore.session import Session

from irrunner.actions.registry import Registry, load_registry
from tests.contracts.bench import Bench, Line, free_port, opened

OpenWorld = Callable[[], AbstractContextManager[Bench]]


@pytest.fixture(scope="session")
def registry() -> Registry:
    """Every action."""
    return load_registry()


@pytest.fixture(scope="session")
def line() -> Line:
    """What all worlds share."""
    return Line(free_port(), Session())


@pytest.fixture
def open_world(registry: Registry, line: Line, monkeypatch: pytest.MonkeyPatch) -> OpenWorld:
    """Opens worlds, one after the other, that are alike."""
    return lambda: opened(registry, line, monkeypatch)
