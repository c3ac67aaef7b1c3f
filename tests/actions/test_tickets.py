"""The three actions of tickets: a key for each step, honest about what the tracker has not taken."""

from __future__ import annotations

from typing import Any

from irrunner.actions.contract import Act, Settled
from irrunner.actions.tickets import (
    CloseTicket,
    CreateParams,
    CreateTicket,
    TicketParams,
    TicketState,
    UpdateTicket,
)
from irrunner.settings import Settings, Tracker
from irrunner.testing import FakeApi
from irrunner.vocabulary import DeliveryStatus

PARAMS = CreateParams(tracker="jira", title="Contained", labels=["ec2"])
TRACKER = Tracker(kind="jira-cloud", url="https://x.example.com", project="SEC", token="env:T")


def state(status: DeliveryStatus, **more: Any) -> TicketState:
    """Return a look."""
    return TicketState(key="k", status=status, **more)


def test_what_is_queued_has_succeeded_with_a_warning() -> None:
    """A tracker that is down is in nobody's way, and the warning says how it goes on."""
    decision = CreateTicket().decide(PARAMS, state(DeliveryStatus.QUEUED, problem="HTTP 503"))

    assert isinstance(decision, Settled)
    assert not decision.verified
    assert decision.outputs.model_dump()["queued"] is True
    assert decision.warnings == ("queued, `irrunner resume --due` delivers it: HTTP 503",)


def test_what_was_delivered_is_verified() -> None:
    """The tracker's name for it is an output."""
    decision = CreateTicket().decide(PARAMS, state(DeliveryStatus.DELIVERED, reference="SEC-1"))

    assert isinstance(decision, Settled)
    assert decision.verified
    assert decision.warnings == ()


def test_a_tracker_that_is_not_configured_is_a_warning(driver: Any) -> None:
    """The run goes on; nothing is queued."""
    done = driver.run(UpdateTicket(), TicketParams(tracker="none"), FakeApi({})).done

    assert done.outcome.good
    assert "no tracker 'none'" in done.warnings[0]


def test_each_step_and_action_has_a_key_of_its_own(driver: Any) -> None:
    """The same step always has the same key, whatever process resumes it."""
    driver.settings = Settings(tickets={"jira": TRACKER})
    absent = {"Status": "absent", "Reference": "", "Url": "", "Problem": ""}
    driver.reads = FakeApi({"ticket:GetDelivery": lambda **_: absent})
    looks: list[Any] = []
    steps: tuple[tuple[Any, Any], ...] = (
        (CreateTicket(), PARAMS), (CreateTicket(), PARAMS), (CloseTicket(), TicketParams(tracker="jira")),
    )  # fmt: skip
    for action, params in steps:
        looks.append(action.look(driver.context(FakeApi({})), params))
    driver.marker = "run-1/other"
    looks.append(CreateTicket().look(driver.context(FakeApi({})), PARAMS))

    keys = [look.key for look in looks]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_a_drill_says_so() -> None:
    """Nobody is woken by a drill that looks like an incident."""
    decision = CreateTicket().decide(PARAMS, state(DeliveryStatus.ABSENT, drill=True))

    assert isinstance(decision, Act)
    said = decision.calls[0].params["Body"]
    assert said["title"] == "[DRILL] Contained"
    assert said["labels"] == ["ec2", "drill"]
