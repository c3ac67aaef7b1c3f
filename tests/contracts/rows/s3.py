"""S3 buckets: exposure, policy, versions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from gameday.world import seam
from tests.contracts.bench import Bench
from tests.contracts.row import Row, Values

BUCKET = "acme-customer-data"
PUBLIC = {"Sid": "Public", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
TLS_ONLY = {
    "Sid": "TLS",
    "Effect": "Deny",
    "Principal": "*",
    "Action": ["s3:*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
FLAGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def policy_text(*statements: dict[str, Any]) -> str:
    """Return a policy of the bucket."""
    listed = [statement | {"Resource": f"arn:aws:s3:::{BUCKET}/*"} for statement in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": listed})


def bucket(bench: Bench) -> Values:
    """A bucket with nothing configured."""
    bench.client("s3").create_bucket(Bucket=BUCKET)
    return {"bucket_name": BUCKET}


def public(bench: Bench) -> Values:
    """A bucket that is public by its policy, with half a block."""
    values, s3 = bucket(bench), bench.client("s3")
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy_text(PUBLIC, TLS_ONLY))
    s3.put_public_access_block(
        Bucket=BUCKET, PublicAccessBlockConfiguration=dict.fromkeys(FLAGS, False) | {FLAGS[0]: True}
    )
    return values


def named(bench: Bench) -> Values:
    """A bucket without a policy, and callers to be denied."""
    role = f"arn:aws:iam::{bench.account}:role/{bench.resources['role_name']}"
    return {**bucket(bench), "principals": [role], "account_ids": ["444455556666"]}


def others(bench: Bench) -> Values:
    """A public bucket that only a break-glass role shall reach."""
    return {**public(bench), "everyone_but": [f"arn:aws:iam::{bench.account}:role/break-glass"]}


def changed(bench: Bench) -> Values:
    """A versioned bucket in which something was written."""
    values, s3 = bucket(bench), bench.client("s3")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    return {**values, "since": "2020-01-01T00:00:00Z", "until": "2099-01-01T00:00:00Z"}


def erase_bucket(bench: Bench, values: Values) -> None:
    """Somebody deletes the bucket."""
    s3 = seam.s3(bench.account)
    s3.buckets[values["bucket_name"]].keys.clear()
    s3.delete_bucket(values["bucket_name"])


def half_open(bench: Bench, values: Values) -> None:
    """Somebody takes a part of the block away."""
    bench.client("s3").put_public_access_block(
        Bucket=BUCKET, PublicAccessBlockConfiguration=dict.fromkeys(FLAGS, True) | {FLAGS[3]: False}
    )


def rewrite(sid: str) -> Callable[[Bench, Values], None]:
    """Somebody writes another statement under our Sid."""

    def write(bench: Bench, values: Values) -> None:
        seam.s3(bench.account).buckets[BUCKET].policy = policy_text(PUBLIC, TLS_ONLY | {"Sid": sid}).encode()

    return write


ROWS = (
    Row(
        "aws.s3.block-public-access", bucket, erase_bucket,
        operations=("s3:PutPublicAccessBlock",), drift=half_open,
    ),
    Row(
        "aws.s3.block-public-access", public, erase_bucket,
        operations=("s3:PutPublicAccessBlock",), drift=half_open, name="public",
    ),
    Row(
        "aws.s3.deny-bucket-access", named, erase_bucket,
        operations=("s3:PutBucketPolicy",), drift=rewrite("IrrunnerDenyNamed"),
    ),
    Row(
        "aws.s3.deny-bucket-access", others, erase_bucket,
        operations=("s3:PutBucketPolicy",), drift=rewrite("IrrunnerDenyOthers"), name="others",
    ),
    Row("aws.s3.describe-bucket-protection", public, erase_bucket),
    Row("aws.s3.enable-versioning", bucket, erase_bucket, operations=("s3:PutBucketVersioning",)),
    Row("aws.s3.list-changed-objects", changed, erase_bucket),
)  # fmt: skip
