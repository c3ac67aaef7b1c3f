"""``aws.rds.rotate-master-password``: a new master password, which nobody here ever sees.

Secrets Manager makes it: RDS is asked to hand the password over to it, or to rotate the one that is there.
A password that was made after ``since`` counts as rotated, so that a repetition rotates nothing twice.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import AwareDatetime

from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    Refused,
    Settled,
    State,
    Waiting,
    Where,
)
from irrunner.actions.ids import KmsKeyArn
from irrunner.actions.rds.databases import (
    API_REFERENCE,
    AURORA_GUIDE,
    CLUSTERS,
    DESCRIBE,
    INSTANCES,
    POLL_S,
    USER_GUIDE,
    Database,
    OneDatabase,
    find_database,
    not_now,
    targets_of,
)
from irrunner.actions.registry import action
from irrunner.clock import iso
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

_SECRETS = "arn:{partition}:secretsmanager:{region}:{account}:secret:rds!*"
_KEYS = "arn:{partition}:kms:{region}:{account}:key/*"
_BY_SECRETS_MANAGER = {"StringLike": {"kms:ViaService": "secretsmanager.*"}}


class RotateMasterPasswordParams(OneDatabase):
    """Parameters."""

    since: AwareDatetime
    """When the password may have been known to the attacker: one that is newer is not rotated again."""
    kms_key_arn: KmsKeyArn | None = None
    """For a new secret; default: the account's key aws/secretsmanager."""


class RotateMasterPasswordState(State):
    """The database, and when its password was made."""

    database: Database
    replica: bool
    """A read replica has the password of its source."""
    changed_at: str
    """Empty: not known, for Secrets Manager does not manage it."""
    current: bool
    """It is newer than ``since``."""
    ahead: bool
    """``since`` is in the future: no password could be new enough, and each look would rotate again."""


class RotateMasterPasswordOutputs(Model):
    """Outputs. The secret's value is for the application to read."""

    db_arn: str
    secret_arn: str
    changed_at: str


@action(
    "aws.rds.rotate-master-password",
    title="Rotate a database's master password by Secrets Manager",
    phase=Phase.CONTAINMENT,
    risk=Risk.DESTRUCTIVE,
    timeout_s=3600.0,
    consistency_s=120.0,
    permissions=(
        *DESCRIBE,
        Permission("secretsmanager:DescribeSecret", _SECRETS),
        Permission("rds:ModifyDBInstance", INSTANCES, use="act"),
        Permission("rds:ModifyDBCluster", CLUSTERS, use="act"),
        *(
            Permission(f"secretsmanager:{operation}", _SECRETS, use="act")
            for operation in ("CreateSecret", "TagResource", "RotateSecret")
        ),
        Permission("kms:DescribeKey", _KEYS, use="act"),
        *(
            Permission(f"kms:{operation}", _KEYS, use="act", conditions=_BY_SECRETS_MANAGER)
            for operation in ("CreateGrant", "Decrypt", "GenerateDataKey")
        ),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="The old password is the one that leaked; nobody keeps it, and it is not to come back.",
    sources=(
        f"{USER_GUIDE}/rds-secrets-manager.html",
        f"{AURORA_GUIDE}/rds-secrets-manager.html",
        f"{API_REFERENCE}/API_ModifyDBInstance.html",
        f"{API_REFERENCE}/API_MasterUserSecret.html",
    ),
)
class RotateMasterPassword(Action[RotateMasterPasswordParams, RotateMasterPasswordState]):
    """Let RDS and Secrets Manager make the password; wait until it is in force."""

    Params = RotateMasterPasswordParams
    Outputs = RotateMasterPasswordOutputs
    StateModel = RotateMasterPasswordState

    def look(self, ctx: LookContext, params: RotateMasterPasswordParams) -> RotateMasterPasswordState:
        """Read the database and its secret's dates."""
        database = find_database(ctx, params)
        changed = _changed_at(ctx, database.secret_arn) if database.secret_arn else None
        return RotateMasterPasswordState(
            database=database,
            replica=_is_replica(ctx, database),
            changed_at=iso(changed) if changed else "",
            current=changed is not None and changed > params.since,
            ahead=params.since > ctx.now,
        )

    def decide(self, params: RotateMasterPasswordParams, state: RotateMasterPasswordState) -> Decision:
        """Hand the password over, or rotate it, unless it is new."""
        database = state.database
        if state.current and database.rotation == "active":
            return Settled(_outputs(state), _warnings(state))
        if state.ahead:
            return Refused("since is in the future: give the time from which the password may be known")
        if state.replica:
            return Refused(f"{database.db_id} is a read replica: rotate the password of its source")
        if database.rotation in {"creating", "rotating"} or state.current:
            return Waiting(f"the secret of {database.db_id} is {database.rotation}", POLL_S)
        if database.rotation == "impaired":
            return Refused(
                f"the secret {database.secret_arn} is impaired: give RDS its permissions on secret and KMS"
                " key back, then run again"
            )
        return not_now(database.db_id, database.status) or Act((_rotate(params, state),))

    def foresee(
        self, params: RotateMasterPasswordParams, state: RotateMasterPasswordState, step: str
    ) -> PlannedOutputs:
        """Return the outputs; what is made is a token."""
        decision = self.decide(params, state)
        if isinstance(decision, Refused):
            return PlannedOutputs({})
        outputs = _outputs(state).model_dump(mode="json")
        if not isinstance(decision, Settled):
            outputs["changed_at"] = f"<from {step}.changed_at>"
            outputs["secret_arn"] = outputs["secret_arn"] or f"<from {step}.secret_arn>"
        return PlannedOutputs(outputs)

    def targets(self, params: RotateMasterPasswordParams, where: Where) -> tuple[str, ...]:
        """Return the database."""
        return targets_of(params, where)


def _changed_at(ctx: LookContext, secret_arn: str) -> datetime | None:
    """Return when the secret's value was made; dates only, never the value."""
    try:
        answer = ctx.api.call("secretsmanager:DescribeSecret", SecretId=secret_arn)
    except TargetNotFound:
        return None
    dates = [answer.get(name) for name in ("LastRotatedDate", "CreatedDate")]
    return max((date for date in dates if isinstance(date, datetime)), default=None)


def _is_replica(ctx: LookContext, database: Database) -> bool:
    if database.kind == "cluster":
        return False
    answer = ctx.api.call("rds:DescribeDBInstances", **database.named)
    return bool(answer["DBInstances"][0].get("ReadReplicaSourceDBInstanceIdentifier"))


def _rotate(params: RotateMasterPasswordParams, state: RotateMasterPasswordState) -> Call:
    database = state.database
    if database.secret_arn:
        change: dict[str, Any] = {"RotateMasterUserPassword": True}
        summary = f"Rotate the managed master password of {database.db_id}"
    else:
        change = {"ManageMasterUserPassword": True}
        if params.kms_key_arn:
            change["MasterUserSecretKmsKeyId"] = params.kms_key_arn
        summary = f"Let Secrets Manager make and keep the master password of {database.db_id}"
    return Call(
        database.modify,
        {**database.named, **change, "ApplyImmediately": True},
        target=database.arn,
        summary=summary,
        before={"changed_at": state.changed_at or None},
        reversible=False,
    )


def _outputs(state: RotateMasterPasswordState) -> RotateMasterPasswordOutputs:
    return RotateMasterPasswordOutputs(
        db_arn=state.database.arn, secret_arn=state.database.secret_arn or "", changed_at=state.changed_at
    )


def _warnings(state: RotateMasterPasswordState) -> tuple[str, ...]:
    return (
        f"applications that use the master user need the new password, from {state.database.secret_arn}",
        "sessions that are open, other database users and IAM authentication are as they were",
    )
