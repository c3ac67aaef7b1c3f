"""From a finding to a bundle that a stranger verifies on another machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.events import REGION, instance_event
from tests.acceptance.served_world import CommandLine, Served


def test_a_finding_ends_in_a_bundle_that_verifies_elsewhere(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """Every snapshot and copy that the run made is in custody, once, with the calls that made it."""
    event = instance_event(tmp_path)
    world = start_world(event)
    irrunner = command_line(world, REGION)
    run_id = irrunner("respond", "--event", event, "--json").document["run_id"]
    irrunner("undo", run_id, "--json")

    listed = irrunner("evidence", "list", run_id, "--json").document
    exported = irrunner("evidence", "export", run_id, "--out", tmp_path / "b.zip", "--json")
    again = irrunner("evidence", "export", run_id, "--out", tmp_path / "again.zip", "--json")
    elsewhere = subprocess.run(
        [sys.executable, "-m", "irrunner", "evidence", "verify", tmp_path / "b.zip",
         "--key", exported.document["key_sha256"]],
        capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "IRRUNNER_CONFIG": "/nonexistent/x.yaml"},
    )  # fmt: skip

    evidence = [item for item in listed["items"] if item["kind"] == "evidence"]
    made = {item["body"]["item"]["name"] for item in evidence}
    copies = [item for item in evidence if item["body"]["action"] == "aws.ebs.copy-to-forensics"]
    assert (exported.code, again.code, elsewhere.returncode) == (0, 0, 0), elsewhere.stderr
    assert (tmp_path / "b.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    assert len({item["id"] for item in listed["items"]}) == len(listed["items"])
    assert copies
    assert all(
        item["body"]["location"]["account_id"] == world.ready["accounts"]["forensics"] for item in copies
    )
    assert {item["body"]["lineage"][0]["resource"] for item in copies} <= made
    assert all("ec2:CopySnapshot" in {call["operation"] for call in item["body"]["aws"]} for item in copies)
