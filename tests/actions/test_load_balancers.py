"""Deregistration: by what an instance is a target, what drains, and what is somebody else's."""

from __future__ import annotations

from typing import Any

import pytest

from irrunner.actions.contract import Act, Refused, Settled
from irrunner.actions.ec2.instances import OneInstance
from irrunner.actions.elb.deregister import Balancer, ClassicState
from irrunner.actions.elb.deregister import DeregisterInstance as Classic
from irrunner.actions.elbv2.deregister import DeregisterInstance, DeregisterOutputs, DeregisterState
from irrunner.actions.elbv2.targets import Addresses, Target, TargetGroup, target_groups_of
from irrunner.errors import TargetNotFound
from irrunner.testing import FakeApi

INSTANCE = "i-0123456789abcdef0"
PARAMS = OneInstance(instance_id=INSTANCE)
ACTION, CLASSIC = DeregisterInstance(), Classic()
WHO = Addresses(
    instance_id=INSTANCE, vpc_id="vpc-1", addresses=("10.0.0.5", "2001:db8::5"), prefixes=("10.0.9.0/28",)
)


def state_of(*targets: Target, instance_state: str = "running", **more: Any) -> DeregisterState:
    """Return a state with one target group."""
    group = TargetGroup(arn="arn:web", name="web", targets=targets, delay_s=300, **more)
    return DeregisterState(instance_id=INSTANCE, instance_state=instance_state, groups=(group,))


def found(*described: dict[str, Any], vpc_id: str = "vpc-1", state: str = "healthy") -> TargetGroup:
    """Return what a look makes of the described targets of a group in a network."""
    group = {"TargetGroupArn": "arn:web", "TargetGroupName": "web", "VpcId": vpc_id, "TargetType": "ip"}
    api = FakeApi(
        {
            "elbv2:DescribeTargetGroups": lambda **_: {"TargetGroups": [group]},
            "elbv2:DescribeTargetHealth": lambda **_: {
                "TargetHealthDescriptions": [
                    {"Target": target, "TargetHealth": {"State": state}} for target in described
                ]
            },
            "elbv2:DescribeTargetGroupAttributes": lambda **_: {
                "Attributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "60"}]
            },
        }
    )
    (only,) = target_groups_of(api, WHO)
    return only


@pytest.mark.parametrize(
    ("target", "label"),
    [
        ({"Id": INSTANCE, "Port": 80}, f"{INSTANCE}:80"),
        ({"Id": "10.0.0.5", "Port": 80, "AvailabilityZone": "eu-1a"}, "10.0.0.5:80"),
        ({"Id": "2001:db8::5", "Port": 80}, "2001:db8::5:80"),
        ({"Id": "10.0.9.3", "Port": 80}, "10.0.9.3:80"),
    ],
)
def test_finds_an_instance_by_id_address_and_prefix(target: dict[str, Any], label: str) -> None:
    """A pod's address in a prefix of the interface is a target on this host."""
    group = found(target, {"Id": "10.0.0.6", "Port": 80})

    assert [item.label for item in group.registered] == [label]
    assert group.delay_s == 60


@pytest.mark.parametrize(
    ("state", "registered"), [("unhealthy.draining", 1), ("initial", 1), ("unused", 1), ("draining", 0)]
)
def test_what_is_unhealthy_is_registered_still(state: str, registered: int) -> None:
    """A Network Load Balancer lets unhealthy targets drain, and sends to them again once they are healthy."""
    assert len(found({"Id": INSTANCE, "Port": 80}, state=state).registered) == registered


def test_an_address_of_another_network_is_not_taken_for_this_host() -> None:
    """Networks overlap: the same address elsewhere is named, and left to people."""
    group = found({"Id": "10.0.0.5", "Port": 80, "AvailabilityZone": "all"}, vpc_id="vpc-2")

    assert group.targets == ()
    assert group.look_alikes == ("10.0.0.5:80",)


def test_groups_that_cannot_have_the_instance_are_not_asked() -> None:
    """By id an instance is a target in its own network only; each group that is asked costs a call."""
    groups = [
        {"TargetGroupArn": kind, "TargetGroupName": kind, "VpcId": "vpc-2", "TargetType": kind}
        for kind in ("instance", "lambda", "alb")
    ]
    api = FakeApi({"elbv2:DescribeTargetGroups": lambda **_: {"TargetGroups": groups}})

    assert target_groups_of(api, WHO) == ()


def test_a_target_group_that_goes_meanwhile_is_none() -> None:
    """Between the list and its health a group may be deleted; the others must still be cleared."""
    group = {"TargetGroupArn": "arn:web", "TargetGroupName": "web", "TargetType": "ip"}

    def gone(**_: Any) -> dict[str, Any]:
        raise TargetNotFound("One or more target groups not found")

    api = FakeApi(
        {
            "elbv2:DescribeTargetGroups": lambda **_: {"TargetGroups": [group]},
            "elbv2:DescribeTargetHealth": gone,
        }
    )
    assert target_groups_of(api, WHO) == ()


def test_every_port_goes_in_one_call_for_a_group() -> None:
    """A call without ports would leave registrations on other ports to guessing."""
    decision = ACTION.decide(
        PARAMS, state_of(Target(target_id=INSTANCE, port=80), Target(target_id=INSTANCE, port=8080))
    )

    assert isinstance(decision, Act)
    (call,) = decision.calls
    assert call.params["Targets"] == [{"Id": INSTANCE, "Port": 80}, {"Id": INSTANCE, "Port": 8080}]


@pytest.mark.parametrize(
    ("cuts_flows", "words"), [(True, "are then cut"), (False, "until they end by themselves")]
)
def test_draining_is_settled_and_says_for_how_long(cuts_flows: bool, words: str) -> None:  # noqa: FBT001 - a column of the table
    """New requests have stopped; what is open goes on for the delay, and with NLB perhaps beyond."""
    draining = Target(target_id=INSTANCE, port=80, draining=True)
    decision = ACTION.decide(PARAMS, state_of(draining, cuts_flows=cuts_flows))

    assert isinstance(decision, Settled)
    assert isinstance(decision.outputs, DeregisterOutputs)
    assert [item.deregistration_delay_s for item in decision.outputs.draining] == [300]
    assert "300 s" in decision.warnings[0]
    assert words in decision.warnings[0]


def test_undo_keeps_the_zone_only_for_targets_outside() -> None:
    """AWS refuses a zone for what is in the network."""
    before = state_of(
        Target(target_id="10.0.0.5", port=80, availability_zone="eu-1a"),
        Target(target_id="192.168.0.5", port=80, availability_zone="all", quic_server_id="0x1"),
    )
    (call,) = ACTION.undo_calls(PARAMS, before, before, before, frozenset({"arn:web"}))

    assert call.params["Targets"] == [
        {"Id": "10.0.0.5", "Port": 80},
        {"Id": "192.168.0.5", "Port": 80, "AvailabilityZone": "all", "QuicServerId": "0x1"},
    ]


def test_an_instance_that_has_ended_needs_nothing() -> None:
    """Load balancers drop it by themselves."""
    ended = state_of(Target(target_id=INSTANCE, port=80), instance_state="terminated")
    old = ClassicState(
        instance_id=INSTANCE, instance_state="terminated", balancers=(Balancer(name="a", registered=True),)
    )
    for decision in (ACTION.decide(PARAMS, ended), CLASSIC.decide(PARAMS, old)):
        assert isinstance(decision, Refused)
        assert decision.nothing_to_do


def test_a_classic_balancer_without_the_instance_is_left() -> None:
    """Only those with the instance are asked to let go, and the plan says how long they drain."""
    state = ClassicState(
        instance_id=INSTANCE,
        instance_state="running",
        balancers=(
            Balancer(name="a", registered=True, draining_s=300),
            Balancer(name="b", registered=False),
        ),
    )
    decision = CLASSIC.decide(PARAMS, state)

    assert isinstance(decision, Act)
    (call,) = decision.calls
    assert call.target == "a"
    assert "300 s" in call.summary
