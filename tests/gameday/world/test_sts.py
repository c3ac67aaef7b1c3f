from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from gameday.world import World

Refused = Callable[..., str]
Client = Callable[..., Any]


@pytest.fixture
def assume(world: World, caller: Client) -> Callable[..., dict[str, Any]]:
    """Assume a role with the base credentials."""

    def session(account: str | None = None, role: str = "irrunner-responder", **more: Any) -> dict[str, Any]:
        account = account or world.organisation.members[0]
        answer: dict[str, Any] = caller("sts").assume_role(
            RoleArn=f"arn:aws:iam::{account}:role/{role}", RoleSessionName="run-1", **more
        )
        return answer

    return session


def test_the_caller_is_a_user_of_the_security_account(world: World, caller: Client) -> None:
    """Base credentials are those of ``oncall``."""
    identity = caller("sts").get_caller_identity()

    assert identity["Arn"] == f"arn:aws:iam::{world.organisation.security}:user/oncall"


def test_the_forensic_account_is_found_by_its_name(world: World, caller: Client, refused: Refused) -> None:
    """The security account lists accounts; a member may not."""
    names = {
        account["Name"]: account["Id"] for account in caller("organizations").list_accounts()["Accounts"]
    }

    assert names["forensics"] == world.organisation.forensics
    member = world.client(world.organisation.members[0], "organizations")
    assert refused(member.list_accounts) == "AccessDeniedException"


def test_a_session_acts_in_the_roles_account(
    world: World, caller: Client, assume: Callable[..., Any], refused: Refused
) -> None:
    """Calls of the session are recorded under account and assumed-role ARN, and bound by its policy."""
    member = world.organisation.members[0]
    only = json.dumps({"Statement": {"Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"}})
    answer = assume(SourceIdentity="run-1", Tags=[{"Key": "run", "Value": "1"}], Policy=only)
    ec2 = caller("ec2", answer["Credentials"])

    assert refused(ec2.describe_volumes) == "UnauthorizedOperation"
    ec2.describe_instances()

    call = world.calls()[-1]
    assert answer["SourceIdentity"] == "run-1"
    assert call.principal == answer["AssumedRoleUser"]["Arn"]
    assert (call.operation, call.account, call.error) == ("ec2:DescribeInstances", member, None)


def test_the_forensic_role_trusts_the_security_account_only(
    world: World, caller: Client, assume: Callable[..., Any], refused: Refused
) -> None:
    """A member's session may not become the forensic role."""
    forensics = world.organisation.forensics
    assume(forensics, "irrunner-forensics")

    member_sts = caller("sts", assume()["Credentials"])

    role = f"arn:aws:iam::{forensics}:role/irrunner-forensics"
    assert refused(member_sts.assume_role, RoleArn=role, RoleSessionName="run-1") == "AccessDenied"


@pytest.mark.parametrize(
    ("role", "more", "code"),
    [
        ("no-such-role", {}, "AccessDenied"),
        (
            "irrunner-responder",
            {"Policy": json.dumps({"Version": "2012-10-17", "Statement": ["x" * 2048]})},
            "ValidationError",
        ),
        ("irrunner-responder", {"Policy": "{"}, "MalformedPolicyDocument"),
        ("irrunner-responder", {"SourceIdentity": "run/1"}, "ValidationError"),
        ("irrunner-responder", {"DurationSeconds": 7200}, "ValidationError"),
    ],
)
def test_what_assume_role_refuses(
    assume: Callable[..., Any], role: str, more: dict[str, Any], code: str
) -> None:
    """Each documented refusal has its code."""
    with pytest.raises(ClientError) as caught:
        assume(role=role, **more)

    assert caught.value.response["Error"]["Code"] == code


def test_source_identity_must_be_allowed_by_the_trust(
    world: World, iam: Any, assume: Callable[..., Any]
) -> None:
    """A trust policy without sts:SetSourceIdentity refuses a session with one, and honours its conditions."""
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": world.organisation.security},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "42"}},
    }
    iam.create_role(
        RoleName="narrow",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    with pytest.raises(ClientError, match="no identity-based policy allows the sts:AssumeRole action"):
        assume(role="narrow", ExternalId="42")
    mine = {"Effect": "Allow", "Action": "sts:*", "Resource": "arn:aws:iam::*:role/narrow"}
    world.client(world.organisation.security, "iam").put_user_policy(
        UserName="oncall",
        PolicyName="narrow",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [mine]}),
    )

    assume(role="narrow", ExternalId="42")
    for wrong in ({"ExternalId": "41"}, {}, {"ExternalId": "42", "SourceIdentity": "run-1"}):
        with pytest.raises(ClientError):
            assume(role="narrow", **wrong)


def test_a_session_ends(world: World, caller: Client, assume: Callable[..., Any], refused: Refused) -> None:
    """After its duration, by the world's clock, every service says expired in its own words."""
    credentials = assume(DurationSeconds=900)["Credentials"]

    world.advance(901)

    assert refused(caller("ec2", credentials).describe_vpcs) == "RequestExpired"
    assert refused(caller("sts", credentials).get_caller_identity) == "ExpiredToken"
    assert refused(caller("kms", credentials).list_keys) == "ExpiredTokenException"


def test_a_wrong_session_token_is_refused(
    caller: Client, assume: Callable[..., Any], refused: Refused
) -> None:
    """Key and token belong together."""
    credentials = assume()["Credentials"] | {"SessionToken": "stolen"}

    assert refused(caller("sts", credentials).get_caller_identity) == "InvalidClientTokenId"


def _key(world: World) -> dict[str, str]:
    return {"AccessKeyId": world.resources["access_key_id"], "SecretAccessKey": "x"}


@pytest.mark.parametrize("how", ["deactivated", "deleted"])
def test_a_key_that_is_off_does_not_authenticate(
    world: World, iam: Any, caller: Client, refused: Refused, how: str
) -> None:
    """Inactive and deleted keys are refused, in each service's words."""
    key = {"UserName": "alice", "AccessKeyId": world.resources["access_key_id"]}
    assert caller("sts", _key(world)).get_caller_identity()["Arn"].endswith("user/alice")

    if how == "deleted":
        iam.delete_access_key(**key)
    else:
        iam.update_access_key(**key, Status="Inactive")

    assert refused(caller("iam", _key(world)).list_users) == "InvalidClientTokenId"
    assert refused(caller("ec2", _key(world)).describe_vpcs) == "AuthFailure"


def test_sessions_of_a_user_outlive_its_key_and_die_by_its_deny(
    world: World, iam: Any, caller: Client, refused: Refused
) -> None:
    """Switching the key off is not enough; the user's explicit deny is."""
    session = caller("sts", _key(world)).get_session_token()["Credentials"]
    iam.update_access_key(UserName="alice", AccessKeyId=world.resources["access_key_id"], Status="Inactive")
    caller("ec2", session).describe_vpcs()

    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy(UserName="alice", PolicyName="deny-all", PolicyDocument=json.dumps(deny))

    assert refused(caller("ec2", session).describe_vpcs) == "UnauthorizedOperation"


def test_revoking_sessions_hits_older_ones_only(
    world: World, iam: Any, caller: Client, assume: Callable[..., Any], refused: Refused
) -> None:
    """A deny on aws:TokenIssueTime refuses sessions from before it, and no later ones."""
    older = assume()["Credentials"]
    condition = {"DateLessThan": {"aws:TokenIssueTime": datetime.now(UTC).isoformat()}}
    deny = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": ["*"], "Resource": ["*"], "Condition": condition}],
    }

    iam.put_role_policy(
        RoleName="irrunner-responder", PolicyName="AWSRevokeOlderSessions", PolicyDocument=json.dumps(deny)
    )

    assert refused(caller("ec2", older).describe_vpcs) == "UnauthorizedOperation"
    caller("ec2", assume()["Credentials"]).describe_vpcs()


def test_token_issue_time_says_nothing_of_long_term_keys(world: World, iam: Any, caller: Client) -> None:
    """The same deny on a user leaves the key working, as in AWS."""
    condition = {"DateLessThan": {"aws:TokenIssueTime": (datetime.now(UTC) + timedelta(days=1)).isoformat()}}
    deny = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}],
    }

    iam.put_user_policy(UserName="alice", PolicyName="wrong", PolicyDocument=json.dumps(deny))

    caller("ec2", _key(world)).describe_vpcs()


def test_whose_key_it_is_can_be_asked(world: World, refused: Refused, caller: Client) -> None:
    """GetAccessKeyInfo names the account of any key to who may ask; the on-call user may not."""
    assert refused(caller("sts").get_access_key_info, AccessKeyId="AKIAIOSFODNN7EXAMPLE") == "AccessDenied"
    answer = world.client(world.organisation.security, "sts").get_access_key_info(
        AccessKeyId=world.resources["access_key_id"]
    )

    assert answer["Account"] == world.resources["account_id"]
