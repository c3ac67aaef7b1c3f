"""What the EC2 actions look at: an instance. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from irrunner.actions.contract import Model, Permission, ReadApi, Where
from irrunner.actions.ids import InstanceId
from irrunner.errors import TargetNotFound

USER_GUIDE: Final = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide"
API_REFERENCE: Final = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference"

INSTANCE: Final = "arn:{partition}:ec2:{region}:{account}:instance/{instance_id}"

ENDING: Final = frozenset({"shutting-down", "terminated"})
"""States from which an instance does not come back."""
AUTO_SCALING_GROUP: Final = "aws:autoscaling:groupName"

DESCRIBE_INSTANCES: Final = Permission("ec2:DescribeInstances")


class OneInstance(Model):
    """Parameters of an action on one instance."""

    instance_id: InstanceId


def describe_instance(api: ReadApi, instance_id: str) -> Mapping[str, Any]:
    """Return EC2's description of one instance.

    Raises:
        TargetNotFound: If there is none in this account and Region.
    """
    answer = api.call("ec2:DescribeInstances", InstanceIds=[instance_id])
    for reservation in answer.get("Reservations", ()):
        for instance in reservation.get("Instances", ()):
            return dict(instance)
    raise TargetNotFound(f"no instance {instance_id} here", hint="check the account and the Region")


def state_of(instance: Mapping[str, Any]) -> str:
    """Return the name of an instance's state, ``running``."""
    return str(instance["State"]["Name"])


def is_spot(instance: Mapping[str, Any]) -> bool:
    """Return whether it is a Spot Instance, which cannot be protected from termination."""
    return instance.get("InstanceLifecycle") == "spot"


def tags_of(resource: Mapping[str, Any], field: str = "Tags") -> dict[str, str]:
    """Return the tags of a described resource as a mapping."""
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in resource.get(field) or ()}


def instance_arn(where: Where, instance_id: str) -> str:
    """Return the ARN of an instance of the incident's account and Region."""
    return f"arn:{where.partition}:ec2:{where.region}:{where.account_id}:instance/{instance_id}"


def auto_scaling_group(instance: Mapping[str, Any]) -> str:
    """Return the Auto Scaling group that an instance belongs to, or empty text."""
    return tags_of(instance).get(AUTO_SCALING_GROUP, "")


def auto_scaling_warning(group: str, instance_id: str) -> Iterator[str]:
    """Yield the warning that a group terminates what looks unhealthy, if there is a group.

    Source: EC2 user guide, "Change instance termination protection", considerations.
    """
    if group:
        yield (
            f"Auto Scaling group {group} may terminate {instance_id} as unhealthy, whatever protects it, "
            "unless it is in Standby (aws.autoscaling.enter-standby) or its processes are suspended "
            "(aws.autoscaling.suspend-processes)"
        )
