"""``aws.s3.block-public-access``: close a bucket to the public, whatever its policy and ACLs say."""

from __future__ import annotations

from typing import Any, Final

from irrunner.actions.contract import Call, LookContext, Model, Permission, Where
from irrunner.actions.registry import action
from irrunner.actions.s3.buckets import (
    API_REFERENCE,
    BLOCKS,
    BUCKET,
    EVERYONE,
    READ_EXPOSURE,
    USER_GUIDE,
    OneBucket,
    bucket_arn,
    exposure_of,
    of,
    setting,
)
from irrunner.actions.setting import SetValue, ValueState
from irrunner.vocabulary import Phase, Risk, UndoPolicy

CLOSED: Final = dict.fromkeys(BLOCKS, True)


class BlockPublicAccessState(ValueState):
    """The bucket's configuration, and what it was public by."""

    bucket_name: str
    account_id: str
    account_block: dict[str, bool] | None
    policy_public: bool
    acl_public: bool
    website: bool


class BlockPublicAccessOutputs(Model):
    """Outputs."""

    bucket_name: str
    block: dict[str, bool]
    account_block: dict[str, bool] | None
    """The account's configuration, which holds beside the bucket's; None: none, or not readable."""
    policy_public: bool
    """The bucket policy is public: only the block keeps the public out."""
    acl_public: bool
    website: bool
    """The bucket serves a website, which is closed now."""


@action(
    "aws.s3.block-public-access",
    title="Block all public access to a bucket",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=120.0,
    consistency_s=10.0,
    permissions=(
        *READ_EXPOSURE,
        Permission("s3:GetBucketAcl", BUCKET),
        Permission("s3:GetBucketWebsite", BUCKET),
        Permission("s3:PutBucketPublicAccessBlock", BUCKET, use="act"),
        Permission("s3:PutBucketPublicAccessBlock", BUCKET, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Puts the configuration back that was there, or deletes ours where there was none.",
    sources=(
        f"{USER_GUIDE}/access-control-block-public-access.html",
        f"{API_REFERENCE}/API_PutPublicAccessBlock.html",
        f"{API_REFERENCE}/API_DeletePublicAccessBlock.html",
    ),
)
class BlockPublicAccess(SetValue[OneBucket, BlockPublicAccessState]):
    """Set all four settings on the bucket; the account's configuration is read and reported, not changed."""

    Params = OneBucket
    Outputs = BlockPublicAccessOutputs
    StateModel = BlockPublicAccessState

    def look(self, ctx: LookContext, params: OneBucket) -> BlockPublicAccessState:
        """Read the configuration, and by what the bucket is public."""
        exposure = exposure_of(ctx, params)
        grants = setting(ctx, "GetBucketAcl", params).get("Grants") or ()
        return BlockPublicAccessState(
            target=bucket_arn(ctx.where, params.bucket_name),
            value=exposure.block,
            bucket_name=params.bucket_name,
            account_id=of(ctx, params)["ExpectedBucketOwner"],
            account_block=exposure.account_block,
            policy_public=exposure.policy_public,
            acl_public=any(grant.get("Grantee", {}).get("URI") in EVERYONE for grant in grants),
            website=bool(setting(ctx, "GetBucketWebsite", params).keys() - {"ResponseMetadata"}),
        )

    def wanted(self, params: OneBucket, state: BlockPublicAccessState) -> dict[str, bool]:
        """Return all four settings, on."""
        return CLOSED

    def write(self, params: OneBucket, state: BlockPublicAccessState, value: Any) -> tuple[Call, ...]:
        """Put a configuration, or delete it."""
        bucket = {"Bucket": state.bucket_name, "ExpectedBucketOwner": state.account_id}
        if value is None:
            operation, body, verb = "DeletePublicAccessBlock", {}, "Delete"
        else:
            operation, body, verb = "PutPublicAccessBlock", {"PublicAccessBlockConfiguration": value}, "Set"
        return (
            Call(
                f"s3:{operation}",
                {**bucket, **body},
                target=state.target,
                summary=f"{verb} the Block Public Access configuration of {state.bucket_name}",
                before=state.value,
                after=value,
            ),
        )

    def outputs(self, params: OneBucket, state: BlockPublicAccessState) -> BlockPublicAccessOutputs:
        """Return the configuration and what it covers."""
        return BlockPublicAccessOutputs(
            bucket_name=state.bucket_name,
            block=state.value,
            account_block=state.account_block,
            policy_public=state.policy_public,
            acl_public=state.acl_public,
            website=state.website,
        )

    def warnings(self, params: OneBucket, state: BlockPublicAccessState) -> tuple[str, ...]:
        """Return what is cut off, and what is not."""
        name = state.bucket_name
        told = (
            (state.website, f"{name} serves a website: its S3 endpoint answers 403 from now on"),
            (
                state.policy_public,
                (
                    f"the policy of {name} is public: other accounts and anonymous callers that it allows are"
                    " cut off, and S3 refuses any change to it that leaves it public"
                ),
            ),
            (state.acl_public, f"the ACL of {name} grants access to everyone; it is ignored from now on"),
            (
                True,
                (
                    "principals that a policy names, presigned URLs, access points and CloudFront with origin"
                    " access control still reach the bucket"
                ),
            ),
        )
        return tuple(text for holds, text in told if holds)

    def targets(self, params: OneBucket, where: Where) -> tuple[str, ...]:
        """Return the bucket."""
        return (bucket_arn(where, params.bucket_name),)
