"""The KMS decision table: how an encrypted snapshot can reach another account, or why it cannot."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from irrunner.actions.contract import Model, ReadApi
from irrunner.errors import ActionDenied, TargetNotFound


class Route(StrEnum):
    """How a snapshot leaves its account."""

    PLAIN = "plain"
    """Not encrypted: share it."""
    CUSTOMER_KEY = "customer-key"
    """Under a customer key of the account: share it, and lend the key."""
    TRANSFER = "transfer"
    """Under the default key ``aws/ebs``, which cannot be shared: re-encrypt under the transfer key first."""


class Key(Model):
    """A KMS key, as far as we may see it."""

    arn: str
    account_id: str
    manager: str = ""
    """``AWS`` or ``CUSTOMER``; empty where the key cannot be described."""
    state: str
    """KMS KeyState, or ``NotFound``, ``AccessDenied`` or ``Foreign``."""


REMEDY: Final = {
    "Disabled": "enable it (kms:EnableKey), then run again",
    "PendingDeletion": "cancel its deletion (kms:CancelKeyDeletion) and enable it before the date, or the"
    " data is lost for ever; then run again",
    "PendingReplicaDeletion": "cancel its deletion (kms:CancelKeyDeletion) and enable it, then run again",
    "PendingImport": "import its key material again, then run again",
    "Unavailable": "connect its custom key store, then run again",
    "Creating": "it is being made: run again in a minute",
    "Updating": "it is being changed: run again in a minute",
    "NotFound": "it does not exist here: without it the data cannot be read; check the Region and CloudTrail",
    "AccessDenied": "its key policy keeps the responder role out: allow kms:DescribeKey, kms:CreateGrant,"
    " kms:Decrypt, kms:GenerateDataKey* and kms:ReEncrypt* there, then run again",
    "Foreign": "it belongs to another account, whose owner must let the forensic role use it; or copy the"
    " snapshot under a key of its own account first, and copy that one",
}


def read_key(api: ReadApi, key_id: str, account_id: str) -> Key:
    """Describe a key by id, ARN or alias; a key that cannot be read is a finding, not a failure.

    Args:
        api: Reads in the account and Region.
        key_id: Key id, ARN or ``alias/...``.
        account_id: The account that should own it.
    """
    owner = _owner(key_id)
    if owner not in (None, account_id):
        return Key(arn=key_id, account_id=str(owner), state="Foreign")
    try:
        metadata = api.call("kms:DescribeKey", KeyId=key_id)["KeyMetadata"]
    except TargetNotFound:
        return Key(arn=key_id, account_id=account_id, state="NotFound")
    except ActionDenied:
        return Key(arn=key_id, account_id=account_id, state="AccessDenied")
    owner = metadata.get("AWSAccountId") or account_id
    return Key(
        arn=metadata["Arn"],
        account_id=owner,
        manager=metadata.get("KeyManager") or "CUSTOMER",
        state=(metadata.get("KeyState") or "Enabled") if owner == account_id else "Foreign",
    )


def _owner(key_id: str) -> str | None:
    """Return the account in a key's ARN, None for an id or alias."""
    parts = key_id.split(":")
    return parts[4] if len(parts) > 4 and parts[0] == "arn" else None  # noqa: PLR2004 - arn:p:s:r:account


def route_of(encrypted: bool, key: Key | None) -> Route:  # noqa: FBT001 - a row of the table
    """Return the row of the table; the key must be usable (see :func:`obstacle`)."""
    if not encrypted:
        return Route.PLAIN
    return Route.TRANSFER if key is not None and key.manager == "AWS" else Route.CUSTOMER_KEY


def obstacle(key: Key | None, role: str) -> str | None:
    """Return why a key cannot be used and what to do, or None.

    Args:
        key: The key; None where AWS names none.
        role: What the key is for, in words.
    """
    if key is None:
        return f"AWS names no key for {role}"
    if key.state == "Enabled":
        return None
    return f"{role} {key.arn} is {key.state}: {REMEDY.get(key.state, 'see the key in KMS, then run again')}"
