"""The services whose simulation is stricter than moto's, or has what moto lacks."""

from __future__ import annotations

from typing import Final

from gameday.world import (
    cloudtrail,
    config,
    ebs,
    ec2,
    guardduty,
    iam,
    kms,
    locks,
    organizations,
    rds,
    s3,
    sts,
    tags,
)
from gameday.world.services import StrictLayer

LAYERS: Final[tuple[StrictLayer, ...]] = (
    sts.LAYER,
    tags.LAYER,
    ec2.LAYER,
    ebs.LAYER,
    locks.LAYER,
    iam.LAYER,
    kms.LAYER,
    organizations.LAYER,
    guardduty.LAYER,
    s3.LAYER,
    cloudtrail.LAYER,
    rds.LAYER,
    config.LAYER,
)
