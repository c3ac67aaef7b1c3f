from __future__ import annotations

from typing import Any

import pytest

from gameday.world import World

INSTANCE = "i-0abc1234def567890"


def _finding(resource: dict[str, Any], more: dict[str, Any] | None = None) -> dict[str, Any]:
    detail = {
        "schemaVersion": "2.0",
        "accountId": "111122223333",
        "region": "eu-west-1",
        "id": "0123456789abcdef0123456789abcdef",
        "type": "CryptoCurrency:EC2/BitcoinTool.B",
        "severity": 8,
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": "2026-01-01T00:00:00Z",
        "resource": resource,
        "service": {"archived": False, "count": 1, "resourceRole": "ACTOR"},
    }
    return {
        "source": "aws.guardduty",
        "detail-type": "GuardDuty Finding",
        "account": "111122223333",
        "detail": detail | (more or {}),
    }


def _world(event: dict[str, Any]) -> World:
    return World.build(seed=1, event=event)


def _instance_details() -> dict[str, Any]:
    network = {"vpcId": "vpc-0aa", "subnetId": "subnet-0bb", "ipv6Addresses": ["2001:db8::1"]}
    return {
        "instanceId": INSTANCE,
        "tags": [{"key": "Environment", "value": "production"}],
        "iamInstanceProfile": {"arn": "arn:aws:iam::111122223333:instance-profile/web", "id": "AIPA"},
        "networkInterfaces": [
            {"networkInterfaceId": "eni-0aa", **network},
            {"networkInterfaceId": "eni-0bb", **network},
        ],
    }


def test_an_instance_finding_finds_its_instance() -> None:
    """The instance is there, in its account and Region, with its interfaces, tags and profile."""
    with _world(_finding({"resourceType": "Instance", "instanceDetails": _instance_details()})) as world:
        ec2 = world.client("111122223333", "ec2")
        described = ec2.describe_instances(InstanceIds=[INSTANCE])["Reservations"][0]["Instances"][0]
        volumes = ec2.describe_volumes()["Volumes"]
        region = world.region

    assert region == "eu-west-1"
    assert [eni["NetworkInterfaceId"] for eni in described["NetworkInterfaces"]] == ["eni-0aa", "eni-0bb"]
    assert all(eni["Ipv6Addresses"] for eni in described["NetworkInterfaces"])
    assert (described["VpcId"], described["SubnetId"]) == ("vpc-0aa", "subnet-0bb")
    assert described["Tags"] == [{"Key": "Environment", "Value": "production"}]
    assert described["IamInstanceProfile"]["Arn"] == "arn:aws:iam::111122223333:instance-profile/web"
    assert sorted(volume["Encrypted"] for volume in volumes) == [False, True, True]


def test_a_member_of_a_group_is_in_its_trap() -> None:
    """The tag of a group makes the group: a stopped host is terminated, and another one launched."""
    details = _instance_details()
    details["tags"].append({"key": "aws:autoscaling:groupName", "value": "web"})
    with _world(_finding({"resourceType": "Instance", "instanceDetails": details})) as world:
        world.client("111122223333", "ec2").stop_instances(InstanceIds=[INSTANCE])
        world.advance(120)

        region = world.state()["accounts"]["111122223333"]["regions"]["eu-west-1"]
    assert region["instances"][INSTANCE]["state"] == "terminated"
    (other,) = region["auto_scaling_groups"]["web"]["instances"]
    assert other != INSTANCE


def test_a_user_key_finding_finds_the_key_and_its_user() -> None:
    """The access key of the event is active and belongs to the user of the event."""
    details = {
        "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "userName": "bob",
        "userType": "IAMUser",
        "principalId": "AIDA",
    }
    with _world(_finding({"resourceType": "AccessKey", "accessKeyDetails": details})) as world:
        iam = world.client("111122223333", "iam")
        (key,) = iam.list_access_keys(UserName="bob")["AccessKeyMetadata"]

    assert (key["AccessKeyId"], key["Status"]) == ("AKIAIOSFODNN7EXAMPLE", "Active")


def test_a_stolen_session_finding_finds_role_instance_and_live_credentials() -> None:
    """The role session is live, and its instance is derived from the principal id."""
    details = {
        "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "userName": "web",
        "userType": "AssumedRole",
        "principalId": f"AROA:{INSTANCE}",
    }
    with _world(_finding({"resourceType": "AccessKey", "accessKeyDetails": details})) as world:
        roles = world.client("111122223333", "iam").list_roles()["Roles"]
        held = world.sessions.find("ASIAIOSFODNN7EXAMPLE")
        resources = world.resources

    assert "web" in {role["RoleName"] for role in roles}
    assert held is not None
    assert held.arn == f"arn:aws:sts::111122223333:assumed-role/web/{INSTANCE}"
    assert resources["instance_id"] == INSTANCE
    assert resources["role_name"] == "web"


def test_a_bucket_finding_finds_its_bucket() -> None:
    """The bucket of the event exists."""
    details = [{"name": "payroll-archive", "arn": "arn:aws:s3:::payroll-archive"}]
    with _world(_finding({"resourceType": "S3Bucket", "s3BucketDetails": details})) as world:
        names = [bucket["Name"] for bucket in world.client("111122223333", "s3").list_buckets()["Buckets"]]

    assert names == ["payroll-archive"]


def test_guardduty_shows_the_finding_until_it_is_archived() -> None:
    """The finding can be read and archived where it came from."""
    with _world(_finding({"resourceType": "Instance", "instanceDetails": _instance_details()})) as world:
        guardduty = world.client("111122223333", "guardduty")
        (detector,) = guardduty.list_detectors()["DetectorIds"]
        current = {"Criterion": {"service.archived": {"Eq": ["false"]}}}
        (finding_id,) = guardduty.list_findings(DetectorId=detector, FindingCriteria=current)["FindingIds"]
        (finding,) = guardduty.get_findings(DetectorId=detector, FindingIds=[finding_id])["Findings"]
        guardduty.archive_findings(DetectorId=detector, FindingIds=[finding_id])
        left = guardduty.list_findings(DetectorId=detector, FindingCriteria=current)["FindingIds"]

    assert (finding["Type"], finding["Severity"]) == ("CryptoCurrency:EC2/BitcoinTool.B", 8.0)
    assert left == []


@pytest.mark.parametrize(
    "more",
    [
        {"accountId": "1234567891234"},
        {"accountId": "{{ account }}", "region": "<<region>>"},
        {"region": "EU - Ireland"},
        {"resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": "${instance_id}"}}},
        {"resource": {"resourceType": "S3Bucket", "s3BucketDetails": [{"name": "${bucket}"}]}},
        {"resource": {"resourceType": "AccessKey", "accessKeyDetails": {"accessKeyId": "x" * 999}}},
        {"resource": None},
    ],
)
def test_garbled_findings_still_have_a_world(more: dict[str, Any]) -> None:
    """A malformed account, Region or id is left out, and nothing crashes."""
    event = _finding({"resourceType": "Instance", "instanceDetails": _instance_details()}, more)
    if "accountId" in more:
        event["account"] = more["accountId"]

    with _world(event) as world:
        assert world.resources["account_id"] in world.organisation.members
        assert world.state()["accounts"]


@pytest.mark.parametrize(
    ("resource", "section", "built"),
    [
        (
            {"resourceType": "Lambda", "lambdaDetails": {"functionName": "order-export"}},
            "functions",
            {"function_name": "order-export", "role_name": "order-export-role"},
        ),
        (
            {"resourceType": "EKSCluster", "eksClusterDetails": {"name": "shop"}},
            "eks_clusters",
            {"cluster_name": "shop", "namespace": "shop"},
        ),
        (
            {"resourceType": "ECSCluster", "ecsClusterDetails": {"name": "shop"}},
            "ecs_services",
            {"cluster_name": "shop", "service_name": "service"},
        ),
    ],
)
def test_a_finding_of_a_workload_finds_it(
    resource: dict[str, Any], section: str, built: dict[str, str]
) -> None:
    """Functions and clusters of events can be drilled."""
    with _world(_finding(resource)) as world:
        state = world.state()["accounts"]["111122223333"]["regions"][world.region]

        assert built.items() <= world.resources.items()
    assert len(state[section]) == 1


def test_a_garbled_function_is_left_out() -> None:
    """An event may say anything; the world is built all the same."""
    with _world(_finding({"resourceType": "Lambda", "lambdaDetails": {"functionName": "a b\n"}})) as world:
        assert "function_name" not in world.resources
