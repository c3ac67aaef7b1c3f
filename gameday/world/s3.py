"""What S3 does and moto does not: whose a bucket is, which policies it takes, what a block refuses.

Source: Amazon S3 user guide ("Bucket policies", "Blocking public access", "Verifying bucket ownership"), API
reference. A policy is answered in S3's own spelling: a list of one value becomes the value.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from gameday.world import seam
from gameday.world.refusals import Refusal, denied
from gameday.world.services import Scene, StrictLayer

POLICY_BYTES: Final = 20 * 1024
_SETTINGS: Final = (
    "GetBucketAcl", "GetBucketEncryption", "GetBucketLifecycleConfiguration", "GetBucketLogging",
    "GetBucketPolicy", "GetBucketPolicyStatus", "GetBucketReplication", "GetBucketVersioning",
    "GetBucketWebsite", "GetObjectLockConfiguration", "GetPublicAccessBlock", "ListObjectVersions",
    "PutBucketPolicy", "PutBucketVersioning", "PutPublicAccessBlock", "DeleteBucketPolicy",
    "DeletePublicAccessBlock",
)  # fmt: skip
_NEEDED: Final = frozenset({"Effect", "Principal", "Action", "Resource"})


def own_bucket(scene: Scene) -> None:
    """Refuse a bucket of another account, and one that is not the expected owner's."""
    _bucket(scene)
    expected = scene.params.get("ExpectedBucketOwner")
    if expected and expected != scene.account:
        raise denied("rest-xml", scene.principal.arn, scene.request.action)


def valid_policy(scene: Scene) -> None:
    """Refuse a policy that S3 would not take."""
    bucket, text = _bucket(scene), _text(scene.params.get("Policy")) or ""
    if len(text.encode()) > POLICY_BYTES:
        raise Refusal("MalformedPolicy", "Policy exceeds the maximum allowed document size.")
    statements = _statements(text)
    if not statements:
        raise Refusal("MalformedPolicy", "Missing required field Statement")
    sids = [statement["Sid"] for statement in statements if "Sid" in statement]
    if len(set(sids)) < len(sids):
        raise Refusal("MalformedPolicy", "Statement IDs (SID) in a single policy must be unique.")
    for statement in statements:
        _check_statement(statement, str(scene.params["Bucket"]))
    if is_public(text) and _blocks_public_policies(scene, bucket):
        raise denied("rest-xml", scene.principal.arn, "s3:PutBucketPolicy")


def spell_policy(scene: Scene) -> None:
    """Keep the policy as S3 spells it."""
    bucket = _bucket(scene)
    bucket.policy = json.dumps(_spelled(json.loads(_text(bucket.policy) or "{}"))).encode()


def get_policy_status(scene: Scene) -> Mapping[str, Any] | None:
    """Say whether a policy is public."""
    text = _text(_bucket(scene).policy)
    return {"PolicyStatus": {"IsPublic": is_public(text)}} if text else None


def is_public(text: str | None) -> bool:
    """Return whether a policy allows everyone something, without a condition.

    Source: S3 user guide, "The meaning of public": a condition on fixed values makes a policy not public.
    """
    return any(
        statement.get("Effect") == "Allow"
        and statement.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
        and not statement.get("Condition")
        for statement in _statements(text)
    )


def _bucket(scene: Scene) -> Any:
    name = str(scene.params.get("Bucket"))
    found = seam.s3(scene.account).buckets.get(name)
    if found is not None:
        return found
    if any(name in seam.s3(account).buckets for account in seam.iam_accounts()):
        raise denied("rest-xml", scene.principal.arn, scene.request.action)
    raise Refusal("NoSuchBucket", "The specified bucket does not exist", 404)


def _check_statement(statement: Mapping[str, Any], bucket: str) -> None:
    if not statement.keys() >= _NEEDED:
        raise Refusal("MalformedPolicy", f"Missing required field {min(_NEEDED - statement.keys())}")
    arns = {f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/"}
    for resource in _as_list(statement["Resource"]):
        if not str(resource).startswith(tuple(arns)):
            raise Refusal("MalformedPolicy", "Policy has invalid resource")


def _blocks_public_policies(scene: Scene, bucket: Any) -> bool:
    account = seam.backend("s3control", scene.account, "aws").public_access_block
    return any(block.block_public_policy for block in (bucket.public_access_block, account) if block)


def _spelled(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _spelled(item, name) for name, item in value.items()}
    if isinstance(value, list):
        items = [_spelled(item) for item in value]
        return items[0] if len(items) == 1 and key != "Statement" else items
    return value


def _statements(text: str | None) -> list[dict[str, Any]]:
    """Return a policy's statements as they are written; none where it cannot be read."""
    try:
        read = json.loads(text or "{}")
    except ValueError:
        return []
    found = _as_list(read.get("Statement", [])) if isinstance(read, dict) else []
    return [statement for statement in found if isinstance(statement, dict)]


def _text(policy: Any) -> str | None:
    return policy.decode() if isinstance(policy, bytes) else policy


def _as_list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]


LAYER: Final = StrictLayer(
    rules={
        **{f"s3:{name}": (own_bucket,) for name in _SETTINGS},
        "s3:PutBucketPolicy": (own_bucket, valid_policy),
    },
    answers={"s3:GetBucketPolicyStatus": get_policy_status},
    effects={"s3:PutBucketPolicy": spell_policy},
)
