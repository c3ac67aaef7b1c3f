"""The shipped playbooks hold what their own tests say, on the simulated organisation."""

from __future__ import annotations

from pathlib import Path

import pytest

from gameday.playbook_test_schema import TestSpec
from gameday.playbook_tests import Case, collect, new_compiler, run_case
from irrunner.playbook.library import playbook_files

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
COMPILER = new_compiler()
CASES, UNTESTED = collect([str(PLAYBOOKS)], COMPILER)
INCIDENT_RESPONSES = ("ec2-instance-compromise", "iam-user-key-compromise", "instance-role-compromise")


def _specs(playbook_id: str) -> list[TestSpec]:
    return [case.spec for case in CASES if case.playbook.id == playbook_id]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.playbook.id}: {case.test.name}")
def test_the_playbook_does_what_its_test_says(case: Case) -> None:
    """Each entry of ``tests:`` holds, the journal verifies, and bystanders are untouched."""
    result = run_case(case, COMPILER)

    assert result.failures == ()


@pytest.mark.parametrize("playbook_id", INCIDENT_RESPONSES)
def test_a_response_is_tested_for_what_goes_wrong_too(playbook_id: str) -> None:
    """Each has a true positive, a false one, throttles, lost answers and a lost resource."""
    specs = _specs(playbook_id)
    kinds = {fault.kind for spec in specs for fault in spec.faults}

    assert any(spec.expect.status == "succeeded" and not spec.faults for spec in specs)
    assert any(spec.expect.playbook == "person" and spec.expect.state.unchanged for spec in specs)
    assert {"throttle", "effect-then-lost"} <= kinds
    assert any(spec.world.gone for spec in specs)


def test_a_denied_approval_is_tested_wherever_somebody_is_asked() -> None:
    """Every gate of the shipped playbooks is denied by a test of that playbook or of its caller."""
    gates = {
        step.id for case in CASES for step in case.playbook.walk() if type(step.kind).__name__ == "Approve"
    }
    denied = {gate for case in CASES for gate, said in case.spec.approvals.items() if said == "deny"}

    assert gates
    assert gates <= denied


def test_every_playbook_has_tests_or_is_played_by_another_ones() -> None:
    """Only a playbook that others run may go without tests of its own."""
    called = {name for case in CASES for name in _callees(case)}

    assert len(playbook_files(PLAYBOOKS)) == len({case.playbook.id for case in CASES}) + len(UNTESTED)
    assert set(UNTESTED) <= called


def _callees(case: Case) -> set[str]:
    found, stack = set(), [case.playbook]
    while stack:
        for name, callee in stack.pop().callees.items():
            found.add(name)
            stack.append(callee)
    return found
