"""What S3 does and moto does not: whose a bucket is, which policies it takes, what a block refuses.

Source: Amazon S3 user guide ("Bucket policies", "Blocking public access", "Verifying bucket ownership"), API
reference. A policy is answered in S3's own spelling: a list of one value becomes the value.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote_plus

from gameday.world import seam
from gameday.world.refusals import Refusal, denied
from gameday.world.services import Scene, StrictLayer

_PAGE: Final = 1000
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


def list_object_versions(scene: Scene) -> Mapping[str, Any] | None:
    """List versions and delete markers with encoded keys; moto fails on keys that XML cannot hold."""
    params = scene.params
    if params.get("Delimiter"):
        return None
    size = min(int(params.get("MaxKeys") or _PAGE), _PAGE)
    entries = _after(_versions(_bucket(scene), params.get("Prefix") or ""), params)
    encoded = params.get("EncodingType") == "url"
    shown = [_entry(version, latest=latest, encoded=encoded) for version, latest in entries[:size]]
    told: dict[str, Any] = {
        "Name": params["Bucket"],
        "IsTruncated": len(entries) > size,
        "MaxKeys": size,
        "Versions": [entry for entry in shown if "Size" in entry],
        "DeleteMarkers": [entry for entry in shown if "Size" not in entry],
    }
    if encoded:
        told["EncodingType"] = "url"
    if told["IsTruncated"]:
        told |= {"NextKeyMarker": shown[-1]["Key"], "NextVersionIdMarker": shown[-1]["VersionId"]}
    return told


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


def _versions(bucket: Any, prefix: str) -> list[tuple[Any, bool]]:
    """Return versions by key, the newest of each first, and whether it is that."""
    return [
        (version, number == 0)
        for name, versions in sorted(bucket.keys.iterlists(), key=lambda item: str(item[0]))
        if name.startswith(prefix)
        for number, version in enumerate(reversed(list(versions)))
    ]


def _after(entries: list[tuple[Any, bool]], params: Mapping[str, Any]) -> list[tuple[Any, bool]]:
    """Return what follows the markers."""
    key, version_id = params.get("KeyMarker"), params.get("VersionIdMarker")
    if not key:
        return entries
    if not version_id:
        return [entry for entry in entries if entry[0].name > key]
    places = [(version.name, str(version.version_id)) for version, _ in entries]
    return entries[places.index((key, version_id)) + 1 :]


def _entry(version: Any, *, latest: bool, encoded: bool) -> dict[str, Any]:
    entry = {
        "Key": quote_plus(version.name) if encoded else version.name,
        "VersionId": str(version.version_id),
        "IsLatest": latest,
        "LastModified": version.last_modified,
    }
    return entry | ({"Size": version.size} if hasattr(version, "size") else {})


def _text(policy: Any) -> str | None:
    return policy.decode() if isinstance(policy, bytes) else policy


def _as_list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]


LAYER: Final = StrictLayer(
    rules={
        **{f"s3:{name}": (own_bucket,) for name in _SETTINGS},
        "s3:PutBucketPolicy": (own_bucket, valid_policy),
    },
    answers={
        "s3:GetBucketPolicyStatus": get_policy_status,
        "s3:ListObjectVersions": list_object_versions,
    },
    effects={"s3:PutBucketPolicy": spell_policy},
)
