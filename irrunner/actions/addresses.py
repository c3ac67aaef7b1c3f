"""Addresses that a block may name: canonical CIDR text, and why some must not be blocked. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, ValidationInfo, WithJsonSchema

from irrunner.actions.ids import is_token

Network: TypeAlias = IPv4Network | IPv6Network

WIDEST_PREFIX: Final = {4: 8, 6: 16}
"""A wider block is no address of an attacker any more, but a part of the Internet."""
SERVICES: Final = tuple(
    ip_network(text) for text in ("169.254.0.0/16", "fd00:ec2::/32", "fe80::/10", "127.0.0.0/8", "::1/128")
)
"""Link-local: instance metadata, DNS, time. Network ACLs and firewalls do not filter it.

Source: VPC user guide, "Network ACL basics" (traffic that is not filtered).
"""
INTERNAL: Final = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "0.0.0.0/8", "224.0.0.0/3",
        "fc00::/7", "ff00::/8", "::/128",
    )
)  # fmt: skip


def network(text: str) -> Network:
    """Return the network that an address or CIDR text means.

    Args:
        text: ``198.51.100.7``, ``198.51.100.0/24``, ``2001:db8::/48``.

    Raises:
        ValueError: If it is none, or has host bits set: ``198.51.100.7/24`` may mean either.
    """
    if "%" in text:
        raise ValueError(f"{text}: a zone means something on one host only")
    found = ip_network(text.strip(), strict=True)
    if isinstance(found, IPv6Network) and found.network_address.ipv4_mapped is not None:
        raise ValueError(f"{text} is an IPv4 address in IPv6 spelling: write it as IPv4")
    return found


def canonical(text: str) -> str:
    """Return what AWS tells as an address in the spelling that we compare; what is none as it is.

    Args:
        text: ``2001:0db8::/48``, ``198.51.100.7/24``; or a variable of a firewall.
    """
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        return text


def _canonical(value: str, info: ValidationInfo) -> str:
    if is_token(value) and (info.context or {}).get("planning"):
        return value
    try:
        return str(network(value))
    except ValueError as problem:
        raise ValueError(f"not an address or a CIDR block: {str(problem)[:160]}") from problem


AddressBlock = Annotated[
    str,
    AfterValidator(_canonical),
    WithJsonSchema(
        {
            "type": "string",
            "description": "an IPv4 or IPv6 address, or a CIDR block without host bits",
            "examples": ["198.51.100.7", "2001:db8::/48"],
        }
    ),
]
"""An address or CIDR block; its value is the canonical CIDR text, ``198.51.100.7/32``."""


def overlaps(one: Network, other: Network) -> bool:
    """Return whether two networks have an address in common."""
    return one.version == other.version and one.overlaps(other)


def covers(wide: Network, narrow: Network) -> bool:
    """Return whether every address of the second network is in the first."""
    return wide.version == narrow.version and narrow.subnet_of(wide)  # type: ignore[arg-type]  # same version


def refuse_block(block: str, *, own: Iterable[str] = (), allow_internal: bool = False) -> str | None:
    """Return why an address block must not be blocked, or None.

    Args:
        block: Canonical CIDR text.
        own: CIDR blocks of the networks in which it is to be blocked.
        allow_internal: Whether private addresses, and those of the network itself, may be blocked.
    """
    if is_token(block):
        return None
    wanted = network(block)
    widest = WIDEST_PREFIX[wanted.version]
    if wanted.prefixlen < widest:
        return (
            f"{block} is wider than /{widest}: that cuts everybody off, not an attacker; isolate the "
            "instance (aws.ec2.isolate-instance) or quarantine its subnet (aws.ec2.quarantine-subnet)"
        )
    if any(overlaps(wanted, served) for served in SERVICES):
        return f"{block} is link-local (metadata, DNS, time): no filter of the network sees that traffic"
    inside = next((text for text in own if overlaps(wanted, network(text))), None)
    if inside and not allow_internal:
        return f"{block} is inside the network itself ({inside}): set allow_internal: true if that is meant"
    if any(overlaps(wanted, internal) for internal in INTERNAL) and not allow_internal:
        return f"{block} is a private or reserved range: set allow_internal: true if that is meant"
    return None
