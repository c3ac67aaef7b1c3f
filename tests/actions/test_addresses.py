"""Addresses: what is one, and what must not be blocked."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from irrunner.actions.addresses import AddressBlock, canonical, covers, network, overlaps, refuse_block
from irrunner.actions.contract import Model
from irrunner.actions.ids import PLANNING


class Params(Model):
    """One address."""

    address: AddressBlock


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("198.51.100.7", "198.51.100.7/32"),
        ("198.51.100.0/24", "198.51.100.0/24"),
        ("2001:DB8:0::1", "2001:db8::1/128"),
        ("2001:db8::/48", "2001:db8::/48"),
    ],
)
def test_spellings_of_one_block_are_one(text: str, canonical: str) -> None:
    """AWS keeps the canonical text: compared with another spelling, a block would look like a drift."""
    assert Params(address=text).address == canonical


@pytest.mark.parametrize(
    "text",
    ["", "x", "198.51.100.7/24", "198.51.100.256", "::ffff:198.51.100.7", "fe80::1%eth0", "1.2.3.4/33",
     "0x7f.1", "198.51.100.07", "<from facts.address>"],
)  # fmt: skip
def test_what_is_no_block_is_refused(text: str) -> None:
    """Host bits are ambiguous; a mapped address would be put into the wrong table; a token is no address."""
    with pytest.raises(ValidationError, match="not an address"):
        Params(address=text)


def test_a_plan_may_hold_a_token() -> None:
    """The address may come from a step that has not run yet."""
    token = "<from facts.address>"

    assert Params.model_validate({"address": token}, context=PLANNING).address == token
    assert refuse_block(token) is None


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ("0.0.0.0/0", "wider than /8"),
        ("::/0", "wider than /16"),
        ("128.0.0.0/1", "wider than /8"),
        ("169.254.169.254/32", "link-local"),
        ("fd00:ec2::254/128", "link-local"),
        ("10.1.2.3/32", "allow_internal"),
        ("172.16.0.0/12", "allow_internal"),
        ("100.64.1.0/24", "allow_internal"),
        ("fd12:3456::/32", "allow_internal"),
        ("203.0.113.0/24", "inside the network itself"),
    ],
)
def test_refuses_what_hits_others(block: str, says: str) -> None:
    """The reason says what to do instead."""
    assert says in str(refuse_block(block, own=("203.0.113.0/24",)))


@pytest.mark.parametrize("block", ["10.1.2.3/32", "203.0.113.9/32"])
def test_internal_addresses_on_demand(block: str) -> None:
    """Lateral movement is stopped by naming it."""
    assert refuse_block(block, own=("203.0.113.0/24",), allow_internal=True) is None


def test_metadata_not_even_on_demand() -> None:
    """A network ACL does not see that traffic: the entry would be a false comfort."""
    assert refuse_block("169.254.169.254/32", allow_internal=True)


def test_what_aws_tells_is_compared_in_one_spelling() -> None:
    """Else a block that is there would be put on again, or looked for in vain by its undo."""
    assert canonical("2001:0DB8:0:0::/48") == "2001:db8::/48"
    assert canonical("198.51.100.7/24") == "198.51.100.0/24"
    assert canonical("$HOME_NET") == "$HOME_NET"


def test_versions_do_not_meet() -> None:
    """An IPv6 entry says nothing about IPv4."""
    assert not overlaps(network("::/0"), network("0.0.0.0/0"))
    assert not covers(network("::/0"), network("198.51.100.7"))
    assert covers(network("198.51.100.0/24"), network("198.51.100.7"))
    assert not covers(network("198.51.100.7"), network("198.51.100.0/24"))
