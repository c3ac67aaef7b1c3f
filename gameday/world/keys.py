"""KMS keys as EBS sees them: which key is meant, and who may use it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from gameday.world import seam
from gameday.world.identity import Principal

if TYPE_CHECKING:
    from gameday.world.services import Scene

DEFAULT_EBS_ALIAS: Final = "alias/aws/ebs"
_ARN: Final = re.compile(r"arn:[^:]+:kms:(?P<region>[^:]+):(?P<account>[0-9]{12}):(?P<key>.+)")
_GRANT_FOR: Final = {
    "kms:DescribeKey": {"DescribeKey"},
    "kms:CreateGrant": {"CreateGrant"},
    "kms:Decrypt": {"Decrypt"},
    "kms:ReEncryptFrom": {"ReEncryptFrom", "Decrypt"},
    "kms:GenerateDataKeyWithoutPlaintext": {"GenerateDataKeyWithoutPlaintext", "GenerateDataKey"},
}
READING_A_SNAPSHOT: Final = ("kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt", "kms:ReEncryptFrom")
WRITING_A_SNAPSHOT: Final = ("kms:DescribeKey", "kms:CreateGrant", "kms:GenerateDataKeyWithoutPlaintext")


def create(
    account: str, region: str, *, alias: str | None = None, policy: str | None = None, description: str = ""
) -> Any:
    """Create a customer key (its default policy lets its account use it) and return it."""
    backend = seam.kms(account, region)
    key = backend.create_key(policy, "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", description, None)
    if alias:
        backend.create_alias(key.id, alias)
    return key


def default_ebs_key(account: str, region: str) -> Any:
    """Return the AWS managed key of EBS, made at first use."""
    known = resolve(account, region, DEFAULT_EBS_ALIAS)
    if known is None:
        known = create(account, region, alias=DEFAULT_EBS_ALIAS, description="Default key for EBS volumes")
        known.key_manager = "AWS"
    return known


def resolve(account: str, region: str, key_id: str) -> Any | None:
    """Return the key that an id, ARN, alias or alias ARN means, or None.

    Args:
        account: In which bare ids and aliases are looked up.
        region: The same.
        key_id: As a caller writes it.
    """
    named = _ARN.fullmatch(key_id)
    if named:
        account, region, key_id = named["account"], named["region"], named["key"].removeprefix("key/")
    if region not in seam.kms_regions(account):
        return None
    owned = seam.kms(account, region).keys
    if key_id.startswith("alias/"):
        return next((key for key in owned.values() if key_id in key.aliases), None)
    return owned.get(key_id)


def is_aws_managed(key: Any) -> bool:
    """Return whether the key is AWS's own in the account: it cannot be shared."""
    return bool(key.key_manager == "AWS")


def may_use(key: Any, scene: Scene, actions: tuple[str, ...]) -> bool:
    """Return whether a caller may use a key through EBS: it is enabled, and policies or a grant say so.

    Source: KMS developer guide, "Allowing users in other accounts to use a KMS key".
    """
    if key.key_state != "Enabled" or not key.enabled:
        return False
    if is_aws_managed(key):
        return bool(key.account_id == scene.account)
    return all(_granted(key, scene.principal, action) or _allowed(key, scene, action) for action in actions)


def _allowed(key: Any, scene: Scene, action: str) -> bool:
    from gameday.world.authz import gate  # noqa: PLC0415 - it reads keys, too

    through_ebs = {
        "kms:GrantIsForAWSResource": "true",
        "kms:ViaService": f"ec2.{scene.region}.amazonaws.com",
        "kms:CallerAccount": scene.account,
    }
    verdict = gate.verdict_on(
        scene.principal, scene.request, scene.realm.organisation,
        action=action, resource=key.arn, extra=through_ebs,
    )  # fmt: skip
    return verdict.allowed


def _granted(key: Any, principal: Principal, action: str) -> bool:
    grantees = {principal.policy_arn, principal.account, f"arn:aws:iam::{principal.account}:root"}
    return any(
        grant.grantee_principal in grantees and _GRANT_FOR[action] & set(grant.operations)
        for grant in key.grants.values()
    )
