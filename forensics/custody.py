"""Custody of a run: projects its journal into the ledger of its incident, with the key that is configured."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forensics.bundle import Parts
from forensics.chain import Chain, broken
from forensics.deposits import ANCHORS, Kept, deposits
from forensics.keys import Keys
from forensics.ledger import Ledger
from forensics.projection import project
from forensics.s3_vault import S3Vault
from forensics.signing import KmsSigner, LocalSigner, Signer
from forensics.vault import LocalVault, Vault
from forensics.verify import Verdict, check_grounds, check_key
from irrunner.actions.contract import Permission
from irrunner.clock import iso
from irrunner.engine.owner import os_user
from irrunner.errors import EvidenceError, EvidenceIncomplete
from irrunner.journal.integrity import intact_records, intact_row
from irrunner.journal.records import Record
from irrunner.journal.sql import default_path
from irrunner.journal.store import RunRow, Store
from irrunner.settings import Settings, resolve_secret

if TYPE_CHECKING:
    from irrunner.aws.api import Cloud, CloudApi
    from irrunner.cli.context import Context
    from irrunner.clock import Clock

ANCHOR: Final = "custody/seal-{:06d}.json"
"""Name in the vault of a seal: under Object Lock it shows that a ledger was cut."""
ROTATION_ID: Final = "custody-key"
SIGNING: Final = ("kms:GetPublicKey", "kms:Sign")
_OF_BUCKET: Final = (
    "s3:GetBucketLogging", "s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning", "s3:ListBucket",
)  # fmt: skip
_OF_ITEM: Final = ("s3:GetObject", "s3:GetObjectRetention", "s3:GetObjectVersion")
_TO_PUT: Final = ("s3:PutObject", "s3:PutObjectRetention")
_OF_KEY: Final = ("kms:Decrypt", "kms:GenerateDataKey")
_BUCKET: Final = "arn:{partition}:s3:::{bucket}"
_VIA_S3: Final = {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}}
KEEPING: Final = (
    *(Permission(name, _BUCKET, scope="forensics") for name in _OF_BUCKET),
    *(Permission(name, f"{_BUCKET}/*", scope="forensics") for name in _OF_ITEM),
    *(Permission(name, f"{_BUCKET}/*", scope="forensics", use="act") for name in _TO_PUT),
    *(
        Permission(name, "arn:{partition}:kms:*:*:key/*", scope="forensics", use="act", conditions=_VIA_S3)
        for name in _OF_KEY
    ),
)
"""What the vault in S3 needs of the forensic role; never the deletion of anything."""


def custody_directory(settings: Settings, store: Store) -> Path:
    """Return where ledgers, keys and the local vault are: configured, or beside the store."""
    if settings.forensics.directory:
        return Path(settings.forensics.directory).expanduser()
    path = Path(getattr(store, "path", None) or default_path())
    return path.with_name(f"{path.stem}.custody")


class Custody:
    """Keeps the ledgers of one store."""

    def __init__(self, settings: Settings, store: Store, clock: Clock, cloud: Callable[[], Cloud]) -> None:
        """Keep the parts; nothing is read.

        Args:
            settings: Which key signs, and where the vault is.
            store: The store of runs.
            clock: For the times of seals.
            cloud: Reaches AWS; called only where a key or the vault is there.
        """
        self.directory = custody_directory(settings, store)
        self._settings = settings
        self._store = store
        self._clock = clock
        self._cloud = cloud

    @classmethod
    def of(cls, services: Context) -> Custody:
        """Return the custody of a command's services."""
        return cls(services.settings, services.store, services.clock, lambda: services.cloud)

    def keep(self, run: str) -> Kept:
        """Record in the ledger what the run's journal says about evidence, and return both.

        Args:
            run: Run id, or a unique beginning of it.

        Raises:
            RunNotFound: If there is no such run.
            JournalCorrupt: If its journal does not verify: nothing is taken from it.
            CustodyBroken: If the ledger does not verify: nothing is added to it.
            VaultUnavailable: If the ledger cannot be written.
        """
        row = intact_row(self._store, run)
        records = self._store.records(row.run_id)
        entries = project(records, ended=row.ended_at is not None)
        ledger = self.ledger(row)
        if not entries:
            return Kept(row, records, ledger.read() or Chain(ledger=row.incident_id))
        chain = ledger.read()
        if chain is None or not {entry.entry_id for entry in entries} <= chain.ids:
            chain = ledger.append(entries, self.signer(row.run_id, _region(records)))
        return Kept(row, records, chain)

    def verdict(self, run: str, expected_key: str) -> Verdict:
        """Verify the ledger of a run's incident, and the journals that it rests on. Writes nothing.

        Raises:
            CustodyBroken: Names the first broken link.
            EvidenceIncomplete: If the ledger lacks what the journal says.
        """
        row = intact_row(self._store, run)
        records = self._store.records(row.run_id)
        chain = self.ledger(row).read()
        lacking = {entry.entry_id for entry in project(records, ended=row.ended_at is not None)}
        lacking -= chain.ids if chain else frozenset()
        if chain is None or lacking:
            raise EvidenceIncomplete(
                f"run {row.run_id}: {len(lacking)} entries of its journal are not in the ledger",
                hint=f"irrunner evidence list {row.run_id}",
            )
        kept = Kept(row, records, chain)
        journals = {run_id: [each.sha256 for each in found] for run_id, found in self.journals(kept).items()}
        check_key(chain, expected_key)
        self._check_anchors(kept)
        _, items, missing = deposits(kept, self.vault(kept), "", chain.last_seal_at)
        if missing:
            raise EvidenceIncomplete(
                f"vault: {', '.join(missing)}: missing, or not what the ledger names",
                hint="keep the vault as it is; the ledger has the hash of what was there",
            )
        check_grounds(chain, journals)
        return Verdict(
            incident_id=row.incident_id, run_id=row.run_id, key_sha256=chain.keys[-1].fingerprint,
            keys=[key.fingerprint for key in chain.keys], records=len(chain.records),
            head_sha256=chain.head_sha256, journals=len(journals), files=len(items), references=[],
            warnings=list(chain.warnings), pinned=bool(expected_key),
        )  # fmt: skip

    def anchor(self, kept: Kept) -> None:
        """Put the ledger's newest seal where this machine cannot take it back; only with a vault in S3.

        Raises:
            EvidenceError: If another seal of this number is there: two ledgers of one name.
            VaultUnavailable: If it cannot be put; the ledger itself is whole.
        """
        if self._settings.forensics.vault == "s3" and kept.chain.seals:
            name = ANCHOR.format(kept.chain.seals - 1)
            self.vault(kept).put(kept.row.incident_id, name, kept.chain.last_seal.encode())

    def _check_anchors(self, kept: Kept) -> None:
        """Compare the ledger with the seals that were put into the vault."""
        if self._settings.forensics.vault != "s3":
            return
        there = {item.name: item.sha256 for item in self.vault(kept).items(kept.row.incident_id)}
        here = {ANCHOR.format(number): sha256 for number, sha256 in enumerate(kept.chain.seal_hashes)}
        for name in sorted(name for name in there if name.startswith(ANCHORS)):
            if here.get(name) != there[name]:
                raise broken(f"vault {name}", "is no seal of this ledger: it was cut, or written anew")

    def ledger(self, row: RunRow) -> Ledger:
        """Return the ledger of a run's incident."""
        return Ledger(self.directory, row.incident_id, self._clock)

    def parts(self, kept: Kept, largest_bytes: int) -> tuple[Parts, Signer]:
        """Return what a bundle of the run is made of, every file of the vault recorded, and who signs it."""
        signer, vault = self.signer(kept.row.run_id, _region(kept.records)), self.vault(kept)
        entries, items, missing = deposits(kept, vault, os_user(), iso(self._clock.now()))
        ledger = self.ledger(kept.row)
        chain = ledger.append(entries, signer)
        whole = Kept(kept.row, kept.records, chain)
        self.anchor(whole)
        parts = Parts(
            kept.row, chain, ledger.path, self.journals(whole), items, missing, vault, largest_bytes
        )  # fmt: skip
        return parts, signer

    def journals(self, kept: Kept) -> dict[str, Sequence[Record]]:
        """Return the journals of all runs that the ledger names, and of this one, read after the ledger.

        Raises:
            JournalCorrupt: If one does not verify, or was deleted.
        """
        runs = {
            str(record["body"]["journal"]["run_id"]) for record in kept.chain.records if _is_of_run(record)
        }
        return {run_id: intact_records(self._store, run_id) for run_id in sorted(runs | {kept.row.run_id})}

    def signer(self, run_id: str = ROTATION_ID, region: str = "") -> Signer:
        """Return the holder of the configured key.

        Raises:
            SettingsError: If it is no key that can sign.
            ActionError: If AWS refuses.
        """
        forensics = self._settings.forensics
        if forensics.signing_kms_key:
            return self._kms(forensics.signing_kms_key, run_id, region)
        if forensics.signing_key:
            return self.signer_of(forensics.signing_key)
        return Keys(self.directory).local()

    def signer_of(self, reference: str) -> LocalSigner:
        """Return the holder of the key that a reference names."""
        source = None if reference.startswith(("env:", "file:")) else self._cloud().base()
        return LocalSigner.from_pem(resolve_secret(reference, source).get_secret_value(), reference)

    def rotate(self, reference: str) -> dict[str, Any]:
        """Announce the configured key, or a new one of our own, signed by the old key.

        Args:
            reference: Where the old key is; empty: our own.

        Raises:
            EvidenceError: If the old key is the new one.
        """
        keys = Keys(self.directory)
        old = self.signer_of(reference) if reference else keys.local()
        configured = self._settings.forensics.signing_kms_key or self._settings.forensics.signing_key
        if reference and not configured:
            return keys.rotate(old, keys.local(), self._clock)
        return keys.rotate(old, self.signer() if configured else None, self._clock)

    def vault(self, kept: Kept) -> Vault:
        """Return the configured vault.

        Raises:
            SettingsError: If it is in S3, and no forensic account is configured.
            CredentialsInvalid: If its role cannot be assumed.
        """
        forensics = self._settings.forensics
        if forensics.vault == "local":
            return LocalVault(self.directory / "vault")
        where = kept.records[0].body.get("where") or {}
        bucket = str(where.get("evidence_bucket") or "")
        if not bucket:
            raise EvidenceError(
                "the vault is in S3, and the run knows no evidence bucket", hint="set forensics.account_id"
            )
        api = self._session(kept.row.run_id, _region(kept.records), KEEPING, {"bucket": bucket})
        return S3Vault(
            api, bucket, self._clock, kms_key=forensics.kms_key, mode=forensics.retention_mode,
            retention_days=forensics.retention_days,
        )  # fmt: skip

    def _kms(self, key_id: str, run_id: str, region: str) -> KmsSigner:
        parts = key_id.split(":")
        is_arn = len(parts) > 5  # noqa: PLR2004 - arn:partition:service:region:account:resource
        resource = key_id if is_arn else "arn:{partition}:kms:{region}:{account}:key/*"
        permissions = [Permission(name, resource, scope="forensics", use="act") for name in SIGNING]
        return KmsSigner(self._session(run_id, parts[3] if is_arn else region, permissions), key_id)

    def _session(
        self,
        run_id: str,
        region: str,
        permissions: Sequence[Permission],
        values: dict[str, str] | None = None,
    ) -> CloudApi:
        cloud, forensics = self._cloud(), self._settings.forensics
        region = region or forensics.region or os.environ.get("AWS_REGION") or "us-east-1"
        account = cloud.forensic_account_id() or "*"
        partition = [*cloud.caller().arn.split(":"), ""][1] or "aws"
        place = {"partition": partition, "account": account, "region": region, **(values or {})}
        return cloud.forensics(region, run_id=run_id, permissions=permissions, values=place)


def _region(records: Sequence[Record]) -> str:
    where = records[0].body.get("where") or {}
    return str(where.get("forensic_region") or where.get("region") or "")


def _is_of_run(record: Any) -> bool:
    return isinstance(record["body"].get("journal"), dict)


def keep_ended(services: Context, run_id: str) -> None:
    """Record the evidence of a run that has ended (entry point ``irrunner.ended``)."""
    custody = Custody.of(services)
    custody.anchor(custody.keep(run_id))
