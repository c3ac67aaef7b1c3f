"""ECS: what is refused and why, what success is said of, and what the world's ECS does not promise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jmespath
import pytest

from gameday.world import World, containers
from gameday.world.content import Place
from irrunner.actions.contract import Act, Refused, Settled, Waiting
from irrunner.actions.ec2.groups import Group
from irrunner.actions.ec2.interfaces import Interface
from irrunner.actions.ecs.isolate import IsolateTask, IsolateTaskState
from irrunner.actions.ecs.protect import ProtectTask, ProtectTaskState
from irrunner.actions.ecs.scale import ScaleService, ScaleServiceState
from irrunner.actions.ecs.stop import StopTask, StopTaskState
from irrunner.actions.ecs.tasks import OneTask, describe_all, is_fargate
from irrunner.testing import FakeApi

TASK = "0123456789abcdef0123456789abcdef"
ARN = f"arn:aws:ecs:eu-central-1:111122223333:task/shop/{TASK}"
PARAMS = OneTask(cluster_name="shop", task_id=TASK)
ENI = Interface(network_interface_id="eni-1", vpc_id="vpc-1", group_ids=("sg-web",))
EMPTY = Group(group_id="sg-q")


def isolating(**more: Any) -> IsolateTaskState:
    """Return a state of isolation."""
    values = {"last_status": "RUNNING", "service_name": "", "interface": ENI, "quarantine": EMPTY, **more}
    return IsolateTaskState(task_arn=ARN, **values)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (isolating(interface=ENI.model_copy(update={"requester_managed": True})), "network ACL"),
        (isolating(interface=None), "container instance"),
        (isolating(last_status="STOPPED"), "nothing to isolate"),
    ],
)
def test_what_cannot_be_isolated_is_refused_with_a_way_out(state: IsolateTaskState, told: str) -> None:
    """ECS manages the interfaces of most tasks: better said in the plan than found at 03:00."""
    decision = IsolateTask().decide(PARAMS, state)

    assert isinstance(decision, Refused)
    assert told in decision.reason
    assert IsolateTask().foresee(PARAMS, state, "cut").outputs == {}


def test_a_task_is_isolated_only_in_a_group_that_is_read_as_empty() -> None:
    """A name proves nothing, and a list of rules that AWS does not show yet neither."""
    there = ENI.model_copy(update={"group_ids": ("sg-q",)})
    settled = IsolateTask().decide(PARAMS, isolating(interface=there, service_name="checkout"))
    unsure = IsolateTask().decide(
        PARAMS, isolating(interface=there, quarantine=EMPTY.model_copy(update={"unlisted": True}))
    )

    assert isinstance(settled, Settled)
    assert any("health checks" in warning for warning in settled.warnings)
    assert isinstance(unsure, Waiting)


def stopping(last: str, desired: str = "RUNNING", **more: Any) -> StopTaskState:
    """Return a state of stopping."""
    values = {"service_name": "", "fargate": True, **more}
    return StopTaskState(task_arn=ARN, last_status=last, desired_status=desired, **values)


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (stopping("RUNNING"), Act),
        (stopping("PENDING"), Act),
        (stopping("DEPROVISIONING", "STOPPED"), Waiting),
        (stopping("STOPPED", "STOPPED"), Settled),
    ],
)
def test_stopping_ends_with_stopped(state: StopTaskState, kind: type) -> None:
    """A task that is told to stop still runs for a while."""
    assert isinstance(StopTask().decide(PARAMS, state), kind)


def test_a_replacement_is_announced() -> None:
    """The same image starts again within a minute."""
    decision = StopTask().decide(PARAMS, stopping("STOPPED", "STOPPED", service_name="checkout"))

    assert isinstance(decision, Settled)
    assert any("replacement" in warning for warning in decision.warnings)


def protecting(**more: Any) -> ProtectTaskState:
    """Return a state of protection."""
    values = {
        "last_status": "RUNNING", "service_name": "checkout", "protected": False, "long_enough": False, **more
    }  # fmt: skip
    return ProtectTaskState(task_arn=ARN, **values)


def test_a_protection_that_ends_soon_is_extended() -> None:
    """Somebody's two hours are not enough for evidence."""
    params = ProtectTask.Params(cluster_name="shop", task_id=TASK)
    decision = ProtectTask().decide(params, protecting(protected=True))

    assert isinstance(decision, Act)
    assert decision.calls[0].params["expiresInMinutes"] == 2880


def test_a_protection_that_ecs_did_not_give_is_a_failure() -> None:
    """It says so in an answer that is no error."""
    params = ProtectTask.Params(cluster_name="shop", task_id=TASK)
    decision = ProtectTask().decide(params, protecting())
    answer = {"protectedTasks": [], "failures": [{"arn": ARN, "reason": "DEPLOYMENT_BLOCKED"}]}

    assert isinstance(decision, Act)
    assert jmespath.search(decision.calls[0].unprocessed, answer) == ["DEPLOYMENT_BLOCKED"]


def test_a_task_of_no_service_needs_no_protection() -> None:
    """ECS would answer with a failure that is no error; nothing scales such a task in anyway."""
    decision = ProtectTask().decide(
        ProtectTask.Params(cluster_name="shop", task_id=TASK), protecting(service_name="")
    )

    assert isinstance(decision, Refused)
    assert decision.nothing_to_do


def scaling(**more: Any) -> ScaleServiceState:
    """Return a state of scaling."""
    values = {
        "value": 3, "status": "ACTIVE", "scheduling": "REPLICA", "running": 3, "least": None, **more
    }  # fmt: skip
    return ScaleServiceState(target="arn:service", **values)


@pytest.mark.parametrize("change", [{"status": "DRAINING"}, {"scheduling": "DAEMON"}])
def test_services_without_a_count_are_refused(change: dict[str, str]) -> None:
    """ECS would refuse them too, but later and in other words."""
    params = ScaleService.Params(cluster_name="shop", service_name="checkout")

    assert isinstance(ScaleService().decide(params, scaling(**change)), Refused)


def test_scaling_says_what_still_runs_and_who_scales_out() -> None:
    """Zero desired is not zero running, and auto scaling has a will of its own."""
    params = ScaleService.Params(cluster_name="shop", service_name="checkout")
    decision = ScaleService().decide(params, scaling(value=0, running=2, least=1))

    assert isinstance(decision, Settled)
    assert len(decision.warnings) == 2


def test_tasks_are_described_a_hundred_at_a_time() -> None:
    """DescribeTasks takes no more; a cluster has thousands."""
    arns = [f"{ARN}{number}" for number in range(250)]
    api = FakeApi(
        {
            "ecs:ListTasks": lambda **_: {"taskArns": arns},
            "ecs:DescribeTasks": lambda **asked: {"tasks": [{"taskArn": arn} for arn in asked["tasks"]]},
        }
    )
    assert len(list(describe_all(api, "shop"))) == 250
    assert [len(asked["tasks"]) for name, asked in api.calls if name == "ecs:DescribeTasks"] == [100, 100, 50]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({"launchType": "FARGATE"}, True),
        ({"capacityProviderName": "FARGATE_SPOT"}, True),
        ({"launchType": "EC2"}, False),
        ({"capacityProviderName": "spare"}, False),
    ],
)
def test_fargate_is_known_by_type_or_provider(task: dict[str, str], expected: object) -> None:
    """Of a task on Fargate nothing is left after it has stopped."""
    assert is_fargate(task) is expected


@pytest.fixture
def shop() -> Iterator[tuple[World, Any, dict[str, Any]]]:
    """Open a world with a service of three tasks."""
    with World.build(seed=3) as world:
        member = world.organisation.members[0]
        built = containers.build_service(Place(member, world.region, 3), "shop", "checkout", tasks=3)
        yield world, world.client(member, "ecs"), built


def test_the_world_forgets_a_stopped_task(shop: tuple[World, Any, dict[str, Any]]) -> None:
    """It stops after a while, and an hour later it is MISSING in an answer that is no error."""
    world, ecs, built = shop
    asked = {"cluster": "shop", "tasks": built["task_ids"][:1]}
    ecs.stop_task(cluster="shop", task=asked["tasks"][0])

    assert ecs.describe_tasks(**asked)["tasks"][0]["lastStatus"] == "DEACTIVATING"
    world.advance(containers.STOPPING_S)
    assert ecs.describe_tasks(**asked)["tasks"][0]["lastStatus"] == "STOPPED"
    world.advance(3600)
    assert ecs.describe_tasks(**asked)["failures"][0]["reason"] == "MISSING"


def test_the_world_lets_protection_end(shop: tuple[World, Any, dict[str, Any]]) -> None:
    """Nobody is protected longer than was asked for."""
    world, ecs, built = shop
    asked = {"cluster": "shop", "tasks": built["task_ids"][:1]}
    ecs.update_task_protection(**asked, protectionEnabled=True, expiresInMinutes=10)

    assert ecs.get_task_protection(**asked)["protectedTasks"][0]["protectionEnabled"]
    world.advance(601)
    assert not ecs.get_task_protection(**asked)["protectedTasks"][0]["protectionEnabled"]
