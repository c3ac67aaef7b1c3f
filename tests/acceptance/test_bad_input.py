"""Whatever is wrong outside: one clear error with its code, the right exit code, and nothing lost."""

from __future__ import annotations

import json
import resource
import signal
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.acceptance.events import ACCOUNT, INSTANCE, REGION, instance_event, key_event
from tests.acceptance.served_world import CommandLine, Done, Served, serve

HEAD = """\
schema: irrunner/v1
id: tried
version: 1.0.0
title: Tried
owner: somebody
description: A playbook with something wrong.
inputs:
  instance_id: {type: ec2.instance-id, default: i-0123456789abcdef0}
steps:
"""
DESCRIBE = "  - id: one\n    uses: aws.ec2.describe-instance\n    with: {instance_id: i-0123456789abcdef0}\n"
PLAYBOOKS: Mapping[str, tuple[str, str]] = {
    "empty file": ("", ""),
    "YAML bomb": ("a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(12)), ""),
    "5 MB": (HEAD + DESCRIBE + "#" * 5_000_000, ""),
    "duplicate key": (HEAD + DESCRIBE + "title: Again\n", "title"),
    "tab": (HEAD + "\t- id: one\n", "tab"),
    "unknown action": (
        HEAD + DESCRIBE.replace("describe-instance", "describe-instanse"),
        "aws.ec2.describe-instance",
    ),
    "wrong type": (HEAD + DESCRIBE.replace("i-0123456789abcdef0", "[1, 2]"), "instance_id"),
    "later step": (HEAD + DESCRIBE.replace("i-0123456789abcdef0", '"${{ steps.two.instance_id }}"')
                   + DESCRIBE.replace("one", "two"), "two"),
    "CEL syntax": (HEAD + DESCRIBE + "    when: ${{ 1 + }}\n", ""),
    "recursive run": (HEAD + "  - id: one\n    run: tried\n", "tried"),
}  # fmt: skip
EVENTS: Mapping[str, bytes] = {
    "empty": b"",
    "truncated": b'{"detail-type": "GuardDuty Finding", "detail": {"id": "f1", "ty',
    "not an object": b'"guardduty"',
    "no JSON": b"\xff\xfe\x00hello",
    "too deep": b"[" * 100_000,
}
CREDENTIALS: Mapping[str, dict[str, str]] = {
    "no such role": {"IRRUNNER_RESPONDER_ROLE": "no-such-role"},
    "unknown key": {"AWS_ACCESS_KEY_ID": "AKIACANARYCANARY1234"},
    "expired token": {
        "AWS_ACCESS_KEY_ID": "ASIAEXPIRED123456789",
        "AWS_SESSION_TOKEN": "expired",
        "AWS_SECRET_ACCESS_KEY": "s" * 40,
    },
    "no credentials": {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
    "wrong setting": {"IRRUNNER_FORENSICS__ACCOUNT_ID": "12345"},
}
ENVIRONMENT_CODES = dict.fromkeys(CREDENTIALS, "credentials-invalid") | {"wrong setting": "settings-invalid"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve one world for everything that fails before it changes anything."""
    directory = tmp_path_factory.mktemp("bad")
    with serve(instance_event(directory), directory / "world") as served:
        yield served


def told(done: Done, code: int) -> str:
    """Return the first line on stderr, having checked that it is one error with this exit code."""
    assert done.code == code, (done.code, done.err, done.out)
    assert done.err.count("error: ") == 1, done.err
    assert len(done.err) < 4_000
    return done.err.splitlines()[0]


@pytest.mark.parametrize("what", PLAYBOOKS)
def test_a_bad_playbook_is_refused_with_its_place(what: str, tmp_path: Path, world: Served) -> None:
    """`validate` and `run` say `file:line:column: rule: message`, exit 2, and nothing is sent."""
    text, named = PLAYBOOKS[what]
    playbook = tmp_path / "tried.yaml"
    playbook.write_text(text, encoding="utf-8")
    irrunner = CommandLine(world.env, tmp_path)

    validated = irrunner("validate", "tried.yaml")
    ran = irrunner("run", "tried.yaml", "--json")

    for done in (validated, ran):
        said = done.out + done.err
        assert done.code == 2, said
        assert "tried.yaml:" in said
        assert named in said
        assert len(done.err) < 4_000
    assert ran.document["error"]["code"] == "playbook-invalid"
    assert world.calls(mutating=True) == []


@pytest.mark.parametrize("what", EVENTS)
def test_a_bad_event_is_refused(what: str, tmp_path: Path, world: Served) -> None:
    """Bytes that are no event: `finding-malformed`, exit 2, from a file and from standard input."""
    path = tmp_path / "event.json"
    path.write_bytes(EVENTS[what])
    irrunner = CommandLine(world.env, tmp_path)

    done = irrunner("respond", "--event", path) if what != "truncated" else irrunner.program(
        "respond", "--event", "-", stdin=EVENTS[what]
    )  # fmt: skip

    assert told(done, 2).startswith("error: finding-malformed: ")


def test_a_missing_event_is_invalid_input(tmp_path: Path, world: Served) -> None:
    """A file that is not there is named, with exit code 2."""
    done = CommandLine(world.env, tmp_path)("respond", "--event", "nowhere.json")

    assert "nowhere.json" in told(done, 2)


@pytest.mark.parametrize("what", CREDENTIALS)
def test_a_bad_environment_is_told_before_anything_is_done(what: str, tmp_path: Path, world: Served) -> None:
    """Roles, keys, tokens and settings: one error with its code, exit 3; nothing was changed."""
    irrunner = CommandLine({**world.env, "IRRUNNER_STORE": str(tmp_path / "irrunner.db")}, tmp_path)

    done = irrunner("respond", "--event", instance_event(tmp_path), env=CREDENTIALS[what])

    said = done.out + done.err
    assert done.code == 3, said
    assert ENVIRONMENT_CODES[what] in said
    assert len(said) < 4_000
    assert world.calls(mutating=True) == []


def test_a_megabyte_of_unicode_in_a_tag_changes_nothing(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """Findings are hostile data: the run goes its way and what is printed cannot move the cursor."""
    hostile = "\u202e\x1b[2J\u0000😀${{ inputs.instance_id }}" * 30_000
    event = instance_event(tmp_path, tags={"Name": hostile, "Environment": "test"})
    plain = instance_event(tmp_path, "plain", tags={"Environment": "test"})
    irrunner = command_line(start_world(plain), REGION)

    done = irrunner("respond", "--event", event)

    assert done.code == 0, done.err[:2000]
    assert len(done.out) + len(done.err) < 100_000
    assert "\x1b" not in done.out + done.err
    assert "\u202e" not in done.out + done.err


def test_a_full_disk_stops_before_anything_is_sent(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """No journal, no action: exit 3, and with room again the same command does it all."""
    event = key_event(tmp_path)
    world = start_world(event)
    irrunner = command_line(world)

    done = irrunner.program("respond", "--event", event, before=_no_room(4096))
    sent = world.calls(mutating=True)
    after = irrunner("respond", "--event", event, "--json")

    assert told(done, 3).startswith("error: journal-unavailable: ")
    assert sent == []
    assert after.code == 0, after.err


def test_a_disk_that_fills_up_leaves_a_run_that_goes_on(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """A run whose journal cannot be written stops at once; with room again `resume` ends it, effects once."""
    event = instance_event(tmp_path)
    world = start_world(event)
    irrunner = command_line(world, REGION)
    assert irrunner("runs").code == 0
    used = sum(path.stat().st_size for path in world.directory.glob("irrunner.db*"))

    done = irrunner.program("respond", "--event", event, before=_no_room(used + 160_000))
    (run,) = irrunner("runs", "--json").document
    resumed = irrunner("resume", run["run_id"], "--json")

    assert "error: journal-unavailable: " in done.err
    assert done.code == 3
    assert (resumed.code, resumed.document["status"]) == (5, "waiting"), resumed.err
    operations = [call["operation"] for call in world.calls(mutating=True)]
    assert operations.count("ec2:CreateSnapshots") == 1
    assert irrunner("timeline", run["run_id"], "--json").code == 0


def _no_room(limit_bytes: int) -> Callable[[], None]:
    """Return what makes every file of a child end at a size, as a full disk does."""

    def before() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    return before


def test_a_corrupted_journal_is_evidence_and_nothing_is_driven_from_it(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """One changed record: every command on the run says `journal-corrupt`, exit 3; other runs go on."""
    event = instance_event(tmp_path)
    world = start_world(event)
    irrunner = command_line(world, REGION)
    run_id = irrunner("respond", "--event", event, "--json").document["run_id"]
    before = len(world.calls(mutating=True))
    with sqlite3.connect(world.store) as database:
        (table,) = [
            name
            for (name,) in database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%record%'"
            )
        ]
        (body,) = database.execute(f"SELECT body FROM {table} WHERE seq = 2").fetchone()  # noqa: S608 - its own name
        changed = (
            body.replace("applied", "skipped")
            if isinstance(body, str)
            else body.replace(b"applied", b"skipped")
        )
        assert changed != body
        database.execute(f"UPDATE {table} SET body = ? WHERE seq = 2", (changed,))  # noqa: S608 - as above

    for asked in (("show",), ("timeline",), ("resume",), ("undo",), ("approve",)):
        assert told(irrunner(*asked, run_id), 3).startswith("error: journal-corrupt: "), asked
    listed = irrunner("runs", "--json")
    assert (listed.code, [run["run_id"] for run in json.loads(listed.out)]) == (0, [run_id])
    assert len(world.calls(mutating=True)) == before


def test_a_wrong_input_is_named(tmp_path: Path, world: Served) -> None:
    """--input with a wrong type or name: exit 2 before anything is read."""
    irrunner = CommandLine(world.env, tmp_path)

    wrong = irrunner(
        "run", "ec2-instance-compromise", "--input", "instance_id=alice", "--input", f"account_id={ACCOUNT}"
    )
    unknown = irrunner("run", "ec2-instance-compromise", "--input", f"instance={INSTANCE}")
    missing = irrunner("run", "no-such-playbook")

    assert "instance_id" in told(wrong, 2)
    assert "instance" in told(unknown, 2)
    assert told(missing, 2).startswith("error: unknown-playbook: ")
