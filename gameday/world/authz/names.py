"""What a call means by its names: paths, owners, associations, which only the service itself knows.

A call says ``UserName: alice``; the ARN that IAM authorises holds her path. A call says ``AssociationId``;
what is authorised is the subnet behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from gameday.world import keys, seam
from gameday.world.identity import Principal, role_named
from gameday.world.protocol import ApiRequest

_WITH_POLICIES: Final = frozenset({"kms", "iam", "s3"})
"""Services whose resources have policies here; what EC2 and RDS share, they share by attributes."""
_ARN_PARTS: Final = 6

Naming: TypeAlias = Callable[[Principal, ApiRequest, Any], Mapping[str, Any]]


def named(principal: Principal, request: ApiRequest, organisation: Any) -> dict[str, Any]:
    """Return a call's parameters, and beside them what they mean.

    Args:
        principal: The caller.
        request: The call.
        organisation: Accounts and the organisation's id.
    """
    naming = _NAMINGS.get(request.service)
    return {**request.params, **(naming(principal, request, organisation) if naming else {})}


def owner_of_arn(resource: str) -> str:
    """Return the account of a resource; empty where it has none. A bucket's ARN does not say it."""
    parts = resource.split(":", _ARN_PARTS - 1)
    if len(parts) < _ARN_PARTS:
        return ""
    if parts[2] == "s3":  # nobody asks for an access point here, whose ARN would name an account
        return "" if parts[4] else bucket_owner(parts[5].partition("/")[0])
    return parts[4] if parts[4].isdigit() else ""


def owner_with_policies(resource: str) -> str:
    """Return the account of a resource whose policies decide on callers of other accounts."""
    service = resource.split(":", _ARN_PARTS - 1)[2:3]
    return owner_of_arn(resource) if service and service[0] in _WITH_POLICIES else ""


def bucket_owner(name: str) -> str:
    """Return the account of a bucket; empty where there is no such bucket."""
    return next((account for account in seam.s3_accounts() if name in seam.s3(account).buckets), "")


def _iam(principal: Principal, request: ApiRequest, organisation: Any) -> dict[str, Any]:
    """Users, roles and profiles have paths; a key has an owner."""
    del organisation
    iam, params = seam.iam(principal.account), request.params
    name = params.get("UserName") or _owner(iam, params.get("AccessKeyId", ""))
    known = {
        "UserArn": iam.users.get(name),
        "RoleArn": role_named(iam, params.get("RoleName", "")),
        "InstanceProfileArn": iam.instance_profiles.get(params.get("InstanceProfileName", "")),
    }
    return {field: owner.arn for field, owner in known.items() if owner is not None}


def _owner(iam: Any, access_key_id: str) -> str:
    owners = (
        user.name for user in iam.users.values() for key in user.access_keys
        if key.access_key_id == access_key_id
    )  # fmt: skip
    return str(next(owners, ""))


def _kms(principal: Principal, request: ApiRequest, organisation: Any) -> dict[str, Any]:
    """An alias stands for a key."""
    del organisation
    key = keys.resolve(principal.account, request.region, str(request.params.get("KeyId", "")))
    return {"KeyId": key.arn} if key else {}


def _ssm(principal: Principal, request: ApiRequest, organisation: Any) -> dict[str, Any]:
    """AWS's own documents belong to no account."""
    del principal, organisation
    name = str(request.params.get("DocumentName", ""))
    return {"DocumentName": f"arn:aws:ssm:{request.region}::document/{name}"} if name[:4] == "AWS-" else {}


def _organizations(principal: Principal, request: ApiRequest, organisation: Any) -> dict[str, Any]:
    """A target is an account, a unit or the root; ids stand in ARNs without their prefix."""
    del principal
    params = request.params
    target = str(params.get("TargetId", ""))
    kind = {"o": "OrganizationalUnitId", "r": "RootId"}.get(target[:1], "AccountId")
    known = {
        "OrganizationId": organisation.id.removeprefix("o-"),
        "PolicyType": str(params.get("Type", "SERVICE_CONTROL_POLICY")).lower(),
        "PolicyId": str(params.get("PolicyId", "")).removeprefix("p-"),
        kind: target.removeprefix("ou-").removeprefix("r-"),
    }
    return {"TargetId": "", **{name: value for name, value in known.items() if value}}


def _ec2(principal: Principal, request: ApiRequest, organisation: Any) -> dict[str, Any]:
    """An association is authorised as the instance or the subnet behind it."""
    del organisation
    wanted, backend = (
        str(request.params.get("AssociationId", "")),
        seam.ec2(principal.account, request.region),
    )
    if wanted.startswith("iip-assoc-"):
        for made in backend.iam_instance_profile_associations.values():
            if made.association_id == wanted:
                return {"InstanceId": made.instance.id}
    if wanted.startswith("aclassoc-"):
        for acl in backend.network_acls.values():
            for association in acl.associations:
                if association.id == wanted:
                    return {"SubnetId": str(association.subnet_id)}
    return {}


_NAMINGS: Final[Mapping[str, Naming]] = {
    "iam": _iam,
    "kms": _kms,
    "ssm": _ssm,
    "organizations": _organizations,
    "ec2": _ec2,
}
