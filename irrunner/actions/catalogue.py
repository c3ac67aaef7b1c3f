"""Our own actions: id to module. A command imports the modules of the actions that it names, and no others.

A contract test holds this table against the modules. One line for each action, sorted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CATALOGUE: Final[Mapping[str, str]] = {
    "aws.cloudtrail.describe-trails": "irrunner.actions.cloudtrail.describe_trails",
    "aws.cloudtrail.restore-trail": "irrunner.actions.cloudtrail.restore_trail",
    "aws.cloudtrail.start-logging": "irrunner.actions.cloudtrail.start_logging",
    "aws.config.get-resource-history": "irrunner.actions.config.resource_history",
    "aws.config.start-remediation": "irrunner.actions.config.start_remediation",
    "aws.dynamodb.enable-protection": "irrunner.actions.dynamodb.protection",
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
    "aws.iam.deactivate-access-key": "irrunner.actions.iam.access_key",
    "aws.iam.describe-role-users": "irrunner.actions.iam.role_users",
    "aws.iam.quarantine-user": "irrunner.actions.iam.quarantine",
    "aws.iam.revoke-role-sessions": "irrunner.actions.iam.role_sessions",
    "aws.kms.cancel-key-deletion": "irrunner.actions.kms.cancel_deletion",
    "aws.kms.disable-key": "irrunner.actions.kms.disable_key",
    "aws.rds.await-snapshot": "irrunner.actions.rds.await_snapshot",
    "aws.rds.copy-snapshot-to-forensics": "irrunner.actions.rds.copy_to_forensics",
    "aws.rds.isolate-database": "irrunner.actions.rds.isolate",
    "aws.rds.make-private": "irrunner.actions.rds.make_private",
    "aws.rds.restrict-snapshot": "irrunner.actions.rds.restrict_snapshot",
    "aws.rds.rotate-master-password": "irrunner.actions.rds.rotate_password",
    "aws.rds.snapshot-database": "irrunner.actions.rds.snapshot_database",
    "aws.s3.block-public-access": "irrunner.actions.s3.block_public_access",
    "aws.s3.deny-bucket-access": "irrunner.actions.s3.deny_access",
    "aws.s3.describe-bucket-protection": "irrunner.actions.s3.describe_protection",
    "aws.s3.enable-versioning": "irrunner.actions.s3.versioning",
    "aws.s3.list-changed-objects": "irrunner.actions.s3.changed_objects",
    "aws.sts.whoami": "irrunner.actions.sts",
    "evidence.record": "irrunner.actions.evidence",
    "notify.send": "irrunner.actions.notify",
}
