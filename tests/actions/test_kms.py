"""KMS keys: which are never disabled, and what a deletion leaves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.contract import Act, Refused, Settled
from irrunner.actions.kms.cancel_deletion import CancelKeyDeletion, CancelKeyDeletionParams
from irrunner.actions.kms.disable_key import DisableKey
from irrunner.actions.kms.key_state import KeyState, OneKey, look_at_key
from irrunner.errors import TargetNotFound
from irrunner.settings import Forensics, Settings
from irrunner.testing import FakeApi

ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
ARN = f"arn:aws:kms:eu-central-1:123456789012:key/{ID}"
PARAMS = OneKey(key_id=ARN)


def state(value: str, **changes: Any) -> KeyState:
    """Return a customer key of the account."""
    values: dict[str, Any] = {
        "target": ARN, "value": value, "manager": "CUSTOMER", "account_id": "123456789012", "foreign": False,
        "reserved": "", "deletion_at": "", "replica_regions": (), "grant_count": 0, "grants_counted": True,
        "grantees": (),
    }  # fmt: skip
    return KeyState(**values | changes)


def described(**changes: Any) -> FakeApi:
    """Return KMS with one key, and no alias."""

    def describe(KeyId: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        if KeyId.startswith("alias/"):
            raise TargetNotFound(KeyId)
        return {"KeyMetadata": {"Arn": ARN, "KeyState": "Enabled", "KeyManager": "CUSTOMER", **changes}}

    def grants(**asked: Any) -> dict[str, Any]:
        number = int(asked.get("Marker", "0"))
        grant = {"GranteePrincipal": f"service-{number}"}
        return {"Grants": [grant] * 100, "Truncated": True, "NextMarker": str(number + 1)}

    return FakeApi({"kms:DescribeKey": describe, "kms:ListGrants": grants})


@pytest.mark.parametrize(
    "key_id", ["alias/app-data", "", "1234", ARN + "\n", ARN.replace("key/", "alias/"), "*", ARN.upper()]
)
def test_a_key_is_named_for_good(key_id: str) -> None:
    """An alias can be moved to another key between plan and act."""
    with pytest.raises(ValidationError):
        OneKey(key_id=key_id)


@pytest.mark.parametrize(
    ("key", "because"),
    [
        (state("Enabled", manager="AWS"), "AWS managed"),
        (state("Enabled", foreign=True), "where it is"),
        (state("Enabled", reserved="forensics.transfer_kms_key"), "irrunner's own"),
        (state("PendingDeletion", deletion_at="2026-02-01"), "cancel-key-deletion"),
        (state("PendingImport"), "no key in this state"),
    ],
)
def test_keys_that_are_not_disabled(key: KeyState, because: str) -> None:
    """Evidence must stay readable, and a pending deletion is another matter."""
    decision = DisableKey().decide(PARAMS, key)

    assert isinstance(decision, Refused)
    assert because in decision.reason


def test_who_is_concerned_is_told() -> None:
    """Grants stop working; replicas in other Regions do not."""
    key = state(
        "Disabled", grant_count=1000, grants_counted=False, grantees=("rds",), replica_regions=("us-east-1",)
    )

    decision = DisableKey().decide(PARAMS, key)

    assert isinstance(decision, Settled)
    assert "at least 1000 grants" in decision.warnings[1]
    assert "us-east-1" in decision.warnings[2]


def test_grants_are_counted_within_bounds(driver: Any) -> None:
    """A key may have 50,000 grants: the look ends, and says that there are more."""
    primary = {"PrimaryKey": {"Region": "eu-central-1"}, "ReplicaKeys": [{"Region": "us-east-1"}]}
    api = described(MultiRegionConfiguration=primary, DeletionDate=datetime(2026, 2, 1, tzinfo=UTC))

    seen = look_at_key(driver.context(api), PARAMS)

    assert (seen.grant_count, seen.grants_counted, len(seen.grantees)) == (1000, False, 10)
    assert (seen.replica_regions, seen.deletion_at[:10]) == (("us-east-1",), "2026-02-01")
    assert seen.reserved == ""


def test_the_configured_keys_are_recognised_by_arn(driver: Any) -> None:
    """Named by ARN in the settings, or by an alias that resolves here."""
    driver.settings = Settings(forensics=Forensics(transfer_kms_key=ARN))

    assert look_at_key(driver.context(described()), PARAMS).reserved == "forensics.transfer_kms_key"


def test_a_foreign_key_is_not_asked_for_its_grants(driver: Any) -> None:
    """Its owner would refuse; the refusal says where to go."""
    api = described(Arn=ARN.replace("123456789012", "444455556666"))

    seen = look_at_key(driver.context(api), PARAMS)

    assert seen.foreign
    assert "kms:ListGrants" not in [operation for operation, _ in api.calls]


@pytest.mark.parametrize(
    ("value", "enable", "sent"),
    [
        ("PendingDeletion", False, ["kms:CancelKeyDeletion"]),
        ("PendingReplicaDeletion", True, ["kms:CancelKeyDeletion", "kms:EnableKey"]),
        ("Disabled", True, ["kms:EnableKey"]),
        ("Disabled", False, []),
        ("Enabled", True, []),
    ],
)
def test_a_key_is_kept(value: str, enable: bool, sent: list[str]) -> None:  # noqa: FBT001 - a table
    """Cancelling leaves the key disabled; it is enabled only where that is asked for."""
    params = CancelKeyDeletionParams(key_id=ARN, enable=enable)

    decision = CancelKeyDeletion().decide(params, state(value))

    found = [call.operation for call in decision.calls] if isinstance(decision, Act) else []
    assert found == sent
    assert isinstance(decision, Act | Settled)
