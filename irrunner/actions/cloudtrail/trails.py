"""A trail as the CloudTrail actions see it: whose it is, where it lives, what it records.

A trail is changed in its home Region only, and an organisation's trail from the management account only,
although every member account sees it.

Source: CloudTrail user guide, "Creating a trail for an organization"; API reference, DescribeTrails.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from irrunner.actions.contract import LookContext, Model, Permission, ReadApi
from irrunner.actions.ids import TrailName
from irrunner.clock import iso
from irrunner.errors import InvalidCall, TargetNotFound

API_REFERENCE: Final = "https://docs.aws.amazon.com/awscloudtrail/latest/APIReference"
USER_GUIDE: Final = "https://docs.aws.amazon.com/awscloudtrail/latest/userguide"
TRAILS: Final = "arn:{partition}:cloudtrail:*:{account}:trail/*"
"""The trail may live in another Region than the incident."""
_ANY_TRAIL: Final = "arn:{partition}:cloudtrail:*:*:trail/*"
DESCRIBE_TRAILS: Final = Permission("cloudtrail:DescribeTrails")
TRAIL_STATUS: Final = Permission("cloudtrail:GetTrailStatus", _ANY_TRAIL)
EVENT_SELECTORS: Final = Permission("cloudtrail:GetEventSelectors", _ANY_TRAIL)
_BORN: Final = {
    "ReadWriteType": "All",
    "IncludeManagementEvents": True,
    "DataResources": [],
    "ExcludeManagementEventSources": [],
}


class OneTrail(Model):
    """Parameters: a trail of the incident's account."""

    trail: TrailName
    """Name (of a trail in the incident's Region) or ARN."""


class Trail(Model):
    """A trail, described."""

    name: str
    arn: str
    account_id: str
    """Who owns it: the management account, for an organisation's trail."""
    home_region: str
    organization: bool
    multi_region: bool
    global_events: bool
    """Records events of global services (IAM, STS)."""
    validation: bool
    """Writes digest files, by which a log that was changed shows."""
    bucket_name: str
    key_prefix: str
    kms_key_id: str
    log_group_arn: str
    log_role_arn: str
    topic: str


class Status(Model):
    """Whether a trail records."""

    logging: bool
    stopped_at: str
    started_at: str
    delivered_at: str
    delivery_error: str
    """Why S3 took nothing: the bucket is gone, or its policy keeps CloudTrail out."""


def find_trail(ctx: LookContext, name: str) -> Trail:
    """Describe one trail.

    Raises:
        TargetNotFound: If there is none.
        InvalidCall: If a name is that of several: an own one, and shadows of other Regions or accounts.
    """
    answer = ctx.api.call("cloudtrail:DescribeTrails", trailNameList=[name])
    found = answer.get("trailList") or ()
    if not found:
        raise TargetNotFound(
            f"no trail {name} in {ctx.where.account_id} {ctx.where.region}",
            hint="name a trail of another Region by its ARN; a deleted one must be created again",
        )
    if len(found) > 1:
        arns = ", ".join(sorted(raw["TrailARN"] for raw in found))
        raise InvalidCall(
            f"{name} names {len(found)} trails: {arns}", hint="name the one that is meant by its ARN"
        )
    return trail_of(found[0])


def trail_of(raw: Mapping[str, Any]) -> Trail:
    """Return the trail of one element of ``DescribeTrails.trailList``."""
    arn = str(raw["TrailARN"])
    return Trail(
        name=raw["Name"],
        arn=arn,
        account_id=arn.split(":")[4],
        home_region=raw.get("HomeRegion") or arn.split(":")[3],
        organization=bool(raw.get("IsOrganizationTrail")),
        multi_region=bool(raw.get("IsMultiRegionTrail")),
        global_events=bool(raw.get("IncludeGlobalServiceEvents")),
        validation=bool(raw.get("LogFileValidationEnabled")),
        bucket_name=raw.get("S3BucketName") or "",
        key_prefix=raw.get("S3KeyPrefix") or "",
        kms_key_id=raw.get("KmsKeyId") or "",
        log_group_arn=raw.get("CloudWatchLogsLogGroupArn") or "",
        log_role_arn=raw.get("CloudWatchLogsRoleArn") or "",
        topic=raw.get("SnsTopicARN") or raw.get("SnsTopicName") or "",
    )


def status_of(api: ReadApi, trail: Trail) -> Status:
    """Return whether a trail records; asked in its home Region."""
    answer = api.in_region(trail.home_region).call("cloudtrail:GetTrailStatus", Name=trail.arn)
    times = {
        name: answer.get(key)
        for name, key in (
            ("stopped_at", "StopLoggingTime"),
            ("started_at", "StartLoggingTime"),
            ("delivered_at", "LatestDeliveryTime"),
        )
    }
    return Status(
        logging=bool(answer.get("IsLogging")),
        delivery_error=answer.get("LatestDeliveryError") or "",
        **{name: iso(value) if value else "" for name, value in times.items()},
    )


def selectors_of(api: ReadApi, trail: Trail) -> dict[str, list[Any]]:
    """Return which events a trail records: ``EventSelectors`` or ``AdvancedEventSelectors``, canonical."""
    answer = api.in_region(trail.home_region).call("cloudtrail:GetEventSelectors", TrailName=trail.arn)
    advanced = answer.get("AdvancedEventSelectors") or []
    basic = [] if advanced else answer.get("EventSelectors") or []
    return canonical_selectors(basic, advanced)


def canonical_selectors(basic: list[Any], advanced: list[Any]) -> dict[str, list[Any]]:
    """Return selectors in one spelling: AWS fills in defaults and keeps no order."""
    if advanced:
        return {"AdvancedEventSelectors": _sorted([_advanced(item) for item in advanced])}
    return {"EventSelectors": _sorted([{**_BORN, **_filled(item)} for item in basic or [_BORN]])}


def not_ours(trail: Trail, account_id: str) -> str | None:
    """Return why a trail cannot be changed from an account, or None."""
    if trail.account_id == account_id:
        return None
    return (
        f"{trail.name} is the organisation's trail, which only its owner {trail.account_id} may change: run"
        f" this step there, with the ARN {trail.arn}"
    )


def _advanced(raw: Mapping[str, Any]) -> dict[str, Any]:
    fields = [{key: _listed(value) for key, value in _filled(item).items()} for item in raw["FieldSelectors"]]
    return {**_filled(raw), "FieldSelectors": _sorted(fields)}


def _filled(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in raw.items() if value not in (None, [], "")}


def _listed(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


def _sorted(items: list[Any]) -> list[Any]:
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
