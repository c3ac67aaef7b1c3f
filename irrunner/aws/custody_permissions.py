"""What custody needs of the forensic role: the vault in S3, and the key in KMS that signs."""

from __future__ import annotations

from typing import Final

from irrunner.actions.contract import Permission

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
READING: Final = tuple(each for each in KEEPING if each.action in {*_OF_ITEM, "s3:ListBucket", "kms:Decrypt"})
"""What reading stored files needs of it."""


def signing(key_id: str | None) -> tuple[Permission, ...]:
    """Return what signing with a key of KMS needs; nothing without one.

    Args:
        key_id: Its ARN, id or alias, as configured.
    """
    if not key_id:
        return ()
    resource = key_id if key_id.startswith("arn:") else "arn:{partition}:kms:{region}:{account}:key/*"
    return tuple(Permission(name, resource, scope="forensics", use="act") for name in SIGNING)
