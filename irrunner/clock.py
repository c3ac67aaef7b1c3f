"""The only sources of time and chance. Everything else takes a :class:`Clock` and an :class:`IdSource`."""

from __future__ import annotations

import os
import random
import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Time, injected."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""

    def monotonic_s(self) -> float:
        """Return seconds that never go back; only differences mean anything."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until the event is set or the time has passed; return whether it was set."""


class IdSource(Protocol):
    """Identifiers and chance, injected."""

    def run_id(self) -> str:
        """Return a new UUID version 7 (RFC 9562): sorts by time."""

    def jitter(self) -> float:
        """Return a number in [0, 1)."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """See :class:`Clock`."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """See :class:`Clock`."""
        return time.monotonic()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """See :class:`Clock`."""
        return event.wait(timeout_s)


class SystemIds:
    """Random identifiers."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def run_id(self) -> str:
        """See :class:`IdSource`."""
        return uuid7(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10), "big"))

    def jitter(self) -> float:
        """See :class:`IdSource`."""
        return self._random.random()


def uuid7(unix_ms: int, entropy: int) -> str:
    """Compose a UUID version 7.

    Args:
        unix_ms: Milliseconds since 1970, 48 bits are used.
        entropy: At least 74 random bits.

    Returns:
        The canonical text form.

    Source: RFC 9562, section 5.7.
    """
    rand_a = entropy & 0xFFF
    rand_b = (entropy >> 12) & ((1 << 62) - 1)
    value = (unix_ms & ((1 << 48) - 1)) << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b
    digits = f"{value:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def iso(moment: datetime) -> str:
    """Return RFC 3339 text in UTC with milliseconds and ``Z``.

    Raises:
        ValueError: If the moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a naive datetime has no place on a time line")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_iso(text: str) -> datetime:
    """Return the aware UTC datetime of RFC 3339 text.

    Raises:
        ValueError: If the text is no RFC 3339 time with a zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"no time zone in {text!r}")
    return moment.astimezone(UTC)
