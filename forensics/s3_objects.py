"""Objects of S3 by what S3 itself measured: metadata are what anybody who may put an object says of it.

Source: Amazon S3 user guide, "Checking object integrity": S3 computes the checksum that an object is put
with, and returns it with ``ChecksumMode=ENABLED``; that of a multipart upload is of its parts, not its bytes.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator, Mapping
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, Final, NamedTuple, Protocol, cast

from forensics.vault import digest_of

COMPOSITE: Final = "COMPOSITE"
DIGEST_BYTES: Final = 32
PIECE_BYTES: Final = 16 << 20


class S3Api(Protocol):
    """The part of the AWS seam that reaches a bucket."""

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Call one operation."""

    def pages(self, operation: str, path: str, /, **params: Any) -> list[Any]:
        """Call a paginated read."""


class Measured(NamedTuple):
    """What an object is."""

    sha256: str
    size_bytes: int
    version: str
    lock_mode: str


def checksum_of(head: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an object as S3 computed it, as hex; empty where it computed none."""
    text = str(head.get("ChecksumSHA256") or "")
    if not text or head.get("ChecksumType") == COMPOSITE:
        return ""
    try:
        digest = base64.b64decode(text, validate=True)
    except binascii.Error:
        return ""
    return digest.hex() if len(digest) == DIGEST_BYTES else ""


def measured_object(
    api: S3Api, bucket: str, key: str, version: str = "", most_bytes: float = math.inf
) -> Measured:
    """Return what an object is; its bytes are read only where S3 has no checksum of them.

    Args:
        api: Session that reads the bucket.
        bucket: Its name.
        key: Of the object.
        version: Which; empty: the newest.
        most_bytes: A larger one is not read: its digest is empty where S3 has none.

    Raises:
        TargetNotFound: If it is not there.
        ActionError: If it cannot be read.
    """
    asked = {"Bucket": bucket, "Key": key, **({"VersionId": version} if version else {})}
    head = api.call("s3:HeadObject", **asked, ChecksumMode="ENABLED")
    version = version or str(head.get("VersionId") or "")
    sha256, size = checksum_of(head), int(head.get("ContentLength") or 0)
    if not sha256 and size <= most_bytes:
        sha256, _ = digest_of(_pieces(api, bucket, key, version, size))
    return Measured(sha256, size, version, str(head.get("ObjectLockMode") or ""))


def opened_object(api: S3Api, bucket: str, key: str, version: str, size_bytes: int) -> BinaryIO:
    """Open an object for reading: piece by piece, on disk where it is large.

    Args:
        api: Session that reads the bucket.
        bucket: Its name.
        key: Of the object.
        version: The one that was measured; empty in a bucket without versions.
        size_bytes: Its size.
    """
    held = SpooledTemporaryFile(max_size=PIECE_BYTES)  # noqa: SIM115 - the caller closes it
    for piece in _pieces(api, bucket, key, version, size_bytes):
        held.write(piece)
    held.seek(0)
    return cast("BinaryIO", held)


def _pieces(api: S3Api, bucket: str, key: str, version: str, size_bytes: int) -> Iterator[bytes]:
    """Yield the content in ranges: no answer is larger than what is read into memory."""
    asked = {"Bucket": bucket, "Key": key, **({"VersionId": version} if version else {})}
    for start in range(0, size_bytes, PIECE_BYTES):
        until = min(start + PIECE_BYTES, size_bytes) - 1
        body = api.call("s3:GetObject", **asked, Range=f"bytes={start}-{until}")["Body"]
        yield body if isinstance(body, bytes) else body.read()
