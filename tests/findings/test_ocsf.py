from __future__ import annotations

from typing import Any

import pytest

from irrunner.findings.model import Finding
from irrunner.findings.parse import parse_events
from tests.findings.finding_events import INSTANCE, ocsf


def parsed(**changes: Any) -> Finding:
    """Return the finding of a changed OCSF object."""
    return parse_events(ocsf(**changes))[0]


@pytest.mark.parametrize(
    ("given", "expected"),
    [(1, 1.0), (4, 8.0), (5, 9.0), (6, 10.0), (0, 0.0), (99, 0.0), ("3", 5.0), (None, 0.0)],
)
def test_severity_ids_are_mapped(given: Any, expected: float) -> None:
    """The six levels land on GuardDuty's scale, unknown stays unknown."""
    assert parsed(severity_id=given).severity == expected


@pytest.mark.parametrize("change", [{"activity_id": 3}, {"status_id": 3}, {"status_id": 4}, {"status_id": 5}])
def test_closed_findings_are_archived(change: dict[str, Any]) -> None:
    """Suppressed, resolved, archived or closed, it is not acted on."""
    assert parsed(**change).archived


def test_a_foreign_class_is_nobodys_finding() -> None:
    """Network activity is no finding, whatever product it names."""
    found = parsed(category_uid=4, class_uid=4001)

    assert found.source == "unknown"


def test_the_instances_details_are_read_from_snake_case() -> None:
    """``data`` holds GuardDuty's own details in OCSF's spelling."""
    data = {
        "image_id": "ami-1",
        "network_interfaces": [{"network_interface_id": "eni-1", "vpc_id": "vpc-1"}],
        "iam_instance_profile": {"arn": "arn:aws:iam::111122223333:instance-profile/web"},
    }
    found = parsed(resources=[{"type": "AwsEc2Instance", "uid": INSTANCE, "data": data}]).resource

    assert (found.instance_id, found.image_id, found.vpc_id) == (INSTANCE, "ami-1", "vpc-1")
    assert found.network_interface_ids == ("eni-1",)
    assert found.instance_profile_arn.endswith("/web")


def test_a_runtime_finding_is_about_the_instance_not_the_container() -> None:
    """GuardDuty itself names the instance as the resource when a container on it does something."""
    container = {"type": "AWS::Container::Container", "uid": "287ae865"}
    info = ocsf()["finding_info"] | {"types": ["Threats", "Execution:Runtime/NewBinaryExecuted"]}

    found = parsed(finding_info=info, resources=[container, *ocsf()["resources"]])

    assert found.resource.kind == "instance"
