"""``aws.securityhub.update-finding``: set the workflow status of a finding, with a note of who and why."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import StringConstraints

from irrunner.actions.contract import Call, LookContext, Model, Permission, Where
from irrunner.actions.ids import SecurityHubFindingId, SecurityHubProductArn
from irrunner.actions.registry import action
from irrunner.actions.setting import SetValue, ValueState
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

HUB: Final = "arn:{partition}:securityhub:{region}:{account}:hub/default"
AUTHOR: Final = "irrunner"
NO_NOTE: Final = "(note taken back)"
"""Security Hub cannot delete a note: this text stands for none."""


class UpdateParams(Model):
    """Parameters."""

    finding_id: SecurityHubFindingId
    product_arn: SecurityHubProductArn
    status: Literal["NEW", "NOTIFIED", "RESOLVED", "SUPPRESSED"]
    note: Annotated[str, StringConstraints(max_length=512)] = ""
    """Empty: the note that is there stays."""


class UpdateOutputs(Model):
    """Outputs."""

    finding_id: str
    status: str
    note: str


@action(
    "aws.securityhub.update-finding",
    title="Set the workflow status of a Security Hub finding",
    phase=Phase.POST_INCIDENT,
    risk=Risk.NONE,
    permissions=(
        Permission("securityhub:GetFindings", HUB),
        Permission("securityhub:BatchUpdateFindings", HUB, use="act"),
        Permission("securityhub:BatchUpdateFindings", HUB, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note=f"Writes status and note of before; where there was no note, it reads {NO_NOTE!r}.",
    timeout_s=300.0,
    consistency_s=30.0,
    sources=(
        "https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchUpdateFindings.html",
        "https://docs.aws.amazon.com/securityhub/latest/userguide/finding-workflow-status.html",
    ),
)
class UpdateFinding(SetValue[UpdateParams, ValueState]):
    """Write status and note in one call; what Security Hub leaves unprocessed is a failure."""

    Params = UpdateParams
    Outputs = UpdateOutputs
    StateModel = ValueState

    def look(self, ctx: LookContext, params: UpdateParams) -> ValueState:
        """Read status and note of the finding."""
        equals = {name: [{"Value": value, "Comparison": "EQUALS"}] for name, value in _key(params).items()}
        found = ctx.api.pages("securityhub:GetFindings", "Findings", Filters=equals)
        if not found:
            raise TargetNotFound(f"Security Hub has no finding {params.finding_id} of this product here")
        note = str((found[0].get("Note") or {}).get("Text", ""))
        value = {
            "status": (found[0].get("Workflow") or {}).get("Status", "NEW"),
            "note": "" if note == NO_NOTE else note,
        }
        return ValueState(target=params.finding_id, value=value)

    def wanted(self, params: UpdateParams, state: ValueState) -> dict[str, Any]:
        """Return the status, and the new note or the old one."""
        return {"status": params.status, "note": params.note or state.value["note"]}

    def write(self, params: UpdateParams, state: ValueState, value: Any) -> tuple[Call, ...]:
        """Write the status, and the note where it changes."""
        text = value["note"] or NO_NOTE
        note = {} if value["note"] == state.value["note"] else {"Note": {"Text": text, "UpdatedBy": AUTHOR}}
        key = _key(params)
        return (
            Call(
                "securityhub:BatchUpdateFindings",
                {"FindingIdentifiers": [key], "Workflow": {"Status": value["status"]}, **note},
                target=params.finding_id,
                summary=f"Set the workflow status of the finding to {value['status']}",
                before=state.value,
                after=value,
                unprocessed="UnprocessedFindings[].ErrorCode",
            ),
        )

    def outputs(self, params: UpdateParams, state: ValueState) -> UpdateOutputs:
        """Return status and note."""
        return UpdateOutputs(finding_id=params.finding_id, **state.value)

    def targets(self, params: UpdateParams, where: Where) -> tuple[str, ...]:
        """Return the finding."""
        return (params.finding_id,)


def _key(params: UpdateParams) -> dict[str, str]:
    return {"Id": params.finding_id, "ProductArn": params.product_arn}
