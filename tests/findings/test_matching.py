from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from irrunner.errors import ExpressionFailed
from irrunner.findings.matching import match, type_matches, type_specificity
from irrunner.findings.model import Finding
from irrunner.findings.parse import parse_events
from irrunner.playbook.model import EventTrigger, Expr, FindingTrigger, Place, Playbook
from tests.findings.finding_events import detail, event

PLACE = Place("p.yaml", 1, 1)


def playbook(name: str, *triggers: FindingTrigger | EventTrigger, priority: int = 0) -> Playbook:
    """Return a playbook that has only triggers."""
    values: dict[str, Any] = {
        field.name: () for field in dataclasses.fields(Playbook) if field.name != "callees"
    }
    return Playbook(**(values | {"id": name, "triggers": triggers, "priority": priority}))


def types(*globs: str, when: str | None = None, source: str = "guardduty") -> FindingTrigger:
    """Return a finding trigger."""
    return FindingTrigger(source, globs, Expr(when, PLACE) if when else None, PLACE)


def pattern(**fields: Any) -> EventTrigger:
    """Return an event trigger."""
    return EventTrigger(fields, None, PLACE)


def found(**changes: Any) -> Finding:
    """Return a parsed finding."""
    return parse_events(event(detail(**changes)))[0]


def holds(expression: Expr, finding: Finding) -> bool:
    """Evaluate the few expressions of these tests."""
    return {"true": True, "actor": finding.resource_role == "ACTOR", "false": False}[expression.source]


def ids(finding: Finding, *playbooks: Playbook) -> list[str]:
    """Return the ids of the matching playbooks in order."""
    return [item.id for item in match(finding, playbooks, holds)]


def test_the_most_specific_trigger_wins() -> None:
    """Exact type, then longer prefix, then shorter, then event patterns by their fields."""
    books = [
        playbook("any", types("*")),
        playbook("one-field", pattern(source=["aws.guardduty"])),
        playbook("two-fields", pattern(source=["aws.guardduty"], detail={"severity": [8]})),
        playbook("backdoors", types("Backdoor:EC2/*")),
        playbook("exact", types("Backdoor:EC2/C&CActivity.B")),
        playbook("instances", types("*:EC2/*")),
    ]

    assert ids(found(), *books) == ["exact", "backdoors", "instances", "any", "two-fields", "one-field"]


def test_priority_decides_between_equals_and_then_the_id() -> None:
    """The order is the same on every machine."""
    books = [playbook("b", types("*")), playbook("a", types("*")), playbook("c", types("*"), priority=5)]

    assert ids(found(), *books) == ["c", "a", "b"]


def test_a_guard_that_does_not_hold_takes_the_trigger_out() -> None:
    """Type and role decide; another trigger of the same playbook may still fire."""
    guarded = playbook("g", types("Backdoor:EC2/*", when="actor"))
    twice = playbook("t", types("Backdoor:EC2/*", when="false"), types("*", when="true"))

    assert ids(found(), guarded, twice) == ["g", "t"]
    assert ids(found(service={"resourceRole": "TARGET"}), guarded, twice) == ["t"]


def test_guards_are_asked_only_where_the_type_fits() -> None:
    """A guard about instances is not evaluated for a bucket."""

    def never(expression: Expr, finding: Finding) -> bool:
        raise ExpressionFailed(f"{expression} {finding.id}")

    assert match(found(), [playbook("s3", types("*:S3/*", when="x"))], never) == []
    with pytest.raises(ExpressionFailed):
        match(found(), [playbook("ec2", types("*:EC2/*", when="x"))], never)


def test_a_broken_guard_keeps_no_other_playbook_from_answering(caplog: pytest.LogCaptureFixture) -> None:
    """An attacker who takes a tag off that a guard reads does not escape; the log tells of the guard."""

    def broken(expression: Expr, finding: Finding) -> bool:
        raise ExpressionFailed(f"{expression.place}: {finding.type} has no such key")

    books = [playbook("a", types("Backdoor:EC2/*", when="x")), playbook("b", types("*"))]

    assert [each.id for each in match(found(), books, broken)] == ["b"]
    assert "p.yaml:1:1" in caplog.text


def test_the_source_must_be_the_same() -> None:
    """A trigger for Macie does not answer GuardDuty."""
    assert ids(found(), playbook("m", types("*", source="macie"))) == []


def test_a_retired_type_is_answered_by_its_successors_playbook() -> None:
    """Old exports and samples still find their playbook."""
    old = found(type="UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration")

    assert ids(
        old, playbook("p", types("UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS"))
    ) == ["p"]


@pytest.mark.parametrize(
    ("glob", "name", "expected"),
    [
        ("*:EC2/*", "Backdoor:EC2/C&CActivity.B", True),
        ("Backdoor:EC2/C&CActivity.?", "Backdoor:EC2/C&CActivity.B", False),
        ("Backdoor:EC2/[CX]*", "Backdoor:EC2/C&CActivity.B", False),
        ("backdoor:*", "Backdoor:EC2/X", False),
        ("Backdoor:EC2/C*", "Backdoor:EC2/C\nX", True),
        ("*", "", True),
    ],
)
def test_only_the_star_is_special(glob: str, name: str, expected: bool) -> None:  # noqa: FBT001 - the expected value
    """Brackets and question marks are text, case counts."""
    assert type_matches(glob, name) is expected


def test_specificity_grows_with_what_is_spelled_out() -> None:
    """The order of globs is that of their literal text."""
    order = ["*", "*:EC2/*", "Backdoor:*", "Backdoor:EC2/*", "Backdoor:EC2/X"]

    assert sorted(set(order), key=type_specificity) == order
