"""The services whose simulation is stricter than moto's, or has what moto lacks."""

from __future__ import annotations

from typing import Final

from gameday.world import (
    cloudtrail_lookup,
    credential_report,
    ebs,
    ec2,
    guardduty,
    iam,
    identity_center,
    kms,
    locks,
    organizations,
    scp,
    secrets,
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
    cloudtrail_lookup.LAYER,
    credential_report.LAYER,
    scp.LAYER,
    identity_center.LAYER,
    secrets.LAYER,
)
