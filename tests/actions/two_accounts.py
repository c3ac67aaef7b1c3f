"""EBS and KMS of two accounts by the documented rules, for the tests of the evidence copy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import jmespath
from botocore.session import Session
from botocore.validate import validate_parameters

from irrunner.actions.contract import LookContext, Where
from irrunner.actions.ebs.copy_state import CopyState
from irrunner.actions.ebs.copy_to_forensics import CopyToForensics, CopyToForensicsParams
from irrunner.actions.ebs.snapshots import MARKER_TAG
from irrunner.actions.runtime import Done, Later, StepRun
from irrunner.actions.sending import Ports, Sender
from irrunner.errors import OutcomeUnknown, QuotaExceeded, TargetNotFound
from irrunner.settings import Settings
from irrunner.testing import FakeApi, ManualClock

ACTION = CopyToForensics()
MEMBER, FORENSIC, STRANGER = "111122223333", "444455556666", "999988887777"
REGION, FORENSIC_REGION = "eu-central-1", "eu-west-1"
SOURCE = "snap-0123456789abcdef0"
PARAMS = CopyToForensicsParams(snapshot_id=SOURCE)
MARKER = "0192/copy_out[3]"
COPY_S = 60
SERVICES = {name: Session().get_service_model(name) for name in ("ec2", "kms")}


def key_arn(account: str, name: str, region: str = REGION) -> str:
    """Return a key's ARN."""
    return f"arn:aws:kms:{region}:{account}:key/{name}"


CUSTOMER_KEY, DEFAULT_KEY = key_arn(MEMBER, "customer"), key_arn(MEMBER, "default")
TRANSFER_KEY, EVIDENCE_KEY = key_arn(MEMBER, "transfer"), key_arn(FORENSIC, "evidence", FORENSIC_REGION)
ALIASES = {
    (MEMBER, "alias/irrunner-transfer"): TRANSFER_KEY,
    (FORENSIC, "alias/irrunner-evidence"): EVIDENCE_KEY,
}


@dataclass
class TwoAccounts:
    """EBS and KMS of a member and of the forensic account, by the documented rules."""

    clock: ManualClock
    snapshots: dict[str, dict[str, Any]] = field(default_factory=dict)
    key_states: dict[str, str] = field(default_factory=dict)
    grants: dict[str, dict[str, Any]] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    asked: set[tuple[str, str]] = field(default_factory=set)
    """Every operation by account, reads too."""
    lost: set[int] = field(default_factory=set)
    """Numbers of mutating calls whose answer is lost after the effect."""
    grants_work_after: int = 0
    """So many first copies fail because KMS does not know the grant yet."""

    def add(
        self, account: str, snapshot_id: str, key: str | None, *, ready_s: float = 0, **more: Any
    ) -> None:
        """Add a snapshot that is completed after some time."""
        self.snapshots[snapshot_id] = {
            "SnapshotId": snapshot_id, "OwnerId": account, "VolumeId": "vol-0123456789abcdef0",
            "VolumeSize": 8, "Encrypted": key is not None, "KmsKeyId": key, "StartTime": self.clock.now(),
            "Tags": [],
            "ready": self.clock.now() + timedelta(seconds=ready_s), "users": set(), "fails": "",
        } | more  # fmt: skip

    def state_of(self, snapshot: Mapping[str, Any]) -> str:
        """Return pending, completed or error."""
        if self.clock.now() < snapshot["ready"]:
            return "pending"
        return "error" if snapshot["fails"] else "completed"

    def port(self, account: str) -> Port:
        """Return a session in one account."""
        return Port(self, account)

    def marked(self, account: str) -> list[dict[str, Any]]:
        """Return the snapshots of an account with our marker."""
        tag = {"Key": MARKER_TAG, "Value": MARKER}
        return [
            item for item in self.snapshots.values() if item["OwnerId"] == account and tag in item["Tags"]
        ]


@dataclass
class Port:
    """One account's API; checks each call's shape against botocore's model."""

    world: TwoAccounts
    account: str

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Answer one call."""
        service, name = operation.split(":")
        self.world.asked.add((self.account, operation))
        validate_parameters(params, SERVICES[service].operation_model(name).input_shape)
        method: Callable[..., Mapping[str, Any]] = getattr(self, name)
        answer = method(**params)
        if name.startswith(("Describe", "List")):
            return answer
        self.world.sent.append(f"{operation}@{self.account}")
        if len(self.world.sent) in self.world.lost:
            raise OutcomeUnknown("the answer was lost")
        return answer

    def pages(self, operation: str, path: str, /, **params: Any) -> list[Any]:
        """Answer a paginated read."""
        return list(jmespath.search(path, self.call(operation, **params)) or [])

    def in_region(self, region: str) -> Port:
        """Return itself: snapshots and keys are found by id here."""
        return self

    def own(self, snapshot_id: str) -> dict[str, Any]:
        """Return a snapshot that is owned here or shared with us."""
        found = self.world.snapshots.get(snapshot_id)
        if found is None or self.account not in {found["OwnerId"], *found["users"]}:
            raise TargetNotFound(snapshot_id)
        return found

    def DescribeSnapshots(self, **asked: Any) -> Mapping[str, Any]:  # noqa: N802, D102
        wanted = {item["Name"]: item["Values"] for item in asked.get("Filters", [])}
        found = [self.own(item) for item in asked.get("SnapshotIds", [])] or [
            item for item in self.world.snapshots.values() if item["OwnerId"] == self.account
        ]
        shown = [item | {"State": self.world.state_of(item), "StateMessage": item["fails"]} for item in found]
        tags = wanted.get(f"tag:{MARKER_TAG}")
        if tags:
            shown = [item for item in shown if self.matches(item, tags[0])]
        return {
            "Snapshots": [item for item in shown if item["State"] in wanted.get("status", [item["State"]])]
        }

    def matches(self, snapshot: Mapping[str, Any], pattern: str) -> bool:
        """Return whether the marker fits a filter value, in which ``?`` is any character."""
        values = [tag["Value"] for tag in snapshot["Tags"] if tag["Key"] == MARKER_TAG]
        form = re.escape(pattern).replace(r"\?", ".")
        return any(re.fullmatch(form, value) for value in values)

    def DescribeSnapshotAttribute(self, **asked: Any) -> Mapping[str, Any]:  # noqa: N802, D102
        users = sorted(self.own(asked["SnapshotId"])["users"])
        return {"CreateVolumePermissions": [{"UserId": user} for user in users]}

    def ModifySnapshotAttribute(self, **asked: Any) -> Mapping[str, Any]:  # noqa: N802, D102
        snapshot = self.own(asked["SnapshotId"])
        assert snapshot["KmsKeyId"] != DEFAULT_KEY, "AWS refuses to share what is under the default key"
        change = set.union if asked["OperationType"] == "add" else set.difference
        snapshot["users"] = change(snapshot["users"], asked["UserIds"])
        return {}

    def CopySnapshot(self, **asked: Any) -> Mapping[str, Any]:  # noqa: N802, D102
        source = self.own(asked["SourceSnapshotId"])
        assert self.world.state_of(source) == "completed"
        assert asked["Encrypted"]
        if sum(self.world.state_of(item) == "pending" for item in self.copies()) >= 20:
            raise QuotaExceeded("too many copies", aws_code="ResourceLimitExceeded")
        name = f"snap-{len(self.world.snapshots):017x}"
        fails = "" if self.may_read(source) else "Given key ID is not accessible"
        tags = asked["TagSpecifications"][0]["Tags"]
        self.world.add(self.account, name, asked["KmsKeyId"], ready_s=COPY_S, Tags=tags, fails=fails)
        self.world.snapshots[name]["VolumeSize"] = source["VolumeSize"]
        return {"SnapshotId": name}

    def copies(self) -> list[dict[str, Any]]:
        """Return the account's snapshots."""
        return [item for item in self.world.snapshots.values() if item["OwnerId"] == self.account]

    def may_read(self, source: Mapping[str, Any]) -> bool:
        """Return whether the account may use the source's key."""
        if not source["Encrypted"] or source["OwnerId"] == self.account:
            return True
        if self.world.grants_work_after > 0:
            self.world.grants_work_after -= 1
            return False
        return any(
            grant["KeyId"] == source["KmsKeyId"] and f":{self.account}:role/" in grant["GranteePrincipal"]
            for grant in self.world.grants.values()
        )

    def DescribeKey(self, **asked: Any) -> Mapping[str, Any]:  # noqa: N802, D102
        arn = ALIASES.get((self.account, asked["KeyId"]), asked["KeyId"])
        state = self.world.key_states.get(arn, "Enabled")
        if state == "NotFound":
            raise TargetNotFound(arn)
        manager = "AWS" if arn == DEFAULT_KEY else "CUSTOMER"
        return {
            "KeyMetadata": {
                "Arn": arn,
                "AWSAccountId": arn.split(":")[4],
                "KeyManager": manager,
                "KeyState": state,
            }
        }

    def ListGrants(self, **asked: Any) -> Mapping[str, Any]:  # noqa: N802, D102
        return {"Grants": [grant for grant in self.world.grants.values() if grant["KeyId"] == asked["KeyId"]]}

    def CreateGrant(self, **asked: Any) -> Mapping[str, Any]:  # noqa: N802, D102
        name = f"grant:{asked['KeyId']}:{asked['Name']}"
        self.world.grants[name] = asked | {"GrantId": name[:128]}
        return {"GrantId": name[:128]}

    def RevokeGrant(self, **asked: Any) -> Mapping[str, Any]:  # noqa: N802, D102
        self.world.grants = {
            name: grant for name, grant in self.world.grants.items() if grant["GrantId"] != asked["GrantId"]
        }
        return {}


def context(world: TwoAccounts, **other: Any) -> LookContext:
    """Return what a look may use."""
    facts: dict[str, Any] = {
        "api": world.port(MEMBER),
        "forensics": world.port(FORENSIC),
        "where": Where("aws", MEMBER, REGION, FORENSIC, FORENSIC_REGION, None),
        "now": world.clock.now(),
        "started": world.clock.now(),
        "run_id": "0192",
        "marker": MARKER,
        "drill": False,
        "settings": Settings(),
    }
    return LookContext(**(facts | other))


def attempt(world: TwoAccounts) -> StepRun:
    """Return an attempt of the step."""
    ports = Ports(world.port(MEMBER), world.port(FORENSIC), FakeApi({}))
    deadline = world.clock.now() + timedelta(hours=2)
    return StepRun(ACTION, PARAMS, lambda: context(world), Sender(ports, world.clock), world.clock, deadline)


def run(world: TwoAccounts, turns: int = 400) -> Done | None:
    """Begin and advance until done; None where the turns were not enough (a crash)."""
    step = attempt(world)
    step.begin()
    for _ in range(turns):
        progress = step.advance()
        if not isinstance(progress, Later):
            return progress
        world.clock.advance(progress.poll_s)
    return None


def look(world: TwoAccounts, **other: Any) -> CopyState:
    """Look once."""
    return ACTION.look(context(world, **other), PARAMS)


def decide(world: TwoAccounts, **other: Any) -> Any:
    """Look once and decide."""
    return ACTION.decide(PARAMS, look(world, **other))
