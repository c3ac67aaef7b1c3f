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


def test_without_an_option_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """There is one view so far."""
    assert run(["coverage"]) == 2
    assert "irrunner coverage --actions" in capsys.readouterr().err
