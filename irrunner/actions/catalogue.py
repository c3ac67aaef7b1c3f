"""Our own actions: id to module. A command imports the modules of the actions that it names, and no others.

A contract test holds this table against the modules. One line for each action, sorted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CATALOGUE: Final[Mapping[str, str]] = {
    "aws.ebs.await-snapshots": "irrunner.actions.ebs.await_snapshots",
    "aws.ebs.copy-to-forensics": "irrunner.actions.ebs.copy_to_forensics",
    "aws.ebs.snapshot-instance": "irrunner.actions.ebs.snapshot_instance",
    "aws.ec2.describe-instance": "irrunner.actions.ec2.describe",
    "aws.ec2.isolate-instance": "irrunner.actions.ec2.isolate",
    "aws.ec2.protect-instance": "irrunner.actions.ec2.protect",
    "aws.ec2.release-instance": "irrunner.actions.ec2.release",
    "aws.ec2.remove-instance-profile": "irrunner.actions.ec2.profile",
    "aws.ec2.stop-instance": "irrunner.actions.ec2.stop",
    "aws.ec2.tag-instance": "irrunner.actions.ec2.tag",
    "aws.events.put-events": "irrunner.actions.events.put",
    "aws.guardduty.archive-finding": "irrunner.actions.guardduty.archive",
    "aws.guardduty.send-feedback": "irrunner.actions.guardduty.feedback",
    "aws.iam.deactivate-access-key": "irrunner.actions.iam.access_key",
    "aws.iam.describe-role-users": "irrunner.actions.iam.role_users",
    "aws.iam.quarantine-user": "irrunner.actions.iam.quarantine",
    "aws.iam.revoke-role-sessions": "irrunner.actions.iam.role_sessions",
    "aws.securityhub.update-finding": "irrunner.actions.securityhub.update",
    "aws.sns.publish": "irrunner.actions.sns.publish",
    "aws.ssm.capture-memory": "irrunner.actions.ssm.memory",
    "aws.ssm.collect-live-triage": "irrunner.actions.ssm.triage",
    "aws.sts.whoami": "irrunner.actions.sts",
    "evidence.record": "irrunner.actions.evidence",
    "notify.send": "irrunner.actions.notify",
    "ticket.close": "irrunner.actions.tickets",
    "ticket.create": "irrunner.actions.tickets",
    "ticket.update": "irrunner.actions.tickets",
}
