"""``aws.iam.revoke-role-sessions``: deny every session of a role that was issued before now.

The deny must come *after* the role was taken from the instance: a host that still has it fetches a new
session at once. It stays until the last revoked session has expired; undo holds that long.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
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
from irrunner.actions.iam.documents import Document, inline_policy, on, text_of
from irrunner.actions.iam.own import is_own_role
from irrunner.actions.iam.role_trust import unchangeable
from irrunner.actions.iam.role_users import USERS_PERMISSIONS, Role, RoleUsers, read_role, read_users
from irrunner.actions.ids import InstanceId, RoleName
from irrunner.actions.registry import action
from irrunner.clock import parse_iso
from irrunner.vocabulary import Phase, Risk, UndoPolicy

POLICY_NAME: Final = "irrunner-revoke-older-sessions"
STATEMENT: Final = "IrrunnerRevokeOlderSessions"
CLOCK_SKEW: Final = timedelta(seconds=30)
"""How far this machine's clock may be behind AWS's, so that no stolen session slips through."""
INSTANCE_SESSION: Final = timedelta(hours=6)
"""Sessions of an instance profile may live longer than the role's MaxSessionDuration, which binds only
AssumeRole; the role of an instance has credentials of about six hours.

Source: IAM API reference, UpdateRole, parameter MaxSessionDuration (not for instances).
"""


class RevokeRoleSessionsParams(Model):
    """Parameters of ``aws.iam.revoke-role-sessions``."""

    role_name: RoleName
    instance_id: InstanceId | None = None
    """The instance of the incident, which ``shared_with`` leaves out."""


class RevokeRoleSessionsState(State):
    """The role, the revocation that it has, and the one that is wanted."""

    role: Role
    policy: Document | None
    cut_off: str
    """Sessions issued before this are to be denied, whole seconds, UTC."""
    users: RoleUsers
    own: bool = False
    """Whether irrunner itself acts by it."""

    def footprint(self) -> dict[str, Any]:
        """Return the policy of our name."""
        return {} if self.policy is None else {f"{self.role.role_arn}/policy/{POLICY_NAME}": self.policy}


class RevokeRoleSessionsOutputs(Model):
    """Outputs of ``aws.iam.revoke-role-sessions``."""

    role_name: str
    role_arn: str
    policy_name: str
    cut_off: str
    hold_until: str
    """Not before this may the policy go: the last revoked session has expired then."""
    shared_with: list[str]
    """Other instances of the Region that have the role, and other principals that may assume it."""


@action(
    "aws.iam.revoke-role-sessions",
    title="Revoke the sessions that a role has issued so far",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(
        *USERS_PERMISSIONS,
        *on("role", "role_name", "look", "iam:GetRolePolicy"),
        *on("role", "role_name", "act", "iam:PutRolePolicy"),
        *on("role", "role_name", "undo", "iam:PutRolePolicy", "iam:DeleteRolePolicy"),
    ),
    undo=UndoPolicy.HOLD,
    undo_note="Deletes the deny, or puts back the one before it, once the last revoked session has expired.",
    timeout_s=120.0,
    consistency_s=30.0,
    sources=(
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-tokenissuetime",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_update-role-settings.html",
    ),
)
class RevokeRoleSessions(Action[RevokeRoleSessionsParams, RevokeRoleSessionsState]):
    """Put an inline deny on ``aws:TokenIssueTime`` and read it back as JSON."""

    Params = RevokeRoleSessionsParams
    Outputs = RevokeRoleSessionsOutputs
    StateModel = RevokeRoleSessionsState

    def look(self, ctx: LookContext, params: RevokeRoleSessionsParams) -> RevokeRoleSessionsState:
        """Describe the role, its revocation and its users; the cut-off is stable over a resume."""
        role = read_role(ctx, params.role_name)
        policy = inline_policy(
            ctx.api, "iam:GetRolePolicy", RoleName=params.role_name, PolicyName=POLICY_NAME
        )
        return RevokeRoleSessionsState(
            role=role,
            policy=policy,
            cut_off=cut_off_text(ctx.started + CLOCK_SKEW),
            users=read_users(ctx, role, ctx.settings.regions),
            own=is_own_role(ctx, params.role_name),
        )

    def decide(self, params: RevokeRoleSessionsParams, state: RevokeRoleSessionsState) -> Decision:
        """Put the deny unless one with this or a later cut-off is there."""
        refusal = _refusal(state)
        if refusal:
            return Refused(refusal)
        there = cut_off_of(state.policy)
        if there is None or there < parse_iso(state.cut_off):
            summary = f"Deny the sessions of {state.role.role_name} issued before {state.cut_off}"
            return Act((_put(state, revocation(state.cut_off), summary),))
        return Settled(_outputs(params, state, there), _warnings(params, state))

    def foresee(
        self, params: RevokeRoleSessionsParams, state: RevokeRoleSessionsState, step: str
    ) -> PlannedOutputs:
        """Return the outputs with the cut-off as of the plan; the run has its own."""
        if _refusal(state):
            return PlannedOutputs({})
        return PlannedOutputs(_outputs(params, state, parse_iso(state.cut_off)).model_dump(mode="json"))

    def targets(self, params: RevokeRoleSessionsParams, where: Where) -> tuple[str, ...]:
        """Return the role."""
        return (f"arn:{where.partition}:iam::{where.account_id}:role/{params.role_name}",)

    def undo_calls(
        self,
        params: RevokeRoleSessionsParams,
        before: RevokeRoleSessionsState,
        after: RevokeRoleSessionsState,
        now: RevokeRoleSessionsState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Delete the deny, or put back the one that was there."""
        if not keys:
            return ()
        if before.policy is not None:
            return (_put(now, before.policy, f"Put back the policy {POLICY_NAME} of {now.role.role_name}"),)
        return (
            Call(
                operation="iam:DeleteRolePolicy",
                params={"RoleName": now.role.role_name, "PolicyName": POLICY_NAME},
                target=now.role.role_arn,
                summary=f"Delete the inline policy {POLICY_NAME} of {now.role.role_name}",
                before=now.policy,
                tolerate=("NoSuchEntity",),
            ),
        )

    def hold_until(
        self,
        params: RevokeRoleSessionsParams,
        before: RevokeRoleSessionsState,
        after: RevokeRoleSessionsState,
    ) -> datetime | None:
        """Return when the last session issued before the cut-off has expired."""
        cut_off = cut_off_of(after.policy)
        return None if cut_off is None else cut_off + max(_longest(before), _longest(after))


def cut_off_text(moment: datetime) -> str:
    """Return the moment for a policy: UTC, whole seconds, rounded up, ``Z``."""
    whole = moment.astimezone(UTC)
    if whole.microsecond:
        whole = whole.replace(microsecond=0) + timedelta(seconds=1)
    return whole.strftime("%Y-%m-%dT%H:%M:%SZ")


def revocation(cut_off: str) -> Document:
    """Return the policy that denies sessions issued before the cut-off."""
    statement = {
        "Sid": STATEMENT,
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": cut_off}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def cut_off_of(policy: Document | None) -> datetime | None:
    """Return the cut-off of a policy that is exactly a revocation of ours, else None."""
    try:
        statement = (policy or {})["Statement"][0]
        text = statement["Condition"]["DateLessThan"]["aws:TokenIssueTime"]
        cut_off = parse_iso(text)
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return cut_off if policy == revocation(text) else None


def _refusal(state: RevokeRoleSessionsState) -> str | None:
    if state.own:
        return (
            f"irrunner itself acts by {state.role.role_name}: the sessions of this very run would be denied;"
            " have a person revoke them once the run has ended"
        )
    return unchangeable(state.role)


def _longest(state: RevokeRoleSessionsState) -> timedelta:
    declared = timedelta(seconds=state.role.max_session_duration_s)
    return max(declared, INSTANCE_SESSION) if state.users.has_instance_profile else declared


def _put(state: RevokeRoleSessionsState, policy: Document, summary: str) -> Call:
    return Call(
        operation="iam:PutRolePolicy",
        params={
            "RoleName": state.role.role_name,
            "PolicyName": POLICY_NAME,
            "PolicyDocument": text_of(policy),
        },
        target=state.role.role_arn,
        summary=summary,
        before=state.policy,
        after=policy,
    )


def _shared_with(params: RevokeRoleSessionsParams, state: RevokeRoleSessionsState) -> list[str]:
    instances = [item for item in state.users.instance_ids if item != params.instance_id]
    return [*instances, *state.users.principals]


def _outputs(
    params: RevokeRoleSessionsParams, state: RevokeRoleSessionsState, cut_off: datetime
) -> RevokeRoleSessionsOutputs:
    return RevokeRoleSessionsOutputs(
        role_name=state.role.role_name,
        role_arn=state.role.role_arn,
        policy_name=POLICY_NAME,
        cut_off=cut_off_text(cut_off),
        hold_until=cut_off_text(cut_off + _longest(state)),
        shared_with=_shared_with(params, state),
    )


def _warnings(params: RevokeRoleSessionsParams, state: RevokeRoleSessionsState) -> tuple[str, ...]:
    warnings = []
    if params.instance_id in state.users.instance_ids:
        warnings.append(f"{params.instance_id} still has the role: it fetches a new session at once")
    shared = _shared_with(params, state)
    if shared:
        warnings.append(f"also revoked for {', '.join(shared)}: they need a new session")
    return tuple(warnings)
