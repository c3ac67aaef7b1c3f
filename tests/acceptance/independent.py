"""What somebody sees who trusts nobody: plain boto3, the world's credentials, no code of the runner."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote

import boto3
from botocore.exceptions import ClientError

RESPONDER_ROLE = "irrunner-responder"
FORENSICS_ROLE = "irrunner-forensics"


@dataclass(frozen=True)
class Account:
    """Clients of one account, through a role that may be assumed there."""

    env: Mapping[str, str]
    account_id: str
    region: str
    role: str

    @cached_property
    def _session(self) -> boto3.Session:
        sts = boto3.client(
            "sts", endpoint_url=self.env["AWS_ENDPOINT_URL"], region_name=self.region,
            aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
        )  # fmt: skip
        arn = f"arn:aws:iam::{self.account_id}:role/{self.role}"
        given = sts.assume_role(RoleArn=arn, RoleSessionName="auditor")["Credentials"]
        return boto3.Session(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], self.region
        )

    def client(self, service: str) -> Any:
        """Return a client."""
        return self._session.client(service, endpoint_url=self.env["AWS_ENDPOINT_URL"])


def ruleless(ec2: Any, group_id: str) -> bool:
    """Return whether a group lets nothing in and nothing out."""
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group_id]}])
    return not rules["SecurityGroupRules"]


def interface_groups(ec2: Any, instance_id: str) -> dict[str, list[str]]:
    """Return the groups of each network interface of an instance."""
    found = ec2.describe_network_interfaces(
        Filters=[{"Name": "attachment.instance-id", "Values": [instance_id]}]
    )["NetworkInterfaces"]
    return {eni["NetworkInterfaceId"]: [group["GroupId"] for group in eni["Groups"]] for eni in found}


def profiles(ec2: Any, instance_id: str) -> list[str]:
    """Return the instance profiles that are associated or about to be."""
    found = ec2.describe_iam_instance_profile_associations(
        Filters=[{"Name": "instance-id", "Values": [instance_id]}]
    )["IamInstanceProfileAssociations"]
    return [entry["IamInstanceProfile"]["Arn"] for entry in found if entry["State"] != "disassociated"]


def volumes(ec2: Any, instance_id: str) -> list[str]:
    """Return the volumes of an instance."""
    found = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    return sorted(device["Ebs"]["VolumeId"] for device in found["BlockDeviceMappings"])


def revocations(iam: Any, role_name: str) -> list[dict[str, Any]]:
    """Return the statements of a role that deny everything to sessions issued before an instant."""
    names = iam.list_role_policies(RoleName=role_name)["PolicyNames"]
    statements = []
    for name in names:
        document = iam.get_role_policy(RoleName=role_name, PolicyName=name)["PolicyDocument"]
        parsed = json.loads(unquote(document)) if isinstance(document, str) else document
        statements += parsed["Statement"]
    return [
        entry
        for entry in statements
        if entry["Effect"] == "Deny"
        and entry["Action"] in ("*", ["*"])
        and "aws:TokenIssueTime" in entry.get("Condition", {}).get("DateLessThan", {})
    ]


def copies_of(ec2: Any, snapshot_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the own snapshots whose description or tags name one of others' snapshots."""
    own = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    return {
        source: entry for source in snapshot_ids for entry in own if source in json.dumps(entry, default=str)
    }


def key_status(iam: Any, user_name: str, access_key_id: str) -> str:
    """Return the status of a user's access key."""
    keys = iam.list_access_keys(UserName=user_name)["AccessKeyMetadata"]
    return str(next(key["Status"] for key in keys if key["AccessKeyId"] == access_key_id))


def key_owner_account(kms: Any, key_id: str) -> str:
    """Return the account whose KMS key this is, and insist that it is no AWS managed one."""
    metadata = kms.describe_key(KeyId=key_id)["KeyMetadata"]
    assert metadata["KeyManager"] == "CUSTOMER", metadata
    return str(metadata["AWSAccountId"])


def can_read(ec2: Any, snapshot_id: str) -> bool:
    """Return whether a snapshot is there and complete."""
    try:
        found = ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"]
    except ClientError:
        return False
    return bool(found) and found[0]["State"] == "completed"
