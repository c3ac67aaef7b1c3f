"""``aws.sts.whoami``: as whom a run acts in the incident's account."""

from __future__ import annotations

from irrunner.actions.contract import Action, Decision, LookContext, Model, Permission, Settled, State, Where
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class WhoamiParams(Model):
    """``aws.sts.whoami`` takes nothing."""


class WhoamiState(State):
    """The caller."""

    account_id: str
    arn: str
    user_id: str


class WhoamiOutputs(Model):
    """Outputs of ``aws.sts.whoami``."""

    account_id: str
    arn: str
    user_id: str


@action(
    "aws.sts.whoami",
    title="Tell as whom the run acts",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=(Permission("sts:GetCallerIdentity"),),
    undo=UndoPolicy.NEVER,
    undo_note="Reads only: there is nothing to put back.",
    timeout_s=30.0,
    sources=("https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html",),
)
class Whoami(Action[WhoamiParams, WhoamiState]):
    """Ask STS."""

    Params = WhoamiParams
    Outputs = WhoamiOutputs
    StateModel = WhoamiState

    def look(self, ctx: LookContext, params: WhoamiParams) -> WhoamiState:
        """Ask for the caller's identity."""
        answer = ctx.api.call("sts:GetCallerIdentity")
        return WhoamiState(account_id=answer["Account"], arn=answer["Arn"], user_id=answer["UserId"])

    def decide(self, params: WhoamiParams, state: WhoamiState) -> Decision:
        """Settle at once."""
        return Settled(WhoamiOutputs(account_id=state.account_id, arn=state.arn, user_id=state.user_id))

    def targets(self, params: WhoamiParams, where: Where) -> tuple[str, ...]:
        """Return nothing: reads only."""
        return ()
