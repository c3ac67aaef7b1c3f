"""Network interfaces of an instance: what they are, and the calls that change their groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from irrunner.actions.contract import Call, Model, Permission, Read, ReadApi, Token
from irrunner.actions.ec2.instances import INSTANCE, tags_of

INTERFACES: Final = "arn:{partition}:ec2:{region}:{account}:network-interface/*"
GROUPS: Final = "arn:{partition}:ec2:{region}:{account}:security-group/*"
PRIOR_GROUPS: Final = "irrunner:prior-groups"
"""Tag of an interface: its groups before isolation, separated by spaces."""
TAG_VALUE_CHARACTERS: Final = 256
DESCRIBE_INTERFACES: Final = Permission("ec2:DescribeNetworkInterfaces")
MODIFY = "ec2:ModifyNetworkInterfaceAttribute"
MOVE_INTERFACES = tuple(
    Permission(MODIFY, resource, use=use)
    for use in ("act", "undo")
    for resource in (INTERFACES, GROUPS, INSTANCE)
)


class Interface(Model):
    """A network interface of an instance."""

    network_interface_id: str
    vpc_id: str
    group_ids: tuple[str, ...]
    """Sorted."""
    kind: str = "interface"
    """AWS's InterfaceType: ``interface``, ``trunk``, ``efa`` ..."""
    requester_managed: bool = False
    """An AWS service made it and refuses changes by us."""
    public: bool = False
    ipv6: bool = False
    prior_group_ids: tuple[str, ...] = ()
    """Groups before isolation as recorded in the interface's tag; sorted, empty if there is no record."""


def interfaces_of(api: ReadApi, instance_id: str) -> tuple[Interface, ...]:
    """Return every interface attached to an instance, sorted by id.

    Source: DescribeNetworkInterfaces, filter ``attachment.instance-id``. DescribeInstances lists the
    same interfaces, but not which of them AWS services manage.
    """
    return _found(api, "attachment.instance-id", [instance_id])


def interfaces_named(api: ReadApi, interface_ids: list[str]) -> tuple[Interface, ...]:
    """Return the interfaces of these ids that exist, sorted by id."""
    return _found(api, "network-interface-id", interface_ids) if interface_ids else ()


def _found(api: ReadApi, name: str, values: list[str]) -> tuple[Interface, ...]:
    filters = [{"Name": name, "Values": values}]
    described = api.pages("ec2:DescribeNetworkInterfaces", "NetworkInterfaces[]", Filters=filters)
    found = (_interface(raw) for raw in described)
    return tuple(sorted(found, key=lambda interface: interface.network_interface_id))


def _interface(raw: Mapping[str, Any]) -> Interface:
    recorded = tags_of(raw, "TagSet").get(PRIOR_GROUPS, "")
    return Interface(
        network_interface_id=raw["NetworkInterfaceId"],
        vpc_id=raw["VpcId"],
        group_ids=tuple(sorted(group["GroupId"] for group in raw.get("Groups") or ())),
        kind=raw.get("InterfaceType") or "interface",
        requester_managed=bool(raw.get("RequesterManaged")),
        public=bool((raw.get("Association") or {}).get("PublicIp")),
        ipv6=bool(raw.get("Ipv6Addresses")),
        prior_group_ids=tuple(sorted(recorded.split())),
    )


def group_footprint(interfaces: Iterable[Interface]) -> dict[str, list[str]]:
    """Return interface id to its groups."""
    return {interface.network_interface_id: list(interface.group_ids) for interface in interfaces}


def movable(interfaces: Iterable[Interface]) -> tuple[Interface, ...]:
    """Return the interfaces whose groups may be changed."""
    return tuple(interface for interface in interfaces if not interface.requester_managed)


def move(interface_id: str, before: Iterable[object], groups: Iterable[str | Token], why: str) -> Call:
    """Return the call that sets an interface's groups."""
    wanted = list(groups)
    return Call(
        MODIFY,
        {"NetworkInterfaceId": interface_id, "Groups": wanted},
        target=interface_id,
        summary=f"{why}: {', '.join(str(group) for group in wanted)}",
        before=[str(group) for group in before],
        after=[str(group) for group in wanted],
    )


def still_there(group_ids: Iterable[str]) -> Read:
    """Return the read that fails, naming the group, if one of them was deleted.

    Source: DescribeSecurityGroups, ``InvalidGroup.NotFound`` for an unknown id (a filter finds nothing).
    """
    return Read("ec2:DescribeSecurityGroups", {"GroupIds": list(group_ids)}, {})


def forget_prior_groups(interface_id: str) -> Call:
    """Return the call that takes the record of an interface's prior groups off."""
    return Call(
        "ec2:DeleteTags",
        {"Resources": [interface_id], "Tags": [{"Key": PRIOR_GROUPS}]},
        target=interface_id,
        summary=f"Take the tag {PRIOR_GROUPS} off {interface_id}",
        optional=True,
    )


def record_prior_groups(interface: Interface) -> Call:
    """Return the call that keeps an interface's groups in its tag, for a release without a journal."""
    groups = " ".join(interface.group_ids)
    return Call(
        "ec2:CreateTags",
        {"Resources": [interface.network_interface_id], "Tags": [{"Key": PRIOR_GROUPS, "Value": groups}]},
        target=interface.network_interface_id,
        summary=f"Record the groups of {interface.network_interface_id} in its tag {PRIOR_GROUPS}",
        before=" ".join(interface.prior_group_ids) or None,
        after=groups,
        optional=True,
    )
