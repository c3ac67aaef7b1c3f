"""What deregistration looks at: where the targets of an instance are registered. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, Final

from irrunner.actions.contract import Model, Permission, ReadApi
from irrunner.actions.ec2.interfaces import DESCRIBE_INTERFACES
from irrunner.errors import TargetNotFound

API_REFERENCE: Final = "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference"
TARGET_GROUPS: Final = "arn:{partition}:elasticloadbalancing:{region}:{account}:targetgroup/*"
OUTSIDE: Final = "all"
"""Availability Zone of a target outside the target group's VPC."""
DRAINING: Final = "draining"
"""State of a target on its way out; ``unhealthy.draining`` is one that is registered, and unhealthy."""
DELAY: Final = "deregistration_delay.timeout_seconds"
TERMINATION: Final = "deregistration_delay.connection_termination.enabled"
BY_CONNECTION: Final = frozenset({"HTTP", "HTTPS"})
"""Protocols whose load balancer closes what is still open when the delay is over."""
LOOK_AT_TARGETS: Final = (
    DESCRIBE_INTERFACES,
    Permission("elasticloadbalancing:DescribeTargetGroups"),
    Permission("elasticloadbalancing:DescribeTargetHealth"),
    Permission("elasticloadbalancing:DescribeTargetGroupAttributes"),
)


class Addresses(Model):
    """By what an instance may be a target."""

    instance_id: str
    vpc_id: str
    addresses: tuple[str, ...]
    """Primary and secondary, IPv4 and IPv6, of all interfaces; those of pods are among them."""
    prefixes: tuple[str, ...]
    """Delegated to its interfaces: a pod may have any address in them."""


class Target(Model):
    """An instance, or one of its addresses, on a port."""

    target_id: str
    port: int | None
    availability_zone: str = ""
    """Of an address, as AWS says it."""
    quic_server_id: str = ""
    draining: bool = False

    @property
    def label(self) -> str:
        """Return ``i-1:80``."""
        return self.target_id if self.port is None else f"{self.target_id}:{self.port}"


class TargetGroup(Model):
    """A target group of this Region, and the instance's targets in it."""

    arn: str
    name: str
    by_connection: bool = False
    """Whether its load balancer works by connection or request (ALB), not by flow."""
    targets: tuple[Target, ...] = ()
    delay_s: int | None = None
    """How long a target drains; None: not asked for, or not told."""
    cuts_flows: bool = False
    """Whether what is open ends when the delay is over."""
    look_alikes: tuple[str, ...] = ()
    """Targets outside the target group's VPC with an address that this instance has too."""

    @property
    def registered(self) -> tuple[Target, ...]:
        """Return the targets that are not on their way out."""
        return tuple(target for target in self.targets if not target.draining)

    @property
    def draining(self) -> tuple[Target, ...]:
        """Return the targets that are on their way out."""
        return tuple(target for target in self.targets if target.draining)


def addresses_of(api: ReadApi, instance: Mapping[str, Any]) -> Addresses:
    """Return everything that may stand for an instance in a target group."""
    described = api.pages(
        "ec2:DescribeNetworkInterfaces",
        "NetworkInterfaces[]",
        Filters=[{"Name": "attachment.instance-id", "Values": [instance["InstanceId"]]}],
    )
    found = {text for raw in described for text in _each_address(raw)}
    prefixes = {text for raw in described for text in _each_prefix(raw)}
    return Addresses(
        instance_id=instance["InstanceId"],
        vpc_id=instance.get("VpcId") or "",
        addresses=tuple(sorted(found)),
        prefixes=tuple(sorted(prefixes)),
    )


def target_groups_of(api: ReadApi, who: Addresses) -> tuple[TargetGroup, ...]:
    """Return every target group that may have instances or addresses, sorted; without those that just went.

    Source: DescribeTargetHealth lists the registered and the draining targets; it has no pages.
    """
    described = api.pages("elbv2:DescribeTargetGroups", "TargetGroups[]")
    fitting = (raw for raw in described if _may_have(who, raw))
    found = (_look_at(api, who, raw) for raw in fitting)
    return tuple(sorted((group for group in found if group), key=lambda group: group.arn))


def _may_have(who: Addresses, raw: Mapping[str, Any]) -> bool:
    """Return whether a target group can have the instance: by id within its VPC only."""
    kind = raw.get("TargetType", "instance")
    return kind == "ip" or (kind == "instance" and raw.get("VpcId") == who.vpc_id)


def _look_at(api: ReadApi, who: Addresses, raw: Mapping[str, Any]) -> TargetGroup | None:
    arn = raw["TargetGroupArn"]
    try:
        health = api.pages("elbv2:DescribeTargetHealth", "TargetHealthDescriptions[]", TargetGroupArn=arn)
        known = [(_target(item), item) for item in health]
        within = raw.get("VpcId") == who.vpc_id
        own = [target for target, _ in known if _is_own(who, target, within_vpc=within)]
        attributes = _attributes(api, arn) if own else {}
    except TargetNotFound:
        return None
    by_connection = raw.get("Protocol") in BY_CONNECTION
    return TargetGroup(
        arn=arn,
        name=raw["TargetGroupName"],
        by_connection=by_connection,
        targets=tuple(sorted(own, key=lambda target: (target.target_id, target.port or 0))),
        delay_s=int(attributes[DELAY]) if DELAY in attributes else None,
        cuts_flows=by_connection or attributes.get(TERMINATION) == "true",
        look_alikes=tuple(
            target.label for target, _ in known if target not in own and _has(who, target.target_id)
        ),
    )


def _target(raw: Mapping[str, Any]) -> Target:
    target, health = raw["Target"], raw.get("TargetHealth") or {}
    return Target(
        target_id=target["Id"],
        port=target.get("Port"),
        availability_zone=target.get("AvailabilityZone") or "",
        quic_server_id=target.get("QuicServerId") or "",
        draining=health.get("State") == DRAINING,
    )


def _is_own(who: Addresses, target: Target, *, within_vpc: bool) -> bool:
    if target.target_id == who.instance_id:
        return True
    return within_vpc and target.availability_zone != OUTSIDE and _has(who, target.target_id)


def _has(who: Addresses, target_id: str) -> bool:
    try:
        address = ip_address(target_id)
    except ValueError:
        return False
    blocks = (*who.addresses, *who.prefixes)
    return any(address in ip_network(block, strict=False) for block in blocks)


def _attributes(api: ReadApi, arn: str) -> dict[str, str]:
    answer = api.call("elbv2:DescribeTargetGroupAttributes", TargetGroupArn=arn)
    return {item["Key"]: str(item.get("Value")) for item in answer.get("Attributes", ())}


def _each_address(raw: Mapping[str, Any]) -> Iterator[str]:
    for item in raw.get("PrivateIpAddresses") or ():
        yield item["PrivateIpAddress"]
    for item in raw.get("Ipv6Addresses") or ():
        yield item["Ipv6Address"]


def _each_prefix(raw: Mapping[str, Any]) -> Iterator[str]:
    for item in raw.get("Ipv4Prefixes") or ():
        yield item["Ipv4Prefix"]
    for item in raw.get("Ipv6Prefixes") or ():
        yield item["Ipv6Prefix"]
