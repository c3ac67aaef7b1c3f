"""Lambda: what is refused, removed, waited for and kept out of the journal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from irrunner.actions.awslambda.describe import DescribeFunction
from irrunner.actions.awslambda.publish import PublishState, PublishVersion
from irrunner.actions.awslambda.statements import invokes, rewritten
from irrunner.actions.awslambda.throttle import ThrottleFunction, ThrottleState
from irrunner.actions.awslambda.triggers import DisableTriggers, EventSource, TriggersState
from irrunner.actions.contract import Act, Broken, Refused, Settled, Waiting
from irrunner.actions.undo import view_undo
from irrunner.testing import FakeApi

ARN = "arn:aws:lambda:eu-central-1:111122223333:function:web"
PARAMS = ThrottleFunction.Params(function_name="web")
BUCKET = {
    "Sid": "bucket",
    "Effect": "Allow",
    "Principal": {"Service": "s3.amazonaws.com"},
    "Action": "lambda:InvokeFunction",
    "Resource": ARN,
    "Condition": {
        "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::uploads"},
        "StringEquals": {"AWS:SourceAccount": "111122223333"},
    },
}


def throttled(**more: Any) -> ThrottleState:
    """Return a state of throttling."""
    values = {"reserved": None, "provisioned": {}, "function_arn": ARN, **more}
    return ThrottleState(function_name="web", role_name="web-role", **values)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ({}, "restore"), ({"live": 5}, "restore"), ({"live": 5, "1": 2}, "already"), ({"live": 6}, "drift"),
        ({"2": 5}, "drift"),
    ],
)  # fmt: skip
def test_half_an_undo_is_no_drift(found: dict[str, int], kind: str) -> None:
    """Undo that was interrupted between two calls goes on; what somebody else has set stays."""
    before = throttled(reserved=20, provisioned={"live": 5, "1": 2})
    now = throttled(reserved=20, provisioned=found)
    view = view_undo(ThrottleFunction(), PARAMS, before, throttled(reserved=0), now)

    assert any(name.startswith(f"{ARN}/provisioned") for name in getattr(view, kind))
    assert bool(view.calls) == (kind == "restore")


def triggers(**more: Any) -> TriggersState:
    """Return a state of triggers."""
    values: dict[str, Any] = {"mappings": {}, "statements": {"": {}}, "urls": {}, **more}
    return TriggersState(function_name="web", function_arn=ARN, role_name="web-role", **values)


def publishing(**more: Any) -> PublishState:
    """Return a state of publishing."""
    values = {"code_sha256": "abc=", "pinned_version": "", **more}
    return PublishState(function_name="web", function_arn=ARN, role_name="web-role", **values)


def test_a_function_without_a_reservation_gets_zero() -> None:
    """None and zero are not the same: without a reservation it shares the whole account's concurrency."""
    decision = ThrottleFunction().decide(PARAMS, throttled())

    assert isinstance(decision, Act)
    assert [call.params["ReservedConcurrentExecutions"] for call in decision.calls] == [0]


def test_undo_of_no_reservation_deletes_it() -> None:
    """Zero put back as a number would leave a function that nobody can call."""
    before, after = throttled(), throttled(reserved=0)
    calls = ThrottleFunction().undo_calls(PARAMS, before, after, after, frozenset({f"{ARN}/reserved"}))

    assert [call.operation for call in calls] == ["lambda:DeleteFunctionConcurrency"]


def test_a_prior_reservation_of_zero_is_done_already() -> None:
    """Nothing is sent, and nothing can be undone wrongly."""
    assert isinstance(ThrottleFunction().decide(PARAMS, throttled(reserved=0)), Settled)


def test_a_replica_at_an_edge_is_refused() -> None:
    """It takes no concurrency setting; the reason says where to act."""
    decision = ThrottleFunction().decide(PARAMS, throttled(master_arn=ARN))

    assert isinstance(decision, Refused)
    assert "CloudFront" in decision.reason


def test_only_functions_that_may_be_at_edges_warn_of_edges() -> None:
    """A warning that is always there is not read."""
    here = ThrottleFunction().decide(PARAMS, throttled(reserved=0))
    edge = ARN.replace("eu-central-1", "us-east-1")
    there = ThrottleFunction().decide(PARAMS, throttled(reserved=0, function_arn=edge))

    assert isinstance(here, Settled)
    assert isinstance(there, Settled)
    assert len(there.warnings) == len(here.warnings) + 1


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("Enabled", Act), ("Creating", Waiting), ("Enabling", Waiting), ("Updating", Waiting),
        ("Disabling", Waiting), ("Disabled", Settled), ("Deleting", Settled),
    ],
)  # fmt: skip
def test_mappings_are_switched_off_when_lambda_lets_us(state: str, kind: type) -> None:
    """A mapping on its way refuses changes; success is said of ``Disabled`` alone."""
    mappings = {"u-1": EventSource(state=state, source="arn:aws:sqs:::q")}

    assert isinstance(DisableTriggers().decide(PARAMS, triggers(mappings=mappings)), kind)


def test_a_busy_mapping_does_not_hold_the_others_up() -> None:
    """What can be cut is cut at once."""
    mappings = {
        "busy": EventSource(state="Creating", source=""),
        "on": EventSource(state="Enabled", source=""),
    }
    decision = DisableTriggers().decide(PARAMS, triggers(mappings=mappings, statements={"": {"b": BUCKET}}))

    assert isinstance(decision, Act)
    assert [call.operation for call in decision.calls] == [
        "lambda:RemovePermission", "lambda:UpdateEventSourceMapping",
    ]  # fmt: skip


def test_a_statement_is_written_again_as_it_was() -> None:
    """Undo must not open more than was open: source and account are kept."""
    assert rewritten(BUCKET) == {
        "StatementId": "bucket",
        "Action": "lambda:InvokeFunction",
        "Principal": "s3.amazonaws.com",
        "SourceArn": "arn:aws:s3:::uploads",
        "SourceAccount": "111122223333",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"Principal": {"AWS": "AROAEXAMPLEID"}},
        {"Principal": {"AWS": ["arn:aws:iam::1:root", "arn:aws:iam::2:root"]}},
        {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
        {"Condition": {"StringEquals": {"AWS:SourceAccount": ["1", "2"]}}},
        {"Sid": ""},
        {"Action": ["lambda:InvokeFunction", "lambda:GetFunction"]},
    ],
)
def test_what_cannot_be_written_again_is_left_and_told(change: dict[str, Any]) -> None:
    """A removal without a way back is not ours to do; the responder learns which statement is left."""
    odd = BUCKET | change
    state = triggers(statements={"live": {"odd": odd}})
    decision = DisableTriggers().decide(PARAMS, state)

    assert rewritten(odd) is None
    assert isinstance(decision, Settled)
    assert any("'odd'" in warning and ":live" in warning for warning in decision.warnings)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (BUCKET, True),
        (BUCKET | {"Action": "lambda:*"}, True),
        (BUCKET | {"Action": "lambda:InvokeFunctionUrl"}, True),
        (BUCKET | {"Action": "lambda:GetFunction"}, False),
        (BUCKET | {"Effect": "Deny"}, False),
    ],
)
def test_only_statements_that_let_invoke_are_triggers(statement: dict[str, Any], expected: object) -> None:
    """A denial that somebody wrote stays, and so does the right to read of CloudFront's replicator."""
    assert invokes(statement) is expected


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (publishing(), Act),
        (publishing(pinned_version="3"), Settled),
        (publishing(update="InProgress"), Waiting),
        (publishing(lifecycle="Pending"), Waiting),
        (publishing(lifecycle="Failed", reason="no subnet"), Broken),
    ],
)
def test_publishes_once_lambda_has_settled(state: PublishState, kind: type) -> None:
    """While an update is going on, a version would pin the one or the other."""
    assert isinstance(PublishVersion().decide(PARAMS, state), kind)


def test_what_is_published_is_what_was_seen() -> None:
    """The digest goes along, so that code swapped in between is refused and not pinned as evidence."""
    decision = PublishVersion().decide(PARAMS, publishing())

    assert isinstance(decision, Act)
    assert decision.calls[0].params["CodeSha256"] == "abc="


class Context:
    """A look's context with an API alone."""

    def __init__(self, configuration: dict[str, Any], published: dict[str, Any]) -> None:
        versions = {"Versions": [configuration | {"Version": "$LATEST"}, published | {"Version": "1"}]}
        self.api = FakeApi(
            {
                "lambda:GetFunctionConfiguration": lambda **_: configuration,
                "lambda:GetFunction": lambda **_: {
                    "Configuration": configuration,
                    "Code": {"Location": "url"},
                },
                "lambda:ListVersionsByFunction": lambda **_: versions,
                "lambda:ListAliases": lambda **_: {"Aliases": []},
                "lambda:GetPolicy": lambda **_: {"Policy": json.dumps({"Statement": [BUCKET]})},
            }
        )


CONFIGURATION = {
    "FunctionArn": ARN,
    "Role": "arn:aws:iam::111122223333:role/service/web-role",
    "CodeSha256": "abc=",
    "LastModified": "2026-01-01T00:00:00Z",
    "Environment": {"Variables": {"TOKEN": "s3cret"}},
}


@pytest.mark.parametrize(
    "change",
    [
        {"Layers": [{"Arn": f"{ARN}:layer:evil:1"}]},
        {"Environment": {"Variables": {"TOKEN": "other"}}},
        {"Role": "arn:aws:iam::111122223333:role/admin"},
    ],
)
def test_a_version_with_another_configuration_is_no_pin(change: dict[str, Any]) -> None:
    """A malicious layer, variable or role changes no digest of the code, and is evidence too."""
    same = PublishVersion().look(Context(CONFIGURATION, CONFIGURATION), PARAMS)  # type: ignore[arg-type]
    other = PublishVersion().look(Context(CONFIGURATION | change, CONFIGURATION), PARAMS)  # type: ignore[arg-type]

    assert same.pinned_version == "1"
    assert other.pinned_version == ""


def test_values_of_variables_and_links_to_code_are_not_kept() -> None:
    """The journal outlives the incident: names of variables are evidence, their values are secrets."""
    context = Context(CONFIGURATION, CONFIGURATION)
    facts = DescribeFunction().look(context, PARAMS)  # type: ignore[arg-type]
    pinned = PublishVersion().look(context, PARAMS)  # type: ignore[arg-type]

    assert facts.environment_names == ["TOKEN"]
    assert facts.role_name == "web-role"
    for text in (facts.model_dump_json(), pinned.model_dump_json()):
        assert "s3cret" not in text
        assert "url" not in text
