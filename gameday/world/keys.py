"""KMS keys as EBS sees them: which key is meant, and who may use it."""

from __future__ import annotations

import re
from typing import Any, Final

from gameday.world import policies, seam
from gameday.world.identity import Principal

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


def may_use(key: Any, principal: Principal, actions: tuple[str, ...]) -> bool:
    """Return whether a caller may use a key: it is enabled, and its policy or a grant says so.

    Source: KMS developer guide, "Allowing users in other accounts to use a KMS key".
    """
    if key.key_state != "Enabled" or not key.enabled:
        return False
    if is_aws_managed(key):
        return bool(key.account_id == principal.account)
    return all(_granted(key, principal, action) or _allowed(key, principal, action) for action in actions)


def _allowed(key: Any, principal: Principal, action: str) -> bool:
    return policies.allows(key.policy, action, principal.policy_arn, principal.account, {})


def _granted(key: Any, principal: Principal, action: str) -> bool:
    grantees = {principal.policy_arn, principal.account, f"arn:aws:iam::{principal.account}:root"}
    return any(
        grant.grantee_principal in grantees and _GRANT_FOR[action] & set(grant.operations)
        for grant in key.grants.values()
    )
