"""The response matrix, held against the registry: what can be done about which findings, and by what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

import yaml

from irrunner.actions.registry import Registry
from irrunner.findings.guardduty_types import guardduty_types
from irrunner.findings.matching import type_matches
from irrunner.playbook.model import FindingTrigger, Playbook

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


def type_coverage(playbooks: Iterable[Playbook]) -> dict[str, Any]:
    """Return which playbooks have a trigger for each active type of GuardDuty.

    Args:
        playbooks: The library. A trigger on events is left out: which findings it takes is in their content.

    Returns:
        ``{"types": [{"type", "playbooks": [{"id", "conditional"}], "families"}], "answered", "percent"}``;
        ``conditional``: each trigger that names the type has a ``when``. The percentage is rounded down.
    """
    triggers = [
        (playbook.id, trigger)
        for playbook in sorted(playbooks, key=lambda one: one.id)
        for trigger in playbook.triggers
        if isinstance(trigger, FindingTrigger) and trigger.source == "guardduty"
    ]
    types = []
    for name in sorted(guardduty_types().active):
        conditional: dict[str, bool] = {}
        for playbook_id, trigger in triggers:
            if any(type_matches(glob, name) for glob in trigger.types):
                conditional[playbook_id] = conditional.get(playbook_id, True) and trigger.when is not None
        types.append(
            {
                "type": name,
                "playbooks": [{"id": known, "conditional": when} for known, when in conditional.items()],
                "families": families_of(name),
            }
        )
    answered = sum(1 for entry in types if entry["playbooks"])
    return {"types": types, "answered": answered, "percent": 100 * answered // len(types)}


def families_of(finding_type: str) -> list[str]:
    """Return the families that a type of GuardDuty belongs to; which one, its resource decides."""
    return [
        str(family["family"])
        for family in response_matrix()
        if any(type_matches(glob, finding_type) for glob in family["types"])
    ]
