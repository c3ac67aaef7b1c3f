"""Group commit by leader: the first that comes flushes what everybody has queued meanwhile.

There is no writer thread. While the leader is in its commit (a disk flush), others queue up; when it is
done, the first of them becomes the leader and flushes all of them at once.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Work = TypeVar("Work")


class _Ticket(Generic[Work]):
    """A place in the queue."""

    __slots__ = ("leads", "settled", "wake", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.wake = threading.Lock()
        self.wake.acquire()
        self.leads = False
        self.settled = False


class GroupCommit(Generic[Work]):
    """Queue of works that are flushed together."""

    def __init__(self, flush: Callable[[Sequence[Work]], None]) -> None:
        """Flush by this function, which leaves results in the works and is never run twice at once."""
        self._flush = flush
        self._mutex = threading.Lock()
        self._queue: deque[_Ticket[Work]] = deque()
        self._led = False

    def submit(self, work: Work) -> None:
        """Return when the work was flushed, by this thread or another.

        Raises:
            BaseException: Whatever ``flush`` raises, in the leader only; the others' works have no result.
        """
        ticket = _Ticket(work)
        try:
            if not self._join(ticket):
                ticket.wake.acquire()
            if not ticket.settled:
                self._lead()
        finally:
            self._leave(ticket)

    def _join(self, ticket: _Ticket[Work]) -> bool:
        """Queue the ticket; return whether it leads."""
        with self._mutex:
            self._queue.append(ticket)
            if not self._led:
                self._led = ticket.leads = True
        return ticket.leads

    def _lead(self) -> None:
        """Flush everything that is queued, and tell those who wait."""
        with self._mutex:
            batch = list(self._queue)
            self._queue.clear()
        try:
            self._flush([ticket.work for ticket in batch])
        finally:
            for ticket in batch:
                ticket.settled = True
                ticket.wake.release()

    def _leave(self, ticket: _Ticket[Work]) -> None:
        """Pass the lead on; an interrupted thread also takes its ticket back."""
        with self._mutex:
            if not ticket.settled and ticket in self._queue:
                self._queue.remove(ticket)
            if not ticket.leads:
                return
            self._led = bool(self._queue)
            if self._queue:
                self._queue[0].leads = True
                self._queue[0].wake.release()
