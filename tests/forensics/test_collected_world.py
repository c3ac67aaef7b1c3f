"""Files that actions stored in the evidence bucket go into the bundle, each compared with the ledger."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from forensics.bundle import compose, write_bundle
from forensics.custody import Custody
from forensics.verify import Verdict, verify_bundle
from gameday.world.organisation import evidence_bucket
from gameday.world.world import World
from irrunner.aws.cloud import BotoCloud
from irrunner.clock import SystemClock
from irrunner.errors import CustodyBroken
from irrunner.settings import Forensics, Settings
from tests.forensics.conftest import Office

EVENT = {
    "eventID": "e-1", "eventName": "RunInstances", "eventSource": "ec2.amazonaws.com",
    "eventTime": "2026-01-01T00:00:00Z", "userIdentity": {"arn": "arn:aws:iam::111122223333:user/eve"},
}  # fmt: skip
EVENTS = (json.dumps(EVENT) + "\n").encode()
KEY = "irrunner/run/collect/cloudtrail-events.jsonl"


@pytest.fixture
def world() -> Iterator[World]:
    """Open the default world."""
    with World.build(seed=1) as built:
        yield built


class Desk:
    """Custody with a local vault, and the evidence bucket of the world."""

    def __init__(self, world: World, office: Office) -> None:
        self.world, self.office = world, office
        self.bucket = evidence_bucket(world.organisation, world.region)
        self.s3 = world.client(world.organisation.forensics, "s3")
        office.where |= {"forensic_region": world.region, "evidence_bucket": self.bucket}
        settings = Settings(forensics=Forensics(account_id=world.organisation.forensics))
        clock = SystemClock()
        self.custody = Custody(settings, office.store, clock, lambda: BotoCloud(settings, clock))

    def collect(self, key: str = KEY, data: bytes = EVENTS, bucket: str = "") -> str:
        """Journal a run whose step stored a file."""
        run_id = self.office.begin()
        item = {
            "name": key.rpartition("/")[2], "location": f"s3://{bucket or self.bucket}/{key}",
            "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data),
        }  # fmt: skip
        self.office.step("collect", "aws.cloudtrail.export-events", {"files": [item], "missing": []})
        self.office.end()
        return run_id

    def export(self, run_id: str, largest: int = 1 << 20) -> tuple[list[dict[str, Any]], Verdict]:
        """Export and verify."""
        parts, signer = self.custody.parts(self.custody.keep(run_id), largest)
        write_bundle(compose(parts, signer), self.office.folder / "b")
        return parts.collected.lacking, verify_bundle(self.office.folder / "b", signer.public.fingerprint)


@pytest.fixture
def desk(world: World, office: Office, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Return a desk."""
    for name, value in world.env.items():
        monkeypatch.setenv(name, value)
    return Desk(world, office)


def test_a_stored_file_is_in_the_bundle_and_its_events_in_the_timeline(desk: Desk) -> None:
    """Whoever gets the bundle needs no access to the bucket."""
    desk.s3.put_object(Bucket=desk.bucket, Key=KEY, Body=EVENTS)

    lacking, verdict = desk.export(desk.collect())

    folder = desk.office.folder / "b"
    assert lacking == []
    assert verdict.references == []
    assert (folder / "collected" / desk.bucket / KEY).read_bytes() == EVENTS
    assert "ec2:RunInstances by arn:aws:iam::111122223333:user/eve" in (folder / "timeline.csv").read_text()


def test_a_file_that_is_gone_is_named(desk: Desk) -> None:
    """The bundle is whole without it, and says what lacks and where it should be."""
    lacking, verdict = desk.export(desk.collect())

    assert [(each["location"], each["why"][:18]) for each in lacking] == [
        (f"s3://{desk.bucket}/{KEY}", "could not be read:")
    ]
    assert verdict.references == lacking
    assert any(KEY in warning for warning in verdict.warnings)


def test_a_file_that_was_written_over_is_named_and_left_out(desk: Desk) -> None:
    """Another content, with the old digest in its metadata, is no evidence."""
    digest = hashlib.sha256(EVENTS).hexdigest()
    desk.s3.put_object(Bucket=desk.bucket, Key=KEY, Body=EVENTS)
    desk.s3.put_object(Bucket=desk.bucket, Key=KEY, Body=b"{}", Metadata={"sha256": digest})
    run_id = desk.collect()

    lacking, _ = desk.export(run_id)

    assert lacking[0]["why"].startswith("is not what the ledger names")
    assert not (desk.office.folder / "b" / "collected").exists()
    assert any("is not what the ledger names" in each for each in desk.custody.verdict(run_id, "").warnings)


def test_a_large_file_stays_and_is_referred_to(desk: Desk) -> None:
    """Memory images are not copied into a ZIP by surprise."""
    desk.s3.put_object(Bucket=desk.bucket, Key=KEY, Body=EVENTS)

    lacking, verdict = desk.export(desk.collect(), largest=10)

    assert lacking == []
    assert [(each["why"], each["bytes"]) for each in verdict.references] == [("too large", len(EVENTS))]


def test_a_bucket_that_is_not_ours_is_never_read(desk: Desk) -> None:
    """A location is a text: one that leads elsewhere is told and not followed."""
    lacking, _ = desk.export(desk.collect(bucket="somebody-elses"))

    assert [each["why"] for each in lacking] == ["is not in the evidence bucket"]
    assert not [call for call in desk.world.calls() if "somebody-elses" in str(call)]


def test_without_aws_the_ledger_is_exported_all_the_same(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost role costs the files and not the ledger."""
    run_id = desk.collect()
    desk.world.fault("sts:AssumeRole", "deny")

    lacking, verdict = desk.export(run_id)

    assert [each["why"][:17] for each in lacking] == ["could not be read"]
    assert verdict.records == 3


@pytest.mark.parametrize("key", ["irrunner/../x", "irrunner/a b", "irrunner/ä", "/"])
def test_a_key_that_is_no_name_is_stored_by_its_digest(desk: Desk, key: str) -> None:
    """Nothing leads out of the bundle, and nothing is left out."""
    desk.s3.put_object(Bucket=desk.bucket, Key=key, Body=EVENTS)

    lacking, verdict = desk.export(desk.collect(key=key))

    digest = hashlib.sha256(EVENTS).hexdigest()
    assert lacking == []
    assert (desk.office.folder / "b/collected/_" / digest).read_bytes() == EVENTS
    assert verdict.references == []


def test_a_bundle_that_leaves_a_file_out_is_broken(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one that the right key signed: the ledger says what there was."""
    desk.s3.put_object(Bucket=desk.bucket, Key=KEY, Body=EVENTS)
    monkeypatch.setattr("forensics.bundle._add_collected", lambda *_: [])

    with pytest.raises(CustodyBroken, match="not the file that the ledger names"):
        desk.export(desk.collect())


IMAGE = "irrunner/run/memory/host.lime"
CAPTURED = {
    "instance_id": "i-0000000000000000a", "captured": True, "trusted": False, "reason": "", "tool": "avml",
    "command_id": "c", "key": IMAGE, "version_id": "", "size_bytes": len(EVENTS),
}  # fmt: skip


def captured(desk: Desk) -> str:
    """Journal a run whose host put an image and what a command printed into the bucket."""
    run_id = desk.office.begin()
    desk.office.step("memory", "aws.ssm.capture-memory", {**CAPTURED, "bucket": desk.bucket})
    triage = {"instance_id": "i-0000000000000000a", "bucket": desk.bucket, "objects": [f"{IMAGE}.stdout"]}
    desk.office.step("triage", "aws.ssm.collect-live-triage", triage)
    desk.office.end()
    return run_id


def test_what_a_host_stored_is_measured_at_the_first_export_and_held_to_it(desk: Desk) -> None:
    """The host computes no digest that we could trust: the first export records one, by version."""
    for key in (IMAGE, f"{IMAGE}.stdout"):
        desk.s3.put_object(Bucket=desk.bucket, Key=key, Body=EVENTS)
    run_id = captured(desk)

    lacking, verdict = desk.export(run_id)
    desk.s3.put_object(Bucket=desk.bucket, Key=IMAGE, Body=b"written over later")
    records = verdict.records
    parts, _ = desk.custody.parts(desk.custody.keep(run_id), 1 << 20)

    kept = desk.office.folder / "b" / "collected" / desk.bucket
    assert lacking == []
    assert (kept / IMAGE).read_bytes() == (kept / f"{IMAGE}.stdout").read_bytes() == EVENTS
    assert parts.collected.lacking == []
    assert len(parts.chain.records) == records


def test_an_image_too_large_to_read_is_told_without_a_digest(desk: Desk) -> None:
    """Nothing of many GiB is fetched unasked; that nobody has measured it is said."""
    desk.s3.put_object(Bucket=desk.bucket, Key=IMAGE, Body=EVENTS, ChecksumAlgorithm="CRC32")
    desk.s3.put_object(Bucket=desk.bucket, Key=f"{IMAGE}.stdout", Body=b"x")

    lacking, _ = desk.export(captured(desk), largest=10)

    assert [(each["location"], each["why"]) for each in lacking] == [
        (f"s3://{desk.bucket}/{IMAGE}", "its digest is not known")
    ]
