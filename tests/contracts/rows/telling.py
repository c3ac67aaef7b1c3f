"""Telling people and machines: GuardDuty, Security Hub, SNS, EventBridge."""

from __future__ import annotations

from typing import Any

from gameday.world import seam
from tests.contracts.bench import Bench
from tests.contracts.row import Row, Values

FINDING_ID = "16afba5c5c43e07c9e3e5e2e544e95df"
PRODUCT = "arn:aws:securityhub:us-east-1::product/aws/guardduty"


def guardduty_finding(bench: Bench) -> Values:
    """A finding that nobody has looked at."""
    bench.world.findings.append(
        {
            "Id": FINDING_ID,
            "AccountId": bench.account,
            "Region": bench.where.region,
            "Service": {"Archived": False},
        }
    )
    return {"finding_id": FINDING_ID}


def feedback(bench: Bench) -> Values:
    """The same, and what we think of it."""
    return {**guardduty_finding(bench), "feedback": "USEFUL", "comment": "a drill found it"}


def erase_finding(bench: Bench, values: Values) -> None:
    """Findings are kept for 90 days."""
    bench.world.findings.clear()


def hub_finding(bench: Bench, **more: Any) -> Values:
    """A new finding in Security Hub."""
    place = f"{bench.where.region}:{bench.account}"
    found = {"Id": f"arn:aws:guardduty:{place}:detector/1/finding/2", "ProductArn": PRODUCT, **more}
    backend = seam.backend("securityhub", bench.account, bench.where.region)
    backend.findings.append(seam.HubFinding(found["Id"], found))
    return {"finding_id": found["Id"], "product_arn": PRODUCT, "status": "RESOLVED", "note": "isolated"}


def noted_finding(bench: Bench) -> Values:
    """A finding that a person has written on."""
    note = {"Text": "mine", "UpdatedBy": "alice"}
    return hub_finding(bench, Note=note, Workflow={"Status": "NOTIFIED"})


def erase_hub_finding(bench: Bench, values: Values) -> None:
    """Security Hub forgets findings, too."""
    seam.backend("securityhub", bench.account, bench.where.region).findings.clear()


def other_status(bench: Bench, values: Values) -> None:
    """Somebody opens the finding again."""
    bench.client("securityhub").batch_update_findings(
        FindingIdentifiers=[{"Id": values["finding_id"], "ProductArn": PRODUCT}], Workflow={"Status": "NEW"}
    )


def topic(bench: Bench, name: str = "incidents", **more: Any) -> Values:
    """A topic of the account."""
    arn = bench.client("sns").create_topic(Name=name, **more)["TopicArn"]
    facts = {"instance": "i-1"}
    return {"topic_arn": arn, "subject": "Contained", "message": "i-1 is cut off", "facts": facts}


def ordered_topic(bench: Bench) -> Values:
    """A topic that keeps order."""
    return topic(bench, "incidents.fifo", Attributes={"FifoTopic": "true"})


def erase_topic(bench: Bench, values: Values) -> None:
    """Somebody deletes the topic."""
    bench.client("sns").delete_topic(TopicArn=values["topic_arn"])


def bus(bench: Bench) -> Values:
    """A bus of the account."""
    bench.client("events").create_event_bus(Name="incidents")
    return {"event_bus": "incidents", "detail_type": "Incident contained", "incident": "inc-1"}


def erase_bus(bench: Bench, values: Values) -> None:
    """Somebody deletes the bus."""
    bench.client("events").delete_event_bus(Name="incidents")


UPDATE = ("securityhub:BatchUpdateFindings",)

ROWS = (
    Row(
        "aws.guardduty.archive-finding", guardduty_finding, erase_finding,
        operations=("guardduty:ArchiveFindings",),
    ),
    Row(
        "aws.guardduty.send-feedback", feedback, erase_finding,
        operations=("guardduty:UpdateFindingsFeedback",),
    ),
    Row("aws.securityhub.update-finding", hub_finding, erase_hub_finding, UPDATE, drift=other_status),
    Row(
        "aws.securityhub.update-finding", noted_finding, erase_hub_finding, UPDATE, drift=other_status,
        name="noted",
    ),
    Row("aws.sns.publish", topic, erase_topic, operations=("sns:Publish",)),
    Row("aws.sns.publish", ordered_topic, erase_topic, operations=("sns:Publish",), name="fifo"),
    Row("aws.events.put-events", bus, erase_bus, operations=("events:PutEvents",)),
)  # fmt: skip
