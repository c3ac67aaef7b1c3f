"""Elastic IP addresses: all that are on the instance go, nothing else is touched, and undo steals none."""

from __future__ import annotations

from typing import Any

from irrunner.actions.contract import Act, Refused, Settled
from irrunner.actions.ec2.addresses import Address, AddressState, DisassociateAddresses
from irrunner.actions.ec2.instances import OneInstance
from irrunner.actions.undo import view_undo

INSTANCE = "i-0123456789abcdef0"
ACTION = DisassociateAddresses()
PARAMS = OneInstance(instance_id=INSTANCE)


def address(number: int, **more: Any) -> Address:
    """Return an address on the instance."""
    values = {
        "association_id": f"eipassoc-{number}",
        "network_interface_id": "eni-1",
        "private_ip": f"10.0.0.{number}",
        **more,
    }
    return Address(allocation_id=f"eipalloc-{number}", public_ip=f"192.0.2.{number}", **values)


def free(number: int) -> Address:
    """Return an address that is nowhere."""
    return address(number, association_id="", network_interface_id="", private_ip="")


def state_of(*addresses: Address, **more: Any) -> AddressState:
    """Return what is seen of an instance."""
    values = {"instance_state": "running", **more}
    return AddressState(instance_id=INSTANCE, addresses=addresses, **values)


def test_every_address_goes_by_its_association() -> None:
    """Two addresses of one interface are two calls; a free one is none."""
    decision = ACTION.decide(PARAMS, state_of(address(1), address(2), free(3)))

    assert isinstance(decision, Act)
    assert [call.params["AssociationId"] for call in decision.calls] == ["eipassoc-1", "eipassoc-2"]


def test_says_which_public_addresses_stay() -> None:
    """Auto-assigned and service-managed addresses, and IPv6, are not Elastic IP addresses of ours."""
    managed = address(9, service_managed=True)
    decision = ACTION.decide(PARAMS, state_of(managed, assigned=("eni-1: 198.51.100.7",), ipv6=True))

    assert isinstance(decision, Settled)
    assert decision.outputs.model_dump()["remaining_public_ips"] == (
        "eni-1: 198.51.100.7",
        "eni-1: 192.0.2.9",
    )
    assert [word in warning for word, warning in zip(("198.51", "192.0.2.9", "IPv6"), decision.warnings)] == [  # noqa: B905 - as many
        True
    ] * 3


def test_undo_puts_each_back_where_it_was_and_takes_none_from_others() -> None:
    """The second was given to something else since: it is not seen among ours, and is left there."""
    before, after = state_of(address(1), address(2)), state_of(free(1), free(2))
    view = view_undo(ACTION, PARAMS, before, after, state_of(free(1)))

    (call,) = view.calls
    assert call.params == {
        "AllocationId": "eipalloc-1",
        "NetworkInterfaceId": "eni-1",
        "PrivateIpAddress": "10.0.0.1",
        "AllowReassociation": False,
    }
    assert view.gone == ("eipalloc-2",)


def test_what_others_free_meanwhile_is_not_ours_to_undo() -> None:
    """In a storm other runs free other addresses between our looks."""
    view = view_undo(
        ACTION, PARAMS, state_of(address(1)), state_of(free(1), free(7)), state_of(free(1), free(7))
    )

    assert view.restore == ("eipalloc-1",)
    assert view.drift == ()


def test_an_instance_that_has_ended_needs_nothing() -> None:
    """AWS takes its addresses off."""
    decision = ACTION.decide(PARAMS, state_of(address(1), instance_state="terminated"))

    assert isinstance(decision, Refused)
    assert decision.nothing_to_do
