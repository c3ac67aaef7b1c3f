"""``aws.iam.describe-role-users``: who else lives on a role, before its sessions are revoked for all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import Field

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
from irrunner.actions.iam.documents import Document, decoded, on, statements_of
from irrunner.actions.ids import InstanceId, RegionName, RoleName
from irrunner.actions.registry import action
from irrunner.clock import iso
from irrunner.errors import ActionDenied, CredentialsInvalid
from irrunner.vocabulary import Phase, Risk, UndoPolicy

EC2: Final = frozenset({"ec2.amazonaws.com", "ec2.amazonaws.com.cn"})
LIVE: Final = ["associating", "associated"]

USERS_PERMISSIONS: Final = (
    *on("role", "role_name", "look", "iam:GetRole", "iam:ListInstanceProfilesForRole"),
    Permission("ec2:DescribeIamInstanceProfileAssociations"),
    Permission("ec2:DescribeRegions"),
)


class Role(Model):
    """A role, described."""

    role_name: str
    role_arn: str
    path: str
    max_session_duration_s: int
    trust: Document
    last_used_at: str = ""


class RoleUsers(Model):
    """Who may hold sessions of a role."""

    instance_ids: tuple[str, ...]
    """Instances that have it by an instance profile."""
    has_instance_profile: bool
    principals: tuple[str, ...]
    """Whom the trust policy lets assume it, beside EC2."""
    regions_searched: tuple[str, ...]
    regions_unsearched: tuple[str, ...]
    """Regions that we may not read."""


class DescribeRoleUsersParams(Model):
    """Parameters of ``aws.iam.describe-role-users``."""

    role_name: RoleName
    instance_id: InstanceId | None = None
    """The instance of the incident, which is not counted."""
    regions: list[RegionName] = Field(default_factory=list, max_length=64)
    """Where to look for instances; none: the Regions of the configuration, else all that are enabled."""


class DescribeRoleUsersState(State):
    """The role and its users."""

    role: Role
    users: RoleUsers


class DescribeRoleUsersOutputs(Model):
    """Outputs of ``aws.iam.describe-role-users``."""

    role_name: str
    role_arn: str
    other_instance_ids: list[str]
    other_principals: list[str]
    """Services, accounts and identity providers, beside EC2, that may hold sessions of the role."""
    other_users_count: int
    """Other instances and other principals; 0: revoking its sessions hits nobody else."""
    max_session_duration_s: int
    last_used_at: str
    regions_searched: list[str]
    regions_unsearched: list[str]


@action(
    "aws.iam.describe-role-users",
    title="Describe who else uses an IAM role",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=USERS_PERMISSIONS,
    undo=UndoPolicy.NEVER,
    undo_note="Reads only: there is nothing to put back.",
    timeout_s=120.0,
    sources=(
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListInstanceProfilesForRole.html",
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeIamInstanceProfileAssociations.html",
    ),
)
class DescribeRoleUsers(Action[DescribeRoleUsersParams, DescribeRoleUsersState]):
    """Count instances in all Regions, and every other principal of the trust policy."""

    Params = DescribeRoleUsersParams
    Outputs = DescribeRoleUsersOutputs
    StateModel = DescribeRoleUsersState

    def look(self, ctx: LookContext, params: DescribeRoleUsersParams) -> DescribeRoleUsersState:
        """Describe the role, its instance profiles and their instances."""
        role = read_role(ctx, params.role_name)
        regions = params.regions or ctx.settings.regions or _enabled_regions(ctx)
        return DescribeRoleUsersState(role=role, users=read_users(ctx, role, regions))

    def decide(self, params: DescribeRoleUsersParams, state: DescribeRoleUsersState) -> Decision:
        """Settle at once."""
        others = [item for item in state.users.instance_ids if item != params.instance_id]
        principals = list(state.users.principals)
        outputs = DescribeRoleUsersOutputs(
            role_name=state.role.role_name,
            role_arn=state.role.role_arn,
            other_instance_ids=others,
            other_principals=principals,
            other_users_count=len(others) + len(principals),
            max_session_duration_s=state.role.max_session_duration_s,
            last_used_at=state.role.last_used_at,
            regions_searched=list(state.users.regions_searched),
            regions_unsearched=list(state.users.regions_unsearched),
        )
        unread = ", ".join(state.users.regions_unsearched)
        return Settled(outputs, (f"not searched, access denied: {unread}",) if unread else ())

    def targets(self, params: DescribeRoleUsersParams, where: Where) -> tuple[str, ...]:
        """Return nothing: reads only."""
        return ()


def read_role(ctx: LookContext, role_name: str) -> Role:
    """Describe a role.

    Raises:
        TargetNotFound: If there is none.
    """
    role = ctx.api.call("iam:GetRole", RoleName=role_name)["Role"]
    used_at = (role.get("RoleLastUsed") or {}).get("LastUsedDate")
    return Role(
        role_name=role["RoleName"],
        role_arn=role["Arn"],
        path=role.get("Path") or "/",
        max_session_duration_s=int(role.get("MaxSessionDuration") or 3600),
        trust=decoded(role.get("AssumeRolePolicyDocument") or {}),
        last_used_at=iso(used_at) if used_at else "",
    )


def read_users(ctx: LookContext, role: Role, regions: Iterable[str]) -> RoleUsers:
    """Find the instances that have the role, in the incident's Region and the given ones."""
    profiles = ctx.api.pages(
        "iam:ListInstanceProfilesForRole", "InstanceProfiles[].Arn", RoleName=role.role_name
    )
    searched: list[str] = []
    unsearched: list[str] = []
    instances: set[str] = set()
    for region in dict.fromkeys((ctx.where.region, *regions)) if profiles else ():
        try:
            instances |= _instances(ctx, region, frozenset(profiles))
            searched.append(region)
        except (ActionDenied, CredentialsInvalid):
            # An SCP that closes a Region closes it for the attacker and for users too.
            unsearched.append(region)
    return RoleUsers(
        instance_ids=tuple(sorted(instances)),
        has_instance_profile=bool(profiles),
        principals=tuple(other_principals(role.trust)),
        regions_searched=tuple(searched),
        regions_unsearched=tuple(unsearched),
    )


def _enabled_regions(ctx: LookContext) -> tuple[str, ...]:
    regions = ctx.api.call("ec2:DescribeRegions")["Regions"]
    return tuple(sorted(region["RegionName"] for region in regions))


def _instances(ctx: LookContext, region: str, profile_arns: frozenset[str]) -> set[str]:
    api = ctx.api if region == ctx.where.region else ctx.api.in_region(region)
    found = api.pages(
        "ec2:DescribeIamInstanceProfileAssociations",
        "IamInstanceProfileAssociations",
        Filters=[{"Name": "state", "Values": LIVE}],
    )
    return {item["InstanceId"] for item in found if item["IamInstanceProfile"]["Arn"] in profile_arns}


def other_principals(trust: Document) -> list[str]:
    """Return whom a trust policy allows beside EC2; ``NotPrincipal`` is everybody."""
    named = {
        name
        for statement in statements_of(trust)
        if isinstance(statement, Mapping) and statement.get("Effect") == "Allow"
        for name in _principals(statement)
    }
    return sorted(named - EC2)


def _principals(statement: Mapping[str, Any]) -> list[str]:
    principal = statement.get("Principal", "*")
    if not isinstance(principal, Mapping):
        return [str(principal)]
    values = (value if isinstance(value, list) else [value] for value in principal.values())
    return [str(name) for names in values for name in names]
