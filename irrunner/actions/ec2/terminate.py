"""``aws.ec2.terminate-instance``: end an instance whose disks are kept, and only then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import Field

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
from irrunner.actions.ec2.instances import (
    API_REFERENCE,
    DESCRIBE_INSTANCES,
    ENDING,
    INSTANCE,
    USER_GUIDE,
    OneInstance,
    auto_scaling_group,
    describe_instance,
    instance_arn,
    is_spot,
    state_of,
)
from irrunner.actions.ec2.kept import AttachedVolume, Cover, attached_volumes, covers_of, not_kept
from irrunner.actions.ids import Instant, SnapshotId, is_token
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy

GUARDS: Final = {"disableApiTermination": "termination protection", "disableApiStop": "stop protection"}
"""Attributes that keep the API from terminating: stop protection does so too.

Source: EC2 user guide, "Enable stop protection for your EC2 instances", considerations.
"""


class TerminateParams(OneInstance):
    """Parameters."""

    snapshot_ids: list[SnapshotId] = Field(
        max_length=1000,
        description="Snapshots of this incident: each attached volume must have a completed one among them.",
    )
    taken_after: Instant | None = Field(
        default=None,
        description="Snapshots of other runs, or taken by hand, count if they were begun after this instant"
        " (RFC 3339). Without it only those count that this run has taken.",
    )
    lift_protection: bool = Field(
        default=False,
        description="Lift termination and stop protection, which as a rule this very incident has set.",
    )


class TerminateState(State):
    """What termination sees."""

    instance_id: str
    instance_state: str
    spot: bool
    auto_scaling_group: str
    run_id: str
    guards: dict[str, bool]
    """Attribute to whether it is set; empty where the instance has ended."""
    volumes: tuple[AttachedVolume, ...]
    snapshots: tuple[Cover, ...]
    planned_volume_ids: tuple[str, ...] = ()
    """Volumes of which this plan takes snapshots."""
    planned: bool = False
    """Some snapshots do not exist yet, and nothing is known of them."""


class TerminateOutputs(Model):
    """Outputs."""

    instance_id: str
    state: str
    snapshot_ids: tuple[str, ...]
    """What is left of its disks."""


@action(
    "aws.ec2.terminate-instance",
    title="Terminate an instance, if every volume of it has a completed snapshot of this incident",
    phase=Phase.ERADICATION,
    risk=Risk.DESTRUCTIVE,
    timeout_s=900.0,
    permissions=(
        DESCRIBE_INSTANCES,
        Permission("ec2:DescribeInstanceAttribute", INSTANCE),
        Permission("ec2:DescribeSnapshots"),
        Permission("ec2:ModifyInstanceAttribute", INSTANCE, use="act"),
        Permission("ec2:TerminateInstances", INSTANCE, use="act"),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="A terminated instance does not come back; launch another one from its snapshots.",
    sources=(
        f"{USER_GUIDE}/terminating-instances.html",
        f"{USER_GUIDE}/ec2-stop-protection.html",
        f"{API_REFERENCE}/API_TerminateInstances.html",
    ),
)
class TerminateInstance(Action[TerminateParams, TerminateState]):
    """Check the snapshots by reading them, lift protection where that is asked for, and wait for the end."""

    Params = TerminateParams
    Outputs = TerminateOutputs
    StateModel = TerminateState

    def look(self, ctx: LookContext, params: TerminateParams) -> TerminateState:
        """Read the instance, what protects it, its volumes, and the snapshots of those."""
        instance = describe_instance(ctx.api, params.instance_id)
        volumes = tuple(attached_volumes(instance))
        tokens = [item for item in params.snapshot_ids if is_token(item)]
        facts = [ctx.planned.get(token, {}) for token in tokens]
        return TerminateState(
            instance_id=params.instance_id,
            instance_state=state_of(instance),
            spot=is_spot(instance),
            auto_scaling_group=auto_scaling_group(instance),
            run_id=ctx.run_id,
            guards=_guards(ctx, instance),
            volumes=volumes,
            snapshots=covers_of(ctx.api, volumes),
            planned_volume_ids=tuple(fact["volume_id"] for fact in facts if "volume_id" in fact),
            planned=any("volume_id" not in fact for fact in facts),
        )

    def decide(self, params: TerminateParams, state: TerminateState) -> Decision:
        """Terminate what is kept; refuse what would be lost, and what is protected."""
        name = state.instance_id
        if state.instance_state == "terminated":
            return Settled(_outputs(params, state), tuple(_warnings(state)))
        if state.instance_state in ENDING:
            return Waiting(f"{name} is {state.instance_state}", poll_s=5.0)
        if lost := "; ".join(_lost(params, state)):
            return Refused(f"{name} would be gone for good: {lost}")
        protected = [attribute for attribute, on in state.guards.items() if on]
        if protected and not params.lift_protection:
            return Refused(
                f"{name} has {' and '.join(GUARDS[attribute] for attribute in protected)}; write "
                "lift_protection: true if it was set for this incident only"
            )
        lifts = tuple(_guard(state, attribute, on=False) for attribute in protected)
        return Act((*lifts, _terminate(state, protected)))

    def foresee(self, params: TerminateParams, state: TerminateState, step: str) -> PlannedOutputs:
        """Return the outputs, which are known before."""
        possible = not isinstance(self.decide(params, state), Refused)
        outputs = _outputs(params, state.model_copy(update={"instance_state": "terminated"}))
        return PlannedOutputs(outputs.model_dump(mode="json") if possible else {})

    def targets(self, params: TerminateParams, where: Where) -> tuple[str, ...]:
        """Return the instance."""
        return (instance_arn(where, params.instance_id),)


def _guards(ctx: LookContext, instance: Mapping[str, Any]) -> dict[str, bool]:
    """Return what protects the instance, or will by an earlier step of this plan."""
    if state_of(instance) in ENDING:
        return {}
    name = instance["InstanceId"]
    planned = bool(ctx.planned.get(name, {}).get("stop_protected"))
    return {attribute: planned or _is_on(ctx, name, attribute) for attribute in GUARDS}


def _is_on(ctx: LookContext, instance_id: str, attribute: str) -> bool:
    answer = ctx.api.call("ec2:DescribeInstanceAttribute", InstanceId=instance_id, Attribute=attribute)
    return bool(answer.get(_field(attribute), {}).get("Value"))


def _field(attribute: str) -> str:
    return attribute[0].upper() + attribute[1:]


def _lost(params: TerminateParams, state: TerminateState) -> Iterator[str]:
    """Yield which volumes are lost, and why; those of which this plan takes snapshots are not."""
    if state.planned:
        return
    known = [volume for volume in state.volumes if volume.volume_id not in state.planned_volume_ids]
    named = [cover for cover in state.snapshots if cover.snapshot_id in params.snapshot_ids]
    yield from not_kept(known, named, state.run_id, params.taken_after)


def _guard(state: TerminateState, attribute: str, *, on: bool) -> Call:
    return Call(
        "ec2:ModifyInstanceAttribute",
        {"InstanceId": state.instance_id, _field(attribute): {"Value": on}},
        target=state.instance_id,
        summary=f"Set {GUARDS[attribute]} of {state.instance_id} to {str(on).lower()}",
        before=not on,
        after=on,
    )


def _terminate(state: TerminateState, lifted: list[str]) -> Call:
    """Return the call that ends it; where it fails for good, what was lifted for it is set again."""
    deleted = [volume.volume_id for volume in state.volumes if volume.delete_on_termination]
    with_it = f", and delete {', '.join(deleted)} with it" if deleted else "; its volumes outlive it"
    again = tuple(_guard(state, attribute, on=True) for attribute in lifted)
    return Call(
        "ec2:TerminateInstances",
        {"InstanceIds": [state.instance_id]},
        target=state.instance_id,
        summary=f"Terminate {state.instance_id}{with_it}",
        before=state.instance_state,
        after="terminated",
        reversible=False,
        fallbacks=(again,) if again else (),
    )


def _outputs(params: TerminateParams, state: TerminateState) -> TerminateOutputs:
    return TerminateOutputs(
        instance_id=state.instance_id, state=state.instance_state, snapshot_ids=tuple(params.snapshot_ids)
    )


def _warnings(state: TerminateState) -> Iterator[str]:
    yield "memory, instance-store disks, and what was written after the snapshots, are gone"
    if state.auto_scaling_group:
        yield f"{state.auto_scaling_group} launches another instance from the same image, unless suspended"
    if state.spot:
        yield "if its Spot request is persistent, it launches another instance: cancel the request"
