"""What KMS does and moto does not: keys of other accounts, and grants that are not made twice.

Source: KMS API reference. DescribeKey takes the ARN of another account's key whose policy allows it;
CreateGrant with a ``Name`` and unchanged parameters returns the grant that exists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gameday.world import keys, seam
from gameday.world.identity import role_named
from gameday.world.refusals import Refusal, denied
from gameday.world.services import Scene, StrictLayer

_ROLE: Final = re.compile(r"arn:[^:]+:iam::(?P<account>[0-9]{12}):role/(?:.*/)?(?P<name>[^/]+)")
_DELETION_DAYS: Final = 30
_ANSWERED: Final = ("GranteePrincipal", "RetiringPrincipal", "Operations", "Constraints")


def describe_key(scene: Scene) -> Mapping[str, Any] | None:
    """Describe another account's key; moto describes the caller's own."""
    key = keys.resolve(scene.account, scene.region, scene.params.get("KeyId", ""))
    if key is None or key.account_id == scene.account:
        return None
    if not keys.may_use(key, scene, ("kms:DescribeKey",)):
        raise denied("json", scene.principal.arn, "kms:DescribeKey")
    metadata = key.to_dict()["KeyMetadata"]
    return {"KeyMetadata": metadata | {"CreationDate": datetime.fromtimestamp(metadata["CreationDate"], UTC)}}


def create_grant(scene: Scene) -> Mapping[str, Any]:
    """Grant the use of a key, once for a name."""
    params = scene.params
    key = keys.resolve(scene.account, scene.region, params["KeyId"])
    if key is None or key.account_id != scene.account:
        raise Refusal("NotFoundException", f"Key '{params['KeyId']}' does not exist")
    if key.key_state != "Enabled" or not key.enabled:
        raise Refusal("DisabledException", f"{key.arn} is disabled.")
    _check_principal(params["GranteePrincipal"])
    grant = _same_grant(key, params) or key.add_grant(
        params.get("Name"),
        params["GranteePrincipal"],
        params["Operations"],
        constraints=params.get("Constraints") or {},
        retiring_principal=params.get("RetiringPrincipal"),
    )
    return {"GrantId": grant.id, "GrantToken": grant.token}


def enable_key(scene: Scene) -> Mapping[str, Any]:
    """Enable a key; moto takes its id only, not its ARN."""
    key = _own_key(scene, pending=False)
    key.enabled, key.key_state = True, "Enabled"
    return {}


def disable_key(scene: Scene) -> Mapping[str, Any]:
    """Disable a key."""
    key = _own_key(scene, pending=False)
    key.enabled, key.key_state = False, "Disabled"
    return {}


def schedule_key_deletion(scene: Scene) -> Mapping[str, Any]:
    """Schedule a key to be deleted, by the world's time."""
    key = _own_key(scene, pending=False)
    days = int(scene.params.get("PendingWindowInDays") or _DELETION_DAYS)
    key.enabled, key.key_state = False, "PendingDeletion"
    key.deletion_date = (scene.realm.clock.now() + timedelta(days=days)).replace(tzinfo=None)
    return {"KeyId": key.arn, "DeletionDate": key.deletion_date, "KeyState": key.key_state}


def cancel_key_deletion(scene: Scene) -> Mapping[str, Any]:
    """Keep a key, disabled."""
    key = _own_key(scene, pending=True)
    key.key_state, key.deletion_date = "Disabled", None
    return {"KeyId": key.arn}


def _own_key(scene: Scene, *, pending: bool) -> Any:
    """Return a key whose state may be changed so.

    Raises:
        Refusal: If it is none of the account, an AWS managed one, or in a state that does not allow it.

    Source: KMS developer guide, "Key states of AWS KMS keys", table of operations.
    """
    key = keys.resolve(scene.account, scene.region, scene.params.get("KeyId", ""))
    if key is None or key.account_id != scene.account:
        raise Refusal("NotFoundException", f"Key '{scene.params.get('KeyId')}' does not exist")
    if keys.is_aws_managed(key):
        raise denied("json", scene.principal.arn, scene.request.action)
    if (key.key_state == "PendingDeletion") != pending:
        raise Refusal("KMSInvalidStateException", f"{key.arn} is {key.key_state}.")
    return key


def _same_grant(key: Any, params: Mapping[str, Any]) -> Any | None:
    if not params.get("Name"):
        return None
    wanted = [params.get(name) or None for name in _ANSWERED]
    for grant in key.grants.values():
        held = [grant.grantee_principal, grant.retiring_principal, grant.operations, grant.constraints]
        if grant.name == params["Name"] and [value or None for value in held] == wanted:
            return grant
    return None


def _check_principal(arn: str) -> None:
    role = _ROLE.fullmatch(arn)
    if role is None:
        return
    known = role["account"] in seam.iam_accounts()
    if not known or role_named(seam.iam(role["account"]), role["name"]) is None:
        raise Refusal("InvalidArnException", "ARN does not refer to a valid principal")


LAYER: Final = StrictLayer(
    answers={
        "kms:DescribeKey": describe_key,
        "kms:CreateGrant": create_grant,
        "kms:EnableKey": enable_key,
        "kms:DisableKey": disable_key,
        "kms:ScheduleKeyDeletion": schedule_key_deletion,
        "kms:CancelKeyDeletion": cancel_key_deletion,
    }
)
