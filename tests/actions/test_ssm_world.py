"""Memory of a host of the world: captured, doubted, tried again, or passed over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.session import Session

from gameday.world import seam, ssm
from irrunner.actions.registry import load_registry
from irrunner.vocabulary import Outcome
from tests.contracts.bench import Bench, Line, free_port, opened
from tests.contracts.rows.ssm import with_tools


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Return a world with a bench."""
    with opened(load_registry(), Line(free_port(), Session()), monkeypatch) as bench:
        yield bench


def capture(bench: Bench, **host: Any) -> Any:
    """Capture the memory of a host that behaves so."""
    values = with_tools(bench)
    ssm.set_host(bench.account, bench.where.region, values["instance_id"], **host)
    return bench.run(bench.registry.get("aws.ssm.capture-memory"), values).done


def test_a_good_image_is_found_with_its_size(bench: Bench) -> None:
    """As large as the memory of an m5.large, under run and step."""
    done = capture(bench)

    assert (done.outcome, done.verified) == (Outcome.APPLIED, True), done.reason
    assert done.outputs["size_bytes"] == 8 << 30
    assert done.outputs["key"].endswith("/step/memory-0-avml.lime")
    assert done.outputs["trusted"] is False
    assert done.outputs["version_id"]


@pytest.mark.parametrize("bad", ["short", "wrong-header", "none"])
def test_a_bad_image_makes_room_for_the_next_tool(bench: Bench, bad: str) -> None:
    """AVML's image does not pass: LiME is tried, and its image does."""
    done = capture(bench, image=f"{bad},good")

    assert (done.outcome, done.verified) == (Outcome.APPLIED, True), done.reason
    assert done.outputs["tool"] == "lime"


def test_every_tool_gets_its_turn_at_once(bench: Bench) -> None:
    """Four tools: each is another effect, not waited for as if it were the last one."""
    values = with_tools(bench)
    bench.settings = bench.settings.model_copy(update={"memory": bench.settings.memory * 2})
    ssm.set_host(bench.account, bench.where.region, values["instance_id"], image="short,short,short,good")
    began = bench.clock.now()
    done = bench.run(bench.registry.get("aws.ssm.capture-memory"), values).done

    assert (done.outcome, done.verified) == (Outcome.APPLIED, True), done.reason
    assert done.outputs["key"].endswith("memory-3-lime.lime")
    assert (bench.clock.now() - began).total_seconds() < 4 * 25


def test_two_bad_images_are_a_failure(bench: Bench) -> None:
    """Never called captured; both reasons are told."""
    done = capture(bench, image="short,wrong-header")

    assert (done.outcome, done.code) == (Outcome.FAILED, "memory-not-captured")
    assert "avml" in done.reason
    assert "begins with 00000000" in done.reason


def test_a_tool_that_was_tampered_with_is_named(bench: Bench) -> None:
    """The host's script exits with the code of a wrong hash."""
    done = capture(bench, exit_code=43)

    assert done.outcome is Outcome.FAILED
    assert "SHA-256 is not the configured one" in done.reason


def test_a_host_that_does_not_answer_is_passed_over(bench: Bench) -> None:
    """Nothing is sent, and nobody is told that memory was captured."""
    done = capture(bench, ping="ConnectionLost")

    assert done.outcome is Outcome.ALREADY_DONE
    assert (done.code, done.outputs["captured"]) == ("ssm-agent-offline", False)
    assert bench.effects()["ssm:SendCommand"] == 0


def test_a_host_cannot_flood_the_journal(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may write what it likes under its prefix: few keys are read, and none with an odd name."""
    values = with_tools(bench)
    forensic = str(bench.where.forensic_account_id)
    bucket = bench.where.evidence_bucket
    carried_out = ssm._carry_out

    def flood(realm: Any, account: str, region: str, command: dict[str, Any]) -> int:
        code = carried_out(realm, account, region, command)
        place = f"{command['OutputS3KeyPrefix']}/{command['CommandId']}/{values['instance_id']}"
        for number in range(60):
            seam.s3(forensic).put_object(bucket, f"{place}/\u202e<b>{number}", b"")
            seam.s3(forensic).put_object(bucket, f"{place}/a{number}", b"")
        return code

    monkeypatch.setattr(ssm, "_carry_out", flood)
    done = bench.run(bench.registry.get("aws.ssm.collect-live-triage"), values).done

    assert done.outcome is Outcome.APPLIED
    assert 0 < len(done.outputs["objects"]) <= 20
    assert all(key.isascii() and "<" not in key for key in done.outputs["objects"])
