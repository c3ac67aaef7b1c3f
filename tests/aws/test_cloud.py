"""Sessions: who assumes which role, cut to what, kept how long."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from irrunner.actions.contract import Permission
from irrunner.aws.api import Caller, Cloud, CloudApi
from irrunner.aws.cloud import BotoCloud
from irrunner.errors import ActionError, ActionThrottled, CredentialsInvalid, InvalidCall, SettingsError
from irrunner.settings import Forensics, Settings
from tests.aws.conftest import Aws, query_error

RUN = "0190a0b0-0000-7000-8000-000000000001"
LOOK = Permission("ec2:DescribeInstances")
ISOLATE = Permission(
    "ec2:ModifyNetworkInterfaceAttribute",
    "arn:{partition}:ec2:{region}:{account}:network-interface/{eni}",
    use="act",
)
COPY = Permission("ec2:CopySnapshot", "arn:{partition}:ec2:{region}::snapshot/*", scope="forensics")


def member(cloud: Cloud, account_id: str = "333333333333", region: str = "us-east-1") -> CloudApi:
    """Return a session with all permissions of this module."""
    granted = (LOOK, ISOLATE, COPY)
    return cloud.member(account_id, region, run_id=RUN, permissions=granted, values={"eni": "eni-1"})


def test_caller_is_simulated_at_a_loopback_endpoint(aws: Aws, cloud: BotoCloud) -> None:
    """The banner says SIMULATED when STS answers on this machine; the answer is asked for once."""
    assert cloud.caller() == Caller("111111111111", "arn:aws:iam::111111111111:user/us", simulated=True)
    assert cloud.caller().banner == "SIMULATED"
    assert len(aws.received) == 1


def test_session_names_the_run_and_is_cut_to_the_permissions(aws: Aws, cloud: BotoCloud) -> None:
    """AssumeRole carries source identity, tag, name, an hour, and only permissions of its scope."""
    member(cloud)

    form = aws.of("AssumeRole")[0].form
    assert form["RoleArn"] == "arn:aws:iam::333333333333:role/irrunner-responder"
    assert form["SourceIdentity"] == RUN
    assert form["RoleSessionName"] == f"irrunner-{RUN}"
    assert (form["Tags.member.1.Key"], form["Tags.member.1.Value"]) == ("irrunner:run", RUN)
    assert form["DurationSeconds"] == "3600"
    policy = json.loads(form["Policy"])
    assert policy["Statement"] == [
        {"Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": "ec2:ModifyNetworkInterfaceAttribute",
            "Resource": "arn:aws:ec2:us-east-1:333333333333:network-interface/eni-1",
        },
    ]


def test_calls_are_signed_by_the_session_in_its_region(aws: Aws, cloud: BotoCloud) -> None:
    """STS is called with our own keys, EC2 with the session's; the user agent names the run."""
    member(cloud).call("ec2:DescribeInstances")

    assert aws.of("AssumeRole")[0].access_key_id == "AKIABASE"
    assert aws.of("AssumeRole")[0].region == "us-east-1"
    described = aws.of("DescribeInstances")[0]
    assert described.access_key_id == "ASIA3333333333330001"
    assert described.region == "us-east-1"
    assert described.headers["X-Amz-Security-Token"].startswith("SESSIONtokenCanary/")
    assert "irrunner/" in described.headers["User-Agent"]
    assert f"run/{RUN}" in described.headers["User-Agent"]


def test_threads_of_many_accounts_never_sign_for_each_other(aws: Aws, cloud: BotoCloud) -> None:
    """Clients are shared, credentials are not: every request is signed by its own account's session."""
    accounts = [f"{number:012d}" for number in range(8)]

    def work(account_id: str) -> None:
        api = member(cloud, account_id)
        for _ in range(10):
            api.call("ec2:CreateTags", Resources=[account_id], Tags=[])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, accounts))

    tagged = aws.of("CreateTags")
    assert len(tagged) == 80
    assert all(request.access_key_id[4:16] == request.form["ResourceId.1"] for request in tagged)


def test_same_narrowing_shares_a_session_and_another_does_not(aws: Aws, cloud: BotoCloud) -> None:
    """Sessions are cached by role, account, Region, run and policy."""
    member(cloud)
    member(cloud)
    assert aws.sessions == 1
    cloud.member("333333333333", "us-east-1", run_id=RUN, permissions=(LOOK,), values={})
    cloud.member("333333333333", "us-east-1", run_id=RUN[:-1] + "2", permissions=(LOOK,), values={})
    assert aws.sessions == 3


def test_long_step_renews_five_minutes_before_the_end(aws: Aws, cloud: BotoCloud) -> None:
    """A session held for longer than an hour goes on by itself."""
    api = member(cloud)

    aws.clock.advance(54 * 60)
    api.call("ec2:DescribeInstances")
    assert aws.sessions == 1
    aws.clock.advance(2 * 60)
    api.call("ec2:DescribeInstances")
    assert aws.sessions == 2
    assert aws.of("DescribeInstances")[-1].access_key_id.endswith("0002")


def test_failed_renewal_uses_the_old_session_while_it_lasts(aws: Aws, cloud: BotoCloud) -> None:
    """STS failing for a minute does not stop a containment that still has valid keys."""
    api = member(cloud)
    aws.answers["AssumeRole"] = query_error("InternalFailure", "sorry", 500)

    aws.clock.advance(57 * 60)
    api.call("ec2:DescribeInstances")

    assert aws.of("DescribeInstances")[-1].access_key_id.endswith("0001")


def test_expired_session_is_assumed_anew_and_the_call_sent_again(aws: Aws, cloud: BotoCloud) -> None:
    """AWS saying that a token has expired means that nothing was done, so the call is repeated once."""
    api = member(cloud)
    refused: list[str] = []
    answer = aws.answers["DescribeInstances"]

    def once(request: object) -> tuple[int, str]:
        if not refused:
            refused.append("x")
            return query_error("ExpiredToken", "expired")(request)  # type: ignore[arg-type]
        return answer(request)  # type: ignore[arg-type]

    aws.answers["DescribeInstances"] = once
    api.call("ec2:DescribeInstances")
    assert aws.sessions == 2


def test_another_region_is_another_session_with_its_own_arns(aws: Aws, cloud: BotoCloud) -> None:
    """A policy cut to one Region allows nothing in the next, so a new one is made."""
    api = member(cloud)
    assert aws.sessions == 1
    api.in_region("eu-central-1").call("ec2:DescribeInstances")
    assert aws.sessions == 2
    assert ":eu-central-1:" in aws.of("AssumeRole")[1].form["Policy"]
    assert aws.of("DescribeInstances")[0].region == "eu-central-1"


def test_refused_role_names_role_and_remedy(aws: Aws, cloud: BotoCloud) -> None:
    """A missing role or trust is an environment error that says which role and what it must allow."""
    aws.answers["AssumeRole"] = query_error("AccessDenied", "User is not authorized", 403)
    with pytest.raises(CredentialsInvalid) as caught:
        member(cloud)
    assert "arn:aws:iam::333333333333:role/irrunner-responder" in caught.value.message
    assert "sts:SetSourceIdentity" in caught.value.hint
    assert caught.value.detail["aws_code"] == "AccessDenied"
    assert caught.value.exit_code == 3


def test_throttled_sts_stays_a_throttle(aws: Aws, cloud: BotoCloud) -> None:
    """STS asking to slow down is no verdict on the role."""
    aws.answers["AssumeRole"] = query_error("Throttling", "Rate exceeded")
    with pytest.raises(ActionThrottled):
        member(cloud)


def test_packed_policy_too_large_is_answered_with_a_tighter_one(aws: Aws, cloud: BotoCloud) -> None:
    """The packed size is only known to STS: its refusal brings a second try with less text."""
    good = aws.answers["AssumeRole"]
    refuse = query_error("PackedPolicyTooLarge", "Packed size of session tags consumes 104%")
    aws.answers["AssumeRole"] = lambda request: (
        refuse(request) if len(request.form["Policy"]) > 1000 else good(request)
    )
    many = [
        Permission("iam:GetRole", f"arn:aws:iam::333333333333:role/a-rather-long-name-{number}")
        for number in range(25)
    ]
    cloud.member("333333333333", "us-east-1", run_id=RUN, permissions=many, values={})
    assert [len(request.form["Policy"]) > 1000 for request in aws.of("AssumeRole")] == [True, False]


def test_no_credentials_are_one_clear_error(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any credentials nothing is sent, and the message says what to do."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    with pytest.raises(CredentialsInvalid, match="NoCredentialsError"):
        BotoCloud(Settings(), aws.clock).caller()
    assert aws.received == []


def test_missing_profile_is_one_clear_error(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile that does not exist is an environment error, not a traceback."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(CredentialsInvalid, match="nobody"):
        BotoCloud(Settings(), aws.clock).caller()


def test_forensic_account_is_the_one_of_that_name(aws: Aws, cloud: BotoCloud) -> None:
    """Without configuration the Organizations account named forensics is used, with its own role."""
    assert cloud.forensic_account_id() == "222222222222"
    cloud.forensics("us-east-1", run_id=RUN, permissions=(LOOK, COPY), values={})
    form = aws.of("AssumeRole")[0].form
    assert form["RoleArn"] == "arn:aws:iam::222222222222:role/irrunner-forensics"
    assert json.loads(form["Policy"])["Statement"]["Action"] == "ec2:CopySnapshot"
    cloud.forensic_account_id()
    assert len(aws.of("ListAccounts")) == 1


def test_configured_forensic_account_asks_nobody(aws: Aws) -> None:
    """A configured account needs no permission to list accounts."""
    cloud = BotoCloud(Settings(forensics=Forensics(account_id="999999999999")), aws.clock)
    assert cloud.forensic_account_id() == "999999999999"
    assert aws.received == []


def test_unknown_forensic_account_is_none_with_a_reason(aws: Aws, cloud: BotoCloud) -> None:
    """Denied to list accounts, containment still runs; only the evidence copy names the setting."""
    denied = {"__type": "AccessDeniedException", "Message": "You don't have permissions"}
    aws.answers["ListAccounts"] = lambda _: (400, json.dumps(denied))
    assert cloud.forensic_account_id() is None
    assert "AccessDeniedException" in cloud.forensic_account_reason()
    with pytest.raises(SettingsError, match=r"forensics\.account_id"):
        cloud.forensics("us-east-1", run_id=RUN, permissions=(COPY,), values={})


def test_organizations_out_of_reach_is_a_reason_and_asked_again(aws: Aws, cloud: BotoCloud) -> None:
    """An outage of Organizations must not stop containment, nor be remembered as an answer."""
    good = aws.answers["ListAccounts"]
    aws.answers["ListAccounts"] = lambda _: (503, "{}")
    assert cloud.forensic_account_id() is None
    aws.answers["ListAccounts"] = good
    assert cloud.forensic_account_id() == "222222222222"


def test_an_outage_of_organizations_does_not_mean_that_there_is_no_management_account(
    aws: Aws, cloud: BotoCloud
) -> None:
    """What may pass is tried again: a throttle must not fail a service control policy for good."""
    read = Permission("organizations:DescribeOrganization", scope="management")
    body = '{"Organization": {"Id": "o-1", "MasterAccountId": "444444444444"}}'
    aws.answers["DescribeOrganization"] = lambda _: (503, "{}")
    with pytest.raises(ActionError) as caught:
        cloud.management("us-east-1", run_id=RUN, permissions=(read,), values={})
    assert caught.value.retryable

    aws.answers["DescribeOrganization"] = lambda _: (200, body)
    cloud.management("us-east-1", run_id=RUN, permissions=(read,), values={})
    assert ":444444444444:" in aws.of("AssumeRole")[0].form["RoleArn"]


def test_sts_of_a_region_that_is_not_enabled_for_us_falls_back_to_ours(aws: Aws, cloud: BotoCloud) -> None:
    """A member account may use an opt-in Region that the security account has never enabled."""
    good = aws.answers["AssumeRole"]
    refuse = query_error("InvalidClientTokenId", "The security token included in the request is invalid", 403)
    aws.answers["AssumeRole"] = lambda request: (
        refuse(request) if request.region == "ap-east-1" else good(request)
    )
    member(cloud, region="ap-east-1").call("ec2:DescribeInstances")
    assert [request.region for request in aws.of("AssumeRole")] == ["ap-east-1", "eu-west-1"]
    assert aws.of("DescribeInstances")[0].region == "ap-east-1"


@pytest.mark.parametrize(
    ("account_id", "region"),
    [("33333333333", "us-east-1"), ("${account}", "us-east-1"), ("333333333333", "us-east-1.evil.example")],
)
def test_malformed_place_of_a_finding_goes_nowhere(
    aws: Aws, cloud: BotoCloud, account_id: str, region: str
) -> None:
    """Account and Region come from attackers too: only well-formed ones reach ARNs and host names."""
    with pytest.raises(InvalidCall):
        member(cloud, account_id, region)
    assert aws.received == []


def test_region_that_no_partition_knows_is_an_invalid_call(cloud: BotoCloud) -> None:
    """A well-formed but invented Region is refused by name."""
    with pytest.raises(InvalidCall, match="mars-north-1"):
        member(cloud, region="mars-north-1")


def test_places_outside_the_settings_are_refused(aws: Aws) -> None:
    """`accounts` and `regions` bound where we act, whatever the finding says."""
    cloud = BotoCloud(Settings(accounts=("333333333333",), regions=("us-east-1",)), aws.clock)
    member(cloud)
    with pytest.raises(SettingsError, match="accounts"):
        member(cloud, "444444444444")
    with pytest.raises(SettingsError, match="regions"):
        member(cloud, region="eu-west-1")


def test_without_permissions_a_session_may_do_nothing(aws: Aws, cloud: BotoCloud) -> None:
    """No policy at all would mean the whole role; an empty step gets an explicit deny instead."""
    cloud.member("333333333333", "us-east-1", run_id=RUN, permissions=(), values={})
    policy = json.loads(aws.of("AssumeRole")[0].form["Policy"])
    assert policy["Statement"] == {"Effect": "Deny", "Action": "*", "Resource": "*"}


def test_session_that_is_over_on_arrival_blames_the_clock(aws: Aws, cloud: BotoCloud) -> None:
    """A machine whose clock is an hour ahead hears about its clock."""
    good = aws.answers["AssumeRole"]

    def late(request: object) -> tuple[int, str]:
        answer = good(request)  # type: ignore[arg-type]
        aws.clock.advance(2 * 3600)
        return answer

    aws.answers["AssumeRole"] = late
    with pytest.raises(CredentialsInvalid, match="clock"):
        member(cloud)
