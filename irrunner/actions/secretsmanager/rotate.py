"""``aws.secretsmanager.rotate-secret``: let a secret that was read be changed by its own rotation.

The secret's value is never read. The new version has an id of our making, so that it is found again.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

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
from irrunner.actions.ids import SecretName
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, Settle, UndoPolicy

CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"
WARNINGS: Final = (
    (
        "where the rotation alternates between two users, the value that was read stays valid until the"
        " next rotation: rotate a second time, or change that user's password"
    ),
    "who may still read the secret reads the new value too: contain that principal first",
)
_NAMESPACE: Final = uuid.UUID("6f1f8a52-5f0b-5e43-9a57-8b7f6d2b7c11")
_SECRETS: Final = "arn:{partition}:secretsmanager:{region}:{account}:secret:*"
_FUNCTIONS: Final = "arn:{partition}:lambda:{region}:{account}:function:*"
"""Secrets Manager asks whether its caller may invoke the rotation function, whose name a look tells only.

Source: Secrets Manager API reference, RotateSecret: "You also need lambda:InvokeFunction permissions".
"""


class RotateSecretParams(Model):
    """Parameters of ``aws.secretsmanager.rotate-secret``."""

    secret_id: SecretName
    """Name or ARN."""


class RotateSecretState(State):
    """What the secret is like, without its value."""

    secret_arn: str
    version_id: str
    """Of the version that our rotation makes."""
    stages: dict[str, str]
    """Label to version: which is current, pending, previous."""
    rotation_enabled: bool
    rotated_by: str
    """ARN of the function, or the service that manages the secret; empty: nothing rotates it."""
    primary_region: str
    region: str
    deleted: bool
    replicas: tuple[str, ...] = ()

    def footprint(self) -> dict[str, str]:
        """Return which version is current."""
        return {self.secret_arn: self.stages.get(CURRENT, "")}


class RotateSecretOutputs(Model):
    """Outputs of ``aws.secretsmanager.rotate-secret``."""

    secret_arn: str
    version_id: str
    previous_version_id: str
    """Of the value that was read: kept by Secrets Manager, and perhaps still valid where it is used."""
    rotated_by: str
    replica_regions: list[str]


@action(
    "aws.secretsmanager.rotate-secret",
    title="Rotate a secret by its rotation function",
    phase=Phase.ERADICATION,
    risk=Risk.DISRUPTIVE,
    permissions=(
        Permission("secretsmanager:DescribeSecret", _SECRETS),
        Permission("secretsmanager:RotateSecret", _SECRETS, use="act"),
        Permission("lambda:InvokeFunction", _FUNCTIONS, use="act"),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="The value of before is known to an intruder, and must not come back; rotate again if need be.",
    timeout_s=900.0,
    settle=Settle.TOKEN,
    sources=(
        "https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html",
        "https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html",
        "https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotating-secrets.html",
    ),
)
class RotateSecret(Action[RotateSecretParams, RotateSecretState]):
    """Start the rotation, and wait until our version is current."""

    Params = RotateSecretParams
    Outputs = RotateSecretOutputs
    StateModel = RotateSecretState

    def look(self, ctx: LookContext, params: RotateSecretParams) -> RotateSecretState:
        """Describe the secret: labels, rotation, replicas; never its value."""
        found = ctx.api.call("secretsmanager:DescribeSecret", SecretId=params.secret_id)
        return RotateSecretState(
            secret_arn=found["ARN"],
            version_id=str(uuid.uuid5(_NAMESPACE, f"{ctx.marker} {found['ARN']}")),
            stages=_stages(found.get("VersionIdsToStages") or {}),
            rotation_enabled=bool(found.get("RotationEnabled")),
            rotated_by=str(found.get("RotationLambdaARN") or found.get("OwningService") or ""),
            primary_region=str(found.get("PrimaryRegion") or ctx.where.region),
            region=ctx.where.region,
            deleted=found.get("DeletedDate") is not None,
            replicas=tuple(sorted(item["Region"] for item in found.get("ReplicationStatus") or [])),
        )

    def decide(self, params: RotateSecretParams, state: RotateSecretState) -> Decision:
        """Start the rotation unless ours has begun; it has ended once our version is current."""
        if state.version_id in {state.stages.get(CURRENT), state.stages.get(PREVIOUS)}:
            return Settled(_outputs(state, state.stages.get(PREVIOUS, "")), WARNINGS)
        refusal = _refusal(state)
        if refusal:
            return Refused(refusal)
        if state.stages.get(PENDING) == state.version_id:
            return Waiting(f"{state.rotated_by} is rotating the secret; its log says what holds it up", 5.0)
        return Act((_rotate(state),))

    def foresee(self, params: RotateSecretParams, state: RotateSecretState, step: str) -> PlannedOutputs:
        """Return the outputs: the new version's id is ours."""
        if _refusal(state):
            return PlannedOutputs({})
        settled = state.stages.get(CURRENT) == state.version_id
        previous = state.stages.get(PREVIOUS if settled else CURRENT, "")
        return PlannedOutputs(_outputs(state, previous).model_dump(mode="json"))

    def targets(self, params: RotateSecretParams, where: Where) -> tuple[str, ...]:
        """Return the secret."""
        if params.secret_id.startswith("arn:"):
            return (params.secret_id,)
        place = f"arn:{where.partition}:secretsmanager:{where.region}:{where.account_id}"
        return (f"{place}:secret:{params.secret_id}",)


def _stages(versions: Mapping[str, Any]) -> dict[str, str]:
    """Return label to version; a pending label on the current version is the end of a rotation."""
    labels = {label: version for version, labels in versions.items() for label in labels}
    known = {label: labels[label] for label in (CURRENT, PENDING, PREVIOUS) if label in labels}
    if known.get(PENDING) == known.get(CURRENT):
        known.pop(PENDING, None)
    return known


def _refusal(state: RotateSecretState) -> str | None:
    arn, pending = state.secret_arn, state.stages.get(PENDING)
    if state.deleted:
        return f"{arn} is scheduled for deletion: what it opened must be changed where it is used"
    if state.primary_region != state.region:
        return f"{arn} is a replica: rotate it in its primary Region, {state.primary_region}"
    if not state.rotated_by or not state.rotation_enabled:
        return (
            f"no rotation is switched on for {arn}: change the credentials where they are used, then put the"
            " new value (secretsmanager:PutSecretValue); or configure a rotation function first"
        )
    if pending and pending != state.version_id:
        return (
            f"another rotation of {arn} is under way, or has failed half-way: version {pending} is pending;"
            " read the log of the rotation function, and take the label AWSPENDING from it"
        )
    return None


def _rotate(state: RotateSecretState) -> Call:
    return Call(
        operation="secretsmanager:RotateSecret",
        params={"SecretId": state.secret_arn, "ClientRequestToken": state.version_id},
        target=state.secret_arn,
        summary=f"Rotate {state.secret_arn}",
        before={"version": state.stages.get(CURRENT, "")},
        after={"version": state.version_id},
        reversible=False,
    )


def _outputs(state: RotateSecretState, previous: str) -> RotateSecretOutputs:
    return RotateSecretOutputs(
        secret_arn=state.secret_arn,
        version_id=state.version_id,
        previous_version_id=previous,
        rotated_by=state.rotated_by,
        replica_regions=list(state.replicas),
    )
