"""``aws.elb.deregister-instance``: no new requests from classic load balancers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    ReadApi,
    Refused,
    Settled,
    State,
    Where,
)
from irrunner.actions.ec2.instances import (
    DESCRIBE_INSTANCES,
    ENDING,
    OneInstance,
    describe_instance,
    instance_arn,
    state_of,
)
from irrunner.actions.registry import action
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

API_REFERENCE: Final = "https://docs.aws.amazon.com/elasticloadbalancing/2012-06-01/APIReference"
BALANCERS: Final = "arn:{partition}:elasticloadbalancing:{region}:{account}:loadbalancer/*"


class Balancer(Model):
    """A classic load balancer of this Region."""

    name: str
    registered: bool
    draining_s: int | None = None
    """How long open connections may go on; 0: they are cut at once; None: not asked for."""


class ClassicState(State):
    """What deregistration sees."""

    instance_id: str
    instance_state: str
    balancers: tuple[Balancer, ...]
    """All of the Region; AWS forgets at once which of them an instance has left."""

    def footprint(self) -> dict[str, bool]:
        """Return load balancer to whether the instance is registered."""
        if self.instance_state in ENDING:
            return {}
        return {balancer.name: balancer.registered for balancer in self.balancers}


class ClassicOutputs(Model):
    """Outputs."""

    instance_id: str


@action(
    "aws.elb.deregister-instance",
    title="Take an instance out of every classic load balancer",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(
        DESCRIBE_INSTANCES,
        Permission("elasticloadbalancing:DescribeLoadBalancers"),
        Permission("elasticloadbalancing:DescribeLoadBalancerAttributes"),
        Permission("elasticloadbalancing:DeregisterInstancesFromLoadBalancer", BALANCERS, use="act"),
        Permission("elasticloadbalancing:RegisterInstancesWithLoadBalancer", BALANCERS, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Registers the instance again with every load balancer that it was taken out of.",
    sources=(
        f"{API_REFERENCE}/API_DeregisterInstancesFromLoadBalancer.html",
        "https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/config-conn-drain.html",
    ),
)
class DeregisterInstance(Action[OneInstance, ClassicState]):
    """The old API beside target groups: an instance may be behind both."""

    Params = OneInstance
    Outputs = ClassicOutputs
    StateModel = ClassicState

    def look(self, ctx: LookContext, params: OneInstance) -> ClassicState:
        """Read every load balancer, and how long those with the instance drain."""
        instance = describe_instance(ctx.api, params.instance_id)
        described = ctx.api.pages("elb:DescribeLoadBalancers", "LoadBalancerDescriptions[]")
        balancers = (_balancer(ctx.api, raw, params.instance_id) for raw in described)
        return ClassicState(
            instance_id=params.instance_id,
            instance_state=state_of(instance),
            balancers=tuple(sorted(balancers, key=lambda balancer: balancer.name)),
        )

    def decide(self, params: OneInstance, state: ClassicState) -> Decision:
        """Deregister it where it is registered."""
        if state.instance_state in ENDING:
            return Refused(
                f"{state.instance_id} is {state.instance_state}: load balancers drop it by themselves",
                nothing_to_do=True,
            )
        calls = tuple(
            _call("DeregisterInstancesFromLoadBalancer", state, balancer, after=False)
            for balancer in state.balancers
            if balancer.registered
        )
        if calls:
            return Act(calls)
        return Settled(ClassicOutputs(instance_id=state.instance_id), tuple(_warnings(state)))

    def foresee(self, params: OneInstance, state: ClassicState, step: str) -> PlannedOutputs:
        """Return the outputs, which are known before."""
        outputs = ClassicOutputs(instance_id=state.instance_id).model_dump(mode="json")
        return PlannedOutputs({} if state.instance_state in ENDING else outputs)

    def targets(self, params: OneInstance, where: Where) -> tuple[str, ...]:
        """Return the instance."""
        return (instance_arn(where, params.instance_id),)

    def undo_calls(
        self,
        params: OneInstance,
        before: ClassicState,
        after: ClassicState,
        now: ClassicState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Register it again where it was."""
        return tuple(
            _call("RegisterInstancesWithLoadBalancer", before, balancer, after=True)
            for balancer in before.balancers
            if balancer.name in keys and balancer.registered
        )


def _balancer(api: ReadApi, raw: Mapping[str, Any], instance_id: str) -> Balancer:
    name = raw["LoadBalancerName"]
    registered = any(item["InstanceId"] == instance_id for item in raw.get("Instances") or ())
    return Balancer(
        name=name, registered=registered, draining_s=_draining_s(api, name) if registered else None
    )


def _draining_s(api: ReadApi, name: str) -> int | None:
    try:
        answer = api.call("elb:DescribeLoadBalancerAttributes", LoadBalancerName=name)
    except TargetNotFound:
        return None
    draining = (answer.get("LoadBalancerAttributes") or {}).get("ConnectionDraining") or {}
    return int(draining.get("Timeout") or 0) if draining.get("Enabled") else 0


def _call(operation: str, state: ClassicState, balancer: Balancer, *, after: bool) -> Call:
    name = state.instance_id
    verb = f"Register {name} with" if after else f"Take {name} out of"
    draining = "" if after or not balancer.draining_s else f" (connections drain for {balancer.draining_s} s)"
    return Call(
        f"elb:{operation}",
        {"LoadBalancerName": balancer.name, "Instances": [{"InstanceId": name}]},
        target=balancer.name,
        summary=f"{verb} classic load balancer {balancer.name}{draining}",
        before=not after,
        after=after,
    )


def _warnings(state: ClassicState) -> Iterator[str]:
    if state.balancers:
        yield (
            "open connections through a classic load balancer with connection draining may go on for its "
            "timeout (at most an hour)"
        )
