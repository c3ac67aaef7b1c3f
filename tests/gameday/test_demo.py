"""``irrunner demo``: it shows what happens, and is green only when every check held."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gameday.demo import DemoClock
from gameday.demo_incident import DETECTION, SUBJECT, Check, evidence_first, verdict
from gameday.demo_screen import Screen, by_hand
from gameday.environment import secluded
from gameday.finding_events import instance_event
from gameday.observe import FACTS, Scene, View, differences
from gameday.world import Call
from irrunner.cli.app import run
from irrunner.findings.parse import parse_events

SCENES = (
    "1 A finding arrives", "2 The plan of", "3 The response, live", "4 The summary", "5 A person decides",
    "6 What the cloud looks like now", "7 Undo", "8 After the undo", "9 The report and the evidence",
    "10 The end",
)  # fmt: skip


def test_the_demonstration_holds_and_leaves_nothing_behind(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every scene is shown in order, every check holds, and the caller's environment is as before."""
    monkeypatch.setenv("AWS_PROFILE", "somebody-elses")
    monkeypatch.setenv("COLUMNS", "120")
    before = dict(os.environ)

    code = run(["demo"])
    shown = capsys.readouterr().out

    positions = [shown.index(scene) for scene in SCENES]
    assert code == 0
    assert positions == sorted(positions)
    assert "18 of 18 checks held" in shown
    assert "\x1b[" not in shown
    assert dict(os.environ) == before


def test_the_callers_aws_configuration_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside there is neither a profile nor a token of the caller's; afterwards everything is back."""
    monkeypatch.setenv("AWS_PROFILE", "somebody-elses")
    monkeypatch.delenv("IRRUNNER_STORE", raising=False)

    with secluded():
        inside = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        os.environ["IRRUNNER_STORE"] = "of the stage"

    assert set(inside) == {"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED"}
    assert os.environ["AWS_PROFILE"] == "somebody-elses"
    assert "IRRUNNER_STORE" not in os.environ


def test_json_is_one_document_and_keep_keeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The document has plan, runs and checks; the kept journal can be read when the world is gone."""
    assert run(["demo", "--json", "--keep", str(tmp_path)]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    finding = parse_events((tmp_path / "finding.json").read_bytes())[0]

    assert document["finding"]["id"] == finding.id
    assert document["response"]["status"] == "waiting"
    assert document["approved"]["status"] == document["undo"]["status"] == "succeeded"
    assert {call["operation"] for call in document["plan"]["calls"]} >= {"ec2:CreateSnapshots"}
    assert all(check["held"] for check in document["checks"])
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("IRRUNNER_STORE", str(tmp_path / "irrunner.db"))
        assert run(["timeline", document["response"]["run_id"], "--json"]) == 0


def test_a_check_that_does_not_hold_is_red(capsys: pytest.CaptureFixture[str]) -> None:
    """One false check makes exit code 1, and says NO without colour."""
    checks = (Check("good", held=True), Check("bad", held=False, detail="why"))
    screen = Screen()

    screen.observed("Seen", checks, {"eni-1": "sg-1"})
    screen.ended({
        "checks": [check.as_dict() for check in checks], "duration_s": 1.0, "response": {"run_id": "r"},
    })  # fmt: skip
    shown = capsys.readouterr().out

    assert (verdict(checks), verdict(checks[:1]), verdict(())) == (1, 0, 1)
    assert "✘ NO   bad  why" in shown
    assert "1 of 2 checks held" in shown


def test_the_finding_is_a_real_shaped_one() -> None:
    """It parses without a problem, is no sample, and names instance, interfaces and profile."""
    event = instance_event(SUBJECT, DETECTION, datetime(2026, 3, 1, tzinfo=UTC))

    (finding,) = parse_events(json.dumps(event).encode())

    assert (finding.problems, finding.sample, finding.resource_role) == ((), False, "ACTOR")
    assert finding.resource.instance_id == SUBJECT.instance_id
    assert len(finding.resource.network_interface_ids) == 3
    assert finding.resource.instance_profile_arn == SUBJECT.instance_profile_arn


def test_evidence_after_isolation_is_seen() -> None:
    """The order is read from the calls that the world received."""
    names = ("ec2:ModifyNetworkInterfaceAttribute", "ec2:CreateSnapshots",
             "ec2:DisassociateIamInstanceProfile", "iam:PutRolePolicy")  # fmt: skip
    calls = [
        Call(seq, "", name, "1", "r", "p", {}, None, None, mutating=True) for seq, name in enumerate(names)
    ]

    assert not evidence_first(calls).held
    assert evidence_first([calls[1], calls[0], *calls[2:]]).held


def test_the_clock_is_set_forward_and_never_back() -> None:
    """Wall clock and monotonic clock move together."""
    clock = DemoClock()
    wall, steady = clock.now(), clock.monotonic_s()

    left_out = clock.skip_to(wall + timedelta(hours=6))

    assert left_out == pytest.approx(21_600, abs=5)
    assert clock.now() - wall >= timedelta(hours=6)
    assert clock.monotonic_s() - steady >= 21_595
    assert clock.skip_to(wall) == 0


def test_the_same_by_hand_names_what_was_kept() -> None:
    """Without --keep it says how to keep; with it, how to read the journal."""
    assert by_hand("r1", None)[0].startswith("irrunner demo --keep demo")
    assert "irrunner timeline r1" in by_hand("r1", Path("kept"))


def test_differences_leave_out_what_an_undo_keeps() -> None:
    """New snapshots and isolation groups are kept; a changed interface or another new group is not."""

    def state(**kinds: Any) -> dict[str, Any]:
        return {"accounts": {"1": {"regions": {"r": {"snapshots": {}, "security_groups": {}, **kinds}}}}}

    kept = state(snapshots={"snap-1": {}}, security_groups={"sg-1": {"name": "irrunner-quarantine-vpc-1"}})
    other = state(security_groups={"sg-2": {"name": "web"}})

    assert differences(state(), kept) == []
    assert len(differences(state(), kept, strict=True)) == 2
    assert differences(state(), other) == ["accounts/1/regions/r/security_groups/sg-2"]
    assert differences(kept, state()) != []


def test_a_view_of_nothing_says_gone() -> None:
    """Facts about resources that are not there are plain answers, not errors."""
    empty: dict[str, Any] = {"accounts": {name: {"regions": {}} for name in ("1", "2")}}
    view = View(empty, Scene("1", "r", "2", {}))

    assert {name: fact(view) for name, fact in FACTS.items()} == {
        "instance": "gone", "isolated": False, "profile": "none", "protected": False, "snapshots": 0,
        "forensic_copies": 0, "sessions_revoked": False, "key": "gone", "user_quarantined": False,
    }  # fmt: skip
