"""The services whose simulation is stricter than moto's, or has what moto lacks."""

from __future__ import annotations

from typing import Final

from gameday.world import (
    ebs,
    ec2,
    guardduty,
    iam,
    kms,
    locks,
    messages,
    organizations,
    securityhub,
    ssm,
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
    securityhub.LAYER,
    messages.LAYER,
    ssm.LAYER,
)
