"""Blocks by DNS Firewall: what is made, what is refused, what waits, and what an undo leaves to others."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.contract import Act, Refused, Settled, Waiting
from irrunner.actions.route53resolver.block_domains import (
    BlockDomains,
    BlockDomainsParams,
    BlockDomainsState,
    entries_of,
)
from irrunner.actions.route53resolver.firewall import BLOCKING, Association, DomainList, Firewall

ACTION = BlockDomains()
VPC = "vpc-0123456789abcdef0"


def params(*domains: str, **more: Any) -> BlockDomainsParams:
    """Return parameters."""
    values = {"vpc_id": VPC, "domains": domains or ("evil.example",), "subdomains": False, **more}
    return BlockDomainsParams.model_validate(values)


def association(group_id: str = "frg-1", priority: int = 101, status: str = "COMPLETE") -> Association:
    """Return an association of the VPC."""
    return Association(
        association_id=f"assoc-{group_id}", group_id=group_id, name=group_id, priority=priority, status=status
    )


def firewall(*domains: str, **more: Any) -> Firewall:
    """Return a firewall of ours."""
    listed = DomainList(list_id="fdl-1", status=more.pop("list_status", "COMPLETE"), domains=domains)
    values = {"domains": listed, "group_id": "frg-1", "rule": BLOCKING, "associations": (association(),)}
    return Firewall(**(values | more))


def state_of(found: Firewall, *wanted: str) -> BlockDomainsState:
    """Return a state."""
    return BlockDomainsState(
        vpc_id=VPC, wanted=wanted or ("evil.example",), firewall=found, request_id="run/step"
    )


def operations(decision: object) -> list[str]:
    """Return what would be called."""
    assert isinstance(decision, Act), decision
    return [call.operation.partition(":")[2] for call in decision.calls]


@pytest.mark.parametrize(
    ("found", "made"),
    [
        (Firewall(), ["CreateFirewallDomainList", "UpdateFirewallDomains", "CreateFirewallRuleGroup",
                      "CreateFirewallRule", "AssociateFirewallRuleGroup"]),
        (firewall(), ["UpdateFirewallDomains"]),
        (firewall("evil.example", associations=()), ["AssociateFirewallRuleGroup"]),
        (firewall("evil.example", rule="ALERT"), ["UpdateFirewallRule"]),
        (firewall("evil.example", rule="BLOCK/NODATA"), ["UpdateFirewallRule"]),
        (firewall("evil.example", rule=None), ["CreateFirewallRule"]),
    ],
)  # fmt: skip
def test_makes_what_is_missing(found: Firewall, made: list[str]) -> None:
    """A rule that only warns is no block, whatever its name is."""
    assert operations(ACTION.decide(params(), state_of(found))) == made


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (firewall("evil.example"), Settled),
        (firewall("evil.example", list_status="UPDATING"), Waiting),
        (firewall("evil.example", associations=(association(status="UPDATING"),)), Waiting),
        (firewall("evil.example", associations=(association(status="DELETING"),)), Waiting),
    ],
)
def test_settles_when_the_vpc_uses_it(found: Firewall, kind: type) -> None:
    """Accepted is not blocked: the VPC uses a change only when it is complete."""
    assert isinstance(ACTION.decide(params(), state_of(found)), kind)


def test_tunnels_are_below_a_domain() -> None:
    """A DNS tunnel asks for ever new names below its domain; the spelling does not matter."""
    wanted = entries_of(params("Evil.Example.", "*.x.example", subdomains=True))

    assert list(wanted) == ["*.evil.example", "*.x.example", "evil.example"]


@pytest.mark.parametrize(
    "domain", ["amazonaws.com", "*.amazonaws.com", "*.api.aws", "*.us-east-1.amazonaws.com"]
)
def test_aws_itself_is_refused(domain: str) -> None:
    """What runs in the VPC, its forensics too, speaks to AWS by these names."""
    assert isinstance(ACTION.decide(params(domain), state_of(Firewall(), domain)), Refused)


def test_one_name_of_aws_may_be_blocked() -> None:
    """A bucket of an attacker is a name below amazonaws.com."""
    domain = "loot.s3.amazonaws.com"

    assert isinstance(ACTION.decide(params(domain), state_of(Firewall(), domain)), Act)


def test_priorities() -> None:
    """A taken priority is refused with its holder; without one the first free one is taken."""
    others = firewall("evil.example", associations=(association("frg-9", 101), association("frg-8", 103)))
    refused = ACTION.decide(params(priority=103), state_of(others))
    chosen = ACTION.decide(params(), state_of(others))

    assert isinstance(refused, Refused)
    assert "frg-8" in refused.reason
    assert isinstance(chosen, Act)
    assert chosen.calls[-1].params["Priority"] == 102


def test_says_who_is_asked_first() -> None:
    """A group of lower priority may allow what ours blocks."""
    found = firewall("evil.example", associations=(association("frg-9", 101), association(priority=102)))
    decision = ACTION.decide(params(), state_of(found))

    assert isinstance(decision, Settled)
    assert "frg-9" in decision.warnings[0]
    assert "8.8.8.8" in decision.warnings[1]


def test_undo_leaves_the_domains_of_other_incidents() -> None:
    """With the last domain only, the VPC leaves the group; before that, another block rests on it."""
    before, after = state_of(Firewall()), state_of(firewall("evil.example", "other.example"))
    last = state_of(firewall("evil.example"))
    keys = frozenset({f"{VPC}/evil.example"})
    shared = ACTION.undo_calls(params(), before, after, after, keys)
    alone = ACTION.undo_calls(params(), before, last, last, keys)

    assert [(call.operation, call.params.get("Domains")) for call in shared] == [
        ("route53resolver:UpdateFirewallDomains", ["evil.example"])
    ]
    assert alone[-1].operation == "route53resolver:DisassociateFirewallRuleGroup"


@pytest.mark.parametrize(
    "domain",
    ["", "com", "*", "*.", "a..b", "-x.example", "x y.example", "<from a.b>", f"{64 * 'a'}.example"],
)
def test_what_is_no_domain(domain: str) -> None:
    """One label alone would block a whole top-level domain."""
    with pytest.raises(ValidationError):
        params(domain)
