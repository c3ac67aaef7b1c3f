"""Logs: where they are, and their copies out of reach."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from forensics.log_export import ExportLogsParams
from forensics.log_places import LocateParams
from gameday.world import seam
from gameday.world.content import Place, build_bucket
from irrunner.clock import iso
from irrunner.settings import Forensics, Settings
from irrunner.vocabulary import Outcome
from tests.contracts.bench import Bench
from tests.contracts.conftest import OpenWorld
from tests.contracts.rows.acquire import log_objects, logged_instance


def run(bench: Bench, action_id: str, values: Any) -> Any:
    """Run an action."""
    return bench.run(bench.registry.get(action_id), values).done


def test_located_flow_logs_can_be_exported_as_they_are(open_world: OpenWorld) -> None:
    """What locate says is what export takes."""
    with open_world() as bench:
        values = log_objects(bench)
        bench.client("ec2").create_flow_logs(
            ResourceIds=[bench.resources["vpc_id"]], ResourceType="VPC", TrafficType="REJECT",
            LogDestinationType="s3", LogDestination="arn:aws:s3:::acme-logs",
        )  # fmt: skip
        located = run(bench, "aws.logs.locate", {"instance_id": bench.resources["instance_id"]})
        (place,) = [item for item in located.outputs["places"] if item["kind"] == "vpc-flow-logs"]
        asked = {name: place[name] for name in ("bucket", "prefix", "day_format")}
        assert asked == {name: values[name] for name in asked}
        assert place["traffic"] == "REJECT"
        window = {name: values[name] for name in ("since", "until")}
        done = run(bench, "aws.logs.export", asked | window)

        assert (done.outcome, done.outputs["count"], done.outputs["complete"]) == (Outcome.APPLIED, 2, True)
        client = bench.client("s3", str(bench.where.forensic_account_id))
        for item in done.outputs["objects"]:
            bucket, _, key = item["location"].removeprefix("s3://").partition("/")
            data = client.get_object(Bucket=bucket, Key=key)["Body"].read()
            assert data.startswith(b"flow ")
            assert item["sha256"] == hashlib.sha256(data).hexdigest()


def test_logs_that_nobody_writes_are_named(open_world: OpenWorld) -> None:
    """What is not written down cannot be looked at later: the responder should know now."""
    with open_world() as bench:
        done = run(bench, "aws.logs.locate", logged_instance(bench))
        vpc = bench.resources["vpc_id"]
        assert f"resolver-query-logs of {vpc}" in done.outputs["without"]
        assert f"nobody writes resolver-query-logs of {vpc}" in done.warnings


def test_one_object_that_cannot_be_copied_hinders_no_other(open_world: OpenWorld) -> None:
    """Its name and AWS's reason are told; the result is not called complete."""
    with open_world() as bench:
        values = log_objects(bench)
        bench.world.fault("s3:CopyObject", "deny", nth=1)
        done = run(bench, "aws.logs.export", values)
        assert (done.outcome, done.outputs["count"], done.outputs["complete"]) == (Outcome.APPLIED, 1, False)
        assert len(done.outputs["not_copied"]) == 1
        assert any(done.outputs["not_copied"][0] in warning for warning in done.warnings)


def test_the_bounds_hold_and_are_told(open_world: OpenWorld) -> None:
    """By count and by bytes: the oldest first, and how many were left out."""
    with open_world() as bench:
        values = log_objects(bench)
        for bound in ({"most_objects": 1}, {"most_bytes": 8}):
            done = run(bench, "aws.logs.export", {**values, **bound})
            assert done.outputs["count"] == 1
            assert any("1 more objects" in warning for warning in done.warnings)


def test_only_objects_of_the_window_are_copied(open_world: OpenWorld) -> None:
    """Another hour's and another day's logs stay where they are."""
    with open_world() as bench:
        values = log_objects(bench)
        keys = seam.s3(bench.account).buckets["acme-logs"].keys
        old = next(iter(keys))
        keys[old].last_modified -= timedelta(hours=5)
        done = run(bench, "aws.logs.export", values)
        assert [item["key"] for item in done.outputs["objects"]] == [key for key in keys if key != old]


def test_an_empty_window_is_nothing_to_do(open_world: OpenWorld) -> None:
    """With what to check."""
    with open_world() as bench:
        build_bucket(Place(bench.account, bench.where.region, 7), "acme-logs")
        now = bench.clock.now()
        values = {"bucket": "acme-logs", "since": iso(now - timedelta(hours=1)), "until": iso(now)}
        done = run(bench, "aws.logs.export", values)
        assert done.outcome is Outcome.ALREADY_DONE
        assert "aws.logs.locate" in done.reason


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00", "2026-01-01T01:00:00Z"),
        ("x", "y"),
    ],
)
def test_a_window_must_be_one(since: str, until: str) -> None:
    """Backwards, too long, without an offset, no times at all."""
    with pytest.raises(ValidationError):
        ExportLogsParams(bucket="acme-logs", since=since, until=until)


def test_somebody_must_be_named() -> None:
    """Whose logs?"""
    with pytest.raises(ValidationError, match="whose logs"):
        LocateParams()


def test_copies_are_under_object_lock_where_the_vault_is_in_s3(open_world: OpenWorld) -> None:
    """A log of the incident is evidence like any other: nobody deletes it before its time."""
    with open_world() as bench:
        bench.settings = Settings(
            forensics=Forensics(
                account_id=str(bench.where.forensic_account_id), vault="s3", retention_mode="GOVERNANCE"
            )
        )
        done = run(bench, "aws.logs.export", log_objects(bench))

        client = bench.client("s3", str(bench.where.forensic_account_id))
        assert done.outcome is Outcome.APPLIED
        for item in done.outputs["objects"]:
            bucket, _, key = item["location"].removeprefix("s3://").partition("/")
            assert client.head_object(Bucket=bucket, Key=key)["ObjectLockMode"] == "GOVERNANCE"
