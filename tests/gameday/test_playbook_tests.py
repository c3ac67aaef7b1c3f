"""``irrunner test``: what it reads, what it plays, and that it is red when something is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gameday.judging import Played, judge
from gameday.observe import Scene
from gameday.playbook_test_schema import Expectations
from gameday.playbook_tests import collect, new_compiler, run_case
from gameday.test_command import run_tests, summary
from gameday.world import Call
from irrunner.cli.app import run
from irrunner.engine.compiled import Compiler
from irrunner.errors import PlaybookInvalid
from irrunner.playbook.model import Playbook

PLAYBOOK = """\
schema: irrunner/v1
id: own-key-playbook
version: 1.0.0
title: Switch a key off
owner: tests
description: For tests only.
references: [https://example.com/]
priority: 9
triggers:
  - finding: {source: guardduty, types: ["Persistence:IAMUser/*"]}
    when: ${{ finding.severity >= 4.0 }}
inputs:
  access_key_id: {type: iam.access-key-id, from: "${{ finding.resource.access_key_id }}"}
steps:
  - id: deactivate
    phase: containment
    uses: aws.iam.deactivate-access-key
    with: {access_key_id: "${{ inputs.access_key_id }}"}
"""
FINDING = "finding: {type: 'Persistence:IAMUser/AnomalousBehavior', resource: user-key}"

Write = Callable[[str], Path]


@pytest.fixture(scope="module")
def compiler() -> Compiler:
    """Return a compiler with all actions."""
    return new_compiler()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the playbook with tests, and return its path."""

    def written(tests: str) -> Path:
        path = tmp_path / "own.yaml"
        path.write_text(PLAYBOOK + tests)
        return path

    return written


def test_a_playbook_that_does_not_do_what_its_test_says_is_red(
    write: Write, compiler: Compiler, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each expectation that fails has its line, and one failed test makes exit code 1."""
    path = write(
        f"tests:\n  - name: right\n    {FINDING}\n"
        "    expect: {status: succeeded, state: {key: Inactive}}\n"
        f"  - name: wrong\n    {FINDING}\n"
        "    expect: {status: failed, steps: {deactivate: skipped}, state: {key: Active, unchanged: true},"
        " never: ['iam:Update*']}\n"
    )

    code = run_tests([str(path)], only="", as_json=True)
    document = json.loads(capsys.readouterr().out)

    right, wrong = document["tests"]
    assert (code, document["passed"], document["failed"]) == (1, 1, 1)
    assert right["passed"]
    assert not right["failures"]
    assert wrong["place"].startswith(f"{path}:23:")
    assert [line.split(":")[0] for line in wrong["failures"]] == [
        "status", "steps.deactivate", "state.key", "state.unchanged", "never iam",
    ]  # fmt: skip


def test_a_whole_event_builds_its_own_world(write: Write, compiler: Compiler) -> None:
    """With ``event`` the resources are those that it names."""
    event: dict[str, Any] = {
        "source": "aws.guardduty",
        "detail-type": "GuardDuty Finding",
        "account": "311122223333",
        "region": "eu-west-1",
        "detail": {
            "id": "f1",
            "accountId": "311122223333",
            "region": "eu-west-1",
            "type": "Persistence:IAMUser/AnomalousBehavior",
            "severity": 5,
            "resource": {
                "resourceType": "AccessKey",
                "accessKeyDetails": {
                    "accessKeyId": "AKIAQQQQQQQQQQQQQQQQ",
                    "principalId": "AIDAQQQQQQQQQQQQQQQQQ",
                    "userName": "anna",
                    "userType": "IAMUser",
                },
            },
            "service": {"archived": False},
        },
    }
    path = write(
        f"tests:\n  - name: event\n    event: {json.dumps(event)}\n    expect: {{state: {{key: Inactive}}}}\n"
    )

    ((case,), _) = collect([str(path)], compiler)

    assert run_case(case, compiler).failures == ()


def test_an_input_that_the_world_does_not_have_is_said(write: Write, compiler: Compiler) -> None:
    """``world.NAME`` is an id of what was built, and nothing else."""
    path = write(
        "tests:\n  - name: inputs\n    inputs: {access_key_id: world.nothing}\n"
        "    expect: {status: succeeded}\n"
    )

    ((case,), _) = collect([str(path)], compiler)

    assert "no 'nothing'; it has access_key_id" in run_case(case, compiler).failures[0]


def test_every_problem_of_every_test_has_its_place(write: Write, compiler: Compiler) -> None:
    """Unknown keys, wrong values, two causes and no expectation are told at once, by line and column."""
    path = write(
        "tests:\n"
        "  - name: a\n"
        "    finding: {type: x, resource: planet, severity: 11}\n"
        "    expect:\n"
        "      state: {isolatd: true}\n"
        "  - name: b\n"
        "    expect: {status: succeeded}\n"
        "  - name: c\n"
        f"    {FINDING}\n"
        "    expect: {}\n"
    )

    with pytest.raises(PlaybookInvalid) as caught:
        collect([str(path)], compiler)

    lines = [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]
    assert [line.split(": ")[2] for line in lines] == [
        "finding.resource", "finding.severity", "expect.state.isolatd",
        "give one of `finding`, `event` and `inputs`", "expect",
    ]  # fmt: skip
    assert [int(line.split(":")[0]) for line in lines] == [21, 21, 23, 24, 28]
    assert lines[2].startswith("23:15:")


@pytest.mark.parametrize(
    ("tests", "arguments", "code"),
    [
        ("tests: []\n", [], 3),
        (f"tests:\n  - name: a\n    {FINDING}\n    expect: {{status: succeeded}}\n", ["--only", "b"], 3),
        ("tests:\n  - name: a\n    expect: {status: succeeded}\n", [], 2),
    ],
)
def test_nothing_tested_is_never_green(
    write: Write, tests: str, arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """No test at all ends with 3, one that cannot be read with 2, through the command line."""
    assert run(["test", str(write(tests)), *arguments]) == code
    assert capsys.readouterr().out.count("nothing was tested") == (code == 3)


def test_playbooks_without_tests_are_named() -> None:
    """The summary says which playbooks have no tests of their own."""
    assert summary([], ["a", "b"])["untested"] == ["a", "b"]


def _call(operation: str, **values: Any) -> Call:
    fields = {"error": None, "fault": None, **values}
    return Call(
        seq=1, time="", operation=operation, account="1", region="r", principal="p", params={},
        mutating=True, **fields,
    )  # fmt: skip


def _played(calls: list[Call], after: Mapping[str, Any] | None = None, chain_problem: str = "") -> Played:
    document = {"playbook": {"id": "own-key-playbook"}, "status": "succeeded", "steps": []}
    state: dict[str, Any] = {"accounts": {"1": {"users": {"alice": {"tags": {}}}, "regions": {}}}}
    scene = Scene("1", "r", "2", {})
    return Played(document, scene, state, after or state, calls, {"user_name": "alice"}, chain_problem)


@pytest.fixture
def playbook(write: Write, compiler: Compiler) -> Playbook:
    """Return the loaded playbook."""
    path = write(f"tests:\n  - name: a\n    {FINDING}\n    expect: {{status: succeeded}}\n")
    ((case,), _) = collect([str(path)], compiler)
    return case.playbook


def test_order_and_number_count_what_had_an_effect(playbook: Playbook) -> None:
    """Refused calls and calls lost on their way count for nothing; a lost answer counts."""
    calls = [
        _call("iam:B", error="AccessDenied"),
        _call("iam:A"),
        _call("iam:B", fault="effect-then-lost"),
        _call("iam:B", fault="lost-before-effect"),
    ]
    good = Expectations.model_validate({"order": ["iam:A", "iam:B"], "calls": {"iam:B": 1}})
    bad = Expectations.model_validate({"order": ["iam:B", "iam:A", "iam:C"], "calls": {"iam:B": 2}})

    assert list(judge(good, _played(calls), playbook)) == []
    assert list(judge(bad, _played(calls), playbook)) == [
        "calls.iam:B: expected 2, are 1", "order: iam:C was not called",
    ]  # fmt: skip


def test_a_call_out_of_order_or_forbidden_is_told(playbook: Playbook) -> None:
    """``never`` counts tries, too."""
    calls = [_call("iam:B"), _call("iam:A"), _call("ec2:TerminateInstances", error="Denied")]
    expect = Expectations.model_validate({"order": ["iam:A", "iam:B"], "never": ["ec2:Term*"]})

    failures = list(judge(expect, _played(calls), playbook))

    assert [line.split(" ")[0] for line in failures] == ["order:", "never"]


def test_an_unreached_step_is_skipped_and_an_unknown_one_an_error(playbook: Playbook) -> None:
    """A misspelt step id does not pass as skipped."""
    expect = Expectations.model_validate({"steps": {"deactivate": "skipped", "deactivat": "skipped"}})

    assert list(judge(expect, _played([]), playbook)) == ["steps.deactivat: there is no such step"]


def test_bystanders_and_the_journal_are_always_judged(playbook: Playbook) -> None:
    """Whatever a test expects: a touched bystander or a broken chain fails it."""
    after = {"accounts": {"1": {"users": {"alice": {"tags": {"x": "y"}}}, "regions": {}}}}
    expect = Expectations.model_validate({"status": "succeeded"})

    failures = list(judge(expect, _played([], after, "record 3 was changed"), playbook))

    assert failures == [
        "the journal does not verify: record 3 was changed",
        "a bystander was changed: accounts/1/users/alice/tags/x",
    ]
