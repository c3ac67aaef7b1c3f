"""``aws.sso-admin.remove-account-assignment``: take a user's (or group's) way into an account away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

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
    Settled,
    State,
    Waiting,
    Where,
)
from irrunner.actions.ids import IdentityCenterId, IdentityStoreUserName
from irrunner.actions.registry import action
from irrunner.actions.sso_admin.center import (
    API,
    CREATIONS,
    DELETIONS,
    OnePermissionSet,
    PermissionSet,
    changes,
    find_permission_set,
    groups_of,
    latest,
    looks,
    user_id_of,
)
from irrunner.errors import TargetConflict
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class RemoveAssignmentParams(OnePermissionSet):
    """Parameters of ``aws.sso-admin.remove-account-assignment``: the principal by id, or a user by name."""

    principal_id: Literal[""] | IdentityCenterId = ""
    """Of the user or group in the identity store."""
    principal_type: Literal["USER", "GROUP"] = "USER"
    user_name: Literal[""] | IdentityStoreUserName = ""
    """The user's name, which Identity Center gives to his sessions."""

    @model_validator(mode="after")
    def _names_a_principal(self) -> Self:
        if bool(self.principal_id) == bool(self.user_name):
            raise ValueError("give principal_id or user_name, not both")
        if self.user_name and self.principal_type != "USER":
            raise ValueError("a group is given by its principal_id")
        return self


class RemoveAssignmentState(State):
    """The assignment to the incident's account."""

    region: str
    instance_arn: str
    permission_set_arn: str
    permission_set_name: str
    account_id: str
    principal_id: str
    principal_type: str
    assigned: bool
    deleting: bool
    failure: str
    """Why AWS could not delete it, since the step began."""
    others: tuple[str, ...]
    """Who else has the permission set there: ``GROUP 1234-...``."""
    groups: tuple[str, ...] | None
    """Those of them that the user is in; None: not known."""

    def footprint(self) -> dict[str, bool]:
        """Return whether it is assigned."""
        return {f"{self.permission_set_arn}/{self.principal_id}/{self.account_id}": self.assigned}


class RemoveAssignmentOutputs(Model):
    """Outputs of ``aws.sso-admin.remove-account-assignment``."""

    account_id: str
    permission_set_arn: str
    permission_set_name: str
    principal_id: str
    still_assigned: list[str]
    """Users and groups that still have the permission set in the account."""
    still_in_by: list[str]
    """Groups among them that the user is in: he keeps his way in until he is out of them."""


@action(
    "aws.sso-admin.remove-account-assignment",
    title="Remove an Identity Center assignment from the account",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(
        *looks(
            "ListAccountAssignments",
            "ListAccountAssignmentDeletionStatus",
            "DescribeAccountAssignmentDeletionStatus",
            "ListAccountAssignmentCreationStatus",
            "DescribeAccountAssignmentCreationStatus",
        ),
        Permission("identitystore:GetUserId", scope="management"),
        Permission("identitystore:ListGroupMembershipsForMember", scope="management"),
        *changes("act", "DeleteAccountAssignment"),
        *changes("undo", "CreateAccountAssignment"),
    ),
    undo=UndoPolicy.RELEASE,
    undo_note="Assigns it again and waits until AWS has done so; only with --release-credentials.",
    timeout_s=600.0,
    consistency_s=30.0,
    sources=(
        f"{API}/API_DeleteAccountAssignment.html",
        f"{API}/API_DescribeAccountAssignmentDeletionStatus.html",
        f"{API}/API_CreateAccountAssignment.html",
        "https://docs.aws.amazon.com/singlesignon/latest/IdentityStoreAPIReference/API_GetUserId.html",
    ),
)
class RemoveAccountAssignment(Action[RemoveAssignmentParams, RemoveAssignmentState]):
    """Delete the assignment, and wait until it is gone."""

    Params = RemoveAssignmentParams
    Outputs = RemoveAssignmentOutputs
    StateModel = RemoveAssignmentState

    def look(self, ctx: LookContext, params: RemoveAssignmentParams) -> RemoveAssignmentState:
        """Read the assignments of the permission set in the account, and what AWS is about to do.

        Raises:
            TargetConflict: While the same assignment is being made (by undo, or by somebody).
        """
        found = find_permission_set(ctx, params)
        account = ctx.where.account_id
        principal = params.principal_id or user_id_of(found, params.user_name)

        def is_ours(detail: Mapping[str, Any]) -> bool:
            told = (detail.get("TargetId"), detail.get("PermissionSetArn"), detail.get("PrincipalId"))
            return told == (account, found.arn, principal)

        if latest(found, CREATIONS, ctx.started, is_ours, ("IN_PROGRESS",)):
            raise TargetConflict(f"{principal} is being assigned to {account} just now")
        assigned = found.api.pages(
            "sso-admin:ListAccountAssignments",
            "AccountAssignments[].[PrincipalType, PrincipalId]",
            InstanceArn=found.instance_arn,
            AccountId=account,
            PermissionSetArn=found.arn,
        )
        own = [params.principal_type, principal]
        deletion = latest(found, DELETIONS, ctx.started, is_ours)
        return RemoveAssignmentState(
            **_place(found),
            account_id=account,
            principal_id=principal,
            principal_type=params.principal_type,
            assigned=own in assigned,
            deleting=deletion.get("Status") == "IN_PROGRESS",
            failure=str(deletion.get("FailureReason") or "no reason given") if _failed(deletion) else "",
            others=tuple(sorted(" ".join(pair) for pair in assigned if pair != own)),
            groups=_groups(found, params, principal, [name for kind, name in assigned if kind == "GROUP"]),
        )

    def decide(self, params: RemoveAssignmentParams, state: RemoveAssignmentState) -> Decision:
        """Delete it where it is."""
        if not state.assigned:
            return Settled(_outputs(state), _warnings(state))
        if state.deleting:
            return Waiting("Identity Center is deleting the assignment", poll_s=3.0)
        if state.failure:
            return Broken(f"Identity Center could not delete the assignment: {state.failure}")
        return Act((_call("DeleteAccountAssignment", state, assigned=False),))

    def foresee(
        self, params: RemoveAssignmentParams, state: RemoveAssignmentState, step: str
    ) -> PlannedOutputs:
        """Return the outputs: all of them are known."""
        return PlannedOutputs(_outputs(state).model_dump(mode="json"))

    def targets(self, params: RemoveAssignmentParams, where: Where) -> tuple[str, ...]:
        """Return the principal, by its id, in the account."""
        kind = params.principal_type.lower()
        return (f"arn:{where.partition}:identitystore:::{kind}/{params.principal_id or params.user_name}",)

    def undo_calls(
        self,
        params: RemoveAssignmentParams,
        before: RemoveAssignmentState,
        after: RemoveAssignmentState,
        now: RemoveAssignmentState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Assign it again."""
        return (_call("CreateAccountAssignment", now, assigned=True),) if keys else ()


def _place(found: PermissionSet) -> dict[str, str]:
    return {
        "region": found.region,
        "instance_arn": found.instance_arn,
        "permission_set_arn": found.arn,
        "permission_set_name": found.name,
    }


def _groups(
    found: PermissionSet, params: RemoveAssignmentParams, principal: str, assigned: list[str]
) -> tuple[str, ...] | None:
    if params.principal_type == "GROUP" or not assigned:
        return ()
    own = groups_of(found, principal)
    return None if own is None else tuple(sorted(own & set(assigned)))


def _failed(deletion: Mapping[str, Any]) -> bool:
    return deletion.get("Status") == "FAILED"


def _call(operation: str, state: RemoveAssignmentState, *, assigned: bool) -> Call:
    verb = "Assign" if assigned else "Remove"
    who = f"{state.principal_type.lower()} {state.principal_id}"
    return Call(
        operation=f"sso-admin:{operation}",
        params={
            "InstanceArn": state.instance_arn,
            "TargetId": state.account_id,
            "TargetType": "AWS_ACCOUNT",
            "PermissionSetArn": state.permission_set_arn,
            "PrincipalType": state.principal_type,
            "PrincipalId": state.principal_id,
        },
        target=state.principal_id,
        summary=f"{verb} {state.permission_set_name} for {who} in {state.account_id}",
        before={"assigned": state.assigned},
        after={"assigned": assigned},
        scope="management",
        region=state.region,
    )


def _outputs(state: RemoveAssignmentState) -> RemoveAssignmentOutputs:
    return RemoveAssignmentOutputs(
        account_id=state.account_id,
        permission_set_arn=state.permission_set_arn,
        permission_set_name=state.permission_set_name,
        principal_id=state.principal_id,
        still_assigned=list(state.others),
        still_in_by=list(state.groups or ()),
    )


def _warnings(state: RemoveAssignmentState) -> tuple[str, ...]:
    alive = f"sessions of {state.permission_set_name} that were issued before stay valid until they end"
    warnings = [f"{alive}: revoke them (aws.sso-admin.revoke-permission-set-sessions)"]
    if state.groups:
        warnings.append(f"the user keeps the way in by groups that he is in: {', '.join(state.groups)}")
    elif state.groups is None:
        warnings.append("groups have the permission set too, and whether the user is in them is not known")
    return tuple(warnings)
