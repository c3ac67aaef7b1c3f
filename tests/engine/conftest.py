"""Fixtures of the engine's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.hazards import BLOCK
from tests.engine.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A laboratory on a fresh store."""
    lab = Lab(tmp_path)
    yield lab
    lab.store.close()


@pytest.fixture
def blocked(lab: Lab) -> str:
    """A run that has ended, with an effect that lasts a day."""
    lab.ground.values["a"] = "old"
    document = lab.start(lab.playbook(BLOCK))
    assert document["status"] == "succeeded"
    return str(document["run_id"])
