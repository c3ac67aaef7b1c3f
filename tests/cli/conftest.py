"""The command line over a laboratory: the real program, a cloud that is a dictionary, a clock by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from irrunner.cli import app
from irrunner.cli.context import Context
from irrunner.engine.compiled import Compiler
from irrunner.playbook.library import Library
from tests.engine.lab import Lab, LabCloud

PLAYBOOK = """\
schema: irrunner/v1
id: lab-response
version: 1.0.0
title: Answer in the laboratory
owner: tests
triggers:
  - finding: {source: guardduty, types: ["*:S3/*"]}
objectives: {contain: 5m}
steps:
  - {id: one, title: Set a, uses: lab.value.set-value, with: {name: a, value: "1"}}
  - id: ask
    approve: {message: "Set b?", from: [lead], within: 30m}
    then:
      - {id: two, uses: lab.value.set-value, with: {name: b, value: "2"}}
  - {id: three, uses: lab.value.set-value, with: {name: c, value: "3"}}
"""
FINDING = {
    "schemaVersion": "2.0", "accountId": "111111111111", "region": "us-east-1", "partition": "aws",
    "id": "16afba5c5c43e07c9e3e5e2e544e95df", "type": "Discovery:S3/AnomalousBehavior", "severity": 5,
    "arn": "arn:aws:guardduty:us-east-1:111111111111:detector/d/finding/16afba5c5c43e07c9e3e5e2e544e95df",
    "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z",
    "title": "Somebody reads a bucket", "description": "Somebody reads a bucket.",
    "resource": {
        "resourceType": "AccessKey",
        "accessKeyDetails": {
            "accessKeyId": "AKIAIOSFODNN7ABCDEFG", "userName": "alice", "userType": "IAMUser",
            "principalId": "AIDACKCEVSQ6C2ABCDEF",
        },
    },
    "service": {"serviceName": "guardduty", "count": 1, "archived": False},
}  # fmt: skip


@dataclass(frozen=True)
class Done:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return the one JSON document of standard output."""
        return json.loads(self.out)


class Desk:
    """Types commands."""

    def __init__(self, lab: Lab, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.lab = lab
        self.folder = folder
        self._capsys = capsys
        self.event = self.write_event("event.json")
        (folder / "playbooks").mkdir()
        (folder / "playbooks" / "lab.yaml").write_text(PLAYBOOK)

    def write_event(self, name: str, **changed: Any) -> str:
        """Write an event and return its path."""
        path = self.folder / name
        path.write_text(json.dumps(FINDING | changed))
        return str(path)

    def context(self) -> Context:
        """Return services as a new process would have them."""
        lab = self.lab
        context = Context(lab.clock, lab.ids)
        context.settings = lab.settings
        context.registry = lab.registry
        context.compiler = Compiler(lab.registry)
        context.library = Library(lab.registry, [self.folder / "playbooks"], shipped=False)
        context.store = lab.store
        context.cloud = LabCloud(lab.ground)
        return context

    def run(self, *words: str) -> Done:
        """Run a command."""
        self._capsys.readouterr()
        code = app.run(words, self.context())
        printed = self._capsys.readouterr()
        return Done(code, printed.out, printed.err)

    def respond(self) -> dict[str, Any]:
        """Respond to the event, and return the document of the parked run."""
        done = self.run("respond", "--event", self.event, "--json")
        document: dict[str, Any] = done.json
        assert (done.code, document["status"]) == (5, "waiting"), done
        return document


@pytest.fixture
def desk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    """Return a desk in a laboratory of its own."""
    monkeypatch.delenv("COLUMNS", raising=False)
    lab = Lab(tmp_path)
    yield Desk(lab, tmp_path, capsys)
    lab.store.close()
