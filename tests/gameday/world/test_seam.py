from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import gameday.world
from gameday.world import seam


def _found(name: str) -> Any:
    module, _, path = name.partition(":")
    value: Any = importlib.import_module(module)
    for part in path.split("."):
        value = inspect.getattr_static(value, part) if isinstance(value, type) else getattr(value, part)
    return value


@pytest.mark.parametrize("name", sorted(seam.SEAMS))
def test_moto_still_has_the_seam(name: str) -> None:
    """A moto that moves what the world patches or calls fails here, and not in a drill."""
    value = _found(name)

    is_property = isinstance(value, property)
    shape = "property" if is_property else f"({', '.join(inspect.signature(value).parameters)})"

    assert shape == seam.SEAMS[name]


def test_only_the_seam_imports_moto() -> None:
    """What must be looked at when moto changes is one file."""
    package = Path(gameday.world.__file__).parent

    importers = {
        path.name
        for path in package.glob("*.py")
        if re.search(r"^\s*(from|import) moto\b", path.read_text(), re.MULTILINE)
    }

    assert importers == {"seam.py"}


def test_the_corrections_end_with_the_world() -> None:
    """After a world other users of moto in the process find it as it was."""
    before = {name: _found(name) for name in seam.SEAMS}

    with seam.installed(1):
        pass

    assert {name: _found(name) for name in seam.SEAMS} == before


def test_a_chosen_id_is_used_once() -> None:
    """The resource that the event names gets its id; the next one gets its own."""
    with seam.installed(1):
        backend = seam.ec2("111122223333", "us-east-1")
        with seam.chosen_id("vpc", "vpc-0123456789abcdef0"):
            first, second = (backend.create_vpc("10.1.0.0/16").id for _ in range(2))

    assert first == "vpc-0123456789abcdef0"
    assert second != first
