"""The services whose simulation is stricter than moto's, or has what moto lacks."""

from __future__ import annotations

from typing import Final

from gameday.world import ebs, ec2, guardduty, iam, kms, kms_sign, locks, organizations, s3_lock, sts, tags
from gameday.world.services import StrictLayer

LAYERS: Final[tuple[StrictLayer, ...]] = (
    sts.LAYER,
    tags.LAYER,
    ec2.LAYER,
    ebs.LAYER,
    locks.LAYER,
    iam.LAYER,
    kms.LAYER,
    kms_sign.LAYER,
    s3_lock.LAYER,
    organizations.LAYER,
    guardduty.LAYER,
)
