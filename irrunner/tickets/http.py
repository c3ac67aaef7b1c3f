"""HTTP to trackers: short, verified, never redirected, and clear about what may have happened.

A tracker that fails says so in its own words, which may quote what it was sent: they are cut, and secrets
taken out of them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from irrunner.aws.redact import Redactor

TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
LONGEST_ANSWER_S: Final = 20.0
"""A tracker that trickles its answer, headers or body, must not hold a delivery longer than its claim: httpx
bounds each read, not their sum."""
LARGEST_ANSWER: Final = 1 << 20
LONGEST_REASON: Final = 200
_REDIRECTS: Final = range(300, 400)
_REFUSALS: Final = range(400, 500)
_MAY_HAVE_HAPPENED: Final = frozenset({408, 425})
ODD: Final = (
    httpx.HTTPError, httpx.InvalidURL, LookupError, TypeError, ValueError, AttributeError, OSError,
    RuntimeError,
)  # fmt: skip
"""What an answer that nobody foresaw may cause: the delivery is put off, and the run goes on."""
_NEVER_LEFT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class NotDelivered(Exception):
    """The tracker has not taken it, or may not have."""

    def __init__(self, reason: str, *, uncertain: bool = False) -> None:
        """Say why, and whether it may have taken effect all the same."""
        super().__init__(reason)
        self.reason = reason
        self.uncertain = uncertain


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the tracker calls the ticket."""

    reference: str = ""
    url: str = ""


class Line:
    """Requests to one tracker."""

    def __init__(
        self, url: str, auth: httpx.Auth | None, redactor: Redactor, transport: httpx.BaseTransport | None
    ) -> None:
        """Keep where and who.

        Args:
            url: Base, without a slash at its end.
            auth: Signs requests.
            redactor: Knows the secrets.
            transport: Sends; None: httpx's own, with TLS verified.
        """
        self._url, self._redactor = url.rstrip("/"), redactor
        self._client = httpx.Client(
            auth=auth, timeout=TIMEOUT, follow_redirects=False, transport=transport,
            headers={"Accept": "application/json", "User-Agent": "irrunner"},
        )  # fmt: skip

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def ask(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Send one request and return the answer's JSON; None where it has none.

        Raises:
            NotDelivered: If it was not answered with success.
        """
        changes = method != "GET"
        more = {"Content-Type": "application/json"} if body is not None else {}
        request = self._client.build_request(
            method, f"{self._url}{path}", content=body, headers={**more, **(headers or {})}
        )
        asked = _Exchange(self._client, request)
        problem = asked.answered_within(LONGEST_ANSWER_S)
        if problem is not None:
            lost = changes and not isinstance(problem, _NEVER_LEFT)
            raise NotDelivered(f"{type(problem).__name__}: no answer", uncertain=lost)
        self._require_success(asked.status, asked.content, changes=changes)
        return _json(asked.content)

    def _require_success(self, status: int, content: bytes, *, changes: bool) -> None:
        if status in _REDIRECTS:
            raise NotDelivered(
                f"HTTP {status}: it points elsewhere, and redirects are not followed: set its URL"
            )
        if status >= _REFUSALS.start:
            refused = status in _REFUSALS and status not in _MAY_HAVE_HAPPENED
            said = self._redactor.text(content.decode(errors="replace"))
            raise NotDelivered(
                f"HTTP {status}: {' '.join(said.split())[:LONGEST_REASON]}", uncertain=changes and not refused
            )


@dataclass(slots=True)
class _Exchange:
    """One request and its answer, on a thread of its own, which is left behind where it takes too long."""

    client: httpx.Client
    request: httpx.Request
    status: int = 0
    content: bytes = b""
    problem: Exception = field(default_factory=lambda: httpx.ReadError("no answer"))
    _over: threading.Event = field(default_factory=threading.Event)

    def answered_within(self, seconds: float) -> Exception | None:
        """Send, and return why there is no answer; None: there is one."""
        threading.Thread(target=self._send, name="ticket", daemon=True).start()
        if not self._over.wait(seconds):
            return httpx.ReadTimeout("the answer trickles", request=self.request)
        return None if self.status else self.problem

    def _send(self) -> None:
        try:
            answer = self.client.send(self.request, stream=True)
            try:
                self.content = _bounded(answer)
            finally:
                answer.close()
            self.status = answer.status_code
        except ODD as problem:
            self.problem = problem
        finally:
            self._over.set()


def _bounded(answer: httpx.Response) -> bytes:
    content = b""
    for part in answer.iter_bytes():
        content += part
        if len(content) > LARGEST_ANSWER:
            break
    return content[:LARGEST_ANSWER]


def _json(content: bytes) -> Any:
    try:
        return json.loads(content) if content.strip() else None
    except (ValueError, RecursionError):
        return None
