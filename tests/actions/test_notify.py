"""Messages: sent once, harmless, silent about secrets, and never in the way."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrunner.actions.channels import BODY_CHARACTERS, TITLE_CHARACTERS, Channels, plain, send
from irrunner.actions.contract import Where
from irrunner.actions.notify import Notify, NotifyParams
from irrunner.errors import ActionDenied, InvalidCall, OutcomeUnknown
from irrunner.settings import Channel, Settings
from irrunner.testing import FakeApi
from irrunner.vocabulary import Outcome, Settle

ACTION = Notify()
PARAMS = NotifyParams(channel="oncall", title="Isolated i-1", body="see the run")
CANARY = "canary-7f3a"


class Post:
    """What a delivery got."""

    def __init__(self, reason: str = "") -> None:
        self.reason = reason
        self.got: list[tuple[str, str, str]] = []

    def __call__(self, url: str, title: str, body: str) -> str:
        """Keep the message."""
        self.got.append((url, title, body))
        return self.reason


@pytest.fixture
def post() -> Post:
    """A delivery that works."""
    return Post()


@pytest.fixture
def configured(driver: Any, post: Post, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A driver with channel ``oncall``."""
    monkeypatch.setenv("ONCALL_URL", f"json://localhost/{CANARY}")
    channels = {"oncall": Channel(url="env:ONCALL_URL")}
    driver.settings = Settings(channels=channels)
    driver.local = Channels(channels, deliver=post)
    return driver


def test_sends_once_and_says_so(configured: Any, post: Post) -> None:
    """One call to the local port; the outputs tell that it was taken."""
    driven = configured.run(ACTION, PARAMS, FakeApi({}))

    assert (driven.done.outcome, driven.done.warnings) == (Outcome.APPLIED, ())
    assert driven.done.outputs == {"channel": "oncall", "sent": True, "reason": ""}
    assert post.got == [(f"json://localhost/{CANARY}", "Isolated i-1", "see the run")]
    assert [(call.operation, call.scope) for call in driven.calls] == [("notify:Send", "local")]


@pytest.mark.parametrize(
    ("channels", "says"),
    [({}, "no channel configured"), ({"other": Channel(url="env:X")}, "no channel 'oncall'")],
)
def test_without_a_channel_it_warns_and_the_run_goes_on(driver: Any, channels: Any, says: str) -> None:
    """A missing channel must never stop containment."""
    driver.settings = Settings(channels=channels)

    done = driver.run(ACTION, PARAMS, FakeApi({})).done

    assert done.outcome.good
    assert done.outputs["sent"] is False
    assert says in done.warnings[0]


def test_a_chat_that_is_down_is_a_warning(configured: Any, post: Post) -> None:
    """What the channel answers is reported, not raised."""
    post.reason = "the channel did not take the message"

    done = configured.run(ACTION, PARAMS, FakeApi({})).done

    assert done.outcome.good
    assert done.outputs == {"channel": "oncall", "sent": False, "reason": post.reason}


def test_a_secret_that_is_missing_is_a_warning(configured: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unset reference is named; the run goes on."""
    monkeypatch.delenv("ONCALL_URL")

    done = configured.run(ACTION, PARAMS, FakeApi({})).done

    assert done.outcome.good
    assert "env:ONCALL_URL" in done.outputs["reason"]


def test_a_secret_that_aws_refuses_is_a_warning() -> None:
    """Denied secrets are reported with AWS's reason."""

    def deny(**_: Any) -> Any:
        raise ActionDenied("no")

    channels = Channels({"oncall": Channel(url="ssm:/oncall")}, FakeApi({"ssm:GetParameter": deny}), Post())

    assert channels.call("notify:Send", Channel="oncall", Title="t", Body="b") == {
        "Sent": False,
        "Reason": "no",
    }


def test_an_unknown_channel_or_operation_at_the_port() -> None:
    """The port answers for channels that it does not know, and refuses what is not its business."""
    port = Channels({})

    assert port.call("notify:Send", Channel="x", Title="t", Body="b")["Sent"] is False
    assert send(Settings(), Channel="x", Title="t", Body="b")["Sent"] is False
    with pytest.raises(InvalidCall):
        port.call("ec2:TerminateInstances")


def test_a_lost_answer_is_unknown_and_not_sent_twice(configured: Any) -> None:
    """No look can tell whether a message was read, so it is at most once."""
    sent = []

    def lose(**_: Any) -> Any:
        sent.append(1)
        raise OutcomeUnknown("the connection broke")

    configured.local = FakeApi({"notify:Send": lose})

    done = configured.run(ACTION, PARAMS, FakeApi({})).done

    assert ACTION.settle is Settle.AT_MOST_ONCE
    assert (done.outcome, len(sent)) == (Outcome.UNKNOWN, 1)


def test_a_drill_says_that_it_is_one(configured: Any) -> None:
    """Nobody is woken by a drill without knowing it."""
    context = configured.context(FakeApi({}))
    seen = ACTION.look(context, PARAMS).model_copy(update={"drill": True})

    (call,) = ACTION.forecast(PARAMS, seen)

    assert call.params["Title"] == "[DRILL] Isolated i-1"
    assert ACTION.foresee(PARAMS, seen, "n").outputs["channel"] == "oncall"


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("@everyone look", "@\u200beveryone look"),
        ("<!channel> now", "<\u200b!channel> now"),
        ("<@U123> <b>x</b>", "<\u200b@\u200bU123> <\u200bb>x<\u200b/b>"),
        ("[AWS](http://evil)", "[AWS]\u200b(http://evil)"),
        ("```code```", "`\u200b`\u200b`code`\u200b`\u200b`"),
        ("a\x00b\x1b[31mc\u202ed\u200be", "ab[31mcde"),
        ("line\nand\ttab", "line\nand\ttab"),
        ("mail a@ b, 3 < 4", "mail a@ b, 3 < 4"),
    ],
)
def test_attacker_text_neither_pings_nor_formats(hostile: str, harmless: str) -> None:
    """Names and tags of a compromised account come into messages: they stay text."""
    assert plain(hostile, 1000) == harmless


@given(st.text(alphabet=st.sampled_from("@<!#/a`](\u200b\x00\u202e b"), max_size=40))
@settings(max_examples=100, deadline=None)
def test_no_text_gets_through(text: str) -> None:
    """Whatever is removed or inserted never makes a new mention."""
    said = plain(text, 1000)

    assert "@a" not in said
    assert "<!" not in said
    assert "<@" not in said
    assert "](" not in said
    assert plain(said, 1000) == said


def test_a_megabyte_is_cut(configured: Any, post: Post) -> None:
    """A long text is shortened, not refused by the chat."""
    params = NotifyParams(channel="oncall", title="x" * 1_000_000, body="@a" * 1_000_000)

    configured.run(ACTION, params, FakeApi({}))

    _, title, body = post.got[0]
    assert (len(title), len(body)) == (TITLE_CHARACTERS, BODY_CHARACTERS)


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[Any]]]:
    """A loopback server that keeps what is posted."""
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200 if "refuse" not in self.path else 500)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Be silent."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"json://127.0.0.1:{server.server_port}", got
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_apprise_delivers_as_plain_text_and_logs_no_secret(
    webhook: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The real delivery, with a token in the URL that appears in no log and no answer."""
    caplog.set_level(logging.DEBUG)
    url, got = webhook
    monkeypatch.setenv("GOOD", f"{url}/{CANARY}")
    monkeypatch.setenv("BAD", f"{url}/refuse/{CANARY}")
    monkeypatch.setenv("NONSENSE", f"nonsense-{CANARY}")
    port = Channels({name: Channel(url=f"env:{name}") for name in ("GOOD", "BAD", "NONSENSE")})

    answers = [
        port.call("notify:Send", Channel=name, Title="t", Body="") for name in ("GOOD", "BAD", "NONSENSE")
    ]

    assert [answer["Sent"] for answer in answers] == [True, False, False]
    assert (got[0]["title"], got[0]["message"]) == ("t", "t")
    assert CANARY not in caplog.text
    assert CANARY not in json.dumps(answers)


def test_changes_nothing() -> None:
    """It names no target and can be undone by nobody."""
    assert ACTION.targets(PARAMS, Where("aws", "1", "r", None, None, None)) == ()
