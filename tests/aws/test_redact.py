"""Credentials are nowhere: canaries are planted and searched for."""

from __future__ import annotations

import io
import json
import logging
import traceback
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from irrunner.actions.contract import Permission
from irrunner.aws.cloud import BotoCloud
from irrunner.aws.recording import CallRecord, RecordingApi
from irrunner.aws.redact import HIDDEN, REMEMBERED, Redactor, redact_text
from irrunner.errors import ActionError
from irrunner.logs import configure_logs
from irrunner.settings import Settings
from tests.aws.conftest import BASE_SECRET, Aws, ec2_error, session_secret, session_token

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjE" + "Ab1/+" * 40


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "text",
    [
        f"key {SECRET} leaked",
        f'{{"SecretAccessKey": "{SECRET}"}}',
        f"aws_secret_access_key = {SECRET}",
        f"<SessionToken>{TOKEN}</SessionToken>",
        f"token {TOKEN}!",
        f"?X-Amz-Security-Token={TOKEN}&X-Amz-Signature=0123abcd",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_shapes_of_credentials_are_hidden(text: str) -> None:
    """Keys and tokens that nobody told us are known by their shape."""
    clean = redact_text(text)
    assert HIDDEN in clean
    assert SECRET not in clean
    assert TOKEN not in clean


def test_password_of_a_url_is_hidden() -> None:
    """A database URL keeps its host and loses its password."""
    assert redact_text("postgresql://us:hunter2@db/x") == f"postgresql://us:{HIDDEN}@db/x"


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:ec2:us-east-1:333333333333:instance/i-0123456789abcdef0",
        "0190a0b0-0000-7000-8000-000000000001",
        "3" * 40,
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "AKIAIOSFODNN7EXAMPLE is a key id, not a secret",
    ],
)
def test_ids_and_digests_stay(text: str) -> None:
    """What a responder needs to read is not blanked out."""
    assert redact_text(text) == text


def test_values_under_telling_names_are_hidden() -> None:
    """Structured data is cleaned by field name, at any depth; the rest keeps its type."""
    data = {
        "Credentials": {"x": 1},
        "release_credentials": True,
        "a": [{"Password": "p", "count": 3, "ok": True, "none": None}],
    }
    inner = {"Password": HIDDEN, "count": 3, "ok": True, "none": None}
    hidden = {"Credentials": HIDDEN, "release_credentials": True, "a": [inner]}
    assert Redactor().value(data) == hidden


def test_memory_is_bounded() -> None:
    """A server that opens sessions for years forgets the oldest."""
    redactor = Redactor()
    for number in range(REMEMBERED):
        redactor.learn(f"secret-{number:06d}")
    assert len(redactor._known) <= REMEMBERED
    assert redactor.text(f"x secret-{REMEMBERED - 1:06d} x") == f"x {HIDDEN} x"


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=8), st.text(), st.text())
def test_learned_values_never_come_out(secret: str, before: str, after: str) -> None:
    """Whatever the secret looks like and wherever it stands."""
    redactor = Redactor()
    redactor.learn(secret)
    pieces = redactor.text(before + secret + after).split(HIDDEN)
    assert all(secret not in piece for piece in pieces)
    assert secret not in repr(redactor)


def test_no_canary_in_logs_errors_records_or_reprs(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Base and session keys are planted; nothing that leaves the seam holds them, even at level debug."""
    stream = io.StringIO()
    redactor = Redactor()
    configure_logs("debug", stream=stream, redactor=redactor)
    cloud = BotoCloud(Settings(), aws.clock, redactor=redactor)
    api = cloud.member(
        "333333333333", "us-east-1", run_id="run-1", permissions=[Permission("ec2:*")], values={}
    )
    records: list[CallRecord] = []
    place = {"account_id": "333333333333", "region": "us-east-1"}
    recording = RecordingApi(api, records.append, aws.clock, **place)
    echo = f"canonical request: {session_token(1)} {session_secret(1)} {BASE_SECRET}"
    aws.answers["StopInstances"] = ec2_error("SignatureDoesNotMatch", echo, 403)

    with pytest.raises(ActionError) as caught:
        recording.call("ec2:StopInstances", InstanceIds=["i-1"])
    log = structlog.get_logger("test")
    log.error("failed", answer=echo, password="x", exc_info=caught.value)
    logging.getLogger("botocore.auth").debug("signed with %s", session_token(1))
    logging.getLogger("other").warning("token %s", session_token(1))

    seen = "\n".join(
        [
            stream.getvalue(),
            "".join(traceback.format_exception(caught.value)),
            repr(caught.value.detail),
            json.dumps([record.as_dict() for record in records]),
            *(repr(thing) for thing in (cloud, api, recording, cloud._own, cloud._sessions, redactor)),
            *(repr(identity.credentials) for identity in cloud._sessions.values()),
        ]
    )
    for canary in (BASE_SECRET, session_secret(1), session_token(1)):
        assert canary not in seen
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {"failed", f"token {HIDDEN}"} <= {line["event"] for line in lines}
    assert {line["level"] for line in lines} <= {"error", "warning", "debug", "info"}
