"""What AWS knows of an instance, as files: complete, stored once, and no secret in anything journalled."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from gameday.world import seam
from irrunner.settings import Forensics, Settings
from irrunner.vocabulary import Outcome
from tests.contracts.bench import Bench, Ended
from tests.contracts.conftest import OpenWorld

ID = "aws.ec2.collect-instance-evidence"
SECRET = "#!/bin/sh\nexport DB_PASSWORD=correct-horse-battery-staple\n"


def with_user_data(bench: Bench) -> str:
    """The instance, which was launched with a secret."""
    instance_id: str = bench.resources["instance_id"]
    encoded = base64.b64encode(SECRET.encode()).decode()
    seam.instances(bench.account, bench.where.region)[instance_id].user_data = encoded
    return instance_id


def collect(bench: Bench, instance_id: str) -> Ended:
    """Collect."""
    return bench.run(bench.registry.get(ID), {"instance_id": instance_id})


def stored(bench: Bench, item: dict[str, Any]) -> bytes:
    """Return the bytes of a stored file."""
    bucket, _, key = item["location"].removeprefix("s3://").partition("/")
    client = bench.client("s3", str(bench.where.forensic_account_id))
    data: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    return data


def test_every_file_is_stored_with_its_hash(open_world: OpenWorld) -> None:
    """Console, screenshot, network, disks, profile, user data: what the output says is in the bucket."""
    with open_world() as bench:
        instance_id = with_user_data(bench)
        done = collect(bench, instance_id).done
        files = {item["name"]: item for item in done.outputs["files"]}

        assert done.outcome is Outcome.APPLIED
        assert set(files) >= {
            "attributes.json", "console-screenshot.jpg", "instance.json", "network.json", "profile.json",
            "user-data.bin", "volumes.json",
        }  # fmt: skip
        for item in files.values():
            data = stored(bench, item)
            assert hashlib.sha256(data).hexdigest() == item["sha256"]
            assert len(data) == item["bytes"]
        assert stored(bench, files["console-screenshot.jpg"]).startswith(b"\xff\xd8\xff")
        network = json.loads(stored(bench, files["network.json"]))
        assert len(network["NetworkInterfaces"]) == 2
        assert all(
            network[name] for name in ("RouteTables", "NetworkAcls", "SecurityGroups", "Subnets", "Vpcs")
        )


def test_user_data_is_in_the_bucket_and_nowhere_else(open_world: OpenWorld) -> None:
    """The journal, the plan and the outputs know its hash only."""
    with open_world() as bench:
        ended = collect(bench, with_user_data(bench))
        done = ended.done
        assert done.after is not None
        journalled = json.dumps(
            [
                ended.begun.before.model_dump(mode="json"),
                [
                    [call.operation, call.target, call.summary, call.before, call.after]
                    for call in ended.begun.calls
                ],
                done.after.model_dump(mode="json"),
                [call.as_dict() for call in ended.run.sender.sent],
                dict(done.outputs),
                list(done.warnings),
            ]
        )
        assert "correct-horse" not in journalled
        assert base64.b64encode(SECRET.encode()).decode()[:24] not in journalled
        assert done.outputs["user_data_sha256"] == hashlib.sha256(SECRET.encode()).hexdigest()
        (item,) = [item for item in done.outputs["files"] if item["name"] == "user-data.bin"]
        assert stored(bench, item) == SECRET.encode()


def test_a_source_that_fails_costs_its_file_alone(open_world: OpenWorld) -> None:
    """A stopped host has no screen, and the console may not be read: the rest is stored."""
    with open_world() as bench:
        instance_id = with_user_data(bench)
        bench.client("ec2").stop_instances(InstanceIds=[instance_id])
        bench.clock.advance(3600)
        bench.world.fault("ec2:GetConsoleOutput", "deny", times=0)
        done = collect(bench, instance_id).done

        assert done.outcome is Outcome.APPLIED
        missing = {item["name"]: item["reason"] for item in done.outputs["missing"]}
        assert set(missing) == {"console-screenshot.jpg", "console-output.txt"}
        assert missing["console-output.txt"].startswith("action-denied")
        assert any(warning.startswith("console-output.txt: action-denied") for warning in done.warnings)


def test_what_was_collected_first_stays(open_world: OpenWorld) -> None:
    """Interrupted half-way, then the host is gone: stored files are neither read nor written again."""
    with open_world() as bench:
        instance_id = with_user_data(bench)
        first = collect(bench, instance_id).done
        seam.instances(bench.account, bench.where.region)[instance_id].user_data = "b3RoZXI="
        before = len(bench.world.calls())
        again = collect(bench, instance_id).done

        assert again.outcome is Outcome.ALREADY_DONE
        assert again.outputs["files"] == first.outputs["files"]
        asked = {call.operation for call in bench.world.calls()[before:]}
        assert "s3:PutObject" not in asked
        if not first.outputs["missing"]:
            assert asked <= {"s3:HeadObject", "sts:AssumeRole"}


def test_another_account_cannot_read_it_from_the_calls(open_world: OpenWorld) -> None:
    """The bytes go to the forensic account, and no call with them is made in the incident's."""
    with open_world() as bench:
        collect(bench, with_user_data(bench))
        puts = [call for call in bench.world.calls(mutating=True) if call.operation == "s3:PutObject"]
        assert {call.account for call in puts} == {bench.where.forensic_account_id}


def test_files_are_under_object_lock_where_the_vault_is_in_s3(open_world: OpenWorld) -> None:
    """For as long as is configured; an earlier file is known by what S3 computed, not by what it claims."""
    with open_world() as bench:
        forensic = str(bench.where.forensic_account_id)
        bench.settings = Settings(forensics=Forensics(account_id=forensic, vault="s3", retention_days=30))
        done = collect(bench, with_user_data(bench)).done

        client = bench.client("s3", forensic)
        assert done.outcome is Outcome.APPLIED, done.reason
        for item in done.outputs["files"]:
            bucket, _, key = item["location"].removeprefix("s3://").partition("/")
            head = client.head_object(Bucket=bucket, Key=key)
            left = head["ObjectLockRetainUntilDate"] - bench.clock.now()
            assert (head["ObjectLockMode"], left.days in (29, 30)) == ("COMPLIANCE", True)


def test_a_stored_file_is_known_by_what_s3_computed(open_world: OpenWorld) -> None:
    """Whoever may put an object may name any digest in its metadata."""
    with open_world() as bench:
        values = with_user_data(bench)
        first = collect(bench, values).done.outputs["files"][0]
        bucket, _, key = first["location"].removeprefix("s3://").partition("/")
        client = bench.client("s3", str(bench.where.forensic_account_id))
        client.put_object(
            Bucket=bucket, Key=key, Body=b"forged", ChecksumAlgorithm="SHA256",
            Metadata={"sha256": first["sha256"]},
        )  # fmt: skip

        again = collect(bench, values).done.outputs["files"][0]

        assert again["sha256"] == hashlib.sha256(b"forged").hexdigest()
