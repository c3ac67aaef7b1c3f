"""Pacing: token buckets for each account, Region and operation, which learn from throttles.

EC2 gives each account, Region and API a bucket of requests that refills steadily. The same buckets are
kept here, so that calls wait their turn instead of being refused; where AWS refuses all the same, the
bucket's rate is halved and recovers within a minute. All times come from an injected clock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from irrunner.aws.api import CloudApi
from irrunner.aws.operations import is_read
from irrunner.clock import Clock
from irrunner.errors import ActionThrottled

T = TypeVar("T")

RECOVERY_S = 60.0
"""From standstill to the full rate."""
SLOWEST_SHARE = 1 / 64
"""Of the full rate, however often AWS throttles."""
PATIENCE_S = 5.0
"""A call waits at most this long in its thread; else it is refused before it is sent."""
RESENDS = 4
"""A throttled call had no effect, so even a change may be sent again."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Bucket size in requests, refill in requests a second."""

    burst: float
    per_s: float


RATES: Mapping[tuple[str, bool], Rate] = {
    ("cloudtrail", True): Rate(2, 2),
    ("ec2", True): Rate(100, 20),
    ("ec2", False): Rate(50, 5),
    ("iam", True): Rate(30, 15),
    ("iam", False): Rate(10, 5),
    ("kms", True): Rate(50, 50),
    ("ebs", True): Rate(1000, 1000),
    ("s3", True): Rate(500, 500),
    ("s3", False): Rate(300, 300),
}
"""(service, read) to its rate. Source: EC2 developer guide, "Request throttling"; the others are cautious
guesses, corrected by what AWS answers."""
OTHER = {True: Rate(40, 20), False: Rate(20, 5)}


class Bucket:
    """One token bucket. Not safe for threads by itself: the pacer holds the lock."""

    __slots__ = ("_rate", "_share", "_throttled_s", "_tokens", "_updated_s")

    def __init__(self, rate: Rate, now_s: float) -> None:
        self._rate = rate
        self._share = 1.0
        self._tokens = rate.burst
        self._updated_s = now_s
        self._throttled_s = float("-inf")

    @property
    def per_s(self) -> float:
        """Return the rate learned so far."""
        return self._rate.per_s * self._share

    def delay_s(self, now_s: float) -> float:
        """Return how long the next request has to wait, without taking its token."""
        self._refill(now_s)
        return max(0.0, (1.0 - self._tokens) / self.per_s)

    def take(self, now_s: float) -> float:
        """Take a token, on credit if need be, and return how long to wait before sending."""
        delay = self.delay_s(now_s)
        self._tokens -= 1.0
        return delay

    def throttle(self, sent_s: float, now_s: float) -> None:
        """Halve the rate and empty the bucket.

        Requests that were on their way when the rate was last halved tell nothing new.
        """
        self._refill(now_s)
        if sent_s > self._throttled_s:
            self._share = max(self._share / 2, SLOWEST_SHARE)
            self._throttled_s = now_s
        self._tokens = min(self._tokens, 0.0)

    def _refill(self, now_s: float) -> None:
        elapsed = max(0.0, now_s - self._updated_s)
        self._tokens = min(self._rate.burst, self._tokens + elapsed * self.per_s)
        self._share = min(1.0, self._share + elapsed / RECOVERY_S)
        self._updated_s = now_s


class Pacer:
    """All buckets and semaphores of a process. Safe for threads."""

    def __init__(self, clock: Clock, per_account: int) -> None:
        """Start with full buckets.

        Args:
            clock: Monotonic seconds and waiting.
            per_account: Concurrent calls per account.
        """
        self._clock = clock
        self._per_account = per_account
        self._buckets: dict[tuple[str, str, str], Bucket] = {}
        self._accounts: dict[str, threading.BoundedSemaphore] = {}
        self._lock = threading.Lock()

    def delay_s(self, account_id: str, region: str, operation: str) -> float:
        """Return in how many seconds a call would be permitted; takes nothing, never blocks."""
        with self._lock:
            return self._bucket(account_id, region, operation).delay_s(self._clock.monotonic_s())

    def reserve(self, account_id: str, region: str, operation: str, patience_s: float) -> float:
        """Take a permit and return in how many seconds it may be used; never blocks.

        Raises:
            ActionThrottled: If that would be more than ``patience_s``; nothing is taken, and
                ``detail["retry_after_s"]`` says when to come back.
        """
        with self._lock:
            bucket = self._bucket(account_id, region, operation)
            now_s = self._clock.monotonic_s()
            delay_s = bucket.delay_s(now_s)
            if delay_s <= patience_s:
                return bucket.take(now_s)
        raise ActionThrottled(
            f"{operation}: our own pacing holds the call back for {delay_s:.1f} s; nothing was sent",
            hint="it is sent later",
            operation=operation,
            retry_after_s=delay_s,
        )

    def throttled(self, account_id: str, region: str, operation: str, sent_s: float) -> None:
        """Learn that AWS throttled a call that was sent at ``sent_s`` (monotonic seconds)."""
        with self._lock:
            self._bucket(account_id, region, operation).throttle(sent_s, self._clock.monotonic_s())

    @contextmanager
    def slot(self, account_id: str) -> Iterator[None]:
        """Hold one of the account's concurrent calls."""
        with self._lock:
            semaphore = self._accounts.setdefault(account_id, threading.BoundedSemaphore(self._per_account))
        with semaphore:
            yield

    def pause(self, seconds: float) -> None:
        """Wait for a permit; short, because :meth:`reserve` refuses long waits."""
        if seconds > 0:
            self._clock.wait(threading.Event(), seconds)

    def now_s(self) -> float:
        """Return the monotonic time."""
        return self._clock.monotonic_s()

    def _bucket(self, account_id: str, region: str, operation: str) -> Bucket:
        key = (account_id, region, operation)
        if key not in self._buckets:
            service = operation.partition(":")[0]
            read = is_read(operation)
            rate = RATES.get((service, read), OTHER[read])
            self._buckets[key] = Bucket(rate, self._clock.monotonic_s())
        return self._buckets[key]


class PacedApi:
    """A :class:`irrunner.aws.api.CloudApi` that waits its turn and sends throttled calls again."""

    def __init__(self, api: CloudApi, pacer: Pacer, account_id: str, region: str) -> None:
        self._api = api
        self._pacer = pacer
        self._account_id = account_id
        self._region = region

    def __repr__(self) -> str:
        return f"PacedApi({self._api!r})"

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """See :class:`irrunner.aws.api.CloudApi`.

        Raises:
            ActionThrottled: After some resends, or when the wait would be long.
        """
        return self._paced(operation, lambda: self._api.call(operation, **params))

    def pages(self, operation: str, path: str, /, **params: Any) -> list[Any]:
        """See :class:`irrunner.aws.api.CloudApi`; the pages of one read count as one call."""
        return self._paced(operation, lambda: self._api.pages(operation, path, **params))

    def in_region(self, region: str) -> PacedApi:
        """See :class:`irrunner.aws.api.CloudApi`."""
        return PacedApi(self._api.in_region(region), self._pacer, self._account_id, region)

    def _paced(self, operation: str, send: Callable[[], T]) -> T:
        for last in (*(False,) * (RESENDS - 1), True):
            place = (self._account_id, self._region, operation)
            self._pacer.pause(self._pacer.reserve(*place, PATIENCE_S))
            sent_s = self._pacer.now_s()
            try:
                with self._pacer.slot(self._account_id):
                    answer = send()
            except ActionThrottled:
                self._pacer.throttled(*place, sent_s)
                if last:
                    raise
            else:
                if _was_resent(answer):
                    self._pacer.throttled(*place, sent_s)
                return answer
        raise AssertionError(operation)  # pragma: no cover - the last round returns or raises


def _was_resent(answer: object) -> bool:
    """Whether botocore had to send a read again: the service asks for less."""
    metadata = answer.get("ResponseMetadata", {}) if isinstance(answer, Mapping) else {}
    return int(metadata.get("RetryAttempts", 0)) > 0
