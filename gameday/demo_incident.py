"""The incident of ``irrunner demo``: what it is about, and what must hold when it is contained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gameday import observe
from gameday.finding_events import Detection, Subject
from gameday.judging import had_effect
from gameday.observe import View
from gameday.world import Call
from irrunner.errors import EXIT_DONE, EXIT_FAILED

VOLUMES: Final = 3
"""The world gives an instance one volume of each encryption: none, a customer key, the default key."""
SUBJECT: Final = Subject(
    account="482915037716",
    region="eu-central-1",
    instance_id="i-0d4f1b7a92c3e8651",
    network_interfaces=(
        {"id": "eni-0a31c5d7e9f20b481", "private_ip": "10.20.0.4", "ipv6": "2001:db8:20::4"},
        {"id": "eni-0b42d6e8fa031c592", "private_ip": "10.20.0.5", "ipv6": "2001:db8:20::5"},
        {"id": "eni-0c53e7f90b142d6a3", "private_ip": "10.20.0.6", "ipv6": "2001:db8:20::6"},
    ),
    vpc_id="vpc-0e75091b2d364f8c5",
    subnet_id="subnet-0f860a2c3e47509d6",
    instance_profile_arn="arn:aws:iam::482915037716:instance-profile/orders-web",
    tags={"Name": "orders-web-3", "Environment": "production"},
)
DETECTION: Final = Detection(
    "CryptoCurrency:EC2/BitcoinTool.B!DNS",
    severity=8.0,
    title="EC2 instance i-0d4f1b7a92c3e8651 is querying a domain name of a cryptocurrency pool.",
    domain="pool.example.net",
    count=3,
)
ORDER: Final = (
    "ec2:CreateSnapshots",
    "ec2:ModifyNetworkInterfaceAttribute",
    "ec2:DisassociateIamInstanceProfile",
    "iam:PutRolePolicy",
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold, read from the world."""

    name: str
    held: bool
    detail: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {"name": self.name, "held": self.held, "detail": self.detail}


def verdict(checks: Sequence[Check]) -> int:
    """Return the exit code: 0 only where something was checked and all of it held."""
    return EXIT_DONE if checks and all(check.held for check in checks) else EXIT_FAILED


def containment(view: View) -> tuple[Check, ...]:
    """Return whether the instance of the demonstration is contained and preserved."""
    copies, kept = observe.forensic_copies(view), observe.snapshots(view)
    found = observe.interfaces(view)
    return (
        Check(
            "every network interface is in a group without rules",
            observe.isolated(view) and len(found) == len(SUBJECT.network_interfaces),
            f"{len(found)} interfaces, IPv4 and IPv6",
        ),
        Check("the instance has no profile left", observe.profile(view) == "none"),
        Check("the role denies the sessions that it had issued", observe.sessions_revoked(view)),
        Check("neither instance nor volumes can be deleted by accident", observe.protected(view)),
        Check("the instance is stopped, as was approved", observe.instance_state(view) == "stopped"),
        Check("every volume has a snapshot", kept == VOLUMES, f"{kept} snapshots"),
        Check(
            "each has a copy in the forensic account, under its own key",
            copies == VOLUMES,
            f"{copies} copies",
        ),
    )


def evidence_first(calls: Sequence[Call]) -> Check:
    """Return whether evidence came before isolation, and the profile went before its sessions."""
    made = [call.operation for call in calls if had_effect(call)]
    first = [made.index(name) if name in made else -1 for name in ORDER]
    held = -1 not in first and first == sorted(first)
    return Check("snapshots came before isolation, the profile went before its sessions", held)
