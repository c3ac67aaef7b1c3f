"""One incident of each kind, played once: its run, its approval, its undo."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

import pytest

from forensics.custody import Custody
from forensics.report.cli import Report, report_of
from forensics.vault import LocalVault
from gameday import playbook_tests
from gameday.incident import build_incident
from gameday.playbook_tests import collect, new_compiler
from gameday.stage import set_up
from irrunner.testing import ManualClock, SeededIds

HOSTILE = '<script>alert(1)</script> [x](javascript:1) =cmd|"/c calc"!A1 `code` #let a = "x" \\ ${{ 1 }}'


EVENT = {"eventName": "Decrypt", "eventSource": "kms.amazonaws.com", "eventTime": "2026-01-01T00:00:00Z"}
TRAIL = json.dumps({"Records": [EVENT]}).encode()
"""A CloudTrail file of the vault."""

Facts: TypeAlias = Mapping[str, Any]


def play(name: str, *, undo: bool, title: str = "") -> Report:
    """Play a test of the EC2 playbook by its name."""
    compiler = new_compiler()
    cases, _ = collect(["ec2-instance-compromise"], compiler, only=name)
    case, clock = cases[0], ManualClock()
    with set_up(clock=clock, ids=SeededIds(1), snapshot_s=0.5, compiler=compiler) as stage:
        incident = build_incident(stage.world, case.spec.world, case.spec.finding)
        event = json.loads(incident.event)
        if title:
            event["detail"]["title"] = event["detail"]["description"] = title
        document = stage.respond(json.dumps(event).encode())
        runner = stage.context.runner()
        playbook_tests._decide(runner, clock, document, case.spec.approvals)
        run_id = str(document["run_id"])
        if undo:
            runner.undo(run_id, None, release_credentials=False)
        vault = LocalVault(Custody.of(stage.context).directory / "vault")
        vault.put(str(document["incident_id"]), "trail.json", TRAIL)
        vault.put(str(document["incident_id"]), "custody/seal-000000.json", TRAIL)
        return report_of(stage.context, run_id)


@pytest.fixture(scope="session")
def whole_report() -> Report:
    """Contained, preserved, stopped after an approval, taken back."""
    return play("a mining instance", undo=True)


@pytest.fixture(scope="session")
def denied_report() -> Report:
    """A stop that somebody denied; the finding's texts are an attacker's."""
    return play("a denied stop", undo=False, title=HOSTILE)


@pytest.fixture
def whole(whole_report: Report) -> Facts:
    """The facts of the first."""
    return whole_report.facts


@pytest.fixture
def denied(denied_report: Report) -> Facts:
    """The facts of the second."""
    return denied_report.facts
