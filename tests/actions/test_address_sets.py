"""Sets of addresses: only ours go in and out, tokens that are stale, and sets that let in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from irrunner.actions.address_sets import SetUse
from irrunner.actions.contract import Act, Refused, Settled
from irrunner.actions.networkfirewall.block_addresses import (
    BlockAddresses as FirewallBlock,
)
from irrunner.actions.networkfirewall.block_addresses import (
    BlockAddressesParams as FirewallParams,
)
from irrunner.actions.networkfirewall.block_addresses import RuleGroupState
from irrunner.actions.wafv2.block_addresses import BlockAddresses, BlockAddressesParams, IpSetState
from irrunner.testing import FakeApi
from irrunner.vocabulary import Outcome

ACTION = BlockAddresses()
ARN = "arn:aws:wafv2:us-east-1:1:regional/ipset/blocked/1"
OURS = ("198.51.100.7/32",)
BLOCK_RULE = SetUse(rule="web ACL edge, rule block-list", effect="block")


def params(*addresses: str, **more: Any) -> BlockAddressesParams:
    """Return parameters."""
    values = {"ip_set_name": "blocked", "ip_set_id": "1", "addresses": addresses or OURS, **more}
    return BlockAddressesParams.model_validate(values)


def state_of(*held: str, **more: Any) -> IpSetState:
    """Return a state."""
    values = {
        "target": ARN, "wanted": OURS, "addresses": held, "token": "t1", "uses": (BLOCK_RULE,),
        "ip_set_name": "blocked", "ip_set_id": "1", "scope": "REGIONAL", "version": "IPV4",
        "description": "by security",
    }  # fmt: skip
    return IpSetState(**(values | more))


def test_what_others_hold_stays() -> None:
    """A set is written as a whole: with what was in it, its description, and the token of the look."""
    decision = ACTION.decide(params(), state_of("192.0.2.1/32"))

    assert isinstance(decision, Act)
    (call,) = decision.calls
    assert call.params["Addresses"] == ["192.0.2.1/32", "198.51.100.7/32"]
    assert call.params["LockToken"] == "t1"
    assert call.params["Description"] == "by security"
    assert call.region is None


def test_undo_takes_out_ours_only() -> None:
    """What others added since is no drift, and stays."""
    before, after = state_of("192.0.2.1/32"), state_of("192.0.2.1/32", *OURS)
    now = state_of("192.0.2.1/32", "203.0.113.5/32", *OURS, token="t9")
    (call,) = ACTION.undo_calls(params(), before, after, now, frozenset({f"{ARN}/{OURS[0]}"}))

    assert call.params["Addresses"] == ["192.0.2.1/32", "203.0.113.5/32"]
    assert call.params["LockToken"] == "t9"
    assert now.footprint() == after.footprint()


def test_spellings_are_compared_as_addresses() -> None:
    """AWS may write an IPv6 address in full."""
    wanted = ("2001:db8::1/128",)
    held = state_of("2001:0db8:0000:0000:0000:0000:0000:0001/128", wanted=wanted, version="IPV6")

    assert isinstance(ACTION.decide(params("2001:db8::1"), held), Settled)


@pytest.mark.parametrize("effect", ["allow", "pass"])
def test_a_set_that_lets_in_is_refused(effect: str) -> None:
    """An attacker's address on an allow list is an open door."""
    door = SetUse(rule="web ACL edge, rule partners", effect=effect)
    decision = ACTION.decide(params(), state_of(uses=(BLOCK_RULE, door)))

    assert isinstance(decision, Refused)
    assert "partners" in decision.reason


@pytest.mark.parametrize(
    ("uses", "says"),
    [((), "no rule was found"), ((SetUse(rule="r", effect="count"),), "only count")],
)
def test_says_where_nothing_is_blocked(uses: tuple[SetUse, ...], says: str) -> None:
    """The address is in the set, and passes all the same."""
    decision = ACTION.decide(params(), state_of(*OURS, uses=uses))

    assert isinstance(decision, Settled)
    assert says in decision.warnings[0]


@pytest.mark.parametrize(
    ("addresses", "state", "says"),
    [
        (("2001:db8::1",), {"wanted": ("2001:db8::1/128",)}, "IPv4 only"),
        (("10.0.0.1",), {"wanted": ("10.0.0.1/32",)}, "allow_internal"),
        (("0.0.0.0/0",), {"wanted": ("0.0.0.0/0",)}, "wider"),
    ],
)
def test_addresses_that_do_not_belong(addresses: tuple[str, ...], state: dict[str, Any], says: str) -> None:
    """The reason says what to do instead."""
    decision = ACTION.decide(params(*addresses), state_of(**state))

    assert isinstance(decision, Refused)
    assert says in decision.reason


def test_a_full_set_is_refused() -> None:
    """Ten thousand is the most that WAF takes."""
    held = tuple(f"198.18.{n // 250}.{n % 250}/32" for n in range(10_000))

    assert isinstance(ACTION.decide(params(), state_of(*held)), Refused)


def test_distributions_are_kept_in_one_region() -> None:
    """CloudFront's sets are written in us-east-1, wherever the incident is."""
    decision = ACTION.decide(params(scope="CLOUDFRONT"), state_of(scope="CLOUDFRONT"))

    assert isinstance(decision, Act)
    assert decision.calls[0].region == "us-east-1"


def acl(name: str, statement: Mapping[str, Any], effect: str) -> dict[str, Any]:
    """Return a web ACL of one rule."""
    return {"Name": name, "Rules": [{"Name": "r", "Action": {effect: {}}, "Statement": statement}]}


def test_uses_are_found_on_every_page_and_in_every_statement(driver: Any) -> None:
    """Of WAF botocore knows no pages; a reference may be nested, and negated."""
    reference = {"IPSetReferenceStatement": {"ARN": ARN}}
    acls = {
        "a": acl("a", {"AndStatement": {"Statements": [reference, {"GeoMatchStatement": {}}]}}, "Block"),
        "b": acl("b", {"NotStatement": {"Statement": reference}}, "Block"),
        "c": acl("c", {"RateBasedStatement": {"Limit": 1, "ScopeDownStatement": reference}}, "Count"),
    }

    def listed(NextMarker: str = "", **_: Any) -> Mapping[str, Any]:  # noqa: N803 - AWS's name
        name = {"": "a", "a": "b", "b": "c"}.get(NextMarker)
        return {"WebACLs": [{"Name": name, "Id": name}] if name else [], "NextMarker": name}

    api = FakeApi(
        {
            "wafv2:GetIPSet": lambda **_: {
                "IPSet": {"ARN": ARN, "Addresses": [], "IPAddressVersion": "IPV4"}, "LockToken": "t",
            },
            "wafv2:ListWebACLs": listed,
            "wafv2:GetWebACL": lambda Name, **_: {"WebACL": acls[Name]},  # noqa: N803 - as above
            "wafv2:ListRuleGroups": lambda **_: {"RuleGroups": []},
        }
    )  # fmt: skip
    state = ACTION.look(driver.context(api), params())

    assert [(use.rule[7:8], use.effect) for use in state.uses] == [
        ("a", "block"),
        ("b", "allow"),
        ("c", "count"),
    ]


def test_somebody_writes_the_set_meanwhile(driver: Any, moto_api: Any) -> None:
    """The token is stale: the set is looked at again, and both additions are in it."""
    waf = moto_api.client("wafv2")
    made = waf.create_ip_set(Name="blocked", Scope="REGIONAL", IPAddressVersion="IPV4", Addresses=[])[
        "Summary"
    ]
    meddled: list[str] = []

    def meddle(operation: str, _: Mapping[str, Any]) -> None:
        if operation == "wafv2:UpdateIPSet" and not meddled:
            meddled.append(operation)
            now = waf.get_ip_set(Name="blocked", Scope="REGIONAL", Id=made["Id"])
            waf.update_ip_set(
                Name="blocked", Scope="REGIONAL", Id=made["Id"], Addresses=["203.0.113.5/32"],
                LockToken=now["LockToken"],
            )  # fmt: skip

    moto_api.before = meddle
    driven = driver.run(ACTION, params(ip_set_id=made["Id"]), moto_api)
    held = waf.get_ip_set(Name="blocked", Scope="REGIONAL", Id=made["Id"])["IPSet"]["Addresses"]

    assert driven.done.outcome is Outcome.APPLIED
    assert sorted(held) == ["198.51.100.7/32", "203.0.113.5/32"]
    assert driver.undo(ACTION, params(ip_set_id=made["Id"]), driven, moto_api).verified
    held = waf.get_ip_set(Name="blocked", Scope="REGIONAL", Id=made["Id"])["IPSet"]["Addresses"]
    assert held == ["203.0.113.5/32"]


# -- Network Firewall -----------------------------------------------------------------------------

DROPS = "drop ip $BLOCKED any -> any any (sid:1;)"
GROUP = "arn:aws:network-firewall:us-east-1:1:stateful-rulegroup/egress"


def firewall_params(**more: Any) -> FirewallParams:
    """Return parameters."""
    values = {"rule_group_name": "egress", "variable": "BLOCKED", "addresses": OURS}
    return FirewallParams.model_validate(values | more)


def group_of(rules: Mapping[str, Any], driver: Any, **about: Any) -> RuleGroupState:
    """Return what a look sees of a rule group."""
    group = {
        "RuleVariables": {
            "IPSets": {"BLOCKED": {"Definition": []}, "PARTNERS": {"Definition": ["192.0.2.0/24"]}},
            "PortSets": {"WEB": {"Definition": ["443"]}},
        },
        "RulesSource": rules,
    }
    told = {"RuleGroupArn": GROUP, "NumberOfAssociations": 1, "Description": "by security", **about}
    answer = {"UpdateToken": "t1", "RuleGroup": group, "RuleGroupResponse": told}
    api = FakeApi({"network-firewall:DescribeRuleGroup": lambda **_: answer})
    return FirewallBlock().look(driver.context(api), firewall_params())


@pytest.mark.parametrize(
    ("rules", "effects"),
    [
        ({"RulesString": "# drop ip $BLOCKED any\n drop ip $BLOCKED any -> any any (sid:1;)"}, ["drop"]),
        ({"RulesString": "pass ip $BLOCKED any -> any any (sid:1;)"}, ["pass"]),
        ({"RulesString": "rejectsrc tcp any any -> $BLOCKED any (sid:1;)"}, ["reject"]),
        ({"RulesString": 'drop ip $BLOCKED_MORE any -> any any (msg:"$BLOCKED"; sid:1;)'}, []),
        (
            {"StatefulRules": [{"Action": "DROP", "Header": {"Source": "$BLOCKED", "Destination": "ANY"}}]},
            ["drop"],
        ),
        ({"RulesSourceList": {"Targets": ["x.example"]}}, []),
    ],
)
def test_uses_of_a_variable(rules: Mapping[str, Any], effects: list[str], driver: Any) -> None:
    """Both forms of rules are read; comments, other names and messages are no use."""
    assert [use.effect for use in group_of(rules, driver).uses] == effects


def test_all_else_of_the_group_is_written_back(driver: Any) -> None:
    """UpdateRuleGroup replaces everything: rules and variables go back, under the look's token."""
    state = group_of({"RulesString": "drop ip $BLOCKED any -> any any (sid:1;)"}, driver)
    decision = FirewallBlock().decide(firewall_params(), state)

    assert isinstance(decision, Act)
    (call,) = decision.calls
    assert call.params["UpdateToken"] == "t1"
    assert call.params["Description"] == "by security"
    group = call.params["RuleGroup"]
    assert set(group) == {"RuleVariables", "RulesSource"}
    assert set(group["RuleVariables"]) == {"IPSets", "PortSets"}
    assert group["RuleVariables"]["IPSets"] == {
        "BLOCKED": {"Definition": list(OURS)},
        "PARTNERS": {"Definition": ["192.0.2.0/24"]},
    }
    assert call.reads[0].bind == {
        "RulesSource": "RuleGroup.RulesSource",
        "PortSets": "RuleGroup.RuleVariables.PortSets",
    }


@pytest.mark.parametrize(
    ("rules", "about", "variable", "says"),
    [
        (DROPS, {}, "NOBODY", "it has: BLOCKED, PARTNERS"),
        (DROPS, {"NumberOfAssociations": 0}, "BLOCKED", "no firewall policy"),
        (DROPS.replace("drop", "pass"), {}, "BLOCKED", "open the door"),
    ],
)
def test_groups_by_which_nothing_is_blocked(
    rules: str, about: dict[str, Any], variable: str, says: str, driver: Any
) -> None:
    """The reason says what to name instead."""
    state = group_of({"RulesString": rules}, driver, **about)
    if variable == "NOBODY":
        state = state.model_copy(
            update={"known": False, "uses": (), "other_sets": {"BLOCKED": (), "PARTNERS": ()}}
        )
    decision = FirewallBlock().decide(firewall_params(variable=variable), state)

    assert isinstance(decision, Refused)
    assert says in decision.reason
