"""``aws.rds.copy-snapshot-to-forensics``: a copy of an RDS snapshot that its own account cannot touch.

Rounds, each decided from a fresh look: the source is available; where RDS would not share it, it is copied
under the transfer key; the snapshot and its key are lent to the forensic account; the forensic role copies
it under its own key; the copy is read back there; what was lent is taken back.
"""

from __future__ import annotations

from typing import Final

from irrunner.actions.contract import (
    Act,
    Action,
    Broken,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    Refused,
    Settled,
    Token,
    Waiting,
    Where,
)
from irrunner.actions.ebs.keys import obstacle
from irrunner.actions.ebs.lending import GRANT, lend, return_key, take_back, transfer_key_obstacle
from irrunner.actions.rds import copy_calls as calls
from irrunner.actions.rds.copy_state import CopyState, look_at_copy
from irrunner.actions.rds.databases import API_REFERENCE, AURORA_GUIDE, USER_GUIDE
from irrunner.actions.rds.snapshots import DESCRIBE_SNAPSHOTS, SNAPSHOTS, OneSnapshot, Snapshot
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy

POLL_S: Final = 30.0
_KEYS: Final = "arn:{partition}:kms:{region}:{account}:key/*"
_ANY_KEY: Final = "arn:{partition}:kms:*:*:key/*"
_ANY_SNAPSHOT: Final = ("arn:{partition}:rds:*:*:snapshot:*", "arn:{partition}:rds:*:*:cluster-snapshot:*")
"""The forensic role works on what other accounts lend it, in their Regions too."""
_KINDS: Final = tuple(zip(("DB", "DBCluster"), SNAPSHOTS, _ANY_SNAPSHOT, strict=True))
_KEY_USE: Final = (
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:GenerateDataKey*",
    "kms:ReEncrypt*",
)


class CopySnapshotOutputs(Model):
    """Outputs: the copy, as read back in the forensic account."""

    forensic_snapshot_arn: str
    source_snapshot_arn: str
    transfer_snapshot_arn: str | None
    """The copy that stays in the source account, where one was needed."""
    encrypted: bool
    kms_key_id: str | None
    size_gib: int
    forensic_account_id: str
    region: str


@action(
    "aws.rds.copy-snapshot-to-forensics",
    title="Copy an RDS snapshot into the forensic account under its own key",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    timeout_s=7200.0,
    consistency_s=30.0,
    permissions=(
        *DESCRIBE_SNAPSHOTS,
        *(Permission(f"rds:Describe{kind}SnapshotAttributes", own) for kind, own, _ in _KINDS),
        Permission("kms:DescribeKey", _KEYS),
        Permission("kms:ListGrants", _KEYS),
        *(
            Permission(f"rds:{name}", own, use="act")
            for kind, own, _ in _KINDS
            for name in (f"Copy{kind}Snapshot", f"Modify{kind}SnapshotAttribute", "AddTagsToResource")
        ),
        *(Permission(name, _KEYS, use="act") for name in (*_KEY_USE, "kms:RevokeGrant")),
        *(Permission(f"rds:Describe{kind}Snapshots", any_, scope="forensics") for kind, _, any_ in _KINDS),
        Permission("kms:DescribeKey", _ANY_KEY, scope="forensics"),
        *(
            Permission(f"rds:{name}", any_, scope="forensics", use="act")
            for kind, _, any_ in _KINDS
            for name in (f"Copy{kind}Snapshot", "AddTagsToResource")
        ),
        *(Permission(name, _ANY_KEY, scope="forensics", use="act") for name in _KEY_USE[1:]),
        Permission(
            "kms:CreateGrant",
            _ANY_KEY,
            scope="forensics",
            use="act",
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="The copy is evidence, which undo never deletes; what was lent was taken back by the step.",
    evidence=True,
    sources=(
        f"{USER_GUIDE}/USER_ShareSnapshot.html",
        f"{USER_GUIDE}/USER_CopySnapshot.html",
        f"{AURORA_GUIDE}/aurora-copy-snapshot.html",
        f"{API_REFERENCE}/API_CopyDBSnapshot.html",
        f"{API_REFERENCE}/API_CopyDBClusterSnapshot.html",
    ),
)
class CopySnapshotToForensics(Action[OneSnapshot, CopyState]):
    """Move one snapshot's content out of reach of the account that it comes from."""

    Params = OneSnapshot
    Outputs = CopySnapshotOutputs
    StateModel = CopyState

    def look(self, ctx: LookContext, params: OneSnapshot) -> CopyState:
        """Describe the source, the keys, the loan and the copies, in both accounts."""
        return look_at_copy(ctx, params.snapshot_arn)

    def decide(self, params: OneSnapshot, state: CopyState) -> Decision:
        """Decide the next round."""
        if not state.ready:
            return Refused(_unreachable(state), code="forensics-not-configured")
        if state.elsewhere:
            return Refused(f"{params.snapshot_arn} is not of {state.account_id} {state.region}: run it there")
        if state.forensic is not None:
            return _with_copy(params, state, state.forensic)
        return _without_copy(params, state)

    def forecast(self, params: OneSnapshot, state: CopyState) -> tuple[Call, ...]:
        """Return the calls of all rounds that are left."""
        decision = self.decide(params, state)
        if isinstance(decision, Refused | Broken | Settled):
            return ()
        if state.source is None or state.forensic is not None:
            return _returns(state)
        return _rounds(state, state.source)

    def foresee(self, params: OneSnapshot, state: CopyState, step: str) -> PlannedOutputs:
        """Return what the copy will be; its ARN is a token."""
        decision = self.decide(params, state)
        if isinstance(decision, Settled):
            return PlannedOutputs(decision.outputs.model_dump(mode="json"))
        if isinstance(decision, Refused | Broken) or state.source is None:
            return PlannedOutputs({})
        outputs = _outputs(params, state, str(Token(f"from {step}.forensic_snapshot_arn")), state.source)
        transfer = str(Token(f"from {step}.transfer_snapshot_arn")) if state.needs_transfer else None
        return PlannedOutputs(outputs.model_dump(mode="json") | {"transfer_snapshot_arn": transfer})

    def targets(self, params: OneSnapshot, where: Where) -> tuple[str, ...]:
        """Return the source snapshot: its permissions change for the time of the copy."""
        return (params.snapshot_arn,)


def _unreachable(state: CopyState) -> str:
    if state.forensic_account_id is None:
        return "no forensic account: set forensics.account_id in irrunner.yaml, then run the step again"
    if state.forensic_account_id == state.account_id:
        return f"the incident is in the forensic account {state.account_id} itself: name another one"
    return (
        f"the role {state.forensic_role} of the forensic account {state.forensic_account_id} cannot be"
        " assumed: check forensics.account_id, forensics.role and the role's trust policy"
    )


def _with_copy(params: OneSnapshot, state: CopyState, copy: Snapshot) -> Decision:
    wrong = _differences(state, copy) if copy.status == "available" else []
    if wrong:
        return _end(state, Broken(f"{copy.arn}, read back: {'; '.join(wrong)}"))
    return _not_available(state, copy) or _end(
        state, Settled(_outputs(params, state, copy.arn, copy), tuple(_warnings(state, copy)))
    )


def _without_copy(params: OneSnapshot, state: CopyState) -> Decision:
    source = state.source
    if source is None and state.planned:
        return Waiting("the snapshot does not exist yet", POLL_S)
    if source is None:
        return Broken(f"{params.snapshot_arn} does not exist: deleted?", code="target-not-found")
    problem = _problem(state, source)
    if problem and not source.failed:
        return Refused(problem)
    return _not_available(state, source) or _round(state, source)


def _round(state: CopyState, source: Snapshot) -> Decision:
    lent = state.lent
    if lent is None:
        return Act((calls.transfer_copy(state, source),))
    loans = lend(state, calls.share(state, lent.snapshot_id))
    return _not_available(state, lent) or Act(
        loans or (calls.forensic_copy(state, source, lent.snapshot_id),)
    )


def _not_available(state: CopyState, snapshot: Snapshot) -> Decision | None:
    if snapshot.failed:
        return _end(
            state, Broken(f"{snapshot.arn} is {snapshot.status}; RDS events say why", "snapshot-error")
        )
    if snapshot.status != "available":
        return Waiting(f"{snapshot.arn}: {snapshot.status} {snapshot.percent}%", POLL_S)
    return None


def _problem(state: CopyState, source: Snapshot) -> str | None:
    if not source.encrypted and state.kind == "cluster":
        return None
    found = obstacle(state.forensic_key, f"the forensic key {state.forensic_key_name} (forensics.kms_key)")
    if found is None and source.encrypted:
        found = obstacle(state.source_key, f"the key of {source.snapshot_id}")
        if found is None and state.needs_transfer and (reason := transfer_key_obstacle(state)):
            found = f"RDS does not share the snapshot as it is, and {reason}"
    return found


def _returns(state: CopyState) -> tuple[Call, ...]:
    return take_back(state, calls.unshare(state, state.lent.snapshot_id) if state.lent else None)


def _end(state: CopyState, decision: Decision) -> Decision:
    """Take back what was lent before the end, good or bad."""
    back = _returns(state)
    return Act(back) if back else decision


def _rounds(state: CopyState, source: Snapshot) -> tuple[Call, ...]:
    lent = state.transfer_id if state.needs_transfer else source.snapshot_id
    copied = () if state.transfer or not state.needs_transfer else (calls.transfer_copy(state, source),)
    back = [calls.unshare(state, lent)]
    if state.lent_key is not None:
        back.append(return_key(state.lent_key, state.grant_id or GRANT))
    loans = lend(state, calls.share(state, lent))
    return (*copied, *loans, calls.forensic_copy(state, source, lent), *back)


def _differences(state: CopyState, copy: Snapshot) -> list[str]:
    key = state.forensic_key.arn if state.forensic_key and state.encrypts else copy.kms_key_id
    source = state.source or copy
    checks = (
        ("owner", copy.account_id, state.forensic_account_id),
        ("encrypted", copy.encrypted, state.encrypts if state.source else copy.encrypted),
        ("key", copy.kms_key_id, key),
        ("engine", copy.engine, source.engine),
        ("size in GiB", copy.size_gib, source.size_gib),
    )
    return [f"{name} is {found}, not {wanted}" for name, found, wanted in checks if found != wanted]


def _warnings(state: CopyState, copy: Snapshot) -> list[str]:
    told = (
        (state.source is None, "the source is gone: the copy's size could not be compared"),
        (
            state.transfer is not None,
            f"{state.transfer_id}, the copy that RDS could share, stays in the account",
        ),
        (
            not copy.encrypted,
            (
                f"{copy.snapshot_id} is not encrypted, as its source: RDS encrypts no copy of an unencrypted"
                " cluster snapshot; restore it into a cluster with a key to have one"
            ),
        ),
    )
    return [text for holds, text in told if holds]


def _outputs(params: OneSnapshot, state: CopyState, arn: str, seen: Snapshot) -> CopySnapshotOutputs:
    foreseen = state.forensic_key.arn if state.forensic_key and state.encrypts else None
    copy = state.forensic
    return CopySnapshotOutputs(
        forensic_snapshot_arn=arn,
        source_snapshot_arn=params.snapshot_arn,
        transfer_snapshot_arn=state.transfer.arn if state.transfer else None,
        encrypted=copy.encrypted if copy else state.encrypts,
        kms_key_id=copy.kms_key_id if copy else foreseen,
        size_gib=seen.size_gib,
        forensic_account_id=str(state.forensic_account_id),
        region=state.region,
    )
