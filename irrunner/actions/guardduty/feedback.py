"""``aws.guardduty.send-feedback``: tell GuardDuty whether a finding was of use."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from irrunner.actions.contract import Call, LookContext, Model, Permission, Where
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


class FeedbackParams(OneFinding):
    """Parameters."""

    feedback: Literal["USEFUL", "NOT_USEFUL"]
    comment: Annotated[str, StringConstraints(max_length=400)] = ""
    """Goes to AWS, not to the finding: nobody can read it back."""


class FeedbackState(ValueState):
    """What people said of the finding: ``Service.UserFeedback``, by which a crash is settled."""

    detector_id: str


class FeedbackOutputs(Model):
    """Outputs."""

    finding_id: str
    feedback: str


@action(
    "aws.guardduty.send-feedback",
    title="Mark a GuardDuty finding as useful or not",
    phase=Phase.POST_INCIDENT,
    risk=Risk.NONE,
    permissions=(*LOOKS, Permission("guardduty:UpdateFindingsFeedback", use="act")),
    undo=UndoPolicy.NEVER,
    undo_note="AWS keeps feedback; other feedback can be sent, but none cannot.",
    timeout_s=120.0,
    consistency_s=10.0,
    sources=(f"{API}/API_UpdateFindingsFeedback.html", f"{API}/API_Service.html"),
)
class SendFeedback(SetValue[FeedbackParams, FeedbackState]):
    """Send what is not known yet; the finding shows it afterwards."""

    Params = FeedbackParams
    Outputs = FeedbackOutputs
    StateModel = FeedbackState

    def look(self, ctx: LookContext, params: FeedbackParams) -> FeedbackState:
        """Read what was said before."""
        detector_id = detector_of(ctx)
        said = service_of(ctx, detector_id, params.finding_id).get("UserFeedback")
        return FeedbackState(target=params.finding_id, value=said or None, detector_id=detector_id)

    def wanted(self, params: FeedbackParams, state: FeedbackState) -> str:
        """Return the feedback."""
        return params.feedback

    def write(self, params: FeedbackParams, state: FeedbackState, value: str) -> tuple[Call, ...]:
        """Send it."""
        said = {"Comments": params.comment} if params.comment else {}
        return (
            Call(
                "guardduty:UpdateFindingsFeedback",
                {
                    "DetectorId": state.detector_id,
                    "FindingIds": [params.finding_id],
                    "Feedback": value,
                    **said,
                },
                target=params.finding_id,
                summary=f"Tell GuardDuty that finding {params.finding_id} is {value}",
                before=state.value,
                after=value,
                reversible=False,
            ),
        )

    def outputs(self, params: FeedbackParams, state: FeedbackState) -> FeedbackOutputs:
        """Return what the finding says."""
        return FeedbackOutputs(finding_id=params.finding_id, feedback=state.value)

    def targets(self, params: FeedbackParams, where: Where) -> tuple[str, ...]:
        """Return the finding."""
        return (finding_arn(where, params.finding_id),)
