"""``aws.iam.restrict-role-trust``: let nobody (from outside, or at all) assume a role any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from irrunner.actions.contract import Call, LookContext, Model, Refused, Where
from irrunner.actions.iam.documents import Document, on, statements_of, text_of
from irrunner.actions.iam.functions import LIST_FUNCTIONS, functions_of
from irrunner.actions.iam.own import is_own_role
from irrunner.actions.iam.role_users import USERS_PERMISSIONS, Role, RoleUsers, read_role, read_users
from irrunner.actions.ids import RoleName
from irrunner.actions.registry import action
from irrunner.actions.setting import SetValue, ValueState
from irrunner.vocabulary import Phase, Risk, UndoPolicy

STATEMENT: Final = "IrrunnerRestrictTrust"
LIMIT_CHARACTERS: Final = 2_048
"""Of a trust policy, without white space; the quota can be raised to 4,096.

Source: IAM user guide, "IAM and AWS STS quotas".
"""
ASSUME: Final = ["sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"]


class RestrictRoleTrustParams(Model):
    """Parameters of ``aws.iam.restrict-role-trust``."""

    role_name: RoleName
    mode: Literal["deny-external", "deny-all"] = "deny-external"
    """``deny-external``: principals of other accounts, and identity providers. ``deny-all``: everybody,
    instances and functions too."""


class TrustState(ValueState):
    """The role; the value is its trust policy."""

    role: Role
    users: RoleUsers
    functions: tuple[str, ...]
    functions_known: bool
    account_id: str
    own: bool
    """Whether irrunner itself acts by it."""


class RestrictRoleTrustOutputs(Model):
    """Outputs of ``aws.iam.restrict-role-trust``."""

    role_name: str
    role_arn: str
    mode: str
    principals: list[str]
    """Whom the trust policy named before, beside EC2."""
    instance_ids: list[str]
    """Instances that have the role; with ``deny-all`` they get no new session."""
    function_names: list[str]
    """Functions of the Region that have the role; with ``deny-all`` they fail once their session ends."""


@action(
    "aws.iam.restrict-role-trust",
    title="Stop a role from being assumed",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(
        *USERS_PERMISSIONS,
        LIST_FUNCTIONS,
        *on("role", "role_name", "act", "iam:UpdateAssumeRolePolicy"),
        *on("role", "role_name", "undo", "iam:UpdateAssumeRolePolicy"),
    ),
    undo=UndoPolicy.RELEASE,
    undo_note="Puts the trust policy of before back; only with --release-credentials.",
    timeout_s=120.0,
    consistency_s=30.0,
    sources=(
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAssumeRolePolicy.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html",
    ),
)
class RestrictRoleTrust(SetValue[RestrictRoleTrustParams, TrustState]):
    """Append an explicit deny to the trust policy: it wins over every allow, and the rest stays legible."""

    Params = RestrictRoleTrustParams
    Outputs = RestrictRoleTrustOutputs
    StateModel = TrustState

    def look(self, ctx: LookContext, params: RestrictRoleTrustParams) -> TrustState:
        """Describe the role, its trust policy and who lives on it."""
        role = read_role(ctx, params.role_name)
        functions = functions_of(ctx, role.role_arn)
        return TrustState(
            target=role.role_arn,
            value=role.trust,
            role=role,
            users=read_users(ctx, role, ctx.settings.regions),
            functions=functions or (),
            functions_known=functions is not None,
            account_id=ctx.where.account_id,
            own=is_own_role(ctx, params.role_name),
        )

    def refusal(self, params: RestrictRoleTrustParams, state: TrustState) -> Refused | None:
        """Refuse roles that AWS keeps for itself, our own, and documents over the quota."""
        reason = unchangeable(state.role)
        if state.own:
            reason = f"{params.role_name} is irrunner's own role: without it nothing could be undone"
        if "unreadable" in state.value:
            reason = f"the trust policy of {params.role_name} is no JSON: change it by hand"
        size = _size(self.wanted(params, state))
        if reason is None and size > LIMIT_CHARACTERS and state.value != self.wanted(params, state):
            reason = (
                f"the trust policy of {params.role_name} with a deny has {size} characters, over the quota of"
                f" {LIMIT_CHARACTERS}: use mode deny-all, which can replace it"
            )
        return Refused(reason) if reason else None

    def wanted(self, params: RestrictRoleTrustParams, state: TrustState) -> Document:
        """Return the trust policy with our deny; for everybody, the deny alone where both are too long."""
        deny = denial(params.mode, state.account_id)
        kept = [item for item in statements_of(state.value) if not _is_ours(item)]
        extended = {"Version": "2012-10-17", **state.value, "Statement": [*kept, deny]}
        if params.mode == "deny-all" and _size(extended) > LIMIT_CHARACTERS:
            return {"Version": "2012-10-17", "Statement": [deny]}
        return extended

    def write(self, params: RestrictRoleTrustParams, state: TrustState, value: Any) -> tuple[Call, ...]:
        """Write a trust policy."""
        name = state.role.role_name
        restricts = any(_is_ours(item) for item in statements_of(value))
        return (
            Call(
                operation="iam:UpdateAssumeRolePolicy",
                params={"RoleName": name, "PolicyDocument": text_of(value)},
                target=state.target,
                summary=f"{'Deny' if restricts else 'Put back'} who may assume {name}",
                before=state.value,
                after=value,
            ),
        )

    def outputs(self, params: RestrictRoleTrustParams, state: TrustState) -> RestrictRoleTrustOutputs:
        """Return whom it hits."""
        return RestrictRoleTrustOutputs(
            role_name=state.role.role_name,
            role_arn=state.role.role_arn,
            mode=params.mode,
            principals=list(state.users.principals),
            instance_ids=list(state.users.instance_ids),
            function_names=list(state.functions),
        )

    def warnings(self, params: RestrictRoleTrustParams, state: TrustState) -> tuple[str, ...]:
        """Say what lives on, and who cannot renew."""
        alive = f"sessions of {state.role.role_name} issued before stay valid until they end"
        warnings = [f"{alive}: revoke them (aws.iam.revoke-role-sessions)"]
        hit = [*state.users.instance_ids, *state.functions]
        if params.mode == "deny-all" and hit:
            warnings.append(f"cannot renew their session any more: {', '.join(hit)}")
        if params.mode == "deny-external" and hit:
            warnings.append(f"still get sessions, from inside the account: {', '.join(hit)}")
        if not state.functions_known:
            warnings.append("whether Lambda functions have the role is not known: access denied")
        return tuple(warnings)

    def targets(self, params: RestrictRoleTrustParams, where: Where) -> tuple[str, ...]:
        """Return the role."""
        return (f"arn:{where.partition}:iam::{where.account_id}:role/{params.role_name}",)


def unchangeable(role: Role) -> str | None:
    """Return why a role's policies cannot be changed, and what to do instead; None where they can.

    The path decides, which AWS alone can give: an intruder may call a role of his like one of AWS's.
    """
    if role.path.startswith("/aws-reserved/"):
        return (
            f"{role.role_name} belongs to IAM Identity Center, which keeps its policies: remove the account"
            " assignment (aws.sso-admin.remove-account-assignment), and revoke the sessions by the"
            " permission set (aws.sso-admin.revoke-permission-set-sessions)"
        )
    if role.path.startswith("/aws-service-role/"):
        return (
            f"{role.role_name} is a service-linked role: its policies cannot be changed and its sessions"
            " are the service's own; contain the resource that the service works for"
        )
    return None


def denial(mode: str, account_id: str) -> dict[str, Any]:
    """Return the statement that denies a role to everybody, or to everybody outside the account.

    A negated operator is true where its key is missing: ``aws:PrincipalAccount`` is missing for callers who
    come by an identity provider, so they count as outside. AWS services (EC2, Lambda) are spared.

    Source: IAM user guide, "IAM JSON policy elements: Condition operators"; "AWS global condition context
    keys" (aws:PrincipalAccount, aws:PrincipalIsAWSService).
    """
    statement: dict[str, Any] = {"Sid": STATEMENT, "Effect": "Deny", "Principal": "*", "Action": ASSUME}
    if mode == "deny-all":
        return statement
    outside = {
        "StringNotEquals": {"aws:PrincipalAccount": account_id},
        "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
    }
    return statement | {"Condition": outside}


def _is_ours(statement: Any) -> bool:
    return isinstance(statement, Mapping) and statement.get("Sid") == STATEMENT


def _size(document: Document) -> int:
    return len("".join(text_of(document).split()))
