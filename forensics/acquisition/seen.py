"""What an acquisition sees: each volume with its snapshot, its copies and what stands in their way."""

from __future__ import annotations

from pydantic import Field

from irrunner.actions.contract import Model
from irrunner.actions.ebs.copy_state import CopyPlace
from irrunner.actions.ebs.keys import Key, Route, route_of
from irrunner.actions.ebs.snapshots import Snapshot


class Taken(Model):
    """A snapshot of a volume, or a copy of one, as far as the acquisition needs it."""

    snapshot_id: str
    state: str
    percent: int = 0
    message: str = ""
    """AWS's StateMessage: the reason of state ``error``."""
    started_at: str = ""
    completed_at: str = ""
    size_gib: int = 0
    kms_key_id: str | None = None
    owner_id: str = ""
    locked: bool = False

    @property
    def trouble(self) -> str:
        """Return the failure in words."""
        return f"{self.snapshot_id}: {self.message or 'AWS gives no StateMessage'}"


class VolumeSeen(Model):
    """One volume. Its stage follows from what there is, so that no stage can be lost or lied about."""

    volume_id: str
    instance_id: str | None = None
    attached_at: str = ""
    in_set: bool = False
    """It was asked for by its instance: the instance's volumes are taken at one instant."""
    exists: bool = True
    size_gib: int = 0
    encrypted: bool = False
    kms_key_id: str | None = None
    source: Taken | None = None
    transfer: Taken | None = None
    """The copy under the transfer key, in the source account."""
    copy_made: Taken | None = None
    """The copy in the forensic account that did not fail, else the last that did."""
    failed_copies: int = 0
    shared: bool = False
    obstacle: str = ""
    """Why the forensic account cannot get it: its key."""
    refused: dict[str, str] = Field(default_factory=dict)
    """Stage to AWS's refusal."""

    def as_snapshot(self, account_id: str) -> Snapshot:
        """Return the source as the calls of a copy name it."""
        taken = self.source
        return Snapshot(
            snapshot_id=taken.snapshot_id if taken else f"<snapshot of {self.volume_id}>",
            volume_id=self.volume_id,
            owner_id=account_id,
            state=taken.state if taken else "pending",
            encrypted=self.encrypted,
            kms_key_id=self.kms_key_id,
            size_gib=self.size_gib,
            instance_id=self.instance_id,
        )


class AcquireState(CopyPlace):
    """One look at everything."""

    volumes: tuple[VolumeSeen, ...] = ()
    keys: dict[str, Key] = Field(default_factory=dict)
    """By the id that a volume names."""
    grants: dict[str, str] = Field(default_factory=dict)
    """ARN of a key that is lent to our grant on it."""
    copies_in_progress: int = 0
    """In the forensic account and Region, whoever asked for them."""
    transfers_in_progress: int = 0
    lock_days: int = 0
    """0: nothing is locked."""
    beyond_reach: tuple[str, ...] = ()
    """What no snapshot holds, in words: host disks, instances that are gone."""
    seen_at: str = ""

    def route(self, volume: VolumeSeen) -> Route:
        """Return how a volume's snapshot leaves its account."""
        return route_of(volume.encrypted, self.keys.get(volume.kms_key_id or ""))

    def lent_key(self, volume: VolumeSeen) -> Key | None:
        """Return the key that the forensic account must be allowed to use, None where there is none to lend.

        A key of another account is not ours to lend: its owner has let the forensic account use it, or not.
        """
        route = self.route(volume)
        if route is Route.PLAIN:
            return None
        key = self.transfer_key if route is Route.TRANSFER else self.keys.get(volume.kms_key_id or "")
        return key if key is not None and key.account_id == self.account_id else None

    def lent(self, volume: VolumeSeen) -> Taken | None:
        """Return the snapshot that is shared with the forensic account."""
        return volume.transfer if self.route(volume) is Route.TRANSFER else volume.source
