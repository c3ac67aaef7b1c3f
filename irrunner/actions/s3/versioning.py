"""``aws.s3.enable-versioning``: from now on an overwritten or deleted object can be brought back."""

from __future__ import annotations

from typing import Any, Final

from irrunner.actions.contract import Call, LookContext, Model, Permission, Refused, Where
from irrunner.actions.registry import action
from irrunner.actions.s3.buckets import (
    API_REFERENCE,
    BUCKET,
    USER_GUIDE,
    OneBucket,
    bucket_arn,
    setting,
)
from irrunner.actions.setting import SetValue, ValueState
from irrunner.vocabulary import Phase, Risk, UndoPolicy

ENABLED: Final = "Enabled"
SUSPENDED: Final = "Suspended"


class VersioningState(ValueState):
    """The bucket's versioning: ``Enabled``, else ``Suspended``."""

    bucket_name: str
    account_id: str
    ever_versioned: bool
    """False: the bucket never had versions, which is a state that no call brings back."""
    mfa_delete: bool


class VersioningOutputs(Model):
    """Outputs."""

    bucket_name: str
    status: str
    mfa_delete: bool


@action(
    "aws.s3.enable-versioning",
    title="Keep the old versions of a bucket's objects",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    timeout_s=120.0,
    consistency_s=10.0,
    permissions=(
        Permission("s3:GetBucketVersioning", BUCKET),
        Permission("s3:PutBucketVersioning", BUCKET, use="act"),
        Permission("s3:PutBucketVersioning", BUCKET, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Suspends versioning, also where the bucket never had it: S3 knows no way back; versions stay.",
    sources=(
        f"{USER_GUIDE}/Versioning.html",
        f"{API_REFERENCE}/API_PutBucketVersioning.html",
    ),
)
class EnableVersioning(SetValue[OneBucket, VersioningState]):
    """Switch versioning on; additive, but every overwrite costs storage from then on."""

    Params = OneBucket
    Outputs = VersioningOutputs
    StateModel = VersioningState

    def look(self, ctx: LookContext, params: OneBucket) -> VersioningState:
        """Read the bucket's versioning."""
        answer = setting(ctx, "GetBucketVersioning", params)
        status = answer.get("Status")
        return VersioningState(
            target=bucket_arn(ctx.where, params.bucket_name),
            value=ENABLED if status == ENABLED else SUSPENDED,
            bucket_name=params.bucket_name,
            account_id=ctx.where.account_id,
            ever_versioned=bool(status),
            mfa_delete=answer.get("MFADelete") == ENABLED,
        )

    def wanted(self, params: OneBucket, state: VersioningState) -> str:
        """Return ``Enabled``."""
        return ENABLED

    def refusal(self, params: OneBucket, state: VersioningState) -> Refused | None:
        """Refuse where S3 wants the root user's MFA code for a change."""
        if state.mfa_delete and state.value != ENABLED:
            return Refused(
                f"{state.bucket_name} has MFA delete: only the root user, with a code, may change versioning"
            )
        return None

    def write(self, params: OneBucket, state: VersioningState, value: Any) -> tuple[Call, ...]:
        """Set the status."""
        return (
            Call(
                "s3:PutBucketVersioning",
                {
                    "Bucket": state.bucket_name,
                    "ExpectedBucketOwner": state.account_id,
                    "VersioningConfiguration": {"Status": value},
                },
                target=state.target,
                summary=f"Set versioning of {state.bucket_name} to {value}",
                before=state.value if state.ever_versioned else None,
                after=value,
            ),
        )

    def outputs(self, params: OneBucket, state: VersioningState) -> VersioningOutputs:
        """Return the status."""
        return VersioningOutputs(
            bucket_name=state.bucket_name, status=str(state.value), mfa_delete=state.mfa_delete
        )

    def warnings(self, params: OneBucket, state: VersioningState) -> tuple[str, ...]:
        """Return what versioning does not give."""
        return (
            (
                f"what was overwritten or deleted in {state.bucket_name} before stays lost; whoever may call"
                " s3:DeleteObjectVersion or write a lifecycle rule still deletes versions for good; S3"
                " advises to wait 15 minutes before writing, where versioning was never on"
            ),
        )

    def targets(self, params: OneBucket, where: Where) -> tuple[str, ...]:
        """Return the bucket."""
        return (bucket_arn(where, params.bucket_name),)
