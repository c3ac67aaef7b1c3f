"""From the command line: secrets of AWS are found by reference, and what is queued is told later."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from gameday.world.world import World
from irrunner.cli import app
from irrunner.cli.summary import sections, show_run
from irrunner.clock import SystemClock
from tests.tickets.trackers import FakeJira, FakeReceiver

PLAYBOOK = """\
schema: irrunner/v1
id: tell
version: 1.0.0
title: Tell everybody
owner: tests
inputs:
  text: {type: string}
steps:
  - {id: chat, uses: notify.send, with: {channel: oncall, title: Contained, body: "${{ inputs.text }}"}}
  - {id: open, uses: ticket.create, with: {tracker: jira, title: Contained, body: "${{ inputs.text }}"}}
  - {id: more, uses: ticket.update, with: {tracker: jira, body: its disk is kept}}
  - {id: over, uses: ticket.close, with: {tracker: jira, body: over}}
"""
CHAT, TOKEN = "canary-chat-9d21", "canary-token-77ab"


@pytest.fixture
def jira() -> Iterator[FakeJira]:
    """A Jira that listens."""
    tracker = FakeJira("/rest/api/2/search")
    with tracker.listening():
        yield tracker


@pytest.fixture
def chat() -> Iterator[FakeReceiver]:
    """A chat that listens."""
    receiver = FakeReceiver()
    with receiver.listening():
        yield receiver


@pytest.fixture
def place(
    tmp_path: Path, jira: FakeJira, chat: FakeReceiver, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A world whose security account keeps the secrets, and a configuration that refers to them."""
    with World.build(seed=3, directory=tmp_path / "state") as world:
        for name, value in world.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        own = world.organisation.security
        url = f"{chat.url.replace('http', 'json')}/{CHAT}"
        world.client(own, "ssm").put_parameter(Name="/oncall", Value=url, Type="SecureString")
        world.client(own, "secretsmanager").create_secret(
            Name="jira", SecretString=json.dumps({"token": TOKEN})
        )
        reads = ["ssm:GetParameter", "secretsmanager:GetSecretValue"]
        allowed = {"Effect": "Allow", "Action": reads, "Resource": "*"}
        world.client(own, "iam").put_user_policy(
            UserName="oncall", PolicyName="secrets",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
        )  # fmt: skip
        config = Path(world.env["IRRUNNER_CONFIG"])
        settings = yaml.safe_load(config.read_text())
        settings["channels"] = {"oncall": {"url": "ssm:/oncall"}}
        settings["tickets"] = {
            "jira": {
                "kind": "jira-server", "url": jira.url, "project": "SEC",
                "token": "secretsmanager:jira#token",
            }
        }  # fmt: skip
        config.write_text(yaml.safe_dump(settings))
        (tmp_path / "tell.yaml").write_text(PLAYBOOK)
        yield tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Run a command; return its code and what it printed: the document alone with ``--json``."""
    capsys.readouterr()
    code = app.run(words)
    printed = capsys.readouterr()
    return code, printed.out + ("" if "--json" in words else printed.err)


def start(capsys: pytest.CaptureFixture[str], place: Path) -> Any:
    """Run the playbook; return its document."""
    code, out = run(
        capsys, "run", str(place / "tell.yaml"), "--input", "text=i-1 is cut off", "--json"
    )  # fmt: skip
    document = json.loads(out)
    assert (code, document["status"]) == (0, "succeeded"), document
    return document


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_references_to_aws_work_and_leave_no_trace(
    place: Path, jira: FakeJira, chat: FakeReceiver, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """``ssm:`` and ``secretsmanager:`` are read with the base credentials; no byte of them is kept."""
    caplog.set_level(logging.DEBUG, logger="irrunner")
    document = start(capsys, place)
    steps = {step["id"]: step for step in document["steps"]}
    shown = [run(capsys, *words)[1] for words in (
        ("show", document["run_id"]), ("timeline", document["run_id"], "--json"), ("runs", "--all"),
    )]  # fmt: skip

    assert steps["chat"]["outputs"] == {"channel": "oncall", "sent": True, "reason": ""}
    assert steps["open"]["outputs"]["reference"] == "SEC-1"
    assert steps["over"]["verified"]
    assert jira.issues["SEC-1"]["done"]
    assert chat.requests[0][1] == f"/{CHAT}"
    assert document["undelivered"] == []
    left = b"".join(path.read_bytes() for path in (place / "state").rglob("*") if path.is_file())
    told = "".join([json.dumps(document), caplog.text, *shown])
    for secret in (CHAT, TOKEN):
        assert secret.encode() not in left
        assert secret not in told


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_is_queued_is_seen_and_told_by_resume(
    place: Path, jira: FakeJira, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jira is down: the run succeeds, everybody sees what waits, and ``resume --due`` tells it once."""
    jira.status = 503
    document = start(capsys, place)
    opened = next(step for step in document["steps"] if step["id"] == "open")

    assert (opened["outcome"], opened["verified"], opened["outputs"]["queued"]) == ("applied", False, True)
    assert [each["kind"] for each in document["undelivered"]] == ["create", "update", "close"]
    assert "Not delivered yet" in run(capsys, "show", document["run_id"])[1]
    assert "3 messages to trackers not delivered" in run(capsys, "runs")[1]
    jira.status = 0
    later_clock(monkeypatch)
    assert run(capsys, "resume", "--due")[0] == 0
    assert run(capsys, "resume", "--due")[0] == 0

    assert list(jira.issues) == ["SEC-1"]
    assert len(jira.issues["SEC-1"]["comments"]) == 2
    assert jira.issues["SEC-1"]["done"]
    assert "not delivered" not in run(capsys, "runs")[1]


def later_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an hour pass for commands."""
    now = SystemClock().now
    monkeypatch.setattr(SystemClock, "now", lambda _: now() + timedelta(hours=1))


def test_what_was_passed_over_is_not_called_done(capsys: pytest.CaptureFixture[str]) -> None:
    """A skipped capture stands under "Not done", without the mark of success; a queued ticket waits."""
    about = {
        "status": "succeeded", "title": "t", "account_id": "1", "region": "r", "drill": False,
        "simulated": False, "run_id": "run-1", "playbook": {"id": "p", "version": "1.0.0"},
        "started_at": "2026-01-01T00:00:00Z", "ended_at": "2026-01-01T00:00:01Z", "objectives": {},
        "gates": [], "undoes": None,
    }  # fmt: skip
    step = {
        "kind": "uses", "phase": "analysis", "outcome": "already_done", "verified": False, "error": None,
        "warnings": ["no SSM agent"],
    }  # fmt: skip
    steps = [
        step | {"id": "memory", "action": "aws.ssm.capture-memory", "outputs": {"captured": False}},
        step | {"id": "open", "action": "ticket.create", "outputs": {"sent": False, "queued": True}},
    ]
    show_run({**about, "steps": steps}, SystemClock().now())
    lines = capsys.readouterr().out.splitlines()

    after = lines[lines.index("Not done") :]
    assert [line.split()[:2] for line in after if "not verified" in line] == [["-", "memory"], ["…", "open"]]
    assert any("no SSM agent" in line for line in after)


@pytest.mark.parametrize(
    "action", ["forensics.acquire-volumes", "aws.rds.snapshot-database", "aws.cloudtrail.export-events"]
)
def test_what_secures_evidence_is_told_as_evidence(action: str) -> None:
    """Hundreds of acquired disks are no containment: nothing was cut off."""
    step = {"id": "s", "action": action, "outcome": "applied", "phase": "containment", "kind": "uses"}

    assert [found["id"] for found in sections({"steps": [step]})["Evidence"]] == ["s"]
