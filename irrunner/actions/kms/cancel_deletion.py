"""``aws.kms.cancel-key-deletion``: keep a key that is scheduled to be deleted, and its data with it."""

from __future__ import annotations

from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    Refused,
    Settled,
    Where,
)
from irrunner.actions.kms.key_state import (
    API_REFERENCE,
    DISABLED,
    ENABLED,
    KEY_STATES,
    KEYS,
    PENDING,
    READ_KEY,
    KeyState,
    OneKey,
    key_target,
    look_at_key,
    not_changeable,
)
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class CancelKeyDeletionParams(OneKey):
    """Parameters."""

    enable: bool = False
    """Enable it, too: a key whose deletion was cancelled is disabled."""


class CancelKeyDeletionOutputs(Model):
    """Outputs."""

    key_arn: str
    key_state: str


@action(
    "aws.kms.cancel-key-deletion",
    title="Keep a KMS key that is scheduled to be deleted",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=180.0,
    consistency_s=30.0,
    permissions=(
        *READ_KEY,
        Permission("kms:CancelKeyDeletion", KEYS, use="act"),
        Permission("kms:EnableKey", KEYS, use="act"),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="Deleting a key destroys all data under it; its owner may schedule that again.",
    sources=(
        KEY_STATES,
        f"{API_REFERENCE}/API_CancelKeyDeletion.html",
        f"{API_REFERENCE}/API_EnableKey.html",
    ),
)
class CancelKeyDeletion(Action[CancelKeyDeletionParams, KeyState]):
    """Cancel, and enable where that is asked for; KMS itself leaves the key disabled."""

    Params = CancelKeyDeletionParams
    Outputs = CancelKeyDeletionOutputs
    StateModel = KeyState

    def look(self, ctx: LookContext, params: CancelKeyDeletionParams) -> KeyState:
        """Describe the key."""
        return look_at_key(ctx, params)

    def decide(self, params: CancelKeyDeletionParams, state: KeyState) -> Decision:
        """Cancel what is pending, then enable what shall be."""
        if reason := not_changeable(state):
            return Refused(reason)
        if calls := _calls(params, state):
            return Act(calls)
        if state.value not in (ENABLED, DISABLED):
            return Refused(f"{state.target} is {state.value}: there is no deletion to cancel")
        warning = f"{state.target} is disabled: what is under it cannot be read until it is enabled"
        return Settled(_outputs(state, str(state.value)), (warning,) if state.value == DISABLED else ())

    def foresee(self, params: CancelKeyDeletionParams, state: KeyState, step: str) -> PlannedOutputs:
        """Return the state that the key will have."""
        decision = self.decide(params, state)
        if isinstance(decision, Refused):
            return PlannedOutputs({})
        after = str(decision.calls[-1].after) if isinstance(decision, Act) else str(state.value)
        return PlannedOutputs(_outputs(state, after).model_dump(mode="json"))

    def targets(self, params: CancelKeyDeletionParams, where: Where) -> tuple[str, ...]:
        """Return the key."""
        return (key_target(params, where),)


def _outputs(state: KeyState, value: str) -> CancelKeyDeletionOutputs:
    return CancelKeyDeletionOutputs(key_arn=state.target, key_state=value)


def _calls(params: CancelKeyDeletionParams, state: KeyState) -> tuple[Call, ...]:
    pending = state.value in PENDING
    calls = []
    if pending:
        calls.append(_call("CancelKeyDeletion", state, f"Keep {state.target}", DISABLED))
    if params.enable and (pending or state.value == DISABLED):
        calls.append(_call("EnableKey", state, f"Enable {state.target}", ENABLED))
    return tuple(calls)


def _call(operation: str, state: KeyState, summary: str, after: str) -> Call:
    return Call(
        f"kms:{operation}",
        {"KeyId": state.target},
        target=state.target,
        summary=summary,
        before=state.value,
        after=after,
        reversible=False,
    )
