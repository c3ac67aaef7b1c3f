"""Exposed ports: which rules are revoked, what stays open, and rules that come back equal."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.contract import Act, Settled
from irrunner.actions.ec2.revoke_rules import (
    GroupRule,
    RevokeRulesParams,
    RevokeRulesState,
    RevokeSecurityGroupRules,
)

ACTION = RevokeSecurityGroupRules()
GROUP = "sg-0123456789abcdef0"
EVERYBODY = ("0.0.0.0/0", "::/0")


def rule(
    rule_id: str, ports: tuple[int, int] = (22, 22), source: str = "0.0.0.0/0", **more: Any
) -> GroupRule:
    """Return an ingress rule."""
    values = {"group_id": GROUP, "protocol": "tcp", **more}
    return GroupRule(rule_id=rule_id, from_port=ports[0], to_port=ports[1], source=source, **values)


def state_of(*rules: GroupRule, **more: Any) -> RevokeRulesState:
    """Return a state."""
    values = {
        "security_group_id": GROUP, "protocol": "tcp", "ports": (22, 3389), "sources": EVERYBODY,
        "rules": rules,
        "network_interface_ids": ("eni-1",), "instance_ids": ("i-1",),
    }  # fmt: skip
    return RevokeRulesState(**(values | more))


def params(**more: Any) -> RevokeRulesParams:
    """Return parameters."""
    return RevokeRulesParams.model_validate({"security_group_id": GROUP, "ports": (22, 3389), **more})


@pytest.mark.parametrize(
    ("found", "revoked"),
    [
        (rule("sgr-1"), True),
        (rule("sgr-1", (0, 65535)), True),
        (rule("sgr-1", (3000, 4000), "::/0"), True),
        (rule("sgr-1", (0, 65535), protocol="-1"), True),
        (rule("sgr-1", (443, 443)), False),
        (rule("sgr-1", protocol="udp"), False),
        (rule("sgr-1", source="198.51.100.0/24"), False),
        (rule("sgr-1", group_id="sg-2"), False),
    ],
)
def test_revokes_what_opens_the_ports_to_everybody(found: GroupRule, revoked: bool) -> None:  # noqa: FBT001 - a table
    """Rules for a few addresses, other ports and other groups stay."""
    assert isinstance(ACTION.decide(params(), state_of(found)), Act if revoked else Settled)


def test_a_named_source_includes_wider_rules() -> None:
    """A rule for a /16 opens the port to an address in it."""
    state = state_of(rule("sgr-1", source="198.51.0.0/16"), sources=("198.51.100.7/32",))
    decision = ACTION.decide(params(sources=("198.51.100.7",)), state)

    assert isinstance(decision, Act)
    assert decision.calls[0].params["SecurityGroupRuleIds"] == ["sgr-1"]


def test_one_call_for_all() -> None:
    """So that no half of them is left where the answer is lost."""
    decision = ACTION.decide(params(), state_of(rule("sgr-1"), rule("sgr-2", (3389, 3389), "::/0")))

    assert isinstance(decision, Act)
    assert [call.params["SecurityGroupRuleIds"] for call in decision.calls] == [["sgr-1", "sgr-2"]]


def test_says_what_is_still_open() -> None:
    """Closing one group of an interface closes nothing where another one opens the port."""
    decision = ACTION.decide(params(), state_of(rule("sgr-9", group_id="sg-2")))

    assert isinstance(decision, Settled)
    assert decision.outputs.model_dump()["still_open_group_ids"] == ("sg-2",)
    assert [text for text in decision.warnings if "sg-2" in text]
    assert [text for text in decision.warnings if "open connections" in text]


def test_halves_of_the_internet_are_told() -> None:
    """Two rules of /1 are 0.0.0.0/0 in another spelling: they are not what was asked for, and not hidden."""
    decision = ACTION.decide(
        params(), state_of(rule("sgr-1", source="0.0.0.0/1"), rule("sgr-2", source="128.0.0.0/1"))
    )

    assert isinstance(decision, Settled)
    assert [text for text in decision.warnings if "sgr-1" in text and "sgr-2" in text]


def test_equal_rules_come_back() -> None:
    """Description and tags too; tags are given to a call, so each set of tags has its own."""
    tagged = rule("sgr-1", description="for the contractor", tags={"Ticket": "OPS-7"})
    every = rule("sgr-2", (0, 65535), "::/0", protocol="-1")
    before, after = state_of(tagged, every), state_of()
    keys = frozenset(before.footprint())
    calls = ACTION.undo_calls(params(), before, after, after, keys)

    assert [call.params.get("TagSpecifications", [{}])[0].get("Tags") for call in calls] == [
        None,
        [{"Key": "Ticket", "Value": "OPS-7"}],
    ]
    assert calls[0].params["IpPermissions"] == [{"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}]
    assert calls[1].params["IpPermissions"] == [
        {
            "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22,
            "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "for the contractor"}],
        }
    ]  # fmt: skip


def test_a_half_undone_undo_goes_on() -> None:
    """The rule that is back is not asked for again."""
    before = state_of(rule("sgr-1"), rule("sgr-2", (0, 65535)))
    now = state_of(rule("sgr-8"))
    calls = ACTION.undo_calls(params(), before, state_of(), now, frozenset(before.footprint()))

    assert [permission["ToPort"] for call in calls for permission in call.params["IpPermissions"]] == [65535]


@pytest.mark.parametrize(
    "values", [{"ports": ()}, {"ports": (70000,)}, {"sources": ()}, {"protocol": "icmp"}]
)
def test_bad_parameters(values: dict[str, Any]) -> None:
    """Nothing is closed by a typo."""
    with pytest.raises(ValidationError):
        params(**values)
