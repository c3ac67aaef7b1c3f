"""``aws.kms.disable-key``: nothing is encrypted or decrypted under a key any more."""

from __future__ import annotations

from typing import Any, Final

from irrunner.actions.contract import Call, LookContext, Model, Permission, Refused, Where
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
from irrunner.actions.setting import SetValue
from irrunner.vocabulary import Phase, Risk, UndoPolicy

_OPERATION: Final = {ENABLED: "EnableKey", DISABLED: "DisableKey"}


class DisableKeyOutputs(Model):
    """Outputs."""

    key_arn: str
    key_state: str
    grant_count: int
    grantees: list[str]
    replica_regions: list[str]


@action(
    "aws.kms.disable-key",
    title="Disable a KMS key",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=180.0,
    consistency_s=30.0,
    permissions=(
        *READ_KEY,
        Permission("kms:DisableKey", KEYS, use="act"),
        Permission("kms:EnableKey", KEYS, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Enables the key again; what went down meanwhile (a database) is not started again.",
    sources=(KEY_STATES, f"{API_REFERENCE}/API_DisableKey.html", f"{API_REFERENCE}/API_EnableKey.html"),
)
class DisableKey(SetValue[OneKey, KeyState]):
    """Disable a customer key that is enabled; never one that evidence is under."""

    Params = OneKey
    Outputs = DisableKeyOutputs
    StateModel = KeyState

    def look(self, ctx: LookContext, params: OneKey) -> KeyState:
        """Describe the key and who uses it."""
        return look_at_key(ctx, params)

    def wanted(self, params: OneKey, state: KeyState) -> str:
        """Return ``Disabled``."""
        return DISABLED

    def refusal(self, params: OneKey, state: KeyState) -> Refused | None:
        """Refuse keys that are not to be disabled, or cannot be."""
        reason = not_changeable(state)
        if reason is None and state.reserved:
            reason = f"{state.target} is irrunner's own ({state.reserved}): evidence is under it"
        if reason is None and state.value in PENDING:
            reason = (
                f"{state.target} is {state.value} (until {state.deletion_at or 'its date'}), and so unusable"
                " already: see aws.kms.cancel-key-deletion, or its data is lost for ever"
            )
        if reason is None and state.value not in _OPERATION:
            reason = f"{state.target} is {state.value}: KMS disables no key in this state"
        return Refused(reason) if reason else None

    def write(self, params: OneKey, state: KeyState, value: Any) -> tuple[Call, ...]:
        """Disable it, or enable it again."""
        return (
            Call(
                f"kms:{_OPERATION[value]}",
                {"KeyId": state.target},
                target=state.target,
                summary=f"{_OPERATION[value].removesuffix('Key')} {state.target}",
                before=state.value,
                after=value,
            ),
        )

    def outputs(self, params: OneKey, state: KeyState) -> DisableKeyOutputs:
        """Return the state and who is concerned."""
        return DisableKeyOutputs(
            key_arn=state.target,
            key_state=str(state.value),
            grant_count=state.grant_count,
            grantees=list(state.grantees),
            replica_regions=list(state.replica_regions),
        )

    def warnings(self, params: OneKey, state: KeyState) -> tuple[str, ...]:
        """Return what stops, and what does not."""
        cached = "what holds a data key already goes on: attached volumes, caches"
        told = [f"{cached}; RDS and Aurora databases under the key become inaccessible"]
        if state.grant_count:
            least = "" if state.grants_counted else "at least "
            told.append(
                f"{least}{state.grant_count} grants on it have no effect now: {', '.join(state.grantees)}"
            )
        if state.replica_regions:
            told.append(
                f"its other Regions go on: {', '.join(state.replica_regions)}; run the step there, too"
            )
        return tuple(told)

    def targets(self, params: OneKey, where: Where) -> tuple[str, ...]:
        """Return the key."""
        return (key_target(params, where),)
