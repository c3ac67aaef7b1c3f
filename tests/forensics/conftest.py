"""The bench of the contract's scenarios, for acquisitions."""

from __future__ import annotations

from tests.contracts.conftest import line, open_world, registry

__all__ = ["line", "open_world", "registry"]
