"""``aws.s3.describe-bucket-protection``: what keeps a bucket's objects, and who can get at them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from irrunner.actions.contract import Action, Decision, LookContext, Model, Permission, Settled, State, Where
from irrunner.actions.registry import action
from irrunner.actions.s3.buckets import (
    API_REFERENCE,
    BUCKET,
    EVERYONE,
    READ_EXPOSURE,
    USER_GUIDE,
    Exposure,
    OneBucket,
    exposure_of,
    setting,
)
from irrunner.errors import ActionDenied
from irrunner.vocabulary import Phase, Risk, UndoPolicy

READS: Final = (
    "s3:GetBucketVersioning",
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketLogging",
    "s3:GetEncryptionConfiguration",
    "s3:GetBucketPolicy",
    "s3:GetBucketAcl",
    "s3:GetBucketWebsite",
    "s3:GetLifecycleConfiguration",
    "s3:GetReplicationConfiguration",
)


class BucketProtection(Model):
    """Outputs. What is not configured is None, false or empty."""

    bucket_name: str
    versioning: str
    """``Enabled``, ``Suspended`` or ``Never``."""
    mfa_delete: bool
    object_lock: bool
    object_lock_mode: str | None
    """Default retention: ``GOVERNANCE``, ``COMPLIANCE``, or None."""
    object_lock_days: int | None
    logging_bucket: str | None
    """Where server access logs go."""
    encryption: str | None
    """``AES256``, ``aws:kms``, ``aws:kms:dsse``."""
    kms_key_id: str | None
    policy: str | None
    """The bucket policy, as S3 has it."""
    policy_public: bool
    acl_public: bool
    block: dict[str, bool] | None
    account_block: dict[str, bool] | None
    public: bool
    """Whether the public gets in: something grants it, and no block stops that."""
    website: bool
    lifecycle_expires: bool
    """A lifecycle rule deletes objects or their versions."""
    replicated: bool


class ProtectionState(State):
    """What was seen."""

    facts: BucketProtection
    unknown: tuple[str, ...] = ()
    """Settings that may not be read."""


@action(
    "aws.s3.describe-bucket-protection",
    title="Describe a bucket's protection: versions, locks, logs, encryption, exposure",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=(*READ_EXPOSURE, *(Permission(name, BUCKET) for name in READS)),
    undo=UndoPolicy.NEVER,
    undo_note="Reads only: there is nothing to undo.",
    sources=(
        f"{USER_GUIDE}/security-best-practices.html",
        f"{USER_GUIDE}/object-lock.html",
        f"{API_REFERENCE}/API_GetObjectLockConfiguration.html",
        f"{API_REFERENCE}/API_GetBucketPolicyStatus.html",
    ),
)
class DescribeBucketProtection(Action[OneBucket, ProtectionState]):
    """Read every setting that decides what an attacker could destroy or take."""

    Params = OneBucket
    Outputs = BucketProtection
    StateModel = ProtectionState

    def look(self, ctx: LookContext, params: OneBucket) -> ProtectionState:
        """Read the settings; beside versioning and exposure, one that is denied is told as unknown."""
        versioning = setting(ctx, "GetBucketVersioning", params)
        exposure = exposure_of(ctx, params)
        answers, unknown = _optional(ctx, params)
        facts = BucketProtection(
            bucket_name=params.bucket_name,
            versioning=versioning.get("Status") or "Never",
            mfa_delete=versioning.get("MFADelete") == "Enabled",
            **_lock(answers["GetObjectLockConfiguration"]),
            **_encryption(answers["GetBucketEncryption"]),
            **_exposure(exposure, answers["GetBucketAcl"]),
            logging_bucket=answers["GetBucketLogging"].get("LoggingEnabled", {}).get("TargetBucket"),
            policy=answers["GetBucketPolicy"].get("Policy"),
            website=bool(answers["GetBucketWebsite"].keys() - {"ResponseMetadata"}),
            lifecycle_expires=_expires(answers["GetBucketLifecycleConfiguration"]),
            replicated="ReplicationConfiguration" in answers["GetBucketReplication"],
        )
        return ProtectionState(facts=facts, unknown=unknown)

    def decide(self, params: OneBucket, state: ProtectionState) -> Decision:
        """Nothing is ever to be done."""
        return Settled(state.facts, (*state.unknown, *_warnings(state.facts)))

    def targets(self, params: OneBucket, where: Where) -> tuple[str, ...]:
        """Return nothing: reads only."""
        return ()


def _optional(ctx: LookContext, params: OneBucket) -> tuple[dict[str, Mapping[str, Any]], tuple[str, ...]]:
    answers: dict[str, Mapping[str, Any]] = {}
    unknown = []
    for name in (
        "GetObjectLockConfiguration", "GetBucketLogging", "GetBucketEncryption", "GetBucketPolicy",
        "GetBucketAcl", "GetBucketWebsite", "GetBucketLifecycleConfiguration", "GetBucketReplication",
    ):  # fmt: skip
        try:
            answers[name] = setting(ctx, name, params)
        except ActionDenied as problem:
            answers[name] = {}
            unknown.append(f"not known, for s3:{name} is denied: {problem.message}")
    return answers, tuple(unknown)


def _lock(answer: Mapping[str, Any]) -> dict[str, Any]:
    found = answer.get("ObjectLockConfiguration") or {}
    retention = (found.get("Rule") or {}).get("DefaultRetention") or {}
    years = retention.get("Years")
    return {
        "object_lock": found.get("ObjectLockEnabled") == "Enabled",
        "object_lock_mode": retention.get("Mode"),
        "object_lock_days": years * 365 if years else retention.get("Days"),
    }


def _encryption(answer: Mapping[str, Any]) -> dict[str, Any]:
    rules = (answer.get("ServerSideEncryptionConfiguration") or {}).get("Rules") or [{}]
    default = rules[0].get("ApplyServerSideEncryptionByDefault") or {}
    return {"encryption": default.get("SSEAlgorithm"), "kms_key_id": default.get("KMSMasterKeyID")}


def _exposure(exposure: Exposure, acl: Mapping[str, Any]) -> dict[str, Any]:
    acl_public = any(grant.get("Grantee", {}).get("URI") in EVERYONE for grant in acl.get("Grants") or ())
    by_policy = exposure.policy_public and not exposure.blocks("RestrictPublicBuckets")
    by_acl = acl_public and not exposure.blocks("IgnorePublicAcls")
    return {
        "policy_public": exposure.policy_public,
        "acl_public": acl_public,
        "block": exposure.block,
        "account_block": exposure.account_block,
        "public": by_policy or by_acl,
    }


def _expires(answer: Mapping[str, Any]) -> bool:
    deleting = {"Expiration", "NoncurrentVersionExpiration"}
    rules = answer.get("Rules") or ()
    return any(rule.get("Status") == "Enabled" and deleting & rule.keys() for rule in rules)


def _warnings(facts: BucketProtection) -> list[str]:
    told = (
        (facts.public, "the public gets in"),
        (facts.versioning != "Enabled", "what is overwritten or deleted is lost: versioning is not on"),
        (facts.lifecycle_expires, "a lifecycle rule deletes objects: it may be the attacker's"),
    )
    return [f"{facts.bucket_name}: {text}" for holds, text in told if holds]
