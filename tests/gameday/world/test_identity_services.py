"""Policies of the organisation, Identity Center, secrets and reports: as slow and strict as AWS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gameday.world import World
from gameday.world.identity_center import build_permission_set, center, role_name
from gameday.world.secrets import build_secret
from irrunner.testing import ManualClock

Refused = Callable[..., str]
USER = "94d81498-1234-1234-1234-abcdef012345"
DENY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
)


@pytest.fixture
def world() -> Iterator[World]:
    """Open the default world on a clock that stands."""
    with World.build(seed=1, clock=ManualClock()) as built:
        yield built


@pytest.fixture
def organizations(world: World) -> Any:
    """Return Organizations of the management account."""
    return world.client(world.organisation.management, "organizations")


@pytest.fixture
def sso(world: World) -> Any:
    """Return Identity Center of the management account."""
    return world.client(world.organisation.management, "sso-admin")


def policy(organizations: Any, name: str) -> str:
    """Make a policy."""
    made = organizations.create_policy(Name=name, Description="", Type="SERVICE_CONTROL_POLICY", Content=DENY)
    return str(made["Policy"]["PolicySummary"]["Id"])


class TestServiceControlPolicies:
    def test_five_a_target_and_never_none(self, organizations: Any, member: str, refused: Refused) -> None:
        """AWS's own counts; the last one cannot be taken away."""
        ids = [policy(organizations, f"p{number}") for number in range(5)]
        for ident in ids[:4]:
            organizations.attach_policy(PolicyId=ident, TargetId=member)

        full = {"PolicyId": "p-FullAWSAccess", "TargetId": member}
        assert refused(organizations.attach_policy, PolicyId=ids[4], TargetId=member) == (
            "ConstraintViolationException"
        )
        assert refused(organizations.attach_policy, PolicyId=ids[0], TargetId=member) == (
            "DuplicatePolicyAttachmentException"
        )
        for ident in ids[:4]:
            organizations.detach_policy(PolicyId=ident, TargetId=member)
        assert refused(organizations.detach_policy, **full) == "ConstraintViolationException"
        assert refused(organizations.detach_policy, PolicyId=ids[0], TargetId=member) == (
            "PolicyNotAttachedException"
        )

    def test_names_are_unique_and_members_may_not_ask(
        self, world: World, organizations: Any, member: str, refused: Refused
    ) -> None:
        """The management account alone."""
        policy(organizations, "same")
        again = {"Name": "same", "Description": "", "Type": "SERVICE_CONTROL_POLICY", "Content": DENY}

        assert refused(organizations.create_policy, **again) == "DuplicatePolicyException"
        assert refused(organizations.create_policy, **(again | {"Name": "bad", "Content": "{"})) == (
            "MalformedPolicyDocumentException"
        )
        denied = refused(world.client(member, "organizations").create_policy, **again)
        assert denied == "AccessDeniedException"

    def test_the_state_shows_them(self, world: World, organizations: Any, member: str) -> None:
        """A scorer sees where a policy is attached."""
        organizations.attach_policy(PolicyId=policy(organizations, "mine"), TargetId=member)
        shown = world.state()["accounts"][world.organisation.management]["service_control_policies"]

        assert shown == {"mine": {"content": json.loads(DENY), "targets": [member]}}


class TestIdentityCenter:
    def test_an_assignment_goes_in_a_while(
        self, world: World, sso: Any, member: str, refused: Refused
    ) -> None:
        """In progress, and no second request meanwhile."""
        arn = build_permission_set(
            world.organisation.management, world.region, "Admin", accounts={member: USER}
        )
        instance = sso.list_instances()["Instances"][0]["InstanceArn"]
        which = {
            "InstanceArn": instance, "TargetId": member, "TargetType": "AWS_ACCOUNT",
            "PermissionSetArn": arn, "PrincipalType": "USER", "PrincipalId": USER,
        }  # fmt: skip
        listed = {"InstanceArn": instance, "AccountId": member, "PermissionSetArn": arn}
        begun = sso.delete_account_assignment(**which)["AccountAssignmentDeletionStatus"]

        assert begun["Status"] == "IN_PROGRESS"
        assert refused(sso.delete_account_assignment, **which) == "ConflictException"
        assert len(sso.list_account_assignments(**listed)["AccountAssignments"]) == 1
        world.advance(6)
        assert sso.list_account_assignments(**listed)["AccountAssignments"] == []
        status = sso.describe_account_assignment_deletion_status(
            InstanceArn=instance, AccountAssignmentDeletionRequestId=begun["RequestId"]
        )["AccountAssignmentDeletionStatus"]
        assert status["Status"] == "SUCCEEDED"
        assert refused(sso.delete_account_assignment, **which) == "ResourceNotFoundException"

    def test_a_policy_reaches_the_role_by_provisioning_only(
        self, world: World, sso: Any, iam: Any, member: str, refused: Refused
    ) -> None:
        """A put changes the permission set, and nothing in the account."""
        arn = build_permission_set(
            world.organisation.management, world.region, "Admin", accounts={member: USER}
        )
        instance = sso.list_instances()["Instances"][0]["InstanceArn"]
        names = {"InstanceArn": instance, "PermissionSetArn": arn}
        role = role_name(center(world.organisation.management, world.region).permission_sets[0])
        asked = {"RoleName": role, "PolicyName": "AwsSSOInlinePolicy"}

        sso.put_inline_policy_to_permission_set(InlinePolicy=DENY, **names)
        assert refused(iam.get_role_policy, **asked) == "NoSuchEntity"
        sso.provision_permission_set(TargetType="AWS_ACCOUNT", TargetId=member, **names)
        world.advance(6)
        assert iam.get_role_policy(**asked)["PolicyDocument"] == json.loads(DENY)
        assert sso.list_accounts_for_provisioned_permission_set(**names)["AccountIds"] == [member]
        large = DENY.replace("Deny", "Deny" + " " * 10_240)
        assert refused(sso.put_inline_policy_to_permission_set, InlinePolicy=large, **names) == (
            "ServiceQuotaExceededException"
        )


class TestSecrets:
    def test_a_rotation_is_pending_until_it_ends(self, world: World, member: str, refused: Refused) -> None:
        """The same token is the same rotation; another one is refused meanwhile."""
        build_secret(member, world.region, "s")
        client = world.client(member, "secretsmanager")
        token = "a" * 32

        for _ in range(2):
            client.rotate_secret(SecretId="s", ClientRequestToken=token)
        assert refused(client.rotate_secret, SecretId="s", ClientRequestToken="b" * 32) == (
            "InvalidRequestException"
        )
        world.advance(9)
        stages = client.describe_secret(SecretId="s")["VersionIdsToStages"]
        assert stages[token] == ["AWSCURRENT"]

    def test_a_function_may_fail_half_way(self, world: World, member: str) -> None:
        """Then the version stays pending for ever, and AWS does not say why."""
        build_secret(member, world.region, "s", stuck=True)
        client = world.client(member, "secretsmanager")

        client.rotate_secret(SecretId="s", ClientRequestToken="a" * 32)
        world.advance(3600)

        assert client.describe_secret(SecretId="s")["VersionIdsToStages"]["a" * 32] == ["AWSPENDING"]

    def test_without_a_function_nothing_rotates(self, world: World, member: str, refused: Refused) -> None:
        """AWS refuses."""
        build_secret(member, world.region, "s", rotation=False)
        client = world.client(member, "secretsmanager")

        assert refused(client.rotate_secret, SecretId="s", ClientRequestToken="a" * 32) == (
            "InvalidRequestException"
        )


def test_a_credential_report_takes_a_while_and_grows_old(world: World, iam: Any, refused: Refused) -> None:
    """Not there, in the making, there, expired."""
    assert refused(iam.get_credential_report) == "ReportNotPresent"
    assert iam.generate_credential_report()["State"] == "STARTED"
    assert refused(iam.get_credential_report) == "ReportInProgress"
    assert iam.generate_credential_report()["State"] == "INPROGRESS"
    world.advance(5)
    assert iam.generate_credential_report()["State"] == "COMPLETE"
    lines = iam.get_credential_report()["Content"].decode().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["user", "<root_account>", "alice"]
    assert len({line.count(",") for line in lines}) == 1
    world.advance(4 * 3600)
    assert refused(iam.get_credential_report) == "ReportExpired"


def test_a_trust_policy_has_a_quota(world: World, iam: Any, refused: Refused) -> None:
    """2,048 characters, white space not counted."""
    names = [f"arn:aws:iam::{200_000_000_000 + number}:root" for number in range(60)]
    statement = {"Effect": "Allow", "Principal": {"AWS": names}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = world.resources["role_name"]

    assert refused(iam.update_assume_role_policy, RoleName=role, PolicyDocument=document) == "LimitExceeded"


def test_the_state_shows_mfa_devices(world: World, iam: Any, member: str) -> None:
    """An intruder's device is a change."""
    serial = iam.create_virtual_mfa_device(VirtualMFADeviceName="his")["VirtualMFADevice"]["SerialNumber"]
    iam.enable_mfa_device(
        UserName="alice", SerialNumber=serial, AuthenticationCode1="123456", AuthenticationCode2="234567"
    )

    assert world.state()["accounts"][member]["mfa_devices"] == {"alice": [serial]}
