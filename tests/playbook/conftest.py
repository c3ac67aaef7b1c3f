"""Fixtures of the language's tests; helpers stand in `tests.playbook.playbook_texts`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from irrunner.actions.registry import Registry
from irrunner.playbook.loader import examine, load_playbook
from irrunner.playbook.model import Playbook
from irrunner.playbook.problems import Problem

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

from tests.playbook.playbook_texts import playbook_text, small_registry  # noqa: E402 - after the path


@pytest.fixture(scope="session")
def registry() -> Registry:
    """A small registry."""
    return small_registry()


@pytest.fixture
def problems(registry: Registry) -> Callable[[str], list[Problem]]:
    """Return the problems of a playbook body."""
    return lambda body: examine(playbook_text(body), "f.yaml", registry)[1]


@pytest.fixture
def load(registry: Registry) -> Callable[[str], Playbook]:
    """Load a playbook body."""
    return lambda body: load_playbook(playbook_text(body), "f.yaml", registry)
