"""``forensics.acquire-volumes``: the disks of hundreds of hosts, out of their account's reach."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, Self

from pydantic import Field, model_validator

from forensics.acquisition.look import look_at
from forensics.acquisition.progress import words
from forensics.acquisition.seen import AcquireState, VolumeSeen
from forensics.acquisition.stages import Ended, Outcome, Step, apart, create_one, create_set, returns, steps
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
    Token,
    Waiting,
    Where,
)  # fmt: skip
from irrunner.actions.ebs import copy_calls
from irrunner.actions.ebs.copy_to_forensics import CopyToForensics, unreachable
from irrunner.actions.ebs.keys import Route
from irrunner.actions.ebs.lending import GRANT, lend_key, return_key
from irrunner.actions.ebs.locks import lock_call
from irrunner.actions.ids import InstanceId, VolumeId
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy

CALLS_OF_A_ROUND: Final = 100
"""Then it looks again: EC2's bucket of requests makes a longer round hold its thread for long."""
POLL_S: Final = 20.0

_SNAPSHOTS: Final = "arn:{partition}:ec2:{region}::snapshot/*"
_ANY_SNAPSHOT: Final = "arn:{partition}:ec2:*::snapshot/*"
_TAGGING: Final = tuple(
    Permission(
        "ec2:CreateTags", _SNAPSHOTS, use="act", conditions={"StringEquals": {"ec2:CreateAction": creating}}
    )
    for creating in ("CreateSnapshot", "CreateSnapshots")
)


class AcquireVolumesParams(Model):
    """Parameters of ``forensics.acquire-volumes``."""

    volume_ids: list[VolumeId] = Field(default=[], max_length=500)
    instance_ids: list[InstanceId] = Field(default=[], max_length=100)
    """All EBS volumes of these, each instance at one instant."""
    lock_days: int = Field(default=30, ge=0, le=36_500)
    """Governance lock on the snapshots and on their copies; 0: none."""

    @model_validator(mode="after")
    def _something_is_named(self) -> Self:
        if not self.volume_ids and not self.instance_ids:
            raise ValueError("name volume_ids or instance_ids: there is nothing to acquire")
        return self


class VolumeResult(Model):
    """What became of one volume."""

    volume_id: str
    instance_id: str | None
    outcome: Outcome
    reason: str
    """Why it was not acquired; empty where it was."""
    route: Route
    size_gib: int
    snapshot_id: str | None
    transfer_snapshot_id: str | None
    """The copy under the transfer key that stays in the source account, where one was needed."""
    forensic_snapshot_id: str | None
    locked: bool
    """The snapshot and, where there is one, its copy."""


class AcquireVolumesOutputs(Model):
    """Outputs of ``forensics.acquire-volumes``."""

    forensic_snapshot_ids: list[str]
    volumes: list[VolumeResult]
    acquired: int
    not_acquired: list[str]
    """Volumes that are not in the forensic account; the reason is with each."""
    size_gib: int
    """Of what was acquired."""
    kms_key_id: str
    forensic_account_id: str
    forensic_region: str


@action(
    "forensics.acquire-volumes",
    title="Acquire many volumes into the forensic account",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    permissions=(
        *CopyToForensics.permissions,
        *_TAGGING,
        Permission("ec2:DescribeInstances"),
        Permission("ec2:DescribeInstanceTypes"),
        Permission("ec2:DescribeVolumes"),
        Permission("ec2:DescribeLockedSnapshots"),
        Permission("ec2:DescribeLockedSnapshots", scope="forensics"),
        Permission("ec2:CreateSnapshot", "arn:{partition}:ec2:{region}:{account}:volume/*", use="act"),
        Permission("ec2:CreateSnapshot", _SNAPSHOTS, use="act"),
        Permission("ec2:CreateSnapshots", "arn:{partition}:ec2:{region}:{account}:instance/*", use="act"),
        Permission("ec2:CreateSnapshots", "arn:{partition}:ec2:{region}:{account}:volume/*", use="act"),
        Permission("ec2:CreateSnapshots", _SNAPSHOTS, use="act"),
        Permission("ec2:LockSnapshot", _SNAPSHOTS, use="act"),
        Permission("ec2:LockSnapshot", _ANY_SNAPSHOT, scope="forensics", use="act"),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="Snapshots and copies are evidence, which undo never deletes; what was lent was taken back.",
    timeout_s=7200.0,
    consistency_s=30.0,
    sources=(
        *CopyToForensics.sources,
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSnapshot.html",
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSnapshots.html",
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LockSnapshot.html",
    ),
)
class AcquireVolumes(Action[AcquireVolumesParams, AcquireState]):
    """Take each volume as far as its key allows; name what could not be had, and fail only for nothing."""

    Params = AcquireVolumesParams
    Outputs = AcquireVolumesOutputs
    StateModel = AcquireState

    def look(self, ctx: LookContext, params: AcquireVolumesParams) -> AcquireState:
        """Describe volumes, snapshots, copies, locks, keys and loans in pages of ids, in both accounts."""
        return look_at(ctx, params.volume_ids, params.instance_ids, params.lock_days)

    def decide(self, params: AcquireVolumesParams, state: AcquireState) -> Decision:
        """Send what comes next for as many volumes as a round takes; wait; or tell what became of each."""
        if not state.ready:
            return Refused(unreachable(state), code="forensics-not-configured")
        if state.planned:
            return Waiting("some of the volumes do not exist yet", POLL_S)
        following = steps(state)
        calls = _round(state, following)
        if calls:
            return Act(calls[:CALLS_OF_A_ROUND])
        if any(not isinstance(step, Ended) for step in following.values()):
            return Waiting(words(state, following), POLL_S)
        return _ended(state, {name: step for name, step in following.items() if isinstance(step, Ended)})

    def forecast(self, params: AcquireVolumesParams, state: AcquireState) -> tuple[Call, ...]:
        """Return the calls of all stages that are left."""
        if not state.ready:
            return ()
        following = steps(state)
        planned = [
            call for volume in state.volumes for call in _way(state, volume, following[volume.volume_id])
        ]
        keys = {
            key.arn: key
            for volume in state.volumes
            if (key := state.lent_key(volume)) is not None
            and not isinstance(following[volume.volume_id], Ended)
        }
        for arn, key in sorted(keys.items()):
            if arn not in state.grants:
                planned.append(lend_key(state, key))
            planned.append(return_key(key, state.grants.get(arn) or GRANT))
        return _once(planned)

    def foresee(self, params: AcquireVolumesParams, state: AcquireState, step: str) -> PlannedOutputs:
        """Return which volumes will be acquired by which way; the ids of their copies are tokens."""
        decision = self.decide(params, state)
        if isinstance(decision, Settled):
            return PlannedOutputs(decision.outputs.model_dump(mode="json"))
        if isinstance(decision, Refused | Broken):
            return PlannedOutputs({})
        following = steps(state)
        open_volumes = [v for v in state.volumes if not isinstance(following[v.volume_id], Ended)]
        ids = [str(Token(f"from {step}.forensic_snapshot_ids[{n}]")) for n in range(len(open_volumes))]
        return PlannedOutputs(
            {
                "forensic_snapshot_ids": ids,
                "not_acquired": [v.volume_id for v in state.volumes if v not in open_volumes],
                "size_gib": sum(v.size_gib for v in open_volumes),
                "forensic_account_id": state.forensic_account_id,
                "forensic_region": state.forensic_region,
            }
        )

    def targets(self, params: AcquireVolumesParams, where: Where) -> tuple[str, ...]:
        """Return nothing: no existing resource changes, and a protected host may be preserved too."""
        return ()


def _once(calls: list[Call]) -> tuple[Call, ...]:
    """Return calls without repetitions: volumes share an instance's set and a key's grant."""
    return tuple({(call.scope, call.operation, call.target, call.summary): call for call in calls}.values())


def _round(state: AcquireState, following: dict[str, Step]) -> tuple[Call, ...]:
    calls = [call for step in following.values() if isinstance(step, tuple) for call in step]
    pairs = [(volume, following[volume.volume_id]) for volume in state.volumes]
    return _once([*calls, *returns(state, pairs)])


def _way(state: AcquireState, volume: VolumeSeen, step: Step) -> list[Call]:
    """Return the calls of a volume from here to its end, as far as can be foreseen; keys are lent apart."""
    if isinstance(step, Ended):
        return []
    source = volume.as_snapshot(state.account_id)
    named = source.snapshot_id
    way: list[Call] = []
    if volume.source is None and volume.copy_made is None:
        in_set = volume.in_set and "set" not in volume.refused
        way.append(create_set(state, str(volume.instance_id)) if in_set else create_one(state, volume))
    if state.lock_days and not (volume.source and volume.source.locked) and volume.copy_made is None:
        way.append(lock_call(named, "governance", state.lock_days))
    lent = state.lent(volume)
    if state.route(volume) is Route.TRANSFER and volume.transfer is None and volume.copy_made is None:
        way.append(copy_calls.transfer_copy(state, source))
    name = lent.snapshot_id if lent else f"<lent of {volume.volume_id}>"
    if volume.copy_made is None:
        way += [] if volume.shared else [copy_calls.share(state, name)]
        way.append(copy_calls.forensic_copy(state, source, name))
    if state.lock_days and not (volume.copy_made and volume.copy_made.locked):
        copy = volume.copy_made.snapshot_id if volume.copy_made else f"<copy of {volume.volume_id}>"
        more: dict[str, Any] = {"scope": "forensics", "region": state.forensic_region}
        way.append(lock_call(copy, "governance", state.lock_days, **more))
    return [apart(call) for call in (*way, copy_calls.unshare(state, name))]


def _ended(state: AcquireState, ends: dict[str, Ended]) -> Decision:
    results = [_result(state, volume, ends[volume.volume_id]) for volume in state.volumes]
    acquired = [item for item in results if item.outcome == "acquired"]
    if not acquired:
        return _nothing(state, results)
    outputs = AcquireVolumesOutputs(
        forensic_snapshot_ids=[str(item.forensic_snapshot_id) for item in acquired],
        volumes=results,
        acquired=len(acquired),
        not_acquired=[item.volume_id for item in results if item.outcome != "acquired"],
        size_gib=sum(item.size_gib for item in acquired),
        kms_key_id=state.forensic_key.arn if state.forensic_key else state.forensic_key_name,
        forensic_account_id=str(state.forensic_account_id),
        forensic_region=state.forensic_region,
    )
    return Settled(outputs, _warnings(state, results))


def _nothing(state: AcquireState, results: list[VolumeResult]) -> Broken:
    """Fail: not one volume is where it cannot be tampered with."""
    known = any(volume.exists or volume.source for volume in state.volumes)
    code = "snapshot-error" if known else "target-not-found"
    reasons = [f"{item.volume_id} ({item.outcome}): {item.reason}" for item in results]
    told = "; ".join([*reasons, *state.beyond_reach]) or "the instances have no EBS volume"
    return Broken(f"no volume could be acquired: {told}", code=code, refused=known)


def _result(state: AcquireState, volume: VolumeSeen, ended: Ended) -> VolumeResult:
    source, copy = volume.source, volume.copy_made
    kept = [taken for taken in (source, copy) if taken is not None and taken.state != "error"]
    return VolumeResult(
        volume_id=volume.volume_id,
        instance_id=volume.instance_id,
        outcome=ended.outcome,
        reason=ended.reason,
        route=state.route(volume),
        size_gib=volume.size_gib or (copy.size_gib if copy else 0),
        snapshot_id=source.snapshot_id if source else None,
        transfer_snapshot_id=volume.transfer.snapshot_id if volume.transfer else None,
        forensic_snapshot_id=copy.snapshot_id if copy and ended.outcome == "acquired" else None,
        locked=bool(kept) and all(taken.locked for taken in kept),
    )


def _warnings(state: AcquireState, results: list[VolumeResult]) -> tuple[str, ...]:
    told = [
        f"{item.volume_id} was not acquired ({item.outcome}): {item.reason}"
        for item in results
        if item.reason
    ]
    told += state.beyond_reach
    not_locked = [item.volume_id for item in results if item.outcome != "not-acquired" and not item.locked]
    if state.lock_days and not_locked:
        told.append(f"not locked, so they can be deleted: snapshots of {', '.join(not_locked)}")
    lent = [volume.volume_id for volume in state.volumes if volume.shared]
    if lent:
        told.append(f"still shared with {state.forensic_account_id}: snapshots of {', '.join(lent)}")
    if state.grants:
        told.append(f"still lent to the forensic account: {', '.join(sorted(state.grants))}")
    transfers = Counter(item.transfer_snapshot_id is not None for item in results)[True]
    if transfers:
        copies = "1 copy" if transfers == 1 else f"{transfers} copies"
        told.append(f"left in the source account: {copies} under the transfer key")
    alone = [v.instance_id for v in state.volumes if v.in_set and "set" in v.refused]
    if alone:
        told.append(
            f"taken one by one, not at one instant: volumes of {', '.join(sorted(map(str, set(alone))))}"
        )
    return tuple(told)
