"""HTTP to trackers: short, verified, never redirected, and clear about what may have happened.

A tracker that fails says so in its own words, which may quote what it was sent: they are cut, and secrets
taken out of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from irrunner.aws.redact import Redactor

TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
LONGEST_ANSWER_S: Final = 20.0
"""A tracker that trickles its answer must not hold a delivery longer than its claim."""
LARGEST_ANSWER: Final = 1 << 20
LONGEST_REASON: Final = 200
_REDIRECTS: Final = range(300, 400)
_REFUSALS: Final = range(400, 500)
_MAY_HAVE_HAPPENED: Final = frozenset({408, 425})
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
        try:
            with self._client.stream(
                method, f"{self._url}{path}", content=body, headers={**more, **(headers or {})}
            ) as answer:
                content = _bounded(answer)
        except httpx.HTTPError as problem:
            lost = changes and not isinstance(problem, _NEVER_LEFT)
            raise NotDelivered(f"{type(problem).__name__}: no answer", uncertain=lost) from None
        self._require_success(answer.status_code, content, changes=changes)
        return _json(content)

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


def _bounded(answer: httpx.Response) -> bytes:
    content, until = b"", time.monotonic() + LONGEST_ANSWER_S
    for part in answer.iter_bytes():
        if time.monotonic() > until:
            raise httpx.ReadTimeout("the answer trickles", request=answer.request)
        content += part
        if len(content) > LARGEST_ANSWER:
            break
    return content[:LARGEST_ANSWER]


def _json(content: bytes) -> Any:
    try:
        return json.loads(content) if content.strip() else None
    except ValueError:
        return None
