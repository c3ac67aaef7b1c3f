"""``aws.rds.await-snapshot``: wait until an RDS snapshot is available, or will never be."""

from __future__ import annotations

from typing import Final

from irrunner.actions.contract import (
    Action,
    Broken,
    Decision,
    LookContext,
    Model,
    PlannedOutputs,
    Settled,
    State,
    Waiting,
    Where,
)
from irrunner.actions.ids import is_token
from irrunner.actions.rds.databases import API_REFERENCE
from irrunner.actions.rds.snapshots import (
    DESCRIBE_SNAPSHOTS,
    OneSnapshot,
    Snapshot,
    belongs,
    id_of,
    kind_of,
    read_snapshot,
)
from irrunner.actions.registry import action
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

POLL_S: Final = 30.0


class AwaitSnapshotState(State):
    """The snapshot; None while a plan has not made it."""

    snapshot: Snapshot | None


class AwaitSnapshotOutputs(Model):
    """Outputs."""

    snapshot_arn: str
    size_gib: int
    taken_at: str


@action(
    "aws.rds.await-snapshot",
    title="Wait until an RDS snapshot is available",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    permissions=DESCRIBE_SNAPSHOTS,
    undo=UndoPolicy.NEVER,
    undo_note="Reads only: there is nothing to put back.",
    timeout_s=7200.0,
    evidence=True,
    sources=(
        f"{API_REFERENCE}/API_DescribeDBSnapshots.html",
        f"{API_REFERENCE}/API_DescribeDBClusterSnapshots.html",
    ),
)
class AwaitSnapshot(Action[OneSnapshot, AwaitSnapshotState]):
    """Poll without holding a thread."""

    Params = OneSnapshot
    Outputs = AwaitSnapshotOutputs
    StateModel = AwaitSnapshotState

    def look(self, ctx: LookContext, params: OneSnapshot) -> AwaitSnapshotState:
        """Describe the snapshot."""
        if is_token(params.snapshot_arn):
            return AwaitSnapshotState(snapshot=None)
        arn = params.snapshot_arn
        found = read_snapshot(ctx.api, kind_of(arn), id_of(arn)) if belongs(arn, ctx.where) else None
        if found is None:
            raise TargetNotFound(f"no snapshot {arn} in {ctx.where.account_id} {ctx.where.region}")
        return AwaitSnapshotState(snapshot=found)

    def decide(self, params: OneSnapshot, state: AwaitSnapshotState) -> Decision:
        """Settle when it is available."""
        snapshot = state.snapshot
        if snapshot is None:
            return Waiting("the snapshot does not exist yet", POLL_S)
        if snapshot.failed:
            return Broken(
                f"{snapshot.snapshot_id} is {snapshot.status}; RDS events say why", "snapshot-error"
            )
        if snapshot.status != "available":
            return Waiting(f"{snapshot.snapshot_id}: {snapshot.status} {snapshot.percent}%", POLL_S)
        return Settled(
            AwaitSnapshotOutputs(
                snapshot_arn=snapshot.arn, size_gib=snapshot.size_gib, taken_at=snapshot.taken_at
            )
        )

    def foresee(self, params: OneSnapshot, state: AwaitSnapshotState, step: str) -> PlannedOutputs:
        """Return the snapshot that is awaited."""
        decision = self.decide(params, state)
        if isinstance(decision, Settled):
            return PlannedOutputs(decision.outputs.model_dump(mode="json"))
        return PlannedOutputs({"snapshot_arn": params.snapshot_arn})

    def targets(self, params: OneSnapshot, where: Where) -> tuple[str, ...]:
        """Return nothing: reads only."""
        return ()
