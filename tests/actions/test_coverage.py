from __future__ import annotations

from irrunner.actions.coverage import STAGES, action_coverage, families_of, response_matrix, type_coverage
from irrunner.actions.registry import Registry, load_registry
from irrunner.findings.guardduty_types import guardduty_types
from irrunner.playbook.library import Library


def test_the_matrix_and_the_registry_agree() -> None:
    """Every action that the matrix names exists, and every action is named for some family."""
    document = action_coverage(load_registry())

    assert document["missing"] == []
    assert document["unlisted"] == []
    assert document["ok"]


def test_what_is_missing_is_named() -> None:
    """Without actions, the matrix names all of them as missing: the check can fail."""
    document = action_coverage(Registry())

    assert "aws.ec2.isolate-instance" in document["missing"]
    assert not document["ok"]


def test_every_family_is_answered_or_a_persons() -> None:
    """A family has triage, containment or evidence, or says what a person does; its keys are known."""
    for family in response_matrix():
        assert set(family) <= {"family", "types", "by_hand", *STAGES}
        assert family["types"]
        assert any(family.get(stage) for stage in STAGES) or family.get("by_hand")


def test_every_type_of_guardduty_belongs_to_a_family() -> None:
    """Whatever GuardDuty sends, the matrix says what can be done."""
    assert [name for name in sorted(guardduty_types().active) if not families_of(name)] == []


def test_a_type_is_answered_by_the_playbooks_that_name_it() -> None:
    """By trigger, and said where each such trigger has a condition."""
    found = {e["type"]: e["playbooks"] for e in type_coverage(Library(load_registry()).all())["types"]}

    assert found["Backdoor:EC2/Spambot"] == [{"id": "ec2-instance-compromise", "conditional": True}]
    assert found["Object:S3/MaliciousFile"] == []
