"""Tests of the rules of order: what satisfies them, and that they are documented."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from irrunner.playbook.order import RULES
from irrunner.playbook.problems import Problem

WITH = "with: {instance_id: i-1}"
SNAPSHOT = f"- {{id: snap, uses: aws.ebs.snapshot-instance, {WITH}}}\n"
ISOLATE = f"- {{id: cut, uses: aws.ec2.isolate-instance, {WITH}}}\n"
OFF = f"- {{id: off, uses: aws.ec2.remove-instance-profile, {WITH}}}\n"
UNSURE = f"- {{id: snap, uses: aws.ebs.snapshot-instance, {WITH}, on_failure: continue}}\n"
SURE = "${{ has(steps.snap) }}"
STOP = f"- {{id: stop, uses: aws.ec2.stop-instance, {WITH}}}\n"


@pytest.mark.parametrize(
    "body",
    [
        SNAPSHOT + STOP,
        f"- {{id: p, parallel: [[{SNAPSHOT.strip()[2:]}], [{{id: w, wait: 1s}}]]}}\n" + STOP,
        UNSURE + f"- {{id: stop, when: '{SURE}', uses: aws.ec2.stop-instance, {WITH}}}",
        f"- {{id: stop, uses: aws.ec2.stop-instance, exempt: a drill, {WITH}}}",
        f"order: contain-first\nsteps:\n  {ISOLATE}  {SNAPSHOT}",
        ISOLATE,
        f"- {{id: revoke, uses: aws.iam.revoke-role-sessions, {WITH}}}",
        OFF + f"- {{id: revoke, uses: aws.iam.revoke-role-sessions, {WITH}}}",
    ],
)
def test_what_is_in_order(problems: Callable[[str], list[Problem]], body: str) -> None:
    """What comes first on every way, is made sure of by a condition, or has a reason, is no problem."""
    assert problems(body) == []


@pytest.mark.parametrize("rule", RULES, ids=[rule.rule for rule in RULES])
def test_each_rule_says_why(rule: object) -> None:
    """Each rule has a unique id, says what to do, and names the AWS page."""
    assert sum(other.rule == getattr(rule, "rule", "") for other in RULES) == 1
    assert getattr(rule, "source", "").startswith("https://docs.aws.amazon.com/")
