"""What IAM refuses and moto accepts: protected roles, and inline policies over their quota.

Source: IAM user guide, "IAM and AWS STS quotas" (white space is not counted), "Service-linked roles";
IAM Identity Center user guide, "Referencing permission sets" (``/aws-reserved/sso.amazonaws.com/``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gameday.world import seam
from gameday.world.identity import role_named
from gameday.world.refusals import Refusal, denied
from gameday.world.services import Scene, StrictLayer

USER_INLINE_QUOTA: Final = 2048
ROLE_INLINE_QUOTA: Final = 10_240
TRUST_QUOTA: Final = 2048
_PROTECTED_PATHS: Final = ("/aws-service-role/", "/aws-reserved/")


def check_unprotected(scene: Scene) -> None:
    """Refuse to change roles that belong to a service or to Identity Center."""
    role = role_named(seam.iam(scene.account), scene.params.get("RoleName", ""))
    if role is not None and role.path.startswith(_PROTECTED_PATHS):
        raise Refusal(
            "UnmodifiableEntity", f"Cannot perform the operation on the protected role '{role.name}'", 400
        )


def check_role_quota(scene: Scene) -> None:
    """Refuse inline policies of a role beyond the quota."""
    role = role_named(seam.iam(scene.account), scene.params.get("RoleName", ""))
    _check_quota("role", role, scene.params, ROLE_INLINE_QUOTA)


def check_user_quota(scene: Scene) -> None:
    """Refuse inline policies of a user beyond the quota."""
    user = seam.iam(scene.account).users.get(scene.params.get("UserName", ""))
    _check_quota("user", user, scene.params, USER_INLINE_QUOTA)


def check_trust_quota(scene: Scene) -> None:
    """Refuse a trust policy beyond the quota."""
    if len("".join(str(scene.params.get("PolicyDocument", "")).split())) > TRUST_QUOTA:
        raise Refusal("LimitExceeded", f"Cannot exceed quota for ACLSizePerRole: {TRUST_QUOTA}", 409)


def check_own_key(scene: Scene) -> None:
    """Refuse to tell when another account's key was last used."""
    key_id = scene.params.get("AccessKeyId", "")
    users = seam.iam(scene.account).users.values()
    if not any(user.has_access_key(key_id) for user in users):
        raise denied(
            "query", scene.principal.arn, f"iam:GetAccessKeyLastUsed on resource: access key {key_id}"
        )


def shown_mfa_devices(backend: Any) -> Mapping[str, Any]:
    """Return the MFA devices of the users that have any."""
    return {user.name: sorted(user.mfa_devices) for user in backend.users.values() if user.mfa_devices}


def _check_quota(kind: str, owner: Any | None, params: Mapping[str, Any], quota: int) -> None:
    if owner is None:
        return
    after = dict(owner.policies) | {params["PolicyName"]: params["PolicyDocument"]}
    if sum(len("".join(document.split())) for document in after.values()) > quota:
        raise Refusal(
            "LimitExceeded", f"Maximum policy size of {quota} bytes exceeded for {kind} {owner.name}", 409
        )


LAYER: Final = StrictLayer(
    rules={
        "iam:PutRolePolicy": (check_unprotected, check_role_quota),
        "iam:DeleteRolePolicy": (check_unprotected,),
        "iam:AttachRolePolicy": (check_unprotected,),
        "iam:DetachRolePolicy": (check_unprotected,),
        "iam:UpdateAssumeRolePolicy": (check_unprotected, check_trust_quota),
        "iam:DeleteRole": (check_unprotected,),
        "iam:GetAccessKeyLastUsed": (check_own_key,),
        "iam:PutUserPolicy": (check_user_quota,),
    }
)
