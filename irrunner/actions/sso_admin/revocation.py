"""``aws.sso-admin.revoke-permission-set-sessions``: deny every session that a permission set has issued.

The role in the account belongs to Identity Center, which overwrites its policies. So the deny goes into the
permission set's inline policy, merged with what is there, and Identity Center writes it onto the role; that
it has is read from the role itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

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
    Waiting,
    Where,
)
from irrunner.actions.iam.documents import Document, decoded, inline_policy, text_of
from irrunner.actions.iam.role_sessions import CLOCK_SKEW, cut_off_text
from irrunner.actions.ids import Instant
from irrunner.actions.registry import action
from irrunner.actions.sso_admin.center import (
    API,
    PROVISIONINGS,
    OnePermissionSet,
    PermissionSet,
    changes,
    find_permission_set,
    latest,
    looks,
)
from irrunner.actions.sso_admin.denial import cut_off_in, merged, seconds_of
from irrunner.clock import parse_iso
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

ROLE_POLICY: Final = "AwsSSOInlinePolicy"
"""What Identity Center calls the permission set's inline policy on the role."""
ROLE_PATH: Final = "/aws-reserved/sso.amazonaws.com/"
LIMIT_CHARACTERS: Final = 10_240
"""Source: Identity Center user guide, "AWS IAM Identity Center quotas"; IAM, inline policies of a role."""
SETTLING: Final = timedelta(minutes=1)
"""How long IAM may hide what Identity Center has provisioned."""


class RevokePermissionSetParams(OnePermissionSet):
    """Parameters of ``aws.sso-admin.revoke-permission-set-sessions``."""

    issued_before: Instant | None = None
    """Deny sessions issued before this; none, or an instant to come: before the step began."""


class RevokePermissionSetState(State):
    """The permission set's inline policy, and the one of the role in the incident's account."""

    region: str
    instance_arn: str
    permission_set_arn: str
    permission_set_name: str
    session_s: int
    account_id: str
    policy: Document | None
    role_name: str
    """Empty: the permission set is not provisioned in the account."""
    role_arn: str
    role_policy: Document | None
    cut_off: str
    provisioning: str
    """``IN_PROGRESS FAILED SUCCEEDED``; empty: none since the step began."""
    failure: str
    other_accounts: int

    def footprint(self) -> dict[str, Any]:
        """Return the inline policy of the permission set and of the role."""
        return {self.permission_set_arn: self.policy, f"{self.role_arn}/{ROLE_POLICY}": self.role_policy}


class RevokePermissionSetOutputs(Model):
    """Outputs of ``aws.sso-admin.revoke-permission-set-sessions``."""

    permission_set_arn: str
    permission_set_name: str
    account_id: str
    role_arn: str
    cut_off: str
    hold_until: str
    """Not before this may the deny go: the last revoked session has expired then."""


@action(
    "aws.sso-admin.revoke-permission-set-sessions",
    title="Revoke the sessions of a permission set in the account",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(
        *looks(
            "GetInlinePolicyForPermissionSet",
            "ListAccountsForProvisionedPermissionSet",
            "ListPermissionSetProvisioningStatus",
            "DescribePermissionSetProvisioningStatus",
        ),
        Permission("iam:ListRoles"),
        Permission("iam:GetRolePolicy", f"arn:{{partition}}:iam::{{account}}:role{ROLE_PATH}*"),
        *changes("act", "PutInlinePolicyToPermissionSet", "ProvisionPermissionSet"),
        *changes(
            "undo",
            "PutInlinePolicyToPermissionSet",
            "DeleteInlinePolicyFromPermissionSet",
            "ProvisionPermissionSet",
        ),
    ),
    undo=UndoPolicy.HOLD,
    undo_note="Puts the inline policy of before back, once the last revoked session has expired.",
    timeout_s=900.0,
    consistency_s=30.0,
    sources=(
        f"{API}/API_PutInlinePolicyToPermissionSet.html",
        f"{API}/API_ProvisionPermissionSet.html",
        "https://docs.aws.amazon.com/singlesignon/latest/userguide/useraccess.html",
        "https://docs.aws.amazon.com/singlesignon/latest/userguide/limits.html",
    ),
)
class RevokePermissionSetSessions(Action[RevokePermissionSetParams, RevokePermissionSetState]):
    """Put the deny into the permission set, provision the account, and read it back from the role."""

    Params = RevokePermissionSetParams
    Outputs = RevokePermissionSetOutputs
    StateModel = RevokePermissionSetState

    def look(self, ctx: LookContext, params: RevokePermissionSetParams) -> RevokePermissionSetState:
        """Read both policies and what Identity Center is about to do."""
        found = find_permission_set(ctx, params)
        names = {"InstanceArn": found.instance_arn, "PermissionSetArn": found.arn}
        inline = found.api.call("sso-admin:GetInlinePolicyForPermissionSet", **names).get("InlinePolicy")
        accounts = found.api.pages("sso-admin:ListAccountsForProvisionedPermissionSet", "AccountIds", **names)
        role = _role_of(ctx, found)
        request = _provisioning(ctx, found)
        latest_cut = ctx.started + CLOCK_SKEW
        before = min(parse_iso(params.issued_before), latest_cut) if params.issued_before else latest_cut
        return RevokePermissionSetState(
            region=found.region,
            instance_arn=found.instance_arn,
            permission_set_arn=found.arn,
            permission_set_name=found.name,
            session_s=seconds_of(found.session_duration),
            account_id=ctx.where.account_id,
            policy=decoded(inline) if inline else None,
            role_name=role.get("RoleName", ""),
            role_arn=role.get("Arn", ""),
            role_policy=_role_policy(ctx, role),
            cut_off=cut_off_text(before),
            provisioning=str(request.get("Status") or ""),
            failure=str(request.get("FailureReason") or ""),
            other_accounts=len(set(accounts) - {ctx.where.account_id}),
        )

    def decide(self, params: RevokePermissionSetParams, state: RevokePermissionSetState) -> Decision:
        """Put the deny where an equal or later one is missing, and provision where the role lacks it."""
        refusal = _refusal(state)
        if refusal is not None:
            return refusal
        there = cut_off_in(state.policy)
        if there is None or there < parse_iso(state.cut_off):
            return Act((_put(state, merged(state.policy, state.cut_off)), _provision(state)))
        on_role = cut_off_in(state.role_policy)
        if on_role is not None and on_role >= there:
            return Settled(_outputs(state, there), _warnings(state))
        if state.provisioning == "FAILED":
            return Broken(f"Identity Center could not provision {state.account_id}: {state.failure}")
        if state.provisioning:
            return Waiting(f"Identity Center is provisioning {state.permission_set_name}", poll_s=3.0)
        return Act((_provision(state),))

    def foresee(
        self, params: RevokePermissionSetParams, state: RevokePermissionSetState, step: str
    ) -> PlannedOutputs:
        """Return the outputs with the cut-off as of the plan; the run has its own."""
        if _refusal(state) is not None:
            return PlannedOutputs({})
        return PlannedOutputs(_outputs(state, parse_iso(state.cut_off)).model_dump(mode="json"))

    def targets(self, params: RevokePermissionSetParams, where: Where) -> tuple[str, ...]:
        """Return the permission set, or the role that names it."""
        role = f"arn:{where.partition}:iam::{where.account_id}:role{ROLE_PATH}{params.role_name}"
        return (params.permission_set_arn or role,)

    def undo_calls(
        self,
        params: RevokePermissionSetParams,
        before: RevokePermissionSetState,
        after: RevokePermissionSetState,
        now: RevokePermissionSetState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Put the inline policy back and provision; nothing where somebody else has changed it since."""
        if now.permission_set_arn in keys:
            return (_put(now, before.policy), _provision(now))
        return (_provision(now),) if keys and now.policy == before.policy else ()

    def hold_until(
        self,
        params: RevokePermissionSetParams,
        before: RevokePermissionSetState,
        after: RevokePermissionSetState,
    ) -> datetime | None:
        """Return when the last session issued before the cut-off has expired."""
        cut_off = cut_off_in(after.policy)
        longest = timedelta(seconds=max(before.session_s, after.session_s))
        return None if cut_off is None else cut_off + longest


def _role_of(ctx: LookContext, found: PermissionSet) -> Mapping[str, Any]:
    named = re.compile(rf"AWSReservedSSO_{re.escape(found.name)}_[0-9a-f]{{16}}")
    roles = ctx.api.pages("iam:ListRoles", "Roles", PathPrefix=ROLE_PATH)
    return next((role for role in roles if named.fullmatch(role["RoleName"])), {})


def _role_policy(ctx: LookContext, role: Mapping[str, Any]) -> Document | None:
    if not role:
        return None
    return inline_policy(ctx.api, "iam:GetRolePolicy", RoleName=role["RoleName"], PolicyName=ROLE_POLICY)


def _provisioning(ctx: LookContext, found: PermissionSet) -> Mapping[str, Any]:
    def is_ours(detail: Mapping[str, Any]) -> bool:
        told = (detail.get("PermissionSetArn"), detail.get("AccountId"))
        return told == (found.arn, ctx.where.account_id)

    try:
        request = latest(found, PROVISIONINGS, ctx.started, is_ours, ("IN_PROGRESS", "FAILED", "SUCCEEDED"))
    except TargetNotFound:
        return {}
    settled = request.get("Status") == "SUCCEEDED" and ctx.now - request["CreatedDate"] > SETTLING
    return {} if settled else request


def _refusal(state: RevokePermissionSetState) -> Refused | None:
    name = state.permission_set_name
    if not state.role_arn:
        return Refused(
            f"{name} is not provisioned in {state.account_id}: it has no role there, and no sessions",
            nothing_to_do=True,
        )
    if state.policy and "unreadable" in state.policy:
        return Refused(f"the inline policy of {name} is no JSON: change it by hand")
    size = len(text_of(merged(state.policy, state.cut_off)))
    if size > LIMIT_CHARACTERS:
        return Refused(
            f"the inline policy of {name} has no room for the deny ({size} of {LIMIT_CHARACTERS} characters):"
            " remove the account assignment, and move statements into a managed policy"
        )
    return None


def _put(state: RevokePermissionSetState, policy: Document | None) -> Call:
    names = {"InstanceArn": state.instance_arn, "PermissionSetArn": state.permission_set_arn}
    given = {} if policy is None else {"InlinePolicy": text_of(policy)}
    verb = "DeleteInlinePolicyFrom" if policy is None else "PutInlinePolicyTo"
    return Call(
        operation=f"sso-admin:{verb}PermissionSet",
        params={**names, **given},
        target=state.permission_set_arn,
        summary=f"{'Delete' if policy is None else 'Write'} the inline policy of {state.permission_set_name}",
        before=state.policy,
        after=policy,
        scope="management",
        region=state.region,
    )


def _provision(state: RevokePermissionSetState) -> Call:
    return Call(
        operation="sso-admin:ProvisionPermissionSet",
        params={
            "InstanceArn": state.instance_arn,
            "PermissionSetArn": state.permission_set_arn,
            "TargetType": "AWS_ACCOUNT",
            "TargetId": state.account_id,
        },
        target=state.role_arn,
        summary=f"Provision {state.permission_set_name} in {state.account_id}",
        scope="management",
        region=state.region,
    )


def _outputs(state: RevokePermissionSetState, cut_off: datetime) -> RevokePermissionSetOutputs:
    return RevokePermissionSetOutputs(
        permission_set_arn=state.permission_set_arn,
        permission_set_name=state.permission_set_name,
        account_id=state.account_id,
        role_arn=state.role_arn,
        cut_off=cut_off_text(cut_off),
        hold_until=cut_off_text(cut_off + timedelta(seconds=state.session_s)),
    )


def _warnings(state: RevokePermissionSetState) -> tuple[str, ...]:
    warnings = [f"everybody who works with {state.permission_set_name} must sign in again"]
    if state.other_accounts:
        warnings.append(
            f"sessions in {state.other_accounts} other accounts with the permission set stay valid:"
            " the deny gets there only when it is provisioned there too"
        )
    return tuple(warnings)
