"""The calls of ``aws.ebs.copy-to-forensics``; a snapshot or grant that does not exist yet is a token."""

from __future__ import annotations

from typing import Any, Final

from irrunner.actions.contract import Call, Token
from irrunner.actions.ebs.copy_state import CopyPlace
from irrunner.actions.ebs.keys import Key
from irrunner.actions.ebs.lending import Id
from irrunner.actions.ebs.snapshots import DRILL_TAG, INSTANCE_TAG, MARKER_TAG, Snapshot, tag_specification

TRANSFER_COPY: Final = Token("transfer-copy")
FORENSIC_COPY: Final = Token("forensic-copy")

BUSY: Final = ("ResourceLimitExceeded",)
"""Too many copies at once: the next look waits for a free place.

Source: Amazon EBS user guide, "Copy an Amazon EBS snapshot": 20 concurrent copies per destination Region.
"""


def transfer_copy(state: CopyPlace, source: Snapshot) -> Call:
    """Re-encrypt the source under the transfer key, in its own account."""
    return Call(
        operation="ec2:CopySnapshot",
        params=_copy_params(state, source, source.snapshot_id, _name(state.transfer_key)),
        target=source.snapshot_id,
        summary=f"Copy {source.snapshot_id} from the default key aws/ebs to {state.transfer_key_name}",
        before={"kms_key_id": source.kms_key_id},
        after={"kms_key_id": _name(state.transfer_key)},
        reversible=False,
        yields={TRANSFER_COPY.name: "SnapshotId"},
        tolerate=BUSY,
    )


def share(state: CopyPlace, snapshot: Id) -> Call:
    """Let the forensic account use the snapshot."""
    return _permission(state, snapshot, "add", f"Share {snapshot} with {state.forensic_account_id}")


def unshare(state: CopyPlace, snapshot: Id) -> Call:
    """Take the snapshot back from the forensic account, which has its own copy now."""
    return _permission(state, snapshot, "remove", f"Stop sharing {snapshot}: the copy stands by itself")


def forensic_copy(state: CopyPlace, source: Snapshot, snapshot: Id) -> Call:
    """Copy what is shared into the forensic account, under its own key."""
    return Call(
        operation="ec2:CopySnapshot",
        params=_copy_params(state, source, snapshot, _name(state.forensic_key)),
        target=source.snapshot_id,
        summary=f"Copy {snapshot} into {state.forensic_account_id} under {state.forensic_key_name}",
        after={"account_id": state.forensic_account_id, "kms_key_id": _name(state.forensic_key)},
        reversible=False,
        scope="forensics",
        region=state.forensic_region,
        yields={FORENSIC_COPY.name: "SnapshotId"},
        tolerate=BUSY,
    )


def _permission(state: CopyPlace, snapshot: Id, operation: str, summary: str) -> Call:
    return Call(
        operation="ec2:ModifySnapshotAttribute",
        params={
            "SnapshotId": snapshot,
            "Attribute": "createVolumePermission",
            "OperationType": operation,
            "UserIds": [state.forensic_account_id],
        },
        target=str(snapshot),
        summary=summary,
        after={"createVolumePermission": f"{operation} {state.forensic_account_id}"},
    )


def _copy_params(state: CopyPlace, source: Snapshot, snapshot: Id, key: str) -> dict[str, Any]:
    lineage = {
        MARKER_TAG: state.marker,
        INSTANCE_TAG: source.instance_id or "",
        "irrunner:source-snapshot": source.snapshot_id,
        "irrunner:source-volume": source.volume_id,
        "irrunner:source-account": state.account_id,
        "irrunner:source-region": state.region,
        DRILL_TAG: "true" if state.drill else "",
    }
    return {
        "SourceRegion": state.region,
        "SourceSnapshotId": snapshot,
        "Description": f"irrunner evidence: copy of {source.snapshot_id} of {source.volume_id}",
        "Encrypted": True,
        "KmsKeyId": key,
        "TagSpecifications": tag_specification(lineage),
    }


def _name(key: Key | None) -> str:
    return key.arn if key is not None else ""
