"""``aws.ec2.protect-instance``: keep an instance and its volumes from being destroyed as evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

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
    auto_scaling_warning,
    describe_instance,
    instance_arn,
    is_spot,
    state_of,
)
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy

VOLUMES = "arn:{partition}:ec2:{region}:{account}:volume/*"
MODIFY = "ec2:ModifyInstanceAttribute"
Setting: TypeAlias = "str | bool"


@dataclass(frozen=True, slots=True)
class Guard:
    """An attribute of an instance that keeps it from being destroyed."""

    attribute: str
    """As DescribeInstanceAttribute names it."""
    wanted: str | bool
    words: str
    needs_ebs_root: bool
    generic: bool = False
    """Set by ``Attribute`` and ``Value`` rather than by a parameter of its own name."""

    @property
    def answer(self) -> str:
        """Return the field of DescribeInstanceAttribute's answer, and the parameter's name."""
        return self.attribute[0].upper() + self.attribute[1:]

    def parameters(self, value: Setting) -> dict[str, Any]:
        """Return the parameters that set it."""
        if self.generic:
            return {"Attribute": self.attribute, "Value": value}
        return {self.answer: {"Value": value}}


STOP_PROTECTION = "disableApiStop"
GUARDS = (
    Guard("disableApiTermination", wanted=True, words="termination protection", needs_ebs_root=False),
    Guard(STOP_PROTECTION, wanted=True, words="stop protection", needs_ebs_root=True),
    Guard(
        "instanceInitiatedShutdownBehavior",
        wanted="stop",
        words="what a shutdown from inside does",
        needs_ebs_root=True,
        generic=True,
    ),
)


class Volume(Model):
    """An EBS volume of an instance."""

    volume_id: str
    device: str
    delete_on_termination: bool


class ProtectState(State):
    """What protection sees."""

    instance_id: str
    instance_state: str
    spot: bool
    ebs_root: bool
    auto_scaling_group: str
    guards: dict[str, str | bool]
    """Attribute to value, for each of :data:`GUARDS`."""
    volumes: tuple[Volume, ...]

    def footprint(self) -> dict[str, str | bool]:
        """Return attribute of the instance, and volume's DeleteOnTermination, to value.

        Nothing where it has ended: AWS changes no attribute of it any more.
        """
        if self.instance_state in ENDING:
            return {}
        guards = {f"{self.instance_id}/{name}": value for name, value in self.guards.items()}
        return guards | {_volume_key(volume): volume.delete_on_termination for volume in self.volumes}


class ProtectOutputs(Model):
    """Outputs."""

    instance_id: str
    volume_ids: tuple[str, ...]
    """Volumes that outlive the instance."""
    termination_protected: bool


def _volume_key(volume: Volume) -> str:
    return f"{volume.volume_id}/DeleteOnTermination"


def _applies(guard: Guard, state: ProtectState) -> bool:
    return not state.spot and (state.ebs_root or not guard.needs_ebs_root)


def _set(state: ProtectState, guard: Guard, value: Setting) -> Call:
    return Call(
        MODIFY,
        {"InstanceId": state.instance_id, **guard.parameters(value)},
        target=state.instance_id,
        summary=f"Set {guard.words} of {state.instance_id} to {str(value).lower()}",
        before=state.guards[guard.attribute],
        after=value,
    )


def _keep_volumes(state: ProtectState, wanted: Mapping[str, bool]) -> Iterator[Call]:
    """Yield the one call that sets DeleteOnTermination of volumes (volume id to value)."""
    changed = [volume for volume in state.volumes if volume.volume_id in wanted]
    if not changed:
        return
    mappings = [
        {"DeviceName": volume.device, "Ebs": {"DeleteOnTermination": wanted[volume.volume_id]}}
        for volume in changed
    ]
    yield Call(
        MODIFY,
        {"InstanceId": state.instance_id, "BlockDeviceMappings": mappings},
        target=state.instance_id,
        summary=f"Set DeleteOnTermination of {', '.join(volume.volume_id for volume in changed)}",
        before={volume.volume_id: volume.delete_on_termination for volume in changed},
        after={volume.volume_id: wanted[volume.volume_id] for volume in changed},
    )


@action(
    "aws.ec2.protect-instance",
    title="Protect an instance and its volumes from termination",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    permissions=(
        DESCRIBE_INSTANCES,
        Permission("ec2:DescribeInstanceAttribute", INSTANCE),
        *(
            Permission(MODIFY, resource, use=use)
            for use in ("act", "undo")
            for resource in (INSTANCE, VOLUMES)
        ),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Sets every changed attribute and DeleteOnTermination back to the recorded value.",
    sources=(
        f"{USER_GUIDE}/Using_ChangingDisableAPITermination.html",
        f"{USER_GUIDE}/ec2-stop-protection.html",
        f"{API_REFERENCE}/API_ModifyInstanceAttribute.html",
    ),
)
class ProtectInstance(Action[OneInstance, ProtectState]):
    """Termination and stop protection, shutdown means stop, and volumes that outlive the instance."""

    Params = OneInstance
    Outputs = ProtectOutputs
    StateModel = ProtectState

    def look(self, ctx: LookContext, params: OneInstance) -> ProtectState:
        """Read the instance, its volumes, and each guard's attribute."""
        instance = describe_instance(ctx.api, params.instance_id)
        return ProtectState(
            instance_id=params.instance_id,
            instance_state=state_of(instance),
            spot=is_spot(instance),
            ebs_root=instance.get("RootDeviceType") != "instance-store",
            auto_scaling_group=auto_scaling_group(instance),
            guards={guard.attribute: _read(ctx, params.instance_id, guard) for guard in GUARDS},
            volumes=tuple(
                Volume(
                    volume_id=mapping["Ebs"]["VolumeId"],
                    device=mapping["DeviceName"],
                    delete_on_termination=bool(mapping["Ebs"].get("DeleteOnTermination")),
                )
                for mapping in instance.get("BlockDeviceMappings") or ()
                if "VolumeId" in mapping.get("Ebs", {})
            ),
        )

    def decide(self, params: OneInstance, state: ProtectState) -> Decision:
        """Set what is not as wanted and can be; ModifyInstanceAttribute takes one attribute a call."""
        if state.instance_state in ENDING:
            return Refused(f"{state.instance_id} is {state.instance_state}: it cannot be protected any more")
        calls = [
            _set(state, guard, guard.wanted)
            for guard in GUARDS
            if _applies(guard, state) and state.guards[guard.attribute] != guard.wanted
        ]
        doomed = {volume.volume_id: False for volume in state.volumes if volume.delete_on_termination}
        calls += _keep_volumes(state, doomed)
        return Act(tuple(calls)) if calls else Settled(_outputs(state), tuple(_warnings(state)))

    def foresee(self, params: OneInstance, state: ProtectState, step: str) -> PlannedOutputs:
        """Tell later steps of a plan that the instance will be protected from stop: it is lifted first."""
        stopping = any(guard.attribute == STOP_PROTECTION and _applies(guard, state) for guard in GUARDS)
        facts = {params.instance_id: {"stop_protected": True}} if stopping else {}
        return PlannedOutputs(super().foresee(params, state, step).outputs, facts)

    def targets(self, params: OneInstance, where: Where) -> tuple[str, ...]:
        """Return the instance."""
        return (instance_arn(where, params.instance_id),)

    def undo_calls(
        self,
        params: OneInstance,
        before: ProtectState,
        after: ProtectState,
        now: ProtectState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Set the recorded values again."""
        calls = [
            _set(now, guard, before.guards[guard.attribute])
            for guard in GUARDS
            if f"{before.instance_id}/{guard.attribute}" in keys
        ]
        volumes = {
            volume.volume_id: volume.delete_on_termination
            for volume in before.volumes
            if _volume_key(volume) in keys
        }
        return (*calls, *_keep_volumes(now, volumes))


def _read(ctx: LookContext, instance_id: str, guard: Guard) -> str | bool:
    answer = ctx.api.call("ec2:DescribeInstanceAttribute", InstanceId=instance_id, Attribute=guard.attribute)
    value = answer.get(guard.answer, {}).get("Value")
    return bool(value) if guard.wanted is True else str(value or "stop")


def _outputs(state: ProtectState) -> ProtectOutputs:
    return ProtectOutputs(
        instance_id=state.instance_id,
        volume_ids=tuple(volume.volume_id for volume in state.volumes),
        termination_protected=bool(state.guards["disableApiTermination"]),
    )


def _warnings(state: ProtectState) -> Iterator[str]:
    if state.spot:
        yield (
            f"{state.instance_id} is a Spot Instance: it cannot be protected from termination, stop, a "
            "shutdown from inside, or an interruption by AWS; its volumes outlive it"
        )
    elif not state.ebs_root:
        yield (
            f"{state.instance_id} has an instance-store root: it cannot be stopped, and its root volume is "
            "lost with it"
        )
    yield from auto_scaling_warning(state.auto_scaling_group, state.instance_id)
