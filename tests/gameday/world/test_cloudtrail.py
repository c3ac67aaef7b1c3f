from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gameday.world import World

Refused = Callable[..., str]


@pytest.fixture
def organisation_trail(world: World) -> str:
    """Return the ARN of a trail of the whole organisation."""
    management = world.organisation.management
    world.client(management, "s3").create_bucket(Bucket="org-audit")
    cloudtrail = world.client(management, "cloudtrail")
    made = cloudtrail.create_trail(
        Name="org", S3BucketName="org-audit", IsOrganizationTrail=True, IsMultiRegionTrail=True
    )
    return str(made["TrailARN"])


def test_members_see_the_organisations_trail_and_cannot_change_it(
    world: World, member: str, organisation_trail: str, refused: Refused
) -> None:
    """A playbook in a member account must be told where to go."""
    cloudtrail = world.client(member, "cloudtrail")

    listed = cloudtrail.describe_trails()["trailList"]

    assert [trail["TrailARN"] for trail in listed] == [organisation_trail]
    assert (
        refused(cloudtrail.start_logging, Name=organisation_trail) == "NotOrganizationMasterAccountException"
    )


def test_a_trail_is_changed_at_home_only(world: World, organisation_trail: str, refused: Refused) -> None:
    """Other Regions show its shadow."""
    away = world.client(world.organisation.management, "cloudtrail", "eu-west-1")

    assert away.describe_trails()["trailList"][0]["HomeRegion"] == world.region
    assert refused(away.start_logging, Name=organisation_trail) == "InvalidHomeRegionException"


def test_a_bucket_that_is_gone_shows_in_the_status(
    world: World, organisation_trail: str, refused: Refused
) -> None:
    """Logging is on, and nothing arrives; another missing bucket is refused at once."""
    management = world.organisation.management
    cloudtrail = world.client(management, "cloudtrail")
    cloudtrail.start_logging(Name="org")
    world.client(management, "s3").delete_bucket(Bucket="org-audit")

    status = cloudtrail.get_trail_status(Name="org")

    assert (status["IsLogging"], status["LatestDeliveryError"]) == (True, "NoSuchBucket")
    assert (
        refused(cloudtrail.update_trail, Name="org", S3BucketName="none-such")
        == "S3BucketDoesNotExistException"
    )


def test_a_trail_is_born_with_a_selector(world: World, organisation_trail: str) -> None:
    """All management events; advanced selectors take its place."""
    cloudtrail = world.client(world.organisation.management, "cloudtrail")

    born = cloudtrail.get_event_selectors(TrailName="org")["EventSelectors"]
    advanced: list[dict[str, Any]] = [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}]}]
    cloudtrail.put_event_selectors(TrailName="org", AdvancedEventSelectors=advanced)
    cloudtrail.put_event_selectors(TrailName="org", EventSelectors=born)

    assert born[0]["IncludeManagementEvents"]
    assert "AdvancedEventSelectors" not in cloudtrail.get_event_selectors(TrailName="org")
