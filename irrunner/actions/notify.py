"""``notify.send``: tell people, and never let a chat that is down stand in the way of containment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import StringConstraints

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
from irrunner.vocabulary import Phase, Risk, Settle, UndoPolicy

SEND = "notify:Send"
ChannelName = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class NotifyParams(Model):
    """Parameters of ``notify.send``."""

    channel: ChannelName
    """A name under ``channels`` in the configuration."""
    title: str
    body: str


class NotifyState(State):
    """Whether there is such a channel."""

    configured: bool
    any_channel: bool
    drill: bool


class NotifyOutputs(Model):
    """Outputs of ``notify.send``."""

    channel: str
    sent: bool
    reason: str
    """Why it was not sent; empty if it was."""


@action(
    "notify.send",
    title="Send a message to a notification channel",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    permissions=(),
    undo=UndoPolicy.NEVER,
    undo_note="A message that was read cannot be taken back.",
    timeout_s=60.0,
    settle=Settle.AT_MOST_ONCE,
    consistency_s=0.0,
    sources=("https://github.com/caronc/apprise/wiki",),
)
class Notify(Action[NotifyParams, NotifyState]):
    """Send once; a channel that is missing or refuses is a warning, not a failure."""

    Params = NotifyParams
    Outputs = NotifyOutputs
    StateModel = NotifyState

    def look(self, ctx: LookContext, params: NotifyParams) -> NotifyState:
        """Look the channel up in the configuration; nothing can tell what was sent before."""
        channels = ctx.settings.channels
        return NotifyState(configured=params.channel in channels, any_channel=bool(channels), drill=ctx.drill)

    def decide(self, params: NotifyParams, state: NotifyState) -> Decision:
        """Send, if there is a channel."""
        if not state.any_channel:
            return _ended(params, "no channel configured: add one under channels: in irrunner.yaml")
        if not state.configured:
            return _ended(params, f"no channel {params.channel!r} under channels: in irrunner.yaml")
        return Act((_send(params, state),))

    def settled_after_send(
        self, params: NotifyParams, state: NotifyState, answers: tuple[Mapping[str, Any], ...]
    ) -> Settled:
        """Return what the channel said."""
        answer = answers[-1] if answers else {}
        return _ended(params, "" if answer.get("Sent") else str(answer.get("Reason") or "no answer"))

    def foresee(self, params: NotifyParams, state: NotifyState, step: str) -> PlannedOutputs:
        """Return what can be told before: nothing of the sending itself."""
        decision = self.decide(params, state)
        if isinstance(decision, Settled):
            return PlannedOutputs(decision.outputs.model_dump(mode="json"))
        return PlannedOutputs({"channel": params.channel, "sent": True, "reason": ""})

    def targets(self, params: NotifyParams, where: Where) -> tuple[str, ...]:
        """Return nothing: no resource changes."""
        return ()


def _send(params: NotifyParams, state: NotifyState) -> Call:
    title = f"[DRILL] {params.title}" if state.drill else params.title
    return Call(
        operation=SEND,
        params={"Channel": params.channel, "Title": title, "Body": params.body},
        target=f"channel:{params.channel}",
        summary=f"Send a message to {params.channel}",
        reversible=False,
        scope="local",
    )


def _ended(params: NotifyParams, reason: str) -> Settled:
    outputs = NotifyOutputs(channel=params.channel, sent=not reason, reason=reason)
    return Settled(outputs, (f"not sent: {reason}",) if reason else (), verified=False)
