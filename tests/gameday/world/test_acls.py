"""Network ACLs of the world refuse what AWS refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gameday.world import World

Refused = Callable[..., str]


@pytest.fixture
def acl(ec2: Any, world: World) -> str:
    """Return the ACL of the instance's subnet."""
    filters = [{"Name": "association.subnet-id", "Values": [world.resources["subnet_id"]]}]
    return str(ec2.describe_network_acls(Filters=filters)["NetworkAcls"][0]["NetworkAclId"])


def entry(acl: str, number: int, **more: Any) -> dict[str, Any]:
    """Return parameters of CreateNetworkAclEntry."""
    given = {
        "NetworkAclId": acl, "RuleNumber": number, "Protocol": "-1", "RuleAction": "deny", "Egress": False,
        "CidrBlock": "198.51.100.7/32",
    }  # fmt: skip
    return given | more


def test_numbers_are_taken_once(ec2: Any, acl: str, refused: Refused) -> None:
    """A number is free in the other direction."""
    ec2.create_network_acl_entry(**entry(acl, 5))
    ec2.create_network_acl_entry(**entry(acl, 5, Egress=True))

    assert refused(ec2.create_network_acl_entry, **entry(acl, 5)) == "NetworkAclEntryAlreadyExists"


def test_twenty_entries_each_way(ec2: Any, acl: str, refused: Refused) -> None:
    """The default deny counts."""
    for number in range(1, 19):
        ec2.create_network_acl_entry(**entry(acl, number))

    assert refused(ec2.create_network_acl_entry, **entry(acl, 19)) == "NetworkAclEntryLimitExceeded"
    ec2.create_network_acl_entry(**entry(acl, 19, Egress=True))


@pytest.mark.parametrize("bad", [{"RuleNumber": 32767}, {"RuleNumber": 0}, {"CidrBlock": "198.51.100.7/24"}])
def test_bad_entries(ec2: Any, acl: str, refused: Refused, bad: dict[str, Any]) -> None:
    """The last number is AWS's own."""
    assert refused(ec2.create_network_acl_entry, **entry(acl, 7) | bad) == "InvalidParameterValue"


def test_what_is_not_there(ec2: Any, acl: str, refused: Refused) -> None:
    """Codes are EC2's, not moto's exceptions."""
    gone = {"NetworkAclId": acl, "Egress": False}

    assert refused(ec2.delete_network_acl_entry, **gone, RuleNumber=9) == "InvalidNetworkAclEntry.NotFound"
    assert (
        refused(ec2.delete_network_acl_entry, **gone, RuleNumber=32767) == "InvalidNetworkAclEntry.NotFound"
    )
    assert refused(ec2.describe_network_acls, NetworkAclIds=["acl-0"]) == "InvalidNetworkAclID.NotFound"
    assert (
        refused(ec2.replace_network_acl_association, AssociationId="aclassoc-0", NetworkAclId=acl)
        == "InvalidAssociationID.NotFound"
    )


def test_a_new_acl_is_closed(ec2: Any, world: World, member: str) -> None:
    """A made ACL denies everything; the state shows it, and not the untouched default ones."""
    assert "network_acls" not in world.state()["accounts"][member]["regions"][world.region]
    made = ec2.create_network_acl(VpcId=world.resources["vpc_id"])["NetworkAcl"]["NetworkAclId"]
    shown = world.state()["accounts"][member]["regions"][world.region]["network_acls"]

    assert shown[made]["entries"] == ["egress 32767 deny -1 0.0.0.0/0", "ingress 32767 deny -1 0.0.0.0/0"]


def test_an_acl_of_another_vpc(ec2: Any, world: World, refused: Refused) -> None:
    """An association stays in its VPC."""
    vpc = ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    foreign = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    filters = [{"Name": "association.subnet-id", "Values": [world.resources["subnet_id"]]}]
    (now,) = ec2.describe_network_acls(Filters=filters)["NetworkAcls"]
    association = now["Associations"][0]["NetworkAclAssociationId"]

    code = refused(ec2.replace_network_acl_association, AssociationId=association, NetworkAclId=foreign)
    assert code == "InvalidParameterValue"
