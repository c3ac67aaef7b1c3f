"""The outbox: what other systems shall hear, kept until they have heard it.

A delivery is put once by its key, claimed by one process at a time, in order for each incident and tracker,
and either settled or put off. A claim ends by itself: what became of a claimant that died is unknown, so
whoever claims the delivery next must look before it sends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from sqlalchemy import and_, exists, insert, or_, select, update

from irrunner.clock import Clock, iso
from irrunner.journal.creation import storable
from irrunner.journal.records import canonical
from irrunner.journal.schema import outbox
from irrunner.vocabulary import DeliveryStatus

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Select

Answer = TypeVar("Answer")
QUEUED: Final = DeliveryStatus.QUEUED.value
DELIVERED: Final = DeliveryStatus.DELIVERED.value
CLAIM_S: Final = 180
"""Longer than all requests of one delivery, and than a tracker's search lags behind its changes."""
FIRST_WAIT_S: Final = 30
LONGEST_WAIT_S: Final = 3_600
UNCERTAIN_WAIT_S: Final = 60
"""At least so long after an answer was lost: the search that looks for the effect must know of it."""
MOST_ATTEMPTS: Final = 72
"""Some three days."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing to tell one tracker."""

    key: str
    """Idempotency key: the same step's delivery is put, and takes effect, once."""
    run_id: str
    incident: str
    tracker: str
    kind: str
    body: Mapping[str, Any]
    status: str = QUEUED
    attempts: int = 0
    queued_at: str = ""
    due_at: str = ""
    reference: str = ""
    url: str = ""
    problem: str = ""
    """Why the last attempt failed; never holds a secret."""


class Transactions(Protocol):
    """The part of the SQL store that runs statements."""

    def __call__(self, work: Callable[[Connection], Answer], /) -> Answer:
        """Do the work in one transaction."""


class Outbox:
    """Deliveries of a store."""

    def __init__(self, read: Transactions, write: Transactions, clock: Clock) -> None:
        """Work by the store's transactions."""
        self._read, self._write, self._clock = read, write, clock

    def put(self, delivery: Delivery) -> None:
        """Queue a delivery; one that is known by its key stays as it is."""
        row = {
            "key": delivery.key, "run_id": delivery.run_id, "incident": storable(delivery.incident),
            "tracker": delivery.tracker, "kind": delivery.kind, "body": canonical(delivery.body),
            "status": QUEUED, "attempts": 0, "queued_at": self._now(), "due_at": self._now(),
            "reference": "", "url": "", "problem": "",
        }  # fmt: skip

        def work(connection: Connection) -> None:
            known = select(outbox.c.key).where(outbox.c.key == delivery.key)
            if connection.execute(known).first() is None:
                connection.execute(insert(outbox), row)

        self._write(work)

    def get(self, key: str) -> Delivery | None:
        """Return a delivery, or None."""
        found = self._list(select(outbox).where(outbox.c.key == key))
        return found[0] if found else None

    def undelivered(self, run_id: str | None = None) -> list[Delivery]:
        """Return what nobody has heard yet, of a run or of all, oldest first."""
        wanted = outbox.c.status != DELIVERED
        if run_id is not None:
            wanted = and_(wanted, outbox.c.run_id == run_id)
        return self._list(select(outbox).where(wanted).order_by(outbox.c.position))

    def reference(self, tracker: str, incident: str) -> str:
        """Return what the tracker calls the incident's ticket, as far as we were told; empty: not yet."""
        same = and_(outbox.c.tracker == tracker, outbox.c.incident == storable(incident))
        query = select(outbox).where(and_(same, outbox.c.status == DELIVERED, outbox.c.reference != ""))
        found = self._list(query.order_by(outbox.c.position.desc()).limit(1))
        return found[0].reference if found else ""

    def claim(self, *, incident: str | None = None, passed: Collection[str] = ()) -> Delivery | None:
        """Take the oldest delivery that is due and has none before it; None where there is none.

        Args:
            incident: Only this incident's.
            passed: Trackers to pass over (they are down).
        """
        now = self._now()
        query = _claimable(now).where(outbox.c.tracker.notin_(sorted(passed)))
        if incident is not None:
            query = query.where(outbox.c.incident == storable(incident))

        def work(connection: Connection) -> Delivery | None:
            row = connection.execute(query.limit(1)).first()
            if row is None:
                return None
            values = {"attempts": row.attempts + 1, "claimed_until": self._now(CLAIM_S)}
            connection.execute(update(outbox).where(outbox.c.key == row.key).values(values))
            return _delivery(row, attempts=row.attempts + 1)

        return self._write(work)

    def settle(self, delivery: Delivery, *, reference: str, url: str) -> None:
        """Note that the tracker has taken it."""
        self._end(delivery, {"status": DELIVERED, "reference": reference, "url": url, "problem": ""})

    def put_off(self, delivery: Delivery, problem: str, *, uncertain: bool) -> None:
        """Try again later, ever later; give up at last.

        Args:
            delivery: As claimed.
            problem: Why.
            uncertain: Whether it may have taken effect all the same.
        """
        wait_s = min(FIRST_WAIT_S * 2 ** (delivery.attempts - 1), LONGEST_WAIT_S)
        wait_s = max(wait_s, UNCERTAIN_WAIT_S) if uncertain else wait_s
        over = delivery.attempts >= MOST_ATTEMPTS
        status = DeliveryStatus.GIVEN_UP if over else DeliveryStatus.QUEUED
        self._end(delivery, {"status": status.value, "due_at": self._now(wait_s), "problem": problem})

    def _end(self, delivery: Delivery, values: dict[str, str]) -> None:
        """Write the end of an attempt, unless another process has claimed it since."""
        mine = and_(outbox.c.key == delivery.key, outbox.c.attempts == delivery.attempts)
        statement = update(outbox).where(mine).values(claimed_until=None, **values)
        self._write(lambda connection: connection.execute(statement))

    def _list(self, query: Select[Any]) -> list[Delivery]:
        return self._read(lambda connection: [_delivery(row) for row in connection.execute(query)])

    def _now(self, plus_s: float = 0.0) -> str:
        return iso(self._clock.now() + timedelta(seconds=plus_s))


def _claimable(now: str) -> Select[Any]:
    """Select what is due, free, and the first of its incident and tracker."""
    earlier = outbox.alias("earlier")
    behind = exists().where(
        and_(
            earlier.c.tracker == outbox.c.tracker,
            earlier.c.incident == outbox.c.incident,
            earlier.c.status == QUEUED,
            earlier.c.position < outbox.c.position,
        )
    )
    free = or_(outbox.c.claimed_until.is_(None), outbox.c.claimed_until <= now)
    due = and_(outbox.c.status == QUEUED, outbox.c.due_at <= now, free, ~behind)
    return select(outbox).where(due).order_by(outbox.c.position)


def _delivery(row: Row[Any], **changed: Any) -> Delivery:
    columns = row._asdict()
    for name in ("position", "claimed_until"):
        del columns[name]
    return Delivery(**(columns | {"body": json.loads(row.body)} | changed))
