"""A loopback server that answers a few AWS operations and keeps the requests."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from irrunner.aws.cloud import BotoCloud
from irrunner.settings import Settings
from irrunner.testing import ManualClock

BASE_SECRET = "BASEsecretCanary0000000000000000000000a1"
ENDPOINT_VARIABLES = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE")


@dataclass(frozen=True)
class Received:
    """One request as the server saw it."""

    operation: str
    form: dict[str, str]
    headers: dict[str, str]

    @property
    def access_key_id(self) -> str:
        """Return who signed."""
        match = re.search(r"Credential=([^/]+)/", self.headers.get("Authorization", ""))
        return match[1] if match else ""

    @property
    def region(self) -> str:
        """Return for which Region it was signed."""
        match = re.search(r"Credential=[^/]+/[^/]+/([^/]+)/", self.headers.get("Authorization", ""))
        return match[1] if match else ""


@dataclass
class Aws:
    """The server's answers and memory."""

    url: str = ""
    clock: ManualClock = field(default_factory=ManualClock)
    received: list[Received] = field(default_factory=list)
    answers: dict[str, Callable[[Received], tuple[int, str]]] = field(default_factory=dict)
    sessions: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, operation: str) -> list[Received]:
        """Return the requests of one operation."""
        return [request for request in self.received if request.operation == operation]

    def assume_role(self, request: Received) -> tuple[int, str]:
        """Give a session whose keys name the account."""
        with self.lock:
            self.sessions += 1
            number = self.sessions
        account = request.form["RoleArn"].split(":")[4]
        ends = (self.clock.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return 200, (
            "<AssumeRoleResponse><AssumeRoleResult><Credentials>"
            f"<AccessKeyId>ASIA{account}{number:04d}</AccessKeyId>"
            f"<SecretAccessKey>{session_secret(number)}</SecretAccessKey>"
            f"<SessionToken>{session_token(number)}</SessionToken>"
            f"<Expiration>{ends}</Expiration></Credentials></AssumeRoleResult>"
            "<ResponseMetadata><RequestId>req-sts</RequestId></ResponseMetadata></AssumeRoleResponse>"
        )


def session_secret(number: int) -> str:
    """Return the canary secret key of the session."""
    return f"SESSIONsecretCanary{number:021d}"


def session_token(number: int) -> str:
    """Return the canary token of the session."""
    return f"SESSIONtokenCanary/{number:060d}=="


def query_error(code: str, message: str, status: int = 400) -> Callable[[Received], tuple[int, str]]:
    """Return an answer in the error form of STS and IAM."""
    text = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        "<RequestId>req-err</RequestId></ErrorResponse>"
    )
    return lambda _: (status, text)


def ec2_error(code: str, message: str, status: int = 400) -> Callable[[Received], tuple[int, str]]:
    """Return an answer in the error form of EC2."""
    text = (
        f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
        "<RequestID>req-err</RequestID></Response>"
    )
    return lambda _: (status, text)


def _identity(_: Received) -> tuple[int, str]:
    return 200, (
        "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>111111111111</Account>"
        "<Arn>arn:aws:iam::111111111111:user/us</Arn><UserId>u</UserId></GetCallerIdentityResult>"
        "<ResponseMetadata><RequestId>req-id</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )


def _instances(request: Received) -> tuple[int, str]:
    first = "NextToken" not in request.form
    token = "<nextToken>more</nextToken>" if first else ""
    name = "i-1" if first else "i-2"
    return 200, (
        f"<DescribeInstancesResponse><requestId>req-ec2</requestId><reservationSet><item><instancesSet><item>"
        f"<instanceId>{name}</instanceId></item></instancesSet></item></reservationSet>{token}"
        "</DescribeInstancesResponse>"
    )


def _done(request: Received) -> tuple[int, str]:
    name = request.operation
    return 200, f"<{name}Response><requestId>req-{name}</requestId><return>true</return></{name}Response>"


def _accounts(_: Received) -> tuple[int, str]:
    accounts = [{"Id": "222222222222", "Name": "forensics"}, {"Id": "333333333333", "Name": "shop"}]
    return 200, json.dumps({"Accounts": accounts})


class _Server(BaseHTTPRequestHandler):
    aws: Aws
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        target = self.headers.get("X-Amz-Target")
        form = {} if target else {name: values[0] for name, values in parse_qs(body).items()}
        operation = target.rpartition(".")[2] if target else form.get("Action", "")
        request = Received(operation, form, dict(self.headers.items()))
        self.aws.received.append(request)
        status, text = self.aws.answers.get(operation, _done)(request)
        if status == 0:
            self.close_connection = True
            return
        payload = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1" if target else "text/xml")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """A running server, and an environment that points to it with base credentials."""
    world = Aws(clock=ManualClock(datetime.now(UTC)))
    world.answers = {
        "AssumeRole": world.assume_role,
        "GetCallerIdentity": _identity,
        "DescribeInstances": _instances,
        "ListAccounts": _accounts,
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Server,), {"aws": world}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    world.url = f"http://127.0.0.1:{server.server_port}"
    for name in ENDPOINT_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", world.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIABASE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", BASE_SECRET)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(time, "sleep", lambda _: None)
    yield world
    server.shutdown()
    server.server_close()


@pytest.fixture
def cloud(aws: Aws) -> BotoCloud:
    """A cloud with default settings at the server."""
    return BotoCloud(Settings(), aws.clock)
