"""``aws.ebs.await-snapshots``: wait until snapshots are completed, and see the ones that never will be."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from irrunner.actions.contract import (
    Action,
    Broken,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    Settled,
    State,
    Token,
    Waiting,
    Where,
)  # fmt: skip
from irrunner.actions.ebs.snapshots import Snapshot, described
from irrunner.actions.ids import SnapshotId, is_token
from irrunner.actions.registry import action
from irrunner.clock import iso
from irrunner.vocabulary import Phase, Risk, UndoPolicy

POLL_S: Final = 15.0


class AwaitSnapshotsParams(Model):
    """Parameters of ``aws.ebs.await-snapshots``."""

    snapshot_ids: list[SnapshotId] = Field(max_length=1000)


class AwaitSnapshotsState(State):
    """The snapshots that AWS describes, and when it was asked."""

    snapshots: tuple[Snapshot, ...]
    planned: bool
    """Some do not exist yet: this is a plan."""
    seen_at: str


class AwaitSnapshotsOutputs(Model):
    """Outputs of ``aws.ebs.await-snapshots``."""

    snapshot_ids: list[str]
    completed_at: str
    """When the last one was completed, as AWS says, else when we saw it."""


@action(
    "aws.ebs.await-snapshots",
    title="Wait until snapshots are completed",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    permissions=(Permission("ec2:DescribeSnapshots"),),
    undo=UndoPolicy.NEVER,
    undo_note="Reads only: there is nothing to put back.",
    timeout_s=7200.0,
    evidence=True,
    sources=(
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSnapshots.html",
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Snapshot.html",
    ),
)
class AwaitSnapshots(Action[AwaitSnapshotsParams, AwaitSnapshotsState]):
    """Poll without holding a thread; ``error`` ends the wait with AWS's own reason."""

    Params = AwaitSnapshotsParams
    Outputs = AwaitSnapshotsOutputs
    StateModel = AwaitSnapshotsState

    def look(self, ctx: LookContext, params: AwaitSnapshotsParams) -> AwaitSnapshotsState:
        """Describe the snapshots by filter: one that is gone must not hide the others' state."""
        known = [item for item in params.snapshot_ids if not is_token(item)]
        planned = len(known) < len(params.snapshot_ids)
        return AwaitSnapshotsState(snapshots=described(ctx.api, known), planned=planned, seen_at=iso(ctx.now))

    def decide(self, params: AwaitSnapshotsParams, state: AwaitSnapshotsState) -> Decision:
        """Settle when all are completed; break when one is in error or gone."""
        if state.planned:
            return Waiting("the snapshots do not exist yet", poll_s=POLL_S)
        by_id = {item.snapshot_id: item for item in state.snapshots}
        failed = [item.trouble for item in state.snapshots if item.state == "error"]
        if failed:
            return Broken("; ".join(failed), code="snapshot-error")
        gone = [item for item in params.snapshot_ids if item not in by_id]
        if gone:
            return Broken(f"not found, perhaps deleted: {', '.join(gone)}", code="target-not-found")
        if all(item.state == "completed" for item in state.snapshots):
            return Settled(_outputs(params, state))
        return Waiting(_progress(state.snapshots), poll_s=POLL_S)

    def foresee(self, params: AwaitSnapshotsParams, state: AwaitSnapshotsState, step: str) -> PlannedOutputs:
        """Return the snapshots that are awaited; when they are completed is a token."""
        decision = self.decide(params, state)
        if isinstance(decision, Settled):
            return PlannedOutputs(decision.outputs.model_dump(mode="json"))
        token = Token(f"from {step}.completed_at")
        return PlannedOutputs({"snapshot_ids": list(params.snapshot_ids), "completed_at": str(token)})

    def targets(self, params: AwaitSnapshotsParams, where: Where) -> tuple[str, ...]:
        """Return nothing: reads only."""
        return ()


def _outputs(params: AwaitSnapshotsParams, state: AwaitSnapshotsState) -> AwaitSnapshotsOutputs:
    completed = [item.completed_at for item in state.snapshots if item.completed_at]
    return AwaitSnapshotsOutputs(
        snapshot_ids=list(params.snapshot_ids), completed_at=max(completed, default=state.seen_at)
    )


def _progress(snapshots: tuple[Snapshot, ...]) -> str:
    pending = [item for item in snapshots if item.state != "completed"]
    parts = ", ".join(f"{item.snapshot_id} {item.progress or item.state}" for item in pending)
    return f"{len(snapshots) - len(pending)} of {len(snapshots)} snapshots completed; {parts}"
