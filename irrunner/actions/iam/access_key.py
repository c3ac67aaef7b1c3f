"""``aws.iam.deactivate-access-key``: switch a long-term key off; never delete it, its history is evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from irrunner.actions.contract import (
    Act,
    Action,
    Broken,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    Refused,
    Settled,
    State,
    Where,
)
from irrunner.actions.iam.own import OWN, is_own_user
from irrunner.actions.ids import AccessKeyId, UserName
from irrunner.actions.registry import action
from irrunner.actions.runtime import protected_target
from irrunner.clock import iso
from irrunner.errors import ActionDenied
from irrunner.vocabulary import Phase, Risk, UndoPolicy

TEMPORARY = "ASIA"
_USERS = "arn:{partition}:iam::{account}:user/*"


class DeactivateAccessKeyParams(Model):
    """Parameters of ``aws.iam.deactivate-access-key``."""

    access_key_id: AccessKeyId
    user_name: UserName | None = None
    """Whose key it should be; without it, IAM is asked."""


class DeactivateAccessKeyState(State):
    """The key, its user, and the user's other keys."""

    access_key_id: str
    user_name: str | None
    """None: the root user's key, or a temporary one."""
    status: str | None
    """None: the user has no such key."""
    last_used_at: str = ""
    last_used_service: str = ""
    last_used_region: str = ""
    other_active_keys: tuple[str, ...] = ()
    user_protected: bool = False
    own: bool = False
    """Whether irrunner itself runs with the user's keys."""

    def footprint(self) -> dict[str, Any]:
        """Return the key's status."""
        return {} if self.status is None else {self.access_key_id: self.status}


class DeactivateAccessKeyOutputs(Model):
    """Outputs of ``aws.iam.deactivate-access-key``."""

    access_key_id: str
    user_name: str
    status: str
    last_used_at: str
    """Empty: never used, as far as IAM knows."""
    last_used_service: str
    last_used_region: str
    other_active_keys: list[str]


@action(
    "aws.iam.deactivate-access-key",
    title="Deactivate an IAM user's access key",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(
        Permission("iam:GetAccessKeyLastUsed", _USERS),
        Permission("iam:ListAccessKeys", _USERS),
        Permission("iam:UpdateAccessKey", _USERS, use="act"),
        Permission("iam:UpdateAccessKey", _USERS, use="undo"),
    ),
    undo=UndoPolicy.RELEASE,
    undo_note="Activates the key again, if it was active; only with --release-credentials.",
    timeout_s=120.0,
    consistency_s=30.0,
    sources=(
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html",
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccessKeyLastUsed.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_disable-perms.html",
    ),
)
class DeactivateAccessKey(Action[DeactivateAccessKeyParams, DeactivateAccessKeyState]):
    """Set a key to ``Inactive`` and read it back."""

    Params = DeactivateAccessKeyParams
    Outputs = DeactivateAccessKeyOutputs
    StateModel = DeactivateAccessKeyState

    def look(self, ctx: LookContext, params: DeactivateAccessKeyParams) -> DeactivateAccessKeyState:
        """Find the key's user and last use, then the status of all keys of the user."""
        key_id = params.access_key_id
        if key_id.startswith(TEMPORARY):
            return DeactivateAccessKeyState(access_key_id=key_id, user_name=None, status=None)
        answer = _last_used(ctx, params)
        user_name = answer.get("UserName") or None
        keys = (
            ctx.api.pages("iam:ListAccessKeys", "AccessKeyMetadata", UserName=user_name) if user_name else []
        )
        statuses = {key["AccessKeyId"]: key["Status"] for key in keys}
        return DeactivateAccessKeyState(
            access_key_id=key_id,
            user_name=user_name,
            status=statuses.get(key_id),
            other_active_keys=tuple(
                sorted(other for other, status in statuses.items() if status == "Active" and other != key_id)
            ),
            user_protected=_is_protected(ctx, user_name),
            own=is_own_user(ctx, user_name),
            **_last_use(answer.get("AccessKeyLastUsed") or {}),
        )

    def decide(self, params: DeactivateAccessKeyParams, state: DeactivateAccessKeyState) -> Decision:
        """Deactivate an active key of the right user."""
        refusal = _refusal(params, state)
        if refusal:
            return Refused(refusal)
        if state.status is None:
            return Broken(
                f"{state.user_name} has no key {state.access_key_id} any more", code="target-not-found"
            )
        if state.status == "Active":
            return Act((_set_status(state, "Inactive"),))
        return Settled(_outputs(state, state.status), _warnings(state))

    def foresee(
        self, params: DeactivateAccessKeyParams, state: DeactivateAccessKeyState, step: str
    ) -> PlannedOutputs:
        """Return what the outputs will be: all of it is known."""
        decision = self.decide(params, state)
        if isinstance(decision, Act | Settled):
            status = "Inactive" if isinstance(decision, Act) else str(state.status)
            return PlannedOutputs(_outputs(state, status).model_dump(mode="json"))
        return PlannedOutputs({})

    def targets(self, params: DeactivateAccessKeyParams, where: Where) -> tuple[str, ...]:
        """Return the key's id, and the user where the playbook names it."""
        user = f"arn:{where.partition}:iam::{where.account_id}:user/{params.user_name}"
        return (params.access_key_id, user) if params.user_name else (params.access_key_id,)

    def undo_calls(
        self,
        params: DeactivateAccessKeyParams,
        before: DeactivateAccessKeyState,
        after: DeactivateAccessKeyState,
        now: DeactivateAccessKeyState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Give the key the status that it had."""
        return (_set_status(now, before.status),) if before.status and keys else ()


def _last_used(ctx: LookContext, params: DeactivateAccessKeyParams) -> Mapping[str, Any]:
    """Ask whose the key is and when it was used.

    AWS answers ``AccessDenied`` for a key that does not exist, as for one that we may not ask about. Where
    the user is named, its list of keys tells which of the two it is.

    Source: IAM API reference, GetAccessKeyLastUsed; observed by users, not documented there.
    """
    try:
        return ctx.api.call("iam:GetAccessKeyLastUsed", AccessKeyId=params.access_key_id)
    except ActionDenied as problem:
        if params.user_name is None:
            hint = f"{problem.hint}; AWS says the same of a key that does not exist (any more)"
            raise ActionDenied(problem.message, hint=hint, **problem.detail) from problem
        return {"UserName": params.user_name}


def _is_protected(ctx: LookContext, user_name: str | None) -> bool:
    """Return whether the configuration protects the user, whom the parameters may not name."""
    arn = f"arn:{ctx.where.partition}:iam::{ctx.where.account_id}:user/{user_name}"
    return protected_target((arn,), ctx.settings.protected) is not None


def _last_use(last: Mapping[str, Any]) -> dict[str, str]:
    used_at = last.get("LastUsedDate")
    if used_at is None:
        return {}
    return {
        "last_used_at": iso(used_at),
        "last_used_service": last.get("ServiceName") or "",
        "last_used_region": last.get("Region") or "",
    }


def _refusal(params: DeactivateAccessKeyParams, state: DeactivateAccessKeyState) -> str | None:
    key_id = params.access_key_id
    if key_id.startswith(TEMPORARY):
        return (
            f"{key_id} is a temporary credential, which has no off switch: revoke the sessions of its role"
            " (aws.iam.revoke-role-sessions), or quarantine the user who made it (aws.iam.quarantine-user)"
        )
    if state.user_name is None:
        return f"{key_id} belongs to no IAM user: a key of the root user is for its owner to deactivate"
    if params.user_name not in (None, state.user_name):
        return f"{key_id} is a key of {state.user_name}, not of {params.user_name}: check the finding"
    if state.own:
        return f"irrunner itself runs with the keys of {state.user_name}: {OWN}"
    if state.user_protected:
        return f"{state.user_name}, whose key {key_id} is, is protected by the configuration (protected:)"
    return None


def _set_status(state: DeactivateAccessKeyState, status: str) -> Call:
    return Call(
        operation="iam:UpdateAccessKey",
        params={"UserName": state.user_name, "AccessKeyId": state.access_key_id, "Status": status},
        target=state.access_key_id,
        summary=f"Set key {state.access_key_id} of {state.user_name} to {status}",
        before={"status": state.status},
        after={"status": status},
    )


def _outputs(state: DeactivateAccessKeyState, status: str) -> DeactivateAccessKeyOutputs:
    return DeactivateAccessKeyOutputs(
        access_key_id=state.access_key_id,
        user_name=str(state.user_name),
        status=status,
        last_used_at=state.last_used_at,
        last_used_service=state.last_used_service,
        last_used_region=state.last_used_region,
        other_active_keys=list(state.other_active_keys),
    )


def _warnings(state: DeactivateAccessKeyState) -> tuple[str, ...]:
    sessions = (
        "sessions made with the key (GetSessionToken, GetFederationToken) stay valid:"
        " only a deny on the user stops them (aws.iam.quarantine-user)"
    )
    if not state.other_active_keys:
        return (sessions,)
    return (sessions, f"{state.user_name} has other active keys: {', '.join(state.other_active_keys)}")
