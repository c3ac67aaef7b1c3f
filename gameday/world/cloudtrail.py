"""What CloudTrail does and moto does not: home Regions, the organisation's trails, default selectors.

Source: CloudTrail user guide, "Creating a trail for an organization": members see the trail and cannot change
it; API reference: InvalidHomeRegionException, GetEventSelectors, UpdateTrail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gameday.world import seam
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

_DEFAULT: Final = [
    {
        "ReadWriteType": "All",
        "IncludeManagementEvents": True,
        "DataResources": [],
        "ExcludeManagementEventSources": [],
    }
]


def describe_trails(scene: Scene) -> Mapping[str, Any]:
    """List own trails, shadows of those of all Regions, and the organisation's."""
    asked = scene.params.get("trailNameList") or []
    shadows = scene.params.get("includeShadowTrails", True)
    seen = [
        trail
        for trail in _visible(scene)
        if trail.region_name == scene.region or (shadows and trail.is_multi_region) or trail.arn in asked
    ]
    chosen = [trail for trail in seen if not asked or {trail.arn, trail.trail_name} & set(asked)]
    return {"trailList": [trail.description(include_region=True) for trail in chosen]}


def get_trail_status(scene: Scene) -> Mapping[str, Any]:
    """Return whether a trail records, since when, and why nothing arrives."""
    trail = _trail(scene)
    status = trail.status
    shown = {
        "IsLogging": status.is_logging,
        "StartLoggingTime": status.started,
        "StopLoggingTime": status.stopped,
        "LatestDeliveryError": "" if _has_bucket(trail.account_id, trail.bucket_name) else "NoSuchBucket",
    }
    return {name: value for name, value in shown.items() if value is not None}


def get_event_selectors(scene: Scene) -> Mapping[str, Any]:
    """Return the selectors; a trail is born with one of all management events."""
    trail = _trail(scene)
    basic, advanced = trail.get_event_selectors()
    if advanced:
        return {"TrailARN": trail.arn, "AdvancedEventSelectors": advanced}
    return {"TrailARN": trail.arn, "EventSelectors": basic or _DEFAULT}


def start_logging(scene: Scene) -> Mapping[str, Any]:
    """Let a trail record, from the world's now on."""
    status = _trail(scene).status
    status.is_logging, status.started = True, scene.realm.clock.now()
    return {}


def stop_logging(scene: Scene) -> Mapping[str, Any]:
    """Stop a trail."""
    status = _trail(scene).status
    status.is_logging, status.stopped = False, scene.realm.clock.now()
    return {}


def at_home(scene: Scene) -> None:
    """Refuse a change from another Region, and of the organisation's trail from a member account."""
    trail = _trail(scene)
    if trail.account_id != scene.account:
        raise Refusal(
            "NotOrganizationMasterAccountException",
            "The organization trail can only be changed from the management account.",
        )
    if trail.region_name != scene.region:
        raise Refusal("InvalidHomeRegionException", f"The home Region of {trail.arn} is {trail.region_name}.")


def living_bucket(scene: Scene) -> None:
    """Refuse a bucket that does not exist."""
    name = scene.params.get("S3BucketName")
    if name and not _has_bucket(scene.account, name):
        raise Refusal("S3BucketDoesNotExistException", f"S3 bucket {name} does not exist!")


def one_kind_of_selectors(scene: Scene) -> None:
    """Let the one kind of selectors replace the other."""
    trail = _trail(scene)
    if scene.params.get("EventSelectors"):
        trail.advanced_event_selectors = []


def show_trails(backend: Any) -> Mapping[str, Any]:
    """Return the trails of an account and Region for the canonical state."""
    return {
        name: {
            "logging": trail.status.is_logging,
            "bucket": trail.bucket_name,
            "multi_region": bool(trail.is_multi_region),
            "organization": bool(trail.is_org_trail),
            "log_file_validation": bool(trail.log_validation),
            "kms_key_id": trail.kms_key_id or None,
            "event_selectors": trail.event_selectors,
            "advanced_event_selectors": trail.advanced_event_selectors,
        }
        for name, trail in backend.trails.items()
    }


def _visible(scene: Scene) -> Iterator[Any]:
    own = scene.realm.organisation
    for account in dict.fromkeys((scene.account, own.management)):
        for region in seam.used("cloudtrail", account):
            for trail in seam.backend("cloudtrail", account, region).trails.values():
                if account == scene.account or trail.is_org_trail:
                    yield trail


def _trail(scene: Scene) -> Any:
    name = scene.params.get("Name") or scene.params.get("TrailName") or ""
    for trail in _visible(scene):
        near = trail.region_name == scene.region or trail.is_multi_region
        if trail.arn == name or (trail.trail_name == name and near):
            return trail
    raise Refusal("TrailNotFoundException", f"Unknown trail: {name} for the user: {scene.account}", 404)


def _has_bucket(account: str, name: str) -> bool:
    return any(name in seam.s3(owner).buckets for owner in {account, *seam.iam_accounts()})


_CHANGES: Final = ("StartLogging", "StopLogging", "PutEventSelectors", "DeleteTrail")

LAYER: Final = StrictLayer(
    rules={
        **{f"cloudtrail:{name}": (at_home,) for name in _CHANGES},
        "cloudtrail:UpdateTrail": (at_home, living_bucket),
    },
    answers={
        "cloudtrail:DescribeTrails": describe_trails,
        "cloudtrail:GetTrailStatus": get_trail_status,
        "cloudtrail:GetEventSelectors": get_event_selectors,
        "cloudtrail:StartLogging": start_logging,
        "cloudtrail:StopLogging": stop_logging,
    },
    effects={"cloudtrail:PutEventSelectors": one_kind_of_selectors},
)
