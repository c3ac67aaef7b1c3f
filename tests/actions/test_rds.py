"""RDS: states that pass and states that do not, whose snapshot it is, and passwords that nobody sees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.contract import Act, Broken, Refused, Settled, Waiting
from irrunner.actions.ebs.keys import Key
from irrunner.actions.ec2.groups import Group, Rule, VpcGroups
from irrunner.actions.ids import PLANNING
from irrunner.actions.rds.copy_state import CopyState
from irrunner.actions.rds.copy_to_forensics import CopySnapshotToForensics
from irrunner.actions.rds.databases import Database, OneDatabase, find_database, not_now
from irrunner.actions.rds.isolate import IsolateDatabase, IsolateDatabaseState
from irrunner.actions.rds.make_private import MakePrivate, MakePrivateState, OneInstance
from irrunner.actions.rds.restrict_snapshot import (
    RestrictSnapshot,
    RestrictSnapshotParams,
    RestrictSnapshotState,
)
from irrunner.actions.rds.rotate_password import (
    RotateMasterPassword,
    RotateMasterPasswordParams,
    RotateMasterPasswordState,
)
from irrunner.actions.rds.snapshot_database import SnapshotDatabase, SnapshotDatabaseState
from irrunner.actions.rds.snapshots import OneSnapshot, Snapshot, snapshot_name, tags
from irrunner.testing import FakeApi

ACCOUNT, FORENSIC, REGION = "123456789012", "444455556666", "eu-central-1"
ARN = f"arn:aws:rds:{REGION}:{ACCOUNT}:db:orders"
SNAPSHOT_ARN = f"arn:aws:rds:{REGION}:{ACCOUNT}:snapshot:found"
ONE = OneDatabase(db_instance_id="orders")
COPY = CopySnapshotToForensics()
OF = OneSnapshot(snapshot_arn=SNAPSHOT_ARN)
ROTATE = RotateMasterPasswordParams.model_validate(
    {"db_instance_id": "orders", "since": "2026-01-01T00:00:00Z"}
)


def database(**changes: Any) -> Database:
    """Return a DB instance that is available."""
    values: dict[str, Any] = {
        "kind": "instance", "db_id": "orders", "arn": ARN, "status": "available", "engine": "postgres",
        "group_ids": ("sg-1",), "groups_settled": True, "vpc_id": "vpc-1", "subnet_group": "net",
        "encrypted": True, "kms_key_id": "key", "secret_arn": None, "rotation": "", "instance_ids": (),
    }  # fmt: skip
    return Database(**values | changes)


def snapshot(**changes: Any) -> Snapshot:
    """Return an available manual snapshot."""
    values: dict[str, Any] = {
        "kind": "instance", "snapshot_id": "found", "arn": SNAPSHOT_ARN, "source_id": "orders",
        "type": "manual", "status": "available", "percent": 100, "encrypted": True, "kms_key_id": "key",
        "engine": "postgres", "size_gib": 20, "taken_at": "", "account_id": ACCOUNT,
    }  # fmt: skip
    return Snapshot(**values | changes)


def key(manager: str = "CUSTOMER", **changes: Any) -> Key:
    """Return a KMS key."""
    return Key(
        **{"arn": f"key-{manager}", "account_id": ACCOUNT, "manager": manager, "state": "Enabled"} | changes
    )


def copying(**changes: Any) -> CopyState:
    """Return a look of the copy of a snapshot under a customer key."""
    values: dict[str, Any] = {
        "marker": "run/step", "drill": False, "partition": "aws", "account_id": ACCOUNT, "region": REGION,
        "forensic_account_id": FORENSIC, "forensic_role": "forensics", "transfer_key_name": "alias/t",
        "forensic_key_name": "alias/f", "kind": "instance", "transfer_id": "t", "copy_id": "c",
        "ready": True, "elsewhere": False, "source": snapshot(), "source_key": key(),
        "forensic_key": key("CUSTOMER", arn="forensic", account_id=FORENSIC),
    }  # fmt: skip
    return CopyState(**values | changes)


def operations(decision: Any) -> list[str]:
    """Return the operations of a decision to act."""
    assert isinstance(decision, Act), decision
    return [call.operation for call in decision.calls]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"db_instance_id": "a", "db_cluster_id": "b"},
        {"db_instance_id": "Orders--1"},
        {"db_cluster_id": "a-"},
    ],
)
def test_one_database_is_named(given: dict[str, str]) -> None:
    """None, two, or a name that RDS cannot have."""
    with pytest.raises(ValidationError):
        OneDatabase.model_validate(given)


@pytest.mark.parametrize(
    ("status", "kind"),
    [("available", type(None)), ("modifying", Waiting), ("backing-up", Waiting), ("something-new", Waiting),
     ("stopped", Refused), ("deleting", Refused), ("incompatible-network", Refused)],
)  # fmt: skip
def test_what_passes_is_waited_for(status: str, kind: type) -> None:
    """A state that is new to us is one that passes: the step's time bounds the wait."""
    assert isinstance(not_now("orders", status), kind)


def test_an_aurora_instance_means_its_cluster(driver: Any) -> None:
    """Findings name the instance; storage, groups and password are the cluster's."""
    groups = [
        {"VpcSecurityGroupId": "sg-new", "Status": "adding"},
        {"VpcSecurityGroupId": "sg-old", "Status": "removing"},
    ]
    raw = {"DBClusterIdentifier": "aurora", "DBClusterArn": "arn", "VpcSecurityGroups": groups}
    api = FakeApi(
        {
            "rds:DescribeDBInstances": lambda **_: {"DBInstances": [{"DBClusterIdentifier": "aurora"}]},
            "rds:DescribeDBClusters": lambda **_: {"DBClusters": [raw]},
        }
    )

    found = find_database(driver.context(api), ONE)

    assert (found.kind, found.db_id, found.modify) == ("cluster", "aurora", "rds:ModifyDBCluster")
    assert (found.group_ids, found.groups_settled) == (("sg-new",), False)


@pytest.mark.parametrize("source_id", ["orders", "o" * 255, "a-" * 120])
def test_names_of_snapshots_are_legal_and_their_steps_own(source_id: str) -> None:
    """RDS refuses long names and double hyphens; another step's snapshot is never taken for ours."""
    name = snapshot_name(source_id, "run/step[1]")

    assert len(name) <= 63
    assert "--" not in name
    assert name == snapshot_name(source_id, "run/step[1]") != snapshot_name(source_id, "run/step[2]")


def test_tags_are_what_rds_takes() -> None:
    """A marker has brackets, which RDS refuses in tags."""
    assert tags("run/step[i-1]", drill=True)[0]["Value"] == "run/step_i-1_"


def test_a_failed_or_foreign_snapshot_of_the_name_is_no_evidence() -> None:
    """Whoever made a snapshot of our name of another database must not stand for it."""
    for found in (snapshot(status="failed"), snapshot(source_id="other")):
        state = SnapshotDatabaseState(
            database=database(), snapshot=found, snapshot_id="found", marker="m", drill=False
        )
        assert isinstance(SnapshotDatabase().decide(ONE, state), Broken)


def test_a_customer_key_is_lent_before_the_copy() -> None:
    """Lend and share, then copy; each round is decided from a look."""
    assert operations(COPY.decide(OF, copying())) == ["kms:CreateGrant", "rds:ModifyDBSnapshotAttribute"]
    assert operations(COPY.decide(OF, copying(shared=True, grant_id="g"))) == ["rds:CopyDBSnapshot"]


@pytest.mark.parametrize(
    "changes",
    [
        {"source_key": key("AWS")},
        {"source": snapshot(type="automated")},
        {"source": snapshot(type="awsbackup")},
    ],
)
def test_what_rds_does_not_share_is_copied_first(changes: dict[str, Any]) -> None:
    """Under the default key, or automated: a manual copy under the transfer key is shared instead."""
    state = copying(**changes, transfer_key=key(arn="transfer"))

    decision = COPY.decide(OF, state)

    assert operations(decision) == ["rds:CopyDBSnapshot"]
    assert isinstance(decision, Act)
    assert decision.calls[0].params["KmsKeyId"] == "transfer"
    assert decision.calls[0].scope == "target"


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"ready": False, "forensic_account_id": None}, "no forensic account"),
        ({"elsewhere": True}, "run it there"),
        ({"source_key": key(state="PendingDeletion")}, "cancel its deletion"),
        ({"source_key": key("AWS"), "transfer_key": key("AWS")}, "name a customer key"),
        ({"forensic_key": key(state="NotFound")}, "does not exist"),
    ],
)
def test_what_cannot_be_copied_is_refused_with_the_remedy(changes: dict[str, Any], because: str) -> None:
    """Before anything is lent."""
    decision = COPY.decide(OF, copying(**changes))

    assert isinstance(decision, Refused)
    assert because in decision.reason


def test_an_unencrypted_cluster_is_copied_unencrypted_and_said_so() -> None:
    """RDS refuses to encrypt that copy; the warning says what to do."""
    source = snapshot(kind="cluster", encrypted=False, kms_key_id=None)
    state = copying(
        kind="cluster", source=source, source_key=None, forensic_key=key(state="NotFound"), shared=True
    )

    decision = COPY.decide(OF, state)
    copy = source.model_copy(update={"account_id": FORENSIC, "arn": "copy"})
    end = COPY.decide(OF, state.model_copy(update={"forensic": copy, "shared": False}))

    assert isinstance(decision, Act)
    assert "KmsKeyId" not in decision.calls[0].params
    assert isinstance(end, Settled)
    assert "not encrypted" in end.warnings[0]


def test_a_copy_that_is_wrong_is_no_evidence_and_the_loan_is_taken_back() -> None:
    """Good end or bad, nothing stays lent."""
    copy = snapshot(account_id=FORENSIC, arn="copy", kms_key_id="forensic", size_gib=1)
    lent = copying(forensic=copy, shared=True, grant_id="g")

    assert operations(COPY.decide(OF, lent)) == ["rds:ModifyDBSnapshotAttribute", "kms:RevokeGrant"]
    decision = COPY.decide(OF, lent.model_copy(update={"shared": False, "grant_id": None}))
    assert isinstance(decision, Broken)
    assert "size" in decision.reason


def isolating(group: Group | None, **changes: Any) -> IsolateDatabaseState:
    """Return a look of an isolation."""
    found = database(**changes)
    groups = VpcGroups(vpc_id="vpc-1", quarantine=group)
    return IsolateDatabaseState(target=ARN, value=list(found.group_ids), database=found, groups=groups)


def test_a_quarantine_group_that_somebody_opened_is_emptied() -> None:
    """The group of our name is never trusted: a database in it with a rule is not isolated."""
    opened = Group(group_id="sg-q", rules=(Rule(rule_id="sgr-1", egress=False),))

    decision = IsolateDatabase().decide(ONE, isolating(opened, group_ids=("sg-q",)))

    assert operations(decision) == ["ec2:RevokeSecurityGroupIngress"]


def test_isolation_waits_until_rds_has_done_it() -> None:
    """Groups are changed while the database is modifying."""
    quarantine = Group(group_id="sg-q")

    busy = IsolateDatabase().decide(ONE, isolating(quarantine, group_ids=("sg-q",), status="modifying"))
    done = IsolateDatabase().decide(ONE, isolating(quarantine, group_ids=("sg-q",)))

    assert isinstance(busy, Waiting)
    assert isinstance(done, Settled)


def test_a_stopped_database_is_not_moved() -> None:
    """RDS takes no change; nothing is made for it either."""
    assert isinstance(IsolateDatabase().decide(ONE, isolating(None, status="stopped")), Refused)


def test_a_private_instance_is_private_in_any_state() -> None:
    """Nothing is to be changed, so nothing is waited for."""
    state = MakePrivateState(
        target=ARN, value=False, db_instance_id="orders", status="stopped", cluster_id=""
    )

    assert isinstance(MakePrivate().decide(OneInstance(db_instance_id="orders"), state), Settled)


def rotating(
    *, current: bool = False, replica: bool = False, ahead: bool = False, **changes: Any
) -> RotateMasterPasswordState:
    """Return a look of a rotation."""
    return RotateMasterPasswordState(
        database=database(**changes),
        replica=replica,
        changed_at="2026-01-01T00:00:00Z",
        current=current,
        ahead=ahead,
    )


@pytest.mark.parametrize(
    ("state", "flag"),
    [
        (rotating(), "ManageMasterUserPassword"),
        (rotating(secret_arn="arn", rotation="active"), "RotateMasterUserPassword"),
    ],
)
def test_no_password_passes_through_us(state: RotateMasterPasswordState, flag: str) -> None:
    """Secrets Manager makes it: the call has a flag and no value."""
    decision = RotateMasterPassword().decide(ROTATE, state)

    assert isinstance(decision, Act)
    params = decision.calls[0].params
    assert params == {"DBInstanceIdentifier": "orders", flag: True, "ApplyImmediately": True}


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (rotating(replica=True), Refused),
        (rotating(ahead=True), Refused),
        (rotating(secret_arn="arn", rotation="impaired"), Refused),
        (rotating(secret_arn="arn", rotation="rotating"), Waiting),
        (rotating(secret_arn="arn", rotation="active", current=True), Settled),
        (rotating(status="stopped"), Refused),
    ],
)
def test_where_a_rotation_is_not_begun(state: RotateMasterPasswordState, kind: type) -> None:
    """A replica, a time to come, a broken secret, one that is at it, one that is new."""
    assert isinstance(RotateMasterPassword().decide(ROTATE, state), kind)


def test_partners_keep_a_snapshot_and_the_public_does_not() -> None:
    """One call: nothing is added, and who may stay is not taken off and put back."""
    state = RestrictSnapshotState(
        target=SNAPSHOT_ARN, value=["111122223333", FORENSIC, "all"], snapshot_id="found", kind="instance"
    )
    params = RestrictSnapshotParams(snapshot_arn=SNAPSHOT_ARN, keep_account_ids=(FORENSIC,))

    decision = RestrictSnapshot().decide(params, state)

    assert isinstance(decision, Act)
    (call,) = decision.calls
    assert call.params["ValuesToRemove"] == ["111122223333", "all"]
    assert "ValuesToAdd" not in call.params
    assert "everyone" in call.summary


def test_a_plan_names_copies_of_what_does_not_exist_yet_by_tokens(driver: Any) -> None:
    """The whole way is foreseen from the facts of the snapshot to come, under the default key."""
    token = "<from snapshot.snapshot_arn>"
    facts = {
        "kind": "instance", "snapshot_id": "<from snapshot.snapshot_id>", "db_id": "orders",
        "encrypted": True, "kms_key_id": "default", "engine": "postgres",
    }  # fmt: skip

    def describe(KeyId: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        manager = "AWS" if KeyId == "default" else "CUSTOMER"
        return {"KeyMetadata": {"Arn": KeyId, "KeyState": "Enabled", "KeyManager": manager}}

    api = driver.forensics = FakeApi({"kms:DescribeKey": describe})
    where = replace(driver.where, forensic_account_id=FORENSIC)
    context = replace(driver.context(api), where=where, planned={token: facts})
    params = OneSnapshot.model_validate({"snapshot_arn": token}, context=PLANNING)

    state = COPY.look(context, params)
    calls = COPY.forecast(params, state)

    assert [call.operation.partition(":")[2] for call in calls] == [
        "CopyDBSnapshot", "CreateGrant", "ModifyDBSnapshotAttribute", "CopyDBSnapshot",
        "ModifyDBSnapshotAttribute", "RevokeGrant",
    ]  # fmt: skip
    assert "<transfer-copy>" in calls[0].summary
    assert COPY.foresee(params, state, "copy").outputs["forensic_snapshot_arn"].startswith("<from copy.")
