from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gameday.world import World

Refused = Callable[..., str]


@pytest.fixture
def kms(world: World, member: str) -> Any:
    """Return KMS of the member account."""
    return world.client(member, "kms")


def test_a_grant_of_one_name_is_made_once(world: World, kms: Any) -> None:
    """The same name and parameters answer with the same grant, others make another."""
    key = kms.describe_key(KeyId="alias/app-data")["KeyMetadata"]["Arn"]
    role = f"arn:aws:iam::{world.organisation.forensics}:role/irrunner-forensics"
    grant = {"KeyId": key, "GranteePrincipal": role, "Operations": ["Decrypt"], "Name": "run-1"}

    first, again = (kms.create_grant(**grant)["GrantId"] for _ in range(2))
    other = kms.create_grant(**grant | {"Operations": ["Decrypt", "DescribeKey"]})["GrantId"]

    assert first == again
    assert {listed["GrantId"] for listed in kms.list_grants(KeyId=key)["Grants"]} == {first, other}
    kms.revoke_grant(KeyId=key, GrantId=first)
    assert [listed["GrantId"] for listed in kms.list_grants(KeyId=key)["Grants"]] == [other]


def test_a_grant_needs_a_living_principal_and_an_enabled_key(
    world: World, kms: Any, member: str, refused: Refused
) -> None:
    """Roles that do not exist and disabled keys are refused."""
    key = kms.describe_key(KeyId="alias/app-data")["KeyMetadata"]["Arn"]
    nobody, somebody = (
        f"arn:aws:iam::{world.organisation.forensics}:role/{name}"
        for name in ("nobody", "irrunner-forensics")
    )
    grant = {"KeyId": key, "Operations": ["Decrypt"]}

    assert refused(kms.create_grant, **grant, GranteePrincipal=nobody) == "InvalidArnException"
    world.act("disable-key", account=member, region=world.region, key_id="alias/app-data")
    assert refused(kms.create_grant, **grant, GranteePrincipal=somebody) == "DisabledException"


def test_a_shared_key_is_described_from_the_other_account(world: World, kms: Any, refused: Refused) -> None:
    """By its ARN, if its policy allows; the transfer key is shared, the application's is not."""
    shared, own = (
        kms.describe_key(KeyId=f"alias/{name}")["KeyMetadata"]["Arn"]
        for name in ("irrunner-transfer", "app-data")
    )
    forensics = world.client(world.organisation.forensics, "kms")

    assert (
        forensics.describe_key(KeyId=shared)["KeyMetadata"]["AWSAccountId"] == world.resources["account_id"]
    )
    assert refused(forensics.describe_key, KeyId=own) == "AccessDeniedException"


def test_states_change_as_kms_lets_them(world: World, member: str, kms: Any, refused: Refused) -> None:
    """By ARN, too; a key that is to be deleted is neither enabled nor disabled."""
    key = kms.describe_key(KeyId="alias/app-data")["KeyMetadata"]["Arn"]
    managed = kms.describe_key(KeyId="alias/aws/ebs")["KeyMetadata"]["Arn"]

    assert refused(kms.cancel_key_deletion, KeyId=key) == "KMSInvalidStateException"
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert refused(kms.enable_key, KeyId=key) == "KMSInvalidStateException"
    kms.cancel_key_deletion(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    kms.enable_key(KeyId=key)
    assert refused(kms.disable_key, KeyId=managed) == "AccessDeniedException"
    assert refused(kms.disable_key, KeyId=key.replace(member, "111122223333")) == "NotFoundException"
