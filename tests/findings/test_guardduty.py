from __future__ import annotations

from typing import Any

import pytest

from irrunner.findings.model import Finding
from irrunner.findings.parse import parse_events
from tests.findings.finding_events import ACCOUNT, INSTANCE, KEY, REGION, detail, event, key_detail


def parsed(body: dict[str, Any], **envelope: Any) -> Finding:
    """Return the finding of a detail in an envelope."""
    return parse_events(event(body, **envelope))[0]


def test_the_account_is_the_resources_not_the_administrators() -> None:
    """A delegated administrator's envelope names its own account; the member's finding counts."""
    assert parsed(detail()).account_id == ACCOUNT


def test_a_missing_account_comes_from_the_arn_and_then_from_the_envelope() -> None:
    """The finding's ARN holds the member's detector."""
    assert parsed(detail(accountId=None)).account_id == ACCOUNT
    assert parsed(detail(accountId=None, arn="")).account_id == "999999999999"


def test_a_role_session_names_its_role_and_its_instance() -> None:
    """The user name of a session is the role's; the principal id ends in the instance."""
    body = key_detail(
        accessKeyId="ASIAI44QH8DHBEXAMPLE",
        principalId=f"AROAI4:{INSTANCE}",
        userName="web",
        userType="AssumedRole",
    )

    found = parsed(body)

    assert (found.resource.kind, found.resource.role_name, found.resource.instance_id) == (
        "access-key",
        "web",
        INSTANCE,
    )
    assert found.incident_key == f"{ACCOUNT}/{REGION}/instance/{INSTANCE}"


def test_a_session_that_is_no_instances_names_none() -> None:
    """A person's session name is not taken for an instance."""
    body = key_detail(accessKeyId="ASIAI44QH8DHBEXAMPLE", principalId="AROAI4:alice", userType="AssumedRole")

    assert parsed(body).resource.instance_id == ""


def test_an_instance_keeps_its_network_and_profile() -> None:
    """All interfaces count, the first says subnet and VPC; the profile's ARN stays whole."""
    instance = {
        "instanceId": INSTANCE,
        "imageId": "ami-1",
        "iamInstanceProfile": {"arn": "arn:aws:iam::111122223333:instance-profile/web"},
        "networkInterfaces": [
            {"networkInterfaceId": "eni-1", "vpcId": "vpc-1", "subnetId": "subnet-1"},
            {"networkInterfaceId": "eni-2", "vpcId": "vpc-2", "subnetId": "subnet-2"},
        ],
    }
    found = parsed(detail(resource={"resourceType": "Instance", "instanceDetails": instance})).resource

    assert found.network_interface_ids == ("eni-1", "eni-2")
    assert (found.vpc_id, found.subnet_id, found.image_id) == ("vpc-1", "subnet-1", "ami-1")
    assert found.instance_profile_arn.endswith("/web")
    assert found.role_name == ""


def test_an_attack_sequence_names_all_its_resources() -> None:
    """The resources stand below the detection; the first is the primary one."""
    sequence = {
        "resources": [
            {"uid": f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{INSTANCE}", "resourceType": "EC2_INSTANCE"},
            {
                "uid": KEY,
                "resourceType": "ACCESS_KEY",
                "data": {"accessKey": {"userName": "alice", "userType": "IAMUser"}},
            },
            {"uid": "arn:aws:s3:::loot", "name": "loot", "resourceType": "S3_BUCKET"},
            {"uid": "?", "resourceType": "SOMETHING_NEW"},
        ]
    }
    body = detail(
        type="AttackSequence:EC2/CompromisedInstanceGroup",
        resource={"resourceType": "AttackSequence"},
        service={"detection": {"sequence": sequence}},
    )

    found = parsed(body)

    assert [item.kind for item in found.resources] == ["instance", "access-key", "bucket", ""]
    assert found.resource.instance_id == INSTANCE
    assert found.resources[1].user_name == "alice"
    assert found.resources[2].bucket_names == ("loot",)


def test_an_attack_sequence_without_resources_is_incomplete() -> None:
    """Nothing to act on is a person's case."""
    assert parsed(detail(resource={"resourceType": "AttackSequence"})).problems == ("no resource",)


def peer(address: str | None) -> dict[str, Any]:
    """Return a service part whose remote network has a sample's name; anybody may register one."""
    remote = {"ipAddressV4": address, "organization": {"isp": "GeneratedFindingISP"}}
    return {"service": {"action": {"networkConnectionAction": {"remoteIpDetails": remote}}}}


@pytest.mark.parametrize(
    "change",
    [
        {"service": {"additionalInfo": {"sample": True}}},
        {"service": {"additionalInfo": {"sample": "true"}}},
        {"service": {"additionalInfo": {"value": '{"sample":true}'}}},
        {"title": "[SAMPLE] The instance talks"},
        {"resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": "i-99999999"}}},
        {
            "resource": {
                "resourceType": "AccessKey",
                "accessKeyDetails": {"accessKeyId": "GeneratedFindingAccessKeyId"},
            }
        },
        peer("198.51.100.0"),
    ],
)
def test_samples_are_recognised(change: dict[str, Any]) -> None:
    """AWS marks its samples in several ways."""
    assert parsed(detail(**change)).sample


@pytest.mark.parametrize(
    "change",
    [
        {"title": "instance talks [SAMPLE]"},
        {"description": "GeneratedFinding"},
        {
            "resource": {
                "resourceType": "Instance",
                "instanceDetails": {
                    "instanceId": INSTANCE,
                    "tags": [{"key": "sample", "value": "GeneratedFinding"}],
                },
            }
        },
        key_detail(accessKeyId="AKIAQ7YR4JHNL5Z2WXKT", userName="GeneratedFindingUserName"),
        peer("9.9.9.9"),
        peer(None),
    ],
)
def test_nobody_can_call_an_attack_a_sample(change: dict[str, Any]) -> None:
    """Names, tags and texts that an attacker chooses do not keep us from acting."""
    assert not parsed(detail() | change).sample


@pytest.mark.parametrize(
    "change", [{"service": {"archived": True}}, {"service": {"archived": "true"}}, {"archived": True}]
)
def test_archived_findings_are_recognised(change: dict[str, Any]) -> None:
    """The flag stands in the service part, or at the top in exports."""
    assert parsed(detail(**change)).archived


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"accountId": "1234567891234"}, "the account is not 12 digits: '1234567891234'"),
        ({"id": ""}, "no id"),
        ({"type": None}, "no type"),
        ({"region": "mars"}, "the Region is none: 'mars'"),
        ({"resource": {}}, "no instance id"),
        ({"resource": {"resourceType": "Instance"}}, "no instance id"),
        (
            {"resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": "${instance_id}"}}},
            "the resource is a placeholder: '${instance_id}'",
        ),
        (
            {"resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": "i-abc123 "}}},
            "not a valid instance id: 'i-abc123'",
        ),
        (key_detail(accessKeyId="ASIA_PLACEHOLDER"), "not a valid access key id: 'ASIA_PLACEHOLDER'"),
        ({"resource": {"resourceType": "Teapot", "teapotDetails": {}}}, "no resource"),
    ],
)
def test_what_is_missing_or_garbled_is_a_problem(change: dict[str, Any], problem: str) -> None:
    """Each problem is one sentence; with any, a person decides."""
    assert problem in parsed(detail() | change).problems or parsed(detail() | change).problems == (problem,)


def test_the_remote_address_is_found_in_every_action() -> None:
    """Connections, probes and API calls keep it in different places; IPv6 counts."""

    def with_action(action: Any) -> str:
        return parsed(detail(service={"action": action})).remote_ip

    remote = {"remoteIpDetails": {"ipAddressV4": "198.51.100.7"}}
    assert (
        with_action({"actionType": "NETWORK_CONNECTION", "networkConnectionAction": remote}) == "198.51.100.7"
    )
    assert with_action({"portProbeAction": {"portProbeDetails": [remote]}}) == "198.51.100.7"
    assert (
        with_action({"awsApiCallAction": {"remoteIpDetails": {"ipAddressV6": "2001:db8::1"}}})
        == "2001:db8::1"
    )
    assert with_action("junk") == ""


def test_a_pascal_case_finding_is_matched_by_patterns_as_eventbridge_would_send_it() -> None:
    """``raw`` of GetFindings' output is an event around the finding in camelCase."""
    native = {key[0].upper() + key[1:]: value for key, value in detail().items()}

    raw = parse_events(native)[0].raw

    assert (raw["source"], raw["detail"]["type"]) == ("aws.guardduty", detail()["type"])


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ({"accessKeyId": "", "userType": "Root", "userName": "Root"}, "root"),
        ({"accessKeyId": "null"}, "iam-user"),
        ({"accessKeyId": "", "userType": "Role", "userName": "web"}, "iam-role"),
        ({"accessKeyId": "", "userName": ""}, "access-key"),
    ],
)
def test_without_a_key_the_principal_is_the_resource(key: dict[str, Any], expected: str) -> None:
    """A console login has no key: the user, the role or root is what the finding is about."""
    assert parsed(key_detail(**key)).resource.kind == expected
