"""What there is of a workstation: its network, its instance, the disks made from evidence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from irrunner.actions.contract import Model, ReadApi
from irrunner.actions.ebs.snapshots import MARKER_TAG, tags_of
from irrunner.errors import TargetNotFound

WORKSTATION_TAG: Final = "irrunner:workstation"
"""``true`` on the instance and its disks, and on the subnet and security group that workstations take."""
SNAPSHOT_TAG: Final = "irrunner:source-snapshot"

WAYS_OUT: Final = ("igw-", "eigw-", "nat-", "i-", "eni-")
"""Targets of routes that lead, or may lead, to the internet."""
WAYS_ELSEWHERE: Final = ("tgw-", "pcx-", "vgw-", "lgw-", "cagw-")
"""Targets of routes into other networks."""
_TARGETS: Final = (
    "GatewayId", "NatGatewayId", "EgressOnlyInternetGatewayId", "TransitGatewayId", "InstanceId",
    "NetworkInterfaceId", "VpcPeeringConnectionId", "LocalGatewayId", "CarrierGatewayId",
)  # fmt: skip
_NOT_PLAIN: Final = re.compile(r"[^a-zA-Z0-9/_.:-]")


class Network(Model):
    """The subnet, and where its routes lead."""

    subnet_id: str
    vpc_id: str
    zone: str
    group_ids: tuple[str, ...]
    ways_out: tuple[str, ...]
    ways_elsewhere: tuple[str, ...]


class Disk(Model):
    """A volume that was made from a snapshot of evidence."""

    volume_id: str
    snapshot_id: str
    state: str
    device: str = ""
    attached_to: str = ""
    attachment: str = ""


class Machine(Model):
    """The instance."""

    instance_id: str
    state: str
    marker: str = ""
    ours: bool = False
    imds_v2_only: bool = False
    public_ip: str = ""
    subnet_id: str = ""
    devices: tuple[str, ...] = ()


def marker_filter(marker: str) -> dict[str, Any]:
    """Return the filter that finds what carries a marker; its brackets would be patterns."""
    return {"Name": f"tag:{MARKER_TAG}", "Values": [_NOT_PLAIN.sub("?", marker)]}


def disks_of(api: ReadApi, marker: str) -> tuple[Disk, ...]:
    """Return the disks of evidence that carry a marker, by snapshot."""
    found = api.pages("ec2:DescribeVolumes", "Volumes", Filters=[marker_filter(marker)])
    disks = (
        _disk(volume) for volume in found
        if tags_of(volume).get(MARKER_TAG) == marker and tags_of(volume).get(SNAPSHOT_TAG)
    )  # fmt: skip
    return tuple(sorted(disks, key=lambda disk: (disk.snapshot_id, disk.volume_id)))


def _disk(volume: Mapping[str, Any]) -> Disk:
    attachment: Mapping[str, Any] = next(iter(volume.get("Attachments") or ()), {})
    return Disk(
        volume_id=volume["VolumeId"],
        snapshot_id=tags_of(volume)[SNAPSHOT_TAG],
        state=volume.get("State") or "creating",
        device=attachment.get("Device") or "",
        attached_to=attachment.get("InstanceId") or "",
        attachment=attachment.get("State") or "",
    )


def machine_of(instance: Mapping[str, Any]) -> Machine:
    """Return the workstation of a described instance."""
    tags = tags_of(instance)
    return Machine(
        instance_id=instance["InstanceId"],
        state=(instance.get("State") or {}).get("Name") or "pending",
        marker=tags.get(MARKER_TAG, ""),
        ours=tags.get(WORKSTATION_TAG) == "true",
        imds_v2_only=(instance.get("MetadataOptions") or {}).get("HttpTokens") == "required",
        public_ip=instance.get("PublicIpAddress") or "",
        subnet_id=instance.get("SubnetId") or "",
        devices=tuple(
            sorted(item.get("DeviceName") or "" for item in instance.get("BlockDeviceMappings") or ())
        ),
    )


def network_of(api: ReadApi, subnet_id: str | None, group_id: str | None) -> Network:
    """Return the network of a workstation: what is named, else what carries the tag.

    Raises:
        TargetNotFound: If there is no such subnet or security group.
    """
    subnet = _one(api, "Subnets", "subnet-id", subnet_id)
    groups = [_one(api, "SecurityGroups", "group-id", group_id, VpcId=subnet["VpcId"])["GroupId"]]
    routes = _routes(api, subnet)
    targets = sorted({target for route in routes if (target := _target(route))})
    return Network(
        subnet_id=subnet["SubnetId"],
        vpc_id=subnet["VpcId"],
        zone=subnet["AvailabilityZone"],
        group_ids=tuple(groups),
        ways_out=tuple(target for target in targets if target.startswith(WAYS_OUT)),
        ways_elsewhere=tuple(target for target in targets if target.startswith(WAYS_ELSEWHERE)),
    )


def _one(api: ReadApi, path: str, by: str, named: str | None, **match: str) -> Mapping[str, Any]:
    wanted = (
        {"Name": by, "Values": [named]} if named else {"Name": f"tag:{WORKSTATION_TAG}", "Values": ["true"]}
    )
    found = api.pages(f"ec2:Describe{path}", path, Filters=[wanted])
    fitting = [item for item in found if all(item.get(name) == value for name, value in match.items())]
    if not fitting:
        what = named or f"one of {path} with the tag {WORKSTATION_TAG}=true"
        raise TargetNotFound(f"the forensic account has not {what}", hint="make it, or name another")
    chosen: Mapping[str, Any] = min(fitting, key=lambda item: str(sorted(item.items(), key=str)))
    return chosen


def _routes(api: ReadApi, subnet: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the routes of a subnet: of its own table, else of the network's main table."""
    for name, value in (
        ("association.subnet-id", subnet["SubnetId"]),
        ("vpc-id", subnet["VpcId"]),
    ):
        tables = api.pages(
            "ec2:DescribeRouteTables", "RouteTables", Filters=[{"Name": name, "Values": [value]}]
        )
        own = [table for table in tables if name != "vpc-id" or _is_main(table)]
        if own:
            return [route for table in own for route in table.get("Routes") or ()]
    return []


def _is_main(table: Mapping[str, Any]) -> bool:
    return any(item.get("Main") for item in table.get("Associations") or ())


def _target(route: Mapping[str, Any]) -> str:
    if route.get("State") == "blackhole":
        return ""
    return next((str(route[name]) for name in _TARGETS if route.get(name)), "")
