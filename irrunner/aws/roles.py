"""The IAM policies of an organisation, out of the actions that its playbooks use: least privilege on paper.

For each role that irrunner assumes: a trust policy, and permission policies that grant exactly what the
actions declare, undo included. For the caller: the right to assume those roles and to read its secrets. For
the keys of evidence: key policies; for the evidence bucket: a bucket policy. What a session gets is less:
each step's session policy cuts it down further.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Final

from irrunner.actions.contract import AnyAction, Permission, Scope
from irrunner.aws.custody_permissions import KEEPING, signing
from irrunner.aws.policy import grants_of, statements_of
from irrunner.settings import Settings

SCHEMA: Final = "irrunner/iam/v1"
MANAGED_POLICY_CHARACTERS: Final = 6_144
"""Without white space. Source: IAM user guide, "IAM and AWS STS quotas"."""
NOBODY: Final = "000000000000"
"""No account: IAM refuses a trust policy that names it, so that none is deployed unread."""
NO_ORGANIZATION: Final = "o-0000000000"
"""Nobody's: what is allowed to its members is allowed to none."""
RUN_TAG: Final = "irrunner:run"
_OF_A_RUN: Final = "????????-????-7???-????-????????????"
"""Run ids, as a pattern of resources: hosts write under these, cases of the vault have other names."""

_ASSUME: Final = ("sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession")
_SCOPES: Final[tuple[Scope, ...]] = ("target", "forensics", "management")
_KEY_USE: Final = ("kms:DescribeKey", "kms:Decrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*")


@dataclass(frozen=True, slots=True)
class Accounts:
    """Which accounts and Regions the policies are for; ``*`` where any.

    Args:
        member: The account of incidents.
        region: Region of incidents and evidence.
        runner_arn: Who runs irrunner: the ARN of a role or user, or of an account's root.
        organization: Id of the organization whose hosts and log deliveries write evidence.
    """

    member: str = "*"
    region: str = "*"
    runner_arn: str = f"arn:aws:iam::{NOBODY}:root"
    organization: str = NO_ORGANIZATION


def organisation_policies(
    actions: Iterable[AnyAction], settings: Settings, accounts: Accounts | None = None
) -> dict[str, Any]:
    """Return every policy that the actions need.

    Args:
        actions: What the playbooks use.
        settings: Roles, forensic and management account, secrets by reference.
        accounts: Accounts and Regions.

    Returns:
        ``{"schema", "roles": {scope: {"role_name", "account_id", "trust", "policies": {name: document}}},
        "runner": {"policies"}, "keys": {alias: {"account_id", "policy"}}, "bucket": {...}}``. Roles of scopes
        that no action uses are left out.
    """
    place = accounts or Accounts()
    permissions = [permission for action in actions for permission in action.permissions]
    permissions.extend(_of_custody(settings, place))
    roles = {
        scope: _role(scope, [p for p in permissions if p.scope == scope], settings, place)
        for scope in _SCOPES
        if any(permission.scope == scope for permission in permissions)
    }
    return {
        "schema": SCHEMA,
        "roles": roles,
        "runner": {"policies": {"irrunner-runner": _document(list(_runner(roles, settings, place)))}},
        "keys": _keys(settings, place),
        "bucket": {
            "bucket_name": _bucket_name(settings, place),
            "account_id": settings.forensics.account_id or "*",
            "policy": _bucket_policy(settings, place),
        },
    }


def _bucket_name(settings: Settings, place: Accounts) -> str:
    forensics = settings.forensics
    return forensics.bucket or f"irrunner-evidence-{forensics.account_id or '*'}-{place.region}"


def _of_custody(settings: Settings, place: Accounts) -> Iterator[Permission]:
    """Yield what no action declares: the vault in S3, and the key in KMS that signs, where configured."""
    if settings.forensics.vault == "s3":
        bucket = _bucket_name(settings, place)
        yield from (replace(each, resource=each.resource.replace("{bucket}", bucket)) for each in KEEPING)
    yield from signing(settings.forensics.signing_kms_key)


def role_name(scope: Scope, settings: Settings) -> str:
    """Return the role that sessions of a scope are made from."""
    names = {"forensics": settings.forensics.role, "management": settings.management.role}
    return names.get(scope, settings.responder_role)


def _account(scope: Scope, settings: Settings, place: Accounts) -> str:
    known = {
        "target": place.member,
        "forensics": settings.forensics.account_id,
        "management": settings.management.account_id,
    }
    return known[scope] or "*"


def _role(
    scope: Scope, permissions: Sequence[Permission], settings: Settings, place: Accounts
) -> dict[str, Any]:
    name, account = role_name(scope, settings), _account(scope, settings, place)
    known = {"partition": "aws", "region": place.region, "account": account}
    values = {name: value for name, value in known.items() if value != "*"}
    grants = {key: _widest(found) for key, found in grants_of(permissions, values).items()}
    parts = _parted(statements_of(grants))
    return {
        "role_name": name,
        "account_id": account,
        "trust": trust_policy(place.runner_arn),
        "policies": {f"{name}-{number}": _document(part) for number, part in enumerate(parts, start=1)},
    }


def _widest(resources: frozenset[str]) -> frozenset[str]:
    """Return the resources without those that another one covers (``user/*/*`` beside ``user/*``)."""
    return frozenset(
        one for one in resources if not any(one != other and fnmatchcase(one, other) for other in resources)
    )


def trust_policy(runner_arn: str) -> dict[str, Any]:
    """Return the trust policy of a role that irrunner assumes: named caller, run id as source identity.

    Args:
        runner_arn: Who runs irrunner.

    Source: IAM user guide, "Monitor and control actions taken with assumed roles" (``sts:SourceIdentity``)
        and "Pass session tags in AWS STS".
    """
    allow = {"Effect": "Allow", "Principal": {"AWS": runner_arn}}
    sourced = {"sts:SourceIdentity": "*"}
    return _document(
        [
            {
                "Sid": "AssumeForARun",
                **allow,
                "Action": _ASSUME[0],
                "Condition": {"StringLike": {"sts:RoleSessionName": "irrunner-*", **sourced}},
            },
            {
                "Sid": "NameTheRun",
                **allow,
                "Action": _ASSUME[1],
                "Condition": {"StringLike": sourced},
            },
            {
                "Sid": "TagWithTheRun",
                **allow,
                "Action": _ASSUME[2],
                "Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": [RUN_TAG]}},
            },
        ]
    )


def _parted(statements: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the statements in parts that each fit a managed policy."""
    part: list[dict[str, Any]] = []
    for number, statement in enumerate(statements, start=1):
        named = {"Sid": f"Irrunner{number}", **statement}
        if part and _characters(_document([*part, named])) > MANAGED_POLICY_CHARACTERS:
            yield part
            part = []
        part.append(named)
    if part:
        yield part


def _characters(document: Mapping[str, Any]) -> int:
    return len("".join(json.dumps(document, separators=(",", ":")).split()))


def _runner(
    roles: Mapping[Scope, Mapping[str, Any]], settings: Settings, place: Accounts
) -> Iterator[dict[str, Any]]:
    arns = sorted(f"arn:aws:iam::{role['account_id']}:role/{role['role_name']}" for role in roles.values())
    yield {"Sid": "AssumeTheRoles", "Effect": "Allow", "Action": list(_ASSUME), "Resource": arns}
    asked = [
        *(["organizations:ListAccounts"] if settings.forensics.account_id is None else []),
        *(["organizations:DescribeOrganization"] if settings.management.account_id is None else []),
    ]
    if asked:
        yield {"Sid": "FindTheAccounts", "Effect": "Allow", "Action": asked, "Resource": "*"}
    references = sorted({channel.url for channel in settings.channels.values()})
    home = f"arn:aws:{{}}:{place.region}:*:{{}}"
    for kind, action, form in (
        ("ssm", "ssm:GetParameter", home.format("ssm", "parameter/{}")),
        ("secretsmanager", "secretsmanager:GetSecretValue", home.format("secretsmanager", "secret:{}-*")),
    ):
        names = [
            text.partition(":")[2].partition("#")[0] for text in references if text.startswith(f"{kind}:")
        ]
        secrets = [name if name.startswith("arn:") else form.format(name.strip("/")) for name in names]
        if secrets:
            sid = f"Read{kind.title()}"
            yield {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": sorted(secrets)}


def _keys(settings: Settings, place: Accounts) -> dict[str, Any]:
    forensic = settings.forensics.account_id or "*"
    own = _role_arn("forensics", settings, place)
    lent = [_role_arn("target", settings, place), own]
    return {
        settings.forensics.kms_key: {"account_id": forensic, "policy": key_policy(forensic, [own])},
        settings.forensics.transfer_kms_key: {
            "account_id": place.member,
            "policy": key_policy(place.member, lent),
        },
    }


def _role_arn(scope: Scope, settings: Settings, place: Accounts) -> str:
    return f"arn:aws:iam::{_account(scope, settings, place)}:role/{role_name(scope, settings)}"


def key_policy(owner: str, users: Sequence[str]) -> dict[str, Any]:
    """Return the policy of a key of evidence: its account administers it, the roles use it through EBS.

    Args:
        owner: Account of the key.
        users: ARNs of the roles.

    Source: EBS user guide, "Share the KMS key used to encrypt a shared Amazon EBS snapshot"; KMS developer
        guide, "kms:GrantIsForAWSResource".
    """
    root = f"arn:aws:iam::{NOBODY if owner == '*' else owner}:root"
    named = [user.replace("::*:", f"::{NOBODY}:") for user in users]
    return _document(
        [
            {
                "Sid": "Administer",
                "Effect": "Allow",
                "Principal": {"AWS": root},
                "Action": "kms:*",
                "Resource": "*",
            },
            {
                "Sid": "UseForEvidence",
                "Effect": "Allow",
                "Principal": {"AWS": named},
                "Action": list(_KEY_USE),
                "Resource": "*",
            },
            {
                "Sid": "GrantToServices",
                "Effect": "Allow",
                "Principal": {"AWS": named},
                "Action": "kms:CreateGrant",
                "Resource": "*",
                "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
            },
        ]
    )


def _bucket_policy(settings: Settings, place: Accounts) -> dict[str, Any]:
    """Return the policy of the evidence bucket.

    TLS alone, and nobody shortens what a lock keeps: who must, takes that statement out first, which
    CloudTrail records. Hosts of the organization add objects under a run (memory, live facts), and VPC flow
    logs are delivered; neither may read, delete, or write to the vault, where a file counts as evidence.

    Source: IAM user guide, ``aws:PrincipalOrgID`` and ``aws:SourceOrgID``; VPC user guide, "Amazon S3 bucket
        permissions for flow logs".
    """
    arn = f"arn:aws:s3:::{_bucket_name(settings, place)}"
    deny = {"Effect": "Deny", "Principal": "*", "Resource": [arn, f"{arn}/*"]}
    deliver = {"Effect": "Allow", "Principal": {"Service": "delivery.logs.amazonaws.com"}}
    ours = {"aws:SourceOrgID": place.organization}
    locked = ["s3:BypassGovernanceRetention", "s3:DeleteObjectVersion"]
    statements: list[dict[str, Any]] = [
        {
            "Sid": "TlsAlone",
            **deny,
            "Action": "s3:*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        {
            "Sid": "EvidenceStays",
            **deny,
            "Action": locked,
        },
        {
            "Sid": "HostsAddEvidence",
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": f"{arn}/{_OF_A_RUN}/*",
            "Condition": {"StringEquals": {"aws:PrincipalOrgID": place.organization}},
        },
        {
            "Sid": "FlowLogsArrive",
            **deliver,
            "Action": "s3:PutObject",
            "Resource": f"{arn}/AWSLogs/*",
            "Condition": {"StringEquals": {**ours, "s3:x-amz-acl": "bucket-owner-full-control"}},
        },
        {
            "Sid": "FlowLogsLookBefore",
            **deliver,
            "Action": "s3:GetBucketAcl",
            "Resource": arn,
            "Condition": {"StringEquals": ours},
        },
    ]
    return _document(statements)


def _document(statements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}
