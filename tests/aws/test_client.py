"""The innermost layer: calls, pages, retries, lost answers, endpoints."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from botocore.awsrequest import AWSRequest

from irrunner.actions.contract import Permission
from irrunner.aws.api import CloudApi
from irrunner.aws.clients import _instant, _to_bare_host
from irrunner.aws.cloud import BotoCloud
from irrunner.aws.operations import ReadOnlyApi
from irrunner.errors import (
    ActionDenied,
    CredentialsInvalid,
    InvalidCall,
    OutcomeUnknown,
    ServiceUnavailable,
    SettingsError,
)
from irrunner.settings import Settings
from tests.aws.conftest import Aws, ec2_error

RUN = "0190a0b0-0000-7000-8000-000000000001"


@pytest.fixture
def api(cloud: BotoCloud) -> CloudApi:
    """A session in a member account."""
    granted = (Permission("ec2:*"),)
    return cloud.member("333333333333", "us-east-1", run_id=RUN, permissions=granted, values={})


def test_answer_keeps_the_request_id(api: CloudApi) -> None:
    """The journal wants the request id of every effect."""
    answer = api.call("ec2:CreateTags", Resources=["i-1"], Tags=[{"Key": "a", "Value": "b"}])
    assert answer["ResponseMetadata"]["RequestId"] == "req-CreateTags"


def test_pages_are_joined(aws: Aws, api: CloudApi) -> None:
    """A read that comes in pages is read to its end."""
    assert api.pages("ec2:DescribeInstances", "Reservations[].Instances[].InstanceId") == ["i-1", "i-2"]
    assert {request.access_key_id for request in aws.of("DescribeInstances")} == {"ASIA3333333333330001"}


def test_operation_without_pages_is_one_call(api: CloudApi) -> None:
    """Nobody has to know which operations have paginators."""
    assert api.pages("ec2:DescribeAccountAttributes", "AccountAttributes[]") == []


def test_change_is_never_sent_twice_by_botocore(aws: Aws, api: CloudApi) -> None:
    """Botocore's own retries are off for changes, also where the answer was a server's fault."""
    aws.answers["StopInstances"] = ec2_error("InternalError", "sorry", 500)
    with pytest.raises(OutcomeUnknown):
        api.call("ec2:StopInstances", InstanceIds=["i-1"])
    assert len(aws.of("StopInstances")) == 1


def test_read_is_sent_again_by_botocore(aws: Aws, api: CloudApi) -> None:
    """A read that fails at the server is worth two more tries."""
    aws.answers["DescribeVolumes"] = ec2_error("InternalError", "sorry", 500)
    with pytest.raises(ServiceUnavailable):
        api.call("ec2:DescribeVolumes")
    assert len(aws.of("DescribeVolumes")) == 3


def test_lost_answer_of_a_change_is_unknown(aws: Aws, api: CloudApi) -> None:
    """The server takes the request and closes the connection: the effect may have happened."""
    aws.answers["StopInstances"] = lambda _: (0, "")
    with pytest.raises(OutcomeUnknown) as caught:
        api.call("ec2:StopInstances", InstanceIds=["i-1"])
    assert caught.value.detail["operation"] == "ec2:StopInstances"


def test_unreadable_answer_of_a_change_is_unknown(aws: Aws, api: CloudApi) -> None:
    """An answer that is no XML says nothing about the effect."""
    aws.answers["StopInstances"] = lambda _: (200, "<html>proxy")
    with pytest.raises(OutcomeUnknown):
        api.call("ec2:StopInstances", InstanceIds=["i-1"])


def test_nobody_listening_is_unavailable(monkeypatch: pytest.MonkeyPatch, aws: Aws) -> None:
    """A refused connection is before any effect."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ServiceUnavailable):
        BotoCloud(Settings(), aws.clock).base().call("ec2:StopInstances", InstanceIds=["i-1"])


def test_denial_drops_the_encoded_message(aws: Aws, api: CloudApi) -> None:
    """EC2's kilobytes of encoded message help nobody at 03:00."""
    text = "You are not authorized. Encoded authorization failure message: " + "x" * 3000
    aws.answers["StopInstances"] = ec2_error("UnauthorizedOperation", text, 403)
    with pytest.raises(ActionDenied) as caught:
        api.call("ec2:StopInstances", InstanceIds=["i-1"])
    assert "xxx" not in caught.value.message
    expected = "ec2:StopInstances: UnauthorizedOperation: You are not authorized. (request req-err)"
    assert caught.value.message == expected


@pytest.mark.parametrize(
    "operation", ["ec2:Nonsense", "nonsense:DescribeInstances", "DescribeInstances", "ec2:x"]
)
def test_unknown_operation_is_an_invalid_call(api: CloudApi, operation: str) -> None:
    """A typing error in an action is told apart from anything AWS says."""
    with pytest.raises(InvalidCall):
        api.call(operation)


def test_wrong_parameters_are_refused_without_their_values(aws: Aws, api: CloudApi) -> None:
    """Botocore quotes the values it does not like; ours may hold secrets."""
    with pytest.raises(InvalidCall) as caught:
        api.call("ec2:StopInstances", InstanceIds={"canary": "value-that-must-not-show"})
    assert "InstanceIds" in caught.value.message
    assert "value-that-must-not-show" not in caught.value.message
    assert aws.of("StopInstances") == []


def test_read_only_api_sends_no_change(aws: Aws, api: CloudApi) -> None:
    """Looks and plans cannot change AWS, whatever an action's author wrote; nor in another Region."""
    looking = ReadOnlyApi(api)
    assert looking.call("ec2:DescribeInstances")["Reservations"]
    for attempt in (looking, looking.in_region("eu-west-1")):
        with pytest.raises(InvalidCall):
            attempt.call("ec2:StopInstances", InstanceIds=["i-1"])
        with pytest.raises(InvalidCall):
            attempt.pages("ec2:StopInstances", "x", InstanceIds=["i-1"])
    assert aws.of("StopInstances") == []


def test_call_without_a_caller_cannot_be_signed(cloud: BotoCloud) -> None:
    """The shared clients hold no credentials: outside the seam they fail closed."""
    from botocore.exceptions import NoCredentialsError  # noqa: PLC0415 - of this test alone

    client = cloud._clients.get("ec2", "us-east-1", retries=True)
    with pytest.raises(NoCredentialsError):
        client.describe_instances()


@pytest.mark.parametrize(
    "url",
    ["https://aws.evil.example", "https://evilamazonaws.com", "http://sts.amazonaws.com", "https://[bad"],
)
def test_foreign_endpoint_is_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, aws: Aws, url: str
) -> None:
    """An environment variable must not send our credentials to a stranger, nor to AWS in the clear."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    with pytest.raises(SettingsError):
        BotoCloud(Settings(), aws.clock).caller()


def test_simulation_is_reached_past_a_proxy(monkeypatch: pytest.MonkeyPatch, aws: Aws) -> None:
    """A company proxy in the environment must not receive what was meant for this machine."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert BotoCloud(Settings(), aws.clock).caller().simulated


def test_simulation_and_aws_do_not_mix(monkeypatch: pytest.MonkeyPatch, cloud: BotoCloud) -> None:
    """STS at the simulator and EC2 at AWS: a drill would reach a real account."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "https://kms.us-east-1.amazonaws.com")
    cloud.caller()
    with pytest.raises(SettingsError, match="this machine"):
        cloud.base().call("kms:ListKeys")


def test_rejected_base_key_is_a_credentials_error(aws: Aws, cloud: BotoCloud) -> None:
    """A wrong key of ours is named as such, with exit code 3."""
    aws.answers["DescribeRegions"] = ec2_error(
        "AuthFailure", "AWS was not able to validate the credentials", 401
    )
    with pytest.raises(CredentialsInvalid):
        cloud.base().call("ec2:DescribeRegions")


@pytest.mark.parametrize(
    ("asked", "reached"),
    [
        ("http://333333333333.127.0.0.1:5000/v20180820/x", "http://127.0.0.1:5000/v20180820/x"),
        ("http://127.0.0.1:5000/v20180820/x", "http://127.0.0.1:5000/v20180820/x"),
        ("http://444444444444.127.0.0.1:5000/x", "http://444444444444.127.0.0.1:5000/x"),
    ],
)
def test_an_account_before_a_loopback_address_is_taken_off(asked: str, reached: str) -> None:
    """S3 Control's hosts begin with the account, by which no machine is found here."""
    request = AWSRequest("GET", asked, headers={"x-amz-account-id": "333333333333"})

    _to_bare_host(request)

    assert request.url == reached


@pytest.mark.parametrize(
    "text",
    ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000Z", "2026-01-01T01:00:00+01:00", "1767225600"],
)
def test_times_are_read_alike_however_they_are_written(text: str) -> None:
    """The fast way is a way to the same instant, with its zone."""
    assert _instant(text) == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_time_that_is_none_is_an_error_as_before() -> None:
    """Botocore turns it into its own error."""
    with pytest.raises(ValueError, match="Invalid timestamp"):
        _instant("noneZ")
