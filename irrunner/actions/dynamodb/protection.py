"""``aws.dynamodb.enable-protection``: a table that cannot be deleted, and can be restored to any second."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

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
    State,
    Waiting,
    Where,
)
from irrunner.actions.ids import TableName
from irrunner.actions.registry import action
from irrunner.clock import iso
from irrunner.vocabulary import Phase, Risk, UndoPolicy

TABLE: Final = "arn:{partition}:dynamodb:{region}:{account}:table/{table_name}"
API_REFERENCE: Final = "https://docs.aws.amazon.com/amazondynamodb/latest/APIReference"
GONE: Final = frozenset({"DELETING", "ARCHIVING", "ARCHIVED"})
POLL_S: Final = 5.0


class EnableProtectionParams(Model):
    """Parameters."""

    table_name: TableName


class EnableProtectionState(State):
    """The table and its two protections."""

    table_name: str
    table_arn: str
    status: str
    deletion_protected: bool
    recoverable: bool
    """Point-in-time recovery is on."""
    earliest_restorable_at: str


class EnableProtectionOutputs(Model):
    """Outputs."""

    table_arn: str
    earliest_restorable_at: str
    """Empty: recovery has just begun."""


@action(
    "aws.dynamodb.enable-protection",
    title="Protect a table from deletion, and keep it restorable to any second",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    timeout_s=600.0,
    consistency_s=10.0,
    permissions=(
        Permission("dynamodb:DescribeTable", TABLE),
        Permission("dynamodb:DescribeContinuousBackups", TABLE),
        Permission("dynamodb:UpdateTable", TABLE, use="act"),
        Permission("dynamodb:UpdateContinuousBackups", TABLE, use="act"),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="Both only protect; to switch recovery off would drop every point that it can restore to.",
    sources=(
        f"{API_REFERENCE}/API_UpdateContinuousBackups.html",
        f"{API_REFERENCE}/API_UpdateTable.html",
        "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Point-in-time-recovery.html",
    ),
)
class EnableProtection(Action[EnableProtectionParams, EnableProtectionState]):
    """Switch on what is off. Recovery first: of a table that is deleted with it a backup stays."""

    Params = EnableProtectionParams
    Outputs = EnableProtectionOutputs
    StateModel = EnableProtectionState

    def look(self, ctx: LookContext, params: EnableProtectionParams) -> EnableProtectionState:
        """Describe the table and its backups."""
        table = ctx.api.call("dynamodb:DescribeTable", TableName=params.table_name)["Table"]
        backups = ctx.api.call("dynamodb:DescribeContinuousBackups", TableName=params.table_name)
        recovery = _recovery(backups)
        earliest = recovery.get("EarliestRestorableDateTime")
        return EnableProtectionState(
            table_name=params.table_name,
            table_arn=table["TableArn"],
            status=table.get("TableStatus") or "",
            deletion_protected=bool(table.get("DeletionProtectionEnabled")),
            recoverable=recovery.get("PointInTimeRecoveryStatus") == "ENABLED",
            earliest_restorable_at=iso(earliest) if isinstance(earliest, datetime) else "",
        )

    def decide(self, params: EnableProtectionParams, state: EnableProtectionState) -> Decision:
        """Switch on what is off, where the table lets it."""
        calls = tuple(_calls(state))
        if not calls:
            return Settled(_outputs(state), _warnings(state))
        if state.status in GONE:
            return Refused(f"{state.table_name} is {state.status}: restore it from a backup instead")
        if state.status != "ACTIVE":
            return Waiting(f"{state.table_name} is {state.status}", POLL_S)
        return Act(calls)

    def foresee(
        self, params: EnableProtectionParams, state: EnableProtectionState, step: str
    ) -> PlannedOutputs:
        """Return the table, and from when on it is restorable, where that is known."""
        if isinstance(self.decide(params, state), Refused):
            return PlannedOutputs({})
        outputs = _outputs(state).model_dump(mode="json")
        if not state.recoverable:
            outputs["earliest_restorable_at"] = f"<from {step}.earliest_restorable_at>"
        return PlannedOutputs(outputs)

    def targets(self, params: EnableProtectionParams, where: Where) -> tuple[str, ...]:
        """Return the table."""
        return (
            f"arn:{where.partition}:dynamodb:{where.region}:{where.account_id}:table/{params.table_name}",
        )


def _recovery(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    described = answer.get("ContinuousBackupsDescription") or {}
    found: Mapping[str, Any] = described.get("PointInTimeRecoveryDescription") or {}
    return found


def _calls(state: EnableProtectionState) -> Iterator[Call]:
    named = {"TableName": state.table_name}
    if not state.recoverable:
        yield Call(
            "dynamodb:UpdateContinuousBackups",
            {**named, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}},
            target=state.table_arn,
            summary=f"Keep {state.table_name} restorable to any second from now on",
            before=False,
            after=True,
            reversible=False,
        )
    if not state.deletion_protected:
        yield Call(
            "dynamodb:UpdateTable",
            {**named, "DeletionProtectionEnabled": True},
            target=state.table_arn,
            summary=f"Protect {state.table_name} from deletion",
            before=False,
            after=True,
            reversible=False,
        )


def _outputs(state: EnableProtectionState) -> EnableProtectionOutputs:
    return EnableProtectionOutputs(
        table_arn=state.table_arn, earliest_restorable_at=state.earliest_restorable_at
    )


def _warnings(state: EnableProtectionState) -> tuple[str, ...]:
    since = state.earliest_restorable_at or "now"
    return (
        (
            f"{state.table_name} is restorable from {since} on, into a new table; items can still be changed"
            " and deleted; whoever may call dynamodb:UpdateTable can switch this off; replicas have their own"
        ),
    )
