"""Emergency service control policies: what each template denies, and whom none of them binds.

A policy's name is made of its template and its content, so that the same settings find the same policy
again, and no other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

Template: TypeAlias = Literal["all-but-responder", "deny-destruction", "deny-root"]

DESTRUCTION: Final = (
    "backup:Delete*",
    "cloudtrail:DeleteTrail",
    "cloudtrail:StopLogging",
    "dynamodb:DeleteBackup",
    "dynamodb:DeleteTable",
    "ec2:DeleteFlowLogs",
    "ec2:DeleteSnapshot",
    "ec2:DeleteVolume",
    "ec2:DeregisterImage",
    "ec2:ModifySnapshotAttribute",
    "ec2:TerminateInstances",
    "elasticfilesystem:DeleteFileSystem",
    "guardduty:DeleteDetector",
    "kms:DeleteImportedKeyMaterial",
    "kms:DisableKey",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "logs:DeleteLogGroup",
    "logs:DeleteLogStream",
    "organizations:LeaveOrganization",
    "rds:Delete*",
    "s3:BypassGovernanceRetention",
    "s3:DeleteBucket",
    "s3:DeleteObject*",
    "s3:PutBucketVersioning",
    "s3:PutLifecycleConfiguration",
)
"""What destroys data, keys, evidence or logs."""
TAKEOVER: Final = (
    "iam:AttachRolePolicy",
    "iam:CreateRole",
    "iam:DeleteRole*",
    "iam:DetachRolePolicy",
    "iam:PutRole*",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
)
"""How an intruder would make the exempted roles his own."""
SIZE_LIMIT: Final = 5_120
"""Source: Organizations user guide, "Quotas and service limits"."""


def exempt_arns(
    partition: str, responder: str, forensics: tuple[str, str] | None, break_glass: Sequence[str]
) -> list[str]:
    """Return whom no template binds.

    The forensic role is named with its account: a role of its name elsewhere would be an intruder's. The
    management account needs no exemption, for no service control policy binds it.

    Args:
        partition: ``aws``.
        responder: Name of the responder role, which every member account has.
        forensics: Account and name of the forensic role, if there is one.
        break_glass: Names of roles for people, in every account; Identity Center's, too.
    """
    names = dict.fromkeys((responder, *break_glass))
    arns = [f"arn:{partition}:iam::*:role/{_path_of(name)}{name}" for name in names]
    return [*arns, *([f"arn:{partition}:iam::{forensics[0]}:role/{forensics[1]}"] if forensics else [])]


def _path_of(role_name: str) -> str:
    """Return the path that belongs to a role's ARN, by which a policy knows it.

    Identity Center's roles are under its name, and its Region or not; nobody but AWS can make a role there.

    Source: Identity Center user guide, "Referencing permission sets in resource policies".
    """
    return "aws-reserved/*" if role_name.startswith("AWSReservedSSO_") else ""


def content_of(template: Template, partition: str, exempt: Sequence[str]) -> dict[str, Any]:
    """Return the policy document of a template."""
    spared = {"ArnNotLike": {"aws:PrincipalArn": list(exempt)}}
    protect = _deny("IrrunnerProtectResponder", TAKEOVER, list(exempt), spared)
    if template == "all-but-responder":
        statements = [_deny("IrrunnerDenyAll", "*", "*", spared)]
    elif template == "deny-root":
        root = {"ArnLike": {"aws:PrincipalArn": f"arn:{partition}:iam::*:root"}}
        statements = [_deny("IrrunnerDenyRoot", "*", "*", root), protect]
    else:
        statements = [_deny("IrrunnerDenyDestruction", DESTRUCTION, "*", spared), protect]
    return {"Version": "2012-10-17", "Statement": statements}


def name_of(template: Template, content: Mapping[str, Any]) -> str:
    """Return the name of a policy: the same template and exemptions, the same name."""
    return f"irrunner-{template}-{hashlib.sha256(text_of(content).encode()).hexdigest()[:8]}"


def text_of(content: Mapping[str, Any]) -> str:
    """Return the document as compact JSON."""
    return json.dumps(content, separators=(",", ":"), sort_keys=True)


def _deny(
    sid: str, actions: str | Sequence[str], resource: str | list[str], condition: Mapping[str, Any]
) -> dict[str, Any]:
    told = actions if isinstance(actions, str) else list(actions)
    return {"Sid": sid, "Effect": "Deny", "Action": told, "Resource": resource, "Condition": dict(condition)}
