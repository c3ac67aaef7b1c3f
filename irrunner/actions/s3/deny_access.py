"""``aws.s3.deny-bucket-access``: an explicit deny in a bucket's policy, which overrides every allow.

The statement names callers by conditions and not as ``Principal``: S3 refuses a policy with a principal
that does not exist (any more), and rewrites one that is deleted later. Everything else in the policy is
kept as it is. The responder role is never denied; should all else fail, the account's root user may
always delete the policy.

Source: Amazon S3 user guide, "Bucket policies for Amazon S3"; API reference, DeleteBucketPolicy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, Self

from pydantic import Field, model_validator

from irrunner.actions.contract import Call, LookContext, Model, Permission, Refused, Where
from irrunner.actions.ids import AccountId, PrincipalArn
from irrunner.actions.registry import action
from irrunner.actions.runtime import protected_target
from irrunner.actions.s3.buckets import (
    API_REFERENCE,
    BUCKET,
    READ_EXPOSURE,
    USER_GUIDE,
    OneBucket,
    bucket_arn,
    exposure_of,
    setting,
)
from irrunner.actions.s3.policy import (
    LIMIT_BYTES,
    Document,
    canonical,
    parsed,
    statement_of,
    text_of,
    with_statement,
)
from irrunner.actions.setting import SetValue, ValueState
from irrunner.vocabulary import Phase, Risk, UndoPolicy

DENY_NAMED: Final = "IrrunnerDenyNamed"
DENY_OTHERS: Final = "IrrunnerDenyOthers"
EARLIER: Final = re.compile(
    r"arn:[a-z-]+:(?:iam::[0-9]{12}:(?:role|user)/[!-#%-)+->@-~]+|\*::(?P<whole>[0-9]{12}):\*)", re.ASCII
)
"""What an earlier run may have denied: a caller, or a whole account."""


class DenyBucketAccessParams(OneBucket):
    """Parameters: callers to be denied, or callers to be left; one of the two."""

    principals: tuple[PrincipalArn, ...] = Field(default=(), max_length=100)
    """Roles and users, of any account, that shall be denied."""
    account_ids: tuple[AccountId, ...] = Field(default=(), max_length=100)
    """Other accounts that shall be denied as a whole."""
    everyone_but: tuple[PrincipalArn, ...] = Field(default=(), max_length=100)
    """Deny everyone but these (a break-glass role), irrunner's own roles, and AWS services."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        """An empty list, such as a finding without a principal gives, must not come to mean everyone."""
        named = bool(self.principals or self.account_ids)
        if named == bool(self.everyone_but):
            raise ValueError("give either principals or account_ids to deny, or everyone_but to leave")
        return self


class DenyBucketAccessState(ValueState):
    """The bucket's policy; the value is the statement of our Sid, canonical, or None."""

    bucket_name: str
    account_id: str
    partition: str
    policy: Document | None
    """None: the bucket has no policy, or it cannot be read (see ``unreadable``)."""
    unreadable: str = ""
    """Why the policy cannot be edited."""
    public_refused: bool
    """The policy is public and S3 refuses to put a public policy."""
    own_roles: tuple[str, ...]
    """ARNs of irrunner's roles, which are never denied."""
    protected: str = ""
    """A caller to be denied that the configuration protects, such as a break-glass role."""


class DenyBucketAccessOutputs(Model):
    """Outputs."""

    bucket_name: str
    statement_id: str
    statement: dict[str, Any]
    """As S3 has it."""
    denied: tuple[str, ...]
    """Patterns of denied callers; empty: everyone that is not exempt."""
    exempt: tuple[str, ...]


@action(
    "aws.s3.deny-bucket-access",
    title="Deny callers a bucket, in its policy",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=120.0,
    consistency_s=10.0,
    permissions=(
        *READ_EXPOSURE,
        Permission("s3:GetBucketPolicy", BUCKET),
        Permission("s3:PutBucketPolicy", BUCKET, use="act"),
        Permission("s3:PutBucketPolicy", BUCKET, use="undo"),
        Permission("s3:DeleteBucketPolicy", BUCKET, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Takes our statement out again (or puts back the one before it); all other statements stay.",
    sources=(
        f"{USER_GUIDE}/bucket-policies.html",
        f"{USER_GUIDE}/amazon-s3-policy-keys.html",
        f"{API_REFERENCE}/API_PutBucketPolicy.html",
        f"{API_REFERENCE}/API_DeleteBucketPolicy.html",
    ),
)
class DenyBucketAccess(SetValue[DenyBucketAccessParams, DenyBucketAccessState]):
    """Add or widen one statement with a fixed Sid."""

    Params = DenyBucketAccessParams
    Outputs = DenyBucketAccessOutputs
    StateModel = DenyBucketAccessState

    def look(self, ctx: LookContext, params: DenyBucketAccessParams) -> DenyBucketAccessState:
        """Read the policy, and whether S3 would take it back with one more statement."""
        arn, sid = bucket_arn(ctx.where, params.bucket_name), _sid(params)
        policy, unreadable = parsed(setting(ctx, "GetBucketPolicy", params).get("Policy"))
        found = None
        if policy is not None and not unreadable:
            found, unreadable = statement_of(policy, sid)
        exposure = exposure_of(ctx, params)
        return DenyBucketAccessState(
            target=f"{arn}/policy/{sid}",
            value=found,
            bucket_name=params.bucket_name,
            account_id=ctx.where.account_id,
            partition=ctx.where.partition,
            policy=policy,
            unreadable=unreadable,
            public_refused=exposure.policy_public and exposure.blocks("BlockPublicPolicy"),
            own_roles=tuple(_own_roles(ctx)),
            protected=protected_target(params.principals, ctx.settings.protected) or "",
        )

    def wanted(self, params: DenyBucketAccessParams, state: DenyBucketAccessState) -> dict[str, Any]:
        """Return the statement. Callers whom an earlier run denies stay denied."""
        statement = _statement(state, _sid(params))
        if params.everyone_but:
            exempt = sorted({*params.everyone_but, *state.own_roles})
            statement["Condition"] = {
                "ArnNotLike": {"aws:PrincipalArn": exempt},
                "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
            }
        else:
            statement["Condition"] = {
                "ArnLike": {"aws:PrincipalArn": sorted({*_denied(params, state.partition), *_kept(state)})}
            }
        wanted: dict[str, Any] = canonical(statement)
        return wanted

    def refusal(self, params: DenyBucketAccessParams, state: DenyBucketAccessState) -> Refused | None:
        """Refuse what S3 would refuse, what locks us out, and what cannot be edited safely."""
        reason = _obstacle(params, state)
        if reason is None and state.value != self.wanted(params, state):
            size = len(text_of(with_statement(state.policy, _sid(params), self.wanted(params, state))))
            if size > LIMIT_BYTES:
                reason = (
                    f"the policy of {state.bucket_name} would have {size} bytes, and S3 takes {LIMIT_BYTES}:"
                    " deny the callers by their own policies (aws.iam.quarantine-user), or shorten the policy"
                )
        return Refused(reason) if reason else None

    def write(
        self, params: DenyBucketAccessParams, state: DenyBucketAccessState, value: Any
    ) -> tuple[Call, ...]:
        """Put the policy with our statement changed; delete it where nothing else is left."""
        sid, bucket = _sid(params), {"Bucket": state.bucket_name, "ExpectedBucketOwner": state.account_id}
        policy = with_statement(state.policy, sid, value)
        if not policy["Statement"]:
            operation, body = "DeleteBucketPolicy", {}
        else:
            operation, body = "PutBucketPolicy", {"Policy": text_of(policy)}
        verb, where = ("Take", "out of") if value is None else ("Set", "in")
        return (
            Call(
                f"s3:{operation}",
                {**bucket, **body},
                target=state.target,
                summary=f"{verb} the statement {sid} {where} the policy of {state.bucket_name}",
                before=state.value,
                after=value,
            ),
        )

    def outputs(
        self, params: DenyBucketAccessParams, state: DenyBucketAccessState
    ) -> DenyBucketAccessOutputs:
        """Return the statement and whom it concerns."""
        return DenyBucketAccessOutputs(
            bucket_name=state.bucket_name,
            statement_id=_sid(params),
            statement=state.value,
            denied=_callers(state.value, "ArnLike"),
            exempt=_callers(state.value, "ArnNotLike"),
        )

    def warnings(self, params: DenyBucketAccessParams, state: DenyBucketAccessState) -> tuple[str, ...]:
        """Return what a deny in this policy does not reach."""
        copies = (
            "copies elsewhere (replicas, backups, downloads) are not covered; a presigned URL is denied with"
            " its signer, and only so"
        )
        if params.everyone_but:
            return (
                (
                    "AWS services acting for themselves (log delivery) may still"
                    " use the bucket; applications may not"
                ),
                copies,
            )
        return (copies,)

    def targets(self, params: DenyBucketAccessParams, where: Where) -> tuple[str, ...]:
        """Return the bucket."""
        return (bucket_arn(where, params.bucket_name),)


def _sid(params: DenyBucketAccessParams) -> str:
    return DENY_OTHERS if params.everyone_but else DENY_NAMED


def _own_roles(ctx: LookContext) -> Iterator[str]:
    where, settings = ctx.where, ctx.settings
    yield f"arn:{where.partition}:iam::{where.account_id}:role/{settings.responder_role}"
    if where.forensic_account_id:
        yield f"arn:{where.partition}:iam::{where.forensic_account_id}:role/{settings.forensics.role}"


def _denied(params: DenyBucketAccessParams, partition: str) -> Iterator[str]:
    yield from params.principals
    for account_id in params.account_ids:
        yield f"arn:{partition}:*::{account_id}:*"


def _statement(state: DenyBucketAccessState, sid: str) -> dict[str, Any]:
    arn = f"arn:{state.partition}:s3:::{state.bucket_name}"
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
    }


def _kept(state: DenyBucketAccessState) -> Iterator[str]:
    """Yield the callers whom an earlier run denies.

    Whoever may write the policy may write a statement under our Sid: what is not as we write it is not
    taken over, least of all a pattern that denies us.
    """
    found = state.value
    if not isinstance(found, dict) or found != canonical(
        {**_statement(state, DENY_NAMED), "Condition": found.get("Condition")}
    ):
        return
    for caller in _callers(found, "ArnLike"):
        account = EARLIER.fullmatch(caller)
        if account and caller not in state.own_roles and account["whole"] != state.account_id:
            yield caller


def _callers(statement: Any, operator: str) -> tuple[str, ...]:
    """Return the patterns that a statement of ours compares a caller's ARN with."""
    condition = statement.get("Condition") if isinstance(statement, dict) else None
    tests = condition.get(operator) if isinstance(condition, dict) else None
    found = tests.get("aws:PrincipalArn", ()) if isinstance(tests, dict) else ()
    listed = found if isinstance(found, list | tuple) else [found]
    return tuple(sorted(caller for caller in listed if isinstance(caller, str)))


def _obstacle(params: DenyBucketAccessParams, state: DenyBucketAccessState) -> str | None:
    if state.unreadable:
        return (
            f"the policy of {state.bucket_name} {state.unreadable}: it is not edited by a machine; have its"
            " owner mend it, or deny the callers by their own policies (aws.iam.quarantine-user)"
        )
    own = sorted(set(params.principals) & set(state.own_roles))
    if own:
        return f"{own[0]} is irrunner's own role: denied it, nobody could undo this"
    if state.protected:
        return f"{state.protected} is protected by the configuration (protected:)"
    if state.account_id in params.account_ids:
        return (
            f"{state.account_id} owns the bucket: denying it as a whole leaves only its root user; deny"
            " everyone_but a break-glass role instead"
        )
    if state.public_refused and state.value != DenyBucketAccess().wanted(params, state):
        return (
            f"the policy of {state.bucket_name} is public while BlockPublicPolicy is on: S3 refuses every"
            " change that leaves it public. RestrictPublicBuckets keeps other accounts out already;"
            " to add a deny, take the public statement away first, or deny before blocking public access"
        )
    return None
