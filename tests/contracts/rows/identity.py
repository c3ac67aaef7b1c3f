"""Whose credentials they are, what they made, and how they are taken away."""

from __future__ import annotations

import json
from typing import Any

import boto3
from botocore.config import Config

from gameday.world import seam
from gameday.world.content import Place, build_role, circulate, role_session
from gameday.world.identity_center import build_permission_set, center, provision, role_name
from gameday.world.secrets import build_secret
from tests.contracts.bench import Bench
from tests.contracts.row import Row, Values
from tests.contracts.rows.iam import erase_role, erase_user, user

IDENTITY = "94d81498-1234-1234-1234-abcdef012345"
STOLEN = "ASIA2222222222STOLEN"


def client_of(bench: Bench, service: str, access_key_id: str) -> Any:
    """Return a client of an intruder; the world looks at the key's id alone."""
    return boto3.client(
        service,
        region_name=bench.world.region,
        endpoint_url=bench.world.endpoint_url,
        aws_access_key_id=access_key_id,
        aws_secret_access_key="stolen",
        aws_session_token="stolen" if access_key_id.startswith("ASIA") else None,
        config=Config(retries={"total_max_attempts": 1}),
    )


def may(bench: Bench, kind: str, name: str, action: str) -> None:
    """Let a user or role do something: what an intruder does, the world must allow."""
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam = seam.iam(bench.account)
    owner = iam.get_user(name) if kind == "user" else iam.get_role(name)
    owner.policies["may"] = document


def user_key(bench: Bench) -> Values:
    """A finding of alice's key."""
    return {"access_key_id": bench.resources["access_key_id"], "user_name": "alice", "user_type": "IAMUser"}


def instance_session(bench: Bench) -> Values:
    """A finding of the instance's credentials, used from elsewhere."""
    name, instance = bench.resources["role_name"], bench.resources["instance_id"]
    place = Place(bench.account, bench.world.region, 1)
    circulate(bench.world.sessions, role_session(place, build_role(place, name), instance), STOLEN)
    may(bench, "role", name, "ec2:Describe*")
    client_of(bench, "ec2", STOLEN).describe_instances()
    return {"access_key_id": STOLEN}


def user_session(bench: Bench) -> Values:
    """A session that alice's key has made, and used."""
    key_id = bench.resources["access_key_id"]
    made = client_of(bench, "sts", key_id).get_session_token()["Credentials"]
    return {"access_key_id": made["AccessKeyId"]}


def identity_center_session(bench: Bench) -> Values:
    """A session of a permission set's role."""
    assignment(bench)
    backend = center(bench.world.organisation.management, bench.world.region)
    role_ = role_name(backend.permission_sets[0])
    return {"principal_arn": f"arn:aws:sts::{bench.account}:assumed-role/{role_}/alice@example.com"}


def persistence(bench: Bench) -> Values:
    """Alice's key makes another user, with a key, which makes a third."""
    key_id = bench.resources["access_key_id"]
    may(bench, "user", "alice", "iam:*")
    iam = client_of(bench, "iam", key_id)
    iam.create_user(UserName="backdoor")
    made = iam.create_access_key(UserName="backdoor")["AccessKey"]["AccessKeyId"]
    may(bench, "user", "backdoor", "iam:*")
    client_of(bench, "iam", made).create_user(UserName="deeper")
    return {"access_key_id": key_id}


def password(bench: Bench) -> Values:
    """Alice, with a password."""
    bench.client("iam").create_login_profile(UserName="alice", Password="Correct-Horse-7")
    return {"user_name": "alice"}


def trusted_role(bench: Bench) -> Values:
    """The role of the instance."""
    return {"role_name": bench.resources["role_name"]}


def role_open_to_all(bench: Bench) -> Values:
    """A role whose trust policy is too long to be added to."""
    names = [f"arn:aws:iam::{200_000_000_000 + number}:root" for number in range(50)]
    statement = {"Effect": "Allow", "Principal": {"AWS": names}, "Action": "sts:AssumeRole"}
    found = build_role(Place(bench.account, bench.world.region, 1), "partners")
    found.assume_role_policy_document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return {"role_name": "partners", "mode": "deny-all"}


def other_trust(bench: Bench, values: Values) -> None:
    """Somebody writes another trust policy."""
    statement = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [statement, statement]}
    bench.client("iam").update_assume_role_policy(
        RoleName=values["role_name"], PolicyDocument=json.dumps(document)
    )


def role_by_arn(bench: Bench) -> Values:
    """A finding that names a role session by its ARN."""
    name = bench.resources["role_name"]
    return {"principal_arn": f"arn:aws:sts::{bench.account}:assumed-role/{name}/somebody"}


def erase_named_role(bench: Bench, values: Values) -> None:
    """Somebody deletes the role."""
    del values
    erase_role(bench, {"role_name": bench.resources["role_name"]})


def member(bench: Bench) -> Values:
    """The incident's account."""
    return {"target_id": bench.account, "break_glass_roles": ["break-glass"]}


def known_policy(bench: Bench) -> Values:
    """The policy was made by an earlier incident, in another account."""
    values = {**member(bench), "target_id": bench.world.organisation.members[1]}
    bench.run(bench.registry.get("aws.organizations.deny-account"), values)
    return member(bench)


def assignment(bench: Bench) -> Values:
    """A user of Identity Center who has a permission set in the incident's account."""
    arn = build_permission_set(
        bench.world.organisation.management, bench.world.region, "Admin", accounts={bench.account: IDENTITY}
    )
    return {"permission_set_arn": arn, "principal_id": IDENTITY}


def assignment_by_name(bench: Bench) -> Values:
    """The same by the user's name; a group that he is in has the permission set too."""
    region, management = bench.world.region, bench.world.organisation.management
    backend = center(management, region)
    store = seam.backend("identitystore", management, region)
    ident = backend.instances[0].identity_store_id
    name = {"GivenName": "Alice", "FamilyName": "A"}
    rest: tuple[Any, ...] = ("", "", [], [], [], "", "", "", "", "")
    user, _ = store.create_user(ident, "alice@example.com", name, "Alice", *rest)
    group, _ = store.create_group(ident, "admins", "")
    store.create_group_membership(ident, group, {"UserId": user})
    arn = build_permission_set(management, region, "Admin", accounts={bench.account: user})
    instance = backend.instances[0].instance_arn
    backend.create_account_assignment(instance, bench.account, "AWS_ACCOUNT", arn, "GROUP", group)
    return {"permission_set_arn": arn, "user_name": "alice@example.com"}


def permission_set(bench: Bench) -> Values:
    """The same permission set, found by its role."""
    assignment(bench)
    backend = center(bench.world.organisation.management, bench.world.region)
    return {"role_name": role_name(backend.permission_sets[0]), "issued_before": "2026-01-01T00:00:00Z"}


def permission_set_with_policy(bench: Bench) -> Values:
    """A permission set that has an inline policy."""
    values = permission_set(bench)
    found = center(bench.world.organisation.management, bench.world.region).permission_sets[0]
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    found.inline_policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
    provision(found, bench.account)
    return values


def erase_permission_set(bench: Bench, values: Values) -> None:
    """Somebody deletes the permission set."""
    del values
    center(bench.world.organisation.management, bench.world.region).permission_sets.clear()


def other_inline_policy(bench: Bench, values: Values) -> None:
    """Somebody writes another inline policy."""
    del values
    found = center(bench.world.organisation.management, bench.world.region).permission_sets[0]
    found.inline_policy = json.dumps({"Version": "2012-10-17", "Statement": []})


def secret(bench: Bench) -> Values:
    """A secret that a function rotates, by name."""
    build_secret(bench.account, bench.world.region, "prod/database")
    return {"secret_id": "prod/database"}


def erase_secret(bench: Bench, values: Values) -> None:
    """Somebody deletes the secret for good."""
    seam.backend("secretsmanager", bench.account, bench.world.region).secrets.pop(values["secret_id"])


ROWS = (
    Row("aws.iam.route-credential", user_key, None),
    Row("aws.iam.route-credential", instance_session, erase_named_role, name="instance"),
    Row("aws.iam.route-credential", user_session, None, name="user-session"),
    Row("aws.iam.route-credential", identity_center_session, None, name="identity-center"),
    Row("aws.iam.route-credential", role_by_arn, erase_named_role, name="role"),
    Row("aws.iam.find-principal-changes", persistence, None),
    Row("aws.iam.list-mfa-devices", user, erase_user),
    Row("aws.iam.get-credential-report", lambda _: {"user_names": ["alice"]}, None),
    Row(
        "aws.iam.remove-console-login", password, erase_user, operations=("iam:DeleteLoginProfile",),
    ),
    Row(
        "aws.iam.restrict-role-trust", trusted_role, erase_role,
        operations=("iam:UpdateAssumeRolePolicy",), drift=other_trust,
    ),
    Row(
        "aws.iam.restrict-role-trust", role_open_to_all, erase_role,
        operations=("iam:UpdateAssumeRolePolicy",), drift=other_trust, name="too-long",
    ),
    Row(
        "aws.organizations.deny-account", member, None,
        operations=("organizations:CreatePolicy", "organizations:AttachPolicy"),
    ),
    Row(
        "aws.organizations.deny-account", known_policy, None,
        operations=("organizations:AttachPolicy",), name="known-policy",
    ),
    Row(
        "aws.organizations.deny-account", lambda bench: {**member(bench), "template": "all-but-responder"},
        None, operations=("organizations:CreatePolicy", "organizations:AttachPolicy"), name="everything",
    ),
    Row(
        "aws.sso-admin.remove-account-assignment", assignment, erase_permission_set,
        operations=("sso-admin:DeleteAccountAssignment",),
    ),
    Row(
        "aws.sso-admin.remove-account-assignment", assignment_by_name, erase_permission_set,
        operations=("sso-admin:DeleteAccountAssignment",), name="by-name",
    ),
    Row(
        "aws.sso-admin.revoke-permission-set-sessions", permission_set, erase_permission_set,
        operations=("sso-admin:PutInlinePolicyToPermissionSet", "sso-admin:ProvisionPermissionSet"),
        drift=other_inline_policy,
    ),
    Row(
        "aws.sso-admin.revoke-permission-set-sessions", permission_set_with_policy, erase_permission_set,
        operations=("sso-admin:PutInlinePolicyToPermissionSet", "sso-admin:ProvisionPermissionSet"),
        drift=other_inline_policy, name="with-policy",
    ),
    Row(
        "aws.secretsmanager.rotate-secret", secret, erase_secret,
        operations=("secretsmanager:RotateSecret",),
    ),
)  # fmt: skip
