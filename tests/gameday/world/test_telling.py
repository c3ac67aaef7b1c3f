"""The world's GuardDuty, Security Hub, SNS and EventBridge refuse what AWS refuses, and keep the rest."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from gameday.world import guardduty, seam
from gameday.world.world import World

PRODUCT = "arn:aws:securityhub:us-east-1::product/aws/guardduty"


@pytest.fixture
def member(world: World) -> str:
    """The first member account."""
    return world.organisation.members[0]


def finding(world: World, member: str) -> dict[str, Any]:
    """Let GuardDuty have a finding; return how it is named."""
    world.findings.append(
        {"Id": "f-1", "AccountId": member, "Region": world.region, "Service": {"Archived": False}}
    )
    return {"DetectorId": guardduty.detector_id(member, world.region), "FindingIds": ["f-1"]}


def test_a_member_cannot_archive(world: World, member: str) -> None:
    """Only the administrator account archives findings of its members."""
    named, client = finding(world, member), world.client(member, "guardduty")
    guardduty.set_administrator(member, world.region, world.organisation.security)

    with pytest.raises(ClientError, match="member"):
        client.archive_findings(**named)


def test_feedback_is_read_back_and_shown(world: World, member: str) -> None:
    """The finding carries what was said; the canonical state shows it."""
    named, client = finding(world, member), world.client(member, "guardduty")
    client.update_findings_feedback(**named, Feedback="USEFUL")

    assert client.get_findings(**named)["Findings"][0]["Service"]["UserFeedback"] == "USEFUL"
    shown = world.state()["accounts"][member]["regions"][world.region]["guardduty_findings"]
    assert shown == {"f-1": {"archived": False, "feedback": "USEFUL"}}


def test_security_hub_leaves_unknown_findings_unprocessed(world: World, member: str) -> None:
    """The answer is 200; the failure is inside."""
    answer = world.client(member, "securityhub").batch_update_findings(
        FindingIdentifiers=[{"Id": "f-1", "ProductArn": PRODUCT}], Workflow={"Status": "RESOLVED"}
    )

    assert answer["UnprocessedFindings"][0]["ErrorCode"] == "FindingNotFound"


def test_security_hub_findings_have_pages(world: World, member: str) -> None:
    """More than a page: the token leads to the rest."""
    backend = seam.backend("securityhub", member, world.region)
    backend.findings.extend(
        seam.HubFinding(f"f-{i}", {"Id": f"f-{i}", "ProductArn": PRODUCT}) for i in range(5)
    )
    pages = world.client(member, "securityhub").get_paginator("get_findings").paginate(
        PaginationConfig={"PageSize": 2}
    )  # fmt: skip

    assert [len(page["Findings"]) for page in pages] == [2, 2, 1]


@pytest.mark.parametrize("subject", ["two\nlines", "é", " blank first", "x" * 101])
def test_sns_refuses_odd_subjects(world: World, member: str, subject: str) -> None:
    """Moto takes them; SNS does not."""
    client = world.client(member, "sns")
    arn = client.create_topic(Name="t")["TopicArn"]

    with pytest.raises(ClientError, match="Subject"):
        client.publish(TopicArn=arn, Subject=subject, Message="m")


def test_sns_messages_are_shown(world: World, member: str) -> None:
    """A scorer sees what was said."""
    client = world.client(member, "sns")
    arn = client.create_topic(Name="t")["TopicArn"]
    client.publish(TopicArn=arn, Subject="s", Message="m")

    shown = world.state()["accounts"][member]["regions"][world.region]["sns_messages"]
    assert shown == {arn: [{"subject": "s", "message": "m"}]}


def test_events_fail_by_entry_and_unknown_buses_drop_them(world: World, member: str) -> None:
    """200 all the same; what no bus took is nowhere."""
    client = world.client(member, "events")
    good = {"Source": "s", "DetailType": "t", "Detail": "{}"}
    answer = client.put_events(
        Entries=[
            good,
            {**good, "Detail": "no json"},
            {**good, "Source": "aws.ec2"},
            {**good, "EventBusName": "no"},
        ]
    )

    assert answer["FailedEntryCount"] == 2
    assert [entry.get("ErrorCode") for entry in answer["Entries"]] == [
        None, "MalformedDetail", "NotAuthorizedForSource", None,
    ]  # fmt: skip
    shown = world.state()["accounts"][member]["regions"][world.region]["events"]
    assert shown == {"0000": {"bus": "default", "source": "s", "type": "t", "detail": {}}}
