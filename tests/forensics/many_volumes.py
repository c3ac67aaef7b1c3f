"""Hundreds of volumes in the world, encrypted in every way, some of which nobody can acquire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gameday.world import keys, seam
from gameday.world.organisation import shared_key_policy
from tests.contracts.bench import Bench

ORDER = (
    "none", "customer", "none", "aws/ebs", "customer", "none", "foreign-shared", "none",
    "disabled", "none", "foreign", "customer", "vanished", "none", "failing", "none",
)  # fmt: skip
"""Kinds of volumes, over and over again."""
PRESERVED = {"disabled", "foreign"}
"""Those of which a snapshot stays where it is."""
LOST = {"vanished", "failing"}
FAILURE = "Snapshot creation failed: the volume could not be read"


def make(bench: Bench, count: int) -> dict[str, str]:
    """Make volumes; return volume id to kind."""
    place, other = (bench.account, bench.where.region), bench.world.organisation.members[1]
    region = bench.where.region
    lawful = shared_key_policy(other, str(bench.where.forensic_account_id), bench.account)
    disabled = keys.create(*place)
    key_of = {
        "customer": keys.create(*place).arn,
        "aws/ebs": keys.default_ebs_key(*place).arn,
        "disabled": disabled.arn,
        "foreign-shared": keys.create(other, region, policy=lawful).arn,
        "foreign": keys.create(other, region).arn,
    }
    backend = seam.ec2(*place)
    made: dict[str, str] = {}
    for number in range(count):
        kind = ORDER[number % len(ORDER)]
        key = key_of.get(kind)
        more: dict[str, Any] = {"encrypted": key is not None, "kms_key_id": key, "volume_type": "gp3"}
        volume = backend.create_volume(8 + number % 5, f"{region}a", **more)
        made[volume.id] = kind
        if kind == "failing":
            volume.snapshot_failure = FAILURE
    disabled.enabled, disabled.key_state = False, "Disabled"
    for volume_id, kind in made.items():
        if kind == "vanished":
            del backend.volumes[volume_id]
    return made


def expected(kinds: Mapping[str, str]) -> dict[str, str]:
    """Return volume id to what must become of it."""
    outcome: Callable[[str], str] = lambda kind: (  # noqa: E731 - a table
        "preserved" if kind in PRESERVED else "not-acquired" if kind in LOST else "acquired"
    )
    return {volume_id: outcome(kind) for volume_id, kind in kinds.items()}


def copies(bench: Bench) -> dict[str, list[str]]:
    """Return volume id to its completed copies in the forensic account."""
    found: dict[str, list[str]] = {}
    owner = str(bench.where.forensic_account_id)
    for snapshot in seam.ec2(owner, bench.where.region).snapshots.values():
        tags = {tag["key"]: tag["value"] for tag in snapshot.get_tags()}
        if snapshot.status == "completed":
            found.setdefault(tags["irrunner:source-volume"], []).append(snapshot.id)
    return found


def sources(bench: Bench) -> dict[str, list[str]]:
    """Return volume id to the snapshots that were taken of it."""
    found: dict[str, list[str]] = {}
    for snapshot in seam.ec2(bench.account, bench.where.region).snapshots.values():
        if not hasattr(snapshot, "copied_from"):
            found.setdefault(snapshot.volume_id, []).append(snapshot.id)
    return found


def still_lent(bench: Bench) -> list[str]:
    """Return what the source account has not taken back: shares and grants."""
    shared = [
        snapshot.id
        for snapshot in seam.ec2(bench.account, bench.where.region).snapshots.values()
        if snapshot.create_volume_permission_userids
    ]
    owned = seam.kms(bench.account, bench.where.region).keys.values()
    return shared + [grant.id for key in owned for grant in key.grants.values()]
