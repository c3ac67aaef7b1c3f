"""Isolation: every interface ends in a group without rules, from any state, through any crash."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrunner.actions.contract import Act, Call, Refused, Settled, Token, Waiting
from irrunner.actions.ec2.groups import ANYWHERE, Group, Rule, VpcGroups
from irrunner.actions.ec2.interfaces import PRIOR_GROUPS, Interface
from irrunner.actions.ec2.isolate import IsolateInstance, IsolateParams, IsolateState
from irrunner.actions.runtime import Done, Later
from irrunner.errors import ActionDenied, OutcomeUnknown, QuotaExceeded, TargetNotFound
from irrunner.vocabulary import Outcome

INSTANCE = "i-0123456789abcdef0"
ACTION = IsolateInstance()
PARAMS = IsolateParams(instance_id=INSTANCE)
VPCS = ("vpc-1", "vpc-2")
MODIFY = "ec2:ModifyNetworkInterfaceAttribute"


class Ec2:
    """The smallest EC2 that isolation needs, made from a state and read back into one."""

    def __init__(self, state: IsolateState) -> None:
        self.state = state
        self.interfaces = {interface.network_interface_id: interface for interface in state.interfaces}
        self.groups = {
            group.group_id: group
            for groups in state.groups
            for group in (groups.quarantine, groups.conversion)
            if group
        }
        self.made: dict[tuple[str, str], str] = {
            (groups.vpc_id, purpose): group.group_id
            for groups in state.groups
            for purpose, group in (("quarantine", groups.quarantine), ("conversion", groups.conversion))
            if group
        }
        self.ids = (f"new-{number}" for number in itertools.count())
        self.tokens: dict[str, Any] = {}

    def apply(self, calls: Iterable[Call]) -> None:
        """Carry out calls as AWS would."""
        for call in calls:
            for read in call.reads:
                group = self.groups[self.tokens[call.params["GroupId"].name]]
                rules = [rule.rule_id for rule in group.rules if rule.egress]
                self.tokens.update(dict.fromkeys(read.bind, rules))
            params = {name: self._resolve(value) for name, value in call.params.items()}
            getattr(self, call.operation.removeprefix("ec2:"))(call, params)

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, Token):
            return self.tokens[value.name]
        return [self._resolve(item) for item in value] if isinstance(value, list) else value

    def CreateSecurityGroup(self, call: Call, params: dict[str, Any]) -> None:  # noqa: N802, D102
        made = next(self.ids)
        purpose = params["TagSpecifications"][0]["Tags"][0]["Value"]
        assert (params["VpcId"], purpose) not in self.made
        self.made[params["VpcId"], purpose] = made
        born = tuple(Rule(rule_id=next(self.ids), egress=True, everything=source) for source in ANYWHERE)
        self.groups[made] = Group(group_id=made, rules=born)
        self.tokens.update(dict.fromkeys(call.yields, made))

    def _revoke(self, params: dict[str, Any]) -> None:
        group = self.groups[params["GroupId"]]
        kept = tuple(rule for rule in group.rules if rule.rule_id not in params["SecurityGroupRuleIds"])
        self.groups[group.group_id] = group.model_copy(update={"rules": kept})

    def RevokeSecurityGroupEgress(self, call: Call, params: dict[str, Any]) -> None:  # noqa: N802, D102
        self._revoke(params)

    def RevokeSecurityGroupIngress(self, call: Call, params: dict[str, Any]) -> None:  # noqa: N802, D102
        self._revoke(params)

    def _authorize(self, params: dict[str, Any], *, egress: bool) -> None:
        group = self.groups[params["GroupId"]]
        permission = params["IpPermissions"][0]
        sources = [item["CidrIp"] for item in permission.get("IpRanges", [])]
        sources += [item["CidrIpv6"] for item in permission.get("Ipv6Ranges", [])]
        new = [source for source in sources if source not in group.allowed(egress=egress)]
        if len(new) < len(sources):
            return  # InvalidPermission.Duplicate refuses the whole call
        rules = tuple(Rule(rule_id=next(self.ids), egress=egress, everything=source) for source in new)
        self.groups[group.group_id] = group.model_copy(update={"rules": group.rules + rules})

    def AuthorizeSecurityGroupIngress(self, call: Call, params: dict[str, Any]) -> None:  # noqa: N802, D102
        self._authorize(params, egress=False)

    def AuthorizeSecurityGroupEgress(self, call: Call, params: dict[str, Any]) -> None:  # noqa: N802, D102
        self._authorize(params, egress=True)

    def CreateTags(self, call: Call, params: dict[str, Any]) -> None:  # noqa: N802, D102
        groups = tuple(sorted(params["Tags"][0]["Value"].split()))
        self._change(params["Resources"][0], prior_group_ids=groups)

    def ModifyNetworkInterfaceAttribute(self, call: Call, params: dict[str, Any]) -> None:  # noqa: N802, D102
        interface = self.interfaces[params["NetworkInterfaceId"]]
        assert not interface.requester_managed
        [wanted] = params["Groups"]
        group = self.groups[wanted]
        if self.made.get((interface.vpc_id, "quarantine")) == wanted:
            assert group.empty, "into quarantine only while it has no rule"
        else:
            assert self.made[interface.vpc_id, "conversion"] == wanted
            assert group.open, "through conversion only while it allows everything"
        self._change(interface.network_interface_id, group_ids=tuple(params["Groups"]))

    def _change(self, interface_id: str, **update: Any) -> None:
        self.interfaces[interface_id] = self.interfaces[interface_id].model_copy(update=update)

    def look(self) -> IsolateState:
        """Return the state as a look would."""
        groups = tuple(
            VpcGroups(
                vpc_id=groups.vpc_id,
                quarantine=self.groups.get(self.made.get((groups.vpc_id, "quarantine"), "")),
                conversion=self.groups.get(self.made.get((groups.vpc_id, "conversion"), "")),
            )
            for groups in self.state.groups
        )
        return self.state.model_copy(update={"interfaces": tuple(self.interfaces.values()), "groups": groups})


def rules(prefix: str) -> st.SearchStrategy[tuple[Rule, ...]]:
    """Rules of a group: none, all, or any."""
    one = st.tuples(st.booleans(), st.sampled_from(("", *ANYWHERE)))
    return st.lists(one, max_size=5, unique=True).map(
        lambda pairs: tuple(
            Rule(rule_id=f"{prefix}-{number}", egress=egress, everything=everything)
            for number, (egress, everything) in enumerate(pairs)
        )
    )


@st.composite
def states(draw: st.DrawFn) -> IsolateState:
    """Any state of an instance with one to three interfaces in one or two VPCs."""
    vpcs = VPCS[: draw(st.integers(1, 2))]
    groups = []
    for vpc in vpcs:
        made = {
            purpose: Group(group_id=f"{purpose}-{vpc}", rules=draw(rules(f"{purpose}-{vpc}")))
            for purpose in ("quarantine", "conversion")
            if draw(st.booleans())
        }
        groups.append(VpcGroups(vpc_id=vpc, **made))
    interfaces = []
    for number in range(draw(st.integers(len(vpcs), 3))):
        own = groups[number % len(vpcs)]
        known = [group.group_id for group in (own.quarantine, own.conversion) if group]
        ids = draw(st.lists(st.sampled_from(["sg-a", "sg-b", *known]), min_size=1, max_size=3, unique=True))
        interfaces.append(
            Interface(
                network_interface_id=f"eni-{number}",
                vpc_id=own.vpc_id,
                group_ids=tuple(sorted(ids)),
                requester_managed=number >= len(vpcs) and draw(st.booleans()),
                public=draw(st.booleans()),
                ipv6=draw(st.booleans()),
            )
        )
    return IsolateState(
        instance_id=INSTANCE, instance_state="running", interfaces=tuple(interfaces), groups=tuple(groups)
    )


def isolated(state: IsolateState) -> bool:
    """Whether everything that can be moved is in a quarantine group without rules, and nowhere else."""
    empty = {
        groups.vpc_id: groups.quarantine.group_id
        for groups in state.groups
        if groups.quarantine and groups.quarantine.empty
    }
    return all(
        interface.group_ids == (empty.get(interface.vpc_id),)
        for interface in state.interfaces
        if not interface.requester_managed
    )


@settings(max_examples=150, deadline=None)
@given(states(), st.sampled_from((True, False)), st.data())
def test_ends_isolated_from_any_state_through_any_crash(
    state: IsolateState, convert: Any, data: st.DataObject
) -> None:
    """Whatever the groups hold, and wherever it dies, the next look goes on to a verified end."""
    params = IsolateParams(instance_id=INSTANCE, convert=convert)
    world = Ec2(state)
    decision = ACTION.decide(params, state)
    for _ in range(3):
        if not isinstance(decision, Act):
            break
        whole = data.draw(st.booleans())
        stop = len(decision.calls) if whole else data.draw(st.integers(0, len(decision.calls)))
        world.apply(decision.calls[:stop])
        world.tokens.clear()
        decision = ACTION.decide(params, world.look())
    if isinstance(decision, Act):
        world.apply(decision.calls)
        decision = ACTION.decide(params, world.look())

    assert isinstance(decision, Settled)
    assert isolated(world.look())


@settings(max_examples=50, deadline=None)
@given(states())
def test_plan_is_what_the_one_round_sends(state: IsolateState) -> None:
    """One round is enough, so the forecast is the whole of it, and every call names a target."""
    calls = ACTION.forecast(PARAMS, state)
    decision = ACTION.decide(PARAMS, state)

    assert isinstance(decision, Settled) == (not calls)
    assert all(call.target and call.summary for call in calls)


@settings(max_examples=50, deadline=None)
@given(states())
def test_settles_only_what_is_isolated(state: IsolateState) -> None:
    """Settled is said exactly of states that are isolated, and states survive the journal."""
    assert isinstance(ACTION.decide(PARAMS, state), Settled) == isolated(state)
    assert IsolateState.model_validate_json(state.model_dump_json()) == state


def state_of(*interfaces: Interface, groups: VpcGroups | None = None, **more: Any) -> IsolateState:
    """Return a state of one VPC."""
    values = {"instance_state": "running", **more}
    vpc_groups = (groups or VpcGroups(vpc_id="vpc-1"),)
    return IsolateState(instance_id=INSTANCE, interfaces=interfaces, groups=vpc_groups, **values)


def interface(*groups: str, **more: Any) -> Interface:
    """Return an interface of the VPC."""
    return Interface(**{"network_interface_id": "eni-1", "vpc_id": "vpc-1", "group_ids": groups, **more})


EVERYTHING = tuple(
    Rule(rule_id=f"sgr-{egress}-{source}", egress=egress, everything=source)
    for egress in (False, True)
    for source in ANYWHERE
)
READY = VpcGroups(
    vpc_id="vpc-1",
    quarantine=Group(group_id="sg-q"),
    conversion=Group(group_id="sg-c", rules=EVERYTHING),
)


@pytest.mark.parametrize("ending", ["shutting-down", "terminated"])
def test_refuses_an_instance_that_ends(ending: str) -> None:
    """There is no host any more; the reason says what to look at instead."""
    decision = ACTION.decide(PARAMS, state_of(interface("sg-a"), instance_state=ending))

    assert isinstance(decision, Refused)
    assert "snapshots" in decision.reason


def test_refuses_when_nothing_may_be_moved() -> None:
    """An instance whose only interface AWS manages is not called isolated."""
    decision = ACTION.decide(PARAMS, state_of(interface("sg-a", requester_managed=True)))

    assert isinstance(decision, Refused)


def test_an_interface_in_transit_goes_on_to_quarantine() -> None:
    """A crash between the two moves is settled without opening the host once more."""
    decision = ACTION.decide(PARAMS, state_of(interface("sg-c"), groups=READY))

    assert isinstance(decision, Act)
    assert [call.params["Groups"] for call in decision.calls] == [["sg-q"]]


def test_transit_is_no_prior_state_and_undo_may_take_it_back() -> None:
    """In the footprint an interface in the conversion group counts as quarantined."""
    in_transit = state_of(interface("sg-c"), groups=READY)
    arrived = state_of(interface("sg-q"), groups=READY)

    assert in_transit.footprint() == arrived.footprint() == {"eni-1": ["sg-q"]}


def test_conversion_can_be_left_out() -> None:
    """Without conversion the host is never open, and the warning says that open flows go on."""
    params = IsolateParams(instance_id=INSTANCE, convert=False)
    decision = ACTION.decide(params, state_of(interface("sg-a")))
    settled = ACTION.decide(params, state_of(interface("sg-q"), groups=READY))

    assert isinstance(decision, Act)
    assert not any("onversion" in call.summary for call in decision.calls)
    assert isinstance(settled, Settled)
    assert "every open flow" in settled.warnings[0]


def test_an_unlisted_rule_is_waited_for() -> None:
    """An empty list of rules proves nothing while DescribeSecurityGroups still shows permissions."""
    groups = VpcGroups(vpc_id="vpc-1", quarantine=Group(group_id="sg-q", unlisted=True))

    assert isinstance(ACTION.decide(PARAMS, state_of(interface("sg-q"), groups=groups)), Waiting)


def test_the_first_warning_names_what_a_group_cannot_cut() -> None:
    """One line, from the facts at hand."""
    state = state_of(interface("sg-q", ipv6=True), groups=READY)
    decision = ACTION.decide(PARAMS, state)

    assert isinstance(decision, Settled)
    for words in (
        "NAT gateway",
        "egress-only",
        "ICMP",
        "AmazonProvidedDNS",
        "instance metadata",
        "PrivateLink",
    ):
        assert words in decision.warnings[0]
    assert "\n" not in decision.warnings[0]


def test_what_isolation_does_not_reach_is_said() -> None:
    """Managed interfaces, pods with their own interfaces, and Auto Scaling are named, not passed over."""
    managed = interface("sg-a", network_interface_id="eni-2", requester_managed=True)
    state = state_of(interface("sg-q", kind="trunk"), managed, groups=READY, auto_scaling_group="web-asg")
    decision = ACTION.decide(PARAMS, state)

    assert isinstance(decision, Settled)
    assert decision.outputs.model_dump()["not_isolated_interface_ids"] == ("eni-2",)
    text = "\n".join(decision.warnings)
    assert all(words in text for words in ("eni-2", "EKS", "web-asg"))


def test_a_plan_names_groups_that_do_not_exist_yet_by_token() -> None:
    """Outputs in a plan point at the step; the calls at the group that they will make."""
    state = state_of(interface("sg-a"))
    planned = ACTION.foresee(PARAMS, state, "isolate")

    assert planned.outputs["quarantine_group_ids"] == ["<from isolate.quarantine_group_ids[0]>"]
    assert [(call.operation, call.target) for call in ACTION.forecast(PARAMS, state)] == [
        ("ec2:CreateSecurityGroup", "<quarantine-group>"),
        ("ec2:RevokeSecurityGroupEgress", "<quarantine-group>"),
        ("ec2:CreateSecurityGroup", "<conversion-group>"),
        ("ec2:AuthorizeSecurityGroupIngress", "<conversion-group>"),
        ("ec2:AuthorizeSecurityGroupEgress", "<conversion-group>"),
        ("ec2:CreateTags", "eni-1"),
        (MODIFY, "eni-1"),
        (MODIFY, "eni-1"),
    ]


def groups_now(api: Any, instance_id: str) -> dict[str, tuple[str, ...]]:
    """Return interface to groups, as EC2 tells it."""
    filters = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
    described = api.client("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    return {
        item["NetworkInterfaceId"]: tuple(sorted(group["GroupId"] for group in item["Groups"]))
        for item in described
    }


def rules_of(api: Any, group_id: str) -> list[dict[str, Any]]:
    """Return the rules of a group."""
    filters = [{"Name": "group-id", "Values": [group_id]}]
    found: list[dict[str, Any]] = api.client("ec2").describe_security_group_rules(Filters=filters)[
        "SecurityGroupRules"
    ]
    return found


def test_every_interface_ends_in_a_group_without_rules(driver: Any, moto_api: Any, host: Any) -> None:
    """Both interfaces, verified by reading back; ModifyInstanceAttribute is never used."""
    params = IsolateParams(instance_id=host.instance_id)
    driven = driver.run(ACTION, params, moto_api)

    assert driven.done.outcome is Outcome.APPLIED
    [quarantine] = driven.done.outputs["quarantine_group_ids"]
    assert groups_now(moto_api, host.instance_id) == dict.fromkeys(host.groups, (quarantine,))
    assert rules_of(moto_api, quarantine) == []
    assert "ec2:ModifyInstanceAttribute" not in moto_api.operations()


def test_each_interface_passes_through_the_open_group(driver: Any, moto_api: Any, host: Any) -> None:
    """Conversion comes right before quarantine, interface by interface; IPv4 and IPv6, both ways."""
    driver.run(ACTION, IsolateParams(instance_id=host.instance_id), moto_api)
    moves = [
        (params["NetworkInterfaceId"], params["Groups"][0])
        for name, params in moto_api.sent
        if name == MODIFY
    ]
    (_, conversion), (_, quarantine) = moves[:2]

    assert [eni for eni, _ in moves] == [eni for eni in sorted(host.groups) for _ in range(2)]
    assert [group for _, group in moves] == [conversion, quarantine] * 2
    allowed = {
        (rule["IsEgress"], rule.get("CidrIpv4") or rule.get("CidrIpv6"))
        for rule in rules_of(moto_api, conversion)
    }
    assert allowed == {(egress, source) for egress in (False, True) for source in ANYWHERE}


def test_a_second_run_finds_nothing_to_do(driver: Any, moto_api: Any, host: Any) -> None:
    """Already done, without one mutating call."""
    params = IsolateParams(instance_id=host.instance_id)
    driver.run(ACTION, params, moto_api)
    moto_api.sent.clear()
    again = driver.run(ACTION, params, moto_api)

    assert again.done.outcome is Outcome.ALREADY_DONE
    assert moto_api.sent == []


def test_a_reused_group_is_read_and_cleaned(driver: Any, moto_api: Any, host: Any) -> None:
    """A group of the right name with rules in it is not trusted: its rules go, by id."""
    ec2 = moto_api.client("ec2")
    group = ec2.create_security_group(
        GroupName=f"irrunner-quarantine-{host.vpc_id}", Description="planted", VpcId=host.vpc_id
    )["GroupId"]
    backdoor = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "198.51.100.0/24"}],
    }
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[backdoor])
    driven = driver.run(ACTION, IsolateParams(instance_id=host.instance_id), moto_api)

    assert driven.done.outcome is Outcome.APPLIED
    assert driven.done.outputs["quarantine_group_ids"] == [group]
    assert rules_of(moto_api, group) == []


def test_an_interface_attached_meanwhile_is_isolated_too(driver: Any, moto_api: Any, host: Any) -> None:
    """An attacker who attaches an interface during isolation gains nothing."""
    ec2 = moto_api.client("ec2")
    late: list[str] = []

    def attach(operation: str, params: dict[str, Any]) -> None:
        if operation == MODIFY and not late:
            made = ec2.create_network_interface(SubnetId=host.subnet_id)["NetworkInterface"]
            late.append(made["NetworkInterfaceId"])
            ec2.attach_network_interface(
                NetworkInterfaceId=late[0], InstanceId=host.instance_id, DeviceIndex=7
            )

    moto_api.before = attach
    driven = driver.run(ACTION, IsolateParams(instance_id=host.instance_id), moto_api)

    assert driven.done.outcome is Outcome.APPLIED
    assert set(driven.done.outputs["network_interface_ids"]) == {*host.groups, *late}
    assert len(set(groups_now(moto_api, host.instance_id).values())) == 1


def test_undo_puts_every_interface_back(driver: Any, moto_api: Any, host: Any) -> None:
    """Groups and tags are as before; the two groups stay for reuse."""
    params = IsolateParams(instance_id=host.instance_id)
    driven = driver.run(ACTION, params, moto_api)
    undone = driver.undo(ACTION, params, driven, moto_api)

    assert undone.outcome is Outcome.APPLIED
    assert undone.verified
    assert groups_now(moto_api, host.instance_id) == dict(host.groups)
    tags = moto_api.client("ec2").describe_tags(Filters=[{"Name": "key", "Values": [PRIOR_GROUPS]}])
    assert tags["Tags"] == []


def test_undo_refuses_what_somebody_changed(driver: Any, moto_api: Any, host: Any) -> None:
    """Drift on one interface is reported, and that interface left as it was found."""
    params = IsolateParams(instance_id=host.instance_id)
    driven = driver.run(ACTION, params, moto_api)
    drifted, other = sorted(host.groups)
    moto_api.client("ec2").modify_network_interface_attribute(
        NetworkInterfaceId=drifted, Groups=list(host.groups[other])
    )
    undone = driver.undo(ACTION, params, driven, moto_api)

    assert undone.code == "drift"
    assert drifted in undone.reason
    assert groups_now(moto_api, host.instance_id)[other] == host.groups[other]


def test_undo_reports_a_group_that_was_deleted(driver: Any, moto_api: Any, host: Any) -> None:
    """A prior group that is gone is named; the host stays isolated."""
    params = IsolateParams(instance_id=host.instance_id)
    driven = driver.run(ACTION, params, moto_api)
    first = min(host.groups)
    moto_api.client("ec2").delete_security_group(GroupId=host.groups[first][0])

    with pytest.raises(TargetNotFound, match=host.groups[first][0]):
        driver.undo(ACTION, params, driven, moto_api)
    assert groups_now(moto_api, host.instance_id)[first] != host.groups[first]


def test_a_lost_answer_is_settled_by_looking(driver: Any, moto_api: Any, host: Any) -> None:
    """The answer to a move is lost after its effect: looking finds it, and the rest goes on."""
    lost: list[str] = []

    def lose(operation: str, params: dict[str, Any]) -> None:
        if operation == MODIFY and not lost:
            lost.append(operation)
            moto_api.client("ec2").modify_network_interface_attribute(**params)
            raise OutcomeUnknown("the answer was lost")

    moto_api.before = lose
    driven = driver.run(ACTION, IsolateParams(instance_id=host.instance_id), moto_api)

    assert driven.done.outcome is Outcome.APPLIED
    assert moto_api.operations().count("ec2:CreateSecurityGroup") == 2


def test_a_refused_tag_is_in_nobodys_way(driver: Any, moto_api: Any, host: Any) -> None:
    """Recording prior groups in tags may be denied: the host is isolated all the same."""

    def deny(operation: str, params: dict[str, Any]) -> None:
        if operation == "ec2:CreateTags":
            raise ActionDenied("no tags here", aws_code="UnauthorizedOperation")

    moto_api.before = deny
    driven = driver.run(ACTION, IsolateParams(instance_id=host.instance_id), moto_api)

    assert driven.done.outcome is Outcome.APPLIED


def test_a_full_quota_of_groups_surfaces(driver: Any, moto_api: Any, host: Any) -> None:
    """Nothing was moved when the quarantine group cannot be made."""

    def full(operation: str, params: dict[str, Any]) -> None:
        if operation == "ec2:CreateSecurityGroup":
            raise QuotaExceeded(
                "too many groups", hint="raise the quota", aws_code="SecurityGroupLimitExceeded"
            )

    moto_api.before = full
    with pytest.raises(QuotaExceeded, match="raise the quota"):
        driver.run(ACTION, IsolateParams(instance_id=host.instance_id), moto_api)
    assert MODIFY not in moto_api.operations()


def test_a_crash_between_the_two_moves_is_finished_by_the_next_process(
    driver: Any, moto_api: Any, host: Any, clock: Any
) -> None:
    """The resumed attempt takes the interface out of the open group, with the first look as prior state."""

    class Killed(BaseException):
        pass

    def die(operation: str, params: dict[str, Any]) -> None:
        if operation == MODIFY and moto_api.operations().count(MODIFY) == 1:
            raise Killed

    params = IsolateParams(instance_id=host.instance_id)
    moto_api.before = die
    first = driver.start(ACTION, params, moto_api)
    begun = first.begin()
    with pytest.raises(Killed):
        first.advance()
    moto_api.before = None
    second = driver.start(ACTION, params, moto_api)
    second.before = begun.before
    second.resume(len(begun.calls), clock.now())
    progress = second.advance()
    while isinstance(progress, Later):
        clock.advance(progress.poll_s)
        progress = second.advance()

    assert isinstance(progress, Done)
    assert progress.outcome is Outcome.APPLIED
    assert begun.before.footprint() == {eni: list(groups) for eni, groups in host.groups.items()}
    assert moto_api.operations().count(MODIFY) == 4


def test_an_unknown_instance_is_not_found(driver: Any, moto_api: Any) -> None:
    """The look says so, before anything else."""
    with pytest.raises(TargetNotFound):
        driver.run(ACTION, PARAMS, moto_api)
