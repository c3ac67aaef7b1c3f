"""What ``aws.ebs.copy-to-forensics`` sees: source, keys, the loan to the forensic account, the copy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from irrunner.actions.contract import LookContext, ReadApi, State
from irrunner.actions.ebs.keys import Key, Route, read_key, route_of
from irrunner.actions.ebs.lending import grant_on
from irrunner.actions.ebs.snapshots import Snapshot, marked, snapshot_of
from irrunner.actions.ids import is_token
from irrunner.errors import TargetNotFound


class CopyPlace(State):
    """Where a copy comes from and goes to, and the keys of both ends."""

    marker: str
    drill: bool
    partition: str
    account_id: str
    region: str
    forensic_account_id: str | None
    forensic_region: str
    forensic_role: str
    transfer_key_name: str
    forensic_key_name: str
    ready: bool
    """The forensic account can be reached."""
    planned: bool = False
    """The source does not exist yet."""
    transfer_key: Key | None = None
    forensic_key: Key | None = None


class CopyState(CopyPlace):
    """One look. Everything after ``ready`` is empty where there is no forensic account to copy to."""

    source: Snapshot | None = None
    source_key: Key | None = None
    transfers: tuple[Snapshot, ...] = ()
    """Copies of this step in the source account, under the transfer key."""
    copies: tuple[Snapshot, ...] = ()
    """Copies of this step in the forensic account, also failed ones."""
    transfers_in_progress: int = 0
    copies_in_progress: int = 0
    """Pending snapshots of the destination account and Region, whoever asked for them."""
    shared: bool = False
    """The snapshot that is lent may be used by the forensic account."""
    grant_id: str | None = None
    """Our grant on the key of the snapshot that is lent."""

    @property
    def route(self) -> Route:
        """Return how the snapshot leaves its account."""
        return route_of(self.source is not None and self.source.encrypted, self.source_key)

    @property
    def transfer(self) -> Snapshot | None:
        """Return the transfer copy that did not fail."""
        return live(self.transfers)

    @property
    def copy_made(self) -> Snapshot | None:
        """Return the forensic copy that did not fail."""
        return live(self.copies)

    @property
    def lent(self) -> Snapshot | None:
        """Return the snapshot that is shared with the forensic account."""
        return self.transfer if self.route is Route.TRANSFER else self.source

    @property
    def lent_key(self) -> Key | None:
        """Return the key that the forensic account needs to read what is lent."""
        keys = {Route.TRANSFER: self.transfer_key, Route.CUSTOMER_KEY: self.source_key}
        return keys.get(self.route)


def live(snapshots: tuple[Snapshot, ...]) -> Snapshot | None:
    """Return the first snapshot that is not in ``error``."""
    return next((item for item in snapshots if item.state != "error"), None)


def look_at_copy(ctx: LookContext, snapshot_id: str) -> CopyState:
    """Look at both accounts.

    Args:
        ctx: Reads in the incident's and in the forensic account.
        snapshot_id: The source, or a plan's token for it.
    """
    bare = CopyState(**place_of(ctx).model_dump())
    if ctx.forensics is None or not bare.ready:
        return bare
    planned = is_token(snapshot_id)
    source = _foreseen(ctx, snapshot_id) if planned else _described(ctx.api, snapshot_id)
    seen: dict[str, Any] = {"planned": planned, "source": source, **_keys(ctx, ctx.forensics, source)}
    copies = marked(ctx.forensics, ctx.marker)
    seen |= {"copies": copies, "copies_in_progress": 0 if live(copies) else _in_progress(ctx.forensics)}
    state = bare.model_copy(update=seen)
    if state.route is Route.TRANSFER:
        state = state.model_copy(update=_transfers(ctx))
    return state if planned else state.model_copy(update=_loan(ctx, state))


def place_of(ctx: LookContext) -> CopyPlace:
    """Return where copies of this step go, as far as settings say; no key is read yet."""
    where, settings = ctx.where, ctx.settings.forensics
    return CopyPlace(
        marker=ctx.marker,
        drill=ctx.drill,
        partition=where.partition,
        account_id=where.account_id,
        region=where.region,
        forensic_account_id=where.forensic_account_id,
        forensic_region=where.forensic_region or where.region,
        forensic_role=settings.role,
        transfer_key_name=where.transfer_kms_key or settings.transfer_kms_key,
        forensic_key_name=where.forensic_kms_key or settings.kms_key,
        ready=ctx.forensics is not None and where.forensic_account_id not in (None, where.account_id),
    )


def _described(api: ReadApi, snapshot_id: str) -> Snapshot | None:
    try:
        found = api.call("ec2:DescribeSnapshots", SnapshotIds=[snapshot_id])["Snapshots"]
    except TargetNotFound:
        return None
    return snapshot_of(found[0]) if found else None


def _foreseen(ctx: LookContext, token: str) -> Snapshot | None:
    facts: Mapping[str, Any] | None = ctx.planned.get(token)
    if facts is None:
        return None
    return Snapshot(
        snapshot_id=token,
        volume_id=facts["volume_id"],
        owner_id=ctx.where.account_id,
        state="pending",
        encrypted=facts["encrypted"],
        kms_key_id=facts["kms_key_id"],
        size_gib=facts["size_gib"],
        instance_id=facts.get("instance_id"),
    )


def _keys(ctx: LookContext, forensics: ReadApi, source: Snapshot | None) -> dict[str, Key | None]:
    account_id = ctx.where.account_id
    named = source.kms_key_id if source is not None and source.encrypted else None
    source_key = read_key(ctx.api, named, account_id) if named else None
    bare = place_of(ctx)
    transfer = None
    if source_key is not None and source_key.manager == "AWS":
        transfer = read_key(ctx.api, bare.transfer_key_name, account_id)
    forensic = read_key(forensics, bare.forensic_key_name, str(bare.forensic_account_id))
    return {"source_key": source_key, "transfer_key": transfer, "forensic_key": forensic}


def _transfers(ctx: LookContext) -> dict[str, Any]:
    transfers = marked(ctx.api, ctx.marker)
    return {
        "transfers": transfers,
        "transfers_in_progress": 0 if live(transfers) else _in_progress(ctx.api),
    }


def _in_progress(api: ReadApi) -> int:
    pending = [{"Name": "status", "Values": ["pending"]}]
    found = api.pages("ec2:DescribeSnapshots", "Snapshots[].SnapshotId", OwnerIds=["self"], Filters=pending)
    return len(found)


def _loan(ctx: LookContext, state: CopyState) -> dict[str, Any]:
    if state.lent is None or state.lent.owner_id != state.account_id:
        return {}
    answer = ctx.api.call(
        "ec2:DescribeSnapshotAttribute",
        SnapshotId=state.lent.snapshot_id,
        Attribute="createVolumePermission",
    )
    users = {item.get("UserId") for item in answer.get("CreateVolumePermissions") or ()}
    return {
        "shared": state.forensic_account_id in users,
        "grant_id": grant_on(ctx.api, state.lent_key, state.marker),
    }
