"""``aws.rds.make-private``: take a DB instance's public address away."""

from __future__ import annotations

from typing import Any

from irrunner.actions.contract import Call, Decision, LookContext, Model, Permission, Where
from irrunner.actions.ids import DbInstanceId
from irrunner.actions.rds.databases import (
    API_REFERENCE,
    INSTANCES,
    USER_GUIDE,
    describe_instance,
    not_now,
)
from irrunner.actions.registry import action
from irrunner.actions.setting import SetValue, ValueState
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class OneInstance(Model):
    """Parameters: a DB instance, which may be of an Aurora cluster."""

    db_instance_id: DbInstanceId


class MakePrivateState(ValueState):
    """Whether the instance is publicly accessible."""

    db_instance_id: str
    status: str
    cluster_id: str


class MakePrivateOutputs(Model):
    """Outputs."""

    db_instance_id: str
    publicly_accessible: bool


@action(
    "aws.rds.make-private",
    title="Take the public address of a DB instance away",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=1800.0,
    consistency_s=300.0,
    permissions=(
        Permission("rds:DescribeDBInstances", INSTANCES),
        Permission("rds:ModifyDBInstance", INSTANCES, use="act"),
        Permission("rds:ModifyDBInstance", INSTANCES, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Makes it publicly accessible again, if it was; it gets another public address.",
    sources=(
        f"{USER_GUIDE}/USER_VPC.WorkingWithRDSInstanceinaVPC.html",
        f"{API_REFERENCE}/API_ModifyDBInstance.html",
    ),
)
class MakePrivate(SetValue[OneInstance, MakePrivateState]):
    """Set ``PubliclyAccessible`` to false, and wait until RDS has done it."""

    Params = OneInstance
    Outputs = MakePrivateOutputs
    StateModel = MakePrivateState

    def look(self, ctx: LookContext, params: OneInstance) -> MakePrivateState:
        """Read the instance."""
        raw = describe_instance(ctx, params.db_instance_id)
        return MakePrivateState(
            target=raw["DBInstanceArn"],
            value=bool(raw.get("PubliclyAccessible")),
            db_instance_id=params.db_instance_id,
            status=raw.get("DBInstanceStatus") or "",
            cluster_id=raw.get("DBClusterIdentifier") or "",
        )

    def decide(self, params: OneInstance, state: MakePrivateState) -> Decision:
        """Wait while RDS is at it, or is busy with something else; a private instance needs no state."""
        if state.value and (later := not_now(state.db_instance_id, state.status)):
            return later
        return super().decide(params, state)

    def wanted(self, params: OneInstance, state: MakePrivateState) -> bool:
        """Return false."""
        return False

    def write(self, params: OneInstance, state: MakePrivateState, value: Any) -> tuple[Call, ...]:
        """Set the flag."""
        return (
            Call(
                "rds:ModifyDBInstance",
                {
                    "DBInstanceIdentifier": state.db_instance_id,
                    "PubliclyAccessible": value,
                    "ApplyImmediately": True,
                },
                target=state.target,
                summary=f"Make {state.db_instance_id} {'publicly accessible' if value else 'private'}",
                before=state.value,
                after=value,
            ),
        )

    def outputs(self, params: OneInstance, state: MakePrivateState) -> MakePrivateOutputs:
        """Return the flag."""
        return MakePrivateOutputs(db_instance_id=state.db_instance_id, publicly_accessible=bool(state.value))

    def warnings(self, params: OneInstance, state: MakePrivateState) -> tuple[str, ...]:
        """Return what stays open."""
        inside = (
            f"whoever is in the VPC, or in a network that reaches it, still reaches {state.db_instance_id}"
        )
        if not state.cluster_id:
            return (inside,)
        return (inside, f"other instances of {state.cluster_id} have flags of their own")

    def targets(self, params: OneInstance, where: Where) -> tuple[str, ...]:
        """Return the instance."""
        return (f"arn:{where.partition}:rds:{where.region}:{where.account_id}:db:{params.db_instance_id}",)
