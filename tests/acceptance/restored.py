"""As before, in the sense of docs/adr/0002: less evidence, quarantine groups kept for reuse, held items.

A group at its MinSize launches another instance for the one that goes into Standby; that one stays too.
"""

from __future__ import annotations

import json
from typing import Any

from tests.acceptance.served_world import differences

Difference = tuple[tuple[str, ...], Any, Any]


def not_as_before(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """Return the differences that undo should not have left."""
    found = differences(before, after)
    launched = [path[-1] for path, was, now in found if was is None and _is_replacement(path, now)]
    return [each for each in found if not (_stays(*each) or _came_with(launched, *each))]


def _stays(path: tuple[str, ...], before: Any, after: Any) -> bool:
    return before is None and (
        "snapshots" in path or _is_quarantine_group(path, after) or _is_held_revocation(path, after)
    )


def _is_quarantine_group(path: tuple[str, ...], after: Any) -> bool:
    return path[-2] == "security_groups" and any(name.startswith("irrunner") for name in after["tags"])


def _is_held_revocation(path: tuple[str, ...], after: Any) -> bool:
    return path[-2] == "inline_policies" and "aws:TokenIssueTime" in json.dumps(after)


def _is_replacement(path: tuple[str, ...], after: Any) -> bool:
    return path[-2] == "instances" and "aws:autoscaling:groupName" in after.get("tags", {})


def _came_with(launched: list[str], path: tuple[str, ...], before: Any, after: Any) -> bool:
    if path[-1] == "desired_capacity":
        return bool(after - before == len(launched))
    return before is None and (path[-1] in launched or after.get("instance_id") in launched)
