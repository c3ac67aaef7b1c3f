"""``aws.iam.remove-console-login``: take a user's password away; the console has no other off switch."""

from __future__ import annotations

from typing import Any

from irrunner.actions.contract import Call, LookContext, Model, Where
from irrunner.actions.iam.documents import on
from irrunner.actions.ids import UserName
from irrunner.actions.registry import action
from irrunner.actions.setting import SetValue, ValueState
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class RemoveConsoleLoginParams(Model):
    """Parameters of ``aws.iam.remove-console-login``."""

    user_name: UserName


class RemoveConsoleLoginOutputs(Model):
    """Outputs of ``aws.iam.remove-console-login``."""

    user_name: str
    console_password: bool


@action(
    "aws.iam.remove-console-login",
    title="Delete the console password of a user",
    phase=Phase.ERADICATION,
    risk=Risk.DESTRUCTIVE,
    permissions=(
        *on("user", "user_name", "look", "iam:GetUser", "iam:GetLoginProfile"),
        *on("user", "user_name", "act", "iam:DeleteLoginProfile"),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="The password is lost: its owner needs a new one from an administrator, who may set it afresh.",
    timeout_s=120.0,
    consistency_s=30.0,
    sources=(
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteLoginProfile.html",
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetLoginProfile.html",
    ),
)
class RemoveConsoleLogin(SetValue[RemoveConsoleLoginParams, ValueState]):
    """Delete the login profile and read back that there is none."""

    Params = RemoveConsoleLoginParams
    Outputs = RemoveConsoleLoginOutputs
    StateModel = ValueState

    def look(self, ctx: LookContext, params: RemoveConsoleLoginParams) -> ValueState:
        """Find the user, then its login profile: a user without one says the same as no user."""
        arn = ctx.api.call("iam:GetUser", UserName=params.user_name)["User"]["Arn"]
        return ValueState(target=arn, value=has_password(ctx, params.user_name))

    def wanted(self, params: RemoveConsoleLoginParams, state: ValueState) -> bool:
        """Return that there shall be no password."""
        return False

    def write(self, params: RemoveConsoleLoginParams, state: ValueState, value: Any) -> tuple[Call, ...]:
        """Delete the profile: there is no way to write the old password."""
        return (
            Call(
                operation="iam:DeleteLoginProfile",
                params={"UserName": params.user_name},
                target=state.target,
                summary=f"Delete the console password of {params.user_name} (it cannot be put back)",
                before={"console_password": state.value},
                after={"console_password": value},
                reversible=False,
                tolerate=("NoSuchEntity",),
            ),
        )

    def outputs(self, params: RemoveConsoleLoginParams, state: ValueState) -> RemoveConsoleLoginOutputs:
        """Return whether there is a password."""
        return RemoveConsoleLoginOutputs(user_name=params.user_name, console_password=state.value)

    def warnings(self, params: RemoveConsoleLoginParams, state: ValueState) -> tuple[str, ...]:
        """Say what lives on."""
        alive = f"console sessions of {params.user_name} that are open, and access keys, live on"
        return (f"{alive}: only a deny on the user stops them (aws.iam.quarantine-user)",)

    def targets(self, params: RemoveConsoleLoginParams, where: Where) -> tuple[str, ...]:
        """Return the user."""
        return (f"arn:{where.partition}:iam::{where.account_id}:user/{params.user_name}",)


def has_password(ctx: LookContext, user_name: str) -> bool:
    """Return whether a user has a console password."""
    try:
        ctx.api.call("iam:GetLoginProfile", UserName=user_name)
    except TargetNotFound:
        return False
    return True
