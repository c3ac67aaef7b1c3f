"""All rows of the contract's scenarios, gathered from ``tests/contracts/rows``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from tests.contracts.row import Row, Values

_MODULES = sorted(path.stem for path in Path(__file__).with_name("rows").glob("[a-z]*.py"))
ROWS: tuple[Row, ...] = tuple(
    row for name in _MODULES for row in import_module(f"tests.contracts.rows.{name}").ROWS
)

LOCAL: Mapping[str, Values] = {
    "notify.send": {"channel": "oncall", "title": "contained", "body": "i-1 is cut off"},
    "ticket.close": {"tracker": "jira", "body": "done"},
    "ticket.create": {"tracker": "jira", "title": "contained", "body": "i-1 is cut off"},
    "ticket.update": {"tracker": "jira", "body": "its disk is kept"},
    "evidence.record": {"kind": "disk-snapshot", "description": "the disk", "references": ["snap-1"]},
}
"""Actions that call no AWS API, and their parameters."""
