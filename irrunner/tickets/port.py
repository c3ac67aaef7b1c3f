"""The local port of tickets: put into the outbox, deliver what is due, tell what became of it.

A tracker's secret is resolved when something is delivered, held by nothing, and never logged.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import httpx

from irrunner.actions.tickets import GET
from irrunner.aws.redact import Redactor, redact_text
from irrunner.errors import ActionError, InvalidCall, RunNotFound, SettingsError
from irrunner.journal.outbox import Delivery, Outbox
from irrunner.journal.store import Store
from irrunner.settings import SecretSource, Tracker, resolve_secret
from irrunner.tickets.http import ODD, Line, NotDelivered, Receipt
from irrunner.tickets.jira import TEXT_CHARACTERS, Jira
from irrunner.tickets.webhook import Webhook
from irrunner.vocabulary import DeliveryStatus

OPERATIONS: Final[Mapping[str, str]] = {
    "ticket:Create": "create",
    "ticket:Update": "update",
    "ticket:Close": "close",
}
AT_ONCE: Final = 100
"""Deliveries of one pass."""
LONGEST_PASS_S: Final = 60
"""After it no other delivery is begun: somebody waits for a run's result behind others' tickets."""


class Client(Protocol):
    """A tracker."""

    def deliver(self, delivery: Delivery, reference: str) -> Receipt:
        """Deliver, once. Raises NotDelivered."""


class Tickets:
    """Takes ``ticket:*`` of one run, or of none where it only delivers."""

    def __init__(
        self,
        trackers: Mapping[str, Tracker],
        store: Callable[[], Store],
        now: Callable[[], datetime],
        source: SecretSource | None = None,
        *,
        run_id: str = "",
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Keep names and references, no secret.

        Args:
            trackers: ``Settings.tickets``.
            store: Opens the store.
            now: The time.
            source: Reads secrets of AWS.
            run_id: Whose calls these are.
            transport: Sends; for tests.
        """
        self._trackers, self._open, self._now = trackers, store, now
        self._source, self._run_id, self._transport = source, run_id, transport

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Queue and try to deliver, or tell how far a delivery is.

        Args:
            operation: ``ticket:Create``, ``ticket:Update``, ``ticket:Close`` or ``ticket:GetDelivery``.
            params: ``Key``; and ``Tracker`` and ``Body`` to queue.

        Raises:
            InvalidCall: If the operation is another.
        """
        if operation == GET:
            return self._told(params["Key"])
        if operation not in OPERATIONS:
            raise InvalidCall(f"{operation} is no local operation", operation=operation)
        incident = self._incident()
        body = {name: _clean(value) for name, value in params["Body"].items()}
        delivery = Delivery(
            params["Key"], self._run_id, incident, params["Tracker"], OPERATIONS[operation], body
        )
        self._outbox.put(delivery)
        self.deliver_due(incident=incident)
        return self._told(params["Key"])

    def deliver_due(self, *, incident: str | None = None) -> int:
        """Deliver what is due, oldest first; return how much of it was taken.

        A tracker that fails is left alone for the rest of the pass; what a slow one leaves, the next takes.

        Args:
            incident: Only this incident's; None: of all.
        """
        down: set[str] = set()
        delivered, until = 0, self._now() + timedelta(seconds=LONGEST_PASS_S)
        for _ in range(AT_ONCE):
            if self._now() >= until:
                break
            delivery = self._outbox.claim(incident=incident, passed=down)
            if delivery is None:
                break
            if self._deliver(delivery):
                delivered += 1
            else:
                down.add(delivery.tracker)
        return delivered

    @property
    def _outbox(self) -> Outbox:
        return self._open().outbox

    def _deliver(self, delivery: Delivery) -> bool:
        reference = self._outbox.reference(delivery.tracker, delivery.incident)
        try:
            receipt = self._deliver_by(delivery, reference)
        except NotDelivered as problem:
            self._outbox.put_off(delivery, problem.reason, uncertain=problem.uncertain)
            return False
        except (SettingsError, ActionError) as problem:  # a secret that cannot be read
            self._outbox.put_off(delivery, str(problem), uncertain=False)
            return False
        except ODD as problem:
            self._outbox.put_off(delivery, f"{type(problem).__name__} in {delivery.kind}", uncertain=True)
            return False
        self._outbox.settle(delivery, reference=receipt.reference, url=receipt.url)
        return True

    def _deliver_by(self, delivery: Delivery, reference: str) -> Receipt:
        tracker = self._trackers.get(delivery.tracker)
        if tracker is None:
            raise NotDelivered(f"no tracker {delivery.tracker!r} under tickets: in irrunner.yaml")
        token = resolve_secret(tracker.token, self._source).get_secret_value()
        user = resolve_secret(tracker.user, self._source).get_secret_value() if tracker.user else ""
        redactor = Redactor()
        redactor.learn(token, user, b64encode(f"{user}:{token}".encode()).decode())
        line = Line(tracker.url, _auth(tracker, user, token), redactor, self._transport)
        try:
            client: Client = (
                Webhook(line, token.encode(), self._now) if tracker.kind == "webhook" else Jira(tracker, line)
            )
            return client.deliver(delivery, reference)
        finally:
            line.close()

    def _told(self, key: str) -> dict[str, Any]:
        found = self._outbox.get(key)
        if found is None:
            return {"Status": DeliveryStatus.ABSENT, "Reference": "", "Url": "", "Problem": ""}
        return {
            "Status": found.status,
            "Reference": found.reference,
            "Url": found.url,
            "Problem": found.problem,
        }

    def _incident(self) -> str:
        try:
            return self._open().run(self._run_id).incident_id
        except RunNotFound:
            raise InvalidCall("a ticket belongs to a run, and there is none") from None


class _Bearer(httpx.Auth):
    """A personal access token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Any:
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def _auth(tracker: Tracker, user: str, token: str) -> httpx.Auth | None:
    if tracker.kind == "webhook":
        return None
    return httpx.BasicAuth(user, token) if user else _Bearer(token)


def _clean(value: Any) -> Any:
    """Return text of bounded length without credentials, which a finding or an error may quote."""
    if isinstance(value, str):
        return redact_text(value)[:TEXT_CHARACTERS]
    return [redact_text(str(item)) for item in value] if isinstance(value, list | tuple) else value
