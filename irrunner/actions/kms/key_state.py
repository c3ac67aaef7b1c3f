"""A KMS key as the actions on its state see it: whose it is, who uses it, and whether it is ours to keep.

Source: AWS KMS developer guide, "Key states of AWS KMS keys".
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from irrunner.actions.contract import LookContext, Model, Permission, Where
from irrunner.actions.ebs.keys import read_key
from irrunner.actions.ids import KmsKeyId
from irrunner.actions.setting import ValueState
from irrunner.clock import iso

API_REFERENCE: Final = "https://docs.aws.amazon.com/kms/latest/APIReference"
KEY_STATES: Final = "https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html"
KEYS: Final = "arn:{partition}:kms:{region}:{account}:key/*"
READ_KEY: Final = (Permission("kms:DescribeKey", KEYS), Permission("kms:ListGrants", KEYS))
ENABLED: Final = "Enabled"
DISABLED: Final = "Disabled"
PENDING: Final = frozenset({"PendingDeletion", "PendingReplicaDeletion"})
_GRANT_PAGES: Final = 10
_GRANTS_A_PAGE: Final = 100


class OneKey(Model):
    """Parameters: a KMS key of the incident's account."""

    key_id: KmsKeyId


class KeyState(ValueState):
    """A key; the value is its KeyState."""

    manager: str
    """``AWS`` or ``CUSTOMER``."""
    account_id: str
    foreign: bool
    """It belongs to another account, or is in another Region."""
    reserved: str
    """The setting by which irrunner itself needs the key, or empty."""
    deletion_at: str
    replica_regions: tuple[str, ...]
    """Other Regions in which the multi-Region key is."""
    grant_count: int
    grants_counted: bool
    """False: there are more grants than were read."""
    grantees: tuple[str, ...]
    """Services and principals with grants, at most 20."""


def look_at_key(ctx: LookContext, params: OneKey) -> KeyState:
    """Describe a key and who has grants on it.

    Raises:
        TargetNotFound: If there is none.
    """
    raw = ctx.api.call("kms:DescribeKey", KeyId=params.key_id)["KeyMetadata"]
    arn = str(raw["Arn"])
    region, owner = arn.split(":")[3:5]
    foreign = (region, owner) != (ctx.where.region, ctx.where.account_id)
    grants, complete = ([], True) if foreign else _grants(ctx, arn)
    deletion = raw.get("DeletionDate")
    grantees = sorted({str(grant.get("GranteePrincipal") or "") for grant in grants})
    return KeyState(
        target=arn,
        value=raw.get("KeyState") or ENABLED,
        manager=raw.get("KeyManager") or "CUSTOMER",
        account_id=owner,
        foreign=foreign,
        reserved=next((name for name, reserved in _reserved(ctx) if reserved == arn), ""),
        deletion_at=iso(deletion) if isinstance(deletion, datetime) else "",
        replica_regions=_replicas(raw, region),
        grant_count=len(grants),
        grants_counted=complete,
        grantees=tuple(grantees[:20]),
    )


def not_changeable(state: KeyState) -> str | None:
    """Return why the account may not change the key's state, or None."""
    if state.foreign:
        return f"{state.target} is not of this account and Region: run the step where it is"
    if state.manager == "AWS":
        return f"{state.target} is an AWS managed key: nobody can change its state"
    return None


def key_target(params: OneKey, where: Where) -> str:
    """Return the key's ARN."""
    if params.key_id.startswith("arn:"):
        return params.key_id
    return f"arn:{where.partition}:kms:{where.region}:{where.account_id}:key/{params.key_id}"


def _grants(ctx: LookContext, arn: str) -> tuple[list[Any], bool]:
    """Return the key's grants as far as they were read, and whether those are all: a key may have 50,000."""
    found: list[Any] = []
    more: dict[str, str] = {}
    for _ in range(_GRANT_PAGES):
        page = ctx.api.call("kms:ListGrants", KeyId=arn, Limit=_GRANTS_A_PAGE, **more)
        found += page.get("Grants") or ()
        if not page.get("Truncated"):
            return found, True
        more = {"Marker": page["NextMarker"]}
    return found, False


def _reserved(ctx: LookContext) -> Iterator[tuple[str, str]]:
    """Yield the settings that name keys of ours, with the ARN that each means here."""
    where, settings = ctx.where, ctx.settings.forensics
    for name, key in (
        ("forensics.kms_key", where.forensic_kms_key or settings.kms_key),
        ("forensics.transfer_kms_key", where.transfer_kms_key or settings.transfer_kms_key),
    ):
        yield name, key if key.startswith("arn:") else read_key(ctx.api, key, where.account_id).arn


def _replicas(raw: Any, region: str) -> tuple[str, ...]:
    found = raw.get("MultiRegionConfiguration") or {}
    keys = [found.get("PrimaryKey") or {}, *(found.get("ReplicaKeys") or ())]
    return tuple(sorted({key["Region"] for key in keys if key.get("Region") not in (None, region)}))
