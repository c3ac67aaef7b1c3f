"""GuardDuty's findings, which moto does not have: the world's own, read and archived.

Source: GuardDuty API reference (ListDetectors, ListFindings, GetFindings, ArchiveFindings,
UpdateFindingsFeedback, GetAdministratorAccount).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from gameday.world import seam
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

_PAGE: Final = 50


def detector_id(account: str, region: str) -> str:
    """Return the one detector of an account and Region."""
    return hashlib.sha256(f"detector {account} {region}".encode()).hexdigest()[:32]


def list_detectors(scene: Scene) -> Mapping[str, Any]:
    """List the detector."""
    return {"DetectorIds": [detector_id(scene.account, scene.region)]}


def list_findings(scene: Scene) -> Mapping[str, Any]:
    """List ids of findings; the criterion ``service.archived`` is honoured, others are refused."""
    criteria = (scene.params.get("FindingCriteria") or {}).get("Criterion") or {}
    unknown = set(criteria) - {"service.archived"}
    if unknown:
        raise Refusal("BadRequestException", f"criteria not simulated: {sorted(unknown)}")
    wanted = criteria.get("service.archived", {}).get("Equals") or criteria.get("service.archived", {}).get(
        "Eq"
    )
    chosen = [
        finding["Id"]
        for finding in _findings(scene)
        if not wanted or str(finding["Service"]["Archived"]).lower() in wanted
    ]
    start, size = int(scene.params.get("NextToken") or 0), int(scene.params.get("MaxResults") or _PAGE)
    more = str(start + size) if start + size < len(chosen) else ""
    return {"FindingIds": chosen[start : start + size], "NextToken": more}


def get_findings(scene: Scene) -> Mapping[str, Any]:
    """Return findings by id."""
    asked = scene.params.get("FindingIds") or []
    return {"Findings": [finding for finding in _findings(scene) if finding["Id"] in asked]}


def archive_findings(scene: Scene) -> Mapping[str, Any]:
    """Archive findings; a member of an administrator may not."""
    if administrator_of(scene.account, scene.region):
        raise Refusal(
            "BadRequestException",
            "The request is rejected because the current account is a member and cannot archive findings.",
        )
    return _set_archived(scene, archived=True)


def unarchive_findings(scene: Scene) -> Mapping[str, Any]:
    """Bring archived findings back."""
    return _set_archived(scene, archived=False)


def _set_archived(scene: Scene, *, archived: bool) -> Mapping[str, Any]:
    for finding in _chosen(scene):
        finding["Service"]["Archived"] = archived
        _show(scene, finding)
    return {}


def update_findings_feedback(scene: Scene) -> Mapping[str, Any]:
    """Keep what people think of findings."""
    for finding in _chosen(scene):
        finding["Service"]["UserFeedback"] = scene.params["Feedback"]
        _show(scene, finding)
    return {}


def get_administrator_account(scene: Scene) -> Mapping[str, Any]:
    """Say who administers GuardDuty for this account; nothing where it does itself."""
    _findings(scene)
    administrator = administrator_of(scene.account, scene.region)
    if not administrator:
        return {"Administrator": {}}
    return {"Administrator": {"AccountId": administrator, "RelationshipStatus": "Enabled"}}


def administrator_of(account: str, region: str) -> str:
    """Return the GuardDuty administrator of an account, empty for none."""
    return str(_kept(account, region).get("administrator", ""))


def set_administrator(account: str, region: str, administrator: str) -> None:
    """Make an account the administrator of another."""
    _kept(account, region)["administrator"] = administrator


def shown_findings(backend: Any) -> dict[str, Any]:
    """Return what was set on findings, by their ids."""
    return dict(vars(backend).get("world", {}).get("findings", {}))


def _kept(account: str, region: str) -> dict[str, Any]:
    """Return what the world keeps beside moto's own state of GuardDuty, gone with it."""
    backend = seam.backend("guardduty", account, region)
    kept: dict[str, Any] = vars(backend).setdefault("world", {})
    return kept


def _show(scene: Scene, finding: Mapping[str, Any]) -> None:
    shown = {
        "archived": finding["Service"]["Archived"],
        "feedback": finding["Service"].get("UserFeedback", ""),
    }
    _kept(scene.account, scene.region).setdefault("findings", {})[finding["Id"]] = shown


def _chosen(scene: Scene) -> list[Any]:
    asked = scene.params.get("FindingIds") or []
    return [finding for finding in _findings(scene) if finding["Id"] in asked]


def _findings(scene: Scene) -> list[Mapping[str, Any]]:
    if scene.params.get("DetectorId") != detector_id(scene.account, scene.region):
        raise Refusal(
            "BadRequestException",
            "The request is rejected because the input detectorId is not owned by the current account.",
        )
    here = (scene.account, scene.region)
    return [finding for finding in scene.realm.findings if (finding["AccountId"], finding["Region"]) == here]


LAYER: Final = StrictLayer(
    answers={
        "guardduty:ListDetectors": list_detectors,
        "guardduty:ListFindings": list_findings,
        "guardduty:GetFindings": get_findings,
        "guardduty:ArchiveFindings": archive_findings,
        "guardduty:UnarchiveFindings": unarchive_findings,
        "guardduty:UpdateFindingsFeedback": update_findings_feedback,
        "guardduty:GetAdministratorAccount": get_administrator_account,
    }
)
