"""The services whose simulation is stricter than moto's, or has what moto lacks."""

from __future__ import annotations

from typing import Final

from gameday.world import console, ebs, ebs_direct, ec2, guardduty, iam, kms, locks, organizations, sts, tags
from gameday.world.services import StrictLayer

LAYERS: Final[tuple[StrictLayer, ...]] = (
    sts.LAYER,
    tags.LAYER,
    ec2.LAYER,
    console.LAYER,
    ebs.LAYER,
    ebs_direct.LAYER,
    locks.LAYER,
    iam.LAYER,
    kms.LAYER,
    organizations.LAYER,
    guardduty.LAYER,
)
