"""Look at an acquisition: some dozen reads, however many volumes there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from forensics.acquisition.seen import AcquireState, Taken, VolumeSeen
from irrunner.actions.contract import LookContext, ReadApi
from irrunner.actions.ebs.copy_state import CopyPlace, place_of
from irrunner.actions.ebs.keys import Key, obstacle, read_key
from irrunner.actions.ebs.lending import grant_on
from irrunner.actions.ebs.locks import STANDING, locks_of
from irrunner.actions.ebs.snapshot_instance import instance_store
from irrunner.actions.ebs.snapshots import FILTER_VALUES, instant, marked_answers, tags_of
from irrunner.actions.ids import is_token
from irrunner.clock import iso
from irrunner.errors import ActionDenied, TargetNotFound

SOURCE_SNAPSHOT: Final = "irrunner:source-snapshot"
SOURCE_VOLUME: Final = "irrunner:source-volume"
VOLUME_OF_A_COPY: Final = "vol-ffffffff"
"""What AWS says of a copy's volume, and so how copies in progress are told from snapshots in progress.

Source: EC2 API reference, Snapshot, VolumeId: "An arbitrary ID that you can use to identify copies".
"""
STAGES: Final = {
    ("target", "ec2:CreateSnapshots"): "set",
    ("target", "ec2:CreateSnapshot"): "snapshot",
    ("target", "ec2:LockSnapshot"): "lock",
    ("target", "ec2:CopySnapshot"): "transfer",
    ("target", "kms:CreateGrant"): "lend",
    ("target", "ec2:ModifySnapshotAttribute"): "share",
    ("forensics", "ec2:CopySnapshot"): "copy",
    ("forensics", "ec2:LockSnapshot"): "lock-copy",
    ("target", "kms:RevokeGrant"): "return",
}
"""The calls of an acquisition, by scope and operation."""


def look_at(
    ctx: LookContext, volume_ids: Sequence[str], instance_ids: Sequence[str], lock_days: int
) -> AcquireState:
    """Look at the volumes, their snapshots and copies, the keys, and what is lent.

    Args:
        ctx: Reads in the incident's and in the forensic account.
        volume_ids: Volumes that are named.
        instance_ids: Instances whose volumes are wanted.
        lock_days: How long snapshots are locked.
    """
    place = place_of(ctx)
    known = [item for item in (*volume_ids, *instance_ids) if not is_token(item)]
    bare = AcquireState(
        **place.model_dump() | {"planned": len(known) < len(volume_ids) + len(instance_ids)},
        lock_days=lock_days,
        seen_at=iso(ctx.now),
    )
    if ctx.forensics is None or not place.ready:
        return bare
    found = _by_volume(ctx, ctx.forensics)
    volumes, more = _volumes(ctx, volume_ids, instance_ids, _with_source(found))
    volumes = _with_snapshots(ctx, ctx.forensics, volumes, found)
    seen: dict[str, Any] = {**more, **_keys(ctx, ctx.forensics, place, volumes)}
    state = bare.model_copy(update={"volumes": volumes, **seen})
    state = state.model_copy(update=_in_progress(ctx, ctx.forensics, state))
    return state.model_copy(update=_loans(ctx, ctx.forensics, state))


def _with_source(found: Mapping[str, Mapping[str, list[Mapping[str, Any]]]]) -> frozenset[str]:
    return frozenset(volume_id for volume_id, roles in found.items() if roles.get("source"))


def _chunks(items: Iterable[str]) -> Iterable[list[str]]:
    ordered = list(dict.fromkeys(items))
    return (ordered[start : start + FILTER_VALUES] for start in range(0, len(ordered), FILTER_VALUES))


def _filtered(api: ReadApi, operation: str, path: str, name: str, values: Iterable[str]) -> list[Any]:
    """Describe by filter: what is gone hides nothing else."""
    return [
        item
        for chunk in _chunks(values)
        for item in api.pages(operation, path, Filters=[{"Name": name, "Values": chunk}])
    ]


def _volumes(
    ctx: LookContext, volume_ids: Sequence[str], instance_ids: Sequence[str], taken: frozenset[str]
) -> tuple[tuple[VolumeSeen, ...], dict[str, Any]]:
    named = [item for item in volume_ids if not is_token(item)]
    owners = [item for item in instance_ids if not is_token(item)]
    path = "Reservations[].Instances[]"
    instances = _filtered(ctx.api, "ec2:DescribeInstances", path, "instance-id", owners)
    attached = {
        mapping["Ebs"]["VolumeId"]: (instance["InstanceId"], instant(mapping["Ebs"].get("AttachTime")))
        for instance in instances
        for mapping in instance.get("BlockDeviceMappings") or ()
        if mapping.get("Ebs", {}).get("VolumeId")
    }
    wanted = dict.fromkeys([*named, *attached])
    missing = [volume_id for volume_id in wanted if volume_id not in taken]
    described = {
        item["VolumeId"]: item
        for item in _filtered(ctx.api, "ec2:DescribeVolumes", "Volumes", "volume-id", missing)
    }
    volumes = tuple(
        _volume(volume_id, described.get(volume_id), attached.get(volume_id)) for volume_id in wanted
    )
    gone = sorted({*owners} - {instance["InstanceId"] for instance in instances})
    beyond = (
        *(f"{item} does not exist (any more)" for item in gone),
        *_host_disks(ctx, instances),
        *_coded(instances),
    )
    return volumes, {"beyond_reach": beyond}


def _volume(
    volume_id: str, described: Mapping[str, Any] | None, attached: tuple[str, str] | None
) -> VolumeSeen:
    attachments = (described or {}).get("Attachments") or [{}]
    instance_id = attached[0] if attached else attachments[0].get("InstanceId")
    return VolumeSeen(
        volume_id=volume_id,
        instance_id=instance_id or None,
        attached_at=attached[1] if attached else "",
        in_set=attached is not None,
        exists=described is not None,
        size_gib=int((described or {}).get("Size") or 0),
        encrypted=bool((described or {}).get("Encrypted")),
        kms_key_id=(described or {}).get("KmsKeyId") or None,
    )


def _host_disks(ctx: LookContext, instances: Iterable[Mapping[str, Any]]) -> list[str]:
    """Name the disks that no snapshot holds; each instance type is asked for once."""
    of_type: dict[str, list[str]] = defaultdict(list)
    for instance in instances:
        of_type[str(instance.get("InstanceType") or "")].append(instance["InstanceId"])
    told = []
    for instance_type, owners in sorted(of_type.items()):
        disks = instance_store(ctx, instance_type)
        told += [
            f"{owner}: its instance-store disks ({', '.join(disks)}) cannot be snapshotted, and are lost at a"
            " stop: collect them from inside"
            for owner in owners
            if disks
        ]
    return told


def _coded(instances: Iterable[Mapping[str, Any]]) -> list[str]:
    """Name the hosts whose disks bear Marketplace product codes, before anything is shared.

    Only a public share is documented to fail, so the others are tried. No list of volumes or snapshots tells
    the codes, and each volume would be a read of its own: the host's code stands for those of its root disk.

    Source: EC2 API reference, ModifySnapshotAttribute; Instance, ProductCodes.
    """
    told = []
    for instance in instances:
        codes = [
            str(code.get("ProductCodeId"))
            for code in instance.get("ProductCodes") or ()
            if code.get("ProductCodeType") == "marketplace"
        ]
        if codes:
            told.append(
                f"{instance['InstanceId']}: its root disk bears the Marketplace product code"
                f" {', '.join(codes)}: where AWS does not let its snapshot be shared it stays in"
                " its account, and a volume of it attaches only to a stopped instance of a subscriber"
            )
    return told


def _by_volume(ctx: LookContext, forensics: ReadApi) -> dict[str, dict[str, list[Mapping[str, Any]]]]:
    """Return volume id to role (``source transfer copy``) to the step's snapshots, oldest first."""
    found: dict[str, dict[str, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for api, copy_role in ((ctx.api, "transfer"), (forensics, "copy")):
        answers = marked_answers(api, ctx.marker)
        for answer in sorted(answers, key=lambda item: (instant(item.get("StartTime")), item["SnapshotId"])):
            tags = tags_of(answer)
            copied = SOURCE_SNAPSHOT in tags
            volume_id = tags.get(SOURCE_VOLUME, "") if copied else str(answer.get("VolumeId"))
            found[volume_id][copy_role if copied else "source"].append(answer)
    return found


def _with_snapshots(
    ctx: LookContext,
    forensics: ReadApi,
    volumes: tuple[VolumeSeen, ...],
    found: Mapping[str, Mapping[str, list[Mapping[str, Any]]]],
) -> tuple[VolumeSeen, ...]:
    """Add what was taken of each volume, also of those that nobody describes any more."""
    known = {volume.volume_id: volume for volume in volumes}
    for volume_id in found:
        if volume_id.startswith("vol-") and volume_id != VOLUME_OF_A_COPY:
            known.setdefault(volume_id, VolumeSeen(volume_id=volume_id, exists=False))
    locked = {
        "source": _locked(ctx.api, found, "source"),
        "copy": _locked(forensics, found, "copy"),
        "transfer": frozenset[str](),
    }
    return tuple(_joined(volume, found.get(volume.volume_id) or {}, locked) for volume in known.values())


def _locked(
    api: ReadApi, found: Mapping[str, Mapping[str, list[Mapping[str, Any]]]], role: str
) -> frozenset[str]:
    ids = [answer["SnapshotId"] for roles in found.values() for answer in roles.get(role) or ()]
    return frozenset(name for name, lock in locks_of(api, ids).items() if lock.state in STANDING)


def _joined(
    volume: VolumeSeen,
    found: Mapping[str, list[Mapping[str, Any]]],
    locked: Mapping[str, frozenset[str]],
) -> VolumeSeen:
    taken = {role: _best(found.get(role) or [], locked[role]) for role in ("source", "transfer", "copy")}
    failed = sum(answer.get("State") == "error" for answer in found.get("copy") or ())
    update: dict[str, Any] = {
        "source": taken["source"], "transfer": taken["transfer"], "copy_made": taken["copy"],
        "failed_copies": failed,
    }  # fmt: skip
    first = next(iter(found.get("source") or ()), None)
    if first is not None:  # it says what the volume was; nobody asks for that again
        update |= {
            "size_gib": int(first.get("VolumeSize") or 0),
            "encrypted": bool(first.get("Encrypted")),
            "kms_key_id": first.get("KmsKeyId") or None,
            "instance_id": tags_of(first).get("irrunner:instance") or None,
        }
    return volume.model_copy(update=update)


def _best(answers: Sequence[Mapping[str, Any]], locked: frozenset[str]) -> Taken | None:
    """Return the first snapshot that did not fail, else the last that did."""
    live = [answer for answer in answers if answer.get("State") != "error"]
    chosen = live[0] if live else answers[-1] if answers else None
    if chosen is None:
        return None
    digits = str(chosen.get("Progress") or "0").rstrip("%")
    return Taken(
        snapshot_id=chosen["SnapshotId"],
        state=chosen.get("State") or "pending",
        percent=int(digits) if digits.isdigit() else 0,
        message=chosen.get("StateMessage") or "",
        started_at=instant(chosen.get("StartTime")),
        completed_at=instant(chosen.get("CompletionTime")),
        size_gib=int(chosen.get("VolumeSize") or 0),
        kms_key_id=chosen.get("KmsKeyId") or None,
        owner_id=chosen.get("OwnerId") or "",
        locked=chosen["SnapshotId"] in locked,
    )


def _keys(
    ctx: LookContext, forensics: ReadApi, place: CopyPlace, volumes: Iterable[VolumeSeen]
) -> dict[str, Any]:
    named = sorted({volume.kms_key_id for volume in volumes if volume.encrypted and volume.kms_key_id})
    keys = {name: _key(ctx, forensics, name) for name in named}
    by_aws = any(key.manager == "AWS" for key in keys.values())
    return {
        "keys": keys,
        "transfer_key": read_key(ctx.api, place.transfer_key_name, place.account_id) if by_aws else None,
        "forensic_key": read_key(forensics, place.forensic_key_name, str(place.forensic_account_id)),
    }


def _key(ctx: LookContext, forensics: ReadApi, name: str) -> Key:
    """Describe a key; one of a third account is asked for as the forensic account, which reads with it."""
    key = read_key(ctx.api, name, ctx.where.account_id)
    if key.state != "Foreign":
        return key
    try:
        metadata = forensics.in_region(ctx.where.region).call("kms:DescribeKey", KeyId=name)["KeyMetadata"]
    except (ActionDenied, TargetNotFound):
        return key
    return key.model_copy(update={"manager": "CUSTOMER", "state": metadata.get("KeyState") or "Enabled"})


def _in_progress(ctx: LookContext, forensics: ReadApi, state: AcquireState) -> dict[str, int]:
    filters = [
        {"Name": "status", "Values": ["pending"]},
        {"Name": "volume-id", "Values": [VOLUME_OF_A_COPY]},
    ]

    def count(api: ReadApi) -> int:
        path = "Snapshots[].SnapshotId"
        return len(api.pages("ec2:DescribeSnapshots", path, OwnerIds=["self"], Filters=filters))

    transfers = any(key.manager == "AWS" for key in state.keys.values())
    return {
        "transfers_in_progress": count(ctx.api) if transfers else 0,
        "copies_in_progress": count(forensics),
    }


def _obstacle(state: AcquireState, volume: VolumeSeen) -> str:
    """Return why the key of a volume keeps its snapshot where it is; empty: it does not."""
    if not volume.encrypted:
        return ""
    return obstacle(state.keys.get(volume.kms_key_id or ""), f"the key of {volume.volume_id}") or ""


def _loans(ctx: LookContext, forensics: ReadApi, state: AcquireState) -> dict[str, Any]:
    """Add what is lent: shares as the forensic account sees them (one read for hundreds), and grants."""
    lent = {volume.volume_id: state.lent(volume) for volume in state.volumes}
    asked = [taken.snapshot_id for taken in lent.values() if taken is not None]
    visible = {
        item
        for chunk in _chunks(asked)
        for item in forensics.in_region(state.region).pages(
            "ec2:DescribeSnapshots",
            "Snapshots[].SnapshotId",
            OwnerIds=[state.account_id],
            Filters=[{"Name": "snapshot-id", "Values": chunk}],
        )
    }
    grants = _grants(ctx, state)
    volumes = tuple(
        volume.model_copy(
            update={
                "shared": (taken := lent[volume.volume_id]) is not None and taken.snapshot_id in visible,
                "obstacle": _obstacle(state, volume),
                "refused": _refusals(ctx, state, volume),
            }
        )
        for volume in state.volumes
    )
    return {"volumes": volumes, "grants": grants}


def _grants(ctx: LookContext, state: AcquireState) -> dict[str, str]:
    lent = {key.arn: key for volume in state.volumes if (key := state.lent_key(volume)) is not None}
    found = {arn: grant_on(ctx.api, key, state.marker) for arn, key in sorted(lent.items())}
    return {arn: grant_id for arn, grant_id in found.items() if grant_id is not None}


def _refusals(ctx: LookContext, state: AcquireState, volume: VolumeSeen) -> dict[str, str]:
    """Return what AWS refused of a volume, of its snapshots, its key and its instance."""
    if not ctx.refused:
        return {}
    key = state.lent_key(volume)
    own = {
        volume.volume_id,
        volume.instance_id or "",
        key.arn if key else "",
        *(taken.snapshot_id for taken in (volume.source, volume.transfer, volume.copy_made) if taken),
    }
    return {
        STAGES[scope, operation]: why
        for (scope, operation, target), why in ctx.refused.items()
        if target in own
    }
