"""Security Hub: findings by filter, and updates whose failures hide in an answer of 200.

Source: Security Hub API reference (GetFindings, BatchUpdateFindings).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gameday.world import seam
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

_FILTERS: Final = {"Id", "ProductArn"}
_PAGE: Final = 100


def get_findings(scene: Scene) -> Mapping[str, Any]:
    """Return findings; filters of id and product, compared for equality, are honoured."""
    filters = scene.params.get("Filters") or {}
    unknown = set(filters) - _FILTERS
    odd = [test for tests in filters.values() for test in tests if test.get("Comparison") != "EQUALS"]
    if unknown or odd:
        raise Refusal("InvalidInputException", f"filters not simulated: {sorted(unknown)} {odd}")
    wanted = {name: {test["Value"] for test in tests} for name, tests in filters.items()}
    found = [
        finding
        for finding in _findings(scene)
        if all(finding.get(name) in values for name, values in wanted.items())
    ]
    start = int(scene.params.get("NextToken") or 0)
    size = int(scene.params.get("MaxResults") or _PAGE)
    page: dict[str, Any] = {"Findings": found[start : start + size]}
    return page | ({"NextToken": str(start + size)} if start + size < len(found) else {})


def batch_update_findings(scene: Scene) -> Mapping[str, Any]:
    """Update workflow and note; an unknown finding is unprocessed, and the answer is 200 all the same."""
    done, undone = [], []
    for key in scene.params["FindingIdentifiers"]:
        known = [each for each in _findings(scene) if key.items() <= each.items()]
        if not known:
            undone.append(
                {
                    "FindingIdentifier": key,
                    "ErrorCode": "FindingNotFound",
                    "ErrorMessage": "Finding Not Found",
                }
            )
            continue
        done.append(key)
        for part in ("Workflow", "Note"):
            if part in scene.params:
                known[0][part] = dict(scene.params[part])
    return {"ProcessedFindings": done, "UnprocessedFindings": undone}


def shown_findings(backend: Any) -> dict[str, Any]:
    """Return status and note of the findings, by id."""
    return {
        found.data["Id"]: {
            "status": found.data.get("Workflow", {}).get("Status", "NEW"),
            "note": found.data.get("Note", {}).get("Text", ""),
        }
        for found in backend.findings
    }


def _findings(scene: Scene) -> list[dict[str, Any]]:
    return [found.data for found in seam.backend("securityhub", scene.account, scene.region).findings]


LAYER: Final = StrictLayer(
    answers={
        "securityhub:GetFindings": get_findings,
        "securityhub:BatchUpdateFindings": batch_update_findings,
    }
)
