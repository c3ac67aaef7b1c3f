"""Digests on the simulated organisation: both sides of a copy agree, and damage is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gameday.world import blocks, seam
from irrunner.errors import VerificationFailed
from irrunner.vocabulary import Outcome
from tests.contracts.bench import Bench
from tests.contracts.conftest import OpenWorld
from tests.contracts.row import OVER_S

ID = "aws.ebs.digest-snapshot"


@pytest.fixture(autouse=True)
def state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Progress files of a test are its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def acquired(bench: Bench) -> list[dict[str, Any]]:
    """The volumes of the instance, acquired."""
    action = bench.registry.get("forensics.acquire-volumes")
    done = bench.run(action, {"instance_ids": [bench.resources["instance_id"]]}).done
    volumes: list[dict[str, Any]] = done.outputs["volumes"]
    return volumes


def digest(bench: Bench, snapshot_id: str | None, **more: Any) -> Any:
    """Digest a snapshot."""
    return bench.run(bench.registry.get(ID), {"snapshot_id": snapshot_id, **more}).done


def test_both_sides_of_every_route_agree(open_world: OpenWorld) -> None:
    """Unencrypted, customer key and default key: the copy under the forensic key has the source's content."""
    with open_world() as bench:
        for volume in acquired(bench):
            source = digest(bench, volume["snapshot_id"])
            copy = digest(
                bench, volume["forensic_snapshot_id"], account="forensics", expected=source.outputs["sha256"]
            )
            assert (copy.outcome, copy.outputs["matches"]) == (Outcome.APPLIED, True)
            assert copy.outputs["blocks"] == source.outputs["blocks"] > 10


def test_other_content_is_a_mismatch(open_world: OpenWorld) -> None:
    """A disk that was written to since: the step fails and says both digests."""
    with open_world() as bench:
        ec2, volume_id = bench.client("ec2"), bench.resources["volume_ids"][0]
        first = ec2.create_snapshot(VolumeId=volume_id)["SnapshotId"]
        volume = seam.ec2(bench.account, bench.where.region).volumes[volume_id]
        blocks.write(volume, 7, "the attacker was here")
        second = ec2.create_snapshot(VolumeId=volume_id)["SnapshotId"]
        bench.clock.advance(OVER_S)
        known = digest(bench, first).outputs["sha256"]
        done = digest(bench, second, expected=known)

        assert (done.outcome, done.code) == (Outcome.FAILED, "digest-mismatch")
        assert known in done.reason


def test_a_damaged_block_fails_the_step(open_world: OpenWorld) -> None:
    """Every read of one block comes back damaged: no digest is given."""
    with open_world() as bench:
        snapshot_id = bench.client("ec2").create_snapshot(VolumeId=bench.resources["volume_ids"][0])[
            "SnapshotId"
        ]
        bench.clock.advance(OVER_S)
        bench.world.fault("ebs:GetSnapshotBlock", "corrupt-body", times=0)
        with pytest.raises(VerificationFailed, match="its data has SHA-256"):
            digest(bench, snapshot_id)


def test_a_block_damaged_once_is_read_again(open_world: OpenWorld) -> None:
    """Damage on the way is no damage of the evidence."""
    with open_world() as bench:
        snapshot_id = bench.client("ec2").create_snapshot(VolumeId=bench.resources["volume_ids"][0])[
            "SnapshotId"
        ]
        bench.clock.advance(OVER_S)
        bench.world.fault("ebs:GetSnapshotBlock", "corrupt-body", times=1)
        assert digest(bench, snapshot_id).outcome is Outcome.APPLIED


def test_a_plan_reads_no_block(open_world: OpenWorld) -> None:
    """A terabyte is not read to say what would be done."""
    with open_world() as bench:
        snapshot_id = bench.client("ec2").create_snapshot(VolumeId=bench.resources["volume_ids"][0])[
            "SnapshotId"
        ]
        bench.clock.advance(OVER_S)
        bench.attempt(bench.registry.get(ID), {"snapshot_id": snapshot_id}).begin()
        assert [call for call in bench.world.calls() if call.operation.startswith("ebs:")] == []
