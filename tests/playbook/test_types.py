"""Tests of input types and of binding inputs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from irrunner.errors import FindingIncomplete, InvalidArgument
from irrunner.findings.model import Finding, FindingResource
from irrunner.playbook.model import Playbook
from irrunner.playbook.types import INPUT_TYPES, admit, bind_inputs, parse_written

BODY = """
inputs:
  instance_id: {type: ec2.instance-id, from: "${{ finding.resource.instance_id }}"}
  environment: {type: string, from: "${{ finding.resource.tags.Environment }}", default: production}
  severity: {type: double, from: "${{ finding.severity }}", default: 1.0}
  keys: {type: "list<iam.access-key-id>", default: []}
  note: {type: string, default: null}
steps: [{id: a, READ}]
"""


@pytest.fixture
def playbook(load: Callable[[str], Playbook]) -> Playbook:
    """A playbook with inputs."""
    return load(BODY)


def finding(**resource: object) -> Finding:
    """Return a finding with this resource."""
    return Finding(
        source="guardduty", id="x", type="t", severity=5.0, resource=FindingResource.model_validate(resource)
    )


@pytest.mark.parametrize(
    "name", [name for name, each in INPUT_TYPES.items() if each.pattern and "list" not in name]
)
def test_each_type_admits_its_example(name: str) -> None:
    """The example that messages show is admitted."""
    assert INPUT_TYPES[name].example == admit(name, INPUT_TYPES[name].example)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ec2.instance-id", "${instance_id}"),
        ("ec2.instance-id", "i-123"),
        ("ec2.instance-id", "i-0123456789abcdef0\n"),
        ("aws.account-id", "1234567890123"),
        ("aws.account-id", 123456789012),
        ("aws.region", "eu-central-1; rm"),
        ("iam.user-name", "a" * 65),
        ("iam.user-name", "<b>"),
        ("string", "<script>"),
        ("string", "<from a.b>"),
        ("string", "a\0b"),
        ("string", "a\ud800"),
        ("string", "x" * 5000),
        ("string", None),
        ("string", 3),
        ("int", True),
        ("int", 1.5),
        ("int", 1 << 70),
        ("double", float("nan")),
        ("bool", "true"),
        ("list<string>", "a"),
        ("list<string>", [1]),
        ("list<string>", ["a"] * 1001),
        ("map<string,string>", [1]),
        ("map<string,string>", {"a": 1}),
        ("list<ec2.instance-id>", ["i-1"]),
        ("aws.arn", "arn:aws:iam::1:role/x"),
    ],
)
def test_hostile_values_are_refused(name: str, value: object) -> None:
    """What is not of the type is refused; account ids are text of twelve digits."""
    with pytest.raises(ValueError, match=r"\w"):
        admit(name, value)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("int", "-3", -3),
        ("double", "7", 7.0),
        ("bool", "true", True),
        ("string", "true", "true"),
        ("list<string>", "a, b", ["a", "b"]),
        ("map<string,string>", "a=b,c=d=e", {"a": "b", "c": "d=e"}),
        ("aws.account-id", "012345670123", "012345670123"),
    ],
)
def test_written_values(name: str, text: str, value: object) -> None:
    """`--input` text is read by type."""
    assert value == parse_written(name, text)


def test_bind_from_a_finding(playbook: Playbook) -> None:
    """Inputs come from what is given, else the finding, else the default."""
    bound = bind_inputs(
        playbook, finding(instance_id="i-0123456789abcdef0"), {"keys": ["AKIAIOSFODNN7EXAMPLE"]}
    )

    expected = {
        "instance_id": "i-0123456789abcdef0",
        "environment": "production",
        "severity": 5.0,
        "keys": ["AKIAIOSFODNN7EXAMPLE"],
        "note": None,
    }
    assert expected == bound


def test_bind_from_the_command_line(playbook: Playbook) -> None:
    """Without a finding, text is enough."""
    given = {"instance_id": "i-01234567", "severity": "3", "keys": "AKIAIOSFODNN7EXAMPLE"}

    bound = bind_inputs(playbook, None, given)

    assert (bound["severity"], bound["keys"]) == (3.0, ["AKIAIOSFODNN7EXAMPLE"])


@pytest.mark.parametrize(
    "resource",
    [{}, {"instance_id": "${instance_id}"}, {"instance_id": "i-01234567", "tags": {"Environment": "<x>"}}],
)
def test_incomplete_finding(playbook: Playbook, resource: dict[str, object]) -> None:
    """A missing or garbled value in the finding is for a person."""
    with pytest.raises(FindingIncomplete, match="a person decides"):
        bind_inputs(playbook, finding(**resource), {})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "is missing"),
        ({"instance_id": "i-1"}, "no ec2.instance-id"),
        ({"instanceid": "i-01234567"}, "did you mean"),
    ],
)
def test_bad_input(playbook: Playbook, given: dict[str, object], says: str) -> None:
    """A missing, wrong or unknown `--input` is refused."""
    with pytest.raises(InvalidArgument, match=says):
        bind_inputs(playbook, None, given)
