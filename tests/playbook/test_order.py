"""Tests of the rules of order: what satisfies them, and that they are documented."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from irrunner.actions.registry import Registry
from irrunner.playbook.loader import Chain, examine, load_playbook
from irrunner.playbook.model import Playbook
from irrunner.playbook.order import RULES
from irrunner.playbook.problems import Problem
from tests.playbook.playbook_texts import playbook_text

WITH = "with: {instance_id: i-1}"
SNAPSHOT = f"- {{id: snap, uses: aws.ebs.snapshot-instance, {WITH}}}\n"
ISOLATE = f"- {{id: cut, uses: aws.ec2.isolate-instance, {WITH}}}\n"
OFF = f"- {{id: off, uses: aws.ec2.remove-instance-profile, {WITH}}}\n"
UNSURE = f"- {{id: snap, uses: aws.ebs.snapshot-instance, {WITH}, on_failure: continue}}\n"
MEMORY = f"- {{id: memory, uses: aws.ssm.capture-memory, {WITH}}}\n"
TRIAGE = f"- {{id: triage, uses: aws.ssm.collect-live-triage, {WITH}}}\n"
SURE = "${{ has(steps.snap) }}"
STANDBY = f"- {{id: standby, uses: aws.autoscaling.enter-standby, {WITH}}}\n"
HOLD = "- {id: hold, uses: aws.autoscaling.suspend-processes, with: {instance_id: i-1}}\n"
TARGETS = f"- {{id: targets, uses: aws.elbv2.deregister-instance, {WITH}}}\n"
CLASSIC = f"- {{id: classic, uses: aws.elb.deregister-instance, {WITH}}}\n"
LOCK = "- {id: lock, uses: aws.ebs.lock-snapshots, with: {snapshot_ids: [snap-1]}}\n"
COPY = "- {id: copy, uses: aws.ebs.copy-to-forensics, with: {snapshot_id: snap-1}}\n"
SUBNET = "- {id: subnet, uses: aws.ec2.quarantine-subnet, with: {subnet_id: subnet-1}}\n"
ACQUIRE = "- {id: acquire, uses: forensics.acquire-volumes, with: {instance_ids: [i-1]}}\n"
DENIED = f"- {{id: denied, uses: aws.ec2.replace-instance-profile, {WITH}}}\n"
DOOR = "- {id: door, uses: aws.iam.restrict-role-trust, with: {role_name: web}}\n"
REVOKE = "- {id: revoke, uses: aws.iam.revoke-role-sessions, with: {role_name: web}}\n"
ASSIGNED = "- {id: assigned, uses: aws.sso-admin.remove-account-assignment, with: {role_name: web}}\n"
SIGNED_IN = "- {id: sso, uses: aws.sso-admin.revoke-permission-set-sessions, with: {role_name: web}}\n"
STOP = f"- {{id: stop, uses: aws.ec2.stop-instance, {WITH}}}\n"


@pytest.mark.parametrize(
    "body",
    [
        SNAPSHOT + STOP,
        MEMORY + TRIAGE + SNAPSHOT + ISOLATE + STOP,
        f"order: contain-first\nsteps:\n  {ISOLATE}  {SNAPSHOT}  {MEMORY}",
        f"- {{id: p, parallel: [[{SNAPSHOT.strip()[2:]}], [{{id: w, wait: 1s}}]]}}\n" + STOP,
        UNSURE + f"- {{id: stop, when: '{SURE}', uses: aws.ec2.stop-instance, {WITH}}}",
        f"- {{id: stop, uses: aws.ec2.stop-instance, exempt: a drill, {WITH}}}",
        f"order: contain-first\nsteps:\n  {ISOLATE}  {SNAPSHOT}",
        ISOLATE.replace("with:", "exempt: the disks are kept elsewhere, with:"),
        f"- {{id: each, for_each: [i-1], parallel: [[{SNAPSHOT.strip()[2:]}]]}}\n" + ISOLATE,
        f"- {{id: revoke, uses: aws.iam.revoke-role-sessions, {WITH}}}",
        OFF + f"- {{id: revoke, uses: aws.iam.revoke-role-sessions, {WITH}}}",
        SNAPSHOT + STANDBY + TARGETS + ISOLATE + STOP,
        SNAPSHOT + HOLD + ISOLATE,
        SNAPSHOT + HOLD + ISOLATE + STANDBY,
        f"order: contain-first\nsteps:\n  {ISOLATE}  {TARGETS}  {SNAPSHOT}",
        STANDBY,
    ],
)
def test_what_is_in_order(problems: Callable[[str], list[Problem]], body: str) -> None:
    """What comes first on every way, is made sure of by a condition, or has a reason, is no problem."""
    assert problems(body) == []


@pytest.mark.parametrize(
    ("body", "rule", "severity"),
    [
        (DENIED + MEMORY, "order-memory-before-cut", "error"),
        (SUBNET + TRIAGE, "order-triage-before-cut", "error"),
        (SUBNET + SNAPSHOT, "order-snapshot-before-isolate", "error"),
        (SUBNET + STANDBY, "order-standby-before-isolate", "error"),
        (SUBNET + TARGETS, "order-deregister-before-isolate", "error"),
        (SNAPSHOT + COPY + LOCK, "order-lock-before-copy", "warning"),
        (REVOKE + DOOR, "order-door-before-revoke", "warning"),
        (SIGNED_IN + ASSIGNED, "order-assignment-before-revoke", "warning"),
    ],
)
def test_what_comes_too_early(
    problems: Callable[[str], list[Problem]], body: str, rule: str, severity: str
) -> None:
    """A way to upload that is gone, a subnet that is cut, a snapshot not locked yet, a door left open."""
    found = [(problem.rule, problem.severity) for problem in problems(body)]

    assert (rule, severity) in found


@pytest.mark.parametrize(
    "body", [ACQUIRE + STOP, ISOLATE + ACQUIRE, SNAPSHOT + LOCK + COPY, DOOR + REVOKE, ASSIGNED + SIGNED_IN]
)
def test_what_is_in_order_with_newer_actions(problems: Callable[[str], list[Problem]], body: str) -> None:
    """An acquisition takes snapshots too; what is locked and shut comes first."""
    rules = {rule.rule for rule in RULES}

    assert [problem for problem in problems(body) if problem.rule in rules] == []


@pytest.mark.parametrize("keeper", [STANDBY, HOLD])
@pytest.mark.parametrize("end", [ISOLATE, STOP])
def test_a_member_leaves_its_group_before_it_fails_its_check(
    problems: Callable[[str], list[Problem]], keeper: str, end: str
) -> None:
    """Standby after isolation comes too late: the group may have terminated the evidence."""
    (found,) = problems(SNAPSHOT + end + keeper)

    assert (found.rule, found.severity) == ("order-standby-before-isolate", "error")


def test_standby_beside_isolation_is_not_before_it(problems: Callable[[str], list[Problem]]) -> None:
    """In a `parallel` nobody knows which comes first; `contain-first` is no excuse to lose the host."""
    beside = f"- {{id: p, parallel: [[{STANDBY.strip()[2:]}], [{ISOLATE.strip()[2:]}]]}}\n"
    for body in (SNAPSHOT + beside, f"order: contain-first\nsteps:\n  {SNAPSHOT}  {ISOLATE}  {STANDBY}"):
        assert [each.rule for each in problems(body)] == ["order-standby-before-isolate"]


@pytest.mark.parametrize("deregister", [TARGETS, CLASSIC])
def test_a_host_leaves_its_load_balancers_before_it_is_cut_off(
    problems: Callable[[str], list[Problem]], deregister: str
) -> None:
    """Requests would go into the void until the health check fails."""
    assert [each.rule for each in problems(SNAPSHOT + ISOLATE + deregister)] == [
        "order-deregister-before-isolate"
    ]


def test_isolation_without_a_snapshot_is_warned_of(problems: Callable[[str], list[Problem]]) -> None:
    """A playbook that isolates and never snapshots loads, and says what is lost, whatever its order."""
    for body in (ISOLATE, f"order: contain-first\nsteps:\n  {ISOLATE}"):
        (found,) = problems(body)

        assert (found.rule, found.severity) == ("isolate-without-snapshot", "warning")
        assert "aws.ebs.snapshot-instance" in found.message


def test_order_counts_through_calls(registry: Registry) -> None:
    """What a callee does stands where it is called: isolation behind a `run` comes after the snapshot too."""

    def resolve(name: str, chain: Chain) -> Playbook:
        text = playbook_text(ISOLATE).replace("id: test-playbook", f"id: {name}")
        return load_playbook(text, "callee.yaml", registry, resolve, chain)

    call = "- {id: call, run: cut-off}\n"
    _, wrong = examine(playbook_text(call + SNAPSHOT), "f.yaml", registry, resolve)
    _, right = examine(playbook_text(SNAPSHOT + call), "f.yaml", registry, resolve)

    assert [(each.rule, each.place.line) for each in wrong] == [("order-snapshot-before-isolate", 6)]
    assert right == []


@pytest.mark.parametrize(
    ("callee", "rules"), [(SNAPSHOT, []), (UNSURE, ["order-snapshot-before-stop"])], ids=["certain", "unsure"]
)
def test_a_callee_counts_for_what_it_does_on_every_way(
    registry: Registry, callee: str, rules: list[str]
) -> None:
    """A snapshot that a called playbook may do without is no snapshot before a stop."""

    def resolve(name: str, chain: Chain) -> Playbook:
        text = playbook_text(callee).replace("id: test-playbook", f"id: {name}")
        return load_playbook(text, "callee.yaml", registry, resolve, chain)

    _, found = examine(playbook_text("- {id: call, run: keep}\n" + STOP), "f.yaml", registry, resolve)

    assert [each.rule for each in found] == rules


@pytest.mark.parametrize("rule", RULES, ids=[rule.rule for rule in RULES])
def test_each_rule_says_why(rule: object) -> None:
    """Each rule has a unique id, says what to do, and names the AWS page."""
    assert sum(other.rule == getattr(rule, "rule", "") for other in RULES) == 1
    assert getattr(rule, "source", "").startswith("https://docs.aws.amazon.com/")
