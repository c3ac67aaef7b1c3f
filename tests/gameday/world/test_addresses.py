"""Elastic IP addresses of the world: on any private address, on one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gameday.world import World

Refused = Callable[..., str]


def test_an_address_is_on_the_private_address_that_was_named(world: World, ec2: Any) -> None:
    """Secondary addresses too; the interface shows it there, and no more once it is taken off."""
    _, second = world.resources["network_interface_ids"]
    ec2.assign_private_ip_addresses(NetworkInterfaceId=second, PrivateIpAddresses=["10.20.0.77"])
    allocated = ec2.allocate_address(Domain="vpc")
    ec2.associate_address(
        AllocationId=allocated["AllocationId"], NetworkInterfaceId=second, PrivateIpAddress="10.20.0.77"
    )

    def public() -> dict[str, str | None]:
        (interface,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[second])["NetworkInterfaces"]
        return {
            item["PrivateIpAddress"]: item.get("Association", {}).get("PublicIp")
            for item in interface["PrivateIpAddresses"]
        }

    (described,) = ec2.describe_addresses(AllocationIds=[allocated["AllocationId"]])["Addresses"]
    assert (described["NetworkInterfaceId"], described["PrivateIpAddress"]) == (second, "10.20.0.77")
    assert public()["10.20.0.77"] == allocated["PublicIp"]
    ec2.disassociate_address(AssociationId=described["AssociationId"])
    assert set(public().values()) == {None}


def test_what_is_refused_about_addresses(world: World, ec2: Any, refused: Refused) -> None:
    """An address that is elsewhere, a private address of another interface, an association that is over."""
    first, second = world.resources["network_interface_ids"]
    allocation = ec2.allocate_address(Domain="vpc")["AllocationId"]
    wrong = {"AllocationId": allocation, "NetworkInterfaceId": first, "PrivateIpAddress": "10.20.0.99"}
    assert refused(ec2.associate_address, **wrong) == "InvalidParameterValue"
    association = ec2.associate_address(AllocationId=allocation, NetworkInterfaceId=first)["AssociationId"]
    again = {"AllocationId": allocation, "NetworkInterfaceId": second, "AllowReassociation": False}
    assert refused(ec2.associate_address, **again) == "Resource.AlreadyAssociated"
    ec2.disassociate_address(AssociationId=association)
    assert refused(ec2.disassociate_address, AssociationId=association) == "InvalidAssociationID.NotFound"
