"""What KMS does and moto does not: keys of other accounts, and grants that are not made twice.

Source: KMS API reference. DescribeKey takes the ARN of another account's key whose policy allows it;
CreateGrant with a ``Name`` and unchanged parameters returns the grant that exists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from gameday.world import keys, seam
from gameday.world.identity import role_named
from gameday.world.refusals import Refusal, denied
from gameday.world.services import Scene, StrictLayer

_ROLE: Final = re.compile(r"arn:[^:]+:iam::(?P<account>[0-9]{12}):role/(?:.*/)?(?P<name>[^/]+)")
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


LAYER: Final = StrictLayer(answers={"kms:DescribeKey": describe_key, "kms:CreateGrant": create_grant})
