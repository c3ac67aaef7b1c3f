"""What isolation by security groups leaves open, in words, from facts already read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from irrunner.actions.ec2.interfaces import Interface


def uncut_flows(interfaces: Sequence[Interface], *, converted: bool) -> str:
    """Return the one line that says which flows a security group cannot cut.

    Args:
        interfaces: Of the instance.
        converted: Whether they passed through the conversion group.

    Source: EC2 user guide, "Automatically tracked connections", and what security groups do not filter.
    """
    opened = f"open flows through {', '.join(_tracked_paths(interfaces))}, and open ICMP"
    return (
        f"not cut by a security group: {opened if converted else 'every open flow'}, until idle (a network "
        "ACL cuts them, for the whole subnet); DNS to AmazonProvidedDNS (DNS Firewall cuts it), instance "
        "metadata, DHCP, NTP"
    )


def _tracked_paths(interfaces: Sequence[Interface]) -> Iterator[str]:
    if any(interface.ipv6 for interface in interfaces):
        yield "an egress-only internet gateway (IPv6)"
    if not all(interface.public for interface in interfaces):
        yield "a NAT gateway (the way out of interfaces without a public address)"
    if any(interface.public for interface in interfaces):
        yield "Global Accelerator"
    yield "a Network Load Balancer, PrivateLink, Lambda, Network Firewall or a DynamoDB gateway endpoint"


def unreached_interfaces(interfaces: Sequence[Interface]) -> Iterator[str]:
    """Yield a line for each interface, or kind of interface, that isolation does not reach."""
    for interface in interfaces:
        if interface.requester_managed:
            yield (
                f"{interface.network_interface_id} is managed by an AWS service and refuses a change of "
                "groups: it is not isolated; stop the service's task on this host"
            )
    if any(interface.kind == "trunk" for interface in interfaces):
        yield "pods with branch interfaces of their own (EKS) keep their groups: isolate them in EKS"
