"""``aws.ebs.lock-snapshots``: nobody deletes the evidence before a date, in either account."""

from __future__ import annotations

from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

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
    Refused,
    Settled,
    State,
    Token,
    Where,
)  # fmt: skip
from irrunner.actions.ebs.locks import Lock, Mode, lock_call, locks_of
from irrunner.actions.ebs.snapshots import Snapshot, described
from irrunner.actions.ids import SnapshotId, is_token
from irrunner.actions.registry import action
from irrunner.clock import iso, parse_iso
from irrunner.vocabulary import Phase, Risk, UndoPolicy

LOCK: Final = "ec2:LockSnapshot"
_SNAPSHOTS: Final = "arn:{partition}:ec2:{region}::snapshot/*"


class LockSnapshotsParams(Model):
    """Parameters of ``aws.ebs.lock-snapshots``."""

    snapshot_ids: list[SnapshotId] = Field(min_length=1, max_length=1000)
    mode: Mode = "governance"
    """``governance`` can be taken off by who may call ec2:UnlockSnapshot; ``compliance`` by nobody."""
    days: int = Field(default=30, ge=1, le=36_500)
    cool_off_hours: int | None = Field(default=None, ge=1, le=72)
    """For ``compliance``: hours in which it can still be taken off; none: it holds at once."""
    account: Literal["source", "forensics"] = "source"
    """The account that owns the snapshots."""

    @model_validator(mode="after")
    def _cool_off_is_of_compliance(self) -> Self:
        if self.cool_off_hours is not None and self.mode != "compliance":
            raise ValueError("cool_off_hours is for mode compliance: governance can be taken off at any time")
        return self


class LockSnapshotsState(State):
    """The snapshots, and the locks on them."""

    account_id: str | None
    """The owner to be; None: there is no forensic account."""
    region: str
    snapshots: tuple[Snapshot, ...]
    locks: dict[str, Lock]
    refused: dict[str, str]
    planned: bool
    seen_at: str


class LockedSnapshot(Model):
    """A snapshot that cannot be deleted."""

    snapshot_id: str
    lock_state: str
    expires_at: str
    """Empty while the snapshot is pending: the days count from its completion."""


class LockSnapshotsOutputs(Model):
    """Outputs of ``aws.ebs.lock-snapshots``."""

    snapshot_ids: list[str]
    locked: list[LockedSnapshot]
    account_id: str


@action(
    "aws.ebs.lock-snapshots",
    title="Lock snapshots against deletion",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    permissions=(
        *(
            permission
            for scope in ("target", "forensics")
            for permission in (
                Permission("ec2:DescribeSnapshots", scope=scope),
                Permission("ec2:DescribeLockedSnapshots", scope=scope),
                Permission(LOCK, _SNAPSHOTS, scope=scope, use="act"),
            )
        ),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="Undo never makes evidence deletable; a governance lock is taken off by ec2:UnlockSnapshot.",
    timeout_s=600.0,
    evidence=True,
    sources=(
        "https://docs.aws.amazon.com/ebs/latest/userguide/ebs-snapshot-lock.html",
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LockSnapshot.html",
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLockedSnapshots.html",
    ),
)
class LockSnapshots(Action[LockSnapshotsParams, LockSnapshotsState]):
    """Lock each snapshot by itself, pending ones too; one that cannot be locked hinders no other."""

    Params = LockSnapshotsParams
    Outputs = LockSnapshotsOutputs
    StateModel = LockSnapshotsState

    def look(self, ctx: LookContext, params: LockSnapshotsParams) -> LockSnapshotsState:
        """Describe the snapshots and their locks, in the account that owns them."""
        forensic = params.account == "forensics"
        where = ctx.where
        region = (where.forensic_region if forensic else None) or where.region
        api = ctx.forensics if forensic else ctx.api
        known = [item for item in params.snapshot_ids if not is_token(item)]
        found = described(api, known) if api is not None else ()
        return LockSnapshotsState(
            account_id=None if api is None else where.forensic_account_id if forensic else where.account_id,
            region=region,
            snapshots=found,
            locks={} if api is None else locks_of(api, [item.snapshot_id for item in found]),
            refused={target: why for (_, operation, target), why in ctx.refused.items() if operation == LOCK},
            planned=len(known) < len(params.snapshot_ids),
            seen_at=iso(ctx.now),
        )

    def decide(self, params: LockSnapshotsParams, state: LockSnapshotsState) -> Decision:
        """Lock what can be locked; then say what could not."""
        if state.account_id is None:
            return Refused(
                "no forensic account can be reached: set forensics.account_id in irrunner.yaml",
                code="forensics-not-configured",
            )
        calls = self.forecast(params, state)
        if calls:
            return Act(calls)
        problems = _problems(params, state)
        if not problems:
            return Settled(_outputs(params, state), _warnings(params))
        gone = len(state.snapshots) < len(params.snapshot_ids) and not state.planned
        code = "target-not-found" if gone else "verification-failed"
        return Broken("; ".join(problems), code=code, refused=bool(state.refused))

    def forecast(self, params: LockSnapshotsParams, state: LockSnapshotsState) -> tuple[Call, ...]:
        """Return one call for each snapshot that is not locked as asked for; a plan's token too."""
        if state.account_id is None:
            return ()
        seen = [item.snapshot_id for item in state.snapshots if _lockable(item, state)]
        planned = [item for item in params.snapshot_ids if is_token(item)]
        forensic = params.account == "forensics"
        return tuple(
            lock_call(
                snapshot_id,
                params.mode,
                params.days,
                cool_off_hours=params.cool_off_hours,
                scope="forensics" if forensic else "target",
                region=state.region if forensic else None,
                held=state.locks.get(snapshot_id),
            )
            for snapshot_id in (*seen, *planned)
            if not _held(params, state, snapshot_id) and snapshot_id not in state.refused
        )

    def foresee(self, params: LockSnapshotsParams, state: LockSnapshotsState, step: str) -> PlannedOutputs:
        """Return the snapshots that will be locked; until when is a token."""
        decision = self.decide(params, state)
        if isinstance(decision, Settled):
            return PlannedOutputs(decision.outputs.model_dump(mode="json"))
        if not isinstance(decision, Act):
            return PlannedOutputs({})
        until = str(Token(f"from {step}.locked.expires_at"))
        locked = [
            {"snapshot_id": item, "lock_state": params.mode, "expires_at": until}
            for item in params.snapshot_ids
        ]
        ids: dict[str, Any] = {"snapshot_ids": list(params.snapshot_ids), "account_id": state.account_id}
        return PlannedOutputs(ids | {"locked": locked})

    def targets(self, params: LockSnapshotsParams, where: Where) -> tuple[str, ...]:
        """Return the snapshots: their protection changes."""
        forensic = params.account == "forensics"
        region = (where.forensic_region if forensic else None) or where.region
        return tuple(f"arn:{where.partition}:ec2:{region}::snapshot/{item}" for item in params.snapshot_ids)


def _lockable(snapshot: Snapshot, state: LockSnapshotsState) -> bool:
    return snapshot.state != "error" and snapshot.owner_id == state.account_id


def _held(params: LockSnapshotsParams, state: LockSnapshotsState, snapshot_id: str) -> bool:
    lock = state.locks.get(snapshot_id)
    return lock is not None and lock.holds(params.mode, params.days, parse_iso(state.seen_at))


def _problems(params: LockSnapshotsParams, state: LockSnapshotsState) -> list[str]:
    by_id = {item.snapshot_id: item for item in state.snapshots}
    problems = []
    for snapshot_id in params.snapshot_ids:
        snapshot = by_id.get(snapshot_id)
        if snapshot is None:
            problems.append(f"{snapshot_id} is not found, perhaps deleted")
        elif snapshot.owner_id != state.account_id:
            problems.append(f"{snapshot_id} belongs to {snapshot.owner_id}: only its owner can lock it")
        elif snapshot.state == "error":
            problems.append(snapshot.trouble)
        elif snapshot_id in state.refused:
            problems.append(f"{snapshot_id}: {state.refused[snapshot_id]}")
    return problems


def _warnings(params: LockSnapshotsParams) -> tuple[str, ...]:
    if params.mode == "governance":
        return ("a governance lock can be taken off by anybody with ec2:UnlockSnapshot",)
    cool_off = f" after {params.cool_off_hours} hours" if params.cool_off_hours else ""
    return (
        f"a compliance lock cannot be taken off{cool_off}, not by root either; storage is paid till then",
    )


def _outputs(params: LockSnapshotsParams, state: LockSnapshotsState) -> LockSnapshotsOutputs:
    held = [state.locks[item] for item in params.snapshot_ids]
    return LockSnapshotsOutputs(
        snapshot_ids=list(params.snapshot_ids),
        locked=[
            LockedSnapshot(snapshot_id=lock.snapshot_id, lock_state=lock.state, expires_at=lock.expires_at)
            for lock in held
        ],
        account_id=str(state.account_id),
    )
