"""The reviewed table of what happens to each real event, as far as findings alone decide it."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from irrunner.findings.correlate import NO_PLAYBOOK, Act, Drill, Gate, NotActed, gate
from irrunner.findings.matching import match
from irrunner.findings.model import Finding
from irrunner.findings.parse import parse_events
from irrunner.playbook.model import Expr, FindingTrigger, Place, Playbook
from irrunner.settings import Settings

EXPECTED = Path(__file__).resolve().parents[1] / "acceptance" / "expected.csv"
PLACE = Place("README.md", 1, 1)
WORLD = Settings.model_validate({"drill": {"allow": True}})

INSTANCE_TYPES = tuple(
    f"{tactic}:EC2/*"
    for tactic in (
        "Backdoor",
        "Behavior",
        "CryptoCurrency",
        "DefenseEvasion",
        "Execution",
        "Impact",
        "Recon",
        "Trojan",
        "UnauthorizedAccess",
    )
)


def _instance(finding: Finding) -> bool:
    probes = finding.type.startswith("Recon:") or finding.type.endswith("BruteForce")
    known = finding.resource.kind == "instance" and finding.severity >= 4.0
    return known and (finding.resource_role == "ACTOR" or not probes)


def _user_key(finding: Finding) -> bool:
    resource = finding.resource
    long_term = resource.access_key_id.startswith("AKIA") and resource.user_type == "IAMUser"
    return long_term and finding.severity >= 4.0


def _instance_role(finding: Finding) -> bool:
    resource = finding.resource
    return resource.access_key_id.startswith("ASIA") and bool(resource.instance_id and resource.role_name)


def _exposed_key(finding: Finding) -> bool:
    return finding.resource.access_key_id.startswith("AKIA")


GUARDS: Mapping[str, Callable[[Finding], bool]] = {
    "instance": _instance,
    "user key": _user_key,
    "instance role": _instance_role,
    "exposed key": _exposed_key,
}
"""The guards of tests/acceptance/README.md, in Python."""


def _playbook(name: str, *triggers: FindingTrigger) -> Playbook:
    values: dict[str, Any] = {
        field.name: () for field in dataclasses.fields(Playbook) if field.name != "callees"
    }
    return Playbook(**(values | {"id": name, "triggers": triggers, "priority": 0}))


def _trigger(source: str, types: tuple[str, ...], guard: str) -> FindingTrigger:
    return FindingTrigger(source, types, Expr(guard, PLACE), PLACE)


PLAYBOOKS = (
    _playbook("ec2-instance-compromise", _trigger("guardduty", INSTANCE_TYPES, "instance")),
    _playbook(
        "iam-user-key-compromise",
        _trigger("guardduty", ("*:IAMUser/*",), "user key"),
        _trigger("health", ("AWS_RISK_CREDENTIALS_EXPOSED",), "exposed key"),
    ),
    _playbook("instance-role-compromise", _trigger("guardduty", ("*:IAMUser/*",), "instance role")),
)


def holds(guard: Expr, finding: Finding) -> bool:
    """Evaluate a guard."""
    return GUARDS[guard.source](finding)


def decided(finding: Finding) -> tuple[str, str]:
    """Return the playbook, or ``person``, and the reason as the table writes them."""
    passed: Gate = gate(finding, WORLD, loopback=True)
    if isinstance(passed, NotActed):
        return "person", passed.reason
    chosen = match(finding, PLAYBOOKS, holds)
    if not chosen:
        return "person", NO_PLAYBOOK
    return chosen[0].id, {Drill: "drill", Act: "real"}[type(passed)]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    """Return the table."""
    with EXPECTED.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def test_the_table_has_every_real_event_once(rows: list[dict[str, str]], findings_dir: Path) -> None:
    """No event is left out, none is listed twice."""
    with (findings_dir / "manifest.csv").open(newline="", encoding="utf-8") as manifest:
        files = [row["file"] for row in csv.DictReader(manifest)]

    assert sorted(row["event"] for row in rows) == sorted(files)


def test_playbook_and_reason_are_those_of_the_table(rows: list[dict[str, str]], findings_dir: Path) -> None:
    """Parsing, the gate and matching alone give the table's decision for every finding of every event."""
    wrong = {
        row["event"]: found
        for row in rows
        for finding in parse_events((findings_dir / row["event"]).read_bytes())
        if (found := decided(finding)) != (row["playbook"], row["reason"])
    }

    assert wrong == {}


def test_exit_codes_and_end_states_follow_from_the_decision(
    rows: list[dict[str, str]], findings_dir: Path
) -> None:
    """A person's case is exit 3; a contained instance waits for the stop unless it is not in production."""
    for row in rows:
        (finding, *_) = parse_events((findings_dir / row["event"]).read_bytes())
        production = finding.resource.tags.get("Environment", "production") == "production"
        waits = row["playbook"] == "ec2-instance-compromise" and production
        expected = ("3", "none") if row["playbook"] == "person" else ("5" if waits else "0", "contained")
        assert (row["exit_code"], row["end_state"]) == expected, row["event"]


def test_no_real_event_fits_two_playbooks(findings_dir: Path, rows: list[dict[str, str]]) -> None:
    """Ties would be decided by chance of naming; there are none."""
    for row in rows:
        for finding in parse_events((findings_dir / row["event"]).read_bytes()):
            assert len(match(finding, PLAYBOOKS, holds)) <= 1, row["event"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "ec2-instance-compromise"),
        ({"type": "UnauthorizedAccess:EC2/SSHBruteForce"}, "ec2-instance-compromise"),
        ({"type": "UnauthorizedAccess:EC2/SSHBruteForce", "resource_role": "TARGET"}, None),
        ({"type": "Impact:EC2/WinRMBruteForce", "resource_role": "TARGET"}, None),
        ({"type": "Recon:EC2/PortProbeUnprotectedPort", "resource_role": "TARGET"}, None),
        ({"type": "Recon:EC2/Portscan", "resource_role": "ACTOR"}, "ec2-instance-compromise"),
        ({"severity": 3.9}, None),
        ({"severity": 0.0}, None),
        ({"type": "Execution:EC2/MaliciousFile!Snapshot", "resource": {"kind": "snapshot"}}, None),
        ({"type": "Execution:Runtime/NewBinaryExecuted"}, None),
        ({"source": "securityhub"}, None),
    ],
)
def test_type_and_role_decide_for_instances(change: dict[str, Any], expected: str | None) -> None:
    """The target of a brute force or a probe is not isolated; its actor is."""
    instance = {"kind": "instance", "instance_id": "i-0abcdef1234567890"}
    base: dict[str, Any] = {
        "source": "guardduty",
        "id": "f",
        "type": "Backdoor:EC2/C&CActivity.B",
        "severity": 8.0,
    }
    finding = Finding.model_validate(base | {"resource_role": "ACTOR", "resource": instance} | change)

    assert [item.id for item in match(finding, PLAYBOOKS, holds)] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"access_key_id": "AKIAI44QH8DHBEXAMPLE", "user_type": "IAMUser"}, "iam-user-key-compromise"),
        ({"access_key_id": "AKIAI44QH8DHBEXAMPLE", "user_type": "Root"}, None),
        ({"access_key_id": "ASIAI44QH8DHBEXAMPLE", "user_type": "IAMUser"}, None),
        ({"access_key_id": "ASIAI44QH8DHBEXAMPLE", "user_type": "AssumedRole", "role_name": "web"}, None),
        (
            {
                "access_key_id": "ASIAI44QH8DHBEXAMPLE",
                "role_name": "web",
                "instance_id": "i-0abcdef1234567890",
            },
            "instance-role-compromise",
        ),
        ({"user_name": "alice", "user_type": "IAMUser"}, None),
    ],
)
def test_the_kind_of_credentials_decides_for_principals(
    resource: dict[str, str], expected: str | None
) -> None:
    """A long-term key of a user, a session of an instance; for root and other sessions a person decides."""
    finding = Finding.model_validate(
        {
            "source": "guardduty",
            "id": "f",
            "type": "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
            "severity": 8.0,
            "resource": {"kind": "access-key", **resource},
        }
    )

    assert [item.id for item in match(finding, PLAYBOOKS, holds)] == ([expected] if expected else [])
