"""``aws.ebs.copy-to-forensics``: a copy of a snapshot that its own account can no longer touch.

Rounds, each decided from a fresh look: the source is completed; where it is under the default key, it is
copied to the transfer key; the snapshot and its key are lent to the forensic account; the forensic role
copies it under its own key; the copy is read back there; what was lent is taken back.
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
)  # fmt: skip
from irrunner.actions.ebs import copy_calls as calls
from irrunner.actions.ebs.copy_state import CopyPlace, CopyState, look_at_copy
from irrunner.actions.ebs.keys import Route, obstacle
from irrunner.actions.ebs.lending import GRANT, Id, lend, return_key, take_back, transfer_key_obstacle
from irrunner.actions.ebs.snapshots import Snapshot
from irrunner.actions.ids import SnapshotId
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy

CONCURRENT_COPIES: Final = 20
"""Per destination Region.

Source: Amazon EBS user guide, "Copy an Amazon EBS snapshot".
"""
KEY_TRIES: Final = 2
"""Copies that may fail for their key: KMS grants are eventually consistent, a second try finds them.

Source: AWS KMS developer guide, "Grants in AWS KMS", eventual consistency.
"""
POLL_S: Final = 20.0

_SNAPSHOTS: Final = "arn:{partition}:ec2:{region}::snapshot/*"
_KEYS: Final = "arn:{partition}:kms:{region}:{account}:key/*"
_ANY_SNAPSHOT: Final = "arn:{partition}:ec2:*::snapshot/*"
_ANY_KEY: Final = "arn:{partition}:kms:*:*:key/*"
"""The forensic role works on what other accounts lend it, in their Regions too."""
_COPY_KEY_USE: Final = (
    "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey*", "kms:ReEncrypt*"
)  # fmt: skip


class CopyToForensicsParams(Model):
    """Parameters of ``aws.ebs.copy-to-forensics``."""

    snapshot_id: SnapshotId


class CopyToForensicsOutputs(Model):
    """Outputs of ``aws.ebs.copy-to-forensics``: the copy, as read back in the forensic account."""

    forensic_snapshot_id: str
    source_snapshot_id: str
    transfer_snapshot_id: str | None
    """The copy under the transfer key that stays in the source account, where one was needed."""
    kms_key_id: str
    size_gib: int
    forensic_account_id: str
    forensic_region: str


@action(
    "aws.ebs.copy-to-forensics",
    title="Copy a snapshot into the forensic account under its own key",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    permissions=(
        Permission("ec2:DescribeSnapshots"),
        Permission("ec2:DescribeSnapshotAttribute", _SNAPSHOTS),
        Permission("kms:DescribeKey", _KEYS),
        Permission("kms:ListGrants", _KEYS),
        Permission("ec2:CopySnapshot", _SNAPSHOTS, use="act"),
        Permission(
            "ec2:CreateTags",
            _SNAPSHOTS,
            use="act",
            conditions={"StringEquals": {"ec2:CreateAction": "CopySnapshot"}},
        ),
        Permission("ec2:ModifySnapshotAttribute", _SNAPSHOTS, use="act"),
        *(Permission(name, _KEYS, use="act") for name in (*_COPY_KEY_USE, "kms:RevokeGrant")),
        Permission("ec2:DescribeSnapshots", scope="forensics"),
        Permission("kms:DescribeKey", _ANY_KEY, scope="forensics"),
        Permission("ec2:CopySnapshot", _ANY_SNAPSHOT, scope="forensics", use="act"),
        Permission(
            "ec2:CreateTags",
            _ANY_SNAPSHOT,
            scope="forensics",
            use="act",
            conditions={"StringEquals": {"ec2:CreateAction": "CopySnapshot"}},
        ),
        *(Permission(name, _ANY_KEY, scope="forensics", use="act") for name in _COPY_KEY_USE[1:]),
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
    timeout_s=7200.0,
    consistency_s=30.0,
    evidence=True,
    sources=(
        "https://docs.aws.amazon.com/ebs/latest/userguide/ebs-copy-snapshot.html",
        "https://docs.aws.amazon.com/ebs/latest/userguide/ebs-modifying-snapshot-permissions.html",
        "https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html",
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopySnapshot.html",
    ),
)
class CopyToForensics(Action[CopyToForensicsParams, CopyState]):
    """Move one snapshot's content out of reach of the account that it comes from."""

    Params = CopyToForensicsParams
    Outputs = CopyToForensicsOutputs
    StateModel = CopyState

    def look(self, ctx: LookContext, params: CopyToForensicsParams) -> CopyState:
        """Describe the source, the keys, the loan and the copy, in both accounts."""
        return look_at_copy(ctx, params.snapshot_id)

    def decide(self, params: CopyToForensicsParams, state: CopyState) -> Decision:
        """Decide the next round."""
        if not state.ready:
            return Refused(unreachable(state), code="forensics-not-configured")
        if state.copy_made is not None:
            return _with_copy(params, state, state.copy_made)
        return _without_copy(params, state)

    def forecast(self, params: CopyToForensicsParams, state: CopyState) -> tuple[Call, ...]:
        """Return the calls of all rounds that are left."""
        decision = self.decide(params, state)
        if isinstance(decision, Refused | Broken | Settled):
            return ()
        if state.source is None or state.copy_made is not None:
            return _returns(state)
        return _rounds(state, state.source)

    def foresee(self, params: CopyToForensicsParams, state: CopyState, step: str) -> PlannedOutputs:
        """Return what the copy will be; its id is a token."""
        decision = self.decide(params, state)
        if isinstance(decision, Settled):
            return PlannedOutputs(decision.outputs.model_dump(mode="json"))
        if isinstance(decision, Refused | Broken) or state.source is None or state.forensic_key is None:
            return PlannedOutputs({})
        transfer = str(Token(f"from {step}.transfer_snapshot_id")) if state.route is Route.TRANSFER else None
        outputs = _outputs(params, state, str(Token(f"from {step}.forensic_snapshot_id")))
        return PlannedOutputs(outputs.model_dump(mode="json") | {"transfer_snapshot_id": transfer})

    def targets(self, params: CopyToForensicsParams, where: Where) -> tuple[str, ...]:
        """Return the source snapshot: its permissions change for the time of the copy."""
        return (f"arn:{where.partition}:ec2:{where.region}::snapshot/{params.snapshot_id}",)


def unreachable(state: CopyPlace) -> str:
    """Return why nothing can be copied to a forensic account, and what to set."""
    if state.forensic_account_id is None:
        return "no forensic account: set forensics.account_id in irrunner.yaml, then run the step again"
    if state.forensic_account_id == state.account_id:
        return (
            f"the incident is in the forensic account {state.account_id} itself: a copy there would not be"
            " out of reach; name another account in forensics.account_id"
        )
    return (
        f"the role {state.forensic_role} of the forensic account {state.forensic_account_id} cannot be"
        " assumed: check forensics.account_id, forensics.role and the role's trust policy"
    )


def _with_copy(params: CopyToForensicsParams, state: CopyState, copy: Snapshot) -> Decision:
    if copy.state != "completed":
        return Waiting(f"{copy.snapshot_id} in {state.forensic_account_id}: {_progress(copy)}", POLL_S)
    wrong = _differences(state, copy)
    if wrong:
        return _end(state, Broken(f"{copy.snapshot_id}, read back: {'; '.join(wrong)}"))
    warnings = (
        [] if state.source else [f"{params.snapshot_id} is gone: the copy's size could not be compared"]
    )
    if state.transfer is not None:
        warnings.append(
            f"{state.transfer.snapshot_id}, the copy under the transfer key, stays in the account"
        )
    return _end(state, Settled(_outputs(params, state, copy.snapshot_id, copy), tuple(warnings)))


def _without_copy(params: CopyToForensicsParams, state: CopyState) -> Decision:
    source = state.source
    if source is None:
        return Broken(f"{params.snapshot_id} does not exist: deleted?", code="target-not-found")
    if source.state == "error":
        return Broken(source.trouble, code="snapshot-error")
    problem = _problem(state, source)
    if problem:
        return Refused(problem)
    if _given_up(state):
        return _end(state, Broken(state.copies[-1].trouble, code="snapshot-error"))
    if source.state != "completed":
        return Waiting(f"{source.snapshot_id}: {_progress(source)}", POLL_S)
    return _transfer_round(state, source) or _loan_round(state) or _copy_round(state, source)


def _given_up(state: CopyState) -> bool:
    """Return whether copies failed for good: only a key that KMS did not know yet is worth a second try."""
    if not state.copies:
        return False
    about_key = "key" in state.copies[-1].state_message.lower()
    return state.lent_key is None or not about_key or len(state.copies) >= KEY_TRIES


def _problem(state: CopyState, source: Snapshot) -> str | None:
    if source.owner_id != state.account_id:
        return f"{source.snapshot_id} belongs to {source.owner_id}: copy it from there"
    if source.tier == "archive":
        return f"{source.snapshot_id} is archived: restore its tier (ec2:RestoreSnapshotTier) and run again"
    found = obstacle(state.forensic_key, f"the forensic key {state.forensic_key_name} (forensics.kms_key)")
    if found is None and source.encrypted:
        found = obstacle(state.source_key, f"the key of {source.snapshot_id}")
    if found is None and state.route is Route.TRANSFER:
        found = transfer_obstacle(state)
    return found


def transfer_obstacle(state: CopyPlace) -> str | None:
    """Return why the transfer key cannot be used for a snapshot under the default key, or None."""
    found = transfer_key_obstacle(state)
    if found is None:
        return None
    return f"the snapshot is under the default key aws/ebs, which cannot be shared, and {found}"


def _transfer_round(state: CopyState, source: Snapshot) -> Decision | None:
    if state.route is not Route.TRANSFER:
        return None
    if state.transfer is not None:
        done = state.transfer.state == "completed"
        return None if done else Waiting(f"transfer copy: {_progress(state.transfer)}", POLL_S)
    if state.transfers:
        return Broken(state.transfers[-1].trouble, code="snapshot-error")
    if state.transfers_in_progress >= CONCURRENT_COPIES:
        return _full(state.transfers_in_progress, state.account_id, state.region)
    return Act((calls.transfer_copy(state, source),))


def _loan_round(state: CopyState) -> Decision | None:
    lent = state.lent
    loan = lend(state, calls.share(state, lent.snapshot_id)) if lent is not None else ()
    return Act(loan) if loan else None


def _copy_round(state: CopyState, source: Snapshot) -> Decision:
    if state.copies_in_progress >= CONCURRENT_COPIES:
        return _full(state.copies_in_progress, str(state.forensic_account_id), state.forensic_region)
    lent = state.lent or source
    return Act((calls.forensic_copy(state, source, lent.snapshot_id),))


def _full(count: int, account_id: str, region: str) -> Waiting:
    return Waiting(
        f"{count} snapshots in progress in {account_id} {region}: waiting for a free place", POLL_S
    )


def _returns(state: CopyState) -> tuple[Call, ...]:
    return take_back(state, calls.unshare(state, state.lent.snapshot_id) if state.lent else None)


def _end(state: CopyState, decision: Decision) -> Decision:
    """Take back what was lent before the end, good or bad."""
    back = _returns(state)
    return Act(back) if back else decision


def _rounds(state: CopyState, source: Snapshot) -> tuple[Call, ...]:
    planned: list[Call] = []
    lent: Id = source.snapshot_id
    if state.route is Route.TRANSFER:
        lent = state.transfer.snapshot_id if state.transfer else calls.TRANSFER_COPY
        planned += [] if state.transfer else [calls.transfer_copy(state, source)]
    planned += lend(state, calls.share(state, lent))
    planned += [calls.forensic_copy(state, source, lent), calls.unshare(state, lent)]
    if state.lent_key is not None:
        planned.append(return_key(state.lent_key, state.grant_id or GRANT))
    return tuple(planned)


def _differences(state: CopyState, copy: Snapshot) -> list[str]:
    key = state.forensic_key.arn if state.forensic_key else state.forensic_key_name
    size = state.source.size_gib if state.source else copy.size_gib
    checks = (
        ("owner", copy.owner_id, state.forensic_account_id),
        ("encrypted", copy.encrypted, True),
        ("key", copy.kms_key_id, key),
        ("size in GiB", copy.size_gib, size),
    )
    return [f"{name} is {found}, not {wanted}" for name, found, wanted in checks if found != wanted]


def _outputs(
    params: CopyToForensicsParams, state: CopyState, copy_id: str, copy: Snapshot | None = None
) -> CopyToForensicsOutputs:
    seen = copy or state.source
    return CopyToForensicsOutputs(
        forensic_snapshot_id=copy_id,
        source_snapshot_id=params.snapshot_id,
        transfer_snapshot_id=state.transfer.snapshot_id if state.transfer else None,
        kms_key_id=state.forensic_key.arn if state.forensic_key else state.forensic_key_name,
        size_gib=seen.size_gib if seen is not None else 0,
        forensic_account_id=str(state.forensic_account_id),
        forensic_region=state.forensic_region,
    )


def _progress(snapshot: Snapshot) -> str:
    return f"{snapshot.state} {snapshot.progress}".strip()
