"""Blocks in network ACLs: numbers, what is effective already, quotas, undo."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.addresses import network
from irrunner.actions.contract import Act, Refused, Settled
from irrunner.actions.ec2.acl_blocks import BlockAddressParams, BlockAddressState
from irrunner.actions.ec2.acls import Acl, AclEntry, blocking
from irrunner.actions.ec2.block_address import BlockAddress
from irrunner.settings import Settings
from irrunner.vocabulary import Outcome

ACTION = BlockAddress()
SUBNET = "subnet-0123456789abcdef0"
BLOCK = "198.51.100.7/32"


def entry(
    number: int, verb: str, block: str = "0.0.0.0/0", *, egress: bool = False, protocol: str = "-1"
) -> AclEntry:
    """Return an entry."""
    return AclEntry(number=number, egress=egress, allow=verb == "allow", protocol=protocol, block=block)


OPEN = tuple(
    entry(number, verb, egress=egress)
    for egress in (False, True)
    for number, verb in ((100, "allow"), (32767, "deny"))
)


def state_of(*entries: AclEntry, **more: Any) -> BlockAddressState:
    """Return a state of one ACL."""
    acl = Acl(
        network_acl_id="acl-1", vpc_id="vpc-1", owner_id=more.pop("owner_id", "1"), default=True,
        entries=entries, subnets={SUBNET: "aclassoc-1", **more.pop("others", {})},
    )  # fmt: skip
    values = {"block": BLOCK, "account_id": "1", "asked_subnet_ids": (SUBNET,), "own_blocks": ()}
    return BlockAddressState(**(values | {"acls": (acl,)} | more))


def params(**more: Any) -> BlockAddressParams:
    """Return parameters."""
    return BlockAddressParams.model_validate({"address": BLOCK, "subnet_ids": (SUBNET,), **more})


def numbers(decision: object) -> list[tuple[int, bool]]:
    """Return what would be created."""
    assert isinstance(decision, Act), decision
    return [(call.params["RuleNumber"], call.params["Egress"]) for call in decision.calls]


def test_both_directions_below_the_allow() -> None:
    """One entry for each direction: an ACL remembers no flow."""
    assert numbers(ACTION.decide(params(), state_of(*OPEN))) == [(1, False), (1, True)]


def test_takes_the_first_number_that_is_free() -> None:
    """Numbers of others are left alone; each direction has its own."""
    taken = state_of(*OPEN, entry(1, "deny", "203.0.113.0/24"), entry(2, "deny", "203.0.113.9/32"))

    assert numbers(ACTION.decide(params(), taken)) == [(3, False), (1, True)]


def test_an_entry_beyond_the_allow_is_no_block() -> None:
    """AWS stops at the first entry that matches: a deny at 200 after an allow at 100 does nothing."""
    late = state_of(*OPEN, entry(200, "deny", BLOCK))

    assert numbers(ACTION.decide(params(directions="ingress"), late)) == [(1, False)]
    assert late.footprint()[f"acl-1/ingress/{BLOCK}"] == 200


@pytest.mark.parametrize(
    ("facing", "number"),
    [
        ([entry(10, "deny", "198.51.100.0/24"), entry(100, "allow")], 10),
        ([entry(10, "deny", BLOCK, protocol="6"), entry(100, "allow")], None),
        ([entry(10, "allow", "198.51.100.7/32", protocol="6"), entry(20, "deny", BLOCK)], None),
        ([entry(10, "allow", "203.0.113.0/24"), entry(20, "deny", BLOCK)], 20),
        ([entry(10, "deny", "::/0"), entry(100, "allow")], None),
        ([entry(32767, "deny")], 32767),
        ([], None),
    ],
)
def test_what_blocks_is_evaluated_as_aws_does(facing: list[AclEntry], number: int | None) -> None:
    """By number, the first that matches decides; a part of the protocols or addresses is not all."""
    assert blocking(facing, network(BLOCK)) == number


def test_blocked_already_is_settled() -> None:
    """A wider deny of somebody else is enough, and is not ours to remove."""
    wide = entry(5, "deny", "198.51.100.0/24"), entry(5, "deny", "198.51.100.0/24", egress=True)
    decision = ACTION.decide(params(), state_of(*OPEN, *wide))

    assert isinstance(decision, Settled)
    assert decision.outputs.model_dump()["entries"][0]["rule_number"] == 5


def test_a_full_pool_is_refused_with_the_way_out() -> None:
    """An entry above the lowest allow would do nothing."""
    low = entry(1, "allow"), entry(32767, "deny")
    decision = ACTION.decide(params(directions="ingress"), state_of(*low))

    assert isinstance(decision, Refused)
    assert "lowest allow entry is 1" in decision.reason
    assert "renumber" in decision.reason


def test_a_full_acl_is_refused_with_the_way_out() -> None:
    """Twenty entries each way, the default deny among them, unless AWS has raised the quota."""
    full = state_of(*OPEN, *(entry(n, "deny", f"203.0.113.{n}/32") for n in range(1, 19)))
    decision = ACTION.decide(params(directions="ingress"), full)

    assert isinstance(decision, Refused)
    assert "has 20 ingress entries" in decision.reason
    assert numbers(ACTION.decide(params(directions="ingress", entries_quota=40), full)) == [(19, False)]


@pytest.mark.parametrize(
    ("more", "says"),
    [({"owner_id": "2"}, "shared VPC"), ({"own_blocks": ("198.51.100.0/22",)}, "inside the network itself")],
)
def test_refuses_what_it_should_not_touch(more: dict[str, Any], says: str) -> None:
    """The owner of a shared VPC changes its ACLs; our own addresses need a word."""
    decision = ACTION.decide(params(), state_of(*OPEN, **more))

    assert isinstance(decision, Refused)
    assert says in decision.reason


@pytest.mark.parametrize(
    "values",
    [{"subnet_ids": ()}, {"first_number": 50, "last_number": 40}, {"first_number": 0}, {"entries_quota": 41},
     {"subnet_ids": ("vpc-0123456789abcdef0",)}, {"address": "0.0.0.0/33"}],
)  # fmt: skip
def test_bad_parameters(values: dict[str, Any]) -> None:
    """Wrong parameters do not reach AWS."""
    with pytest.raises(ValidationError):
        params(**values)


def test_warns_of_other_subnets() -> None:
    """An ACL guards more than the subnet that was named."""
    blocked = state_of(
        *OPEN,
        entry(1, "deny", BLOCK),
        entry(1, "deny", BLOCK, egress=True),
        others={"subnet-2": "aclassoc-2"},
    )
    decision = ACTION.decide(params(), blocked)

    assert isinstance(decision, Settled)
    assert "subnet-2" in decision.warnings[0]


def test_finds_its_entries_without_the_instance(driver: Any, moto_api: Any, host: Any) -> None:
    """Terminated, as a compromised host ends: the block comes off all the same, and none is put on anew."""
    wanted = BlockAddressParams(address=BLOCK, instance_id=host.instance_id)
    driven = driver.run(ACTION, wanted, moto_api)
    moto_api.client("ec2").terminate_instances(InstanceIds=[host.instance_id])
    again = driver.run(ACTION, wanted, moto_api)
    undone = driver.undo(ACTION, wanted, driven, moto_api)

    assert again.done.code == "target-not-found"
    assert (undone.outcome, undone.verified) == (Outcome.APPLIED, True)
    assert moto_api.operations().count("ec2:DeleteNetworkAclEntry") == 2


def test_finds_its_entries_behind_another_acl(driver: Any, moto_api: Any, host: Any) -> None:
    """Somebody moved the subnet behind another ACL: the entries in the first one are still ours to delete."""
    ec2 = moto_api.client("ec2")
    wanted = BlockAddressParams(address=BLOCK, subnet_ids=(host.subnet_id,))
    driven = driver.run(ACTION, wanted, moto_api)
    filters = [{"Name": "association.subnet-id", "Values": [host.subnet_id]}]
    (now,) = ec2.describe_network_acls(Filters=filters)["NetworkAcls"]
    other = ec2.create_network_acl(VpcId=host.vpc_id)["NetworkAcl"]["NetworkAclId"]
    (association,) = [a for a in now["Associations"] if a["SubnetId"] == host.subnet_id]
    ec2.replace_network_acl_association(
        AssociationId=association["NetworkAclAssociationId"], NetworkAclId=other
    )

    assert driver.undo(ACTION, wanted, driven, moto_api).outcome is Outcome.APPLIED
    (left,) = ec2.describe_network_acls(NetworkAclIds=[now["NetworkAclId"]])["NetworkAcls"]
    assert BLOCK not in {found.get("CidrBlock") for found in left["Entries"]}


@pytest.mark.parametrize("what", ["acl-*", "subnet-*"])
def test_protected_neighbours_are_not_hit(driver: Any, moto_api: Any, host: Any, what: str) -> None:
    """The parameters name an instance; its ACL, and the subnets behind it, are found by the look only."""
    driver.settings = Settings(protected=(what,))
    driven = driver.run(ACTION, BlockAddressParams(address=BLOCK, instance_id=host.instance_id), moto_api)

    assert driven.done.outcome is Outcome.REFUSED
    assert "protected by the configuration" in driven.done.reason
    assert moto_api.operations() == []


def test_two_at_once_take_two_numbers(driver: Any, moto_api: Any, host: Any) -> None:
    """Somebody takes the number between look and call: AWS refuses it, and another one is taken."""
    ec2 = moto_api.client("ec2")
    taken: list[int] = []

    def meddle(operation: str, given: Any) -> None:
        if operation == "ec2:CreateNetworkAclEntry" and not taken:
            taken.append(given["RuleNumber"])
            ec2.create_network_acl_entry(**{**given, "CidrBlock": "203.0.113.9/32"})

    moto_api.before = meddle
    driven = driver.run(ACTION, BlockAddressParams(address=BLOCK, subnet_ids=(host.subnet_id,)), moto_api)

    assert driven.done.outcome is Outcome.APPLIED
    assert [entry["rule_number"] for entry in driven.done.outputs["entries"]] == [2, 1]


def test_undo_deletes_only_what_was_made() -> None:
    """Another's deny of the same block, further down, stays."""
    before = state_of(*OPEN, entry(200, "deny", BLOCK))
    after = state_of(*OPEN, entry(200, "deny", BLOCK), entry(1, "deny", BLOCK))
    (call,) = ACTION.undo_calls(params(), before, after, after, frozenset({f"acl-1/ingress/{BLOCK}"}))

    assert call.operation == "ec2:DeleteNetworkAclEntry"
    assert call.params == {"NetworkAclId": "acl-1", "RuleNumber": 1, "Egress": False}
