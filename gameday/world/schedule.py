"""What will happen in the world by itself: snapshots complete, instances finish stopping."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import datetime


class Schedule:
    """Events by world time; whoever looks at the world lets the due ones happen first."""

    def __init__(self) -> None:
        self._events: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def at(self, due: datetime, event: Callable[[], None]) -> None:
        """Let something happen at a world time."""
        heapq.heappush(self._events, (due, next(self._numbers), event))

    def run_until(self, now: datetime) -> None:
        """Let everything happen that is due."""
        while self._events and self._events[0][0] <= now:
            heapq.heappop(self._events)[2]()
