"""The services whose simulation is stricter than moto's, or has what moto lacks."""

from __future__ import annotations

from typing import Final

from gameday.world import (
    addresses,
    autoscaling,
    ebs,
    ec2,
    guardduty,
    iam,
    kms,
    load_balancers,
    acls,
    address_sets,
    dns_firewall,
    ebs,
    ec2,
    flow_logs,
    guardduty,
    iam,
    kms,
    locks,
    organizations,
    sts,
    tags,
    termination,
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
    autoscaling.LAYER,
    load_balancers.LAYER,
    termination.LAYER,
    addresses.LAYER,
    acls.LAYER,
    dns_firewall.LAYER,
    address_sets.LAYER,
    flow_logs.LAYER,
)
