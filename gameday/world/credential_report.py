"""IAM's credential report: asked for, made in a while, good for four hours.

Source: IAM API reference, GenerateCredentialReport and GetCredentialReport; IAM user guide, "Getting
credential reports for your AWS account" (the root user has a row, as ``<root_account>``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from gameday.world import seam
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

GENERATION: Final = timedelta(seconds=4)
GOOD_FOR: Final = timedelta(hours=4)
COLUMNS: Final = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,"
    "password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,"
    "access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,"
    "access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,"
    "access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,cert_1_last_rotated,"
    "cert_2_active,cert_2_last_rotated"
)


def generate(scene: Scene) -> Mapping[str, Any]:
    """Begin a report, or say that one is being made or is there."""
    now, asked = scene.realm.clock.now(), _asked(scene)
    if asked is None or now - asked >= GOOD_FOR:
        seam.iam(scene.account).report_asked_at = now
        return {"State": "STARTED", "Description": "No report exists. Starting a new report generation task"}
    return {"State": "COMPLETE" if now - asked >= GENERATION else "INPROGRESS"}


def get(scene: Scene) -> Mapping[str, Any]:
    """Answer the report."""
    now, asked = scene.realm.clock.now(), _asked(scene)
    if asked is None:
        raise Refusal("ReportNotPresent", "Credential report not present.", 410)
    if now - asked < GENERATION:
        raise Refusal("ReportInProgress", "The report is being generated.", 404)
    if now - asked >= GOOD_FOR:
        raise Refusal("ReportExpired", "The report has expired.", 410)
    root = f"<root_account>,arn:aws:iam::{scene.account}:root,{now:%Y-%m-%dT%H:%M:%S+00:00}"
    rest = ",not_supported,no_information,not_supported,not_supported,true" + ",false,N/A,N/A,N/A,N/A" * 2
    users = "".join(user.to_csv() for user in seam.iam(scene.account).users.values())
    content = f"{COLUMNS}\n{root}{rest},false,N/A,false,N/A\n{users}"
    return {"Content": content.encode(), "ReportFormat": "text/csv", "GeneratedTime": asked + GENERATION}


def _asked(scene: Scene) -> datetime | None:
    return getattr(seam.iam(scene.account), "report_asked_at", None)


LAYER: Final = StrictLayer(answers={"iam:GenerateCredentialReport": generate, "iam:GetCredentialReport": get})
