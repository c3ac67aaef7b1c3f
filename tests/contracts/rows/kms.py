"""KMS keys: disabled, and kept from deletion."""

from __future__ import annotations

from gameday.world import keys, seam
from tests.contracts.bench import Bench
from tests.contracts.row import Row, Values


def key(bench: Bench) -> Values:
    """The application's key, on which somebody has a grant."""
    kms = bench.client("kms")
    arn = kms.describe_key(KeyId="alias/app-data")["KeyMetadata"]["Arn"]
    role = f"arn:aws:iam::{bench.account}:role/{bench.resources['role_name']}"
    kms.create_grant(KeyId=arn, GranteePrincipal=role, Operations=["Decrypt"])
    return {"key_id": arn}


def dying(bench: Bench) -> Values:
    """The application's key, scheduled to be deleted, by its id."""
    values = key(bench)
    key_id = values["key_id"].rpartition("/")[2]
    bench.client("kms").schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    return {"key_id": key_id}


def dying_needed(bench: Bench) -> Values:
    """The same, needed again at once."""
    return {**dying(bench), "enable": True}


def erase_key(bench: Bench, values: Values) -> None:
    """The key's last day has come."""
    found = keys.resolve(bench.account, bench.where.region, values["key_id"])
    assert found is not None
    del seam.kms(bench.account, bench.where.region).keys[found.id]


def schedule_deletion(bench: Bench, values: Values) -> None:
    """Somebody schedules the key's deletion."""
    bench.client("kms").schedule_key_deletion(KeyId=values["key_id"], PendingWindowInDays=7)


ROWS = (
    Row("aws.kms.cancel-key-deletion", dying, erase_key, operations=("kms:CancelKeyDeletion",)),
    Row(
        "aws.kms.cancel-key-deletion", dying_needed, erase_key,
        operations=("kms:CancelKeyDeletion", "kms:EnableKey"), name="enable",
    ),
    Row(
        "aws.kms.disable-key", key, erase_key, operations=("kms:DisableKey",), drift=schedule_deletion,
    ),
)  # fmt: skip
