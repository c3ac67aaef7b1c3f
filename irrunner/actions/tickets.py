"""``ticket.create``, ``ticket.update``, ``ticket.close``: tell a tracker, now or as soon as it listens.

What is told goes through the outbox of the store: a tracker that is down is a warning, the step succeeds as
queued, and nothing is lost or said twice. The outbox can be looked at, so a crash is settled by looking.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Generic, TypeVar

from pydantic import Field, StringConstraints

from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    PlannedOutputs,
    Settled,
    State,
    Where,
)
from irrunner.actions.registry import action
from irrunner.journal.records import digest
from irrunner.vocabulary import DeliveryStatus, Phase, Risk, Settle, UndoPolicy

GET: Final = "ticket:GetDelivery"

TrackerName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,100}$")]


class TicketParams(Model):
    """What all three have in common."""

    tracker: TrackerName
    """A name under ``tickets`` in the configuration."""
    body: str = ""
    """Cut to 30,000 characters."""


class CreateParams(TicketParams):
    """Parameters of ``ticket.create``."""

    title: Annotated[str, StringConstraints(min_length=1)]
    priority: Annotated[str, StringConstraints(max_length=60)] = ""
    """As the tracker names it; empty: its default."""
    labels: list[Label] = Field(default_factory=list)


class TicketState(State):
    """How far the delivery of this step is."""

    key: str
    """Idempotency key, made of run, step and item."""
    status: DeliveryStatus
    reference: str = ""
    url: str = ""
    problem: str = ""
    drill: bool = False


class TicketOutputs(Model):
    """Outputs."""

    tracker: str
    reference: str
    """What the tracker calls the ticket (``SEC-42``); empty while it is queued."""
    url: str
    queued: bool
    """It waits in the outbox; ``irrunner resume --due`` delivers it."""
    sent: bool
    reason: str


P = TypeVar("P", bound=TicketParams)


class TellTracker(Action[P, TicketState], Generic[P]):
    """Base: put into the outbox once, and say how far it is."""

    Outputs = TicketOutputs
    StateModel = TicketState
    operation: ClassVar[str]
    verb: ClassVar[str]

    def look(self, ctx: LookContext, params: P) -> TicketState:
        """Look into the outbox."""
        key = digest(f"{self.id} {ctx.marker}")[:32]
        if params.tracker not in ctx.settings.tickets or ctx.local is None:
            return TicketState(key=key, status=DeliveryStatus.NOT_CONFIGURED)
        told = ctx.local.call(GET, Key=key)
        return TicketState(
            key=key, status=DeliveryStatus(told["Status"]), reference=told["Reference"], url=told["Url"],
            problem=told["Problem"], drill=ctx.drill,
        )  # fmt: skip

    def decide(self, params: P, state: TicketState) -> Decision:
        """Put what is not in the outbox."""
        if state.status == DeliveryStatus.ABSENT:
            return Act((self._tell(params, state),))
        return _ended(params, state)

    def foresee(self, params: P, state: TicketState, step: str) -> PlannedOutputs:
        """Return the outputs as they will be where the tracker listens."""
        if state.status != DeliveryStatus.ABSENT:
            return PlannedOutputs(_ended(params, state).outputs.model_dump(mode="json"))
        unknown = {name: f"<from {step}.{name}>" for name in ("reference", "url")}
        return PlannedOutputs(
            {"tracker": params.tracker, **unknown, "queued": False, "sent": True, "reason": ""}
        )

    def targets(self, params: P, where: Where) -> tuple[str, ...]:
        """Return nothing: no resource changes."""
        return ()

    def said(self, params: P, state: TicketState) -> Mapping[str, Any]:
        """Return what the tracker is told."""
        del state
        return {"body": params.body}

    def _tell(self, params: P, state: TicketState) -> Call:
        return Call(
            self.operation,
            {"Key": state.key, "Tracker": params.tracker, "Body": dict(self.said(params, state))},
            target=f"tracker:{params.tracker}",
            summary=f"{self.verb} in {params.tracker}",
            reversible=False,
            scope="local",
        )


def _ended(params: TicketParams, state: TicketState) -> Settled:
    sent = state.status == DeliveryStatus.DELIVERED
    reason = "" if sent else state.problem or "the tracker has not taken it yet"
    if state.status == DeliveryStatus.NOT_CONFIGURED:
        reason = f"no tracker {params.tracker!r} under tickets: in irrunner.yaml"
    queued = state.status == DeliveryStatus.QUEUED
    outputs = TicketOutputs(
        tracker=params.tracker, reference=state.reference, url=state.url, queued=queued, sent=sent,
        reason=reason,
    )  # fmt: skip
    what = "queued, `irrunner resume --due` delivers it" if queued else "not sent"
    return Settled(outputs, () if sent else (f"{what}: {reason}",), verified=sent)


@action(
    "ticket.create",
    title="Open the incident's ticket in a tracker",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=(),
    undo=UndoPolicy.NEVER,
    undo_note="A ticket is a record of the incident: it is closed, never taken back.",
    timeout_s=120.0,
    settle=Settle.LOOK,
    consistency_s=0.0,
    sources=("https://developer.atlassian.com/cloud/jira/platform/rest/v2/api-group-issues/",),
)
class CreateTicket(TellTracker[CreateParams]):
    """One ticket for each incident and tracker, whoever asks."""

    Params = CreateParams
    operation = "ticket:Create"
    verb = "Open a ticket"

    def said(self, params: CreateParams, state: TicketState) -> Mapping[str, Any]:
        """Return title, body and labels."""
        title = f"[DRILL] {params.title}" if state.drill else params.title
        labels = [*params.labels, *(["drill"] if state.drill else [])]
        return {"title": title, "body": params.body, "priority": params.priority, "labels": labels}


@action(
    "ticket.update",
    title="Comment the incident's ticket",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=(),
    undo=UndoPolicy.NEVER,
    undo_note="A comment that was read cannot be taken back.",
    timeout_s=120.0,
    settle=Settle.LOOK,
    consistency_s=0.0,
    sources=("https://developer.atlassian.com/cloud/jira/platform/rest/v2/api-group-issue-comments/",),
)
class UpdateTicket(TellTracker[TicketParams]):
    """Comment, after what the incident's ticket was told before."""

    Params = TicketParams
    operation = "ticket:Update"
    verb = "Comment the ticket"


@action(
    "ticket.close",
    title="Close the incident's ticket",
    phase=Phase.POST_INCIDENT,
    risk=Risk.NONE,
    permissions=(),
    undo=UndoPolicy.NEVER,
    undo_note="Whoever wants the ticket open again opens it in the tracker.",
    timeout_s=120.0,
    settle=Settle.LOOK,
    consistency_s=0.0,
    sources=("https://developer.atlassian.com/cloud/jira/platform/rest/v2/api-group-issues/",),
)
class CloseTicket(TellTracker[TicketParams]):
    """Comment, and move to a status that counts as done."""

    Params = TicketParams
    operation = "ticket:Close"
    verb = "Close the ticket"
