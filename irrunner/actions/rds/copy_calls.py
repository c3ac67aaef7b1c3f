"""The calls of ``aws.rds.copy-snapshot-to-forensics``."""

from __future__ import annotations

from typing import Any

from irrunner.actions.contract import Call
from irrunner.actions.rds.copy_state import RESTORE, CopyState
from irrunner.actions.rds.databases import Kind
from irrunner.actions.rds.snapshots import Snapshot, named, operation, tags


def transfer_copy(state: CopyState, source: Snapshot) -> Call:
    """Copy the source within its account, so that RDS shares it."""
    key = state.transfer_key
    return Call(
        operation("Copy", state.kind),
        _copy(state, source.arn, state.transfer_id, key.arn if key else ""),
        target=source.arn,
        summary=f"Copy {source.snapshot_id} to {state.transfer_id}, which can be shared",
        before={"kms_key_id": source.kms_key_id, "type": source.type},
        after={"kms_key_id": key.arn if key else None, "type": "manual"},
        reversible=False,
    )


def share(state: CopyState, snapshot_id: str) -> Call:
    """Let the forensic account copy the snapshot."""
    account = str(state.forensic_account_id)
    return permission(state.kind, snapshot_id, f"Share {snapshot_id} with {account}", add=(account,))


def unshare(state: CopyState, snapshot_id: str) -> Call:
    """Take the snapshot back from the forensic account, which has its own copy now."""
    account = str(state.forensic_account_id)
    summary = f"Stop sharing {snapshot_id}: the copy stands by itself"
    return permission(state.kind, snapshot_id, summary, remove=(account,))


def forensic_copy(state: CopyState, source: Snapshot, snapshot_id: str) -> Call:
    """Copy what is shared into the forensic account, under its own key."""
    key = state.forensic_key.arn if state.forensic_key and state.encrypts else ""
    return Call(
        operation("Copy", state.kind),
        _copy(state, state.arn(state.account_id, snapshot_id), state.copy_id, key),
        target=source.arn,
        summary=f"Copy {snapshot_id} into {state.forensic_account_id} under {key or 'no key'}",
        after={"account_id": state.forensic_account_id, "kms_key_id": key or None},
        reversible=False,
        scope="forensics",
        region=state.region,
    )


def permission(
    kind: Kind, snapshot_id: str, summary: str, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()
) -> Call:
    """Change with whom a snapshot is shared."""
    changes = {"ValuesToAdd": list(add), "ValuesToRemove": list(remove)}
    return Call(
        operation("Modify", kind, "SnapshotAttribute"),
        {
            **named(kind, snapshot_id),
            "AttributeName": RESTORE,
            **{name: values for name, values in changes.items() if values},
        },
        target=snapshot_id,
        summary=summary,
        before={RESTORE: list(remove)},
        after={RESTORE: list(add)},
    )


def _copy(state: CopyState, source_arn: str, target_id: str, key: str) -> dict[str, Any]:
    return {
        **named(state.kind, source_arn, "Source"),
        **named(state.kind, target_id, "Target"),
        "CopyTags": False,
        "Tags": tags(state.marker, drill=state.drill),
        **({"KmsKeyId": key} if key else {}),
    }
