"""Acquisition: locks, many volumes at once, digests, facts, logs, the workstation."""

from __future__ import annotations

from collections.abc import Callable

from tests.contracts.bench import Bench
from tests.contracts.row import OVER_S, Row, Values
from tests.contracts.rows.ebs import erase_snapshots, snapshot_under, snapshots


def locked(mode: str, arrange: Callable[[Bench], Values]) -> Callable[[Bench], Values]:
    """Snapshots that are to be locked."""
    more = {"cool_off_hours": 24} if mode == "compliance" else {}
    return lambda bench: {**arrange(bench), "mode": mode, **more}


def forensic_copy(bench: Bench) -> Values:
    """A copy in the forensic account."""
    source = snapshot_under("unencrypted")(bench)
    action = bench.registry.get("aws.ebs.copy-to-forensics")
    made = bench.run(action, source).done.outputs["forensic_snapshot_id"]
    bench.clock.advance(OVER_S)
    return {"snapshot_ids": [made], "account": "forensics"}


ROWS = (
    Row("aws.ebs.lock-snapshots", locked("governance", snapshots), erase_snapshots, ("ec2:LockSnapshot",)),
    Row(
        "aws.ebs.lock-snapshots", locked("compliance", snapshots), erase_snapshots, ("ec2:LockSnapshot",),
        name="compliance",
    ),
    Row("aws.ebs.lock-snapshots", forensic_copy, None, ("ec2:LockSnapshot",), name="forensics"),
)  # fmt: skip
