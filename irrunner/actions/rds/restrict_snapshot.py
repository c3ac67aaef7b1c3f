"""``aws.rds.restrict-snapshot``: share an RDS snapshot with nobody any more, or with given accounts only."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from irrunner.actions.contract import Call, LookContext, Model, Permission, Where
from irrunner.actions.ids import AccountId
from irrunner.actions.rds.copy_calls import permission
from irrunner.actions.rds.copy_state import PUBLIC, shared_with
from irrunner.actions.rds.databases import API_REFERENCE, USER_GUIDE, Kind
from irrunner.actions.rds.snapshots import (
    DESCRIBE_SNAPSHOTS,
    SNAPSHOTS,
    OneSnapshot,
    belongs,
    id_of,
    kind_of,
    read_snapshot,
)
from irrunner.actions.registry import action
from irrunner.actions.setting import SetValue, ValueState
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class RestrictSnapshotParams(OneSnapshot):
    """Parameters."""

    keep_account_ids: tuple[AccountId, ...] = Field(default=(), max_length=20)
    """Accounts that may go on using it."""


class RestrictSnapshotState(ValueState):
    """With whom the snapshot is shared: account ids, and ``all`` for everyone."""

    snapshot_id: str
    kind: Kind


class RestrictSnapshotOutputs(Model):
    """Outputs."""

    snapshot_arn: str
    shared_with: list[str]


@action(
    "aws.rds.restrict-snapshot",
    title="Stop sharing an RDS snapshot",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=120.0,
    consistency_s=15.0,
    permissions=(
        *DESCRIBE_SNAPSHOTS,
        *(
            Permission(f"rds:Describe{prefix}SnapshotAttributes", resource)
            for prefix, resource in zip(("DB", "DBCluster"), SNAPSHOTS, strict=True)
        ),
        *(
            Permission(f"rds:Modify{prefix}SnapshotAttribute", resource, use=use)
            for use in ("act", "undo")
            for prefix, resource in zip(("DB", "DBCluster"), SNAPSHOTS, strict=True)
        ),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Shares it again as before, with everyone too, if it was public.",
    sources=(
        f"{USER_GUIDE}/USER_ShareSnapshot.html",
        f"{API_REFERENCE}/API_ModifyDBSnapshotAttribute.html",
        f"{API_REFERENCE}/API_ModifyDBClusterSnapshotAttribute.html",
    ),
)
class RestrictSnapshot(SetValue[RestrictSnapshotParams, RestrictSnapshotState]):
    """Take accounts, and everyone, off the snapshot's ``restore`` attribute."""

    Params = RestrictSnapshotParams
    Outputs = RestrictSnapshotOutputs
    StateModel = RestrictSnapshotState

    def look(self, ctx: LookContext, params: RestrictSnapshotParams) -> RestrictSnapshotState:
        """Read with whom it is shared; RDS shares manual snapshots only."""
        arn = params.snapshot_arn
        kind, name = kind_of(arn), id_of(arn)
        found = read_snapshot(ctx.api, kind, name) if belongs(arn, ctx.where) else None
        if found is None:
            raise TargetNotFound(f"no snapshot {arn} in {ctx.where.account_id} {ctx.where.region}")
        shared = shared_with(ctx.api, kind, name) if found.type == "manual" else ()
        return RestrictSnapshotState(target=arn, value=list(shared), snapshot_id=name, kind=kind)

    def wanted(self, params: RestrictSnapshotParams, state: RestrictSnapshotState) -> list[str]:
        """Return who may stay of those that it is shared with."""
        return [account for account in state.value if account in params.keep_account_ids]

    def write(
        self, params: RestrictSnapshotParams, state: RestrictSnapshotState, value: Any
    ) -> tuple[Call, ...]:
        """Add and remove what differs."""
        add = tuple(sorted(set(value) - set(state.value)))
        remove = tuple(sorted(set(state.value) - set(value)))
        verb, whom = ("Share", add) if add else ("Stop sharing", remove)
        names = ", ".join("everyone" if name == PUBLIC else name for name in whom)
        return (
            permission(
                state.kind,
                state.snapshot_id,
                f"{verb} {state.snapshot_id} with {names}",
                add=add,
                remove=remove,
            ),
        )

    def outputs(
        self, params: RestrictSnapshotParams, state: RestrictSnapshotState
    ) -> RestrictSnapshotOutputs:
        """Return with whom it is shared."""
        return RestrictSnapshotOutputs(snapshot_arn=state.target, shared_with=list(state.value))

    def warnings(self, params: RestrictSnapshotParams, state: RestrictSnapshotState) -> tuple[str, ...]:
        """Return what cannot be taken back."""
        return (
            "copies and databases that others have made of it are theirs; CloudTrail tells of none of them",
        )

    def targets(self, params: RestrictSnapshotParams, where: Where) -> tuple[str, ...]:
        """Return the snapshot."""
        return (params.snapshot_arn,)
