"""``aws.ec2.set-metadata-options``: close instance metadata, or give it to those only who ask by session."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from irrunner.actions.contract import (
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    Refused,
    Settled,
    Waiting,
    Where,
)
from irrunner.actions.ec2.instances import (
    API_REFERENCE,
    DESCRIBE_INSTANCES,
    ENDING,
    INSTANCE,
    USER_GUIDE,
    OneInstance,
    describe_instance,
    instance_arn,
    state_of,
)
from irrunner.actions.registry import action
from irrunner.actions.setting import SetValue, ValueState
from irrunner.vocabulary import Phase, Risk, UndoPolicy

OPTIONS = {"http_endpoint": "HttpEndpoint", "http_tokens": "HttpTokens"}


class MetadataParams(OneInstance):
    """Parameters: at least one of the options."""

    http_endpoint: Literal["disabled"] | None = Field(
        default=None,
        description="Close instance metadata: no process on the host gets credentials any more.",
    )
    http_tokens: Literal["required"] | None = Field(
        default=None,
        description="Session tokens (IMDSv2) for every request: a forged one (SSRF) gets nothing, a process"
        " on the host still does.",
    )

    @model_validator(mode="after")
    def _one_at_least(self) -> Self:
        if not any(getattr(self, name) for name in OPTIONS):
            raise ValueError("name http_endpoint: disabled, or http_tokens: required, or both")
        return self


class MetadataState(ValueState):
    """What setting sees; the value holds the options that the parameters name."""

    instance_id: str
    instance_state: str
    applied: bool

    def footprint(self) -> dict[str, Any]:
        """Return each option that the parameters name."""
        return {} if self.gone else {f"{self.target}/{name}": value for name, value in self.value.items()}


class MetadataOutputs(Model):
    """Outputs."""

    instance_id: str
    http_endpoint: str | None
    http_tokens: str | None


@action(
    "aws.ec2.set-metadata-options",
    title="Close an instance's metadata, or require session tokens for it",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(
        DESCRIBE_INSTANCES,
        Permission("ec2:ModifyInstanceMetadataOptions", INSTANCE, use="act"),
        Permission("ec2:ModifyInstanceMetadataOptions", INSTANCE, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Sets the options that were changed back to the recorded values.",
    sources=(
        f"{API_REFERENCE}/API_ModifyInstanceMetadataOptions.html",
        f"{USER_GUIDE}/configuring-instance-metadata-service.html",
    ),
)
class SetMetadataOptions(SetValue[MetadataParams, MetadataState]):
    """Security groups do not filter instance metadata; this does."""

    Params = MetadataParams
    Outputs = MetadataOutputs
    StateModel = MetadataState

    def look(self, ctx: LookContext, params: MetadataParams) -> MetadataState:
        """Read the options, and whether they are applied already."""
        instance = describe_instance(ctx.api, params.instance_id)
        options = instance.get("MetadataOptions") or {}
        return MetadataState(
            target=params.instance_id,
            value={name: options.get(name) for name in _wanted(params)},
            gone=state_of(instance) in ENDING,
            instance_id=params.instance_id,
            instance_state=state_of(instance),
            applied=options.get("State") != "pending",
        )

    def decide(self, params: MetadataParams, state: MetadataState) -> Decision:
        """Set what is not set; settled when AWS says that it is applied, which is for hosts that run."""
        decision = super().decide(params, state)
        if isinstance(decision, Settled) and not state.applied and state.instance_state == "running":
            return Waiting(f"the metadata options of {state.instance_id} are pending", poll_s=2.0)
        return decision

    def wanted(self, params: MetadataParams, state: MetadataState) -> Any:
        """Return the options that the parameters name."""
        return _wanted(params)

    def refusal(self, params: MetadataParams, state: MetadataState) -> Refused | None:
        """Refuse instances that have ended."""
        if state.gone:
            return Refused(f"{state.instance_id} is {state.instance_state}: it has no metadata any more")
        return None

    def write(self, params: MetadataParams, state: MetadataState, value: Any) -> tuple[Call, ...]:
        """Set the options that differ, in one call."""
        known = {name: option for name, option in value.items() if option is not None}
        changed = {name: option for name, option in known.items() if option != state.value.get(name)}
        if not changed:
            return ()
        words = ", ".join(f"{name} to {option}" for name, option in changed.items())
        call = Call(
            "ec2:ModifyInstanceMetadataOptions",
            {"InstanceId": state.instance_id, **changed},
            target=state.instance_id,
            summary=f"Set {words} of {state.instance_id}",
            before={name: state.value.get(name) for name in changed},
            after=changed,
        )
        return (call,)

    def outputs(self, params: MetadataParams, state: MetadataState) -> Model:
        """Return the options, None for those that were left alone."""
        options = {name: state.value.get(option) for name, option in OPTIONS.items()}
        return MetadataOutputs(instance_id=state.instance_id, **options)

    def warnings(self, params: MetadataParams, state: MetadataState) -> tuple[str, ...]:
        """Say what is still to be had."""
        handed_out = (
            "credentials that metadata has handed out stay valid until they expire: revoke the role's "
            "sessions (aws.iam.revoke-role-sessions)"
        )
        if params.http_endpoint:
            return (handed_out,)
        return (handed_out, "who runs code on the host still gets credentials, by asking for a session token")

    def targets(self, params: MetadataParams, where: Where) -> tuple[str, ...]:
        """Return the instance."""
        return (instance_arn(where, params.instance_id),)


def _wanted(params: MetadataParams) -> dict[str, str]:
    given = {option: getattr(params, name) for name, option in OPTIONS.items()}
    return {option: value for option, value in given.items() if value is not None}
