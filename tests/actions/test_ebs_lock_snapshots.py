"""Locks on evidence: strong enough, long enough, and one that cannot be set hinders no other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.contract import Act, Broken, Refused, Settled
from irrunner.actions.ebs.lock_snapshots import LockSnapshots, LockSnapshotsParams, LockSnapshotsState
from irrunner.actions.ebs.locks import Lock, locks_of
from irrunner.actions.ebs.snapshots import Snapshot
from irrunner.clock import iso
from irrunner.testing import EPOCH, FakeApi

ACTION = LockSnapshots()
ONE, TWO = "snap-00000000000000001", "snap-00000000000000002"
OWNER = "111122223333"


def snapshot(snapshot_id: str, state: str = "completed", owner: str = OWNER, message: str = "") -> Snapshot:
    """A snapshot."""
    return Snapshot(
        snapshot_id=snapshot_id, volume_id="vol-00000000000000001", owner_id=owner, state=state,
        state_message=message, encrypted=False, kms_key_id=None, size_gib=8,
    )  # fmt: skip


def state(*snapshots: Snapshot, **more: Any) -> LockSnapshotsState:
    """What a look saw."""
    values: dict[str, Any] = {
        "account_id": OWNER, "region": "eu-central-1", "snapshots": snapshots, "locks": {}, "refused": {},
        "planned": False, "seen_at": iso(EPOCH),
    }  # fmt: skip
    return LockSnapshotsState(**values | more)


def params(*ids: str, **more: Any) -> LockSnapshotsParams:
    """Parameters."""
    return LockSnapshotsParams(snapshot_ids=list(ids), **more)


def lock(snapshot_id: str, lock_state: str, left_days: float) -> Lock:
    """A lock that ends some days from now."""
    until = iso(EPOCH + timedelta(days=left_days))
    return Lock(snapshot_id=snapshot_id, state=lock_state, days=30, expires_at=until)


@pytest.mark.parametrize(
    ("held", "mode", "enough"),
    [
        (lock(ONE, "governance", 30), "governance", True),
        (lock(ONE, "governance", 29.9), "governance", True),
        (lock(ONE, "governance", 3), "governance", False),
        (lock(ONE, "expired", 30), "governance", False),
        (lock(ONE, "governance", 30), "compliance", False),
        (lock(ONE, "compliance", 30), "governance", True),
        (lock(ONE, "compliance-cooloff", 30), "compliance", True),
        (Lock(snapshot_id=ONE, state="governance", days=30), "governance", True),
        (Lock(snapshot_id=ONE, state="governance", days=7), "governance", False),
    ],
)
def test_a_lock_is_enough_if_it_is_as_strong_and_as_long(held: Lock, mode: Any, enough: bool) -> None:  # noqa: FBT001
    """Thirty days that began twenty-nine days ago are one day: it is locked anew."""
    decision = ACTION.decide(params(ONE, mode=mode), state(snapshot(ONE), locks={ONE: held}))
    assert isinstance(decision, Settled if enough else Act)


def test_a_compliance_lock_is_only_made_longer() -> None:
    """Governance asked for where compliance holds: AWS would refuse the weaker mode."""
    decision = ACTION.decide(
        params(ONE, days=60), state(snapshot(ONE), locks={ONE: lock(ONE, "compliance", 5)})
    )
    assert isinstance(decision, Act)
    assert decision.calls[0].params == {"SnapshotId": ONE, "LockMode": "compliance", "LockDuration": 60}


def test_a_pending_snapshot_is_locked() -> None:
    """Evidence is safe before its copy is complete."""
    decision = ACTION.decide(params(ONE), state(snapshot(ONE, "pending")))
    assert isinstance(decision, Act)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (snapshot(TWO, owner="999988887777"), "only its owner"),
        (snapshot(TWO, "error", message="the key is gone"), "the key is gone"),
        (None, "perhaps deleted"),
    ],
)
def test_one_that_cannot_be_locked_hinders_no_other(second: Snapshot | None, words: str) -> None:
    """The good one is locked first; then the step fails and names the other."""
    seen = [snapshot(ONE), *([second] if second else [])]
    first = ACTION.decide(params(ONE, TWO), state(*seen))
    assert isinstance(first, Act)
    assert [call.target for call in first.calls] == [ONE]

    then = ACTION.decide(params(ONE, TWO), state(*seen, locks={ONE: lock(ONE, "governance", 30)}))
    assert isinstance(then, Broken)
    assert TWO in then.reason
    assert words in then.reason
    assert ONE not in then.reason


def test_without_a_forensic_account_the_refusal_names_the_setting() -> None:
    """Exit code 3 and what to do."""
    decision = ACTION.decide(params(ONE, account="forensics"), state(account_id=None))
    assert isinstance(decision, Refused)
    assert decision.code == "forensics-not-configured"


def test_cool_off_is_of_compliance_only() -> None:
    """AWS would refuse it at the call; we do before anything is sent."""
    with pytest.raises(ValidationError, match="cool_off_hours is for mode compliance"):
        params(ONE, cool_off_hours=3)


def test_every_page_of_locks_is_read() -> None:
    """This read has no paginator in botocore: the second page must not be missed."""
    pages: dict[Any, dict[str, Any]] = {
        None: {"Snapshots": [{"SnapshotId": ONE, "LockState": "governance"}], "NextToken": "more"},
        "more": {"Snapshots": [{"SnapshotId": TWO, "LockState": "compliance"}]},
    }
    api = FakeApi({"ec2:DescribeLockedSnapshots": lambda **asked: pages[asked.get("NextToken")]})
    assert {name: lock.state for name, lock in locks_of(api, [ONE, TWO]).items()} == {
        ONE: "governance", TWO: "compliance",
    }  # fmt: skip
