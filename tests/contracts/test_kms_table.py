"""The KMS decision table of the evidence copy, one test a row, and what fails silently and later."""

from __future__ import annotations

from typing import Any

import pytest

from gameday.world import keys, seam
from irrunner.actions.contract import Refused, Waiting
from irrunner.actions.ebs.copy_to_forensics import CONCURRENT_COPIES
from irrunner.actions.runtime import Done, Later
from irrunner.vocabulary import Outcome
from tests.contracts.bench import Bench
from tests.contracts.conftest import OpenWorld
from tests.contracts.rows.ebs import snapshot_under

COPY = "aws.ebs.copy-to-forensics"


def source_of(bench: Bench, snapshot_id: str) -> Any:
    """Return the world's own snapshot."""
    return seam.ec2(bench.account, bench.where.region).snapshots[snapshot_id]


def key_of(bench: Bench, snapshot_id: str) -> Any:
    """Return the world's own key of a snapshot."""
    return keys.resolve(bench.account, bench.where.region, source_of(bench, snapshot_id).kms_key_id)


def copies_of(bench: Bench) -> list[dict[str, Any]]:
    """Return the snapshots of the forensic account, by its administrator's eyes."""
    ec2 = bench.world.client(str(bench.where.forensic_account_id), "ec2")
    found: list[dict[str, Any]] = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    return found


def lent(bench: Bench) -> tuple[list[Any], list[Any]]:
    """Return who may use our snapshots, and the grants on our keys."""
    region = bench.world.state()["accounts"][bench.account]["regions"][bench.where.region]
    shared = [one for snapshot in region["snapshots"].values() for one in snapshot["shared_with"]]
    grants = [grant for key in region["kms_keys"].values() for grant in key["grants"]]
    return shared, grants


def copied(bench: Bench, snapshot_id: str) -> Done:
    """Copy a snapshot."""
    return bench.run(bench.registry.get(COPY), {"snapshot_id": snapshot_id}).done


@pytest.mark.parametrize("kind", ["unencrypted", "customer", "aws/ebs"])
def test_what_can_leave_its_account_does(kind: str, open_world: OpenWorld) -> None:
    """The copy is complete, encrypted under the forensic key, and nothing stays lent."""
    with open_world() as bench:
        snapshot_id = snapshot_under(kind)(bench)["snapshot_id"]
        done = copied(bench, snapshot_id)
        evidence = bench.world.client(str(bench.where.forensic_account_id), "kms")
        own_key = evidence.describe_key(KeyId="alias/irrunner-evidence")["KeyMetadata"]["Arn"]

        assert (done.outcome, done.verified) == (Outcome.APPLIED, True), done.reason
        (copy,) = copies_of(bench)
        assert (copy["State"], copy["Encrypted"], copy["KmsKeyId"]) == ("completed", True, own_key)
        assert copy["SnapshotId"] == done.outputs["forensic_snapshot_id"]
        assert copy["VolumeSize"] == source_of(bench, snapshot_id).volume_size
        assert (done.outputs["transfer_snapshot_id"] is not None) == (kind == "aws/ebs")
        assert lent(bench) == ([], [])


@pytest.mark.parametrize(
    ("state", "remedy"),
    [
        ("Disabled", "enable it"),
        ("PendingDeletion", "cancel its deletion"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_with_its_remedy(
    state: str, remedy: str, open_world: OpenWorld
) -> None:
    """In the plan already, and in words that say what to do; nothing was lent or copied."""
    with open_world() as bench:
        values = snapshot_under("customer")(bench)
        kms, key_id = bench.client("kms"), key_of(bench, values["snapshot_id"]).id
        if state == "Disabled":
            kms.disable_key(KeyId=key_id)
        else:
            kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
        begun = bench.attempt(bench.registry.get(COPY), values).begin()

        assert isinstance(begun.refusal, Refused)
        assert f"is {state}: {remedy}" in begun.refusal.reason
        assert begun.calls == ()
        assert bench.received() == []


def test_a_foreign_key_is_refused_with_its_remedy(open_world: OpenWorld) -> None:
    """A snapshot under a key of another account: its owner must help, and the plan says so."""
    with open_world() as bench:
        values = snapshot_under("customer")(bench)
        other = bench.world.organisation.members[1]
        foreign = keys.create(other, bench.where.region, alias="alias/theirs")
        source_of(bench, values["snapshot_id"]).kms_key_id = foreign.arn
        begun = bench.attempt(bench.registry.get(COPY), values).begin()

        assert isinstance(begun.refusal, Refused)
        assert "is Foreign: it belongs to another account" in begun.refusal.reason
        assert bench.received() == []


def test_the_transfer_key_matters_only_where_it_is_needed(open_world: OpenWorld) -> None:
    """Without a transfer key a default-key snapshot is refused, and any other still leaves."""
    with open_world() as bench:
        default = snapshot_under("aws/ebs")(bench)
        plain = snapshot_under("unencrypted")(bench)["snapshot_id"]
        bench.client("kms").delete_alias(AliasName="alias/irrunner-transfer")
        begun = bench.attempt(bench.registry.get(COPY), default).begin()

        assert isinstance(begun.refusal, Refused)
        assert "which cannot be shared, and the transfer key" in begun.refusal.reason
        assert copied(bench, plain).outcome is Outcome.APPLIED


def test_a_copy_that_fails_later_says_why(open_world: OpenWorld) -> None:
    """The key is disabled while AWS copies: state ``error``, and its StateMessage is the step's reason."""
    with open_world() as bench:
        values = snapshot_under("customer")(bench)
        attempt = bench.attempt(bench.registry.get(COPY), values)
        attempt.begin()
        while not copies_of(bench):
            progress = attempt.advance()
            assert isinstance(progress, Later)
            bench.clock.advance(progress.poll_s)
        forensic = seam.ec2(str(bench.where.forensic_account_id), bench.where.region)
        (copy,) = forensic.snapshots.values()
        bench.clock.advance(3600)
        bench.world.state()
        copy.status, copy.state_message = "error", "Internal storage fault"
        done = bench.finish(attempt)

        assert (done.outcome, done.code) == (Outcome.FAILED, "snapshot-error")
        assert "Internal storage fault" in done.reason
        assert lent(bench) == ([], []), "what was lent is taken back all the same"


def test_a_key_disabled_after_the_plan_is_found_by_the_next_look(open_world: OpenWorld) -> None:
    """Between plan and copy the attacker disables the key: the step refuses in words, and lends nothing."""
    with open_world() as bench:
        values = snapshot_under("customer")(bench)
        attempt = bench.attempt(bench.registry.get(COPY), values)
        assert attempt.begin().calls
        kms = bench.client("kms")
        kms.disable_key(KeyId=key_of(bench, values["snapshot_id"]).id)
        done = bench.finish(attempt)

        assert done.outcome is Outcome.REFUSED
        assert "is Disabled: enable it" in done.reason
        assert lent(bench) == ([], [])


def test_an_inaccessible_key_fails_silently_and_is_surfaced(
    open_world: OpenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS accepts the copy and fails it later: tried again once, then its StateMessage is the reason."""
    with open_world() as bench:
        values = snapshot_under("customer")(bench)
        monkeypatch.setattr(keys, "may_use", lambda *_: False)
        done = copied(bench, values["snapshot_id"])

        assert (done.outcome, done.code) == (Outcome.FAILED, "snapshot-error")
        assert "Given key ID is not accessible" in done.reason
        assert [copy["State"] for copy in copies_of(bench)] == ["error", "error"]
        assert lent(bench) == ([], [])


def test_a_full_destination_is_waited_for(open_world: OpenWorld) -> None:
    """Twenty copies at once is AWS's limit: the next one waits for a free place, and is not refused."""
    with open_world() as bench:
        forensics = bench.world.client(str(bench.where.forensic_account_id), "ec2")
        values = snapshot_under("unencrypted")(bench)
        source = values["snapshot_id"]
        bench.client("ec2").modify_snapshot_attribute(
            SnapshotId=source,
            Attribute="createVolumePermission",
            OperationType="add",
            UserIds=[bench.where.forensic_account_id],
        )
        for _ in range(CONCURRENT_COPIES):
            forensics.copy_snapshot(SourceRegion=bench.where.region, SourceSnapshotId=source)
        action = bench.registry.get(COPY)
        attempt = bench.attempt(action, values)
        begun = attempt.begin()
        decision = action.decide(attempt.params, begun.before)

        assert isinstance(decision, Waiting)
        assert "waiting for a free place" in decision.reason
        assert [call.operation for call in begun.calls] == ["ec2:CopySnapshot", "ec2:ModifySnapshotAttribute"]
        done = bench.finish(attempt)
        assert done.outcome is Outcome.APPLIED
        assert len(copies_of(bench)) == CONCURRENT_COPIES + 1


def test_a_destination_that_fills_up_meanwhile_is_waited_for(open_world: OpenWorld) -> None:
    """The last place goes between our look and our call: AWS's refusal is a wait, not a failure."""
    with open_world() as bench:
        values = snapshot_under("unencrypted")(bench)
        bench.world.fault("ec2:CopySnapshot", "error", code="ResourceLimitExceeded", times=5)
        done = copied(bench, values["snapshot_id"])

        assert done.outcome is Outcome.APPLIED, done.reason
        assert len(copies_of(bench)) == 1
