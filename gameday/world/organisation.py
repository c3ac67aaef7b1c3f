"""The organisation: accounts, the roles and keys that irrunner's deployment makes in them, and the caller."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gameday.world import keys, seam
from irrunner.actions.contract import AnyAction, Scope
from irrunner.aws.roles import Accounts, organisation_policies, role_name, trust_policy
from irrunner.settings import Forensics, Management, Settings

RESPONDER_ROLE: Final = "irrunner-responder"
FORENSICS_ROLE: Final = "irrunner-forensics"
MANAGEMENT_ROLE: Final = "irrunner-organization"
CALLER: Final = "oncall"
_ROLES: Final[Mapping[Scope, str]] = {
    "target": RESPONDER_ROLE,
    "forensics": FORENSICS_ROLE,
    "management": MANAGEMENT_ROLE,
}
EVIDENCE_KEY: Final = "alias/irrunner-evidence"
TRANSFER_KEY: Final = "alias/irrunner-transfer"

_USE_OF_A_KEY: Final = [
    "kms:DescribeKey",
    "kms:CreateGrant",
    "kms:GenerateDataKey*",
    "kms:ReEncrypt*",
    "kms:Decrypt",
]
_ALLOW_ALL: Final = {"Effect": "Allow", "Action": "*", "Resource": "*"}


@dataclass(frozen=True, slots=True)
class Organisation:
    """Account ids by their part in the organisation."""

    id: str
    management: str
    security: str
    forensics: str
    members: tuple[str, ...]

    def names(self) -> dict[str, str]:
        """Return account ids to their names in AWS Organizations."""
        members = {account: f"member-{number}" for number, account in enumerate(self.members, start=1)}
        return {
            self.management: "management",
            self.security: "security",
            self.forensics: "forensics",
            **members,
        }

    def as_json(self) -> dict[str, Any]:
        """Return the accounts as the ready line shows them."""
        return {"security": self.security, "forensics": self.forensics, "members": list(self.members)}


@dataclass(frozen=True, slots=True)
class Credentials:
    """The caller's long-term key."""

    access_key_id: str
    secret_access_key: str


def found(seed: int, members: Iterable[str], count: int) -> Organisation:
    """Choose the accounts.

    Args:
        seed: Chooses the same ids again.
        members: Member accounts with given ids.
        count: How many member accounts there shall be at least.
    """
    chance = random.Random(f"accounts {seed}")  # noqa: S311 - repeatability is the point
    chosen = list(dict.fromkeys(members))
    taken = set(chosen)

    def fresh() -> str:
        while (account := f"{chance.randrange(200_000_000_000, 900_000_000_000)}") in taken:
            continue
        taken.add(account)
        return account

    management, security, forensics = fresh(), fresh(), fresh()
    chosen.extend(fresh() for _ in range(count - len(chosen)))
    organisation_id = f"o-{chance.getrandbits(48):010x}"[:12]
    return Organisation(organisation_id, management, security, forensics, tuple(chosen))


def furnish(
    organisation: Organisation, regions: Iterable[str], actions: Iterable[AnyAction] | None = None
) -> Credentials:
    """Make the roles, keys and the caller.

    Args:
        organisation: The accounts.
        regions: Where the KMS keys are.
        actions: For which the roles get permissions, and no others; None: the roles may do everything.
    """
    granted = None if actions is None else list(actions)
    for member in organisation.members:
        _role(member, "target", organisation, granted)
    _role(organisation.forensics, "forensics", organisation, granted)
    _role(organisation.management, "management", organisation, granted)
    for region in regions:
        _furnish_keys(organisation, region)
        _furnish_bucket(organisation, region)
    return _caller(organisation)


def evidence_bucket(organisation: Organisation, region: str) -> str:
    """Return the name of the evidence bucket of a Region."""
    return f"irrunner-evidence-{organisation.forensics}-{region}"


def _furnish_bucket(organisation: Organisation, region: str) -> None:
    """Make the evidence bucket: versioned, with Object Lock, not public; our own hosts may write to it."""
    s3 = seam.s3(organisation.forensics)
    name = evidence_bucket(organisation, region)
    bucket = s3.create_bucket(name, region)
    bucket.object_lock_enabled = True
    s3.put_bucket_versioning(name, "Enabled")
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{name}/*",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": organisation.id}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3.put_bucket_policy(name, policy.encode())


def _furnish_keys(organisation: Organisation, region: str) -> None:
    """Make the evidence key and the transfer keys of a Region."""
    keys.create(organisation.forensics, region, alias=EVIDENCE_KEY)
    for member in organisation.members:
        keys.create(
            member, region, alias=TRANSFER_KEY, policy=shared_key_policy(member, organisation.forensics)
        )


def shared_key_policy(owner: str, *guests: str) -> str:
    """Return a key policy: the owner administers, the guests use.

    Source: EBS user guide, "Share the KMS key used to encrypt a shared Amazon EBS snapshot".
    """
    statements = [
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{owner}:root"},
            "Action": "kms:*",
            "Resource": "*",
        },
        *(
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{guest}:root"},
                "Action": _USE_OF_A_KEY,
                "Resource": "*",
            }
            for guest in guests
        ),
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def trust(*principals: str) -> str:
    """Return a trust policy for the principals, with source identity and session tags."""
    actions = ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"]
    statement = {"Effect": "Allow", "Principal": {"AWS": list(principals)}, "Action": actions}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def create_role(
    account: str, name: str, trust_policy: str, *, path: str = "/", max_session_s: int = 3600
) -> Any:
    """Create a role and return it."""
    return seam.iam(account).create_role(
        role_name=name,
        assume_role_policy_document=trust_policy,
        path=path,
        permissions_boundary=None,
        description="",
        tags=[],
        max_session_duration=str(max_session_s),
    )


def _role(account: str, scope: Scope, organisation: Organisation, granted: list[AnyAction] | None) -> None:
    """Make a role as its deployment would, or one that may do everything."""
    runner = f"arn:aws:iam::{organisation.security}:root"
    if granted is None:
        role = create_role(account, _ROLES[scope], trust(runner))
        role.put_policy("permissions", json.dumps({"Version": "2012-10-17", "Statement": [_ALLOW_ALL]}))
        return
    place = Accounts(account if scope == "target" else "*", "*", runner)
    settings = settings_for(organisation)
    made = organisation_policies(granted, settings, place)["roles"].get(scope)
    trusted = json.dumps(made["trust"] if made else trust_policy(runner))
    role = create_role(account, role_name(scope, settings), trusted)
    for name, document in (made["policies"] if made else {}).items():
        role.put_policy(name, json.dumps(document))


def settings_for(organisation: Organisation) -> Settings:
    """Return the settings of a runner for this organisation."""
    return Settings(
        responder_role=RESPONDER_ROLE,
        forensics=Forensics(account_id=organisation.forensics, role=FORENSICS_ROLE),
        management=Management(account_id=organisation.management, role=MANAGEMENT_ROLE),
    )


def _caller(organisation: Organisation) -> Credentials:
    iam = seam.iam(organisation.security)
    user = iam.create_user("us-east-1", CALLER)
    roles = [f"arn:aws:iam::*:role/{name}" for name in (RESPONDER_ROLE, FORENSICS_ROLE, MANAGEMENT_ROLE)]
    assume = ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"]
    statements = [
        {"Effect": "Allow", "Action": assume, "Resource": roles},
        {
            "Effect": "Allow",
            "Action": [
                "organizations:List*",
                "organizations:Describe*",
                "ssm:GetParameter",
                "secretsmanager:GetSecretValue",
            ],
            "Resource": "*",
        },
    ]
    user.put_policy("assume-irrunner", json.dumps({"Version": "2012-10-17", "Statement": statements}))
    key = iam.create_access_key(CALLER)
    return Credentials(key.access_key_id, key.secret_access_key)
