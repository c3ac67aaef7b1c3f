"""``aws.rds.isolate-database``: replace a database's security groups by one that lets nothing through."""

from __future__ import annotations

from typing import Any

from irrunner.actions.contract import (
    Act,
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
from irrunner.actions.ec2.groups import (
    CHANGE_GROUPS,
    DESCRIBE_GROUPS,
    VpcGroups,
    Wanted,
    look_at_groups,
    want_quarantine,
)
from irrunner.actions.rds.databases import (
    API_REFERENCE,
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
from irrunner.actions.setting import SetValue, ValueState
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

_SUBNET_GROUPS = "arn:{partition}:rds:{region}:{account}:subgrp:*"


class IsolateDatabaseState(ValueState):
    """The database and the quarantine group of its VPC; the value is its groups."""

    database: Database
    groups: VpcGroups


class IsolateDatabaseOutputs(Model):
    """Outputs."""

    db_arn: str
    """Of the DB instance, or of the DB cluster that it is of."""
    kind: str
    vpc_id: str
    quarantine_group_id: str


@action(
    "aws.rds.isolate-database",
    title="Cut a database off the network: its security groups replaced by one without rules",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=1800.0,
    consistency_s=60.0,
    permissions=(
        *DESCRIBE,
        Permission("rds:DescribeDBSubnetGroups", _SUBNET_GROUPS),
        *DESCRIBE_GROUPS,
        *(permission for permission in CHANGE_GROUPS if "Authorize" not in permission.action),
        *(
            Permission(f"rds:Modify{name}", resource, use=use)
            for use in ("act", "undo")
            for name, resource in (("DBInstance", INSTANCES), ("DBCluster", CLUSTERS))
        ),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Puts the groups back that it had; the quarantine group stays for reuse.",
    sources=(
        f"{USER_GUIDE}/Overview.RDSSecurityGroups.html",
        f"{API_REFERENCE}/API_ModifyDBInstance.html",
        f"{API_REFERENCE}/API_ModifyDBCluster.html",
    ),
)
class IsolateDatabase(SetValue[OneDatabase, IsolateDatabaseState]):
    """Move the instance, or the whole cluster, and read rules and groups back."""

    Params = OneDatabase
    Outputs = IsolateDatabaseOutputs
    StateModel = IsolateDatabaseState

    def look(self, ctx: LookContext, params: OneDatabase) -> IsolateDatabaseState:
        """Read the database, its VPC, and the quarantine group there with its rules."""
        database = find_database(ctx, params)
        vpc_id = database.vpc_id or _vpc_of(ctx, database.subnet_group)
        found = look_at_groups(ctx.api, [vpc_id] if vpc_id else [])
        return IsolateDatabaseState(
            target=database.arn,
            value=list(database.group_ids),
            database=database,
            groups=found[0] if found else VpcGroups(vpc_id=vpc_id),
        )

    def decide(self, params: OneDatabase, state: IsolateDatabaseState) -> Decision:
        """Make the group right, move the database, wait until RDS has done it."""
        database, group = state.database, state.groups.quarantine
        if refusal := self.refusal(params, state):
            return refusal
        apart = state.value != self.wanted(params, state)
        if apart and (later := not_now(database.db_id, database.status)):
            return later
        calls = self.write(params, state, self.wanted(params, state)) if apart else _group(state).calls
        if calls:
            return Act(calls)
        if not database.groups_settled or isinstance(not_now(database.db_id, database.status), Waiting):
            return Waiting(f"RDS is changing the groups of {database.db_id}", POLL_S)
        if group is not None and group.unlisted:
            return Waiting("AWS does not yet list the rules of the quarantine group", 1.0)
        return Settled(self.outputs(params, state), self.warnings(params, state))

    def wanted(self, params: OneDatabase, state: IsolateDatabaseState) -> list[str]:
        """Return the quarantine group alone; its token, where it is not made yet."""
        return [str(_group(state).ref)]

    def write(self, params: OneDatabase, state: IsolateDatabaseState, value: Any) -> tuple[Call, ...]:
        """Make the quarantine group and move into it, or go back to given groups."""
        wanted = _group(state)
        if value == [str(wanted.ref)]:
            return (*wanted.calls, _move(state, [wanted.ref], f"Cut {state.database.db_id} off"))
        return (_move(state, list(value), f"Put {state.database.db_id} back"),)

    def foresee(self, params: OneDatabase, state: IsolateDatabaseState, step: str) -> PlannedOutputs:
        """Return the outputs, with a token for a group that is not made yet."""
        if isinstance(self.decide(params, state), Refused):
            return PlannedOutputs({})
        outputs = self.outputs(params, state).model_dump(mode="json")
        if state.groups.quarantine is None:
            outputs["quarantine_group_id"] = f"<from {step}.quarantine_group_id>"
        return PlannedOutputs(outputs)

    def refusal(self, params: OneDatabase, state: IsolateDatabaseState) -> Refused | None:
        """Refuse a database outside a VPC."""
        if state.groups.vpc_id:
            return None
        return Refused(f"{state.database.db_id} is in no VPC that RDS names: it has no groups to replace")

    def outputs(self, params: OneDatabase, state: IsolateDatabaseState) -> IsolateDatabaseOutputs:
        """Return where it is now."""
        return IsolateDatabaseOutputs(
            db_arn=state.database.arn,
            kind=state.database.kind,
            vpc_id=state.groups.vpc_id,
            quarantine_group_id=str(_group(state).ref),
        )

    def warnings(self, params: OneDatabase, state: IsolateDatabaseState) -> tuple[str, ...]:
        """Return what the groups do not cut."""
        database = state.database
        shared = (
            (f"all instances of the cluster are cut off: {', '.join(database.instance_ids)}",)
            if database.instance_ids
            else ()
        )
        return (
            *shared,
            f"connections that are open live on until they time out; a reboot of {database.db_id} ends them",
            (
                "read replicas, other clusters of a global database, and RDS Proxy have groups of their own;"
                " the RDS Data API needs none"
            ),
        )

    def targets(self, params: OneDatabase, where: Where) -> tuple[str, ...]:
        """Return the database."""
        return targets_of(params, where)


def _vpc_of(ctx: LookContext, subnet_group: str) -> str:
    if not subnet_group:
        return ""
    try:
        answer = ctx.api.call("rds:DescribeDBSubnetGroups", DBSubnetGroupName=subnet_group)
    except TargetNotFound:
        return ""
    found = answer.get("DBSubnetGroups") or ()
    return (found[0].get("VpcId") or "") if found else ""


def _group(state: IsolateDatabaseState) -> Wanted:
    return want_quarantine(state.groups.quarantine, state.groups.vpc_id)


def _move(state: IsolateDatabaseState, groups: list[str | Token], summary: str) -> Call:
    database = state.database
    return Call(
        database.modify,
        {**database.named, "VpcSecurityGroupIds": groups, "ApplyImmediately": True},
        target=database.arn,
        summary=f"{summary}, in {', '.join(map(str, groups))}",
        before=list(state.value),
        after=[str(group) for group in groups],
    )
