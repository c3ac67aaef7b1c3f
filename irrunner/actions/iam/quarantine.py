"""``aws.iam.quarantine-user``: an inline deny of everything, which also stops the user's live sessions."""

from __future__ import annotations

from typing import Any, Final

from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    PlannedOutputs,
    Refused,
    Settled,
    State,
    Where,
)
from irrunner.actions.iam.console_login import has_password
from irrunner.actions.iam.documents import Document, inline_policy, on, text_of
from irrunner.actions.iam.own import OWN, is_own_user
from irrunner.actions.ids import UserName
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy

POLICY_NAME: Final = "irrunner-quarantine"
STATEMENT: Final = "IrrunnerQuarantine"
READS: Final = (
    "iam:GetUser",
    "iam:GetUserPolicy",
    "iam:ListAccessKeys",
    "iam:GetLoginProfile",
    "iam:ListMFADevices",
)


class QuarantineUserParams(Model):
    """Parameters of ``aws.iam.quarantine-user``."""

    user_name: UserName


class AccessKey(Model):
    """An access key of the user."""

    access_key_id: str
    status: str


class QuarantineUserState(State):
    """The user, the policy of our name, and the user's credentials."""

    user_name: str
    user_arn: str
    policy: Document | None
    access_keys: tuple[AccessKey, ...]
    console_password: bool
    mfa_devices: tuple[str, ...]
    own: bool = False
    """Whether irrunner itself runs with the user's keys."""

    def footprint(self) -> dict[str, Any]:
        """Return the policy of our name."""
        return {} if self.policy is None else {f"{self.user_arn}/policy/{POLICY_NAME}": self.policy}


class QuarantineUserOutputs(Model):
    """Outputs of ``aws.iam.quarantine-user``."""

    user_name: str
    user_arn: str
    policy_name: str
    access_keys: list[AccessKey]
    active_key_ids: list[str]
    console_password: bool
    mfa_devices: list[str]
    """A device that the attacker registered is among them, if there is one."""


@action(
    "aws.iam.quarantine-user",
    title="Deny an IAM user everything",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(
        *on("user", "user_name", "look", *READS),
        *on("user", "user_name", "act", "iam:PutUserPolicy"),
        *on("user", "user_name", "undo", "iam:PutUserPolicy", "iam:DeleteUserPolicy"),
    ),
    undo=UndoPolicy.RELEASE,
    undo_note="Deletes the deny policy, or puts back the one before it; only with --release-credentials.",
    timeout_s=120.0,
    consistency_s=30.0,
    sources=(
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPolicy.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_disable-perms.html",
    ),
)
class QuarantineUser(Action[QuarantineUserParams, QuarantineUserState]):
    """Put a deny-all inline policy and read it back as JSON."""

    Params = QuarantineUserParams
    Outputs = QuarantineUserOutputs
    StateModel = QuarantineUserState

    def look(self, ctx: LookContext, params: QuarantineUserParams) -> QuarantineUserState:
        """Describe the user, its credentials and the policy of our name."""
        name = params.user_name
        user = ctx.api.call("iam:GetUser", UserName=name)["User"]
        keys = ctx.api.pages("iam:ListAccessKeys", "AccessKeyMetadata", UserName=name)
        devices = ctx.api.pages("iam:ListMFADevices", "MFADevices", UserName=name)
        return QuarantineUserState(
            user_name=name,
            user_arn=user["Arn"],
            policy=inline_policy(ctx.api, "iam:GetUserPolicy", UserName=name, PolicyName=POLICY_NAME),
            access_keys=tuple(
                AccessKey(access_key_id=key["AccessKeyId"], status=key["Status"]) for key in keys
            ),
            console_password=has_password(ctx, name),
            mfa_devices=tuple(sorted(device["SerialNumber"] for device in devices)),
            own=is_own_user(ctx, name),
        )

    def decide(self, params: QuarantineUserParams, state: QuarantineUserState) -> Decision:
        """Put the policy unless exactly it is there."""
        if state.own:
            return Refused(f"irrunner itself runs with the keys of {state.user_name}: {OWN}")
        wanted = deny_all()
        if state.policy == wanted:
            warning = f"roles that {state.user_name} assumed before keep their sessions: revoke those too"
            return Settled(_outputs(state), (warning,))
        return Act((_put(state, wanted, f"Deny {state.user_name} everything"),))

    def foresee(self, params: QuarantineUserParams, state: QuarantineUserState, step: str) -> PlannedOutputs:
        """Return the outputs: all of them are known."""
        return PlannedOutputs({} if state.own else _outputs(state).model_dump(mode="json"))

    def targets(self, params: QuarantineUserParams, where: Where) -> tuple[str, ...]:
        """Return the user."""
        return (f"arn:{where.partition}:iam::{where.account_id}:user/{params.user_name}",)

    def undo_calls(
        self,
        params: QuarantineUserParams,
        before: QuarantineUserState,
        after: QuarantineUserState,
        now: QuarantineUserState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Delete the policy, or put back the one that had its name."""
        if not keys:
            return ()
        if before.policy is not None:
            return (_put(now, before.policy, f"Put back the policy {POLICY_NAME} of {now.user_name}"),)
        return (
            Call(
                operation="iam:DeleteUserPolicy",
                params={"UserName": now.user_name, "PolicyName": POLICY_NAME},
                target=now.user_arn,
                summary=f"Delete the inline policy {POLICY_NAME} of {now.user_name}",
                before=now.policy,
                tolerate=("NoSuchEntity",),
            ),
        )


def deny_all() -> Document:
    """Return the quarantine policy: short, for a user's inline policies share 2,048 characters."""
    statement = {"Sid": STATEMENT, "Effect": "Deny", "Action": "*", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _put(state: QuarantineUserState, policy: Document, summary: str) -> Call:
    return Call(
        operation="iam:PutUserPolicy",
        params={"UserName": state.user_name, "PolicyName": POLICY_NAME, "PolicyDocument": text_of(policy)},
        target=state.user_arn,
        summary=summary,
        before=state.policy,
        after=policy,
    )


def _outputs(state: QuarantineUserState) -> QuarantineUserOutputs:
    return QuarantineUserOutputs(
        user_name=state.user_name,
        user_arn=state.user_arn,
        policy_name=POLICY_NAME,
        access_keys=list(state.access_keys),
        active_key_ids=[key.access_key_id for key in state.access_keys if key.status == "Active"],
        console_password=state.console_password,
        mfa_devices=list(state.mfa_devices),
    )
