"""A signed webhook, for every other tracker: ServiceNow, PagerDuty, a function of one's own.

The receiver computes ``HMAC-SHA256(secret, timestamp + "." + body)`` over the bytes that it got, compares it
in constant time, refuses timestamps outside the replay window, and does each idempotency key once: that of
the body, which is signed. The header repeats it for gateways; alone it proves nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from irrunner.journal.outbox import Delivery
from irrunner.tickets.http import Line, Receipt

TIMESTAMP: Final = "Irrunner-Timestamp"
"""Seconds since 1970 at sending."""
SIGNATURE: Final = "Irrunner-Signature"
"""``v1=`` and the HMAC in hexadecimal."""
IDEMPOTENCY_KEY: Final = "Irrunner-Idempotency-Key"
REPLAY_WINDOW_S: Final = 300
_LONGEST: Final = 500
_SECONDS: Final = re.compile(r"[0-9]{1,12}")


class Webhook:
    """Delivers to one address."""

    def __init__(self, line: Line, secret: bytes, now: Callable[[], datetime]) -> None:
        """Keep line, secret and time."""
        self._line, self._secret, self._now = line, secret, now

    def deliver(self, delivery: Delivery, reference: str) -> Receipt:
        """Post it; the answer may name the ticket (``{"reference", "url"}``).

        Raises:
            NotDelivered: If the receiver did not answer with success.
        """
        body = json.dumps(
            {
                "kind": delivery.kind,
                "incident": delivery.incident,
                "run_id": delivery.run_id,
                "idempotency_key": delivery.key,
                "reference": reference,
                **delivery.body,
            },
            sort_keys=True,
        ).encode()
        timestamp = str(int(self._now().timestamp()))
        headers = {
            TIMESTAMP: timestamp,
            SIGNATURE: signature(self._secret, timestamp, body),
            IDEMPOTENCY_KEY: delivery.key,
        }
        answer = self._line.ask("POST", "", body=body, headers=headers)
        told = answer if isinstance(answer, Mapping) else {}
        return Receipt(_text(told.get("reference")) or reference, _text(told.get("url")))


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the value of the signature's header."""
    digest = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"v1={digest}"


def verifies(secret: bytes, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Return whether a request is ours and fresh: what a receiver does."""
    timestamp = headers.get(TIMESTAMP, "")
    if not _SECONDS.fullmatch(timestamp) or abs(now.timestamp() - int(timestamp)) > REPLAY_WINDOW_S:
        return False
    signed = signature(secret, timestamp, body).encode()
    return hmac.compare_digest(headers.get(SIGNATURE, "").encode("utf-8", "replace"), signed)


def _text(value: Any) -> str:
    return value[:_LONGEST] if isinstance(value, str) else ""
