"""IAM Identity Center, read: the instance, a permission set by ARN or by the role it makes, requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, Self

from pydantic import model_validator

from irrunner.actions.contract import LookContext, Model, Permission, ReadApi
from irrunner.actions.ids import PermissionSetArn, RegionName, RoleName
from irrunner.errors import ActionDenied, TargetNotFound

ROLE_NAME: Final = re.compile(r"AWSReservedSSO_(?P<name>.+)_[0-9a-f]{16}")
"""Source: Identity Center user guide, "Referencing permission sets in resource policies"."""
SSO: Final = "arn:{partition}:sso:::"
RESOURCES: Final = (f"{SSO}instance/*", f"{SSO}permissionSet/*", f"{SSO}account/*")
"""What an operation on an assignment or a provisioning names.

Source: Service Authorization Reference, "AWS IAM Identity Center".
"""
API: Final = "https://docs.aws.amazon.com/singlesignon/latest/APIReference"


class OnePermissionSet(Model):
    """Parameters that name a permission set."""

    permission_set_arn: Literal[""] | PermissionSetArn = ""
    role_name: Literal[""] | RoleName = ""
    """The role that Identity Center made of it: ``AWSReservedSSO_Admin_0123456789abcdef``."""
    region: Literal[""] | RegionName = ""
    """Home Region of Identity Center; empty: the incident's Region."""

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if bool(self.permission_set_arn) == bool(self.role_name):
            raise ValueError("give permission_set_arn or role_name, not both")
        if self.role_name and ROLE_NAME.fullmatch(self.role_name) is None:
            raise ValueError(f"{self.role_name} is no role of Identity Center (AWSReservedSSO_...)")
        return self


@dataclass(frozen=True, slots=True)
class PermissionSet:
    """A permission set, found."""

    api: ReadApi
    """Reads in Identity Center's Region."""
    region: str
    instance_arn: str
    identity_store_id: str
    arn: str
    name: str
    session_duration: str
    """ISO 8601: ``PT8H``."""


def looks(*names: str) -> tuple[Permission, ...]:
    """Return permissions to read in the management account."""
    basic = ("ListInstances", "ListPermissionSets", "DescribePermissionSet")
    return tuple(Permission(f"sso:{name}", scope="management") for name in (*basic, *names))


def changes(use: Literal["act", "undo"], *names: str) -> tuple[Permission, ...]:
    """Return permissions to change in the management account."""
    return tuple(
        Permission(f"sso:{name}", resource, scope="management", use=use)
        for name in names
        for resource in RESOURCES
    )


def find_permission_set(ctx: LookContext, params: OnePermissionSet) -> PermissionSet:
    """Find the permission set.

    Raises:
        ActionDenied: If there is no access to the management account.
        TargetNotFound: If there is no instance in the Region, or no such permission set.
    """
    if ctx.management is None:
        raise ActionDenied(
            "Identity Center is the management account's, and there is no access to it",
            hint="set management.account_id, and make the role management.role there",
        )
    region = params.region or ctx.where.region
    api = ctx.management.in_region(region)
    instances = api.pages("sso-admin:ListInstances", "Instances")
    if not instances:
        raise TargetNotFound(f"Identity Center has no instance in {region}: give its home Region (region:)")
    for instance in instances:
        found = _in_instance(api, instance["InstanceArn"], params)
        if found is not None:
            duration = str(found.get("SessionDuration") or "PT12H")
            return PermissionSet(
                api=api,
                region=region,
                instance_arn=instance["InstanceArn"],
                identity_store_id=str(instance.get("IdentityStoreId") or ""),
                arn=found["PermissionSetArn"],
                name=found["Name"],
                session_duration=duration,
            )
    raise TargetNotFound(f"no permission set {params.permission_set_arn or params.role_name} in {region}")


def _in_instance(api: ReadApi, instance_arn: str, params: OnePermissionSet) -> Mapping[str, Any] | None:
    if params.permission_set_arn:
        return _describe(api, instance_arn, params.permission_set_arn)
    named = ROLE_NAME.fullmatch(params.role_name)
    for arn in api.pages("sso-admin:ListPermissionSets", "PermissionSets", InstanceArn=instance_arn):
        found = _describe(api, instance_arn, arn)
        if named and found and found["Name"] == named["name"]:
            return found
    return None


def _describe(api: ReadApi, instance_arn: str, arn: str) -> Mapping[str, Any] | None:
    names = {"InstanceArn": instance_arn, "PermissionSetArn": arn}
    try:
        found: Mapping[str, Any] = api.call("sso-admin:DescribePermissionSet", **names)["PermissionSet"]
    except TargetNotFound:
        return None
    return found


def user_id_of(found: PermissionSet, user_name: str) -> str:
    """Return the id of a user of the identity store.

    Raises:
        TargetNotFound: If there is no such user.
    """
    asked = {"UniqueAttribute": {"AttributePath": "userName", "AttributeValue": user_name}}
    answer = found.api.call(
        "identitystore:GetUserId", IdentityStoreId=found.identity_store_id, AlternateIdentifier=asked
    )
    return str(answer["UserId"])


def groups_of(found: PermissionSet, user_id: str) -> frozenset[str] | None:
    """Return the groups that a user is in; None where they may not be read."""
    try:
        groups = found.api.pages(
            "identitystore:ListGroupMembershipsForMember",
            "GroupMemberships[].GroupId",
            IdentityStoreId=found.identity_store_id,
            MemberId={"UserId": user_id},
        )
    except ActionDenied:
        return None
    return frozenset(groups)


@dataclass(frozen=True, slots=True)
class Requests:
    """One kind of asynchronous request: how to list and describe it."""

    listing: str
    path: str
    describing: str
    parameter: str
    key: str


DELETIONS: Final = Requests(
    "ListAccountAssignmentDeletionStatus",
    "AccountAssignmentsDeletionStatus",
    "DescribeAccountAssignmentDeletionStatus",
    "AccountAssignmentDeletionRequestId",
    "AccountAssignmentDeletionStatus",
)
CREATIONS: Final = Requests(
    "ListAccountAssignmentCreationStatus",
    "AccountAssignmentsCreationStatus",
    "DescribeAccountAssignmentCreationStatus",
    "AccountAssignmentCreationRequestId",
    "AccountAssignmentCreationStatus",
)
PROVISIONINGS: Final = Requests(
    "ListPermissionSetProvisioningStatus",
    "PermissionSetsProvisioningStatus",
    "DescribePermissionSetProvisioningStatus",
    "ProvisionPermissionSetRequestId",
    "PermissionSetProvisioningStatus",
)


def latest(
    found: PermissionSet,
    requests: Requests,
    since: datetime,
    is_ours: Callable[[Mapping[str, Any]], bool],
    statuses: tuple[str, ...] = ("IN_PROGRESS", "FAILED"),
) -> Mapping[str, Any]:
    """Return the newest request of a kind that is about our target; empty where there is none.

    A request in progress counts however old it is; an ended one only if it was made since ``since``.
    """
    ours: list[Mapping[str, Any]] = []
    for status in statuses:
        listed = found.api.pages(
            f"sso-admin:{requests.listing}",
            requests.path,
            InstanceArn=found.instance_arn,
            Filter={"Status": status},
        )
        for item in listed:
            if status != "IN_PROGRESS" and item["CreatedDate"] < since:
                continue
            asked = {"InstanceArn": found.instance_arn, requests.parameter: item["RequestId"]}
            detail = found.api.call(f"sso-admin:{requests.describing}", **asked)[requests.key]
            if is_ours(detail):
                ours.append(detail)
    return max(ours, key=lambda detail: str(detail["CreatedDate"]), default={})
