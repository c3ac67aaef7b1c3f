"""In-memory doubles for tests of playbooks and actions: a clock that moves when told, ids that repeat."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jmespath

from irrunner.clock import uuid7

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class ManualClock:
    """A clock that stands still until advanced; waiting advances it."""

    def __init__(self, start: datetime = EPOCH) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """See :class:`irrunner.clock.Clock`."""
        return self._now

    def monotonic_s(self) -> float:
        """See :class:`irrunner.clock.Clock`."""
        return (self._now - EPOCH).total_seconds()

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        with self._lock:
            self._now += timedelta(seconds=seconds)

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Return at once; the time is taken to have passed unless the event is set."""
        if not event.is_set():
            self.advance(timeout_s)
        return event.is_set()


class SeededIds:
    """Identifiers and chance that repeat for a seed."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatability is the point
        self._count = 0

    def run_id(self) -> str:
        """See :class:`irrunner.clock.IdSource`."""
        self._count += 1
        start_ms = int(EPOCH.timestamp() * 1000)
        return uuid7(start_ms + self._count, self._random.getrandbits(80))

    def jitter(self) -> float:
        """See :class:`irrunner.clock.IdSource`."""
        return self._random.random()


class FakeApi:
    """A :class:`irrunner.aws.api.CloudApi` that answers from functions and keeps the calls."""

    def __init__(self, answers: Mapping[str, Callable[..., Mapping[str, Any]]]) -> None:
        self._answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Answer and remember a call."""
        self.calls.append((operation, params))
        return self._answers[operation](**params)

    def pages(self, operation: str, path: str, /, **params: Any) -> list[Any]:
        """Answer a paginated read with one page."""
        return list(jmespath.search(path, self.call(operation, **params)) or [])

    def in_region(self, region: str) -> FakeApi:
        """Return itself."""
        del region
        return self
