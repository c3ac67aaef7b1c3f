"""The vault in the forensic account: an S3 bucket with versions and Object Lock.

A bucket that could lose an item is refused before anything is put there. An item is put with its own
retention, a checksum that S3 verifies and a condition that nothing is there, and is read back.

Sources: Amazon S3 user guide, "Locking objects with Object Lock", "Checking object integrity", "Conditional
writes"; PutObject in the API reference.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final

from forensics.s3_objects import S3Api, measured_object, opened_object
from forensics.vault import VaultItem, checked_name, measured, other_content
from irrunner.clock import Clock
from irrunner.errors import (
    ActionError,
    EvidenceError,
    OutcomeUnknown,
    TargetNotFound,
    VaultUnavailable,
)

LARGEST_PUT_BYTES: Final = 5 << 30
"""One PutObject. Source: Amazon S3 user guide, "Uploading objects"."""
DIGEST: Final = "sha256"
"""Name of the metadata that holds the digest as hex."""


class S3Vault:
    """A bucket with Object Lock."""

    def __init__(
        self, api: S3Api, bucket: str, clock: Clock, *, kms_key: str = "", mode: str = "COMPLIANCE",
        retention_days: int = 365,
    ) -> None:  # fmt: skip
        """Name the bucket; it is looked at before the first item.

        Args:
            api: Session in the forensic account.
            bucket: Its name.
            clock: For the end of the retention.
            kms_key: Key that encrypts items; empty: the bucket's own default.
            mode: ``COMPLIANCE`` or ``GOVERNANCE``.
            retention_days: How long an item cannot be deleted.
        """
        self._api = api
        self._bucket = bucket
        self._clock = clock
        self._kms_key = kms_key
        self._mode = mode
        self._retention_days = retention_days
        self._checked = False
        self.warnings: list[str] = []
        """What is not as it should be and yet loses nothing, known after the first item."""

    def check(self) -> None:
        """Refuse a bucket that could lose an item.

        Raises:
            VaultUnavailable: Without versions or Object Lock; says how to make a bucket that has both.
        """
        if self._checked:
            return
        versions = self._asked("s3:GetBucketVersioning").get("Status")
        if versions != "Enabled":
            raise VaultUnavailable(
                f"bucket {self._bucket} keeps no versions: an item could be overwritten",
                hint=f"aws s3api put-bucket-versioning --bucket {self._bucket} "
                "--versioning-configuration Status=Enabled",
            )
        lock = self._asked("s3:GetObjectLockConfiguration", missing_is_empty=True)
        if lock.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") != "Enabled":
            raise VaultUnavailable(
                f"bucket {self._bucket} has no Object Lock: an item could be deleted",
                hint=f"aws s3api put-object-lock-configuration --bucket {self._bucket} "
                "--object-lock-configuration ObjectLockEnabled=Enabled",
            )
        self._warn()
        self._checked = True

    def _warn(self) -> None:
        try:
            logging = self._api.call("s3:GetBucketLogging", Bucket=self._bucket)
        except ActionError as problem:
            self.warnings.append(f"bucket {self._bucket}: its access logging is not known: {problem.code}")
            return
        if not logging.get("LoggingEnabled"):
            self.warnings.append(
                f"bucket {self._bucket} has no server access logging: reads of evidence are seen only where "
                "CloudTrail records S3 data events"
            )

    def _asked(self, operation: str, *, missing_is_empty: bool = False) -> Mapping[str, Any]:
        try:
            return self._api.call(operation, Bucket=self._bucket)
        except TargetNotFound:
            if missing_is_empty:
                return {}
            raise VaultUnavailable(
                f"there is no bucket {self._bucket}",
                hint="create it with Object Lock, or set forensics.bucket",
            ) from None
        except ActionError as problem:
            raise self._unavailable(problem) from problem

    def _unavailable(self, problem: ActionError) -> VaultUnavailable:
        return VaultUnavailable(
            f"bucket {self._bucket}: {problem.message}; nothing that was stored before is lost",
            hint=problem.hint or "check the forensic role's permissions on the bucket and its key",
        )

    def put(self, case_id: str, name: str, data: bytes | Path) -> VaultItem:
        """See :class:`forensics.vault.Vault`."""
        key = checked_name(case_id, name)
        self.check()
        sha256, size = measured(data)
        item = VaultItem(case_id, name, sha256, size, f"s3://{self._bucket}/{key}")
        if size > LARGEST_PUT_BYTES:
            raise VaultUnavailable(
                f"{name} is larger than 5 GiB, which one PutObject takes", hint="split it, and put the parts"
            )
        return self._found(item, key) or self._stored(item, key, data)

    def _stored(self, item: VaultItem, key: str, data: bytes | Path) -> VaultItem:
        until = self._clock.now() + timedelta(days=self._retention_days)
        encryption = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._kms_key} if self._kms_key else {}
        )
        checksum = base64.b64encode(bytes.fromhex(item.sha256)).decode()
        try:
            with io.BytesIO(data) if isinstance(data, bytes) else data.open("rb") as body:
                self._api.call(
                    "s3:PutObject", Bucket=self._bucket, Key=key, Body=body,
                    ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum,
                    ContentType=item.media_type, IfNoneMatch="*", Metadata={DIGEST: item.sha256},
                    ObjectLockMode=self._mode, ObjectLockRetainUntilDate=until, **encryption,
                )  # fmt: skip
        except OutcomeUnknown as problem:
            found = self._found(item, key)
            if found is None:
                raise self._unavailable(problem) from problem
            return found
        except ActionError as problem:
            raise self._unavailable(problem) from problem
        found = self._found(item, key)
        if found is None:
            raise VaultUnavailable(f"{item.location} was put, and is not there", hint="repeat the command")
        return found

    def _found(self, item: VaultItem, key: str) -> VaultItem | None:
        """Return the item as it is in the bucket, locked; None where it is not there.

        Raises:
            EvidenceError: If other bytes are there.
        """
        try:
            there = measured_object(self._api, self._bucket, key)
        except TargetNotFound:
            return None
        except ActionError as problem:
            raise self._unavailable(problem) from problem
        if (there.sha256, there.size_bytes) != (item.sha256, item.size_bytes):
            raise other_content(item.location, there.sha256, item.sha256)
        if there.lock_mode not in ("COMPLIANCE", "GOVERNANCE"):
            raise EvidenceError(
                f"{item.location} is there without retention",
                hint="aws s3api put-object-retention, then repeat",
            )
        return replace(item, version=there.version)

    def items(self, case_id: str, wanted: Callable[[str], bool] = bool) -> list[VaultItem]:
        """See :class:`forensics.vault.Vault`."""
        prefix = checked_name(case_id, "any").partition("/")[0] + "/"
        try:
            listed = self._api.pages("s3:ListObjectsV2", "Contents", Bucket=self._bucket, Prefix=prefix)
            return [
                self._listed(case_id, str(each["Key"]))
                for each in listed
                if wanted(str(each["Key"]).partition("/")[2])
            ]
        except TargetNotFound:
            return []
        except ActionError as problem:
            raise self._unavailable(problem) from problem

    def _listed(self, case_id: str, key: str) -> VaultItem:
        found = measured_object(self._api, self._bucket, key)
        name, location = key.partition("/")[2], f"s3://{self._bucket}/{key}"
        return VaultItem(case_id, name, found.sha256, found.size_bytes, location, found.version)

    def open(self, item: VaultItem) -> BinaryIO:
        """See :class:`forensics.vault.Vault`."""
        key = checked_name(item.case_id, item.name)
        return opened_object(self._api, self._bucket, key, item.version, item.size_bytes)
