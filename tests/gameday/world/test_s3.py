from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gameday.world import World

Refused = Callable[..., str]
BUCKET = "acme-data"
ALLOW = {
    "Effect": "Allow",
    "Principal": "*",
    "Action": ["s3:GetObject"],
    "Resource": f"arn:aws:s3:::{BUCKET}/*",
}


@pytest.fixture
def s3(world: World, member: str) -> Any:
    """Return S3 of the member account, with a bucket."""
    client = world.client(member, "s3")
    client.create_bucket(Bucket=BUCKET)
    return client


def text(*statements: Any) -> str:
    """Return a policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.mark.parametrize(
    "policy",
    [
        "{}",
        text(),
        text({key: value for key, value in ALLOW.items() if key != "Principal"}),
        text(ALLOW | {"Resource": "arn:aws:s3:::other/*"}),
        text(ALLOW | {"Sid": "a"}, ALLOW | {"Sid": "a"}),
        text(ALLOW | {"Sid": "a" * 21_000}),
    ],
)
def test_policies_that_s3_does_not_take(s3: Any, refused: Refused, policy: str) -> None:
    """The simulator takes no more than S3 does."""
    assert refused(s3.put_bucket_policy, Bucket=BUCKET, Policy=policy) == "MalformedPolicy"


def test_a_policy_comes_back_in_s3s_spelling(s3: Any) -> None:
    """Whoever compares texts sees drift where there is none."""
    s3.put_bucket_policy(Bucket=BUCKET, Policy=text(ALLOW))

    answered = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])

    assert answered["Statement"][0]["Action"] == "s3:GetObject"
    assert s3.get_bucket_policy_status(Bucket=BUCKET)["PolicyStatus"]["IsPublic"]


def test_a_block_refuses_public_policies(s3: Any, refused: Refused) -> None:
    """BlockPublicPolicy refuses a policy that allows everyone, even to add a deny to it."""
    block = dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
    )
    s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=block)

    assert refused(s3.put_bucket_policy, Bucket=BUCKET, Policy=text(ALLOW)) == "AccessDenied"


def test_a_bucket_of_another_account_is_denied(world: World, s3: Any, refused: Refused) -> None:
    """Names are of the partition: a bucket that exists is not ours for that."""
    other = world.client(world.organisation.members[1], "s3")

    assert refused(other.get_bucket_versioning, Bucket=BUCKET) == "AccessDenied"
    assert (
        refused(s3.get_bucket_versioning, Bucket=BUCKET, ExpectedBucketOwner="111122223333") == "AccessDenied"
    )


def test_a_deny_cuts_off_everyone_else(world: World, member: str, s3: Any, refused: Refused) -> None:
    """An explicit deny with exceptions holds for the administrator, too."""
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    role = f"arn:aws:iam::{member}:role/irrunner-responder"
    resources = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    deny = {
        "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": resources,
        "Condition": {"ArnNotLike": {"aws:PrincipalArn": [role]}},
    }  # fmt: skip

    s3.put_bucket_policy(Bucket=BUCKET, Policy=text(deny))

    assert refused(s3.get_object, Bucket=BUCKET, Key="a") == "AccessDenied"
    assert refused(s3.put_bucket_policy, Bucket=BUCKET, Policy=text(ALLOW)) == "AccessDenied"


def test_versions_come_in_pages_with_keys_that_xml_cannot_hold(s3: Any) -> None:
    """Keys are anything: encoded they come through, page by page, the newest version of each first."""
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for key in ("a b+c", "\x1b[2J", "\x1b[2J"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"12")
    s3.delete_object(Bucket=BUCKET, Key="a b+c")

    pages = list(
        s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 1})
    )
    told = [entry for page in pages for name in ("Versions", "DeleteMarkers") for entry in page.get(name, ())]

    assert [(entry["Key"], entry["IsLatest"]) for entry in told] == [
        ("\x1b[2J", True), ("\x1b[2J", False), ("a b+c", True), ("a b+c", False)
    ]  # fmt: skip
    assert len({entry["VersionId"] for entry in told}) == len(pages) == 4
