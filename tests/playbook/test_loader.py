"""Tests of loading: one broken playbook per rule, the whole language in one file, and fuzz."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irrunner.actions.registry import Registry
from irrunner.errors import PlaybookInvalid
from irrunner.playbook import words
from irrunner.playbook.loader import examine, load_playbook
from irrunner.playbook.model import (
    Approve,
    Choose,
    Expr,
    Manual,
    Parallel,
    Place,
    Playbook,
    Retry,
    Run,
    Text,
    Uses,
    Wait,
    WaitUntil,
)  # fmt: skip
from irrunner.playbook.problems import Problem
from tests.playbook.playbook_texts import HEAD, playbook_text

MARK = "»"
Problems = Callable[[str], list[Problem]]
Load = Callable[[str], Playbook]

BROKEN = [
    ("unknown-key", "'colour'", """
        »colour: red
        steps: [{id: a, READ}]
    """),
    ("unknown-key", "did you mean 'timeout'", "- {id: a, READ, »tiemout: 3s}"),
    ("unknown-key", "belongs to uses", "- {id: a, wait: 3s, »retry: {attempts: 2}}"),
    ("wrong-type", "a list", "steps: »{a: b}"),
    ("wrong-type", "an integer", "- {id: a, READ, retry: {attempts: »many}}"),
    ("bad-value", "evidence-first", """
        order: »whatever
        steps: [{id: a, READ}]
    """),
    ("bad-value", "without steps", "steps: »[]"),
    ("bad-value", "at least one", """
        triggers: [{finding: {source: guardduty, types: »[]}}]
        steps: [{id: a, READ}]
    """),
    ("bad-duration", "24h", "- {id: a, wait: »5 minutes}"),
    ("bad-duration", "30d", "- {id: a, wait: »31d}"),
    ("bad-id", "small letter", "- {id: »My-Step, READ}"),
    ("bad-id", "means something", "- {id: »inputs, READ}"),
    ("bad-id", "too like", """
        - {id: a_1, READ}
        - {id: »a1, READ}
    """),
    ("duplicate-id", "already at line", """
        - {id: a, READ}
        - {id: »a, READ}
    """),
    ("step-kind", "exactly one", "- »{id: a}"),
    ("step-kind", "wait and run", "- »{id: a, wait: 5s, run: x}"),
    ("unknown-action", "did you mean 'test.read'", "- {id: a, uses: »test.raed}"),
    ("unknown-playbook", "'other'", "- {id: a, run: »other}"),
    ("unknown-parameter", "'count'", "- {id: a, uses: test.read, with: {instance_id: i-1, cuont: »2}}"),
    ("missing-parameter", "'instance_id'", "- {id: a, uses: »test.read}"),
    ("parameter-type", "integer", "- {id: a, uses: test.read, with: {instance_id: i-1, count: »many}}"),
    ("parameter-type", "not text", """
        - {id: a, uses: test.read, with: {instance_id: i-1, count: »'${{ 1 }}0'}}
    """),
    ("wait-must-read", "reads", """
        - {id: a, wait: {until: '${{ poll.running }}', uses: »test.destroy, with: {instance_id: i-1}}}
    """),
    ("bad-value", "cannot expire", """
        - {id: a, uses: test.destroy, exempt: a drill, with: {instance_id: i-1}, expires_after: »24h}
    """),
    ("expression-wanted", "one expression", "- {id: a, READ, when: »inputs.x}"),
    ("expression-syntax", "Syntax", "- {id: a, READ, when: '${{ 1 +» }}'}"),
    ("expression-type", "4.0", "- {id: a, READ, when: '${{ finding.severity »>= 4 }}'}"),
    ("expression-type", "wants bool", "- {id: a, READ, when: '${{ »finding.type }}'}"),
    ("expression-type", "double", """
        - {id: a, uses: test.read, with: {instance_id: '${{ »finding.severity }}'}}
    """),
    ("expression-type", "null", """
        - {id: a, READ}
        - {id: b, uses: test.read, with: {instance_id: '${{ »steps.a.role_name }}'}}
    """),
    ("expression-name", "'severity'", "- {id: a, READ, when: '${{ finding».svrity > 1.0 }}'}"),
    ("expression-name", "'inputs'", "- {id: a, READ, when: '${{ input».x == 1 }}'}"),
    ("expression-name", "no step", """
        - {id: aa, READ}
        - {id: b, READ, when: '${{ steps».aaa.running }}'}
    """),
    ("expression-embed", "json()", """
        - {id: a, uses: test.read, with: {instance_id: 'x ${{ »finding.severity }}'}}
    """),
    ("reference-order", "later", """
        - {id: a, READ, when: '${{ »steps.b.running }}'}
        - {id: b, READ}
    """),
    ("reference-order", "itself", "- {id: a, READ, when: '${{ »steps.a.running }}'}"),
    ("reference-branch", "another branch", """
        - id: p
          parallel: [[{id: a, READ}], [{id: b, READ, when: '${{ »steps.a.running }}'}]]
    """),
    ("reference-loop", "steps.p.items", """
        - id: p
          for_each: [x, y]
          parallel: [[{id: a, READ}]]
        - {id: b, READ, when: '${{ »steps.a.running }}'}
    """),
    ("reference-guard", "has(steps.a)", """
        - {id: a, READ, on_failure: continue}
        - {id: b, READ, when: '${{ »steps.a.running }}'}
    """),
    ("unreachable-step", "never true", "- {id: a, READ, when: '${{ »1 > 2 }}'}"),
    ("unreachable-step", "never runs", "- {id: a, READ, for_each: »[]}"),
    ("for-each-nesting", "at most 2", """
        - id: a
          for_each: [x]
          as: p
          parallel:
            - - id: b
                for_each: [x]
                as: q
                parallel:
                  - - {id: c, READ, for_each: »[z], as: r}
    """),
    ("duplicate-id", "hides", """
        - id: a
          for_each: [x]
          parallel:
            - - {id: b, READ, for_each: [z], as: »item}
    """),
    ("destructive-unapproved", "approve", "- {id: a, uses: »test.destroy, with: {instance_id: i-1}}"),
    ("input-type", "did you mean 'string'", """
        inputs: {x: {type: »strng}}
        steps: [{id: a, READ}]
    """),
    ("input-default", "int", """
        inputs: {x: {type: int, default: »many}}
        steps: [{id: a, READ}]
    """),
    ("input-default", "`from`", """
        inputs: {x: {type: string, default: »'${{ 1 }}'}}
        steps: [{id: a, READ}]
    """),
    ("expression-type", "int", """
        inputs: {x: {type: int, from: '${{ »finding.type }}'}}
        steps: [{id: a, READ}]
    """),
    ("expression-name", "'run'", """
        inputs: {x: {type: int, from: '${{ run».id }}'}}
        steps: [{id: a, READ}]
    """),
    ("output-type", "an output", """
        outputs: {x: '${{ »steps.a.volumes }}'}
        steps: [{id: a, READ}]
    """),
    ("event-pattern", "a list", """
        triggers: [{event: {source: »aws.s3}}]
        steps: [{id: a, READ}]
    """),
    ("bad-value", "did you mean 'Backdoor:EC2/", """
        triggers: [{finding: {source: guardduty, types: »['Backdor:EC2/C&CActivity.B', '*:EC2/*']}}]
        steps: [{id: a, READ}]
    """),
    ("event-pattern", "unknown operator", """
        triggers: [{event: {source: [aws.s3], detail: {name: [»{prefx: a}]}}}]
        steps: [{id: a, READ}]
    """),
    ("event-pattern", "two objects", """
        triggers: [{event: {$or: »[{source: [aws.s3]}]}}]
        steps: [{id: a, READ}]
    """),
    ("bad-id", "'in'", """
        outputs: {»in: '${{ 1 }}'}
        steps: [{id: a, READ}]
    """),
    ("yaml-encoding", "U+2028", """
        owner: me»\u2028version: 2.0.0
        steps: [{id: a, READ}]
    """),
    ("yaml-encoding", "U+202E", """
        owner: "»\u202eme"
        steps: [{id: a, READ}]
    """),
    ("yaml-alias", "'x' is int, not string", """
        - {id: a, for_each: [a], as: x, uses: test.read, with: &w {instance_id: "i ${{ »x }}"}}
        - {id: b, for_each: [1], as: x, uses: test.read, with: *w}
    """),
    ("reference-guard", "outcome first", """
        - {id: a, for_each: [i-1], as: x, on_failure: continue, READ}
        - id: b
          when: ${{ has(steps.a) }}
          uses: test.read
          with: {instance_id: '${{ string(size(»steps.a.items[0].outputs.volume_ids)) }}'}
    """),
    ("reference-guard", "ask", """
        - {id: ask, approve: {message: m, from: [x]}, then: [{id: a, READ}]}
        - {id: b, when: '${{ [»steps.ask].size() == 1 }}', READ}
    """),
    ("expression-name", "asked once", """
        - {id: a, for_each: [i-1], as: x, when: "${{ »x == 'a' }}", READ}
    """),
    ("approval-in-loop", "every item", """
        - »id: a
          for_each: [i-1]
          approve: {message: m, from: [x], minimum: 2}
          then: [{id: b, READ}]
    """),
    ("yaml-duplicate-key", "line 5", """
        owner: a
        »owner: b
        steps: [{id: a, READ}]
    """),
    ("order-snapshot-before-stop", "snapshot", """
        - {id: a, uses: »aws.ec2.stop-instance, with: {instance_id: i-1}}
    """),
    ("order-verified-before-terminate", "await", """
        - {id: s, uses: aws.ebs.snapshot-instance, with: {instance_id: i-1}}
        - {id: a, uses: »aws.ec2.terminate-instance, with: {instance_id: i-1}}
    """),
    ("order-snapshot-before-isolate", "contain-first", """
        - {id: a, uses: »aws.ec2.isolate-instance, with: {instance_id: i-1}}
        - {id: s, uses: aws.ebs.snapshot-instance, with: {instance_id: i-1}}
    """),
    ("order-snapshot-before-isolate", "contain-first", """
        - id: p
          parallel:
            - {id: s, uses: aws.ebs.snapshot-instance, with: {instance_id: i-1}}
            - {id: a, uses: »aws.ec2.isolate-instance, with: {instance_id: i-1}}
    """),
    ("order-snapshot-before-isolate", "contain-first", """
        - id: c
          choose:
            - when: ${{ finding.archived }}
              steps: [{id: s, uses: aws.ebs.snapshot-instance, with: {instance_id: i-1}}]
          otherwise: [{id: a, uses: »aws.ec2.isolate-instance, with: {instance_id: i-1}}]
    """),
    ("order-memory-before-cut", "contain-first", """
        - {id: s, uses: aws.ebs.snapshot-instance, with: {instance_id: i-1}}
        - {id: a, uses: »aws.ec2.stop-instance, with: {instance_id: i-1}}
        - {id: m, uses: aws.ssm.capture-memory, with: {instance_id: i-1}}
    """),
    ("order-memory-before-cut", "upload", """
        - {id: a, uses: »aws.ec2.remove-instance-profile, with: {instance_id: i-1}}
        - {id: m, uses: aws.ssm.capture-memory, with: {instance_id: i-1}}
    """),
    ("order-triage-before-cut", "answers no questions", """
        - {id: s, uses: aws.ebs.snapshot-instance, with: {instance_id: i-1}}
        - id: p
          parallel:
            - {id: t, uses: aws.ssm.collect-live-triage, with: {instance_id: i-1}}
            - {id: a, uses: »aws.ec2.isolate-instance, with: {instance_id: i-1}}
    """),
    ("order-profile-before-revoke", "IMDS", """
        - {id: a, uses: »aws.iam.revoke-role-sessions, with: {instance_id: i-1}}
        - {id: s, uses: aws.ec2.remove-instance-profile, with: {instance_id: i-1}}
    """),
    ("order-copy-after-snapshot", "completed", """
        - {id: a, uses: »aws.ebs.copy-to-forensics, with: {instance_id: i-1}}
    """),
    ("order-await-after-snapshot", "await", """
        - {id: a, uses: »aws.ebs.await-snapshots, with: {instance_id: i-1}}
        - {id: s, uses: aws.ebs.snapshot-instance, with: {instance_id: i-1}}
    """),
    ("key-needs-user-deny", "outlive", """
        - {id: a, uses: »aws.iam.deactivate-access-key, with: {instance_id: i-1}}
    """),
    ("revoke-names-user", "quarantine-user", """
        - id: a
          uses: aws.iam.revoke-role-sessions
          with: {instance_id: »"${{ finding.resource.user_name }}"}
    """),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "says", "body"), BROKEN, ids=[f"{i}-{case[0]}" for i, case in enumerate(BROKEN)]
)
def test_each_rule(registry: Registry, rule: str, says: str, body: str) -> None:
    """A playbook that breaks one rule has that one problem, at the mark, with what to do."""
    marked = playbook_text(body)
    before = marked[: marked.index(MARK)]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")

    _, found = examine(marked.replace(MARK, ""), "f.yaml", registry)

    assert [f"f.yaml:{line}:{column}: {rule}"] == [f"{each.place}: {each.rule}" for each in found]
    assert says in found[0].message


@pytest.mark.parametrize("text", ["just text", "- a list", "{}"])
def test_no_mapping(registry: Registry, text: str) -> None:
    """A file that is no mapping is told how a playbook begins."""
    _, found = examine(text, "f.yaml", registry)

    assert [each.rule for each in found] == ["wrong-type"]
    assert "schema: irrunner/v1" in found[0].message


def test_missing_keys_come_together(registry: Registry) -> None:
    """All required keys that are missing are named in one pass."""
    _, found = examine("owner: me", "f.yaml", registry)

    assert {"'schema'", "'id'", "'version'", "'title'", "'steps'"} == {
        each.message.split()[2] for each in found
    }


def test_all_problems_in_order_of_place(problems: Problems) -> None:
    """One pass shows everything, sorted by place."""
    found = problems("""
        colour: red
        steps:
          - {id: a, uses: test.raed}
          - {id: b, READ, when: "${{ steps.c.running }}"}
          - {id: c, READ, timeout: soon}
    """)

    assert [each.rule for each in found] == [
        "unknown-key",
        "unknown-action",
        "reference-order",
        "bad-duration",
    ]
    assert found == sorted(found, key=lambda each: (each.place.line, each.place.column))


def test_broken_step_is_no_second_problem(problems: Problems) -> None:
    """A reference to a step that could not be read is not reported again."""
    found = problems("""
        - {id: a}
        - {id: b, READ, when: "${{ steps.a.running }}"}
    """)

    assert [each.rule for each in found] == ["step-kind"]


def test_account_id_stays_itself(load: Load) -> None:
    """An account id with a leading zero, and numbers where text is wanted, stay as they are written."""
    playbook = load("""
        - id: a
          uses: test.read
          with: {instance_id: 012345670123, label: 1.10, tags: {account: 0777, n: 1e3}}
    """)

    kind = playbook.steps[0].kind
    assert isinstance(kind, Uses)
    expected = {"instance_id": "012345670123", "label": "1.10", "tags": {"account": "0777", "n": "1e3"}}
    assert expected == kind.params


WHOLE = """
owner: on-call
description: Everything
references: [https://docs.aws.amazon.com/]
techniques: [T1078.004]
triggers:
  - finding: {source: guardduty, types: ["A:EC2/*"]}
    when: ${{ finding.severity >= 4.0 }}
  - event: {source: [aws.s3], detail: {n: [{numeric: [">", 0]}], account: [012345670123]}}
inputs:
  instance_id: {type: ec2.instance-id, from: "${{ finding.resource.instance_id }}", description: Which}
  note: {type: string, default: null}
  keys: {type: "list<iam.access-key-id>", default: []}
outputs: {vpc: "${{ steps.facts.vpc_id }}"}
limits: {resources: 25}
objectives: {contain: 5m}
order: contain-first
priority: 3
deadline: 2h
reopen_after: 3d
steps:
  - id: facts
    title: Look
    phase: analysis
    uses: test.read
    with: {instance_id: "${{ inputs.instance_id }}"}
  - id: ask
    when: ${{ steps.facts.running }}
    approve:
      message: "Destroy ${{ inputs.instance_id }}?"
      from: approver
      within: 10m
      escalate: [lead]
      minimum: 2
    then:
      - {id: destroy, uses: test.destroy, with: {instance_id: "${{ inputs.instance_id }}"}}
    otherwise:
      - {id: nothing, wait: 500ms}
  - id: both
    parallel:
      - - {id: left, READ}
      - steps: [{id: right, READ, on_failure: continue}]
      - {id: third, READ}
  - id: pick
    choose:
      - {when: "${{ size(steps.facts.volume_ids) > 3 }}", steps: [{id: many, READ}]}
      - when: ${{ has(steps.facts.role_name) }}
        steps: [{id: named, uses: test.read, with: {instance_id: "${{ steps.facts.role_name }}"}}]
    otherwise: [{id: few, READ}]
  - id: each
    for_each: ${{ steps.facts.volumes }}
    as: volume
    at_most: 4
    uses: test.read
    with: {instance_id: "${{ volume.volume_id }}", count: "${{ index + volume.size_gib }}"}
    timeout: 2m
    retry: {attempts: 5, backoff: 1s}
    on_failure: [{id: mend, uses: test.read, with: {instance_id: "${{ run.failed_step }}"}}]
  - id: until
    wait: {until: "${{ poll.running }}", uses: test.read, with: {instance_id: i-1}, every: 5s, timeout: 1m}
  - id: person
    manual: {instruction: "Call ${{ inputs.instance_id }}", by: [lead], within: 1h}
  - {id: call, run: other, with: {x: 3}}
  - id: end
    uses: test.read
    with:
      instance_id: >-
        ${{ has(steps.each) ? string(steps.each.items.filter(i, has(i.outputs)).map(i, i.outputs.cores)[0])
            : steps.call.y }}
on_failure:
  - id: tell
    uses: test.read
    with: {instance_id: "${{ run.error }}", force: "${{ has(steps.facts) && steps.facts.running }}"}
finally:
  - {id: last, uses: test.read, with: {instance_id: "${{ has(steps.tell) ? steps.tell.vpc_id : run.id }}"}}
tests:
  - {name: works, finding: sample.json, expect: {status: succeeded}}
"""
OTHER = """
inputs: {x: {type: int}}
outputs: {y: "${{ steps.a.vpc_id }}"}
steps: [{id: a, uses: test.read, with: {instance_id: i-1, count: "${{ inputs.x }}"}}]
"""


@pytest.fixture
def whole(registry: Registry) -> Playbook:
    """A playbook with every step kind, modifier and key, and its callee."""

    def resolve(name: str, chain: tuple[str, ...]) -> Playbook:
        assert (name, chain) == ("other", ("test-playbook",))
        return load_playbook(
            playbook_text(OTHER).replace("test-playbook", "other"), "o.yaml", registry, resolve, chain
        )

    return load_playbook(playbook_text(WHOLE), "f.yaml", registry, resolve)


def test_whole_language_heads(whole: Playbook) -> None:
    """Every key of a playbook is read."""
    assert (
        whole.owner,
        whole.order,
        whole.priority,
    ) == ("on-call", "contain-first", 3)
    assert (whole.deadline_s, whole.reopen_after_s) == (7200.0, 259200.0)
    assert (whole.limits, whole.objectives) == ({"resources": 25}, {"contain": 300.0})
    assert [test.name for test in whole.tests] == ["works"]
    assert (
        whole.triggers[1].pattern  # type: ignore[union-attr]
    ) == {"source": ["aws.s3"], "detail": {"n": [{"numeric": [">", 0]}], "account": ["012345670123"]}}


def test_whole_language_steps(whole: Playbook) -> None:
    """Every step kind and modifier is read."""
    kinds = {step.id: step.kind for step in whole.walk()}

    assert isinstance(kinds["ask"], Approve)
    assert (
        kinds["ask"].approvers, kinds["ask"].within_s, kinds["ask"].escalate, kinds["ask"].minimum,
    ) == (("approver",), 600.0, ("lead",), 2)  # fmt: skip
    assert isinstance(kinds["ask"].message, Text)
    assert Wait(0.5) == kinds["nothing"]
    assert isinstance(kinds["both"], Parallel)
    assert [[s.id for s in branch] for branch in kinds["both"].branches] == [["left"], ["right"], ["third"]]
    assert isinstance(kinds["pick"], Choose)
    assert [step.id for step in kinds["pick"].otherwise] == ["few"]
    assert isinstance(kinds["until"], WaitUntil)
    assert (kinds["until"].every_s, kinds["until"].timeout_s) == (5.0, 60.0)
    assert isinstance(kinds["person"], Manual)
    assert Run("other", {"x": 3}) == kinds["call"]
    assert {"other"} == set(whole.callees)


def test_whole_language_modifiers(whole: Playbook) -> None:
    """Loops, bounds, retries and handlers are read."""
    step = next(step for step in whole.steps if step.id == "each")

    assert step.for_each is not None
    assert isinstance(step.for_each.items, Expr)
    assert ("volume", 4, 120.0, Retry(5, 1.0)) == (
        step.for_each.name,
        step.for_each.at_most,
        step.timeout_s,
        step.retry,
    )
    assert [inner.id for inner in step.on_failure if not isinstance(inner, str)] == ["mend"]


def test_destructive_with_a_reason(load: Load) -> None:
    """A destructive action loads with `exempt: reason`."""
    assert load("- {id: a, uses: test.destroy, exempt: a game day, with: {instance_id: i-1}}").steps


DESTROYER = "- {id: a, uses: test.destroy, with: {instance_id: i-1}}"


@pytest.mark.parametrize(
    ("body", "rules"),
    [
        ("- {id: c, run: other}", ["destructive-unapproved"]),
        ("- {id: c, approve: {message: Do?, from: x}, then: [{id: d, run: other}]}", []),
    ],
)
def test_destructive_through_run(registry: Registry, body: str, rules: list[str]) -> None:
    """A callee may be destructive only where its caller has asked."""

    def resolve(name: str, chain: tuple[str, ...]) -> Playbook:
        text = playbook_text(DESTROYER).replace("test-playbook", name)
        return load_playbook(text, "o.yaml", registry, resolve, chain)

    _, found = examine(playbook_text(body), "f.yaml", registry, resolve)

    assert rules == [each.rule for each in found]


def test_recursive_run(registry: Registry) -> None:
    """A playbook that runs itself through another is refused, with the way round."""

    def resolve(name: str, chain: tuple[str, ...]) -> Playbook:
        target = "test-playbook" if name == "other" else "other"
        text = playbook_text(f"- {{id: a, run: {target}}}").replace("id: test-playbook", f"id: {name}")
        return load_playbook(text, "o.yaml", registry, resolve, chain)

    _, found = examine(playbook_text("- {id: a, run: other}"), "f.yaml", registry, resolve)

    assert [each.rule for each in found] == ["callee-invalid"]
    assert "test-playbook -> other -> test-playbook" in found[0].message


def test_unknown_callee_without_a_library(registry: Registry) -> None:
    """A text alone can run nothing."""
    with pytest.raises(PlaybookInvalid, match="unknown-playbook"):
        load_playbook(playbook_text("- {id: a, run: other}"), "f.yaml", registry)


def test_bytes_that_are_no_text(registry: Registry) -> None:
    """A file that is not UTF-8 is refused with its line."""
    _, found = examine(b"a: b\nc: \xff", "f.yaml", registry)

    assert [("yaml-encoding", Place("f.yaml", 2, 1))] == [(each.rule, each.place) for each in found]


def refused_or_loaded(content: str | bytes, registry: Registry) -> None:
    """Load; nothing but PlaybookInvalid may come."""
    with suppress(PlaybookInvalid):
        load_playbook(content, "f.yaml", registry)


QUICK = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(st.one_of(st.binary(max_size=80), st.text(max_size=80)))
def test_fuzz_bytes(registry: Registry, content: str | bytes) -> None:
    """Arbitrary bytes and text never crash the loader."""
    refused_or_loaded(content, registry)


WORDS = st.sampled_from(
    [
        *words.PLAYBOOK_KEYS,
        *words.STEP_KEYS,
        "test.read",
        "a",
        "b",
        "5s",
        "${{ steps.a.x }}",
        "${{ inputs.a }}",
        "${{ steps.b.running }}",
        "x ${{ run.id }}",
        "${{",
        "string",
        "irrunner/v1",
        "${{ has(steps.a) }}",
        "guardduty",
    ]
)
LEAVES = st.one_of(WORDS, st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=5)),
    max_leaves=12,
)


@QUICK
@given(st.dictionaries(st.sampled_from(words.PLAYBOOK_KEYS), TREES, max_size=8))
def test_fuzz_trees(registry: Registry, tree: dict[str, object]) -> None:
    """Arbitrary trees under the language's own keys never crash the loader."""
    refused_or_loaded(yaml.safe_dump(tree), registry)


@QUICK
@given(st.lists(st.dictionaries(st.sampled_from(words.STEP_KEYS), TREES, min_size=1, max_size=6), max_size=3))
def test_fuzz_steps(registry: Registry, steps: list[dict[str, object]]) -> None:
    """Arbitrary steps in a sound playbook never crash the loader."""
    refused_or_loaded(HEAD + yaml.safe_dump({"steps": steps}), registry)


@QUICK
@given(st.text(alphabet="steps.a()[]{}'\"\\|&!?:+-*<>=1\n ,hasinputsé", max_size=40))
def test_fuzz_expressions(registry: Registry, source: str) -> None:
    """Arbitrary expressions never crash the loader."""
    tree = {"steps": [{"id": "a", "wait": "5s"}, {"id": "b", "when": f"${{{{ {source} }}}}", "wait": "5s"}]}
    refused_or_loaded(HEAD + yaml.safe_dump(tree), registry)


def test_a_step_has_the_phase_of_its_action(load: Load) -> None:
    """A phase that is not written is that of the action; a group of steps has none."""
    playbook = load("""
        - {id: a, READ}
        - {id: b, phase: recovery, READ}
        - {id: p, parallel: [{id: c, READ}]}
    """)

    assert [step.phase for step in playbook.walk()] == ["analysis", "recovery", None, "analysis"]


def test_a_step_preserves_evidence_where_its_action_does(load: Load) -> None:
    """And goes on doing so in whatever phase it is written."""
    playbook = load("""
        - {id: a, READ}
        - {id: b, phase: recovery, uses: aws.ssm.capture-memory, with: {instance_id: i-1}}
    """)

    assert [step.kind.evidence for step in playbook.walk() if isinstance(step.kind, Uses)] == [False, True]


def test_a_message_repeats_no_hostile_text_at_length(registry: Registry) -> None:
    """An action of half a megabyte is named in a line that still says what to do."""
    _, found = examine(playbook_text(f"- {{id: a, uses: {'x.' * 250_000}}}"), "f.yaml", registry)

    assert [each.rule for each in found] == ["unknown-action"]
    assert len(str(found[0])) < 700
    assert str(found[0]).endswith("`irrunner actions` lists them")


def test_a_bad_id_hides_nothing_else_of_its_step(problems: Callable[[str], list[Problem]]) -> None:
    """Id and unknown action, of several steps and of one without an id, are reported in one pass."""
    body = "- {id: A-b, uses: test.reed}\n- {id: C-d, uses: test.reed}\n- {uses: test.reed}"

    found = [(each.place.line, each.rule) for each in problems(body)]

    assert found == [
        (6, "bad-id"), (6, "unknown-action"), (7, "bad-id"), (7, "unknown-action"),
        (8, "missing-key"), (8, "unknown-action"),
    ]  # fmt: skip
