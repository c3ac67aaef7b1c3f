"""``aws.ec2.stop-instance``: stop, and wait until it has stopped."""

from __future__ import annotations

from typing import Final

from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
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
    auto_scaling_warning,
    describe_instance,
    instance_arn,
    state_of,
)
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy

HEADING_FOR: Final = {"pending": "running", "stopping": "stopped"}


class StopState(State):
    """What stopping sees."""

    instance_id: str
    instance_state: str
    stop_protected: bool
    ebs_root: bool
    auto_scaling_group: str = ""

    def footprint(self) -> dict[str, str | bool]:
        """Return the state it is in or heading for, and stop protection; nothing where it has ended."""
        if self.instance_state in ENDING:
            return {}
        return {
            f"{self.instance_id}/state": HEADING_FOR.get(self.instance_state, self.instance_state),
            f"{self.instance_id}/disableApiStop": self.stop_protected,
        }


class StopOutputs(Model):
    """Outputs."""

    instance_id: str
    state: str


def _protect(state: StopState, *, protected: bool) -> Call:
    return Call(
        "ec2:ModifyInstanceAttribute",
        {"InstanceId": state.instance_id, "DisableApiStop": {"Value": protected}},
        target=state.instance_id,
        summary=f"Set stop protection of {state.instance_id} to {str(protected).lower()}",
        before=state.stop_protected,
        after=protected,
    )


def _switch(operation: str, instance_id: str, summary: str, before: str, after: str) -> Call:
    return Call(
        f"ec2:{operation}", {"InstanceIds": [instance_id]}, instance_id, summary, before=before, after=after
    )


@action(
    "aws.ec2.stop-instance",
    title="Stop an instance (its memory is lost)",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=900.0,
    permissions=(
        DESCRIBE_INSTANCES,
        Permission("ec2:DescribeInstanceAttribute", INSTANCE),
        Permission("ec2:ModifyInstanceAttribute", INSTANCE, use="act"),
        Permission("ec2:StopInstances", INSTANCE, use="act"),
        Permission("ec2:ModifyInstanceAttribute", INSTANCE, use="undo"),
        Permission("ec2:StartInstances", INSTANCE, use="undo"),
        Permission(
            "kms:CreateGrant",
            "arn:{partition}:kms:{region}:*:key/*",
            use="undo",
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Starts the instance again; its memory and an auto-assigned public address do not come back.",
    sources=(
        f"{USER_GUIDE}/Stop_Start.html",
        f"{USER_GUIDE}/ec2-stop-protection.html",
        f"{API_REFERENCE}/API_StopInstances.html",
        "https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html",
    ),
)
class StopInstance(Action[OneInstance, StopState]):
    """Lift stop protection where there is one (ours, as a rule), stop, and wait for ``stopped``."""

    Params = OneInstance
    Outputs = StopOutputs
    StateModel = StopState

    def look(self, ctx: LookContext, params: OneInstance) -> StopState:
        """Read state, root device and stop protection."""
        instance = describe_instance(ctx.api, params.instance_id)
        protection = ctx.api.call(
            "ec2:DescribeInstanceAttribute", InstanceId=params.instance_id, Attribute="disableApiStop"
        )
        return StopState(
            instance_id=params.instance_id,
            instance_state=state_of(instance),
            stop_protected=bool(protection.get("DisableApiStop", {}).get("Value"))
            or bool(ctx.planned.get(params.instance_id, {}).get("stop_protected")),
            ebs_root=instance.get("RootDeviceType") != "instance-store",
            auto_scaling_group=auto_scaling_group(instance),
        )

    def decide(self, params: OneInstance, state: StopState) -> Decision:
        """Stop what runs and can be stopped."""
        name, now = state.instance_id, state.instance_state
        if now in ENDING:
            return Refused(f"{name} is {now}: it cannot be stopped any more")
        if now == "stopped":
            warnings = tuple(auto_scaling_warning(state.auto_scaling_group, name))
            return Settled(StopOutputs(instance_id=name, state=now), warnings)
        if not state.ebs_root:
            return Refused(
                f"{name} has an instance-store root: it cannot be stopped, only terminated; isolate it"
            )
        if now in HEADING_FOR:
            return Waiting(f"{name} is {now}", poll_s=5.0)
        lift = (_protect(state, protected=False),) if state.stop_protected else ()
        return Act((*lift, _switch("StopInstances", name, f"Stop {name}", now, "stopped")))

    def targets(self, params: OneInstance, where: Where) -> tuple[str, ...]:
        """Return the instance."""
        return (instance_arn(where, params.instance_id),)

    def undo_calls(
        self, params: OneInstance, before: StopState, after: StopState, now: StopState, keys: frozenset[str]
    ) -> tuple[Call, ...]:
        """Start it, and protect it from stop again where it was."""
        name = before.instance_id
        start = _switch("StartInstances", name, f"Start {name}", now.instance_state, "running")
        calls = [start] if f"{name}/state" in keys else []
        if f"{name}/disableApiStop" in keys:
            calls.append(_protect(now, protected=before.stop_protected))
        return tuple(calls)
