"""Where a run acts: the finding says so, else whoever starts it, else we act where we are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from irrunner.actions.contract import Where
from irrunner.engine.stepping import Services
from irrunner.errors import SettingsError
from irrunner.findings.model import Finding


@dataclass(frozen=True, slots=True)
class Place:
    """Where to act when no finding says so; empty: our own account and Region."""

    account_id: str = ""
    region: str = ""


def where_to_act(
    services: Services, place: Place, finding: Finding | None, inputs: Mapping[str, Any]
) -> Where:
    """Return the account and Region to act in.

    The finding says; else ``place``; else inputs ``account_id`` and ``region``; else the caller's
    own account and the session's Region.

    Raises:
        SettingsError: If the Region or account is not one in which we may act.
    """
    cloud, settings = services.cloud, services.settings
    account = (finding.account_id if finding else "") or place.account_id
    region = (finding.region if finding else "") or place.region
    account = account or str(inputs.get("account_id") or "")
    region = region or str(inputs.get("region") or "")
    account = account or cloud.caller().account_id
    region = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    if settings.accounts and account not in settings.accounts:
        raise SettingsError(f"account {account} is not in `accounts`", hint="nothing was done")
    if settings.regions and region not in settings.regions:
        raise SettingsError(f"Region {region} is not in `regions`", hint="nothing was done")
    forensic_account = cloud.forensic_account_id()
    forensic_region = settings.forensics.region or region
    named = settings.forensics.bucket or f"irrunner-evidence-{forensic_account}-{forensic_region}"
    return Where(
        partition=finding.partition if finding else "aws",
        account_id=account,
        region=region,
        forensic_account_id=forensic_account,
        forensic_region=forensic_region,
        forensic_kms_key=settings.forensics.kms_key,
        transfer_kms_key=settings.forensics.transfer_kms_key,
        evidence_bucket=named if forensic_account else None,
    )
