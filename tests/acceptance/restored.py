"""As before, in the sense of docs/adr/0002: less evidence, quarantine groups kept for reuse, held items."""

from __future__ import annotations

import json
from typing import Any

from tests.acceptance.served_world import differences

Difference = tuple[tuple[str, ...], Any, Any]


def not_as_before(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """Return the differences that undo should not have left."""
    return [found for found in differences(before, after) if not _stays(*found)]


def _stays(path: tuple[str, ...], before: Any, after: Any) -> bool:
    return before is None and (
        "snapshots" in path or _is_quarantine_group(path, after) or _is_held_revocation(path, after)
    )


def _is_quarantine_group(path: tuple[str, ...], after: Any) -> bool:
    return path[-2] == "security_groups" and any(name.startswith("irrunner") for name in after["tags"])


def _is_held_revocation(path: tuple[str, ...], after: Any) -> bool:
    return path[-2] == "inline_policies" and "aws:TokenIssueTime" in json.dumps(after)
