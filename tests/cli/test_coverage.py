from __future__ import annotations

import json

import pytest

from irrunner.cli.app import run


def test_the_listing_names_every_family(capsys: pytest.CaptureFixture[str]) -> None:
    """The table holds families, stages and actions; exit code 0 says that none is missing."""
    code = run(["coverage", "--actions"])
    shown = capsys.readouterr().out

    assert code == 0
    assert "aws.ec2.isolate-instance" in shown
    assert "by hand" in shown
    assert "families of findings" in shown


def test_json_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """For programs: families with their stages, and nothing missing."""
    assert run(["coverage", "--actions", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)

    assert document["ok"]
    assert len(document["families"]) > 20


def test_without_an_option_it_says_what_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    """Types under the playbook that answers them, the others under their family, and how to see more."""
    assert run(["coverage"]) == 0
    shown = capsys.readouterr().out
    answered, _, left = shown.partition("A person decides")

    assert "    Backdoor:EC2/Spambot\n" in answered
    assert "    Object:S3/MaliciousFile\n" in left
    assert "irrunner coverage --actions" in left


def test_a_floor_that_is_not_reached_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """For a pipeline: exit code 1 below, 0 at the floor."""
    assert run(["coverage", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)

    assert run(["coverage", "--at-least", str(document["percent"])]) == 0
    assert run(["coverage", "--at-least", str(document["percent"] + 1)]) == 1
    assert document["answered"] == sum(bool(entry["playbooks"]) for entry in document["types"])
