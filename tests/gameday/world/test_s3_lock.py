"""Object Lock in the world: evidence cannot be deleted, by nobody, before its time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gameday.world import World
from gameday.world.organisation import evidence_bucket
from tests.gameday.world.conftest import Refused

KEY = "inc-1/memory.lime"


@pytest.fixture
def s3(world: World) -> Any:
    """Return S3 of the forensic account."""
    return world.client(world.organisation.forensics, "s3")


@pytest.fixture
def bucket(world: World) -> str:
    """Return the evidence bucket."""
    return evidence_bucket(world.organisation, world.region)


def put(s3: Any, bucket: str, world: World, mode: str) -> str:
    """Put an object under retention of a day; return its version."""
    until = world.clock.now() + timedelta(days=1)
    answer = s3.put_object(
        Bucket=bucket, Key=KEY, Body=b"x", ObjectLockMode=mode, ObjectLockRetainUntilDate=until,
        ChecksumAlgorithm="SHA256",
    )  # fmt: skip
    return str(answer["VersionId"])


def test_compliance_cannot_be_deleted_or_bypassed(
    s3: Any, bucket: str, world: World, refused: Refused
) -> None:
    """Not even by the account's administrator."""
    version = put(s3, bucket, world, "COMPLIANCE")

    assert refused(s3.delete_object, Bucket=bucket, Key=KEY, VersionId=version) == "AccessDenied"
    bypassed = {"Bucket": bucket, "Key": KEY, "VersionId": version, "BypassGovernanceRetention": True}
    assert refused(s3.delete_object, **bypassed) == "AccessDenied"
    assert s3.get_object(Bucket=bucket, Key=KEY, VersionId=version)["Body"].read() == b"x"


def test_governance_is_deleted_only_with_bypass(s3: Any, bucket: str, world: World, refused: Refused) -> None:
    """That is the difference of the two modes."""
    version = put(s3, bucket, world, "GOVERNANCE")

    assert refused(s3.delete_object, Bucket=bucket, Key=KEY, VersionId=version) == "AccessDenied"
    s3.delete_object(Bucket=bucket, Key=KEY, VersionId=version, BypassGovernanceRetention=True)

    assert "Versions" not in s3.list_object_versions(Bucket=bucket)


def test_a_batch_deletes_only_what_is_not_protected(s3: Any, bucket: str, world: World) -> None:
    """DeleteObjects is no way around, and says so entry by entry."""
    version = put(s3, bucket, world, "COMPLIANCE")
    loose = s3.put_object(Bucket=bucket, Key="loose", Body=b"x")["VersionId"]
    batch = {"Objects": [{"Key": KEY, "VersionId": version}, {"Key": "loose", "VersionId": loose}]}

    for _ in range(2):
        answer = s3.delete_objects(Bucket=bucket, Delete=batch)
        assert [(each["Key"], each["Code"]) for each in answer["Errors"]] == [(KEY, "AccessDenied")]

    assert [each["Key"] for each in s3.list_object_versions(Bucket=bucket)["Versions"]] == [KEY]
    assert "ObjectLockLegalHoldStatus" not in s3.head_object(Bucket=bucket, Key=KEY)


@pytest.mark.parametrize("mode", ["COMPLIANCE", "GOVERNANCE"])
def test_a_batch_with_bypass_deletes_only_under_governance(
    s3: Any, bucket: str, world: World, mode: str
) -> None:
    """The bypass is for the whole batch, and means nothing to COMPLIANCE."""
    version = put(s3, bucket, world, mode)

    answer = s3.delete_objects(
        Bucket=bucket,
        Delete={"Objects": [{"Key": KEY, "VersionId": version}]},
        BypassGovernanceRetention=True,
    )

    assert ("Errors" in answer) == (mode == "COMPLIANCE")


def test_a_legal_hold_outlasts_retention(s3: Any, bucket: str, world: World, refused: Refused) -> None:
    """Until somebody takes it off."""
    version = put(s3, bucket, world, "GOVERNANCE")
    s3.put_object_legal_hold(
        Bucket=bucket, Key=KEY, VersionId=version, LegalHold={"Status": "ON"}, ChecksumAlgorithm="SHA256"
    )
    world.clock.advance(2 * 86_400)

    assert refused(s3.delete_object, Bucket=bucket, Key=KEY, VersionId=version) == "AccessDenied"


def test_a_delete_marker_hides_and_deletes_nothing(s3: Any, bucket: str, world: World) -> None:
    """Object Lock allows it: the version is still there."""
    version = put(s3, bucket, world, "COMPLIANCE")

    s3.delete_object(Bucket=bucket, Key=KEY)

    assert s3.get_object(Bucket=bucket, Key=KEY, VersionId=version)["Body"].read() == b"x"


def test_retention_ends_by_the_worlds_clock(s3: Any, bucket: str, world: World) -> None:
    """A day later, in the world, the version may go."""
    version = put(s3, bucket, world, "COMPLIANCE")
    world.clock.advance(2 * 86_400)

    s3.delete_object(Bucket=bucket, Key=KEY, VersionId=version)

    assert "Versions" not in s3.list_object_versions(Bucket=bucket)


@pytest.mark.parametrize(
    ("held", "wanted", "days", "bypass", "code"),
    [
        ("COMPLIANCE", "COMPLIANCE", 0.5, True, "AccessDenied"),
        ("COMPLIANCE", "GOVERNANCE", 5, True, "AccessDenied"),
        ("COMPLIANCE", "COMPLIANCE", 5, False, None),
        ("GOVERNANCE", "GOVERNANCE", 0.5, False, "AccessDenied"),
        ("GOVERNANCE", "GOVERNANCE", 0.5, True, None),
        ("GOVERNANCE", "COMPLIANCE", 5, False, None),
    ],
)
def test_retention_is_never_weakened(
    s3: Any, bucket: str, world: World, refused: Refused, *, held: str, wanted: str, days: float,
    bypass: bool, code: str | None,
) -> None:  # fmt: skip
    """Longer is allowed; shorter, or weaker, only under GOVERNANCE with bypass."""
    version = put(s3, bucket, world, held)
    until = world.clock.now() + timedelta(days=days)
    wish = {
        "Bucket": bucket, "Key": KEY, "VersionId": version, "BypassGovernanceRetention": bypass,
        "Retention": {"Mode": wanted, "RetainUntilDate": until}, "ChecksumAlgorithm": "SHA256",
    }  # fmt: skip

    if code is None:
        s3.put_object_retention(**wish)
    else:
        assert refused(s3.put_object_retention, **wish) == code


def test_versions_of_a_locked_bucket_cannot_be_suspended(s3: Any, bucket: str, refused: Refused) -> None:
    """Else a new upload could overwrite evidence."""
    wish = {"Bucket": bucket, "VersioningConfiguration": {"Status": "Suspended"}}

    assert refused(s3.put_bucket_versioning, **wish) == "InvalidBucketState"


def test_a_retention_in_the_past_is_refused(s3: Any, bucket: str, world: World, refused: Refused) -> None:
    """It would protect nothing."""
    until = world.clock.now() - timedelta(days=1)

    code = refused(
        s3.put_object, Bucket=bucket, Key=KEY, Body=b"x", ObjectLockMode="COMPLIANCE",
        ObjectLockRetainUntilDate=until, ChecksumAlgorithm="SHA256",
    )  # fmt: skip

    assert code == "InvalidArgument"
