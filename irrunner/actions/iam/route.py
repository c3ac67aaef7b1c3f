"""``aws.iam.route-credential``: what kind of credentials a finding speaks of, and what contains that kind.

The containment that works for one kind does nothing for another: a temporary key cannot be switched off, a
revocation does not bind a long-term key, nothing in an account binds its root user. Playbooks branch on
``kind``.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from irrunner.actions.contract import (
    Action,
    Decision,
    LookContext,
    Model,
    Permission,
    Settled,
    State,
    Where,
)
from irrunner.actions.iam.caller import Caller, claimed, known_by_key
from irrunner.actions.iam.credential_kinds import ROUTES, Kind
from irrunner.actions.iam.documents import statements_of
from irrunner.actions.iam.functions import LIST_FUNCTIONS, functions_of
from irrunner.actions.iam.role_users import Role, read_role, read_users
from irrunner.actions.iam.trail import LOOKUP
from irrunner.actions.iam.workloads import PERMISSIONS, SERVICES, Workload, workload_of
from irrunner.actions.ids import AccessKeyId, CallerArn
from irrunner.actions.registry import action
from irrunner.errors import ActionError
from irrunner.vocabulary import Phase, Risk, UndoPolicy

_ROLES = "arn:{partition}:iam::{account}:role/*"
_FEDERATED = frozenset({"AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"})


class RouteCredentialParams(Model):
    """Parameters of ``aws.iam.route-credential``: what a finding says; empty where it says nothing."""

    access_key_id: Literal[""] | AccessKeyId = ""
    principal_arn: Literal[""] | CallerArn = ""
    user_type: str = ""
    """``IAMUser AssumedRole FederatedUser Root ...``, as GuardDuty and CloudTrail say it."""
    user_name: str = ""
    principal_id: str = ""
    """``AROA...:i-0123``: behind the colon is the session's name."""

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if not (self.access_key_id or self.principal_arn or self.user_name or self.principal_id):
            raise ValueError("give access_key_id, principal_arn, user_name or principal_id")
        return self


class RouteCredentialState(State):
    """The caller, the role and workload behind it, and who else uses the role."""

    caller: Caller
    account_id: str
    management_account: bool | None
    """None: not known."""
    role: Role | None = None
    workload: Workload = Workload()
    shared_by: tuple[str, ...] = ()


class RefusedAction(Model):
    """An action that would do nothing here."""

    action: str
    reason: str


class RouteCredentialOutputs(Model):
    """Outputs of ``aws.iam.route-credential``; what does not apply is empty."""

    kind: Kind
    verified: bool
    """Whether AWS itself says so; else it rests on the finding's words or on a session's name."""
    account_id: str
    user_name: str
    role_name: str
    role_arn: str
    session_name: str
    """Chosen by the caller: for people to read, not to act on."""
    instance_id: str
    function_name: str
    task_arn: str
    issued_by: str
    """Who or what asked for the session: an AWS service or an ARN."""
    source_key_id: str
    """The key with which the session was asked for: it is compromised too."""
    recommended: list[str]
    """Ids of actions, in order."""
    refused: list[RefusedAction]
    advice: str
    shared_by: list[str]
    """Who else lives on the role: instances, functions, principals that may assume it."""
    event_ids: list[str]


@action(
    "aws.iam.route-credential",
    title="Find out what kind of credentials were used",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=(
        LOOKUP,
        LIST_FUNCTIONS,
        *PERMISSIONS,
        Permission("sts:GetAccessKeyInfo"),
        Permission("iam:GetAccessKeyLastUsed", "arn:{partition}:iam::{account}:user/*"),
        Permission("iam:GetRole", _ROLES),
        Permission("iam:ListInstanceProfilesForRole", _ROLES),
        Permission("ec2:DescribeIamInstanceProfileAssociations"),
        Permission("organizations:DescribeOrganization"),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="Reads only: there is nothing to put back.",
    timeout_s=180.0,
    sources=(
        "https://docs.aws.amazon.com/STS/latest/APIReference/API_GetAccessKeyInfo.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html",
        "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_disable-perms.html",
    ),
)
class RouteCredential(Action[RouteCredentialParams, RouteCredentialState]):
    """Ask STS, IAM and CloudTrail about the key; describe what a session's name points at."""

    Params = RouteCredentialParams
    Outputs = RouteCredentialOutputs
    StateModel = RouteCredentialState

    def look(self, ctx: LookContext, params: RouteCredentialParams) -> RouteCredentialState:
        """Find out who called, and what stands behind a role."""
        caller = claimed(params.principal_arn, params.user_type, params.user_name, params.principal_id)
        if params.access_key_id:
            caller = known_by_key(ctx, params.access_key_id, caller)
        own = ctx.where.account_id
        state = RouteCredentialState(
            caller=caller,
            account_id=own,
            management_account=_is_management(ctx) if caller.type == "Root" else None,
        )
        if caller.type != "AssumedRole" or caller.account_id not in {"", own} or not caller.name:
            return state
        return _with_role(ctx, state)

    def decide(self, params: RouteCredentialParams, state: RouteCredentialState) -> Decision:
        """Answer from the table."""
        kind = kind_of(params, state)
        route = ROUTES[kind]
        recommended, advice = list(route.recommended), route.advice
        if kind in {"root-key", "root-session"} and state.management_account:
            recommended = []
            advice += "; service control policies do not bind the management account"
        outputs = RouteCredentialOutputs(
            kind=kind,
            verified=_verified(kind, state),
            account_id=state.caller.account_id or state.account_id,
            user_name=state.caller.name if state.caller.type in {"IAMUser", "FederatedUser"} else "",
            role_name=state.role.role_name if state.role else "",
            role_arn=state.role.role_arn if state.role else "",
            session_name=state.caller.session_name,
            instance_id=state.workload.instance_id,
            function_name=state.workload.function_name,
            task_arn=state.workload.task_arn,
            issued_by=state.caller.issuer,
            source_key_id=state.caller.source_key_id,
            recommended=recommended,
            refused=[RefusedAction(action=i, reason=why) for i, why in (route.refused or {}).items()],
            advice=advice,
            shared_by=list(state.shared_by),
            event_ids=list(state.caller.events),
        )
        return Settled(outputs, _warnings(outputs, state))

    def targets(self, params: RouteCredentialParams, where: Where) -> tuple[str, ...]:
        """Return nothing: reads only."""
        return ()


def kind_of(params: RouteCredentialParams, state: RouteCredentialState) -> Kind:
    """Return the kind of credentials that a caller has."""
    caller = state.caller
    if caller.type == "Anonymous":
        return "anonymous"
    if caller.type == "AWSAccount" or caller.account_id not in {"", state.account_id}:
        return "other-account"
    if caller.type == "AWSService":
        return "service"
    temporary = params.access_key_id.startswith("ASIA")
    simple: dict[str, Kind] = {
        "IAMUser": "user-session" if temporary else "user-key",
        "Root": "root-session" if temporary or not params.access_key_id else "root-key",
        "FederatedUser": "federated-user",
    }
    if caller.type in simple:
        return simple[caller.type]
    return _kind_of_role(state) if state.role else "unknown"


def _kind_of_role(state: RouteCredentialState) -> Kind:
    role, caller = state.role, state.caller
    if role is None:
        return "unknown"
    if role.path.startswith("/aws-service-role/"):
        return "service-linked-role"
    if role.path.startswith("/aws-reserved/sso.amazonaws.com/"):
        return "identity-center"
    by_service = SERVICES.get(caller.service) or ("instance-role" if caller.on_instance else None)
    if workload := (state.workload.kind or by_service):
        return workload
    return "federated-role" if caller.issued_by in _FEDERATED or _only_federated(role) else "assumed-role"


def _only_federated(role: Role) -> bool:
    statements = statements_of(role.trust)
    allowing = [item for item in statements if isinstance(item, dict) and item.get("Effect") == "Allow"]
    return bool(allowing) and all(
        isinstance(item.get("Principal"), dict) and set(item["Principal"]) == {"Federated"}
        for item in allowing
    )


def _with_role(ctx: LookContext, state: RouteCredentialState) -> RouteCredentialState:
    role = read_role(ctx, state.caller.name)
    profiles = ctx.api.pages(
        "iam:ListInstanceProfilesForRole", "InstanceProfiles[].Arn", RoleName=role.role_name
    )
    workload = workload_of(ctx, state.caller, role, frozenset(profiles))
    users = read_users(ctx, role, ctx.settings.regions)
    functions = functions_of(ctx, role.role_arn) or ()
    shared = (
        *(item for item in users.instance_ids if item != workload.instance_id),
        *(item for item in functions if item != workload.function_name),
        *users.principals,
    )
    return state.model_copy(update={"role": role, "workload": workload, "shared_by": shared})


def _is_management(ctx: LookContext) -> bool | None:
    try:
        answer = ctx.api.call("organizations:DescribeOrganization")
    except ActionError:
        return None
    return bool(answer["Organization"]["MasterAccountId"] == ctx.where.account_id)


def _verified(kind: Kind, state: RouteCredentialState) -> bool:
    return kind in SERVICES.values() or state.caller.by_aws


def _warnings(outputs: RouteCredentialOutputs, state: RouteCredentialState) -> tuple[str, ...]:
    warnings = [state.workload.note] if state.workload.note else []
    if not outputs.verified and outputs.kind not in {"unknown", "anonymous"}:
        warnings.append(
            f"{outputs.kind} rests on the finding or on a session's name alone: let a person confirm it"
        )
    if outputs.shared_by and outputs.kind != "identity-center":
        warnings.append(f"the role is used by others too: {', '.join(outputs.shared_by)}")
    return tuple(warnings)
