"""``aws.cloudtrail.restore-trail``: give a trail back the settings that it should have.

The settings are said by the playbook, or come from AWS Config's history of the trail, in Config's spelling.
Only what is said is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from irrunner.actions.cloudtrail.start_logging import trail_target
from irrunner.actions.cloudtrail.trails import (
    API_REFERENCE,
    DESCRIBE_TRAILS,
    EVENT_SELECTORS,
    TRAILS,
    USER_GUIDE,
    OneTrail,
    Trail,
    canonical_selectors,
    find_trail,
    not_ours,
    selectors_of,
)
from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    Refused,
    Settled,
    State,
    Where,
)
from irrunner.actions.ids import BucketName, KmsKeyArn
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy

FIELDS: Final = {
    "bucket_name": ("S3BucketName", "s3BucketName"),
    "key_prefix": ("S3KeyPrefix", "s3KeyPrefix"),
    "multi_region": ("IsMultiRegionTrail", "isMultiRegionTrail"),
    "global_events": ("IncludeGlobalServiceEvents", "includeGlobalServiceEvents"),
    "validation": ("EnableLogFileValidation", "logFileValidationEnabled"),
    "kms_key_id": ("KmsKeyId", "kmsKeyId"),
    "log_group_arn": ("CloudWatchLogsLogGroupArn", "cloudWatchLogsLogGroupArn"),
    "log_role_arn": ("CloudWatchLogsRoleArn", "cloudWatchLogsRoleArn"),
}
"""Our name of a setting to UpdateTrail's, and to that of AWS Config's ``AWS::CloudTrail::Trail``."""
PAIRED: Final = ("log_group_arn", "log_role_arn")
"""AWS takes the log group only with the role that writes to it."""
SELECTORS: Final = "selectors"


class RestoreTrailParams(OneTrail):
    """Parameters; what is not given is left alone."""

    bucket_name: BucketName | None = None
    key_prefix: str | None = Field(default=None, max_length=200)
    """Empty: none."""
    multi_region: bool | None = None
    global_events: bool | None = None
    validation: bool | None = None
    kms_key_id: KmsKeyArn | Literal[""] | None = None
    """Empty: not encrypted with a KMS key."""
    log_group_arn: str | None = Field(default=None, max_length=512)
    log_role_arn: str | None = Field(default=None, max_length=512)
    event_selectors: list[dict[str, Any]] | None = None
    """By the names of CloudTrail's API; replaces all selectors."""
    advanced_event_selectors: list[dict[str, Any]] | None = None
    config_item: dict[str, Any] | None = None
    """``configuration`` of an item of aws.config.get-resource-history; what is given above comes first."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.event_selectors is not None and self.advanced_event_selectors is not None:
            raise ValueError("a trail has event_selectors or advanced_event_selectors, not both")
        if any("FieldSelectors" not in item for item in self.advanced_event_selectors or ()):
            raise ValueError("an advanced event selector has FieldSelectors")
        if any(not isinstance(value, str | bool | dict) for value in self.wanted().values()):
            raise ValueError("config_item is no configuration of a trail")
        if not self.wanted():
            raise ValueError("nothing to restore: give a setting, or a config_item")
        return self

    def wanted(self) -> dict[str, Any]:
        """Return the settings that are said, by our names."""
        config = self.config_item or {}
        said = {
            name: config.get(in_config) if (own := getattr(self, name)) is None else own
            for name, (_, in_config) in FIELDS.items()
        }
        wanted = {name: value for name, value in said.items() if value is not None}
        if self.event_selectors is not None or self.advanced_event_selectors is not None:
            basic, advanced = self.event_selectors or [], self.advanced_event_selectors or []
            wanted[SELECTORS] = canonical_selectors(basic, advanced)
        return wanted


class RestoreTrailState(State):
    """The trail and its selectors."""

    account_id: str
    trail: Trail
    selectors: dict[str, list[Any]]

    def settings(self) -> dict[str, Any]:
        """Return all settings by our names."""
        return {**{name: getattr(self.trail, name) for name in FIELDS}, SELECTORS: self.selectors}

    def footprint(self) -> dict[str, Any]:
        """Return each setting under the trail's ARN."""
        return {f"{self.trail.arn}/{name}": value for name, value in self.settings().items()}


class RestoreTrailOutputs(Model):
    """Outputs."""

    trail_arn: str
    settings: dict[str, Any]
    """All of them, as read back."""


@action(
    "aws.cloudtrail.restore-trail",
    title="Give a trail back the settings that it should have",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=120.0,
    consistency_s=10.0,
    permissions=(
        DESCRIBE_TRAILS,
        EVENT_SELECTORS,
        *(
            Permission(f"cloudtrail:{operation}", TRAILS, use=use)
            for use in ("act", "undo")
            for operation in ("UpdateTrail", "PutEventSelectors")
        ),
        *(
            Permission(
                "iam:PassRole",
                "arn:{partition}:iam::{account}:role/*",
                use=use,
                conditions={"StringEquals": {"iam:PassedToService": "cloudtrail.amazonaws.com"}},
            )
            for use in ("act", "undo")
        ),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Puts back the settings from before, which may be the attacker's: for a wrong restore.",
    sources=(
        f"{API_REFERENCE}/API_UpdateTrail.html",
        f"{API_REFERENCE}/API_PutEventSelectors.html",
        f"{USER_GUIDE}/cloudtrail-log-file-validation-intro.html",
    ),
)
class RestoreTrail(Action[RestoreTrailParams, RestoreTrailState]):
    """Write the settings that differ, in the trail's home Region, and read them back."""

    Params = RestoreTrailParams
    Outputs = RestoreTrailOutputs
    StateModel = RestoreTrailState

    def look(self, ctx: LookContext, params: RestoreTrailParams) -> RestoreTrailState:
        """Read the trail and its selectors."""
        trail = find_trail(ctx, params.trail)
        if not_ours(trail, ctx.where.account_id):
            return RestoreTrailState(account_id=ctx.where.account_id, trail=trail, selectors={})
        return RestoreTrailState(
            account_id=ctx.where.account_id, trail=trail, selectors=selectors_of(ctx.api, trail)
        )

    def decide(self, params: RestoreTrailParams, state: RestoreTrailState) -> Decision:
        """Write what differs."""
        if reason := not_ours(state.trail, state.account_id):
            return Refused(reason)
        calls = _write(state, params.wanted())
        return Act(calls) if calls else Settled(_outputs(state, {}))

    def foresee(self, params: RestoreTrailParams, state: RestoreTrailState, step: str) -> PlannedOutputs:
        """Return the settings as they will be."""
        if isinstance(self.decide(params, state), Refused):
            return PlannedOutputs({})
        return PlannedOutputs(_outputs(state, params.wanted()).model_dump(mode="json"))

    def targets(self, params: RestoreTrailParams, where: Where) -> tuple[str, ...]:
        """Return the trail."""
        return (trail_target(params.trail, where),)

    def undo_calls(
        self,
        params: RestoreTrailParams,
        before: RestoreTrailState,
        after: RestoreTrailState,
        now: RestoreTrailState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Write the settings of before."""
        prior = before.settings()
        return _write(now, {name: prior[name] for name in prior if f"{before.trail.arn}/{name}" in keys})


def _outputs(state: RestoreTrailState, changes: Mapping[str, Any]) -> RestoreTrailOutputs:
    return RestoreTrailOutputs(trail_arn=state.trail.arn, settings={**state.settings(), **changes})


def _write(state: RestoreTrailState, wanted: Mapping[str, Any]) -> tuple[Call, ...]:
    """Return the calls that write what differs."""
    now = state.settings()
    differing = {name: value for name, value in wanted.items() if now[name] != value}
    selectors = differing.pop(SELECTORS, None)
    calls = []
    if differing:
        names = {*differing, *(PAIRED if set(PAIRED) & differing.keys() else ())}
        values = {name: differing.get(name, now[name]) for name in sorted(names)}
        calls.append(_call(state, "UpdateTrail", {FIELDS[name][0]: values[name] for name in values}, values))
    if selectors is not None:
        calls.append(_call(state, "PutEventSelectors", selectors, {SELECTORS: selectors}))
    return tuple(calls)


def _call(
    state: RestoreTrailState, operation: str, body: Mapping[str, Any], after: Mapping[str, Any]
) -> Call:
    trail, now = state.trail, state.settings()
    named = {"TrailName" if operation == "PutEventSelectors" else "Name": trail.arn}
    return Call(
        f"cloudtrail:{operation}",
        {**named, **body},
        target=trail.arn,
        summary=f"Set {', '.join(after)} of {trail.name}, in {trail.home_region}",
        before={name: now[name] for name in after},
        after=dict(after),
        region=trail.home_region,
    )
