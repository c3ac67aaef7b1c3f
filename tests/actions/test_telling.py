"""Telling others: what is written where, what AWS leaves undone in a 200, and what it would not take."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.contract import Act, Refused, Settled
from irrunner.actions.events.put import PutEvent, PutEventParams
from irrunner.actions.guardduty.archive import ArchiveFinding, ArchiveState
from irrunner.actions.guardduty.feedback import FeedbackParams, FeedbackState, SendFeedback
from irrunner.actions.guardduty.findings import OneFinding
from irrunner.actions.messages import LIMIT_BYTES, MessageState, one_line
from irrunner.actions.securityhub.update import NO_NOTE, UpdateFinding, UpdateParams
from irrunner.actions.setting import ValueState
from irrunner.actions.sns.publish import Publish, PublishParams, PublishState
from irrunner.errors import ActionThrottled, TargetNotFound
from irrunner.testing import FakeApi

FINDING = OneFinding(finding_id="16afba5c5c43e07c9e3e5e2e544e95df")
TOPIC = "arn:aws:sns:eu-central-1:111122223333:incidents"
PRODUCT = "arn:aws:securityhub:eu-central-1::product/aws/guardduty"


def archive_state(*, value: bool = False, administrator: str = "") -> ArchiveState:
    """Return a look of a finding."""
    return ArchiveState(target=FINDING.finding_id, value=value, detector_id="d", administrator=administrator)


def test_a_member_leaves_the_archive_to_its_administrator() -> None:
    """AWS refuses members; the reason names the account that may."""
    decision = ArchiveFinding().decide(FINDING, archive_state(administrator="999988887777"))

    assert isinstance(decision, Refused)
    assert decision.code == "guardduty-administrator"
    assert "999988887777" in decision.reason


def test_what_the_administrator_has_archived_needs_nothing() -> None:
    """Archived already: no refusal, no call."""
    decision = ArchiveFinding().decide(FINDING, archive_state(value=True, administrator="999988887777"))

    assert isinstance(decision, Settled)


def test_an_account_without_guardduty_is_a_typed_failure(driver: Any) -> None:
    """No detector: the error says where it was looked for."""
    api = FakeApi({"guardduty:ListDetectors": lambda **_: {"DetectorIds": []}})

    with pytest.raises(TargetNotFound, match="not enabled"):
        driver.run(ArchiveFinding(), FINDING, api)


def test_other_feedback_is_replaced() -> None:
    """Somebody said USEFUL before: ours is sent, and the plan shows what was there."""
    params = FeedbackParams(finding_id=FINDING.finding_id, feedback="NOT_USEFUL")
    decision = SendFeedback().decide(
        params, FeedbackState(target=FINDING.finding_id, value="USEFUL", detector_id="d")
    )

    assert isinstance(decision, Act)
    call = decision.calls[0]
    assert (call.before, call.after, call.reversible) == ("USEFUL", "NOT_USEFUL", False)
    assert "Comments" not in call.params


def update_params(**more: Any) -> UpdateParams:
    """Return parameters of an update."""
    return UpdateParams(finding_id="f-1", product_arn=PRODUCT, **{"status": "RESOLVED", **more})


def test_without_a_note_the_note_stays() -> None:
    """Only the status is written."""
    state = ValueState(target="f-1", value={"status": "NEW", "note": "mine"})
    decision = UpdateFinding().decide(update_params(), state)

    assert isinstance(decision, Act)
    assert "Note" not in decision.calls[0].params


def test_undo_writes_a_text_for_no_note() -> None:
    """Security Hub cannot delete a note."""
    before = ValueState(target="f-1", value={"status": "NEW", "note": ""})
    after = ValueState(target="f-1", value={"status": "RESOLVED", "note": "isolated"})
    calls = UpdateFinding().undo_calls(
        update_params(note="isolated"), before, after, after, frozenset({"f-1"})
    )

    assert calls[0].params["Note"]["Text"] == NO_NOTE
    assert calls[0].params["Workflow"] == {"Status": "NEW"}


@pytest.mark.parametrize(
    ("code", "error"), [("ThrottlingException", "action-throttled"), ("FindingNotFound", "target-not-found")]
)
def test_what_is_unprocessed_has_failed(driver: Any, code: str, error: str) -> None:
    """HTTP 200 with UnprocessedFindings is a failure of the class of its code, at once."""
    api = FakeApi(
        {
            "securityhub:GetFindings": lambda **_: {"Findings": [{"Workflow": {"Status": "NEW"}}]},
            "securityhub:BatchUpdateFindings": lambda **_: {
                "ProcessedFindings": [], "UnprocessedFindings": [{"ErrorCode": code}],
            },
        }
    )  # fmt: skip

    with pytest.raises((ActionThrottled, TargetNotFound)) as failed:
        driver.run(UpdateFinding(), update_params(), api)

    assert failed.value.code == error


def test_an_event_that_was_not_taken_has_failed(driver: Any) -> None:
    """FailedEntryCount comes with 200, too."""
    api = FakeApi(
        {
            "events:DescribeEventBus": lambda **_: {},
            "events:PutEvents": lambda **_: {
                "FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}],
            },
        }
    )  # fmt: skip

    with pytest.raises(ActionThrottled):
        driver.run(PutEvent(), PutEventParams(detail_type="contained"), api)


def test_an_event_tells_run_incident_and_status(driver: Any) -> None:
    """Whoever automates what follows needs no parsing of prose."""
    put: list[Any] = []

    def put_events(**given: Any) -> Any:
        put.append(given)
        return {"Entries": [{"EventId": "e-1"}]}

    api = FakeApi(
        {
            "events:DescribeEventBus": lambda **_: {},
            "events:PutEvents": put_events,
        }
    )
    params = PutEventParams(
        detail_type="contained", incident="inc-1", status="contained", facts={"x": '"}\u202e'}
    )
    done = driver.run(PutEvent(), params, api).done

    entry = put[0]["Entries"][0]
    assert entry["Source"] == "irrunner"
    assert json.loads(entry["Detail"]) == {
        "run_id": "run-1", "step": "run-1/step", "incident": "inc-1", "status": "contained",
        "drill": False, "facts": {"x": '"}\u202e'},
    }  # fmt: skip
    assert (done.outputs["event_id"], done.verified) == ("e-1", False)


def test_what_aws_would_not_take_is_refused_before() -> None:
    """A message over the limit, counted in bytes, is refused with what to do."""
    state = PublishState(run_id="r", marker="r/s", drill=False, subscriptions=1)
    params = PublishParams(topic_arn=TOPIC, subject="s", message="é" * (LIMIT_BYTES // 2))
    event = PutEventParams(detail_type="t", facts={"x": "y" * LIMIT_BYTES})

    for decision in (
        Publish().decide(params, state),
        PutEvent().decide(event, MessageState(run_id="r", marker="r/s", drill=False)),
    ):
        assert isinstance(decision, Refused)
        assert "shorten" in decision.reason


def test_a_topic_that_nobody_hears_is_a_warning() -> None:
    """Published is not told."""
    state = PublishState(run_id="r", marker="r/s", drill=False, subscriptions=0)
    params = PublishParams(topic_arn=TOPIC, subject="s", message="m")

    assert "nobody" in Publish().settled_after_send(params, state, ({"MessageId": "m-1"},)).warnings[0]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\tc", "a b c"),
        ("\u202eevil é", "?evil ?"),
        ("x" * 101, f"{'x' * 97}..."),
        ("  a", "a"),
        ("\n", "irrunner"),
    ],
)
def test_a_subject_is_one_line_of_ascii(text: str, line: str) -> None:
    """Names from findings come into subjects; SNS refuses what is no printable line."""
    assert one_line(text) == line


@pytest.mark.parametrize("arn", ["incidents", TOPIC.replace("sns", "sqs"), f"{TOPIC}*", f"{TOPIC}\n"])
def test_only_a_topic_is_published_to(arn: str) -> None:
    """The ARN goes into a policy: wildcards and other services are refused."""
    with pytest.raises(ValidationError):
        PublishParams(topic_arn=arn, subject="s", message="m")
