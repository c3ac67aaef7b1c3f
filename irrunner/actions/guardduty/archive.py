"""``aws.guardduty.archive-finding``: take a finding that was dealt with out of everybody's sight."""

from __future__ import annotations

from typing import Any

from irrunner.actions.contract import Call, LookContext, Model, Permission, Refused, Where
from irrunner.actions.guardduty.findings import (
    API,
    LOOKS,
    OneFinding,
    detector_of,
    finding_arn,
    service_of,
)
from irrunner.actions.registry import action
from irrunner.actions.setting import SetValue, ValueState
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class ArchiveState(ValueState):
    """Whether the finding is archived, and who may change that."""

    detector_id: str
    administrator: str = ""
    """Account that administers GuardDuty for this one; empty: this one does."""


class ArchiveOutputs(Model):
    """Outputs."""

    finding_id: str
    detector_id: str
    archived: bool


@action(
    "aws.guardduty.archive-finding",
    title="Archive a GuardDuty finding",
    phase=Phase.POST_INCIDENT,
    risk=Risk.NONE,
    permissions=(
        *LOOKS,
        Permission("guardduty:GetAdministratorAccount"),
        Permission("guardduty:ArchiveFindings", use="act"),
        Permission("guardduty:UnarchiveFindings", use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Takes the finding out of the archive, where it was not archived before.",
    timeout_s=120.0,
    consistency_s=10.0,
    sources=(
        f"{API}/API_ArchiveFindings.html",
        f"{API}/API_GetAdministratorAccount.html",
        "https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_accounts.html",
    ),
)
class ArchiveFinding(SetValue[OneFinding, ArchiveState]):
    """Archive; a member account must leave that to its administrator."""

    Params = OneFinding
    Outputs = ArchiveOutputs
    StateModel = ArchiveState

    def look(self, ctx: LookContext, params: OneFinding) -> ArchiveState:
        """Read the finding, and who administers GuardDuty."""
        detector_id = detector_of(ctx)
        archived = bool(service_of(ctx, detector_id, params.finding_id).get("Archived"))
        answer = ctx.api.call("guardduty:GetAdministratorAccount", DetectorId=detector_id)
        administrator = answer.get("Administrator") or {}
        governs = administrator.get("RelationshipStatus", "Enabled") == "Enabled"
        by = str(administrator.get("AccountId", "")) if governs else ""
        return ArchiveState(
            target=params.finding_id,
            value=archived,
            detector_id=detector_id,
            administrator="" if by == ctx.where.account_id else by,
        )

    def refusal(self, params: OneFinding, state: ArchiveState) -> Refused | None:
        """Refuse where AWS would: only an administrator archives findings of its members."""
        if state.administrator and not state.value:
            return Refused(
                f"GuardDuty of this account is administered by {state.administrator}, and a member may not "
                f"archive: archive {params.finding_id} there",
                code="guardduty-administrator",
            )
        return None

    def wanted(self, params: OneFinding, state: ArchiveState) -> bool:
        """Return archived."""
        return True

    def write(self, params: OneFinding, state: ArchiveState, value: Any) -> tuple[Call, ...]:
        """Archive, or take out of the archive."""
        operation, verb = ("ArchiveFindings", "Archive") if value else ("UnarchiveFindings", "Unarchive")
        return (
            Call(
                f"guardduty:{operation}",
                {"DetectorId": state.detector_id, "FindingIds": [params.finding_id]},
                target=params.finding_id,
                summary=f"{verb} finding {params.finding_id}",
                before={"archived": state.value},
                after={"archived": value},
            ),
        )

    def outputs(self, params: OneFinding, state: ArchiveState) -> ArchiveOutputs:
        """Return what the finding is like now."""
        return ArchiveOutputs(
            finding_id=params.finding_id, detector_id=state.detector_id, archived=state.value
        )

    def targets(self, params: OneFinding, where: Where) -> tuple[str, ...]:
        """Return the finding."""
        return (finding_arn(where, params.finding_id),)
