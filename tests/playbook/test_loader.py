"""Tests of loading: one broken playbook per rule, the whole language in one file, and fuzz."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irrunner.actions.registry import Registry
from irrunner.errors import PlaybookInvalid, UnknownPlaybook
from irrunner.playbook.loader import examine, load_playbook
from irrunner.playbook.model import (
    Approve, Choose, Expr, Manual, Parallel, Place, Playbook, Retry, Run, Text, Uses, Wait, WaitUntil,
)  # fmt: skip
from irrunner.playbook.problems import Problem

Problems = Callable[[str], list[Problem]]
Load = Callable[[str], Playbook]

BROKEN = [
    ("missing-key", "owner: me", "1:1", "'steps'"),
    ("unknown-key", "colour: red\nsteps: [{id: a, READ}]", "5:1", "'colour'"),
    ("unknown-key", "- {id: a, READ, tiemout: 3s}", "6:58", "did you mean 'timeout'"),
    ("unknown-key", "- {id: a, wait: 3s, retry: {attempts: 2}}", "6:25", "belongs to uses"),
    ("wrong-type", "steps: {a: b}", "5:8", "a list"),
    ("wrong-type", "- {id: a, READ, retry: {attempts: many}}", "6:68", "an integer"),
    ("bad-value", "order: whatever\nsteps: [{id: a, READ}]", "5:8", "evidence-first"),
    ("bad-value", "steps: []", "5:8", "without steps"),
    ("bad-value", "triggers: [{finding: {source: guardduty, types: []}}]\nsteps: [{id: a, READ}]", "5:49", "nobody"),
    ("bad-duration", "- {id: a, wait: 5 minutes}", "6:19", "24h"),
    ("bad-duration", "- {id: a, wait: 31d}", "6:19", "30d"),
    ("bad-id", "- {id: My-Step, READ}", "6:10", "small letter"),
    ("bad-id", "- {id: inputs, READ}", "6:10", "means something"),
    ("bad-id", "- {id: a_1, READ}\n- {id: a1, READ}", "7:10", "too like"),
    ("duplicate-id", "- {id: a, READ}\n- {id: a, READ}", "7:10", "line 6"),
    ("step-kind", "- {id: a}", "6:5", "exactly one"),
    ("step-kind", "- {id: a, wait: 5s, run: x}", "6:5", "wait and run"),
    ("unknown-action", "- {id: a, uses: test.raed}", "6:19", "did you mean 'test.read'"),
    ("unknown-playbook", "- {id: a, run: other}", "6:18", "'other'"),
    ("unknown-parameter", "- {id: a, uses: test.read, with: {instance_id: i-1, cuont: 2}}", "6:62", "'count'"),
    ("missing-parameter", "- {id: a, uses: test.read}", "6:19", "'instance_id'"),
    ("parameter-type", "- {id: a, uses: test.read, with: {instance_id: i-1, count: many}}", "6:62", "integer"),
    ("parameter-type", "- {id: a, uses: test.read, with: {instance_id: i-1, count: '${{ 1 }}0'}}", "6:62", "not text"),
    ("wait-must-read", "- {id: a, wait: {until: '${{ poll.running }}', uses: test.destroy, with: {instance_id: i-1}}}",
     "6:58", "reads"),
    ("expression-wanted", "- {id: a, READ, when: inputs.x}", "6:67", "one expression"),
    ("expression-syntax", "- {id: a, READ, when: '${{ 1 + }}'}", "6:75", "Syntax"),
    ("expression-type", "- {id: a, READ, when: '${{ finding.severity >= 4 }}'}", "6:89", "4.0"),
    ("expression-type", "- {id: a, READ, when: '${{ finding.type }}'}", "6:72", "wants bool"),
    ("expression-type", "- {id: a, uses: test.read, with: {instance_id: '${{ finding.severity }}'}}", "6:57", "double"),
    ("expression-type", "- {id: a, READ}\n- {id: b, uses: test.read, with: {instance_id: '${{ steps.a.role_name }}'}}",
     "7:57", "null"),
    ("expression-name", "- {id: a, READ, when: '${{ finding.svrity > 1.0 }}'}", "6:79", "'severity'"),
    ("expression-name", "- {id: a, READ, when: '${{ input.x == 1 }}'}", "6:72", "'inputs'"),
    ("expression-name", "- {id: a, READ, when: '${{ steps == steps }}'}", "6:72", "name a step"),
    ("expression-name", "- {id: aa, READ}\n- {id: b, READ, when: '${{ steps.aaa.running }}'}", "7:77", "no step"),
    ("expression-embed", "- {id: a, uses: test.read, with: {instance_id: 'x ${{ finding.severity }}'}}", "6:59", "json()"),
    ("reference-order", "- {id: a, READ, when: '${{ steps.b.running }}'}\n- {id: b, READ}", "6:72", "later"),
    ("reference-order", "- {id: a, READ, when: '${{ steps.a.running }}'}", "6:72", "itself"),
    ("reference-branch", "- id: p\n  parallel: [[{id: a, READ}], [{id: b, READ, when: '${{ steps.a.running }}'}]]",
     "7:106", "another branch"),
    ("reference-loop", "- id: p\n  for_each: [x, y]\n  parallel: [[{id: a, READ}]]\n"
     "- {id: b, READ, when: '${{ steps.a.running }}'}", "9:72", "steps.p.items"),
    ("reference-guard", "- {id: a, READ, on_failure: continue}\n- {id: b, READ, when: '${{ steps.a.running }}'}",
     "7:72", "has(steps.a)"),
    ("unreachable-step", "- {id: a, READ, when: '${{ 1 > 2 }}'}", "6:72", "never true"),
    ("unreachable-step", "- {id: a, READ, for_each: []}", "6:71", "never runs"),
    ("for-each-nesting", "- id: a\n  for_each: [x]\n  as: p\n  parallel:\n    - - id: b\n        for_each: [x]\n"
     "        as: q\n        parallel:\n          - - {id: c, READ, for_each: [z], as: r}", "14:77", "at most 2"),
    ("duplicate-id", "- id: a\n  for_each: [x]\n  parallel:\n    - - {id: b, READ, for_each: [z], as: item}",
     "9:78", "hides"),
    ("destructive-unapproved", "- {id: a, uses: test.destroy, with: {instance_id: i-1}}", "6:19", "approve"),
    ("input-type", "inputs: {x: {type: strng}}\nsteps: [{id: a, READ}]", "5:20", "did you mean 'string'"),
    ("input-default", "inputs: {x: {type: int, default: many}}\nsteps: [{id: a, READ}]", "5:34", "int"),
    ("input-default", "inputs: {x: {type: string, default: '${{ 1 }}'}}\nsteps: [{id: a, READ}]", "5:37", "`from`"),
    ("expression-type", "inputs: {x: {type: int, from: '${{ finding.type }}'}}\nsteps: [{id: a, READ}]", "5:36", "int"),
    ("expression-name", "inputs: {x: {type: int, from: '${{ run.id }}'}}\nsteps: [{id: a, READ}]", "5:36", "'run'"),
    ("output-type", "outputs: {x: '${{ steps.a.volumes }}'}\nsteps: [{id: a, READ}]", "5:19", "an output"),
    ("event-pattern", "triggers: [{event: {source: aws.s3}}]\nsteps: [{id: a, READ}]", "5:29", "a list"),
    ("yaml-duplicate-key", "owner: a\nowner: b\nsteps: [{id: a, READ}]", "6:1", "line 5"),
    ("order-snapshot-before-stop", "- {id: a, uses: aws.ec2.stop-instance, with: {instance_id: i-1}}", "6:19", "snapshot"),
    ("order-verified-before-terminate", "- {id: s, uses: aws.ebs.snapshot-instance, with: {instance_id: i-1}}\n"
     "- {id: a, uses: aws.ec2.terminate-instance, with: {instance_id: i-1}}", "7:19", "await"),
    ("order-snapshot-before-isolate", "- {id: a, uses: aws.ec2.isolate-instance, with: {instance_id: i-1}}\n"
     "- {id: s, uses: aws.ebs.snapshot-instance, with: {instance_id: i-1}}", "6:19", "contain-first"),
    ("order-profile-before-revoke", "- {id: a, uses: aws.iam.revoke-role-sessions, with: {instance_id: i-1}}\n"
     "- {id: s, uses: aws.ec2.remove-instance-profile, with: {instance_id: i-1}}", "6:19", "IMDS"),
    ("order-copy-after-snapshot", "- {id: a, uses: aws.ebs.copy-to-forensics, with: {instance_id: i-1}}", "6:19", "completed"),
    ("order-await-after-snapshot", "- {id: a, uses: aws.ebs.await-snapshots, with: {instance_id: i-1}}\n"
     "- {id: s, uses: aws.ebs.snapshot-instance, with: {instance_id: i-1}}", "6:19", "await"),
    ("key-needs-user-deny", "- {id: a, uses: aws.iam.deactivate-access-key, with: {instance_id: i-1}}", "6:19", "outlive"),
    ("revoke-names-user", "- {id: a, uses: aws.iam.revoke-role-sessions, with: {instance_id: '${{ finding.resource.user_name }}'}}",
     "6:70", "quarantine-user"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "body", "place", "says"), BROKEN, ids=[f"{i}-{case[0]}" for i, case in enumerate(BROKEN)]
)
def test_each_rule(problems: Problems, rule: str, body: str, place: str, says: str) -> None:
    """A playbook that breaks one rule has that one problem, at its place, with what to do."""
    found = problems(body)

    assert [f"f.yaml:{place}: {rule}"] == [f"{each.place}: {each.rule}" for each in found], found
    assert says in found[0].message
