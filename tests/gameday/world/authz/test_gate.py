"""The gate in the world: what a policy says, the server does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from gameday.world import World, seam, secrets

Client = Callable[..., Any]


@pytest.fixture
def session(world: World, caller: Client) -> Callable[..., Any]:
    """Open clients of the responder role's session, cut to a policy."""

    def opened(service: str, action: str, resource: str = "*", **more: Any) -> Any:
        statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
        answer = caller("sts").assume_role(
            RoleArn=f"arn:aws:iam::{world.organisation.members[0]}:role/irrunner-responder",
            RoleSessionName="irrunner-run-1",
            Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )
        return caller(service, answer["Credentials"])

    return opened


def because(call: Callable[..., Any], **params: Any) -> str:
    """Return what a refusal says."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    return str(caught.value)


def test_a_session_policy_on_one_instance_is_for_that_instance(world: World, session: Client) -> None:
    """Another instance is refused, by the ARN that was asked for."""
    instance = world.resources["instance_id"]
    arn = f"arn:aws:ec2:{world.region}:{world.organisation.members[0]}:instance/{instance}"
    ec2 = session("ec2", "ec2:StopInstances", arn)

    said = because(ec2.stop_instances, InstanceIds=["i-0fedcba9876543210"])
    assert "instance/i-0fedcba9876543210" in said
    assert "no session policy allows the ec2:StopInstances action" in said
    assert ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"]


def test_tags_at_creation_are_a_permission_of_their_own(world: World, session: Client) -> None:
    """CreateSnapshot with tags needs ec2:CreateTags as well; without tags it does not."""
    ec2 = session("ec2", "ec2:CreateSnapshot")
    volume = world.resources["volume_ids"][0]
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "case", "Value": "1"}]}]

    said = because(ec2.create_snapshot, VolumeId=volume, TagSpecifications=tags)
    assert "ec2:CreateTags" in said
    assert ec2.create_snapshot(VolumeId=volume)["SnapshotId"]


def test_a_condition_on_a_tag_of_the_resource(world: World, session: Client) -> None:
    """aws:ResourceTag is what the instance carries now."""
    condition = {"StringEquals": {"aws:ResourceTag/Name": "web-1"}}
    ec2 = session("ec2", "ec2:StopInstances", Condition=condition)

    assert ec2.stop_instances(InstanceIds=[world.resources["instance_id"]])
    world.act(
        "set-tags", account=world.organisation.members[0], region=world.region,
        resource_id=world.resources["instance_id"], tags={"Name": "other"},
    )  # fmt: skip
    assert "not authorized" in because(ec2.start_instances, InstanceIds=[world.resources["instance_id"]])


def test_a_permissions_boundary_limits_a_role(world: World, session: Client) -> None:
    """What the boundary leaves out is refused in its name."""
    account = world.organisation.members[0]
    iam = world.client(account, "iam")
    boundary = {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}
    arn = iam.create_policy(
        PolicyName="boundary",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [boundary]}),
    )["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName="irrunner-responder", PermissionsBoundary=arn)
    ec2 = session("ec2", "ec2:*")

    assert ec2.describe_instances()["Reservations"]
    said = because(ec2.stop_instances, InstanceIds=[world.resources["instance_id"]])
    assert "no permissions boundary allows" in said


def test_a_service_control_policy_binds_members_and_not_the_management_account(
    world: World, session: Client
) -> None:
    """A deny over a member is named; the management account is beyond its reach."""
    own = world.organisation
    organizations = world.client(own.management, "organizations")
    deny = {"Effect": "Deny", "Action": "ec2:Stop*", "Resource": "*"}
    made = organizations.create_policy(
        Name="emergency", Description="", Type="SERVICE_CONTROL_POLICY",
        Content=json.dumps({"Version": "2012-10-17", "Statement": [deny]}),
    )  # fmt: skip
    organizations.attach_policy(PolicyId=made["Policy"]["PolicySummary"]["Id"], TargetId=own.members[0])

    said = because(session("ec2", "ec2:*").stop_instances, InstanceIds=[world.resources["instance_id"]])
    assert "with an explicit deny in a service control policy" in said


def test_a_bucket_policy_denies_even_an_administrator(world: World) -> None:
    """An explicit deny in a resource's own policy is above every allow."""
    account = world.organisation.members[0]
    seam.s3(account).create_bucket("records", world.region)
    s3 = world.client(account, "s3")
    s3.put_object(Bucket="records", Key="a", Body=b"a")
    deny = {"Sid": "No", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::records/*"}  # fmt: skip
    s3.put_bucket_policy(Bucket="records", Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))

    assert "AccessDenied" in because(s3.get_object, Bucket="records", Key="a")


def test_a_policy_of_a_group_counts(world: World) -> None:
    """A user has the permissions of its groups."""
    account = world.organisation.members[0]
    iam = world.client(account, "iam")
    allow = {"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"}
    iam.create_group(GroupName="readers")
    iam.put_group_policy(
        GroupName="readers", PolicyName="read",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
    )  # fmt: skip
    from gameday.world.authz.gate import identity_policies  # noqa: PLC0415 - one test looks inside

    user = seam.iam(account).users["alice"]
    before = identity_policies(user)
    iam.add_user_to_group(GroupName="readers", UserName="alice")
    assert len(identity_policies(user)) == len(before) + 1


def test_a_grant_may_be_held_to_the_buckets_of_an_account(world: World, session: Client) -> None:
    """The ARN of a bucket names no account; AWS knows its owner, and so does aws:ResourceAccount."""
    account, stranger = world.organisation.members[0], world.organisation.forensics
    for owner, name in ((account, "own-bucket"), (stranger, "their-bucket")):
        seam.s3(owner).create_bucket(name, world.region)
    condition = {"StringEquals": {"aws:ResourceAccount": account}}
    s3 = session("s3", "s3:ListBucket", Condition=condition)

    assert s3.list_objects_v2(Bucket="own-bucket")["KeyCount"] == 0
    assert "AccessDenied" in because(s3.list_objects_v2, Bucket="their-bucket")


def test_rotating_a_secret_needs_its_function(world: World, session: Client) -> None:
    """Secrets Manager asks whether the caller may invoke it."""
    secret = secrets.build_secret(world.organisation.members[0], world.region, "orders")
    token = "0123456789abcdef0123456789abcdef"
    asked = {"SecretId": secret, "ClientRequestToken": token}

    said = because(session("secretsmanager", "secretsmanager:RotateSecret").rotate_secret, **asked)
    assert "lambda:InvokeFunction" in said
    may = ["secretsmanager:RotateSecret", "lambda:InvokeFunction"]
    assert session("secretsmanager", may).rotate_secret(**asked)["ARN"] == secret


def test_a_trail_that_writes_to_logs_passes_its_role(world: World, session: Client) -> None:
    """UpdateTrail hands CloudTrail a role, which must be allowed."""
    account = world.organisation.members[0]
    role = f"arn:aws:iam::{account}:role/irrunner-responder"
    trail = session("cloudtrail", "cloudtrail:UpdateTrail")

    said = because(trail.update_trail, Name="trail", CloudWatchLogsRoleArn=role)
    assert "iam:PassRole" in said


def test_starting_a_host_needs_a_grant_on_the_keys_of_its_volumes(world: World, session: Client) -> None:
    """Without it AWS takes the call, and the host stops again."""
    instance = [world.resources["instance_id"]]
    world.client(world.organisation.members[0], "ec2").stop_instances(InstanceIds=instance)
    world.advance(600)

    said = because(session("ec2", "ec2:StartInstances").start_instances, InstanceIds=instance)
    assert "kms:CreateGrant" in said
    may = ["ec2:StartInstances", "kms:CreateGrant"]
    assert session("ec2", may).start_instances(InstanceIds=instance)["StartingInstances"]
