"""Tests of evaluating expressions in the scopes of a run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irrunner.actions.registry import Registry
from irrunner.errors import ExpressionFailed
from irrunner.findings.model import Finding, FindingResource
from irrunner.playbook.expressions import Evaluator, Scope, evaluate_on_finding
from irrunner.playbook.loader import load_playbook
from irrunner.playbook.model import Expr, Place, Playbook, Step, Uses, WaitUntil
from tests.playbook.playbook_texts import playbook_text

HERE = Place("f.yaml", 1, 1)
FINDING = Finding(
    source="guardduty",
    id="f-1",
    type="Backdoor:EC2/C&CActivity.B",
    severity=8.0,
    account_id="012345670123",
    resource=FindingResource(instance_id="i-1", tags={"Environment": "prod", "evil": "${{ run.id }}"}),
)
BODY = """
inputs:
  name: {type: string}
  maybe: {type: string, default: null}
  count: {type: int, default: 2}
outputs: {vpc: "${{ steps.facts.vpc_id }}", sizes: "${{ steps.facts.volumes.map(v, v.size_gib) }}"}
steps:
  - {id: facts, uses: test.read, with: {instance_id: "${{ inputs.name }}"}}
  - id: use
    when: ${{ steps.facts.running }}
    uses: test.read
    with:
      instance_id: "${{ finding.resource.tags['evil'] }}"
      label: >-
        ${{ inputs.name }} ${{ inputs.count }} ${{ steps.facts.running }} ${{ json(steps.facts.volume_ids) }}
      count: ${{ steps.facts.cores + inputs.count }}
      ratio: ${{ steps.facts.load }}
      force: ${{ run.drill }}
      names: ["${{ run.id }}", "x-${{ run.region }}"]
      tags: {a: "${{ has(steps.facts.role_name) ? steps.facts.role_name : 'none' }}"}
  - id: each
    for_each: ${{ steps.facts.volumes }}
    as: volume
    uses: test.read
    with: {instance_id: "${{ volume.volume_id }}-${{ index }}", names: "${{ steps.facts.volume_ids }}"}
  - id: after
    uses: test.read
    with:
      instance_id: x
      names: >-
        ${{ steps.each.items.filter(i, i.outcome == 'applied').map(i, i.outputs.vpc_id + i.item.volume_id) }}
  - id: until
    wait: {until: "${{ poll.cores > 1 && poll.tags['a'] == 'b' }}", uses: test.read, with: {instance_id: i}}
  - {id: odd, uses: test.read, with: {instance_id: "${{ finding.resource.tags.Nope }}"}}
  - {id: perhaps, when: "${{ has(steps.use) && steps.use.running }}", uses: test.read, with: {instance_id: x}}
"""
FACTS: dict[str, Any] = {
    "vpc_id": "vpc-1",
    "role_name": None,
    "cores": 4,
    "load": 0.5,
    "running": True,
    "volume_ids": ["vol-1", "vol-2"],
    "volumes": [{"volume_id": "vol-1", "size_gib": 8}],
    "tags": {"a": "b"},
    "anything": {"deep": [1, "x", None]},
}
RUN = {"id": "r-1", "drill": False, "account_id": "012345670123", "region": "eu-central-1"}
SCOPE = Scope(
    inputs={"name": "i-9", "maybe": None, "count": 2}, finding=FINDING, steps={"facts": FACTS}, run=RUN
)


@pytest.fixture(scope="module")
def playbook(registry: Registry) -> Playbook:
    """The playbook of these tests."""
    return load_playbook(playbook_text(BODY), "f.yaml", registry)


@pytest.fixture(scope="module")
def evaluator(playbook: Playbook, registry: Registry) -> Evaluator:
    """Its evaluator."""
    return Evaluator(playbook, registry)


def step(playbook: Playbook, name: str) -> Step:
    """Return a step by id."""
    return next(each for each in playbook.walk() if each.id == name)


def params(playbook: Playbook, name: str) -> Any:
    """Return the parameters of a step."""
    kind = step(playbook, name).kind
    assert isinstance(kind, Uses)
    return kind.params


def test_types_are_kept(playbook: Playbook, evaluator: Evaluator) -> None:
    """A lone expression keeps its type; parts are joined as text; hostile data is not rendered again."""
    rendered = evaluator.render(params(playbook, "use"), SCOPE)

    expected = {
        "instance_id": "${{ run.id }}",
        "label": 'i-9 2 true ["vol-1","vol-2"]',
        "count": 6,
        "ratio": 0.5,
        "force": False,
        "names": ["r-1", "x-eu-central-1"],
        "tags": {"a": "none"},
    }
    assert expected == rendered


def test_loop(playbook: Playbook, evaluator: Evaluator) -> None:
    """Items of a loop are plain data; inside, `as` and `index` are in sight."""
    for_each = step(playbook, "each").for_each
    assert for_each is not None
    items = evaluator.render(for_each.items, SCOPE)
    inner = Scope(SCOPE.inputs, FINDING, SCOPE.steps, {"volume": items[0], "index": 0}, RUN)

    assert items == [{"volume_id": "vol-1", "size_gib": 8}]
    assert evaluator.render(params(playbook, "each"), inner)["instance_id"] == "vol-1-0"


def test_after_a_loop(playbook: Playbook, evaluator: Evaluator) -> None:
    """After a loop its items are seen with outcome and outputs."""
    volume = {"volume_id": "vol-1", "size_gib": 8}
    items = [
        {"item": volume, "outcome": "applied", "outputs": FACTS},
        {"item": volume, "outcome": "failed", "outputs": None},
    ]
    scope = Scope(SCOPE.inputs, FINDING, {**SCOPE.steps, "each": {"items": items}}, {}, RUN)

    assert evaluator.render(params(playbook, "after"), scope)["names"] == ["vpc-1vol-1"]


def test_poll(playbook: Playbook, evaluator: Evaluator) -> None:
    """A polled condition sees the action's outputs as `poll`."""
    kind = step(playbook, "until").kind
    assert isinstance(kind, WaitUntil)
    scope = Scope(SCOPE.inputs, FINDING, {}, {"poll": FACTS}, RUN)

    assert evaluator.evaluate(kind.until, scope) is True


def test_outputs(evaluator: Evaluator) -> None:
    """The outputs of a playbook are evaluated as plain data."""
    assert evaluator.outputs(SCOPE) == {"vpc": "vpc-1", "sizes": [8]}


def test_run_time_error_raises_with_place(playbook: Playbook, evaluator: Evaluator) -> None:
    """A missing map key is an error at its line and column, never a truthy value."""
    expr = params(playbook, "odd")["instance_id"]

    with pytest.raises(ExpressionFailed, match=rf"{expr.place}: Key not found"):
        evaluator.evaluate(expr, SCOPE)


@pytest.mark.parametrize("steps", [{}, {"facts": {}}])
def test_missing_output_is_no_default(
    playbook: Playbook, evaluator: Evaluator, steps: dict[str, Any]
) -> None:
    """What is not known yet raises; protobuf's empty default never stands for it."""
    scope = Scope(SCOPE.inputs, FINDING, steps, {}, RUN)

    with pytest.raises(ExpressionFailed, match="not known"):
        evaluator.evaluate(params(playbook, "use")["count"], scope)


def test_guarded_step_may_be_missing(playbook: Playbook, evaluator: Evaluator) -> None:
    """`has(steps.x)` is false where the step did not run."""
    when = step(playbook, "perhaps").when
    assert when is not None

    assert evaluator.evaluate(when, SCOPE) is False
    assert evaluator.evaluate(when, Scope(steps={**SCOPE.steps, "use": FACTS})) is True
    with pytest.raises(ExpressionFailed, match=r"steps\.use\.running is not known"):
        evaluator.evaluate(when, Scope(steps={**SCOPE.steps, "use": {}}))


def test_no_finding(playbook: Playbook, evaluator: Evaluator) -> None:
    """An expression over the finding fails in a run without one."""
    with pytest.raises(ExpressionFailed, match="no finding"):
        evaluator.evaluate(
            params(playbook, "use")["instance_id"], Scope(SCOPE.inputs, None, SCOPE.steps, {}, RUN)
        )


def test_value_of_another_type(playbook: Playbook, evaluator: Evaluator) -> None:
    """A value that is not of its declared type (a plan's placeholder) fails."""
    scope = Scope(SCOPE.inputs, FINDING, {"facts": {**FACTS, "cores": "<from facts.cores>"}}, {}, RUN)

    with pytest.raises(ExpressionFailed, match="declared type"):
        evaluator.evaluate(params(playbook, "use")["count"], scope)


def test_foreign_expression(evaluator: Evaluator) -> None:
    """An expression of another playbook is refused."""
    with pytest.raises(ExpressionFailed, match="no expression"):
        evaluator.evaluate(Expr("1 == 1", HERE), SCOPE)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("finding.severity >= 4.0 && !finding.archived", True),
        ("finding.account_id", "012345670123"),
        ("finding.resource.tags.Environment", "prod"),
        ("finding.resources.map(r, r.arn)", []),
        ("has(finding.resource.user_name)", False),
        ("json(finding.resource.tags)", '{"Environment":"prod","evil":"${{ run.id }}"}'),
        ("json(finding.severity)", "8.0"),
    ],
)
def test_on_a_finding(source: str, value: object) -> None:
    """Triggers and inputs see the finding alone."""
    assert value == evaluate_on_finding(Expr(source, HERE), FINDING)


def test_endless_work_is_bounded() -> None:
    """An expression that would run for very long is stopped."""
    numbers = "[" + ",".join("1" * 60) + "]"
    loops = f"{numbers}.all(a, {numbers}.all(b, {numbers}.all(c, {numbers}.all(d, a + b + c + d > 0))))"

    with pytest.raises(ExpressionFailed):
        evaluate_on_finding(Expr(f"{loops}", HERE), FINDING)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=30), st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_hostile_text_is_carried(title: str, tags: dict[str, str]) -> None:
    """Whatever a finding holds goes through unchanged, less lone surrogates."""
    finding = Finding(source="custom", id="x", type="t", title=title, resource=FindingResource(tags=tags))

    assert title == evaluate_on_finding(Expr("finding.title", HERE), finding)
    assert tags == evaluate_on_finding(Expr("finding.resource.tags", HERE), finding)


def test_lone_surrogate_becomes_a_question_mark() -> None:
    """Text that is no Unicode does not crash an evaluation."""
    finding = Finding.model_construct(source="custom", id="x", type="t", title="a\ud800b")

    assert evaluate_on_finding(Expr("finding.title", HERE), finding) == "a?b"
