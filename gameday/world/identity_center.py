"""IAM Identity Center: what moto does at once, and AWS in a while; and its roles in the accounts.

Source: Identity Center API reference (CreateAccountAssignment, DeleteAccountAssignment,
ProvisionPermissionSet and their status operations); user guide, "Referencing permission sets".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from gameday.world import seam
from gameday.world.identity import role_named
from gameday.world.organisation import create_role
from gameday.world.refusals import Refusal, denied
from gameday.world.services import Answer, Scene, StrictLayer

WORK: Final = timedelta(seconds=5)
INLINE_LIMIT: Final = 10_240
ROLE_PATH: Final = "/aws-reserved/sso.amazonaws.com/"
ROLE_POLICY: Final = "AwsSSOInlinePolicy"
_TRUST: Final = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": "arn:aws:iam::111122223333:saml-provider/AWSSSO_DO_NOT_DELETE"},
                "Action": ["sts:AssumeRoleWithSAML", "sts:TagSession"],
            }
        ],
    }
)
_ASSIGNMENT: Final = ("TargetId", "TargetType", "PermissionSetArn", "PrincipalType", "PrincipalId")


@dataclass(slots=True)
class Request:
    """Something that Identity Center was asked to do."""

    kind: str
    """``Creation Deletion Provisioning``."""
    detail: dict[str, Any]

    @property
    def ident(self) -> str:
        """Return its id."""
        return str(self.detail["RequestId"])


def center(management: str, region: str) -> Any:
    """Return moto's Identity Center."""
    return seam.backend("ssoadmin", management, region)


def build_permission_set(
    management: str, region: str, name: str, *, accounts: Mapping[str, str] | None = None
) -> str:
    """Make a permission set, and assign it to users in accounts.

    Args:
        management: The management account.
        region: Home Region.
        name: Its name.
        accounts: Account to the id of the user who has it there.

    Returns:
        Its ARN.
    """
    backend = center(management, region)
    instance = backend.instances[0].instance_arn
    backend.create_permission_set(name, "", instance, "PT4H", "", [])
    made = backend.permission_sets[-1]
    ident = hashlib.sha256(name.encode()).hexdigest()[:16]
    made.permission_set_arn = f"arn:aws:sso:::permissionSet/{instance.rpartition('/')[2]}/ps-{ident}"
    for account, user in (accounts or {}).items():
        backend.create_account_assignment(
            instance, account, "AWS_ACCOUNT", made.permission_set_arn, "USER", user
        )
        provision(made, account)
    return str(made.permission_set_arn)


def role_name(permission_set: Any) -> str:
    """Return the name of the role that a permission set has in every account."""
    suffix = hashlib.sha256(permission_set.name.encode()).hexdigest()[:16]
    return f"AWSReservedSSO_{permission_set.name}_{suffix}"


def provision(permission_set: Any, account: str) -> None:
    """Make the role in the account what the permission set says."""
    name = role_name(permission_set)
    role = role_named(seam.iam(account), name) or create_role(account, name, _TRUST, path=ROLE_PATH)
    if permission_set.inline_policy:
        role.put_policy(ROLE_POLICY, permission_set.inline_policy)
    elif ROLE_POLICY in role.policies:
        role.delete_policy(ROLE_POLICY)


def shown_sets(backend: Any) -> Mapping[str, Any]:
    """Return the permission sets with their inline policies."""
    return {
        one.name: {"inline_policy": json.loads(one.inline_policy) if one.inline_policy else None}
        for one in backend.permission_sets
    }


def shown_assignments(backend: Any) -> Mapping[str, Any]:
    """Return who has which permission set where."""
    names = {one.permission_set_arn: one.name for one in backend.permission_sets}
    return {
        f"{names.get(one.permission_set_arn)}/{one.target_id}/{one.principal_type}/{one.principal_id}": True
        for one in backend.account_assignments
    }


def _backend(scene: Scene) -> Any:
    if scene.account != scene.realm.organisation.management:
        raise denied("json", scene.principal.arn, scene.request.action)
    return center(scene.account, scene.region)


def _requests(backend: Any) -> list[Request]:
    if not hasattr(backend, "world_requests"):
        backend.world_requests = []
    known: list[Request] = backend.world_requests
    return known


def _begin(scene: Scene, kind: str, told: Mapping[str, Any], effect: Callable[[Any], None]) -> Request:
    backend, now = _backend(scene), scene.realm.clock.now()
    known = _requests(backend)
    ident = hashlib.sha256(f"{kind} {len(known)}".encode()).hexdigest()
    detail: dict[str, Any] = {
        "Status": "IN_PROGRESS",
        "RequestId": f"{ident[:8]}-{ident[8:12]}-{ident[12:16]}-{ident[16:20]}-{ident[20:32]}",
        "CreatedDate": now,
        **told,
    }
    request = Request(kind, detail)
    known.append(request)

    def end() -> None:
        effect(backend)
        request.detail["Status"] = "SUCCEEDED"

    _at(scene, now + WORK, end)
    return request


def _at(scene: Scene, due: datetime, event: Callable[[], None]) -> None:
    scene.realm.schedule.at(due, event)


def _permission_set(scene: Scene, backend: Any) -> Any:
    arn = scene.params["PermissionSetArn"]
    for one in backend.permission_sets:
        if one.permission_set_arn == arn:
            return one
    raise Refusal("ResourceNotFoundException", f"Could not find PermissionSet with id {arn}")


def _assigned(backend: Any, told: Mapping[str, Any]) -> list[Any]:
    return [
        one
        for one in backend.account_assignments
        if (one.target_id, one.permission_set_arn, one.principal_type, one.principal_id)
        == (told["TargetId"], told["PermissionSetArn"], told["PrincipalType"], told["PrincipalId"])
    ]


def _check_free(backend: Any, told: Mapping[str, Any]) -> None:
    busy = any(
        request.detail["Status"] == "IN_PROGRESS" and told.items() <= request.detail.items()
        for request in _requests(backend)
    )
    if busy:
        raise Refusal("ConflictException", "There is a pending request for this account assignment.")


def create_assignment(scene: Scene) -> Mapping[str, Any]:
    """Begin to assign."""
    backend = _backend(scene)
    permission_set = _permission_set(scene, backend)
    told = {name: scene.params[name] for name in _ASSIGNMENT}
    _check_free(backend, told)
    instance = scene.params["InstanceArn"]

    def assign(known: Any) -> None:
        if not _assigned(known, told):
            known.create_account_assignment(instance, *(told[name] for name in _ASSIGNMENT))
        provision(permission_set, told["TargetId"])

    return {"AccountAssignmentCreationStatus": dict(_begin(scene, "Creation", told, assign).detail)}


def delete_assignment(scene: Scene) -> Mapping[str, Any]:
    """Begin to take an assignment away."""
    backend = _backend(scene)
    _permission_set(scene, backend)
    told = {name: scene.params[name] for name in _ASSIGNMENT}
    _check_free(backend, told)
    if not _assigned(backend, told):
        raise Refusal("ResourceNotFoundException", "Received a 404 status error: assignment not found")

    def unassign(known: Any) -> None:
        for one in _assigned(known, told):
            known.account_assignments.remove(one)

    return {"AccountAssignmentDeletionStatus": dict(_begin(scene, "Deletion", told, unassign).detail)}


def provision_permission_set(scene: Scene) -> Mapping[str, Any]:
    """Begin to write a permission set onto its role in an account."""
    permission_set = _permission_set(scene, _backend(scene))
    if scene.params["TargetType"] != "AWS_ACCOUNT":
        raise Refusal("ValidationException", "only AWS_ACCOUNT is simulated")
    account = scene.params["TargetId"]
    told = {"AccountId": account, "PermissionSetArn": permission_set.permission_set_arn}
    done = _begin(scene, "Provisioning", told, lambda _: provision(permission_set, account))
    return {"PermissionSetProvisioningStatus": dict(done.detail)}


def check_inline_size(scene: Scene) -> None:
    """Refuse an inline policy over the limit."""
    if len(scene.params["InlinePolicy"]) > INLINE_LIMIT:
        raise Refusal("ServiceQuotaExceededException", "The inline policy is too large.")


def provisioned_accounts(scene: Scene) -> Mapping[str, Any]:
    """List the accounts that have the role of a permission set."""
    permission_set = _permission_set(scene, _backend(scene))
    name = role_name(permission_set)
    accounts = sorted(scene.realm.organisation.names())
    return {"AccountIds": [one for one in accounts if role_named(seam.iam(one), name) is not None]}


def _listing(kind: str, key: str) -> Answer:
    def answer(scene: Scene) -> Mapping[str, Any]:
        wanted = (scene.params.get("Filter") or {}).get("Status")
        listed = [
            {name: request.detail[name] for name in ("Status", "RequestId", "CreatedDate")}
            for request in _requests(_backend(scene))
            if request.kind == kind and wanted in {None, request.detail["Status"]}
        ]
        return {key: listed}

    return answer


def _describing(kind: str, parameter: str, key: str) -> Answer:
    def answer(scene: Scene) -> Mapping[str, Any]:
        for request in _requests(_backend(scene)):
            if request.kind == kind and request.ident == scene.params[parameter]:
                return {key: dict(request.detail)}
        raise Refusal("ResourceNotFoundException", "Could not find the request.")

    return answer


LAYER: Final = StrictLayer(
    rules={"sso-admin:PutInlinePolicyToPermissionSet": (check_inline_size,)},
    answers={
        "sso-admin:CreateAccountAssignment": create_assignment,
        "sso-admin:DeleteAccountAssignment": delete_assignment,
        "sso-admin:ProvisionPermissionSet": provision_permission_set,
        "sso-admin:ListAccountsForProvisionedPermissionSet": provisioned_accounts,
        "sso-admin:ListAccountAssignmentCreationStatus": _listing(
            "Creation", "AccountAssignmentsCreationStatus"
        ),
        "sso-admin:ListAccountAssignmentDeletionStatus": _listing(
            "Deletion", "AccountAssignmentsDeletionStatus"
        ),
        "sso-admin:ListPermissionSetProvisioningStatus": _listing(
            "Provisioning", "PermissionSetsProvisioningStatus"
        ),
        "sso-admin:DescribeAccountAssignmentCreationStatus": _describing(
            "Creation", "AccountAssignmentCreationRequestId", "AccountAssignmentCreationStatus"
        ),
        "sso-admin:DescribeAccountAssignmentDeletionStatus": _describing(
            "Deletion", "AccountAssignmentDeletionRequestId", "AccountAssignmentDeletionStatus"
        ),
        "sso-admin:DescribePermissionSetProvisioningStatus": _describing(
            "Provisioning", "ProvisionPermissionSetRequestId", "PermissionSetProvisioningStatus"
        ),
    },
)
