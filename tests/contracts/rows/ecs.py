"""ECS tasks and services: describe, isolate, protect, stop, scale."""

from __future__ import annotations

from typing import Any

from gameday.world import containers, seam
from gameday.world.content import Place
from tests.contracts.bench import Bench
from tests.contracts.row import Row, Values

CLUSTER, SERVICE = "shop", "checkout"


def service(bench: Bench) -> dict[str, Any]:
    """A service of three tasks, whose interfaces ECS lets us change."""
    place = Place(bench.account, bench.where.region, 7)
    return containers.build_service(place, CLUSTER, SERVICE, tasks=3, managed=False)


def task(bench: Bench) -> Values:
    """The first task of the service."""
    return {"cluster_name": CLUSTER, "task_id": service(bench)["task_ids"][0]}


def to_zero(bench: Bench) -> Values:
    """The service, scaled."""
    service(bench)
    bench.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="ecs", ResourceId=f"service/{CLUSTER}/{SERVICE}",
        ScalableDimension="ecs:service:DesiredCount", MinCapacity=1, MaxCapacity=9,
    )  # fmt: skip
    return {"cluster_name": CLUSTER, "service_name": SERVICE}


def quarantined(bench: Bench) -> Values:
    """The task, in a VPC that has a quarantine group into which somebody has put a rule."""
    values = task(bench)
    ec2 = bench.client("ec2")
    vpc_id = vpc_of(bench, values)
    name = f"irrunner-quarantine-{vpc_id}"
    made = ec2.create_security_group(GroupName=name, Description="ours", VpcId=vpc_id)
    bench.world.act(
        "allow-ingress", account=bench.account, region=bench.where.region,
        security_group_id=made["GroupId"], cidr="0.0.0.0/0", port=22,
    )  # fmt: skip
    return values


def interface_of(bench: Bench, values: Values) -> str:
    """The interface of the task."""
    ecs = seam.backend("ecs", bench.account, bench.where.region)
    found = next(known for arn, known in ecs.tasks[CLUSTER].items() if arn.endswith(values["task_id"]))
    details = {detail["name"]: detail["value"] for detail in found.attachments[0]["details"]}
    return str(details["networkInterfaceId"])


def vpc_of(bench: Bench, values: Values) -> str:
    """The network of the task."""
    return str(seam.ec2(bench.account, bench.where.region).enis[interface_of(bench, values)].vpc_id)


def erase_task(bench: Bench, values: Values) -> None:
    """An hour after its end ECS has forgotten the task."""
    ecs = seam.backend("ecs", bench.account, bench.where.region)
    arns = [arn for arn in ecs.tasks[CLUSTER] if arn.endswith(values["task_id"])]
    for arn in arns:
        del ecs.tasks[CLUSTER][arn]


def erase_service(bench: Bench, values: Values) -> None:
    """Somebody deletes the service."""
    del seam.backend("ecs", bench.account, bench.where.region).services[f"{CLUSTER}:{SERVICE}"]


def move_task(bench: Bench, values: Values) -> None:
    """Somebody puts the interface of the task into the default group of its network."""
    backend = seam.ec2(bench.account, bench.where.region)
    default = backend.get_default_security_group(vpc_of(bench, values))
    bench.world.act(
        "set-interface-groups", account=bench.account, region=bench.where.region,
        network_interface_id=interface_of(bench, values), security_group_ids=[default.id],
    )  # fmt: skip


def scale_out(bench: Bench, values: Values) -> None:
    """Auto scaling starts tasks again."""
    ecs = seam.backend("ecs", bench.account, bench.where.region)
    ecs.services[f"{CLUSTER}:{SERVICE}"].desired_count = 1


ROWS = (
    Row("aws.ecs.describe-task", task, erase_task),
    Row(
        "aws.ecs.isolate-task", task, erase_task, drift=move_task,
        operations=(
            "ec2:CreateSecurityGroup", "ec2:RevokeSecurityGroupEgress", "ec2:ModifyNetworkInterfaceAttribute",
        ),
    ),
    Row(
        "aws.ecs.isolate-task", quarantined, erase_task, drift=move_task, name="tampered-group",
        operations=(
            "ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress",
            "ec2:ModifyNetworkInterfaceAttribute",
        ),
    ),
    Row("aws.ecs.protect-task", task, erase_task, operations=("ecs:UpdateTaskProtection",)),
    Row("aws.ecs.stop-task", task, erase_task, operations=("ecs:StopTask",)),
    Row(
        "aws.ecs.scale-service", to_zero, erase_service,
        operations=("ecs:UpdateService",), drift=scale_out,
    ),
)  # fmt: skip
