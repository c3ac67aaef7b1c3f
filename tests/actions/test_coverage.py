from __future__ import annotations

from irrunner.actions.coverage import STAGES, action_coverage, response_matrix
from irrunner.actions.registry import Registry, load_registry


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
