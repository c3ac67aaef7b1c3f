"""Elastic IP addresses on private addresses; moto knows the primary one of an interface only.

Source: EC2 API reference (AssociateAddress, DisassociateAddress, DescribeAddresses).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gameday.world import seam
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer


def associate(scene: Scene) -> Mapping[str, Any]:
    """Put an address on a private address of an interface, the primary one if none is named."""
    address = _named(scene, "AllocationId", "allocation_id", "InvalidAllocationID.NotFound")
    interface = _interface(scene)
    private_ip = scene.params.get("PrivateIpAddress") or interface.private_ip_address
    if private_ip not in {item["PrivateIpAddress"] for item in interface.private_ip_addresses}:
        raise Refusal("InvalidParameterValue", f"Address {private_ip} does not belong to {interface.id}")
    if address.association_id and not scene.params.get("AllowReassociation"):
        raise Refusal("Resource.AlreadyAssociated", f"resource {address.allocation_id} is already associated")
    backend = _backend(scene)
    backend.associate_address(eni=interface, allocation_id=address.allocation_id, reassociate=True)
    address.on_private_ip = private_ip
    _show(interface, address, private_ip)
    return {"AssociationId": address.association_id}


def disassociate(scene: Scene) -> Mapping[str, Any]:
    """Take an address off; an only interface that had one of AWS's gets another."""
    address = _named(scene, "AssociationId", "association_id", "InvalidAssociationID.NotFound")
    interface = address.eni
    _backend(scene).disassociate_address(association_id=address.association_id)
    for item in interface.private_ip_addresses:
        if item.get("Association", {}).get("AllocationId") == address.allocation_id:
            del item["Association"]
    several = interface.instance is not None and len(interface.instance.nics) > 1
    if several:
        interface.public_ip = None
    return {}


def describe(scene: Scene) -> Mapping[str, Any]:
    """Describe addresses with the private address that each is on."""
    filters = {item["Name"]: item.get("Values", []) for item in scene.params.get("Filters") or []}
    found = _backend(scene).describe_addresses(
        scene.params.get("AllocationIds") or [], scene.params.get("PublicIps") or [], filters
    )
    return {"Addresses": [_view(address) for address in found]}


def show_addresses(backend: Any) -> dict[str, Any]:
    """Show the Elastic IP addresses for the canonical state."""
    return {
        address.allocation_id: {
            "public_ip": address.public_ip,
            "network_interface_id": address.eni.id if address.eni else None,
            "private_ip": _private_ip(address),
        }
        for address in backend.addresses
    }


def _show(interface: Any, address: Any, private_ip: str) -> None:
    for item in interface.private_ip_addresses:
        if item["PrivateIpAddress"] == private_ip:
            item["Association"] = {"PublicIp": address.public_ip, "AllocationId": address.allocation_id}
    if private_ip != interface.private_ip_address:
        interface.public_ip = None


def _view(address: Any) -> dict[str, Any]:
    shown = {
        "PublicIp": address.public_ip,
        "AllocationId": address.allocation_id,
        "AssociationId": address.association_id,
        "Domain": "vpc",
        "InstanceId": address.eni.instance.id if address.eni and address.eni.instance else None,
        "NetworkInterfaceId": address.eni.id if address.eni else None,
        "PrivateIpAddress": _private_ip(address),
    }
    return {name: value for name, value in shown.items() if value is not None}


def _private_ip(address: Any) -> str | None:
    if address.eni is None:
        return None
    return str(getattr(address, "on_private_ip", address.eni.private_ip_address))


def _named(scene: Scene, parameter: str, attribute: str, code: str) -> Any:
    wanted = scene.params.get(parameter, "")
    for address in _backend(scene).addresses:
        if wanted and getattr(address, attribute) == wanted:
            return address
    raise Refusal(code, f"The {parameter} '{wanted}' does not exist")


def _interface(scene: Scene) -> Any:
    backend = _backend(scene)
    if scene.params.get("InstanceId"):
        return backend.get_instance(scene.params["InstanceId"]).nics[0]
    return backend.get_network_interface(scene.params["NetworkInterfaceId"])


def _backend(scene: Scene) -> Any:
    return seam.ec2(scene.account, scene.region)


LAYER: Final = StrictLayer(
    answers={
        "ec2:AssociateAddress": associate,
        "ec2:DisassociateAddress": disassociate,
        "ec2:DescribeAddresses": describe,
    }
)
