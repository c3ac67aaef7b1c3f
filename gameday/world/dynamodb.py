"""What the canonical state shows of DynamoDB; moto plays it well enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def show_tables(backend: Any) -> Mapping[str, Any]:
    """Return the tables of an account and Region with their protection."""
    return {
        table.name: {
            "deletion_protected": bool(table.deletion_protection_enabled),
            "recoverable": _status(table) == "ENABLED",
        }
        for table in backend.tables.values()
    }


def _status(table: Any) -> str:
    described = table.continuous_backups.get("PointInTimeRecoveryDescription") or {}
    return str(described.get("PointInTimeRecoveryStatus") or "")
