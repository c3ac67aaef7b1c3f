"""Our own actions: id to module. A command imports the modules of the actions that it names, and no others.

A contract test holds this table against the modules. One line for each action, sorted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CATALOGUE: Final[Mapping[str, str]] = {
    "aws.autoscaling.detach-instance": "irrunner.actions.autoscaling.detach",
    "aws.autoscaling.enter-standby": "irrunner.actions.autoscaling.standby",
    "aws.autoscaling.suspend-processes": "irrunner.actions.autoscaling.processes",
    "aws.ebs.await-snapshots": "irrunner.actions.ebs.await_snapshots",
    "aws.ebs.copy-to-forensics": "irrunner.actions.ebs.copy_to_forensics",
    "aws.ebs.restrict-snapshot": "irrunner.actions.ebs.restrict_snapshot",
    "aws.ebs.snapshot-instance": "irrunner.actions.ebs.snapshot_instance",
    "aws.ec2.block-address": "irrunner.actions.ec2.block_address",
    "aws.ec2.describe-instance": "irrunner.actions.ec2.describe",
    "aws.ec2.disassociate-addresses": "irrunner.actions.ec2.addresses",
    "aws.ec2.enable-flow-logs": "irrunner.actions.ec2.flow_logs",
    "aws.ec2.isolate-instance": "irrunner.actions.ec2.isolate",
    "aws.ec2.protect-instance": "irrunner.actions.ec2.protect",
    "aws.ec2.quarantine-subnet": "irrunner.actions.ec2.quarantine_subnet",
    "aws.ec2.release-instance": "irrunner.actions.ec2.release",
    "aws.ec2.remove-instance-profile": "irrunner.actions.ec2.profile",
    "aws.ec2.replace-instance-profile": "irrunner.actions.ec2.replace_profile",
    "aws.ec2.restrict-image": "irrunner.actions.ec2.image",
    "aws.ec2.set-metadata-options": "irrunner.actions.ec2.metadata",
    "aws.ec2.revoke-security-group-rules": "irrunner.actions.ec2.revoke_rules",
    "aws.ec2.stop-instance": "irrunner.actions.ec2.stop",
    "aws.ec2.tag-instance": "irrunner.actions.ec2.tag",
    "aws.ec2.terminate-instance": "irrunner.actions.ec2.terminate",
    "aws.elb.deregister-instance": "irrunner.actions.elb.deregister",
    "aws.elbv2.deregister-instance": "irrunner.actions.elbv2.deregister",
    "aws.iam.deactivate-access-key": "irrunner.actions.iam.access_key",
    "aws.iam.describe-role-users": "irrunner.actions.iam.role_users",
    "aws.iam.find-principal-changes": "irrunner.actions.iam.principal_changes",
    "aws.iam.get-credential-report": "irrunner.actions.iam.credential_report",
    "aws.iam.list-mfa-devices": "irrunner.actions.iam.mfa_devices",
    "aws.iam.quarantine-user": "irrunner.actions.iam.quarantine",
    "aws.iam.remove-console-login": "irrunner.actions.iam.console_login",
    "aws.iam.restrict-role-trust": "irrunner.actions.iam.role_trust",
    "aws.iam.revoke-role-sessions": "irrunner.actions.iam.role_sessions",
    "aws.network-firewall.block-addresses": "irrunner.actions.networkfirewall.block_addresses",
    "aws.route53resolver.block-domains": "irrunner.actions.route53resolver.block_domains",
    "aws.iam.route-credential": "irrunner.actions.iam.route",
    "aws.organizations.deny-account": "irrunner.actions.organizations.deny_account",
    "aws.secretsmanager.rotate-secret": "irrunner.actions.secretsmanager.rotate",
    "aws.sso-admin.remove-account-assignment": "irrunner.actions.sso_admin.assignment",
    "aws.sso-admin.revoke-permission-set-sessions": "irrunner.actions.sso_admin.revocation",
    "aws.sts.whoami": "irrunner.actions.sts",
    "aws.wafv2.block-addresses": "irrunner.actions.wafv2.block_addresses",
    "evidence.record": "irrunner.actions.evidence",
    "notify.send": "irrunner.actions.notify",
}
