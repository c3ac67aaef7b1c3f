"""``aws.ec2.describe-instance``: the facts on which playbooks decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from irrunner.actions.contract import (
    Action,
    Decision,
    LookContext,
    Model,
    Permission,
    ReadApi,
    Settled,
    State,
    Where,
)
from irrunner.actions.ec2.instances import (
    API_REFERENCE,
    DESCRIBE_INSTANCES,
    OneInstance,
    auto_scaling_group,
    describe_instance,
    is_spot,
    state_of,
    tags_of,
)
from irrunner.actions.ec2.profile import DESCRIBE_ASSOCIATIONS, Association, associations_of
from irrunner.actions.registry import action
from irrunner.errors import ActionDenied, InvalidCall, TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

UNANSWERED = (ActionDenied, InvalidCall, TargetNotFound)
"""Why a fact beside the instance's own may stay unknown without failing the description."""


class InstanceFacts(Model):
    """Outputs. What does not exist is None, or empty."""

    instance_id: str
    state: str
    vpc_id: str | None
    subnet_id: str | None
    availability_zone: str | None
    private_ip: str | None
    public_ip: str | None
    ipv6: bool
    image_id: str | None
    instance_type: str
    platform: str
    """``linux`` or ``windows``."""
    launch_time: datetime
    network_interface_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]
    """Of all interfaces, sorted."""
    volume_ids: tuple[str, ...]
    instance_profile_arn: str | None
    role_name: str | None
    """Role of the instance profile; None where there is none, or it cannot be read (a warning says so)."""
    association_id: str | None
    tags: dict[str, str]
    auto_scaling_group: str | None
    is_spot: bool
    has_instance_store: bool
    """Whether it may have volumes that no snapshot can keep."""


class DescribeState(State):
    """What was seen."""

    facts: InstanceFacts
    unknown: tuple[str, ...] = ()
    """What could not be read, and why."""


@action(
    "aws.ec2.describe-instance",
    title="Describe an instance: network, volumes, role, tags",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=(
        DESCRIBE_INSTANCES,
        DESCRIBE_ASSOCIATIONS,
        Permission("ec2:DescribeInstanceTypes"),
        Permission("iam:GetInstanceProfile", "arn:{partition}:iam::{account}:instance-profile/*"),
        Permission("iam:ListInstanceProfiles"),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="Reads only: there is nothing to undo.",
    sources=(
        f"{API_REFERENCE}/API_DescribeInstances.html",
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetInstanceProfile.html",
    ),
)
class DescribeInstance(Action[OneInstance, DescribeState]):
    """Read an instance, its profile association, and the role behind it."""

    Params = OneInstance
    Outputs = InstanceFacts
    StateModel = DescribeState

    def look(self, ctx: LookContext, params: OneInstance) -> DescribeState:
        """Read the facts; only the instance itself must be readable."""
        instance = describe_instance(ctx.api, params.instance_id)
        association = _association(ctx.api, params.instance_id)
        profile = (
            association.profile_arn if association else (instance.get("IamInstanceProfile") or {}).get("Arn")
        )
        role, role_problem = _role(ctx.api, profile)
        store, store_problem = _instance_store(ctx.api, instance)
        own = _facts(instance)
        facts = InstanceFacts(
            **own,
            instance_profile_arn=profile,
            role_name=role,
            association_id=association.association_id if association else None,
            has_instance_store=store,
        )
        return DescribeState(facts=facts, unknown=tuple(filter(None, (role_problem, store_problem))))

    def decide(self, params: OneInstance, state: DescribeState) -> Decision:
        """Nothing is ever to be done."""
        return Settled(state.facts, state.unknown)

    def targets(self, params: OneInstance, where: Where) -> tuple[str, ...]:
        """Return nothing: it changes nothing."""
        return ()


def _facts(instance: Mapping[str, Any]) -> dict[str, Any]:
    interfaces = instance.get("NetworkInterfaces") or []
    return {
        "instance_id": instance["InstanceId"],
        "state": state_of(instance),
        "vpc_id": instance.get("VpcId") or None,
        "subnet_id": instance.get("SubnetId") or None,
        "availability_zone": (instance.get("Placement") or {}).get("AvailabilityZone"),
        "private_ip": instance.get("PrivateIpAddress") or None,
        "public_ip": instance.get("PublicIpAddress") or None,
        "ipv6": any(interface.get("Ipv6Addresses") for interface in interfaces),
        "image_id": instance.get("ImageId") or None,
        "instance_type": instance.get("InstanceType", ""),
        "platform": str(instance.get("Platform") or "linux").lower(),
        "launch_time": instance["LaunchTime"],
        "network_interface_ids": tuple(sorted(interface["NetworkInterfaceId"] for interface in interfaces)),
        "security_group_ids": _group_ids(
            (instance, "SecurityGroups"), *((item, "Groups") for item in interfaces)
        ),
        "volume_ids": tuple(_volume_ids(instance)),
        "tags": tags_of(instance),
        "auto_scaling_group": auto_scaling_group(instance) or None,
        "is_spot": is_spot(instance),
    }


def _group_ids(*holders: tuple[Mapping[str, Any], str]) -> tuple[str, ...]:
    return tuple(sorted({group["GroupId"] for holder, field in holders for group in holder.get(field) or ()}))


def _volume_ids(instance: Mapping[str, Any]) -> Iterator[str]:
    for mapping in instance.get("BlockDeviceMappings") or ():
        if "VolumeId" in mapping.get("Ebs", {}):
            yield mapping["Ebs"]["VolumeId"]


def _association(api: ReadApi, instance_id: str) -> Association | None:
    live = [item for item in associations_of(api, instance_id) if item.state != "disassociating"]
    return live[0] if live else None


def _role(api: ReadApi, profile_arn: str | None) -> tuple[str | None, str]:
    """Return the role's name and why it is unknown: by the profile's name, else by its ARN in the list."""
    if not profile_arn:
        return None, ""
    name = profile_arn.rsplit("/", 1)[-1]
    try:
        profiles = [api.call("iam:GetInstanceProfile", InstanceProfileName=name)["InstanceProfile"]]
    except UNANSWERED as problem:
        profiles, problem_text = _listed(api), problem.message
    else:
        problem_text = ""
    return _role_in(profiles, profile_arn, problem_text)


def _listed(api: ReadApi) -> list[Mapping[str, Any]]:
    try:
        return api.pages("iam:ListInstanceProfiles", "InstanceProfiles[]")
    except UNANSWERED:
        return []


def _role_in(profiles: Iterable[Mapping[str, Any]], profile_arn: str, problem: str) -> tuple[str | None, str]:
    for profile in profiles:
        if profile["Arn"] == profile_arn:
            roles = [str(role["RoleName"]) for role in profile.get("Roles") or ()]
            return (roles[0], "") if roles else (None, f"the instance profile {profile_arn} has no role")
    why = problem or "a profile of that name was made anew"
    return None, f"the role behind {profile_arn} is unknown: {why}"


def _instance_store(api: ReadApi, instance: Mapping[str, Any]) -> tuple[bool, str]:
    if instance.get("RootDeviceType") == "instance-store":
        return True, ""
    kind = instance.get("InstanceType", "")
    try:
        types = api.call("ec2:DescribeInstanceTypes", InstanceTypes=[kind])["InstanceTypes"]
    except UNANSWERED as problem:
        return False, f"whether {kind} has instance-store volumes is unknown: {problem.message}"
    return any(found.get("InstanceStorageSupported") for found in types), ""
