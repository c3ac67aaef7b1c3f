"""States and effects of two runs, made comparable: ids and instants of what a run makes are replaced."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from tests.acceptance.served_world import Served

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
MADE = re.compile(r"\b(?:snap|sg)-[0-9a-f]+\b")
REPEATABLE = frozenset({"ec2:ModifySnapshotAttribute", "ec2:CreateTags"})
"""Sharing a snapshot twice is sharing it; the same tag twice is one tag."""


def effects(world: Served) -> Counter[str]:
    """Return how often each operation took effect; what may be repeated counts once for its parameters."""
    good = [call for call in world.calls(mutating=True) if call["error"] is None]
    repeatable = {
        (call["operation"], json.dumps(call["params"], sort_keys=True))
        for call in good
        if call["operation"] in REPEATABLE
    }
    others = [call["operation"] for call in good if call["operation"] not in REPEATABLE]
    return Counter([*others, *(operation for operation, _ in repeatable)])


def shape(state: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return every value of a state with its path, sorted; what a run made is named by what it is."""
    names = dict(_names(state))
    return sorted((_plain(path, names), _plain(value, names)) for path, value in _flat(state, ""))


def _names(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield id and lasting name of each group and snapshot."""
    regions = [region for account in state["accounts"].values() for region in account["regions"].values()]
    for region in regions:
        for group, facts in region["security_groups"].items():
            yield group, f"<group {facts['name']}>"
        for snapshot, facts in region["snapshots"].items():
            yield snapshot, f"<{'copy' if facts['copied_from'] else 'snapshot'} of {facts['size_gib']} GiB>"


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _flat(item, f"{path}/{name}")
    elif isinstance(value, list):
        for item in value:
            yield from _flat(item, f"{path}[]")
    else:
        yield path, json.dumps(value)


def _plain(text: str, names: Mapping[str, str]) -> str:
    named = MADE.sub(lambda found: names.get(found[0], "<made>"), text)
    return INSTANT.sub("<instant>", UUID.sub("<uuid>", named))
