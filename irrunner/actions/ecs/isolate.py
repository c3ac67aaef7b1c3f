"""``aws.ecs.isolate-task``: the task's own interface into a group without rules, where ECS lets us."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    PlannedOutputs,
    Refused,
    Settled,
    State,
    Waiting,
    Where,
)
from irrunner.actions.ec2.groups import (
    CHANGE_GROUPS,
    DESCRIBE_GROUPS,
    Group,
    look_at_groups,
    want_quarantine,
)
from irrunner.actions.ec2.instances import API_REFERENCE as EC2_REFERENCE
from irrunner.actions.ec2.instances import USER_GUIDE as EC2_GUIDE
from irrunner.actions.ec2.interfaces import (
    DESCRIBE_INTERFACES,
    MOVE_INTERFACES,
    Interface,
    group_footprint,
    interfaces_named,
    move,
    still_there,
)
from irrunner.actions.ec2.uncut import uncut_flows
from irrunner.actions.ecs.tasks import (
    DESCRIBE_TASK,
    ENDED,
    USER_GUIDE,
    OneTask,
    describe_task,
    interface_ids_of,
    service_of,
    task_arn,
)
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class IsolateTaskState(State):
    """What isolation sees."""

    task_arn: str
    last_status: str
    service_name: str
    interface: Interface | None
    """None where the task uses the network of its host."""
    quarantine: Group | None

    def footprint(self) -> dict[str, list[str]]:
        """Return the interface's groups."""
        return group_footprint([self.interface] if self.interface else [])


class IsolateTaskOutputs(Model):
    """Outputs."""

    task_arn: str
    network_interface_id: str
    quarantine_group_id: str


@action(
    "aws.ecs.isolate-task",
    title="Cut a task off the network: its interface into a group without rules",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=120.0,
    consistency_s=5.0,
    permissions=(
        DESCRIBE_TASK,
        DESCRIBE_INTERFACES,
        *DESCRIBE_GROUPS,
        *(entry for entry in CHANGE_GROUPS if "Authorize" not in entry.action),
        *(entry for entry in MOVE_INTERFACES if ":instance/" not in entry.resource),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Puts the interface back into the groups it had; the quarantine group stays for reuse.",
    sources=(
        f"{USER_GUIDE}/task-networking-awsvpc.html",
        f"{EC2_GUIDE}/requester-managed-eni.html",
        f"{EC2_REFERENCE}/API_ModifyNetworkInterfaceAttribute.html",
    ),
)
class IsolateTask(Action[OneTask, IsolateTaskState]):
    """Move the task's interface; one that AWS manages refuses, and that is said before anything is sent."""

    Params = OneTask
    Outputs = IsolateTaskOutputs
    StateModel = IsolateTaskState

    def look(self, ctx: LookContext, params: OneTask) -> IsolateTaskState:
        """Read the task, its interface, and the quarantine group of its VPC with its rules."""
        task = describe_task(ctx.api, params)
        found = interfaces_named(ctx.api, interface_ids_of(task))
        groups = look_at_groups(ctx.api, (interface.vpc_id for interface in found))
        return IsolateTaskState(
            task_arn=task["taskArn"],
            last_status=task["lastStatus"],
            service_name=service_of(task),
            interface=found[0] if found else None,
            quarantine=groups[0].quarantine if groups else None,
        )

    def decide(self, params: OneTask, state: IsolateTaskState) -> Decision:
        """Make the group right, then move the interface; settled when both are read back."""
        refusal = _refusal(params, state)
        if refusal:
            return Refused(refusal)
        calls = tuple(_calls(state))
        if calls:
            return Act(calls)
        if state.quarantine and state.quarantine.unlisted:
            return Waiting("AWS does not yet list the rules of the quarantine group", poll_s=1.0)
        return Settled(_outputs(state, _group_id(state)), tuple(_warnings(state)))

    def foresee(self, params: OneTask, state: IsolateTaskState, step: str) -> PlannedOutputs:
        """Return the outputs, with a token for a group that is not made yet."""
        if _refusal(params, state):
            return PlannedOutputs({})
        group_id = _group_id(state) or f"<from {step}.quarantine_group_id>"
        return PlannedOutputs(_outputs(state, group_id).model_dump(mode="json"))

    def targets(self, params: OneTask, where: Where) -> tuple[str, ...]:
        """Return the task."""
        return (task_arn(where, params),)

    def undo_calls(
        self,
        params: OneTask,
        before: IsolateTaskState,
        after: IsolateTaskState,
        now: IsolateTaskState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Put the interface back."""
        if not keys or before.interface is None or now.interface is None:
            return ()
        eni, groups = before.interface.network_interface_id, before.interface.group_ids
        back = move(eni, now.interface.group_ids, groups, f"Put {eni} back into")
        return (replace(back, reads=(still_there(groups),)),)


def _refusal(params: OneTask, state: IsolateTaskState) -> str:
    name = params.task_id
    if state.last_status == ENDED:
        return f"{name} has stopped: there is nothing to isolate"
    if state.interface is None:
        return (
            f"{name} has no interface of its own (network mode bridge or host): isolate the container "
            "instance, or stop the task once the evidence is taken"
        )
    if state.interface.requester_managed:
        return (
            f"{state.interface.network_interface_id} of {name} is managed by ECS, which lets nobody change "
            "its groups: revoke the sessions of the task's role, deny its address in the subnet's network "
            "ACL, or stop the task once the evidence is taken"
        )
    return ""


def _calls(state: IsolateTaskState) -> Iterator[Call]:
    interface = state.interface
    if interface is None:
        return
    wanted = want_quarantine(state.quarantine, interface.vpc_id)
    yield from wanted.calls
    if interface.group_ids != (wanted.ref,):
        eni = interface.network_interface_id
        yield move(eni, interface.group_ids, [wanted.ref], f"Cut {eni} off, in")


def _group_id(state: IsolateTaskState) -> str:
    return state.quarantine.group_id if state.quarantine else ""


def _outputs(state: IsolateTaskState, group_id: str) -> IsolateTaskOutputs:
    return IsolateTaskOutputs(
        task_arn=state.task_arn,
        network_interface_id=state.interface.network_interface_id if state.interface else "",
        quarantine_group_id=group_id,
    )


def _warnings(state: IsolateTaskState) -> Iterator[str]:
    yield uncut_flows([state.interface] if state.interface else [], converted=False)
    yield "the task's role works on: revoke its sessions"
    if state.service_name:
        yield (
            f"service {state.service_name} replaces a task that fails its health checks, and so ends this "
            "one: take it off the load balancer, or copy the evidence at once"
        )
