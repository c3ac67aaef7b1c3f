"""``aws.rds.snapshot-database``: a manual snapshot of a DB instance, or of the cluster that it is of.

It has the name that the step's marker gives, and is found again by it. Completion is awaited by
``aws.rds.await-snapshot``.
"""

from __future__ import annotations

from irrunner.actions.contract import (
    Act,
    Action,
    Broken,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    Settled,
    State,
    Token,
    Where,
)
from irrunner.actions.rds.databases import (
    API_REFERENCE,
    AURORA_GUIDE,
    CLUSTERS,
    DESCRIBE,
    INSTANCES,
    USER_GUIDE,
    Database,
    OneDatabase,
    find_database,
    not_now,
)
from irrunner.actions.rds.snapshots import (
    DESCRIBE_SNAPSHOTS,
    SNAPSHOTS,
    Snapshot,
    named,
    operation,
    read_snapshot,
    snapshot_name,
    tags,
)
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class SnapshotDatabaseState(State):
    """The database, and the snapshot of this step."""

    database: Database
    snapshot: Snapshot | None
    snapshot_id: str
    """The name that it has, or will have."""
    marker: str
    drill: bool


class SnapshotDatabaseOutputs(Model):
    """Outputs: the snapshot, accepted by RDS."""

    snapshot_arn: str
    snapshot_id: str
    kind: str
    """``instance`` or ``cluster``."""
    db_id: str
    encrypted: bool
    kms_key_id: str | None
    engine: str


@action(
    "aws.rds.snapshot-database",
    title="Snapshot a DB instance or DB cluster",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    timeout_s=1800.0,
    consistency_s=30.0,
    permissions=(
        *DESCRIBE,
        *DESCRIBE_SNAPSHOTS,
        *(Permission("rds:CreateDBSnapshot", resource, use="act") for resource in (INSTANCES, SNAPSHOTS[0])),
        *(
            Permission("rds:CreateDBClusterSnapshot", resource, use="act")
            for resource in (CLUSTERS, SNAPSHOTS[1])
        ),
        *(Permission("rds:AddTagsToResource", resource, use="act") for resource in SNAPSHOTS),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="Snapshots are evidence; undo never deletes evidence.",
    evidence=True,
    sources=(
        f"{API_REFERENCE}/API_CreateDBSnapshot.html",
        f"{API_REFERENCE}/API_CreateDBClusterSnapshot.html",
        f"{USER_GUIDE}/USER_CreateSnapshot.html",
        f"{AURORA_GUIDE}/USER_CreateSnapshotCluster.html",
    ),
)
class SnapshotDatabase(Action[OneDatabase, SnapshotDatabaseState]):
    """Ask for one snapshot, once."""

    Params = OneDatabase
    Outputs = SnapshotDatabaseOutputs
    StateModel = SnapshotDatabaseState

    def look(self, ctx: LookContext, params: OneDatabase) -> SnapshotDatabaseState:
        """Describe the database and the snapshot of this step's name."""
        database = find_database(ctx, params)
        name = snapshot_name(database.db_id, ctx.marker)
        return SnapshotDatabaseState(
            database=database,
            snapshot=read_snapshot(ctx.api, database.kind, name),
            snapshot_id=name,
            marker=ctx.marker,
            drill=ctx.drill,
        )

    def decide(self, params: OneDatabase, state: SnapshotDatabaseState) -> Decision:
        """Ask for the snapshot where RDS takes the request."""
        database, snapshot = state.database, state.snapshot
        if snapshot is None:
            return not_now(database.db_id, database.status) or Act((_create(state),))
        if snapshot.failed or snapshot.source_id != database.db_id:
            return Broken(
                f"{snapshot.snapshot_id} of {snapshot.source_id} is {snapshot.status}", "snapshot-error"
            )
        return Settled(_outputs(state, snapshot.arn, snapshot.snapshot_id))

    def foresee(self, params: OneDatabase, state: SnapshotDatabaseState, step: str) -> PlannedOutputs:
        """Return the outputs; the snapshot is a token, with what is known of it."""
        decision = self.decide(params, state)
        if isinstance(decision, Settled):
            return PlannedOutputs(decision.outputs.model_dump(mode="json"))
        if not isinstance(decision, Act):
            return PlannedOutputs({})
        arn, name = (str(Token(f"from {step}.snapshot_{part}")) for part in ("arn", "id"))
        outputs = _outputs(state, arn, name).model_dump(mode="json")
        return PlannedOutputs(outputs, {arn: outputs})

    def targets(self, params: OneDatabase, where: Where) -> tuple[str, ...]:
        """Return nothing: no existing resource changes, and a protected database may be preserved too."""
        return ()


def _create(state: SnapshotDatabaseState) -> Call:
    database = state.database
    return Call(
        operation("Create", database.kind),
        {
            **database.named,
            **named(database.kind, state.snapshot_id),
            "Tags": tags(state.marker, drill=state.drill),
        },
        target=database.arn,
        summary=f"Snapshot the DB {database.kind} {database.db_id}",
        after={"snapshot": state.snapshot_id},
        reversible=False,
    )


def _outputs(state: SnapshotDatabaseState, arn: str, name: str) -> SnapshotDatabaseOutputs:
    database = state.database
    return SnapshotDatabaseOutputs(
        snapshot_arn=arn,
        snapshot_id=name,
        kind=database.kind,
        db_id=database.db_id,
        encrypted=database.encrypted,
        kms_key_id=database.kms_key_id,
        engine=database.engine,
    )
