"""One GuardDuty finding: which detector holds it, who may archive it, and what is set on it."""

from __future__ import annotations

from typing import Any, Final

from irrunner.actions.contract import LookContext, Model, Permission, Where
from irrunner.actions.ids import GuardDutyFindingId
from irrunner.errors import TargetNotFound

API: Final = "https://docs.aws.amazon.com/guardduty/latest/APIReference"
LOOKS: Final = (Permission("guardduty:ListDetectors"), Permission("guardduty:GetFindings"))
"""GuardDuty's findings have no resource-level permissions."""


class OneFinding(Model):
    """Parameters of actions on one finding."""

    finding_id: GuardDutyFindingId


def detector_of(ctx: LookContext) -> str:
    """Return the detector of the account and Region; there is one at most.

    Raises:
        TargetNotFound: If GuardDuty is not enabled here.
    """
    detectors = ctx.api.pages("guardduty:ListDetectors", "DetectorIds")
    if not detectors:
        raise TargetNotFound(f"GuardDuty is not enabled in {ctx.where.account_id}, {ctx.where.region}")
    return str(detectors[0])


def service_of(ctx: LookContext, detector_id: str, finding_id: str) -> dict[str, Any]:
    """Return the ``Service`` part of a finding: whether it is archived, what people think of it.

    Raises:
        TargetNotFound: If the detector has no such finding (GuardDuty keeps them for 90 days).
    """
    answer = ctx.api.call("guardduty:GetFindings", DetectorId=detector_id, FindingIds=[finding_id])
    for finding in answer["Findings"]:
        if finding["Id"] == finding_id:
            return dict(finding.get("Service") or {})
    raise TargetNotFound(f"GuardDuty has no finding {finding_id} here")


def finding_arn(where: Where, finding_id: str) -> str:
    """Return the finding as a target; its detector is not known before a look."""
    place = f"{where.region}:{where.account_id}"
    return f"arn:{where.partition}:guardduty:{place}:detector/*/finding/{finding_id}"
