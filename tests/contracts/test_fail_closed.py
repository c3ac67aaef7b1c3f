"""Isolation passes through an open group: whatever goes wrong there, no interface stays in it."""

from __future__ import annotations

from typing import Any

import pytest

from irrunner.actions.ec2.groups import group_name
from irrunner.actions.runtime import Later
from irrunner.errors import ActionDenied, ActionError, ActionThrottled, QuotaExceeded, TargetNotFound
from irrunner.vocabulary import Outcome
from tests.contracts.bench import Bench
from tests.contracts.conftest import OpenWorld
from tests.contracts.rows.ec2 import MODIFY_INTERFACE, instance

ISOLATE = "aws.ec2.isolate-instance"
WIDE_OPEN = {"protocol": "-1", "cidr_ipv4": "0.0.0.0/0"}


def region_of(bench: Bench) -> dict[str, Any]:
    """Return the state of the incident's Region."""
    region: dict[str, Any] = bench.world.state()["accounts"][bench.account]["regions"][bench.where.region]
    return region


def groups_of(bench: Bench) -> dict[str, list[str]]:
    """Return interface to groups, by an administrator's eyes."""
    ids = bench.resources["network_interface_ids"]
    found = bench.client("ec2").describe_network_interfaces(NetworkInterfaceIds=ids)["NetworkInterfaces"]
    return {raw["NetworkInterfaceId"]: sorted(group["GroupId"] for group in raw["Groups"]) for raw in found}


def exposed(bench: Bench) -> list[str]:
    """Return the interfaces that anybody may reach on any port."""
    groups = region_of(bench)["security_groups"]
    open_groups = {ident for ident, group in groups.items() if WIDE_OPEN in group["ingress"]}
    return [eni for eni, own in groups_of(bench).items() if open_groups & set(own)]


def quarantine_of(bench: Bench) -> str:
    """Return the quarantine group's id."""
    name = group_name("quarantine", bench.resources["vpc_id"])
    (found,) = (
        ident for ident, group in region_of(bench)["security_groups"].items() if group["name"] == name
    )
    return str(found)


@pytest.mark.parametrize("number", [2, 4])
def test_a_denied_second_move_puts_the_interface_back(number: int, open_world: OpenWorld) -> None:
    """Denied between the two moves: no interface is left open, the error says so, and a retry isolates."""
    with open_world() as bench:
        action, values = bench.registry.get(ISOLATE), instance(bench)
        before = groups_of(bench)
        bench.world.fault(MODIFY_INTERFACE, "deny", nth=[number])
        with pytest.raises(ActionDenied, match=r"so instead: Put eni-[0-9a-f]+ back into"):
            bench.run(action, values)

        first, second = sorted(bench.resources["network_interface_ids"])
        now = groups_of(bench)
        assert exposed(bench) == []
        assert now[second] == before[second]
        assert now[first] == (before[first] if number == 2 else [quarantine_of(bench)])

        bench.world.clear_faults()
        again = bench.run(action, values)
        assert again.done.outcome is Outcome.APPLIED
        assert set(map(tuple, groups_of(bench).values())) == {(quarantine_of(bench),)}


def test_where_it_cannot_be_put_back_the_open_group_is_closed(open_world: OpenWorld) -> None:
    """Every move is denied after the first: the conversion group loses its rules, so the interface is cut."""
    with open_world() as bench:
        bench.world.fault(MODIFY_INTERFACE, "deny", nth=list(range(2, 50)))
        with pytest.raises(ActionDenied, match="which cuts what is in it off"):
            bench.run(bench.registry.get(ISOLATE), instance(bench))

        name = group_name("conversion", bench.resources["vpc_id"])
        conversion = next(
            group for group in region_of(bench)["security_groups"].values() if group["name"] == name
        )
        assert exposed(bench) == []
        assert (conversion["ingress"], conversion["egress"]) == ([], [])


def test_an_interface_in_transit_after_a_crash_is_not_left_open(open_world: OpenWorld) -> None:
    """The process that takes it up may not move it either: its recorded groups are the way back."""
    with open_world() as bench:
        action, values = bench.registry.get(ISOLATE), instance(bench)
        before = groups_of(bench)
        bench.world.fault(MODIFY_INTERFACE, "effect-then-lost", nth=[1])
        bench.world.fault(MODIFY_INTERFACE, "deny", nth=[2])
        with pytest.raises(ActionDenied, match="so instead: Put"):
            bench.run(action, values)

        assert exposed(bench) == []
        assert groups_of(bench) == before


def test_where_nothing_is_allowed_any_more_the_error_asks_for_a_hand(open_world: OpenWorld) -> None:
    """Moves and closing are denied: nothing can be done, and the message names the interface."""
    with open_world() as bench:
        bench.world.fault(MODIFY_INTERFACE, "deny", nth=list(range(2, 50)))
        bench.world.fault("ec2:RevokeSecurityGroup*", "deny", nth=list(range(2, 50)))
        with pytest.raises(ActionDenied, match=r"set eni-[0-9a-f]+ right by hand, at once"):
            bench.run(bench.registry.get(ISOLATE), instance(bench))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("InvalidGroup.NotFound", TargetNotFound),
        ("SecurityGroupsPerInterfaceLimitExceeded", QuotaExceeded),
        ("RequestLimitExceeded", ActionThrottled),
    ],
)
def test_any_final_failure_of_the_second_move_falls_back(
    code: str, error: type[ActionError], open_world: OpenWorld
) -> None:
    """Not only a denial: the quarantine group was deleted, a limit was met, AWS throttles on and on."""
    with open_world() as bench:
        bench.world.fault(MODIFY_INTERFACE, "error", code=code, nth=[2, 3, 4, 5])
        with pytest.raises(error):
            bench.run(bench.registry.get(ISOLATE), instance(bench))

        assert exposed(bench) == []


def test_a_failure_after_which_nothing_is_open_needs_no_way_back(open_world: OpenWorld) -> None:
    """The first move is denied: nothing was changed, so nothing is put back."""
    with open_world() as bench:
        before = groups_of(bench)
        bench.world.fault(MODIFY_INTERFACE, "deny", times=0)
        with pytest.raises(ActionDenied) as caught:
            bench.run(bench.registry.get(ISOLATE), instance(bench))

        assert "so instead" not in caught.value.message
        assert groups_of(bench) == before


def test_many_hosts_of_one_network_share_its_groups(open_world: OpenWorld) -> None:
    """Another run makes the groups between our look and our call: we look again, and go on with theirs."""
    with open_world() as bench:
        action, values = bench.registry.get(ISOLATE), instance(bench)
        attempt = bench.attempt(action, values)
        seen = attempt.begin().before
        vpc = bench.resources["vpc_id"]
        bench.client("ec2").create_security_group(
            GroupName=group_name("quarantine", vpc), Description="made meanwhile", VpcId=vpc
        )
        later = attempt._follow(action.decide(attempt.params, seen), seen)
        done = bench.finish(attempt)

        assert isinstance(later, Later)
        assert "somebody else was at it" in later.reason
        assert done.outcome is Outcome.APPLIED
        assert set(map(tuple, groups_of(bench).values())) == {(quarantine_of(bench),)}
