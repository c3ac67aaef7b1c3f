"""Which workload a role session is of: never by its name alone, which whoever assumes the role chooses.

A name points at an instance, a function or a task; the pointer counts only where AWS describes that very
thing and it has that very role.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

from irrunner.actions.contract import LookContext, Model, Permission
from irrunner.actions.iam.caller import Caller
from irrunner.actions.iam.documents import Document
from irrunner.actions.iam.role_users import Role, other_principals
from irrunner.errors import ActionDenied, InvalidCall, TargetNotFound

INSTANCE: Final = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")
TASK: Final = re.compile(r"[0-9a-f]{32}")
FUNCTION: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
MOST_CLUSTERS: Final = 20
PERMISSIONS: Final = (
    Permission("ec2:DescribeInstances"),
    Permission("lambda:GetFunctionConfiguration", "arn:{partition}:lambda:{region}:{account}:function:*"),
    Permission("ecs:ListClusters"),
    Permission("ecs:DescribeTasks", "arn:{partition}:ecs:{region}:{account}:task/*"),
    Permission("ecs:DescribeTaskDefinition"),
)
WorkloadKind: TypeAlias = Literal["instance-role", "function-role", "task-role"]
SERVICES: Final[Mapping[str, WorkloadKind]] = {
    "ec2.amazonaws.com": "instance-role",
    "lambda.amazonaws.com": "function-role",
    "ecs-tasks.amazonaws.com": "task-role",
}


class Workload(Model):
    """What the session's name points at, where AWS confirms it."""

    kind: WorkloadKind | None = None
    """None: no workload was confirmed."""
    instance_id: str = ""
    function_name: str = ""
    task_arn: str = ""
    note: str = ""


def workload_of(ctx: LookContext, caller: Caller, role: Role, instance_profiles: frozenset[str]) -> Workload:
    """Find the workload of a session of a role; none where somebody else could have named his session so."""
    found = _pointed_at(ctx, caller, role, instance_profiles)
    if found.kind is None or _only_it(role.trust, caller, found.kind):
        return found
    return Workload(
        note=f"{caller.session_name} has the role {role.role_name}, but others may assume it too, and call"
        " their session so: a person must confirm it"
    )


def _pointed_at(ctx: LookContext, caller: Caller, role: Role, profiles: frozenset[str]) -> Workload:
    name, trusted = caller.session_name, set(other_principals(role.trust))
    if INSTANCE.fullmatch(name):
        return _instance(ctx, caller, role, profiles)
    if "ecs-tasks.amazonaws.com" in trusted and TASK.fullmatch(name):
        task = _task(ctx, name, role.role_arn)
        return Workload(kind="task-role", task_arn=task) if task else Workload()
    if "lambda.amazonaws.com" in trusted and FUNCTION.fullmatch(name):
        return _function(ctx, caller, role)
    return Workload()


def _only_it(trust: Document, caller: Caller, kind: WorkloadKind) -> bool:
    """Return whether AWS says that a service asked for the session, or only this one may assume the role.

    Of two services one may be made to call its session as an intruder likes: by a function's name.
    """
    if caller.on_instance or caller.service:
        return True
    own = {service for service, name in SERVICES.items() if name == kind}
    return set(other_principals(trust)) <= own


def _instance(ctx: LookContext, caller: Caller, role: Role, profiles: frozenset[str]) -> Workload:
    name = caller.session_name
    try:
        found = ctx.api.pages("ec2:DescribeInstances", "Reservations[].Instances[]", InstanceIds=[name])
    except (TargetNotFound, InvalidCall):
        found = []
    arns = {(instance.get("IamInstanceProfile") or {}).get("Arn") for instance in found}
    if arns & profiles:
        return Workload(kind="instance-role", instance_id=name)
    if caller.on_instance:
        note = (
            f"AWS says that an instance got the session, but {name} does not have {role.role_name} (any more)"
        )
        return Workload(kind="instance-role", note=note)
    why = f"does not have the role {role.role_name}" if found else f"is not in {ctx.where.region}"
    return Workload(note=f"the session calls itself {name}, but that instance {why}: the name is a claim")


def _function(ctx: LookContext, caller: Caller, role: Role) -> Workload:
    name = caller.session_name
    try:
        found = ctx.api.call("lambda:GetFunctionConfiguration", FunctionName=name)
    except (TargetNotFound, InvalidCall):
        return Workload(note=f"the session calls itself {name}, but there is no such function")
    except ActionDenied:
        return Workload(note=f"whether {name} is a function with the role is not known: access denied")
    if found.get("Role") != role.role_arn:
        return Workload(note=f"the session calls itself {name}, but that function has another role")
    return Workload(kind="function-role", function_name=name)


def _task(ctx: LookContext, task_id: str, role_arn: str) -> str:
    """Return the ARN of the task of this id that has the role, empty where there is none."""
    try:
        return next((arn for arn, role in _tasks(ctx, task_id) if role == role_arn), "")
    except ActionDenied:
        return ""


def _tasks(ctx: LookContext, task_id: str) -> Iterator[tuple[str, str]]:
    for cluster in ctx.api.pages("ecs:ListClusters", "clusterArns")[:MOST_CLUSTERS]:
        try:
            found = ctx.api.call("ecs:DescribeTasks", cluster=cluster, tasks=[task_id])
        except (TargetNotFound, InvalidCall):
            continue
        for task in found.get("tasks") or []:
            overridden = (task.get("overrides") or {}).get("taskRoleArn")
            yield task["taskArn"], overridden or _role_of_definition(ctx, task["taskDefinitionArn"])


def _role_of_definition(ctx: LookContext, arn: str) -> str:
    found = ctx.api.call("ecs:DescribeTaskDefinition", taskDefinition=arn)
    return str(found["taskDefinition"].get("taskRoleArn") or "")
