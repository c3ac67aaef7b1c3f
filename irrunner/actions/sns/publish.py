"""``aws.sns.publish``: one message to a topic, for people and for machines."""

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
from irrunner.actions.ids import SnsTopicArn
from irrunner.actions.messages import MessageState, detail_of, encoded, one_line, speaker, too_long
from irrunner.actions.registry import action
from irrunner.errors import ActionDenied
from irrunner.journal.records import digest
from irrunner.vocabulary import Phase, Risk, Settle, UndoPolicy

FIFO: Final = ".fifo"
TOPIC: Final = "{topic_arn}"
"""A topic is often another account's, whose policy must allow the responder role."""
KEYS: Final = "arn:{partition}:kms:*:*:key/*"
BY_SNS: Final = {"StringLike": {"kms:ViaService": "sns.*"}}
"""Who publishes to an encrypted topic must be allowed to use its key, by SNS.

Source: SNS developer guide, "Managing Amazon SNS encryption keys and costs".
"""


class PublishParams(Model):
    """Parameters."""

    topic_arn: SnsTopicArn
    subject: Annotated[str, StringConstraints(min_length=1)]
    """Cut to 100 characters of ASCII in one line, as SNS wants it."""
    message: Annotated[str, StringConstraints(min_length=1)]
    incident: str = ""
    status: str = ""
    facts: dict[str, str] = Field(default_factory=dict)
    """For machines: in the message attribute ``irrunner``, as JSON with run, incident and status."""


class PublishState(MessageState):
    """The topic, as far as we may ask."""

    subscriptions: int | None
    """Confirmed ones; None: we may not ask (a topic of another account)."""


class PublishOutputs(Model):
    """Outputs."""

    topic_arn: str
    message_id: str


@action(
    "aws.sns.publish",
    title="Publish a message to an SNS topic",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=(
        Permission("sns:GetTopicAttributes", TOPIC),
        Permission("sns:Publish", TOPIC, use="act"),
        *(
            Permission(f"kms:{name}", KEYS, use="act", conditions=BY_SNS)
            for name in ("Decrypt", "GenerateDataKey*")
        ),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="A message that was read cannot be taken back.",
    timeout_s=60.0,
    settle=Settle.AT_MOST_ONCE,
    consistency_s=0.0,
    sources=(
        "https://docs.aws.amazon.com/sns/latest/api/API_Publish.html",
        "https://docs.aws.amazon.com/sns/latest/api/API_GetTopicAttributes.html",
    ),
)
class Publish(Action[PublishParams, PublishState]):
    """Publish once; a topic that nobody has subscribed to is a warning."""

    Params = PublishParams
    Outputs = PublishOutputs
    StateModel = PublishState

    def look(self, ctx: LookContext, params: PublishParams) -> PublishState:
        """Ask whether there is such a topic, and whether anybody listens."""
        api = ctx.api.in_region(_region(params))
        try:
            answer = api.call("sns:GetTopicAttributes", TopicArn=params.topic_arn)
            confirmed: int | None = int(answer["Attributes"].get("SubscriptionsConfirmed", 0))
        except ActionDenied:
            confirmed = None
        return PublishState(subscriptions=confirmed, **speaker(ctx))

    def decide(self, params: PublishParams, state: PublishState) -> Decision:
        """Publish what SNS takes."""
        said = _said(params, state)
        return too_long(params.message, said) or Act((_publish(params, state, said),))

    def settled_after_send(
        self, params: PublishParams, state: PublishState, answers: tuple[Mapping[str, Any], ...]
    ) -> Settled:
        """Return the message's id."""
        nobody = "nobody has subscribed to the topic: no one was told" if state.subscriptions == 0 else ""
        message_id = str(answers[-1].get("MessageId", "")) if answers else ""
        outputs = PublishOutputs(topic_arn=params.topic_arn, message_id=message_id)
        return Settled(outputs, (nobody,) if nobody else (), verified=False)

    def foresee(self, params: PublishParams, state: PublishState, step: str) -> PlannedOutputs:
        """Return the topic; the message has no id yet."""
        token = f"<from {step}.message_id>"
        return PlannedOutputs({"topic_arn": params.topic_arn, "message_id": token})

    def targets(self, params: PublishParams, where: Where) -> tuple[str, ...]:
        """Return nothing: a topic is as it was; runs need not wait for each other to speak."""
        return ()


def _region(params: PublishParams) -> str:
    return params.topic_arn.split(":")[3]


def _said(params: PublishParams, state: PublishState) -> str:
    return encoded(detail_of(state, params.incident, params.status, params.facts))


def _publish(params: PublishParams, state: PublishState, said: str) -> Call:
    subject = f"[DRILL] {params.subject}" if state.drill else params.subject
    ordered = {"MessageGroupId": state.run_id} if params.topic_arn.endswith(FIFO) else {}
    once = {"MessageDeduplicationId": digest(state.marker)} if ordered else {}
    return Call(
        "sns:Publish",
        {
            "TopicArn": params.topic_arn,
            "Subject": one_line(subject),
            "Message": params.message,
            "MessageAttributes": {"irrunner": {"DataType": "String", "StringValue": said}},
            **ordered,
            **once,
        },
        target=params.topic_arn,
        summary=f"Publish a message to {params.topic_arn}",
        reversible=False,
        region=_region(params),
    )
