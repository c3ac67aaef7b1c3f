"""What a look of ``aws.rds.copy-snapshot-to-forensics`` sees, in both accounts.

The copy is made in the Region of the source: RDS copies what another account shares only within its Region.

Source: Amazon RDS user guide, "Copying a DB snapshot", and "Sharing encrypted snapshots".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from irrunner.actions.contract import LookContext, ReadApi, State, Token
from irrunner.actions.ebs.keys import Key, read_key
from irrunner.actions.ebs.lending import grant_on
from irrunner.actions.ids import is_token
from irrunner.actions.rds.databases import Kind
from irrunner.actions.rds.snapshots import (
    Snapshot,
    arn_of,
    belongs,
    id_of,
    kind_of,
    named,
    operation,
    read_snapshot,
    snapshot_name,
)

RESTORE = "restore"
"""Name of the attribute that lists with whom a snapshot is shared."""
PUBLIC = "all"


class CopyState(State):
    """One look. Everything after ``ready`` is empty where there is no forensic account to copy to."""

    marker: str
    drill: bool
    partition: str
    account_id: str
    region: str
    forensic_account_id: str | None
    forensic_role: str
    transfer_key_name: str
    forensic_key_name: str
    kind: Kind
    transfer_id: str
    """Name of the copy in the source account, where one is needed."""
    copy_id: str
    """Name of the forensic copy."""
    ready: bool
    """The forensic account can be reached."""
    elsewhere: bool
    """The source is of another account or Region than the incident."""
    planned: bool = False
    """The source does not exist yet."""
    source: Snapshot | None = None
    source_key: Key | None = None
    transfer_key: Key | None = None
    forensic_key: Key | None = None
    transfer: Snapshot | None = None
    forensic: Snapshot | None = None
    shared: bool = False
    grant_id: str | None = None

    @property
    def needs_transfer(self) -> bool:
        """Whether a copy must be made first: RDS shares no automated snapshot, and none under its own key."""
        source, key = self.source, self.source_key
        under_default = key is not None and key.manager == "AWS"
        return source is not None and (source.type != "manual" or under_default)

    @property
    def lent(self) -> Snapshot | None:
        """Return the snapshot that is shared with the forensic account."""
        return self.transfer if self.needs_transfer else self.source

    @property
    def lent_key(self) -> Key | None:
        """Return the key that the forensic account needs to read what is lent."""
        if self.source is None or not self.source.encrypted:
            return None
        return self.transfer_key if self.needs_transfer else self.source_key

    @property
    def encrypts(self) -> bool:
        """Whether the copy is under the forensic key: RDS encrypts no copy of an unencrypted cluster."""
        return self.source is not None and (self.source.encrypted or self.kind == "instance")

    def arn(self, account_id: str | None, snapshot_id: str) -> str:
        """Return the ARN of a snapshot of either account."""
        return arn_of(self.kind, self.partition, self.region, str(account_id), snapshot_id)


def look_at_copy(ctx: LookContext, snapshot_arn: str) -> CopyState:
    """Look at both accounts.

    Args:
        ctx: Reads in the incident's and in the forensic account.
        snapshot_arn: The source, or a plan's token for it.
    """
    bare = _bare(ctx, snapshot_arn)
    if ctx.forensics is None or not bare.ready or bare.elsewhere:
        return bare
    planned = is_token(snapshot_arn)
    forensics = ctx.forensics.in_region(ctx.where.region)
    source = (
        _foreseen(ctx, snapshot_arn) if planned else read_snapshot(ctx.api, bare.kind, id_of(snapshot_arn))
    )
    seen: dict[str, Any] = {"planned": planned, "source": source}
    if source is not None:
        seen |= {"kind": source.kind, **_keys(ctx, bare, source)}
    seen["forensic_key"] = read_key(forensics, bare.forensic_key_name, str(bare.forensic_account_id))
    state = bare.model_copy(update=seen)
    if planned:
        return state
    found: dict[str, Any] = {"forensic": read_snapshot(forensics, state.kind, state.copy_id)}
    if state.needs_transfer:
        found["transfer"] = read_snapshot(ctx.api, state.kind, state.transfer_id)
    state = state.model_copy(update=found)
    return state.model_copy(update=_loan(ctx, state))


def shared_with(api: ReadApi, kind: Kind, snapshot_id: str) -> tuple[str, ...]:
    """Return the accounts that may restore a manual snapshot; ``all`` is everyone."""
    answer = api.call(operation("Describe", kind, "SnapshotAttributes"), **named(kind, snapshot_id))
    prefix = operation("", kind, "SnapshotAttributes").partition(":")[2]
    attributes = (answer.get(f"{prefix}Result") or {}).get(prefix) or ()
    found = (item.get("AttributeValues") or () for item in attributes if item["AttributeName"] == RESTORE)
    return tuple(sorted(value for values in found for value in values))


def _bare(ctx: LookContext, snapshot_arn: str) -> CopyState:
    where, settings = ctx.where, ctx.settings.forensics
    transfer_id, copy_id = _names(snapshot_arn, ctx.marker)
    return CopyState(
        marker=ctx.marker,
        drill=ctx.drill,
        partition=where.partition,
        account_id=where.account_id,
        region=where.region,
        forensic_account_id=where.forensic_account_id,
        forensic_role=settings.role,
        transfer_key_name=where.transfer_kms_key or settings.transfer_kms_key,
        forensic_key_name=where.forensic_kms_key or settings.kms_key,
        kind=kind_of(snapshot_arn),
        transfer_id=transfer_id,
        copy_id=copy_id,
        elsewhere=not belongs(snapshot_arn, where),
        ready=ctx.forensics is not None and where.forensic_account_id not in (None, where.account_id),
    )


def _names(snapshot_arn: str, marker: str) -> tuple[str, str]:
    """Return the names of the transfer copy and of the forensic copy; tokens, where the source is one."""
    if is_token(snapshot_arn):
        return str(Token("transfer-copy")), str(Token("forensic-copy"))
    name = id_of(snapshot_arn).replace(":", "-")
    return snapshot_name(name, marker, "transfer"), snapshot_name(name, marker, "copy")


def _foreseen(ctx: LookContext, token: str) -> Snapshot | None:
    facts: Mapping[str, Any] | None = ctx.planned.get(token)
    if facts is None:
        return None
    return Snapshot(
        kind=facts["kind"],
        snapshot_id=str(facts["snapshot_id"]),
        arn=token,
        source_id=facts["db_id"],
        type="manual",
        status="creating",
        percent=0,
        encrypted=facts["encrypted"],
        kms_key_id=facts["kms_key_id"],
        engine=facts["engine"],
        size_gib=0,
        taken_at="",
        account_id=ctx.where.account_id,
    )


def _keys(ctx: LookContext, bare: CopyState, source: Snapshot) -> dict[str, Key | None]:
    if not source.encrypted:
        return {}
    own = read_key(ctx.api, source.kms_key_id, ctx.where.account_id) if source.kms_key_id else None
    if source.type == "manual" and (own is None or own.manager != "AWS"):
        return {"source_key": own}
    transfer = read_key(ctx.api, bare.transfer_key_name, ctx.where.account_id)
    return {"source_key": own, "transfer_key": transfer}


def _loan(ctx: LookContext, state: CopyState) -> dict[str, Any]:
    lent = state.lent
    if lent is None or lent.account_id != state.account_id or lent.type != "manual":
        return {}
    shared = state.forensic_account_id in shared_with(ctx.api, state.kind, lent.snapshot_id)
    return {"shared": shared, "grant_id": grant_on(ctx.api, state.lent_key, state.marker)}
