"""Isolation inside an Auto Scaling group: without Standby the evidence goes, with it the host lives."""

from __future__ import annotations

import pytest

from irrunner.vocabulary import Outcome
from tests.contracts.bench import Bench
from tests.contracts.conftest import OpenWorld
from tests.contracts.rows.surroundings import GROUP, at_smallest_size, balanced

LONG_S = 600.0
KEEPERS = (
    "aws.autoscaling.enter-standby", "aws.autoscaling.detach-instance", "aws.autoscaling.suspend-processes",
)  # fmt: skip


def run(bench: Bench, action_id: str, **values: object) -> Outcome:
    """Run an action to its end."""
    return bench.run(bench.registry.get(action_id), values).done.outcome


def state_of(bench: Bench, instance_id: str) -> str:
    """Return the state of an instance, some time later."""
    bench.clock.advance(LONG_S)
    return str(
        bench.world.state()["accounts"][bench.account]["regions"][bench.where.region]["instances"][
            instance_id
        ]["state"]
    )


def test_protection_alone_does_not_keep_an_isolated_member(open_world: OpenWorld) -> None:
    """Termination protection concerns the API; the group ends what fails its health check."""
    with open_world() as bench:
        values = balanced(bench)
        run(bench, "aws.ec2.protect-instance", **values)
        run(bench, "aws.ec2.isolate-instance", **values)

        assert state_of(bench, values["instance_id"]) == "terminated"


@pytest.mark.parametrize("keeper", KEEPERS)
def test_a_member_that_was_taken_out_before_is_kept(open_world: OpenWorld, keeper: str) -> None:
    """Each of the three ways, done before isolation, saves the host."""
    with open_world() as bench:
        values = balanced(bench)
        about = {"group_name": GROUP} if keeper.endswith("processes") else values
        assert run(bench, keeper, **about) is Outcome.APPLIED
        run(bench, "aws.ec2.isolate-instance", **values)

        assert state_of(bench, values["instance_id"]) == "running"


def test_isolation_need_not_wait_for_draining(open_world: OpenWorld) -> None:
    """Behind a load balancer Standby takes minutes; the group lets go at once, and the host lives."""
    with open_world() as bench:
        values = balanced(bench)
        group = bench.client("elbv2").create_target_group(
            Name="web", Protocol="HTTP", Port=80, VpcId=bench.resources["vpc_id"]
        )["TargetGroups"][0]["TargetGroupArn"]
        bench.client("autoscaling").attach_load_balancer_target_groups(
            AutoScalingGroupName=GROUP, TargetGroupARNs=[group]
        )
        begun = bench.clock.now()
        assert run(bench, "aws.autoscaling.enter-standby", **values, await_draining=False) is Outcome.APPLIED
        assert (bench.clock.now() - begun).total_seconds() < 60
        run(bench, "aws.ec2.isolate-instance", **values)

        assert state_of(bench, values["instance_id"]) == "running"


def test_a_group_at_its_smallest_size_launches_another(open_world: OpenWorld) -> None:
    """Where AWS refuses a smaller group, the host still leaves it: another one takes its place."""
    with open_world() as bench:
        values = at_smallest_size(bench)
        assert run(bench, "aws.autoscaling.enter-standby", **values) is Outcome.APPLIED
        assert state_of(bench, values["instance_id"]) == "running"
        regions = bench.world.state()["accounts"][bench.account]["regions"]
        group = regions[bench.where.region]["auto_scaling_groups"][GROUP]

        assert group["desired_capacity"] == 1
        lifecycles = {name: member["lifecycle"] for name, member in group["instances"].items()}
        assert lifecycles.pop(values["instance_id"]) == "Standby"
        assert list(lifecycles.values()) == ["InService"]


def test_hosts_of_one_group_that_leave_at_once_all_leave(open_world: OpenWorld) -> None:
    """Between look and call another host has left, and AWS refuses a smaller group: the next look decides."""
    with open_world() as bench:
        values = balanced(bench)
        attempt = bench.attempt(bench.registry.get("aws.autoscaling.enter-standby"), values)
        attempt.begin()
        scaling = bench.client("autoscaling")
        sent = attempt.sender.send

        def late(calls: object) -> None:
            scaling.update_auto_scaling_group(AutoScalingGroupName=GROUP, MinSize=1)
            sent(calls)  # type: ignore[arg-type]  # as it was given

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(attempt.sender), "send", lambda _, calls: late(calls))
            done = bench.finish(attempt)

        assert (done.outcome, done.verified) == (Outcome.APPLIED, True), done.reason
        assert [call.error for call in attempt.sender.sent] == ["ValidationError", ""]
