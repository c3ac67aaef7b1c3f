"""The world's time: the machine's (or a test's) clock, which can be moved forward and scaled."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from irrunner.clock import Clock


class WorldClock:
    """Time of the simulated cloud; asynchronous states and expiring credentials follow it."""

    def __init__(self, base: Clock) -> None:
        self._base = base
        self._lock = threading.Lock()
        self._scale = 1.0
        self._base_anchor = self._anchor = base.now()

    def now(self) -> datetime:
        """Return the world's time."""
        with self._lock:
            return self._now()

    def outside(self) -> datetime:
        """Return the base clock's time: what a client on this machine believes."""
        return self._base.now()

    def advance(self, seconds: float) -> None:
        """Move the world's time forward.

        Raises:
            ValueError: If asked to go back.
        """
        if seconds < 0:
            raise ValueError("the world's time does not go back")
        with self._lock:
            self._anchor += timedelta(seconds=seconds)

    def scale(self, factor: float) -> None:
        """Let the world's time run at ``factor`` seconds per second of the base clock from now on.

        Raises:
            ValueError: If the factor is negative.
        """
        if factor < 0:
            raise ValueError("the world's time does not go back")
        with self._lock:
            self._anchor, self._base_anchor = self._now(), self._base.now()
            self._scale = factor

    def _now(self) -> datetime:
        return self._anchor + (self._base.now() - self._base_anchor) * self._scale
