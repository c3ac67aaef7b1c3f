"""``aws.ec2.disassociate-addresses``: take the Elastic IP addresses off every interface of an instance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    Refused,
    Settled,
    State,
    Where,
)
from irrunner.actions.ec2.instances import (
    API_REFERENCE,
    DESCRIBE_INSTANCES,
    ENDING,
    INSTANCE,
    USER_GUIDE,
    OneInstance,
    describe_instance,
    instance_arn,
    state_of,
)
from irrunner.actions.ec2.interfaces import DESCRIBE_INTERFACES, INTERFACES
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy

ADDRESSES: Final = "arn:{partition}:ec2:{region}:{account}:elastic-ip/*"


class Address(Model):
    """An Elastic IP address: on a private address of the instance, or free."""

    allocation_id: str
    public_ip: str
    association_id: str = ""
    """Empty: it is free."""
    network_interface_id: str = ""
    private_ip: str = ""
    service_managed: bool = False
    """An AWS service put it there and refuses changes by us."""

    @property
    def place(self) -> str | None:
        """Return interface and private address, None where it is free."""
        return f"{self.network_interface_id}/{self.private_ip}" if self.association_id else None


class AddressState(State):
    """What disassociation sees."""

    instance_id: str
    instance_state: str
    addresses: tuple[Address, ...]
    """Those on the instance, and the free ones; what is elsewhere is nobody's business here."""
    assigned: tuple[str, ...] = ()
    """Public addresses of the interfaces that AWS has assigned by itself: ``eni-1: 192.0.2.1``."""
    ipv6: bool = False

    def footprint(self) -> dict[str, str | None]:
        """Return allocation to its place; association ids change with each association and mean nothing.

        Where somebody has given an address to something else since, it is absent: undo leaves it there.
        """
        if self.instance_state in ENDING:
            return {}
        return {address.allocation_id: address.place for address in self.addresses}

    @property
    def removable(self) -> tuple[Address, ...]:
        """Return the addresses that can be taken off."""
        return tuple(item for item in self.addresses if item.association_id and not item.service_managed)


class AddressOutputs(Model):
    """Outputs."""

    instance_id: str
    remaining_public_ips: tuple[str, ...]
    """By which it can still be reached from outside, as far as its groups let it: ``eni-1: 192.0.2.1``."""


@action(
    "aws.ec2.disassociate-addresses",
    title="Take the Elastic IP addresses off an instance",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(
        DESCRIBE_INSTANCES,
        DESCRIBE_INTERFACES,
        Permission("ec2:DescribeAddresses"),
        *(Permission("ec2:DisassociateAddress", resource, use="act") for resource in (ADDRESSES, INTERFACES)),
        *(
            Permission("ec2:AssociateAddress", resource, use="undo")
            for resource in (ADDRESSES, INTERFACES, INSTANCE)
        ),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Associates each address with the same private address of the same interface again; what was"
    " given to something else meanwhile, or released, stays as it is.",
    sources=(
        f"{API_REFERENCE}/API_DisassociateAddress.html",
        f"{API_REFERENCE}/API_AssociateAddress.html",
        f"{USER_GUIDE}/using-instance-addressing.html",
    ),
)
class DisassociateAddresses(Action[OneInstance, AddressState]):
    """Of all interfaces and all their private addresses; what AWS assigned by itself stays."""

    Params = OneInstance
    Outputs = AddressOutputs
    StateModel = AddressState

    def look(self, ctx: LookContext, params: OneInstance) -> AddressState:
        """Read the interfaces, and the Elastic IP addresses of the Region."""
        instance = describe_instance(ctx.api, params.instance_id)
        interfaces = ctx.api.pages(
            "ec2:DescribeNetworkInterfaces",
            "NetworkInterfaces[]",
            Filters=[{"Name": "attachment.instance-id", "Values": [params.instance_id]}],
        )
        own = {raw["NetworkInterfaceId"] for raw in interfaces}
        described = [_address(raw) for raw in ctx.api.pages("ec2:DescribeAddresses", "Addresses[]")]
        ours = [item for item in described if not item.association_id or item.network_interface_id in own]
        elastic = {item.public_ip for item in described}
        return AddressState(
            instance_id=params.instance_id,
            instance_state=state_of(instance),
            addresses=tuple(sorted(ours, key=lambda item: item.allocation_id)),
            assigned=tuple(sorted(_assigned(interfaces, elastic))),
            ipv6=any(raw.get("Ipv6Addresses") for raw in interfaces),
        )

    def decide(self, params: OneInstance, state: AddressState) -> Decision:
        """Take off what is there."""
        if state.instance_state in ENDING:
            return Refused(
                f"{state.instance_id} is {state.instance_state}: AWS takes its addresses off by itself",
                nothing_to_do=True,
            )
        calls = tuple(_disassociate(address) for address in state.removable)
        return Act(calls) if calls else Settled(_outputs(state), tuple(_warnings(state)))

    def foresee(self, params: OneInstance, state: AddressState, step: str) -> PlannedOutputs:
        """Return the outputs; AWS may assign another address to an only interface afterwards."""
        outputs = _outputs(state).model_dump(mode="json")
        return PlannedOutputs({} if state.instance_state in ENDING else outputs)

    def targets(self, params: OneInstance, where: Where) -> tuple[str, ...]:
        """Return the instance."""
        return (instance_arn(where, params.instance_id),)

    def undo_calls(
        self,
        params: OneInstance,
        before: AddressState,
        after: AddressState,
        now: AddressState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Associate each address with the private address that it had."""
        return tuple(_associate(item) for item in before.removable if item.allocation_id in keys)


def _address(raw: Mapping[str, Any]) -> Address:
    return Address(
        allocation_id=raw.get("AllocationId") or raw["PublicIp"],
        public_ip=raw["PublicIp"],
        association_id=raw.get("AssociationId") or "",
        network_interface_id=raw.get("NetworkInterfaceId") or "",
        private_ip=raw.get("PrivateIpAddress") or "",
        service_managed=bool(raw.get("ServiceManaged")),
    )


def _assigned(interfaces: list[Mapping[str, Any]], elastic: set[str]) -> Iterator[str]:
    for raw in interfaces:
        holders = (raw, *(raw.get("PrivateIpAddresses") or ()))
        public = {(item.get("Association") or {}).get("PublicIp") for item in holders}
        yield from (f"{raw['NetworkInterfaceId']}: {item}" for item in public - elastic - {None})


def _disassociate(address: Address) -> Call:
    return Call(
        "ec2:DisassociateAddress",
        {"AssociationId": address.association_id},
        target=address.allocation_id,
        summary=f"Take {address.public_ip} off {address.place}",
        before=address.place,
    )


def _associate(address: Address) -> Call:
    return Call(
        "ec2:AssociateAddress",
        {
            "AllocationId": address.allocation_id,
            "NetworkInterfaceId": address.network_interface_id,
            "PrivateIpAddress": address.private_ip,
            "AllowReassociation": False,
        },
        target=address.allocation_id,
        summary=f"Put {address.public_ip} back on {address.place}",
        after=address.place,
    )


def _outputs(state: AddressState) -> AddressOutputs:
    managed = (
        f"{item.network_interface_id}: {item.public_ip}" for item in state.addresses if item.service_managed
    )
    return AddressOutputs(instance_id=state.instance_id, remaining_public_ips=(*state.assigned, *managed))


def _warnings(state: AddressState) -> Iterator[str]:
    for where in _outputs(state).remaining_public_ips:
        yield f"{where} stays: AWS has put it there, and only stopping the instance takes it away"
    if state.ipv6:
        yield "its IPv6 addresses stay, and are public where the subnet has a route to an internet gateway"
