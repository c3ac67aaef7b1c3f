"""The evidence copy across two accounts: every route, every obstacle, every interruption."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrunner.actions.contract import Act, Broken, Refused, Settled, Waiting, Where
from irrunner.actions.ebs.copy_to_forensics import CopyToForensicsParams
from irrunner.actions.ebs.lending import grant_name
from irrunner.actions.ebs.snapshots import MARKER_TAG
from irrunner.actions.ids import PLANNING
from irrunner.aws.policy import session_policy
from irrunner.testing import ManualClock
from irrunner.vocabulary import Outcome
from tests.actions.two_accounts import (
    ACTION,
    ALIASES,
    CUSTOMER_KEY,
    DEFAULT_KEY,
    EVIDENCE_KEY,
    FORENSIC,
    FORENSIC_REGION,
    MARKER,
    MEMBER,
    PARAMS,
    REGION,
    SOURCE,
    STRANGER,
    TRANSFER_KEY,
    TwoAccounts,
    context,
    decide,
    key_arn,
    look,
    run,
)


@pytest.fixture
def world() -> TwoAccounts:
    """Two accounts without snapshots."""
    return TwoAccounts(ManualClock())


SHARE, COPY_OUT = f"ec2:ModifySnapshotAttribute@{MEMBER}", f"ec2:CopySnapshot@{FORENSIC}"
LEND, RETURN = f"kms:CreateGrant@{MEMBER}", f"kms:RevokeGrant@{MEMBER}"
ROUTES = {
    None: [SHARE, COPY_OUT, SHARE],
    CUSTOMER_KEY: [LEND, SHARE, COPY_OUT, SHARE, RETURN],
    DEFAULT_KEY: [f"ec2:CopySnapshot@{MEMBER}", LEND, SHARE, COPY_OUT, SHARE, RETURN],
}


@pytest.mark.parametrize("key", ROUTES, ids=["plain", "customer key", "default key"])
def test_each_route_ends_with_a_copy_that_stands_by_itself(world: TwoAccounts, key: str | None) -> None:
    """The copy is the forensic account's, under its key; nothing that was lent stays lent."""
    world.add(
        MEMBER, SOURCE, key, ready_s=45, Tags=[{"Key": "irrunner:instance", "Value": "i-0123456789abcdef0"}]
    )

    done = run(world)

    assert done is not None
    assert done.outcome is Outcome.APPLIED, done.reason
    (copy,) = world.marked(FORENSIC)
    assert (copy["KmsKeyId"], copy["Encrypted"], world.state_of(copy)) == (EVIDENCE_KEY, True, "completed")
    assert {item["Key"]: item["Value"] for item in copy["Tags"]} == {
        MARKER_TAG: MARKER, "irrunner:instance": "i-0123456789abcdef0", "irrunner:source-snapshot": SOURCE,
        "irrunner:source-volume": "vol-0123456789abcdef0", "irrunner:source-account": MEMBER,
        "irrunner:source-region": REGION,
    }  # fmt: skip
    assert done.outputs["forensic_snapshot_id"] == copy["SnapshotId"]
    assert (done.outputs["transfer_snapshot_id"] is not None) is (key == DEFAULT_KEY)
    assert world.sent == ROUTES[key]
    assert not world.grants
    assert not any(item["users"] for item in world.snapshots.values())


@pytest.mark.parametrize("key", ROUTES, ids=["plain", "customer key", "default key"])
def test_the_plan_is_what_the_run_does(world: TwoAccounts, key: str | None) -> None:
    """The forecast names the operations of all rounds, in order, before the first is sent."""
    world.add(MEMBER, SOURCE, key)
    accounts = {"target": MEMBER, "forensics": FORENSIC}

    planned = ACTION.forecast(PARAMS, look(world))
    run(world)

    assert [f"{call.operation}@{accounts[call.scope]}" for call in planned] == world.sent == ROUTES[key]


@pytest.mark.parametrize("key", ROUTES, ids=["plain", "customer key", "default key"])
def test_a_plan_of_a_snapshot_to_come(world: TwoAccounts, key: str | None) -> None:
    """With only the facts of a token the same calls are foreseen, and nothing is asked about the token."""
    token = "<from snapshot.snapshot_ids[0]>"
    params = CopyToForensicsParams.model_validate({"snapshot_id": token}, context=PLANNING)
    facts = {"volume_id": "vol-1", "encrypted": key is not None, "kms_key_id": key, "size_gib": 8}

    seen = ACTION.look(context(world, planned={token: facts}), params)
    planned = ACTION.foresee(params, seen, "copy_out")

    assert [call.operation for call in ACTION.forecast(params, seen)] == [
        sent.partition("@")[0] for sent in ROUTES[key]
    ]
    assert planned.outputs == {
        "forensic_snapshot_id": "<from copy_out.forensic_snapshot_id>",
        "source_snapshot_id": token,
        "transfer_snapshot_id": "<from copy_out.transfer_snapshot_id>" if key == DEFAULT_KEY else None,
        "kms_key_id": EVIDENCE_KEY,
        "size_gib": 8,
        "forensic_account_id": FORENSIC,
        "forensic_region": FORENSIC_REGION,
    }


def test_a_copy_of_another_item_is_not_taken_for_ours(world: TwoAccounts) -> None:
    """Brackets in a marker are characters, not a pattern, and the value is compared exactly."""
    world.add(MEMBER, SOURCE, None)
    for marker in ("0192/copy_out3", "0192/copy_out_3_", "0192/copy_out[30]"):
        world.add(FORENSIC, f"snap-{marker}", EVIDENCE_KEY, Tags=[{"Key": MARKER_TAG, "Value": marker}])

    assert look(world).copies == ()


def test_a_second_run_of_the_step_does_nothing(world: TwoAccounts) -> None:
    """The copy of this step is found by its marker."""
    world.add(MEMBER, SOURCE, CUSTOMER_KEY)
    run(world)
    sent = list(world.sent)

    done = run(world)

    assert done is not None
    assert done.outcome is Outcome.ALREADY_DONE
    assert world.sent == sent
    assert ACTION.forecast(PARAMS, look(world)) == ()
    assert ACTION.foresee(PARAMS, look(world), "c").outputs == done.outputs


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (
            {"forensics": None, "where": Where("aws", MEMBER, REGION, None, None, None)},
            "set forensics.account_id",
        ),
        ({"forensics": None}, "forensics.role"),
        (
            {"where": Where("aws", FORENSIC, REGION, FORENSIC, None, None)},
            "forensic account 444455556666 itself",
        ),
    ],
)
def test_without_a_place_for_evidence_it_is_refused(
    world: TwoAccounts, other: dict[str, Any], says: str
) -> None:
    """The refusal names the setting, and nothing is planned."""
    world.add(MEMBER, SOURCE, None)

    decision = decide(world, **other)

    assert isinstance(decision, Refused)
    assert says in decision.reason
    assert not decision.nothing_to_do
    assert ACTION.forecast(PARAMS, look(world, **other)) == ()
    assert ACTION.foresee(PARAMS, look(world, **other), "c").outputs == {}


@pytest.mark.parametrize(
    ("snapshot", "keys", "says"),
    [
        ({"key": CUSTOMER_KEY}, {CUSTOMER_KEY: "Disabled"}, "is Disabled: enable it"),
        ({"key": CUSTOMER_KEY}, {CUSTOMER_KEY: "PendingDeletion"}, "cancel its deletion"),
        ({"key": CUSTOMER_KEY}, {CUSTOMER_KEY: "NotFound"}, "does not exist here"),
        ({"key": key_arn(STRANGER, "theirs")}, {}, "is Foreign: it belongs to another account"),
        ({"key": DEFAULT_KEY}, {TRANSFER_KEY: "NotFound"}, "forensics.transfer_kms_key"),
        ({"key": DEFAULT_KEY}, {TRANSFER_KEY: "Disabled"}, "cannot be shared, and the transfer key"),
        ({"key": None}, {EVIDENCE_KEY: "NotFound"}, "forensics.kms_key"),
        ({"key": None}, {EVIDENCE_KEY: "PendingDeletion"}, "cancel its deletion"),
        ({"key": None, "Encrypted": True}, {}, "AWS names no key"),
        ({"key": None, "StorageTier": "archive"}, {}, "archived"),
        ({"key": None, "OwnerId": STRANGER, "users": {MEMBER}}, {}, f"belongs to {STRANGER}"),
    ],
)
def test_what_cannot_be_copied_says_why_and_what_to_do(
    world: TwoAccounts, snapshot: dict[str, Any], keys: dict[str, str], says: str
) -> None:
    """Each row that leads nowhere is refused before anything is sent."""
    world.add(MEMBER, SOURCE, **snapshot)
    world.key_states = keys

    decision = decide(world)

    assert isinstance(decision, Refused)
    assert says in decision.reason


def test_a_transfer_key_that_is_awss_own_is_refused(
    world: TwoAccounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transfer key must be a customer key, or the second snapshot is as stuck as the first."""
    monkeypatch.setitem(ALIASES, (MEMBER, "alias/irrunner-transfer"), DEFAULT_KEY)
    world.add(MEMBER, SOURCE, DEFAULT_KEY)

    decision = decide(world)

    assert isinstance(decision, Refused)
    assert "AWS managed key" in decision.reason


def test_a_source_in_error_surfaces_the_message(world: TwoAccounts) -> None:
    """An asynchronous failure shows only in StateMessage."""
    world.add(MEMBER, SOURCE, None, fails="Client.InternalError")

    assert decide(world) == Broken(
        f"{SOURCE} of vol-0123456789abcdef0: Client.InternalError", code="snapshot-error"
    )


def test_a_source_that_is_gone_is_broken(world: TwoAccounts) -> None:
    """A snapshot that somebody deleted cannot be waited for."""
    assert decide(world).code == "target-not-found"


def test_grants_that_kms_learns_late_get_a_second_try(world: TwoAccounts) -> None:
    """KMS grants are eventually consistent: one failed copy is repeated, and stays as it is."""
    world.add(MEMBER, SOURCE, CUSTOMER_KEY)
    world.grants_work_after = 1

    done = run(world)

    assert done is not None
    assert done.outcome is Outcome.APPLIED
    assert [world.state_of(item) for item in world.marked(FORENSIC)] == ["error", "completed"]


def test_a_key_that_never_works_is_broken_with_awss_reason(world: TwoAccounts) -> None:
    """The second failure is final; what was lent is taken back first."""
    world.add(MEMBER, SOURCE, CUSTOMER_KEY)
    world.grants_work_after = 9

    done = run(world)

    assert done is not None
    assert (done.outcome, done.code) == (Outcome.FAILED, "snapshot-error")
    assert "Given key ID is not accessible" in done.reason
    assert not world.grants
    assert not world.snapshots[SOURCE]["users"]


def test_a_failed_transfer_copy_is_broken(world: TwoAccounts) -> None:
    """The transfer copy's StateMessage is surfaced too."""
    world.add(MEMBER, SOURCE, DEFAULT_KEY)
    world.add(
        MEMBER,
        "snap-t",
        TRANSFER_KEY,
        fails="Client.InternalError",
        Tags=[{"Key": MARKER_TAG, "Value": MARKER}],
    )

    decision = decide(world)

    assert isinstance(decision, Broken)
    assert "Client.InternalError" in decision.reason


@pytest.mark.parametrize("field_name", ["KmsKeyId", "VolumeSize", "Encrypted"])
def test_a_copy_that_is_not_as_intended_is_broken(world: TwoAccounts, field_name: str) -> None:
    """Key, size and encryption are compared by reading the copy back in the forensic account."""
    wrong = {"KmsKeyId": key_arn(FORENSIC, "other"), "VolumeSize": 9, "Encrypted": False}
    world.add(MEMBER, SOURCE, None)
    world.add(FORENSIC, "snap-f", EVIDENCE_KEY, Tags=[{"Key": MARKER_TAG, "Value": MARKER}])
    world.snapshots["snap-f"][field_name] = wrong[field_name]

    decision = decide(world)

    assert isinstance(decision, Broken)
    assert str(wrong[field_name]) in decision.reason


def test_a_finished_copy_outlives_its_source(world: TwoAccounts) -> None:
    """The attacker deletes the source after the copy: the evidence stands, with a word of caution."""
    world.add(FORENSIC, "snap-f", EVIDENCE_KEY, Tags=[{"Key": MARKER_TAG, "Value": MARKER}])

    decision = decide(world)

    assert isinstance(decision, Settled)
    assert "could not be compared" in decision.warnings[0]


@pytest.mark.parametrize(("key", "account"), [(None, FORENSIC), (DEFAULT_KEY, MEMBER)])
def test_twenty_copies_at_once_and_no_more(world: TwoAccounts, key: str | None, account: str) -> None:
    """A full destination is waited for, in the account that is full."""
    world.add(MEMBER, SOURCE, key, users={FORENSIC} if key is None else set())
    for number in range(20):
        world.add(account, f"snap-busy-{number}", None, ready_s=90)

    decision = decide(world)

    assert isinstance(decision, Waiting)
    assert f"20 snapshots in progress in {account}" in decision.reason
    done = run(world)
    assert done is not None
    assert done.outcome is Outcome.APPLIED


def test_a_refused_place_is_no_failure(world: TwoAccounts) -> None:
    """Where another run takes the last place between look and call, the copy is asked for again."""
    world.add(MEMBER, SOURCE, None)
    calls = ACTION.forecast(PARAMS, look(world))

    assert [call.tolerate for call in calls if call.operation == "ec2:CopySnapshot"] == [
        ("ResourceLimitExceeded",)
    ]


@pytest.mark.parametrize("key", ROUTES, ids=["plain", "customer key", "default key"])
def test_every_call_is_permitted_and_the_policies_fit(world: TwoAccounts, key: str | None) -> None:
    """What is called is declared, account by account, and each session policy names its resources exactly."""
    world.add(MEMBER, SOURCE, key)

    run(world)

    for account, scope in ((MEMBER, "target"), (FORENSIC, "forensics")):
        declared = [item for item in ACTION.permissions if item.scope == scope]
        called = {operation for asked_by, operation in world.asked if asked_by == account}
        values = {"partition": "aws", "region": "ap-southeast-2", "account": account}
        assert called <= {item.action for item in declared}
        assert session_policy(declared, values, limit=100_000) == session_policy(declared, values)


def test_the_grant_name_is_one_that_kms_takes() -> None:
    """KMS allows fewer characters in a name than a tag does, and two items never share one."""
    assert grant_name("0192/copy_out[3]") == "irrunner:run/0192/copy_out-3-"
    assert grant_name("0192/copy_out[13]") != grant_name("0192/copy_out[3]")


def test_the_source_is_the_target() -> None:
    """The snapshot whose permissions change is locked and can be protected."""
    where = Where("aws", MEMBER, REGION, FORENSIC, None, None)

    assert ACTION.targets(PARAMS, where) == (f"arn:aws:ec2:{REGION}::snapshot/{SOURCE}",)


@given(
    key=st.sampled_from(list(ROUTES)),
    lost=st.sets(st.integers(1, 8), max_size=3),
    crashes=st.lists(st.integers(0, 12), max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_any_interruption_ends_in_one_copy_and_no_loan(
    key: str | None, lost: set[int], crashes: list[int]
) -> None:
    """Lost answers and crashes between any two rounds never make a second copy, nor leave a door open."""
    world = TwoAccounts(ManualClock(), lost=lost)
    world.add(MEMBER, SOURCE, key, ready_s=30)

    for turns in crashes:
        run(world, turns)
    done = run(world)

    assert done is not None
    assert done.outcome.good, done.reason
    assert len(world.marked(FORENSIC)) == 1
    assert len(world.marked(MEMBER)) == (1 if key == DEFAULT_KEY else 0)
    assert not world.grants
    assert not any(item["users"] for item in world.snapshots.values())


@given(key=st.sampled_from(list(ROUTES)), turns=st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_forecast_and_decision_agree_everywhere(key: str | None, turns: int) -> None:
    """At every point of a run the next calls are the first ones that the forecast names."""
    world = TwoAccounts(ManualClock())
    world.add(MEMBER, SOURCE, key, ready_s=30)
    run(world, turns)

    seen = look(world)
    decision = ACTION.decide(PARAMS, seen)
    forecast = ACTION.forecast(PARAMS, seen)

    if isinstance(decision, Act):
        assert forecast[: len(decision.calls)] == decision.calls
    elif isinstance(decision, Settled):
        assert forecast == ()
