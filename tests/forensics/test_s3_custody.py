"""Custody signed by KMS, with its seals under Object Lock, on the simulated organisation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from forensics.bundle import compose, write_bundle
from forensics.custody import Custody
from forensics.signing import ECDSA
from forensics.verify import verify_bundle
from gameday.world.organisation import evidence_bucket
from gameday.world.world import World
from irrunner.aws.cloud import BotoCloud
from irrunner.clock import SystemClock
from irrunner.errors import ActionDenied, CustodyBroken, VaultUnavailable
from irrunner.settings import Forensics, Settings
from tests.forensics.conftest import Office


@pytest.fixture
def world() -> Iterator[World]:
    """Open the default world."""
    with World.build(seed=1) as built:
        yield built


@pytest.fixture
def custody(world: World, office: Office, monkeypatch: pytest.MonkeyPatch) -> Custody:
    """Return custody that signs with KMS and keeps seals in the evidence bucket."""
    for name, value in world.env.items():
        monkeypatch.setenv(name, value)
    kms = world.client(world.organisation.forensics, "kms")
    arn = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    forensics = Forensics(account_id=world.organisation.forensics, signing_kms_key=arn, vault="s3")
    settings, clock = Settings(forensics=forensics), SystemClock()
    office.where |= {
        "forensic_region": world.region,
        "evidence_bucket": evidence_bucket(world.organisation, world.region),
    }
    return Custody(settings, office.store, clock, lambda: BotoCloud(settings, clock))


def test_a_bundle_signed_by_kms_verifies_offline(
    custody: Custody, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver needs neither KMS nor AWS."""
    parts, signer = custody.parts(custody.keep(office.whole_run()), 1 << 20)
    write_bundle(compose(parts, signer), office.folder / "b.zip")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    verdict = verify_bundle(office.folder / "b.zip", signer.public.fingerprint)

    assert (signer.public.algorithm, verdict.records) == (ECDSA, 5)


def test_a_file_in_the_bucket_goes_into_ledger_and_bundle(custody: Custody, office: Office) -> None:
    """By its version, and without the seals that lie beside it."""
    run_id = office.whole_run()
    item = custody.vault(custody.keep(run_id)).put("inc-1", "memory/host.lime", b"pages")

    parts, signer = custody.parts(custody.keep(run_id), 1 << 20)
    write_bundle(compose(parts, signer), office.folder / "b")

    deposit = parts.chain.records[-1]["body"]["location"]
    assert (deposit["resource"], deposit["version"]) == (item.location, item.version)
    assert (office.folder / "b/vault/memory/host.lime").read_bytes() == b"pages"
    assert not (office.folder / "b/vault/custody").exists()


def test_a_key_that_is_no_name_is_told_and_stops_nothing(
    custody: Custody, office: Office, world: World
) -> None:
    """Whoever may put objects into the bucket cannot keep others from exporting."""
    run_id = office.whole_run()
    bucket = office.where["evidence_bucket"]
    s3 = world.client(world.organisation.forensics, "s3")
    s3.put_object(Bucket=bucket, Key="inc-1/a b/trail.json", Body=b"{}")

    parts, signer = custody.parts(custody.keep(run_id), 1 << 20)
    write_bundle(compose(parts, signer), office.folder / "b.zip")

    (left,) = verify_bundle(office.folder / "b.zip").references
    assert (left["name"], left["why"]) == ("a b/trail.json", "its name is none in a bundle")


def test_a_ledger_that_was_cut_is_found_by_its_seals_in_the_bucket(custody: Custody, office: Office) -> None:
    """A ledger without its last batch is whole in itself; the seal under Object Lock says there was more."""
    first, second = office.whole_run(), office.whole_run()
    custody.anchor(custody.keep(first))
    path = custody.ledger(office.store.run(first)).path
    before = path.read_bytes()
    custody.anchor(custody.keep(second))
    assert custody.verdict(second, "").records == 9
    path.write_bytes(before)

    with pytest.raises(CustodyBroken, match=r"custody/seal-000001\.json: is no seal of this ledger"):
        custody.verdict(first, "")


def test_a_seal_is_put_once(custody: Custody, office: Office, world: World) -> None:
    """Nothing new, nothing sent."""
    kept = custody.keep(office.whole_run())
    custody.anchor(kept)
    custody.anchor(kept)

    assert [call.operation for call in world.calls(mutating=True)].count("s3:PutObject") == 1


def test_a_denied_signature_leaves_the_ledger_as_it_was(
    custody: Custody, office: Office, world: World
) -> None:
    """Nothing unsigned is written; with the permission back the same call works."""
    run_id = office.whole_run()
    world.fault("kms:Sign", "deny")

    with pytest.raises(ActionDenied):
        custody.keep(run_id)

    assert not custody.ledger(office.store.run(run_id)).path.exists()
    world.clear_faults()
    assert len(custody.keep(run_id).chain.records) == 5


def test_a_denied_bucket_costs_the_anchor_and_not_the_ledger(
    custody: Custody, office: Office, world: World
) -> None:
    """The ledger is whole; the error says that the vault is not reached."""
    kept = custody.keep(office.whole_run())
    world.fault("s3:PutObject", "deny")

    with pytest.raises(VaultUnavailable):
        custody.anchor(kept)

    assert len(custody.keep(kept.row.run_id).chain.records) == 5
