"""The three actions over the real outbox: a step that is killed and resumed tells a tracker once."""

from __future__ import annotations

from typing import Any

import pytest

from irrunner.actions.local import LocalPort
from irrunner.actions.tickets import CreateParams, CreateTicket, TicketParams, UpdateTicket
from irrunner.aws.operations import ReadOnlyPort
from irrunner.errors import InvalidCall
from irrunner.settings import Settings, Tracker
from irrunner.testing import FakeApi, ManualClock
from irrunner.tickets.port import Tickets
from irrunner.vocabulary import Outcome
from tests.actions.conftest import Driver
from tests.tickets.trackers import FakeJira

CREATE = CreateParams(tracker="jira", title="Contained", body="i-1 is cut off")
UPDATE = TicketParams(tracker="jira", body="its disk is kept")


@pytest.fixture
def driver(clock: ManualClock, tickets: Tickets, trackers: dict[str, Tracker]) -> Driver:
    """Runs actions over the real port."""
    local = LocalPort({"ticket": tickets})
    return Driver(clock, Settings(tickets=trackers), local=local, reads=ReadOnlyPort(local))


def resumed(driver: Driver, action: Any, params: Any, begun: Any) -> Any:
    """Take up an intent as a new process does."""
    attempt = driver.start(action, params, FakeApi({}))
    attempt.before = begun.before
    attempt.resume(len(begun.calls), driver.clock.now())
    return driver._finish(attempt)


@pytest.mark.parametrize("alive", ["before it was sent", "after it was sent"])
def test_a_killed_step_tells_once(driver: Driver, jira: FakeJira, alive: str) -> None:
    """Killed on either side of the call: resumed, there is one issue and one comment, verified."""
    steps: tuple[tuple[Any, Any], ...] = ((CreateTicket(), CREATE), (UpdateTicket(), UPDATE))
    for number, (action, params) in enumerate(steps):
        driver.marker = f"run-1/step-{number}"
        attempt = driver.start(action, params, FakeApi({}))
        begun = attempt.begin()
        if alive == "after it was sent":
            attempt.advance()
        done = resumed(driver, action, params, begun)

        assert (done.outcome, done.verified) == (Outcome.APPLIED, True), done.reason
        assert done.outputs["reference"] == "SEC-1"
    assert len(jira.issues["SEC-1"]["comments"]) == 1


def test_a_plan_queues_nothing(driver: Driver, jira: FakeJira, tickets: Tickets) -> None:
    """Beginning looks; a look that would tell is refused by its port."""
    begun = driver.start(CreateTicket(), CREATE, FakeApi({})).begin()

    assert [call.operation for call in begun.calls] == ["ticket:Create"]
    assert jira.requests == []
    with pytest.raises(InvalidCall, match="only reads"):
        ReadOnlyPort(tickets).call("ticket:Create", Key="k", Tracker="jira", Body={})
    assert tickets.call("ticket:GetDelivery", Key="k")["Status"] == "absent"


def test_a_queued_step_succeeds_and_says_so(driver: Driver, jira: FakeJira) -> None:
    """Jira is down: applied, not verified, and the warning names the reason and the way on."""
    jira.status = 503
    done = driver.run(CreateTicket(), CREATE, FakeApi({})).done

    assert (done.outcome, done.verified, done.outputs["queued"]) == (Outcome.APPLIED, False, True)
    assert "resume --due" in done.warnings[0]
    assert "HTTP 503" in done.warnings[0]
