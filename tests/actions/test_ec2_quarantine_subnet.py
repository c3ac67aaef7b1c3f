"""Quarantine of a subnet: who is hit, whose ACL it is, and what an ACL cannot cut."""

from __future__ import annotations

from typing import Any

from irrunner.actions.contract import Act, Refused, Settled
from irrunner.actions.ec2.acls import Acl, AclEntry
from irrunner.actions.ec2.quarantine_subnet import (
    Neighbour,
    QuarantineSubnet,
    QuarantineSubnetParams,
    QuarantineSubnetState,
)
from irrunner.settings import Settings
from irrunner.vocabulary import Outcome

ACTION = QuarantineSubnet()
SUBNET = "subnet-0123456789abcdef0"
VICTIM = "i-0123456789abcdef0"
PARAMS = QuarantineSubnetParams(subnet_id=SUBNET, instance_id=VICTIM)
ALLOW = AclEntry(number=100, egress=False, allow=True, protocol="-1", block="0.0.0.0/0")
DENY = AclEntry(number=32767, egress=False, allow=False, protocol="-1", block="0.0.0.0/0")


def acl(name: str, *entries: AclEntry, owner_id: str = "1", **more: Any) -> Acl:
    """Return an ACL."""
    values = {"vpc_id": "vpc-1", "default": False, "subnets": {SUBNET: "aclassoc-1"}, **more}
    return Acl(network_acl_id=name, owner_id=owner_id, entries=entries, **values)


def neighbour(name: str, instance_id: str = "", kind: str = "interface") -> Neighbour:
    """Return an interface in the subnet."""
    return Neighbour(network_interface_id=name, instance_id=instance_id, kind=kind)


def state_of(now: Acl, quarantine: Acl | None = None, *neighbours: Neighbour) -> QuarantineSubnetState:
    """Return a state."""
    return QuarantineSubnetState(
        subnet_id=SUBNET, account_id="1", acl=now, quarantine=quarantine, neighbours=neighbours
    )


def test_tells_beforehand_who_is_hit() -> None:
    """A plan that hides the others would be approved in error."""
    state = state_of(
        acl("acl-1", ALLOW, DENY), None, neighbour("eni-1", VICTIM), neighbour("eni-2", "i-2"),
        neighbour("eni-3", kind="nat_gateway"),
    )  # fmt: skip
    outputs = ACTION.foresee(PARAMS, state, "quarantine").outputs

    assert outputs["other_instance_ids"] == ["i-2"]
    assert outputs["network_interface_ids"] == ["eni-1", "eni-2", "eni-3"]
    assert outputs["network_acl_id"] == "<quarantine-acl>"


def test_says_what_goes_with_it_and_what_is_not_cut() -> None:
    """A NAT gateway takes other subnets along; hosts of one subnet see no ACL between them."""
    state = state_of(
        acl("acl-q", DENY), None, neighbour("eni-3", kind="nat_gateway"), neighbour("eni-2", "i-2")
    )
    decision = ACTION.decide(PARAMS, state)

    assert isinstance(decision, Settled)
    assert [text for text in decision.warnings if "i-2" in text]
    assert [text for text in decision.warnings if "NAT gateway" in text]
    assert [text for text in decision.warnings if "between hosts of the subnet itself" in text]


def test_an_open_acl_is_neither_trusted_nor_closed_for_its_tag(driver: Any, moto_api: Any, host: Any) -> None:
    """Who may tag can call any ACL a quarantine: to close it would cut off whoever is behind it."""
    (described,) = moto_api.call(
        "ec2:DescribeNetworkAcls", Filters=[{"Name": "association.subnet-id", "Values": [host.subnet_id]}]
    )["NetworkAcls"]
    opened = moto_api.call("ec2:CreateNetworkAcl", VpcId=described["VpcId"])["NetworkAcl"]["NetworkAclId"]
    tag = {"Key": "irrunner:purpose", "Value": "quarantine"}
    moto_api.call("ec2:CreateTags", Resources=[opened], Tags=[tag])
    moto_api.call(
        "ec2:CreateNetworkAclEntry", NetworkAclId=opened, RuleNumber=100, Protocol="-1", RuleAction="allow",
        Egress=False, CidrBlock="0.0.0.0/0",
    )  # fmt: skip
    driven = driver.run(ACTION, QuarantineSubnetParams(subnet_id=host.subnet_id), moto_api)

    (kept,) = moto_api.call("ec2:DescribeNetworkAcls", NetworkAclIds=[opened])["NetworkAcls"]
    assert driven.done.outcome is Outcome.APPLIED
    assert driven.done.outputs["network_acl_id"] != opened
    assert [entry["RuleNumber"] for entry in kept["Entries"] if entry["RuleAction"] == "allow"] == [100]


def test_a_quarantine_that_was_opened_is_no_quarantine() -> None:
    """The subnet is behind an ACL of ours that lets traffic through: it gets another one."""
    decision = ACTION.decide(PARAMS, state_of(acl("acl-q", ALLOW, DENY)))

    assert isinstance(decision, Act)
    assert [call.operation for call in decision.calls] == [
        "ec2:CreateNetworkAcl",
        "ec2:ReplaceNetworkAclAssociation",
    ]


def test_a_shared_vpc_is_refused() -> None:
    """Participants cannot change the owner's ACLs."""
    decision = ACTION.decide(PARAMS, state_of(acl("acl-1", ALLOW, owner_id="2")))

    assert isinstance(decision, Refused)
    assert "shared VPC" in decision.reason


def test_a_protected_neighbour_stands_in_the_way(driver: Any, moto_api: Any, host: Any) -> None:
    """A domain controller in the same subnet would be cut off, though nobody named it."""
    driver.settings = Settings(protected=(host.instance_id,))
    driven = driver.run(ACTION, QuarantineSubnetParams(subnet_id=host.subnet_id), moto_api)

    assert driven.done.outcome is Outcome.REFUSED
    assert host.instance_id in driven.done.reason
    assert moto_api.operations() == []


def test_undo_uses_the_association_of_today() -> None:
    """Its id changes with every replacement."""
    before = state_of(acl("acl-1", ALLOW))
    after = state_of(acl("acl-q", DENY, subnets={SUBNET: "aclassoc-2"}))
    (call,) = ACTION.undo_calls(PARAMS, before, after, after, frozenset({SUBNET}))

    assert call.params == {"AssociationId": "aclassoc-2", "NetworkAclId": "acl-1"}
