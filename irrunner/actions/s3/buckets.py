"""What the S3 actions share: one bucket, its ARN, and reads whose setting may be absent.

Bucket names are of the whole partition: every call says whose bucket it should be, so that a name from a
finding can never lead to another account's bucket.

Source: Amazon S3 user guide, "Verifying bucket ownership with bucket owner condition".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from irrunner.actions.contract import LookContext, Model, Permission, Where
from irrunner.actions.ids import BucketName
from irrunner.actions.sending import code_of
from irrunner.errors import ActionDenied, TargetNotFound

BUCKET: Final = "arn:{partition}:s3:::{bucket_name}"
USER_GUIDE: Final = "https://docs.aws.amazon.com/AmazonS3/latest/userguide"
API_REFERENCE: Final = "https://docs.aws.amazon.com/AmazonS3/latest/API"
BLOCKS: Final = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
EVERYONE: Final = frozenset(
    {
        "http://acs.amazonaws.com/groups/global/AllUsers",
        "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
    }
)
"""Grantees of an ACL that make a bucket public."""
READ_EXPOSURE: Final = (
    Permission("s3:GetBucketPublicAccessBlock", BUCKET),
    Permission("s3:GetBucketPolicyStatus", BUCKET),
    Permission("s3:GetAccountPublicAccessBlock"),
)


class OneBucket(Model):
    """Parameters: a bucket of the incident's account."""

    bucket_name: BucketName


class Exposure(Model):
    """What makes a bucket public, and what keeps it from being so."""

    block: dict[str, bool] | None
    """Block Public Access of the bucket; None: not configured."""
    account_block: dict[str, bool] | None
    """Of the account; None: not configured, or not readable."""
    policy_public: bool
    """S3 calls the bucket policy public."""

    def blocks(self, setting: str) -> bool:
        """Return whether a setting holds, by the bucket's or by the account's configuration."""
        return any(bool((block or {}).get(setting)) for block in (self.block, self.account_block))


def bucket_arn(where: Where, bucket_name: str) -> str:
    """Return the ARN of a bucket."""
    return f"arn:{where.partition}:s3:::{bucket_name}"


def of(ctx: LookContext, params: OneBucket) -> dict[str, str]:
    """Return the parameters that name a bucket and whose it is."""
    return {"Bucket": params.bucket_name, "ExpectedBucketOwner": ctx.where.account_id}


def setting(ctx: LookContext, operation: str, params: OneBucket, **more: Any) -> Mapping[str, Any]:
    """Return the answer of a read of one setting; empty where the bucket does not have it.

    Raises:
        TargetNotFound: If there is no such bucket.
    """
    try:
        return ctx.api.call(f"s3:{operation}", **of(ctx, params), **more)
    except TargetNotFound as problem:
        if code_of(problem) in {"NoSuchBucket", "404"}:
            raise
        return {}


def exposure_of(ctx: LookContext, params: OneBucket) -> Exposure:
    """Read how public a bucket is."""
    block = setting(ctx, "GetPublicAccessBlock", params).get("PublicAccessBlockConfiguration")
    status = setting(ctx, "GetBucketPolicyStatus", params).get("PolicyStatus") or {}
    return Exposure(
        block=_flags(block), account_block=_account_block(ctx), policy_public=bool(status.get("IsPublic"))
    )


def _account_block(ctx: LookContext) -> dict[str, bool] | None:
    """Read the account's setting, which informs only: where it may not be read the bucket's own counts."""
    try:
        answer = ctx.api.call("s3control:GetPublicAccessBlock", AccountId=ctx.where.account_id)
    except (TargetNotFound, ActionDenied):
        return None
    return _flags(answer.get("PublicAccessBlockConfiguration"))


def _flags(block: Mapping[str, Any] | None) -> dict[str, bool] | None:
    return None if block is None else {name: bool(block.get(name)) for name in BLOCKS}
