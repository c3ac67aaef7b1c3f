"""Trails: stopped ones, and such as were turned away from their bucket."""

from __future__ import annotations

from typing import Any

from gameday.world import seam
from tests.contracts.bench import Bench
from tests.contracts.row import Row, Values

TRAIL = "audit"
ELSEWHERE = "us-west-2"
SELECTOR = {"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True, "DataResources": []}


def trail(bench: Bench, region: str = "", **more: Any) -> Values:
    """A trail that records."""
    s3 = bench.client("s3")
    for bucket in ("acme-audit", "mallory-audit"):
        s3.create_bucket(Bucket=bucket)
    client = bench.world.client(bench.account, "cloudtrail", region or None)
    made = client.create_trail(Name=TRAIL, S3BucketName="acme-audit", **more)
    client.start_logging(Name=TRAIL)
    return {"trail": made["TrailARN"]}


def stopped(bench: Bench) -> Values:
    """A trail that somebody stopped, by its name."""
    trail(bench)
    bench.client("cloudtrail").stop_logging(Name=TRAIL)
    return {"trail": TRAIL}


def stopped_elsewhere(bench: Bench) -> Values:
    """A stopped trail of all Regions, whose home is another one."""
    values = trail(bench, ELSEWHERE, IsMultiRegionTrail=True)
    bench.world.client(bench.account, "cloudtrail", ELSEWHERE).stop_logging(Name=TRAIL)
    return values


def anything(bench: Bench) -> Values:
    """An account with a stopped trail; there are no parameters."""
    stopped_elsewhere(bench)
    return {}


def turned_away(bench: Bench) -> Values:
    """A trail that now delivers to the attacker and records only writes."""
    values, client = trail(bench, IsMultiRegionTrail=True), bench.client("cloudtrail")
    client.update_trail(Name=TRAIL, S3BucketName="mallory-audit", IsMultiRegionTrail=False)
    client.put_event_selectors(TrailName=TRAIL, EventSelectors=[SELECTOR])
    advanced = [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}]
    return {
        **values, "bucket_name": "acme-audit", "multi_region": True, "validation": True,
        "advanced_event_selectors": advanced,
    }  # fmt: skip


def from_config(bench: Bench) -> Values:
    """The same trail, with what AWS Config has kept of it."""
    values = turned_away(bench)
    return {
        "trail": values["trail"],
        "config_item": {"s3BucketName": "acme-audit", "isMultiRegionTrail": True},
    }


def erase_trail(bench: Bench, values: Values) -> None:
    """Somebody deletes the trail."""
    for region in (bench.where.region, ELSEWHERE):
        seam.backend("cloudtrail", bench.account, region).trails.pop(TRAIL, None)


def turn_away_again(bench: Bench, values: Values) -> None:
    """Somebody sets another bucket."""
    bench.client("s3").create_bucket(Bucket="mallory-again")
    bench.client("cloudtrail").update_trail(Name=TRAIL, S3BucketName="mallory-again")


ROWS = (
    Row("aws.cloudtrail.describe-trails", anything, None),
    Row(
        "aws.cloudtrail.restore-trail", turned_away, erase_trail,
        operations=("cloudtrail:UpdateTrail", "cloudtrail:PutEventSelectors"), drift=turn_away_again,
    ),
    Row(
        "aws.cloudtrail.restore-trail", from_config, erase_trail,
        operations=("cloudtrail:UpdateTrail",), drift=turn_away_again, name="config",
    ),
    Row("aws.cloudtrail.start-logging", stopped, erase_trail, operations=("cloudtrail:StartLogging",)),
    Row(
        "aws.cloudtrail.start-logging", stopped_elsewhere, erase_trail,
        operations=("cloudtrail:StartLogging",), name="elsewhere",
    ),
)  # fmt: skip
