"""``aws.ebs.digest-snapshot``: the SHA-256 of a snapshot's content, where the snapshot is."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from forensics.digest import BLOCK_BYTES, CHUNK_BLOCKS, Progress, SnapshotDigest, read_progress
from irrunner.actions.contract import (
    Action,
    Broken,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    ReadApi,
    Refused,
    Settled,
    State,
    Token,
    Waiting,
    Where,
)  # fmt: skip
from irrunner.actions.ebs.snapshots import Snapshot, described
from irrunner.actions.ids import SnapshotId, is_token
from irrunner.actions.registry import action
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

SLICE_BLOCKS: Final = 4 * CHUNK_BLOCKS
"""Blocks of one look, some 4 GiB: then the thread is given back, and the progress is on disk."""
KEPT: Final = 64
"""Digests that a process holds open."""
PENDING_POLL_S: Final = 15.0
SLICE_POLL_S: Final = 0.1

_SNAPSHOT: Final = "arn:{partition}:ec2:{region}::snapshot/{snapshot_id}"
_READING: Final = (
    ("ec2:DescribeSnapshots", "*"),
    ("ebs:ListSnapshotBlocks", _SNAPSHOT),
    ("ebs:GetSnapshotBlock", _SNAPSHOT),
    ("kms:Decrypt", "arn:{partition}:kms:{region}:*:key/*"),
)


class DigestSnapshotParams(Model):
    """Parameters of ``aws.ebs.digest-snapshot``."""

    snapshot_id: SnapshotId
    account: Literal["source", "forensics"] = "source"
    """Where the snapshot is."""
    expected: str | None = Field(default=None, max_length=256)
    """Digest of the other side: the step fails where the content differs."""
    content: bool = False
    """Also hash the whole disk in order, holes as zeros: dear, and begun anew by another process."""


class DigestSnapshotState(State):
    """The snapshot, and how far its digest is."""

    account_id: str | None
    snapshot: Snapshot | None = None
    percent: int = 0
    blocks: int = 0
    zero_blocks: int = 0
    sha256: str | None = None
    content_sha256: str | None = None


class DigestSnapshotOutputs(Model):
    """Outputs of ``aws.ebs.digest-snapshot``."""

    snapshot_id: str
    account_id: str
    sha256: str
    """Of the content by blocks: the same for the source and for its copy under another key."""
    content_sha256: str | None
    """Of the whole disk in order, where it was asked for."""
    blocks: int
    """Blocks that hold data, zeros included."""
    read_bytes: int
    size_gib: int
    matches: bool | None
    """Whether it is the digest that was expected; None: none was."""


@action(
    "aws.ebs.digest-snapshot",
    title="Hash the content of a snapshot without an instance",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=tuple(
        Permission(name, resource, scope=scope)
        for scope in ("target", "forensics")
        for name, resource in _READING
    ),
    undo=UndoPolicy.NEVER,
    undo_note="Reads only: there is nothing to put back.",
    timeout_s=7200.0,
    evidence=True,
    sources=(
        "https://docs.aws.amazon.com/ebs/latest/APIReference/API_GetSnapshotBlock.html",
        "https://docs.aws.amazon.com/ebs/latest/APIReference/API_ListSnapshotBlocks.html",
        "https://docs.aws.amazon.com/ebs/latest/userguide/readsnapshots.html",
    ),
)
class DigestSnapshot(Action[DigestSnapshotParams, DigestSnapshotState]):
    """Read every block, check it against AWS's checksum, and hash; in slices that survive the process."""

    Params = DigestSnapshotParams
    Outputs = DigestSnapshotOutputs
    StateModel = DigestSnapshotState

    def __init__(self) -> None:
        self._open: OrderedDict[str, SnapshotDigest] = OrderedDict()
        self._opening = threading.Lock()

    def look(self, ctx: LookContext, params: DigestSnapshotParams) -> DigestSnapshotState:
        """Describe the snapshot at the first look (a plan's only one); read a slice at each later one."""
        forensic = params.account == "forensics"
        api = ctx.forensics if forensic else ctx.api
        account_id = ctx.where.forensic_account_id if forensic else ctx.where.account_id
        if api is None or is_token(params.snapshot_id):
            return DigestSnapshotState(account_id=account_id if api else None)
        found = described(api, [params.snapshot_id])
        if not found:
            raise TargetNotFound(f"no snapshot {params.snapshot_id} in {account_id}")
        seen: dict[str, Any] = {"account_id": account_id, "snapshot": found[0]}
        if found[0].state == "completed":
            seen |= self._slice(ctx, params, api)
        return DigestSnapshotState(**seen)

    def decide(self, params: DigestSnapshotParams, state: DigestSnapshotState) -> Decision:
        """Wait for the snapshot and for its blocks; compare."""
        if state.account_id is None:
            return Refused(
                "no forensic account can be reached: set forensics.account_id in irrunner.yaml",
                code="forensics-not-configured",
            )
        if state.sha256 is None:
            return _not_yet(params, state)
        if params.expected not in (None, state.sha256):
            return Broken(
                f"{params.snapshot_id} has the digest {state.sha256}, not {params.expected}:"
                " the content differs",
                code="digest-mismatch",
            )
        return Settled(_outputs(params, state, state.sha256))

    def foresee(self, params: DigestSnapshotParams, state: DigestSnapshotState, step: str) -> PlannedOutputs:
        """Return what is known; the digest is a token."""
        decision = self.decide(params, state)
        if isinstance(decision, Settled):
            return PlannedOutputs(decision.outputs.model_dump(mode="json"))
        if not isinstance(decision, Waiting):
            return PlannedOutputs({})
        token = str(Token(f"from {step}.sha256"))
        return PlannedOutputs(
            {"snapshot_id": params.snapshot_id, "account_id": state.account_id, "sha256": token}
        )

    def targets(self, params: DigestSnapshotParams, where: Where) -> tuple[str, ...]:
        """Return nothing: reads only."""
        return ()

    def _slice(self, ctx: LookContext, params: DigestSnapshotParams, api: ReadApi) -> dict[str, Any]:
        path = _progress_file(ctx, params)
        with self._opening:
            digest = self._open.get(str(path))
            if digest is None:
                kept = read_progress(path, params.snapshot_id)
                self._open[str(path)] = digest = SnapshotDigest(api, kept, content=params.content)
                while len(self._open) > KEPT:
                    self._open.popitem(last=False)
                return _seen(digest)
        if not digest.progress.done:
            digest.api = api
            digest.advance(SLICE_BLOCKS)
            digest.progress.write(path)
        return _seen(digest)


def _not_yet(params: DigestSnapshotParams, state: DigestSnapshotState) -> Decision:
    if state.snapshot is None:
        return Waiting("the snapshot does not exist yet", PENDING_POLL_S)
    if state.snapshot.state == "error":
        return Broken(state.snapshot.trouble, code="snapshot-error")
    if state.snapshot.state != "completed":
        return Waiting(f"{params.snapshot_id}: {state.snapshot.progress or 'pending'}", PENDING_POLL_S)
    return Waiting(f"{state.percent}% hashed, {state.blocks} blocks", SLICE_POLL_S)


def _progress_file(ctx: LookContext, params: DigestSnapshotParams) -> Path:
    """Return the file that a step's progress is kept in, beside the journal."""
    from irrunner.journal.sql import default_path  # noqa: PLC0415 - commands that list actions need no store

    name = hashlib.sha256(f"{ctx.marker} {params.account} {params.snapshot_id}".encode()).hexdigest()[:32]
    store = ctx.settings.store
    journal = Path(store) if store and "://" not in store else default_path()
    return journal.parent / "digests" / f"{params.snapshot_id}-{name}.json"


def _seen(digest: SnapshotDigest) -> dict[str, Any]:
    progress: Progress = digest.progress
    return {
        "percent": progress.percent,
        "blocks": progress.blocks,
        "zero_blocks": progress.zero_blocks,
        "sha256": progress.sha256 if progress.done else None,
        "content_sha256": digest.content_sha256,
    }


def _outputs(params: DigestSnapshotParams, state: DigestSnapshotState, sha256: str) -> DigestSnapshotOutputs:
    return DigestSnapshotOutputs(
        snapshot_id=params.snapshot_id,
        account_id=str(state.account_id),
        sha256=sha256,
        content_sha256=state.content_sha256,
        blocks=state.blocks,
        read_bytes=state.blocks * BLOCK_BYTES,
        size_gib=state.snapshot.size_gib if state.snapshot else 0,
        matches=None if params.expected is None else params.expected == sha256,
    )
