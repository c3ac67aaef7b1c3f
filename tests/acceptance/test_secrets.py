"""Credentials are nowhere but in the environment: not in the journal, not in what is printed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.events import REGION, instance_event
from tests.acceptance.served_world import CommandLine, Done, Served

TEMPORARY = re.compile(rb"(ASIA[A-Z0-9]{16})")


def everything(directory: Path, done: list[Done]) -> bytes:
    """Return every byte that commands left behind: files (store, its log, ...) and output."""
    files = [path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()]
    return b"\0".join([*files, *(f"{entry.out}\0{entry.err}".encode() for entry in done)])


def test_credentials_are_nowhere(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """After a run with a refused call, an undo and all that shows them, no key of any session is found."""
    event = instance_event(tmp_path)
    world = start_world(event)
    irrunner = command_line(world, REGION)
    world.fault("ec2:DisassociateIamInstanceProfile", "deny", times=1)

    done = [irrunner("respond", "--event", event), irrunner("runs", "--all")]
    (run,) = irrunner("runs", "--all", "--json").document
    done += [irrunner(*asked) for asked in (
        ("timeline", run["run_id"], "--json"), ("show", run["run_id"], "--json"), ("undo", run["run_id"]),
    )]  # fmt: skip

    left = everything(world.directory, done)
    assert run["run_id"].encode() in left
    assert world.env["AWS_SECRET_ACCESS_KEY"].encode() not in left
    assert TEMPORARY.findall(left) == []


def test_refused_credentials_are_not_repeated(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """Wrong keys give one error with its code, and the secret is in no output."""
    event = instance_event(tmp_path)
    world = start_world(event)
    irrunner = command_line(world)
    canary = "canary/wJalrXUtnFEMI+K7MDENG+bPxRfiCYEXAMPLEKEY"

    done = irrunner(
        "respond", "--event", event,
        env={"AWS_ACCESS_KEY_ID": "AKIACANARYCANARY1234", "AWS_SECRET_ACCESS_KEY": canary},
    )  # fmt: skip

    assert done.code == 3
    assert done.err.startswith("error: ")
    assert canary.encode() not in everything(world.directory, [done])
