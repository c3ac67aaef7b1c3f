"""``aws.ebs.snapshot-instance``: one crash-consistent set of snapshots of all EBS volumes of an instance.

The set is asked for by one ``CreateSnapshots`` call, so that all volumes are of one instant. It carries the
step's marker as a tag; a look finds it again, so that a lost answer or a crash never makes a second set.
Completion is awaited by ``aws.ebs.await-snapshots``: the content is fixed when the call is accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

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
    Waiting,
    Where,
)  # fmt: skip
from irrunner.actions.ebs.snapshots import (
    DRILL_TAG,
    INSTANCE_TAG,
    MARKER_TAG,
    MAX_TAGS,
    Snapshot,
    instant,
    marked,
    tag_specification,
    tags_of,
)  # fmt: skip
from irrunner.actions.ids import InstanceId
from irrunner.actions.registry import action
from irrunner.errors import ActionError, TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

GONE: Final = frozenset({"shutting-down", "terminated"})
VISIBLE_POLL_S: Final = 2.0


class Volume(Model):
    """An attached EBS volume."""

    volume_id: str
    device: str
    attached_at: str
    size_gib: int
    encrypted: bool
    kms_key_id: str | None
    tag_keys: tuple[str, ...] = ()


class SnapshotInstanceParams(Model):
    """Parameters of ``aws.ebs.snapshot-instance``."""

    instance_id: InstanceId


class SnapshotInstanceState(State):
    """The instance's volumes, and the snapshots that carry the step's marker."""

    instance_id: str
    instance_state: str
    volumes: tuple[Volume, ...]
    """The root volume first, then by device name."""
    instance_store: tuple[str, ...]
    """Disks of the host, which cannot be snapshotted."""
    instance_store_known: bool
    snapshots: tuple[Snapshot, ...]
    marker: str
    drill: bool


class SnapshotFacts(Model):
    """A snapshot that was taken."""

    snapshot_id: str
    volume_id: str
    encrypted: bool
    kms_key_id: str | None
    size_gib: int


class SnapshotInstanceOutputs(Model):
    """Outputs of ``aws.ebs.snapshot-instance``: one snapshot per volume, the root volume first."""

    snapshot_ids: list[str]
    snapshots: list[SnapshotFacts]
    started_at: str


@action(
    "aws.ebs.snapshot-instance",
    title="Snapshot all EBS volumes of an instance at one instant",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    permissions=(
        Permission("ec2:DescribeInstances"),
        Permission("ec2:DescribeInstanceTypes"),
        Permission("ec2:DescribeVolumes"),
        Permission("ec2:DescribeSnapshots"),
        Permission(
            "ec2:CreateSnapshots", "arn:{partition}:ec2:{region}:{account}:instance/{instance_id}", use="act"
        ),
        Permission("ec2:CreateSnapshots", "arn:{partition}:ec2:{region}:{account}:volume/*", use="act"),
        Permission("ec2:CreateSnapshots", "arn:{partition}:ec2:{region}::snapshot/*", use="act"),
        Permission(
            "ec2:CreateTags",
            "arn:{partition}:ec2:{region}::snapshot/*",
            use="act",
            conditions={"StringEquals": {"ec2:CreateAction": "CreateSnapshots"}},
        ),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="Snapshots are evidence; undo never deletes evidence.",
    timeout_s=120.0,
    consistency_s=30.0,
    evidence=True,
    sources=(
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSnapshots.html",
        "https://docs.aws.amazon.com/ebs/latest/userguide/ebs-create-snapshots.html",
    ),
)
class SnapshotInstance(Action[SnapshotInstanceParams, SnapshotInstanceState]):
    """Take a multi-volume snapshot set and read it back."""

    Params = SnapshotInstanceParams
    Outputs = SnapshotInstanceOutputs
    StateModel = SnapshotInstanceState

    def look(self, ctx: LookContext, params: SnapshotInstanceParams) -> SnapshotInstanceState:
        """Describe the instance's volumes and the snapshots of this step."""
        snapshots = marked(ctx.api, ctx.marker)
        instance = _instance(ctx, params.instance_id, found=bool(snapshots))
        disks = instance_store(ctx, instance.get("InstanceType"))
        return SnapshotInstanceState(
            instance_id=params.instance_id,
            instance_state=instance.get("State", {}).get("Name", "terminated"),
            volumes=_volumes(ctx, instance),
            instance_store=disks or (),
            instance_store_known=disks is not None,
            snapshots=snapshots,
            marker=ctx.marker,
            drill=ctx.drill,
        )

    def decide(self, params: SnapshotInstanceParams, state: SnapshotInstanceState) -> Decision:
        """Ask for the set once; then wait until each volume's snapshot is visible."""
        if state.snapshots:
            return _read_back(state)
        if state.volumes:
            return Act((_create_snapshots(state),))
        if state.instance_state in GONE:
            return Refused(
                f"{state.instance_id} is {state.instance_state} and has no volumes attached any more; volumes"
                " kept by DeleteOnTermination=false can still be snapshotted one by one"
            )
        return Refused(
            f"{state.instance_id} has no EBS volume; instance-store disks cannot be snapshotted:"
            " collect them from inside the instance before it stops"
        )

    def foresee(
        self, params: SnapshotInstanceParams, state: SnapshotInstanceState, step: str
    ) -> PlannedOutputs:
        """Return one token per volume, with what is known of the snapshot to come."""
        decision = self.decide(params, state)
        if isinstance(decision, Settled):
            return PlannedOutputs(decision.outputs.model_dump(mode="json"))
        return _planned(state, step) if isinstance(decision, Act) else PlannedOutputs({})

    def targets(self, params: SnapshotInstanceParams, where: Where) -> tuple[str, ...]:
        """Return nothing: no existing resource changes, and a protected host may be preserved too."""
        return ()


def _instance(ctx: LookContext, instance_id: str, *, found: bool) -> Mapping[str, Any]:
    try:
        answer = ctx.api.call("ec2:DescribeInstances", InstanceIds=[instance_id])
    except TargetNotFound:
        # An hour after its end an instance is no longer described; its snapshots are.
        if found:
            return {}
        raise
    instances = [item for group in answer.get("Reservations", ()) for item in group["Instances"]]
    if not instances and not found:
        raise TargetNotFound(f"no instance {instance_id} in {ctx.where.account_id} {ctx.where.region}")
    return instances[0] if instances else {}


def _volumes(ctx: LookContext, instance: Mapping[str, Any]) -> tuple[Volume, ...]:
    attached = {
        mapping["Ebs"]["VolumeId"]: mapping
        for mapping in instance.get("BlockDeviceMappings") or ()
        if mapping.get("Ebs", {}).get("VolumeId")
    }
    if not attached:
        return ()
    root = instance.get("RootDeviceName")
    described = ctx.api.call("ec2:DescribeVolumes", VolumeIds=sorted(attached))["Volumes"]
    volumes = (_volume(item, attached[item["VolumeId"]]) for item in described)
    return tuple(sorted(volumes, key=lambda volume: (volume.device != root, volume.device)))


def _volume(volume: Mapping[str, Any], mapping: Mapping[str, Any]) -> Volume:
    return Volume(
        volume_id=volume["VolumeId"],
        device=mapping.get("DeviceName") or "",
        attached_at=instant(mapping["Ebs"].get("AttachTime")),
        size_gib=int(volume.get("Size") or 0),
        encrypted=bool(volume.get("Encrypted")),
        kms_key_id=volume.get("KmsKeyId") or None,
        tag_keys=tuple(sorted(tags_of(volume))),
    )


def instance_store(ctx: LookContext, instance_type: str | None) -> tuple[str, ...] | None:
    """Return the host disks of an instance type, None where AWS does not say.

    Describing them serves a warning only, so its failure must not cost the evidence.
    """
    if not instance_type:
        return None
    try:
        answer = ctx.api.call("ec2:DescribeInstanceTypes", InstanceTypes=[instance_type])
    except ActionError:
        return None
    types = answer.get("InstanceTypes") or ()
    disks = [disk for item in types for disk in (item.get("InstanceStorageInfo") or {}).get("Disks") or ()]
    return tuple(f"{disk.get('Count', 1)} x {disk.get('SizeInGB', '?')} GB" for disk in disks)


def _create_snapshots(state: SnapshotInstanceState) -> Call:
    tags = {MARKER_TAG: state.marker, INSTANCE_TAG: state.instance_id}
    if state.drill:
        tags[DRILL_TAG] = "true"
    params: dict[str, Any] = {
        "Description": f"irrunner evidence of {state.instance_id}",
        "InstanceSpecification": {"InstanceId": state.instance_id, "ExcludeBootVolume": False},
        "TagSpecifications": tag_specification(tags),
    }
    if _may_copy_tags(state.volumes, tags):
        params["CopyTagsFromSource"] = "volume"
    return Call(
        operation="ec2:CreateSnapshots",
        params=params,
        target=state.instance_id,
        summary=f"Snapshot the {len(state.volumes)} EBS volume(s) of {state.instance_id} at one instant",
        after={"volumes": [volume.volume_id for volume in state.volumes]},
        reversible=False,
        yields={"snapshot-ids": "Snapshots[].SnapshotId"},
    )


def _may_copy_tags(volumes: tuple[Volume, ...], tags: Mapping[str, str]) -> bool:
    """Return whether the volumes' tags fit beside ours.

    The tags of a compromised host's volumes may be the attacker's: 50 of them, or one with our marker's
    key, would make AWS refuse the call, and with it the evidence.
    """
    own = {key for volume in volumes for key in volume.tag_keys if not key.lower().startswith("aws:")}
    most = max(len([key for key in volume.tag_keys if key in own]) for volume in volumes)
    return not own & tags.keys() and most + len(tags) <= MAX_TAGS


def _read_back(state: SnapshotInstanceState) -> Decision:
    failed = [item for item in state.snapshots if item.state == "error"]
    if failed:
        return Broken("; ".join(item.trouble for item in failed), code="snapshot-error")
    taken_at = min(item.started_at for item in state.snapshots)
    have = {item.volume_id for item in state.snapshots}
    missing = [volume for volume in state.volumes if volume.volume_id not in have]
    expected = [volume.volume_id for volume in missing if volume.attached_at <= taken_at]
    if expected:
        return Waiting(f"accepted; not visible yet: {', '.join(expected)}", poll_s=VISIBLE_POLL_S)
    later = tuple(
        f"{volume.volume_id} was attached after the snapshots were taken and is not among them"
        for volume in missing
    )
    return Settled(_outputs(state, taken_at), warnings=(*_store_warnings(state), *later))


def _outputs(state: SnapshotInstanceState, taken_at: str) -> SnapshotInstanceOutputs:
    order = {volume.volume_id: index for index, volume in enumerate(state.volumes)}
    ranked = sorted(
        state.snapshots, key=lambda item: (order.get(item.volume_id, len(order)), item.snapshot_id)
    )
    return SnapshotInstanceOutputs(
        snapshot_ids=[item.snapshot_id for item in ranked],
        snapshots=[
            SnapshotFacts(
                snapshot_id=item.snapshot_id,
                volume_id=item.volume_id,
                encrypted=item.encrypted,
                kms_key_id=item.kms_key_id,
                size_gib=item.size_gib,
            )
            for item in ranked
        ],
        started_at=taken_at,
    )


def _store_warnings(state: SnapshotInstanceState) -> tuple[str, ...]:
    if state.instance_store:
        disks = ", ".join(state.instance_store)
        return (f"instance-store disks ({disks}) are not in the snapshots, and are lost at a stop",)
    if not state.instance_store_known:
        return ("cannot tell whether the instance has instance-store disks; those are not in the snapshots",)
    return ()


def _planned(state: SnapshotInstanceState, step: str) -> PlannedOutputs:
    facts: dict[str, dict[str, Any]] = {
        str(Token(f"from {step}.snapshot_ids[{index}]")): {
            "volume_id": volume.volume_id,
            "encrypted": volume.encrypted,
            "kms_key_id": volume.kms_key_id,
            "size_gib": volume.size_gib,
            "instance_id": state.instance_id,
        }
        for index, volume in enumerate(state.volumes)
    }
    fields = SnapshotFacts.model_fields.keys()
    snapshots = [
        {"snapshot_id": token, **{key: fact[key] for key in fact.keys() & fields}}
        for token, fact in facts.items()
    ]
    outputs = {
        "snapshot_ids": list(facts),
        "snapshots": snapshots,
        "started_at": str(Token(f"from {step}.started_at")),
    }
    return PlannedOutputs(outputs, facts)
