"""Tickets: told once, in order, as soon as the tracker listens; secrets and attackers' markup get nowhere."""

from __future__ import annotations

import json
import logging
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from irrunner.errors import InvalidCall
from irrunner.journal.sql import SqlStore
from irrunner.settings import Tracker
from irrunner.testing import ManualClock
from irrunner.tickets import http
from irrunner.tickets.jira import verbatim
from irrunner.tickets.port import Tickets
from irrunner.tickets.webhook import REPLAY_WINDOW_S, verifies
from tests.tickets.conftest import RUN, TOKEN
from tests.tickets.trackers import FakeJira, FakeReceiver, trickling

Tell = Callable[..., Any]
CREATE = "/rest/api/2/issue"


def test_an_incident_has_one_issue_that_is_commented_and_closed(tell: Tell, jira: FakeJira) -> None:
    """Create, create again (another playbook), update, close: one issue, its label, and a done status."""
    told = tell("Create", "k1", labels=["ec2"], priority="High")
    again = tell("Create", "k2")
    tell("Update", "k3", body="its disk is kept")
    tell("Close", "k4", body="over")

    assert told["Status"] == "delivered"
    assert (told["Reference"], told["Url"]) == ("SEC-1", f"{jira.url}/browse/SEC-1")
    assert again["Reference"] == "SEC-1"
    assert list(jira.issues) == ["SEC-1"]
    fields = jira.issues["SEC-1"]["fields"]
    assert fields["labels"] == ["irrunner", "inc-1", "ec2"]
    assert fields["priority"] == {"name": "High"}
    assert [text.split("\n")[1] for text in jira.issues["SEC-1"]["comments"]] == ["its disk is kept", "over"]
    assert jira.issues["SEC-1"]["done"]


@pytest.mark.parametrize("status", [500, 503, 401, 302])
def test_a_tracker_that_is_down_loses_nothing(
    tell: Tell, tickets: Tickets, jira: FakeJira, clock: ManualClock, status: int
) -> None:
    """Queued with the reason; told later, by whoever delivers, in the order of the incident."""
    jira.status = status
    told = tell("Create", "k1")
    tell("Update", "k2", body="first")
    tell("Update", "k3", body="second")

    assert told["Status"] == "queued"
    assert str(status) in told["Problem"]
    assert tickets.deliver_due() == 0
    jira.status = 0
    clock.advance(3600)
    assert tickets.deliver_due() == 3
    assert tickets.deliver_due() == 0
    comments = jira.issues["SEC-1"]["comments"]
    assert [text.split("\n")[1] for text in comments] == ["first", "second"]


def test_nobody_listens(tell: Tell, trackers: dict[str, Tracker]) -> None:
    """A refused connection certainly changed nothing."""
    trackers["jira"] = trackers["jira"].model_copy(update={"url": "http://127.0.0.1:9"})

    told = tell("Create", "k1")

    assert told["Status"] == "queued"
    assert "ConnectError" in told["Problem"]


@pytest.mark.parametrize(
    ("kind", "path"),
    [("Create", CREATE), ("Update", f"{CREATE}/SEC-1/comment"), ("Close", f"{CREATE}/SEC-1/transitions")],
)
def test_an_answer_that_was_lost_makes_nothing_twice(
    tell: Tell, tickets: Tickets, jira: FakeJira, clock: ManualClock, kind: str, path: str
) -> None:
    """It took effect and the answer was lost: it is looked for, after the search has had a minute."""
    if kind != "Create":
        tell("Create", "k0")
    jira.loses = path
    told = tell(kind, "k1", body="once")
    clock.advance(59)
    assert tickets.deliver_due() == 0
    clock.advance(2)
    assert tickets.deliver_due() == 1

    assert told["Status"] == "queued"
    assert list(jira.issues) == ["SEC-1"]
    assert len(jira.issues["SEC-1"]["comments"]) == (0 if kind == "Create" else 1)


def test_a_process_that_dies_while_it_delivers_makes_nothing_twice(
    tell: Tell, tickets: Tickets, jira: FakeJira, store: SqlStore, clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Killed between Jira's answer and the store: the claim runs out, the next one searches first."""

    class Killed(BaseException):
        """The process dies here."""

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    monkeypatch.setattr(store.outbox, "settle", die)
    with pytest.raises(Killed):
        tell("Create", "k1")
    monkeypatch.undo()
    monkeypatch.setenv("TOKEN", TOKEN)
    monkeypatch.setenv("USER_NAME", "bot@example.com")
    assert tickets.deliver_due() == 0
    clock.advance(181)
    assert tickets.deliver_due() == 1

    assert list(jira.issues) == ["SEC-1"]


def test_the_same_key_is_told_once(tell: Tell, jira: FakeJira) -> None:
    """A step that is resumed calls again."""
    tell("Create", "k0")
    for _ in range(3):
        tell("Update", "k1", body="once")

    assert len(jira.issues["SEC-1"]["comments"]) == 1


def test_jira_server_has_another_search_and_a_bearer_token(
    trackers: dict[str, Tracker], tell: Tell, jira: FakeJira
) -> None:
    """Data Center: no user, a personal access token; Cloud: user and token."""
    tell("Create", "k1")
    basic = b64encode(f"bot@example.com:{TOKEN}".encode()).decode()
    assert {headers["Authorization"] for _, _, headers, _ in jira.requests} == {f"Basic {basic}"}
    jira.requests.clear()
    jira.search = "/rest/api/2/search"
    trackers["server"] = Tracker(kind="jira-server", url=jira.url, project="SEC", token="env:TOKEN")
    tell("Create", "k2", tracker="server")

    assert {headers["Authorization"] for _, _, headers, _ in jira.requests} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    "answer", [[], "x", {"issues": [{"key": "../../x"}]}, {"issues": "odd"}, {"issues": [3]}]
)
def test_odd_answers_make_no_odd_requests(
    tell: Tell, jira: FakeJira, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    """What a tracker answers is not trusted: a key that is none goes into no path, and nothing crashes."""
    monkeypatch.setattr(jira, "work", lambda *_: (200, answer))

    assert tell("Create", "k1")["Status"] == "queued"
    assert {path for _, path, _, _ in jira.requests} <= {"/rest/api/2/search/jql", CREATE}


@pytest.mark.parametrize("told", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\n\r\n[", b""])
def test_a_tracker_that_trickles_is_left_behind(
    tell: Tell, trackers: dict[str, Tracker], monkeypatch: pytest.MonkeyPatch, told: bytes
) -> None:
    """A byte now and then keeps each read alive, in headers as in the body; the run goes on."""
    monkeypatch.setattr(http, "LONGEST_ANSWER_S", 0.5)
    with trickling(told) as url:
        trackers["jira"] = trackers["jira"].model_copy(update={"url": url})
        before = time.monotonic()
        answer = tell("Create", "k1")

    assert (answer["Status"], "no answer" in answer["Problem"]) == ("queued", True)
    assert time.monotonic() - before < 5


def test_an_answer_that_is_too_deep_stops_nothing(
    tell: Tell, trackers: dict[str, Tracker], store: SqlStore, clock: ManualClock
) -> None:
    """A hostile tracker must not end `resume --due` before it has taken anything off."""
    deep = httpx.MockTransport(lambda _: httpx.Response(200, content=b"[" * 100_000))
    Tickets(trackers, lambda: store, clock.now, run_id=RUN, transport=deep).call(
        "ticket:Create", Key="k1", Tracker="jira", Body={"title": "t", "body": ""}
    )

    assert [each.key for each in store.outbox.undelivered()] == ["k1"]


def test_an_update_without_a_ticket_waits(tell: Tell) -> None:
    """The incident has no issue (yet): queued, with the reason."""
    told = tell("Update", "k1")

    assert (told["Status"], told["Problem"]) == ("queued", "project SEC has no issue for inc-1")


def test_a_webhook_is_signed_and_done_once(
    tell: Tell, tickets: Tickets, receiver: FakeReceiver, clock: ManualClock
) -> None:
    """The receiver verifies signature and time, and sees a lost answer's repetition by its key.

    The key is in what is signed: who replays a message with another key in the header makes no second one.
    """
    receiver.loses = "/"
    tell("Create", "k1", tracker="hook")
    clock.advance(61)
    assert tickets.deliver_due() == 1
    told = tickets.call("ticket:GetDelivery", Key="k1")

    assert (told["Reference"], told["Url"]) == ("INC0012", "https://tickets.example.com/INC0012")
    assert list(receiver.done) == ["k1"]
    assert receiver.done["k1"]["incident"] == "inc-1"
    assert len(receiver.requests) == 2
    _, _, headers, body = receiver.requests[-1]
    now = clock.now()
    assert verifies(TOKEN.encode(), headers, body, now)
    assert not verifies(b"other", headers, body, now)
    assert not verifies(TOKEN.encode(), headers, body + b" ", now)
    for name, value in (
        ("Timestamp", "x"),
        ("Timestamp", "\u0663"),
        ("Signature", "v1=\u00e9"),
        ("Signature", ""),
    ):
        assert not verifies(TOKEN.encode(), {**headers, f"Irrunner-{name}": value}, body, now)
    assert json.loads(body)["idempotency_key"] == headers["Irrunner-Idempotency-Key"] == "k1"
    clock.advance(REPLAY_WINDOW_S + 1)
    assert not verifies(TOKEN.encode(), headers, body, clock.now())


def test_the_webhook_is_told_the_reference_that_it_gave(tell: Tell, receiver: FakeReceiver) -> None:
    """The receiver need not keep a table of incidents."""
    tell("Create", "k1", tracker="hook")
    tell("Close", "k2", tracker="hook")

    assert receiver.done["k2"]["reference"] == "INC0012"


def test_one_tracker_that_is_down_holds_no_other_up(
    tell: Tell, jira: FakeJira, receiver: FakeReceiver
) -> None:
    """Jira is down; the webhook is told."""
    jira.status = 500
    tell("Create", "k1")

    assert tell("Create", "k2", tracker="hook")["Status"] == "delivered"


def test_a_pass_ends_in_time(
    tell: Tell, tickets: Tickets, receiver: FakeReceiver, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tracker that takes long for each message holds nobody up for all of them; none is lost."""
    receiver.status = 500
    for number in range(5):
        tell("Update", f"k{number}", tracker="hook")
    clock.advance(3600)
    receiver.status, work = 0, receiver.work

    def slow(*asked: Any) -> tuple[int, Any]:
        clock.advance(40)
        return work(*asked)

    monkeypatch.setattr(receiver, "work", slow)

    assert [tickets.deliver_due() for _ in range(4)] == [2, 2, 1, 0]
    assert list(receiver.done) == [f"k{number}" for number in range(5)]


def test_secrets_are_nowhere(
    tell: Tell, jira: FakeJira, store: SqlStore, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A tracker that quotes the token, a text that holds a key: neither is stored or logged."""
    caplog.set_level(logging.DEBUG)
    basic = b64encode(f"bot@example.com:{TOKEN}".encode()).decode()
    monkeypatch.setattr(jira, "work", lambda *_: (400, {"errorMessages": [f"bad token {TOKEN} {basic}"]}))
    key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    told = tell("Create", "k1", body=f"aws_secret_access_key = {key}")

    left = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert "bad token" in told["Problem"]
    for secret in (TOKEN, key, basic):
        assert secret not in json.dumps(told)
        assert secret.encode() not in left
        assert secret not in caplog.text


def test_a_secret_that_is_missing_is_named(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queued until somebody sets it."""
    monkeypatch.delenv("TOKEN")

    assert "env:TOKEN" in tell("Create", "k1")["Problem"]


def test_a_tracker_that_is_not_configured_any_more_is_named(tell: Tell, trackers: dict[str, Tracker]) -> None:
    """What was queued for it stays in sight."""
    del trackers["jira"]

    assert "no tracker 'jira'" in tell("Create", "k1")["Problem"]


def test_markup_of_an_attacker_stays_text(tell: Tell, jira: FakeJira) -> None:
    """Mentions, images and the end of the fence stand as they are, and a title is one line."""
    tell("Create", "k1", title="a\nb", body="[~accountid:1] !http://x/y.png! {NoFormat} {code}")
    fields = jira.issues["SEC-1"]["fields"]

    assert fields["summary"] == "a b"
    assert fields["description"].count("{noformat}") == 2
    assert fields["description"].endswith("{code}\n{noformat}")
    assert "{noformat}" not in verbatim("{NOFORMAT}x{noformat}")[11:-11]


def test_a_megabyte_is_cut(tell: Tell, jira: FakeJira) -> None:
    """A long report is shortened, not refused by Jira."""
    tell("Create", "k1", title="x" * 1_000_000, body="y" * 1_000_000)
    fields = jira.issues["SEC-1"]["fields"]

    assert len(fields["summary"]) == 250
    assert len(fields["description"]) < 32_767


def test_other_operations_are_refused(tickets: Tickets) -> None:
    """The port does what it is for."""
    with pytest.raises(InvalidCall):
        tickets.call("ticket:Delete", Key="k1")


def test_a_ticket_needs_a_run(trackers: dict[str, Tracker], store: SqlStore, clock: ManualClock) -> None:
    """Delivering alone can queue nothing."""
    port = Tickets(trackers, lambda: store, clock.now)
    with pytest.raises(InvalidCall, match="belongs to a run"):
        port.call("ticket:Create", Key="k", Tracker="jira", Body={})


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://jira.example.com"},
        {"url": "https://user:secret@jira.example.com"},
        {"url": "https://jira.example.com/?os_password=x"},
        {"url": "https://a\\@b"},
        {"url": "file:///etc/passwd"},
        {"project": 'SEC" OR project = "X'},
        {"project": ""},
        {"token": "plain"},
        {"kind": "email"},
    ],
)
def test_a_tracker_that_is_wrong_is_refused(wrong: dict[str, str]) -> None:
    """Plain secrets, other protocols, other hosts than we read, and queries in names."""
    right = {"kind": "jira-cloud", "url": "https://x.example.com", "project": "SEC", "token": "env:T"}
    Tracker.model_validate(right)
    with pytest.raises(ValidationError):
        Tracker.model_validate(right | wrong)


def test_the_run_of_a_delivery_is_known(tell: Tell, store: SqlStore, jira: FakeJira) -> None:
    """`irrunner show RUN` lists what is not delivered."""
    jira.status = 500
    tell("Create", "k1")

    assert [(left.run_id, left.kind) for left in store.outbox.undelivered(RUN)] == [(RUN, "create")]
