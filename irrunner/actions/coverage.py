"""The response matrix, held against the registry: what can be done about which findings, and by what."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

import yaml

from irrunner.actions.registry import Registry

STAGES: Final = ("triage", "contain", "evidence", "eradicate", "recover", "notify")


@cache
def response_matrix() -> tuple[Mapping[str, Any], ...]:
    """Return the families of findings, each with the actions of each stage."""
    text = files("irrunner.actions").joinpath("response_matrix.yaml").read_text(encoding="utf-8")
    return tuple(yaml.safe_load(text)["families"])


def action_coverage(registry: Registry) -> dict[str, Any]:
    """Return the matrix with what is missing on either side.

    Args:
        registry: The actions that there are.

    Returns:
        ``{"families": [{"family", "types", "stages": {stage: [action]}, "by_hand"}], "missing": [...],
        "unlisted": [...], "actions": n, "ok": bool}``: ``missing`` are named and do not exist, ``unlisted``
        exist and are named nowhere.
    """
    ids = registry.ids()
    families = [
        {
            "family": family["family"],
            "types": list(family["types"]),
            "stages": {stage: list(family.get(stage, ())) for stage in STAGES},
            "by_hand": family.get("by_hand", ""),
        }
        for family in response_matrix()
    ]
    named = {name for family in families for names in family["stages"].values() for name in names}
    missing, unlisted = sorted(named - set(ids)), sorted(set(ids) - named)
    return {
        "families": families, "missing": missing, "unlisted": unlisted, "actions": len(ids),
        "ok": not missing and not unlisted,
    }  # fmt: skip
