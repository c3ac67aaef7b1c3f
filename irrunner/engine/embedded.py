"""The embedded engine: threads for work, one time line for waits, leases for ownership.

The caller's thread keeps the time line (due timers, delayed looks, requests of other processes, lease
renewal); a pool does the work. A parked run has neither thread nor memory here: its lease is given
back, and any process may take it up again.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from irrunner.clock import IdSource, iso
from irrunner.engine import loaded as kinds
from irrunner.engine.driver import Driver
from irrunner.engine.loaded import LoadedRun, load_run
from irrunner.engine.owner import take_lease
from irrunner.engine.stepping import Services
from irrunner.errors import IRRunnerError, JournalError, RunBusy, RunNotResumable
from irrunner.journal.integrity import intact_records
from irrunner.journal.records import Draft
from irrunner.journal.store import Lease, RunChange, Store, Timer
from irrunner.vocabulary import RunStatus

RENEW_EVERY_S = 10.0
REQUESTS_EVERY_S = 0.2

Observer = Callable[[str, str, str, Mapping[str, Any]], None]
"""(run id, record kind, path, body)."""


def _nobody(run_id: str, kind: str, path: str, body: Mapping[str, Any]) -> None:
    """Observe nothing."""
    del run_id, kind, path, body


def _passed(since: datetime, now: datetime, seconds: float) -> bool:
    """Return whether so much time has passed; a clock that was set back counts as passed."""
    return not timedelta(0) <= now - since < timedelta(seconds=seconds)


@dataclass(order=True, slots=True)
class _Entry:
    due: datetime
    number: int
    driver: Driver = field(compare=False)
    fire: Callable[[], None] = field(compare=False)
    """Called on the time line's own thread, so that a run with something due is never taken for parked."""


class _Chain(threading.local):
    """Work that follows the work of the moment on the same thread."""

    following = False
    next: Callable[[], None] | None = None

    def take(self, work: Callable[[], None]) -> bool:
        """Take the work if this thread is at work and has nothing to follow yet."""
        if not self.following or self.next is not None:
            return False
        self.next = work
        return True

    def follow(self, work: Callable[[], None]) -> None:
        """Do the work, and what it causes, one after the other."""
        todo: Callable[[], None] | None = work
        self.following = True
        try:
            while todo is not None:
                self.next = None
                todo()
                todo = self.next
        finally:
            self.following, self.next = False, None


class EmbeddedEngine:
    """Drives runs in this process."""

    def __init__(
        self, services: Services, store: Store, ids: IdSource, owner: str, observer: Observer | None = None
    ) -> None:
        """Make an engine; threads start with the first work.

        Args:
            services: Shared services.
            store: The store of runs.
            ids: Source of jitter.
            owner: Name of this process in leases: host, pid and a random part.
            observer: Told of each appended record, from any thread.
        """
        self._services = services
        self._store = store
        self._ids = ids
        self.owner = owner
        self._observer = observer or _nobody
        limits = services.settings.limits
        self._pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="irrunner")
        self._evidence_pool = ThreadPoolExecutor(
            limits.evidence_threads, thread_name_prefix="irrunner-evidence"
        )
        self._chain = _Chain()
        self._line: list[_Entry] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._running = 0
        self._drivers: dict[str, Driver] = {}
        self._failures: list[IRRunnerError] = []
        now = services.clock.now()
        self._renewed_at = self._polled_at = now

    # -- what drivers need --------------------------------------------------------------------

    def submit(self, driver: Driver, work: Callable[[], None], *, evidence: bool = False) -> None:
        """Run work on a thread: evidence has threads of its own, so that containment never waits for it.

        The first work that a work causes follows it on the same thread: a run's steps need no hops.
        """
        del driver
        if not evidence and self._chain.take(work):
            return
        with self._lock:
            self._running += 1
        pool = self._evidence_pool if evidence else self._pool
        pool.submit(self._work, work)

    def _work(self, work: Callable[[], None]) -> None:
        try:
            self._chain.follow(work)
        finally:
            with self._lock:
                self._running -= 1
            self._wake.set()

    def later(
        self, driver: Driver, delay_s: float, work: Callable[[], None], *, evidence: bool = False
    ) -> None:
        """Run work on a thread after a delay."""
        due = self._services.clock.now() + timedelta(seconds=delay_s)
        self.timer(driver, due, lambda: self.submit(driver, work, evidence=evidence))

    def timer(self, driver: Driver, due: datetime, fire: Callable[[], None]) -> None:
        """Run ``fire`` when the instant has come."""
        with self._lock:
            heapq.heappush(self._line, _Entry(due, next(self._numbers), driver, fire))
        self._wake.set()

    # -- runs ---------------------------------------------------------------------------------

    def adopt(self, lease: Lease) -> Driver:
        """Take up a run under a lease.

        Raises:
            JournalCorrupt: If its chain is broken.
        """
        try:
            records = intact_records(self._store, lease.run_id)
            return self._add(lease, load_run(records, self._services.compiler))
        except IRRunnerError:
            self._store.release(lease)
            raise

    def take(self, run_id: str) -> Driver:
        """Take the lease of a parked or orphaned run, and take it up.

        Raises:
            RunBusy: If another process drives it.
        """
        lease = take_lease(self._store, run_id, self.owner)
        if lease is None:
            raise RunBusy(f"run {run_id} is driven by another process", hint=f"irrunner watch {run_id}")
        driver = self.adopt(lease)
        resumed = Draft(kinds.RESUMED, {"owner": self.owner})
        self._store.append(lease, [resumed], RunChange(status=RunStatus.RUNNING))
        return driver

    def _add(self, lease: Lease, run: LoadedRun) -> Driver:
        driver = Driver(
            self._services, self._store, lease, run, self, self._ids,
            lambda kind, path, body: self._observer(lease.run_id, kind, path, body),
        )  # fmt: skip
        self._drivers[lease.run_id] = driver
        return driver

    def drive(self, *drivers: Driver) -> None:
        """Start the drivers, and keep the time line until each is finished, parked or failed.

        Raises:
            IRRunnerError: The first driver's failure, after the others ended.
            KeyboardInterrupt: Passed on, after in-flight work ended and the leases were given back.
        """
        self._failures.clear()
        try:
            for driver in drivers:
                self._start(driver)
            while self._drivers:
                self._turn()
        except BaseException:
            self._park_all()
            raise
        if self._failures:
            raise self._failures[0]

    def _start(self, driver: Driver) -> None:
        try:
            driver.start()
            if not driver.run.fresh:
                self.serve_requests(driver)
        except IRRunnerError as problem:
            driver.fail(problem)

    def _turn(self) -> None:
        """Do everything that is due, drop what is done, and wait for the next thing."""
        self._wake.clear()
        now = self._services.clock.now()
        self._fire_due(now)
        if _passed(self._polled_at, now, REQUESTS_EVERY_S):
            self._polled_at = now
            self._poll_requests()
        if _passed(self._renewed_at, now, RENEW_EVERY_S):
            self._renewed_at = now
            self._renew()
        for driver in list(self._drivers.values()):
            self._drop_if_done(driver)
        if self._drivers:
            self._wait(now)

    def _renew(self) -> None:
        for driver in self._drivers.values():
            if driver.over:
                continue
            try:
                driver.renew()
            except IRRunnerError as problem:
                driver.fail(problem)

    def _wait(self, now: datetime) -> None:
        with self._lock:
            running = self._running
            next_due = self._line[0].due if self._line else None
        if running:
            self._wake.wait(REQUESTS_EVERY_S)
            return
        delay = REQUESTS_EVERY_S
        if next_due is not None:
            delay = min(delay, max(0.0, (next_due - now).total_seconds()))
        self._services.clock.wait(self._wake, delay)

    def _fire_due(self, now: datetime) -> None:
        while True:
            with self._lock:
                if not self._line or self._line[0].due > now:
                    return
                entry = heapq.heappop(self._line)
            if self._drivers.get(entry.driver.lease.run_id) is entry.driver:
                entry.fire()

    def _poll_requests(self) -> None:
        for driver in list(self._drivers.values()):
            self.serve_requests(driver)

    def serve_requests(self, driver: Driver) -> None:
        """Hand open requests of people to the driver; each is settled by the commit that acts on it."""
        for request in self._store.requests(driver.lease.run_id):
            driver.people.take(request)

    def _drop_if_done(self, driver: Driver) -> None:
        if driver.over:
            if driver.idle():
                self._drop(driver)
        elif driver.parked() and not self._store.requests(driver.lease.run_id):
            self._park(driver)

    def _park(self, driver: Driver) -> None:
        """Give the run back; a request that came while we did found it still ours, so look once more."""
        run_id = driver.lease.run_id
        due = Timer(run_id, "", "deadline", 0, iso(driver.run.facts.deadline_at))
        change = RunChange(status=RunStatus.WAITING, timers_set=[due])
        self._store.append(driver.lease, [Draft(kinds.PARKED, {"owner": self.owner})], change)
        self._store.unlock(driver.lease)
        self._drop(driver)
        if self._store.requests(run_id):
            with suppress(RunBusy, RunNotResumable):
                self._start(self.take(run_id))

    def _drop(self, driver: Driver) -> None:
        """Forget a driver, its entries on the time line too: they would keep it in memory."""
        self._drivers.pop(driver.lease.run_id, None)
        with self._lock:
            self._line = [entry for entry in self._line if entry.driver is not driver]
            heapq.heapify(self._line)
        if driver.failure is not None:
            self._failures.append(driver.failure)
        if driver.finished is None:  # the end of a run gives its lease back
            self._store.release(driver.lease)

    def _park_all(self) -> None:
        """Wait for work in flight, then give the runs back; they stay resumable."""
        for driver in self._drivers.values():
            driver.stop()
        while True:
            with self._lock:
                if self._running == 0:
                    break
            self._wake.wait(REQUESTS_EVERY_S)
            self._wake.clear()
        for driver in list(self._drivers.values()):
            with suppress(JournalError):  # its lease ends by itself
                self._drop(driver)

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._evidence_pool.shutdown(wait=True, cancel_futures=True)
