"""``aws.events.put-events``: one event on a bus, for whoever automates what follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    Settled,
    Where,
)
from irrunner.actions.ids import EventBusName
from irrunner.actions.messages import SOURCE, MessageState, detail_of, encoded, speaker, too_long
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, Settle, UndoPolicy

BUS: Final = "arn:{partition}:events:{region}:{account}:event-bus/{event_bus}"


class PutEventParams(Model):
    """Parameters."""

    detail_type: Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{1,128}$")]
    event_bus: EventBusName = "default"
    incident: str = ""
    status: str = ""
    facts: dict[str, str] = Field(default_factory=dict)


class PutEventOutputs(Model):
    """Outputs."""

    event_bus: str
    event_id: str


@action(
    "aws.events.put-events",
    title="Put an event on an EventBridge bus",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=(
        Permission("events:DescribeEventBus", BUS),
        Permission(
            "events:PutEvents", BUS, use="act", conditions={"StringEquals": {"events:source": SOURCE}}
        ),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="An event that rules have matched cannot be taken back.",
    timeout_s=60.0,
    settle=Settle.AT_MOST_ONCE,
    consistency_s=0.0,
    sources=(
        "https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html",
        "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html",
    ),
)
class PutEvent(Action[PutEventParams, MessageState]):
    """Put once; an entry that EventBridge did not take is a failure, whatever the HTTP status."""

    Params = PutEventParams
    Outputs = PutEventOutputs
    StateModel = MessageState

    def look(self, ctx: LookContext, params: PutEventParams) -> MessageState:
        """Ask whether there is such a bus: an event for a bus that does not exist is dropped in silence."""
        ctx.api.call("events:DescribeEventBus", Name=params.event_bus)
        return MessageState(**speaker(ctx))

    def decide(self, params: PutEventParams, state: MessageState) -> Decision:
        """Put what EventBridge takes."""
        detail = encoded(detail_of(state, params.incident, params.status, params.facts))
        return too_long(SOURCE, params.detail_type, detail) or Act((_put(params, detail),))

    def settled_after_send(
        self, params: PutEventParams, state: MessageState, answers: tuple[Mapping[str, Any], ...]
    ) -> Settled:
        """Return the event's id."""
        entries = answers[-1].get("Entries") or [{}] if answers else [{}]
        event_id = str(entries[0].get("EventId", ""))
        return Settled(PutEventOutputs(event_bus=params.event_bus, event_id=event_id), verified=False)

    def foresee(self, params: PutEventParams, state: MessageState, step: str) -> PlannedOutputs:
        """Return the bus; the event has no id yet."""
        return PlannedOutputs({"event_bus": params.event_bus, "event_id": f"<from {step}.event_id>"})

    def targets(self, params: PutEventParams, where: Where) -> tuple[str, ...]:
        """Return nothing: the bus is as it was."""
        return ()


def _put(params: PutEventParams, detail: str) -> Call:
    entry = {
        "Source": SOURCE,
        "DetailType": params.detail_type,
        "Detail": detail,
        "EventBusName": params.event_bus,
    }
    return Call(
        "events:PutEvents",
        {"Entries": [entry]},
        target=f"event-bus/{params.event_bus}",
        summary=f"Put an event {params.detail_type!r} on bus {params.event_bus}",
        reversible=False,
        unprocessed="Entries[?ErrorCode].ErrorCode",
    )
