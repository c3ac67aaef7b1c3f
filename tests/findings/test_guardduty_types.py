from __future__ import annotations

import csv
from pathlib import Path

import pytest

from irrunner.findings.guardduty_types import canonical_type, guardduty_types, successor, type_in_asff


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Recon:EC2 PortProbeUnprotectedPort", "Recon:EC2/PortProbeUnprotectedPort"),
        ("UnauthorizedAccess:EC2-SSHBruteForce", "UnauthorizedAccess:EC2/SSHBruteForce"),
        ("Backdoor:EC2.C&CActivity.B", "Backdoor:EC2/C&CActivity.B"),
        ("Trojan:EC2/DGADomainRequest.C!DNS", "Trojan:EC2/DGADomainRequest.C!DNS"),
        ("foo", "foo"),
        ("", ""),
        ("A:B/", "A:B/"),
    ],
)
def test_types_have_one_spelling(given: str, expected: str) -> None:
    """A space, a hyphen or a dot stands for the slash in some sources."""
    assert canonical_type(given) == expected


def test_the_type_is_found_in_asffs_categories() -> None:
    """The first text with a type in it names it; others name none."""
    assert (
        type_in_asff(["TTPs", "TTPs/Initial Access/UnauthorizedAccess:EC2-SSHBruteForce"])
        == "UnauthorizedAccess:EC2/SSHBruteForce"
    )
    assert type_in_asff(["Software and Configuration Checks/Vulnerabilities/CVE"]) == ""


def test_every_known_type_is_already_canonical() -> None:
    """The packaged list and the spelling rule agree, and successors are active types."""
    types = guardduty_types()

    assert all(canonical_type(name) == name for name in types.active | set(types.retired))
    assert {later for later in types.retired.values() if later} <= types.active
    assert not types.active & set(types.retired)


def test_retired_types_name_their_successor() -> None:
    """AWS renamed the type in 2021; playbooks for the new one answer the old one."""
    old = "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration"

    assert successor(old) == old + ".OutsideAWS"
    assert successor("Backdoor:EC2/C&CActivity.B") == ""


def test_the_packaged_list_is_the_collected_one(findings_dir: Path) -> None:
    """No type of the collected table is missing."""
    with (findings_dir / "finding_types.csv").open(newline="") as rows:
        collected = {row["type"]: row["status"] for row in csv.DictReader(rows)}

    types = guardduty_types()

    assert types.active == {name for name, status in collected.items() if status == "active"}
    assert set(types.retired) == {name for name, status in collected.items() if status != "active"}
