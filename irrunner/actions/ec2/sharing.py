"""With whom an image or a snapshot is shared, and the action that ends it: the base of two actions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from pydantic import Field

from irrunner.actions.contract import Call, LookContext, Model, Refused
from irrunner.actions.ids import AccountId
from irrunner.actions.setting import SetValue, ValueState

FIELDS: Final = ("Group", "UserId", "OrganizationArn", "OrganizationalUnitArn")
"""By which AWS names who may use it; the group is always ``all``."""


class SharingParams(Model):
    """Parameters that both actions have."""

    keep_account_ids: list[AccountId] = Field(
        default_factory=list,
        max_length=100,
        description="Accounts that keep their permission, beside the forensic account, which always does.",
    )


class SharingState(ValueState):
    """What restricting sees; the value is who may use it, sorted: ``Group=all``, ``UserId=111122223333``.

    The forensic account is no part of it: it is never touched, and a copy that takes its permission away
    meanwhile is no drift.
    """

    owner_id: str
    account_id: str
    """The incident's account."""


SP = TypeVar("SP", bound=SharingParams)
SS = TypeVar("SS", bound=SharingState)


class RestrictSharing(SetValue[SP, SS]):
    """Base of the actions that take permissions off; subclasses say how a resource is called."""

    noun: str
    operation: str
    parameter: str
    """Of the operation: the permission that it changes."""
    id_parameter: str

    def wanted(self, params: SP, state: SS) -> Any:
        """Return who keeps the permission."""
        kept = {f"UserId={account}" for account in params.keep_account_ids}
        return [grantee for grantee in state.value if grantee in kept]

    def refusal(self, params: SP, state: SS) -> Refused | None:
        """Refuse what belongs to another account."""
        if state.owner_id == state.account_id:
            return None
        return Refused(
            f"{state.target} is of account {state.owner_id}: who may use it is for that account to say"
        )

    def write(self, params: SP, state: SS, value: Any) -> tuple[Call, ...]:
        """Remove who is too much, and add who is missing, in one call."""
        changes = {
            "Remove": [grantee for grantee in state.value if grantee not in value],
            "Add": [grantee for grantee in value if grantee not in state.value],
        }
        words = (f"{verb.lower()} {', '.join(who)}" for verb, who in changes.items() if who)
        call = Call(
            self.operation,
            {
                self.id_parameter: state.target,
                self.parameter: {
                    verb: [_grant(each) for each in who] for verb, who in changes.items() if who
                },
            },
            target=state.target,
            summary=f"Who may use {self.noun} {state.target}: {'; '.join(words)}",
            before=state.value,
            after=value,
        )
        return (call,)


def sharing_state(
    ctx: LookContext, target: str, owner_id: str, permissions: Iterable[Mapping[str, str]]
) -> dict[str, Any]:
    """Return the fields of a resource's state from its described permissions."""
    grantees = {f"{name}={grant[name]}" for grant in permissions for name in FIELDS if grant.get(name)}
    return {
        "target": target,
        "value": sorted(grantees - {f"UserId={ctx.where.forensic_account_id}"}),
        "owner_id": owner_id,
        "account_id": ctx.where.account_id,
    }


def _grant(grantee: str) -> dict[str, str]:
    name, _, who = grantee.partition("=")
    return {name: who}
