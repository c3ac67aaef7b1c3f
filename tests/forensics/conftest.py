"""The bench of the contract's scenarios, for acquisitions."""

from __future__ import annotations

import pytest

from forensics import files
from tests.contracts.conftest import line, open_world, registry

__all__ = ["line", "open_world", "registry"]


@pytest.fixture(autouse=True)
def nothing_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test read and did not store is not another's."""
    monkeypatch.setattr(files, "_HELD", files._Held(1 << 20))
