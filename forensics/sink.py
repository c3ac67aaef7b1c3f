"""Where files of evidence go: a sink plans the storing of one, and finds again what it stored.

An action never sends a change by itself, so a sink gives the call that stores, and the runtime sends it. A
file is found by its path and carries its SHA-256; it is stored once and never written over.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, Self

from pydantic import Field

from forensics.s3_objects import checksum_of
from irrunner.actions.contract import Call, LookContext, Model, Permission, ReadApi, Scope
from irrunner.errors import TargetNotFound

PREFIX: Final = "irrunner"
"""All objects are under it: permissions name it."""
LARGEST_FILE: Final = 64 << 20

_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9/_.-]+")
_NOT_ASCII: Final = re.compile(r"[^\x20-\x7e]+")
_KEYS: Final = "arn:{partition}:kms:*:{account}:key/*"
VIA_S3: Final = {"StringLike": {"kms:ViaService": "s3.*"}}
_OBJECTS: Final = f"arn:{{partition}}:s3:::*/{PREFIX}/*"
OWN_ACCOUNT: Final = {"StringEqualsIfExists": {"aws:ResourceAccount": "{account}"}}
"""Bucket names are everybody's: only buckets of the forensic account itself are written to and read."""


class StoredItem(Model):
    """A file of evidence that is stored."""

    location: str
    """``s3://bucket/key``."""
    sha256: str
    bytes: int
    facts: dict[str, str] = Field(default_factory=dict)
    """Its lineage, as it was stored."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long Object Lock keeps what is stored."""

    mode: str
    until: datetime

    @classmethod
    def of(cls, ctx: LookContext) -> Self | None:
        """Return what is configured; None where files of evidence are kept without Object Lock."""
        forensics = getattr(ctx.settings, "forensics", None)
        if forensics is None or forensics.vault != "s3":
            return None
        return cls(forensics.retention_mode, ctx.now + timedelta(days=forensics.retention_days))

    @property
    def params(self) -> dict[str, Any]:
        """Return the parameters of PutObject and CopyObject.

        Source: S3 API reference, PutObject, "x-amz-object-lock-retain-until-date".
        """
        return {"ObjectLockMode": self.mode, "ObjectLockRetainUntilDate": self.until}


class EvidenceSink(Protocol):
    """A store of evidence."""

    def find(self, path: str) -> StoredItem | None:
        """Return what is stored under a path, None where nothing is. Reads only."""

    def put(self, path: str, data: bytes, *, media_type: str, lineage: Mapping[str, str]) -> Call:
        """Return the call that stores a file, and does nothing where there is one.

        Args:
            path: Under which it is found again.
            data: Its content.
            media_type: ``application/json``.
            lineage: Where it comes from: names and short values.
        """


class S3Sink:
    """An :class:`EvidenceSink` on the evidence bucket of the forensic account."""

    def __init__(
        self, api: ReadApi, bucket: str, region: str | None, *, partition: str,
        retention: Retention | None = None, scope: Scope = "forensics",
    ) -> None:  # fmt: skip
        """Keep the place; nothing is read.

        Args:
            api: Reads in the bucket's account and Region.
            bucket: Its name.
            region: The bucket's Region, if it is not the incident's.
            partition: Of its ARN.
            retention: How long Object Lock keeps what is stored; None: as the bucket's default says.
            scope: The account that the bucket is in.
        """
        self._api = api
        self._bucket = bucket
        self._region = region
        self._partition = partition
        self._retention = retention
        self._scope: Scope = scope

    def find(self, path: str) -> StoredItem | None:
        """See :class:`EvidenceSink`."""
        try:
            head = self._api.call("s3:HeadObject", Bucket=self._bucket, Key=path, ChecksumMode="ENABLED")
        except TargetNotFound:
            return None
        metadata = dict(head.get("Metadata") or {})
        claimed = metadata.pop("sha256", "")
        return StoredItem(
            location=f"s3://{self._bucket}/{path}",
            sha256=checksum_of(head) or claimed,
            bytes=int(head.get("ContentLength") or 0),
            facts=metadata,
        )

    def put(self, path: str, data: bytes, *, media_type: str, lineage: Mapping[str, str]) -> Call:
        """See :class:`EvidenceSink`; S3 checks the SHA-256 on arrival, and refuses to write over an object.

        Source: S3 API reference, PutObject, ChecksumSHA256 and If-None-Match.
        """
        digest = hashlib.sha256(data)
        told = {name: _NOT_ASCII.sub("?", value)[:256] for name, value in lineage.items()}
        return Call(
            operation="s3:PutObject",
            params={
                "Bucket": self._bucket,
                "Key": path,
                "Body": data,
                "ContentType": media_type,
                "ChecksumAlgorithm": "SHA256",
                "ChecksumSHA256": base64.b64encode(digest.digest()).decode(),
                "IfNoneMatch": "*",
                "Metadata": {**told, "sha256": digest.hexdigest()},
                **(self._retention.params if self._retention else {}),
            },
            target=f"arn:{self._partition}:s3:::{self._bucket}/{path}",
            summary=f"Store {path.rpartition('/')[2]} ({len(data)} bytes) in {self._bucket}",
            after={"sha256": digest.hexdigest()},
            reversible=False,
            scope=self._scope,
            region=self._region,
            tolerate=("PreconditionFailed", "ConditionalRequestConflict"),
        )


def path_of(marker: str, *names: str) -> str:
    """Return the path of a step's file: ``irrunner/<run>/<step>/<names>``."""
    return "/".join([PREFIX, *(_NOT_PLAIN.sub("-", part).strip("/.") for part in (marker, *names))])


SINK_PERMISSIONS: Final = (
    Permission("s3:GetObject", _OBJECTS, scope="forensics", conditions=OWN_ACCOUNT),
    Permission("s3:ListBucket", "arn:{partition}:s3:::*", scope="forensics", conditions=OWN_ACCOUNT),
    Permission("s3:PutObject", _OBJECTS, scope="forensics", use="act", conditions=OWN_ACCOUNT),
    Permission("s3:PutObjectRetention", _OBJECTS, scope="forensics", use="act", conditions=OWN_ACCOUNT),
    Permission("kms:Decrypt", _KEYS, scope="forensics", conditions=VIA_S3),
    Permission("kms:GenerateDataKey", _KEYS, scope="forensics", use="act", conditions=VIA_S3),
)
"""What storing files needs. Without ``s3:ListBucket`` S3 answers 403, and not 404, where nothing is stored.

A bucket that encrypts with a KMS key needs the key's use too, also for the checksum of an object.

Source: S3 API reference, HeadObject, "Permissions"; PutObject; S3 user guide, "Using server-side encryption
with AWS KMS keys".
"""
