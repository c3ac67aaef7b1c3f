"""Release: interfaces go back where they were, or where somebody says; never anywhere by guess."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.contract import Act, Refused, Settled
from irrunner.actions.ec2.interfaces import Interface
from irrunner.actions.ec2.isolate import IsolateInstance, IsolateParams
from irrunner.actions.ec2.release import ReleaseInstance, ReleaseParams, ReleaseState
from irrunner.actions.ids import PLANNING
from irrunner.vocabulary import Outcome

INSTANCE = "i-0123456789abcdef0"
ENI = "eni-0123456789abcdef0"
WEB = "sg-0123456789abcdef0"
ADMIN = "sg-0123456789abcdef1"
QUARANTINE = "sg-0123456789abcdef2"
ACTION = ReleaseInstance()


def state_of(*groups: str, prior: tuple[str, ...] = (), **more: Any) -> ReleaseState:
    """Return a state with one interface."""
    interface = Interface(network_interface_id=ENI, vpc_id="vpc-1", group_ids=groups, prior_group_ids=prior)
    values = {"instance_state": "running", "vpc_of_group": {WEB: "vpc-1", ADMIN: "vpc-2"}, **more}
    return ReleaseState(
        instance_id=INSTANCE, interfaces=(interface,), isolation_group_ids=(QUARANTINE,), **values
    )


def params(*, own: list[str] | None = None) -> ReleaseParams:
    """Return parameters, with groups for the interface if there are any."""
    groups = {} if own is None else {ENI: own}
    return ReleaseParams(instance_id=INSTANCE, security_group_ids=groups)


def test_goes_back_to_the_recorded_groups() -> None:
    """Without a map the record that isolation left decides, and the record is then taken off."""
    decision = ACTION.decide(params(), state_of(QUARANTINE, prior=(WEB,)))

    assert isinstance(decision, Act)
    assert [(call.operation, call.after) for call in decision.calls] == [
        ("ec2:ModifyNetworkInterfaceAttribute", [WEB]),
        ("ec2:DeleteTags", None),
    ]


def test_given_groups_win_over_recorded_ones() -> None:
    """A person who names groups is obeyed."""
    decision = ACTION.decide(params(own=[WEB]), state_of(QUARANTINE, prior=(ADMIN,)))

    assert isinstance(decision, Act)
    assert decision.calls[0].params["Groups"] == [WEB]


@pytest.mark.parametrize(
    ("given", "state", "words"),
    [
        (params(), state_of(QUARANTINE), "not recorded"),
        (params(own=["sg-0123456789abcdef9"]), state_of(QUARANTINE), "does not exist"),
        (params(own=[ADMIN]), state_of(QUARANTINE), "vpc-2"),
        (params(own=[]), state_of(QUARANTINE), "at least one"),
        (params(), state_of(QUARANTINE, prior=(WEB,), instance_state="terminated"), "terminated"),
        (
            ReleaseParams(instance_id=INSTANCE, security_group_ids={"eni-0123456789abcdef9": [WEB]}),
            state_of(QUARANTINE, prior=(WEB,)),
            "not attached",
        ),
    ],
)
def test_refuses_what_cannot_be_right(given: ReleaseParams, state: ReleaseState, words: str) -> None:
    """No record, no such group, another VPC, no group, no host, no such interface."""
    decision = ACTION.decide(given, state)

    assert isinstance(decision, Refused)
    assert words in decision.reason


def test_an_instance_that_is_not_isolated_is_left_alone() -> None:
    """Nothing recorded and not in quarantine: there is nothing to release."""
    assert isinstance(ACTION.decide(params(), state_of(WEB)), Settled)


def test_token_groups_are_accepted_in_plans_only() -> None:
    """A token stands for a group that does not exist yet; outside a plan it is no group id."""
    values = {"instance_id": INSTANCE, "security_group_ids": {ENI: ["<from isolate.prior[0]>"]}}

    planned = ReleaseParams.model_validate(values, context=PLANNING)

    assert planned.security_group_ids[ENI] == ["<from isolate.prior[0]>"]
    with pytest.raises(ValidationError, match="not a security group id"):
        ReleaseParams.model_validate(values)


def test_releases_what_was_isolated_and_can_take_it_back(driver: Any, moto_api: Any, host: Any) -> None:
    """Isolate, release, undo the release: free in between, in quarantine again at the end."""
    isolated = driver.run(IsolateInstance(), IsolateParams(instance_id=host.instance_id), moto_api)
    given = ReleaseParams(instance_id=host.instance_id)
    released = driver.run(ACTION, given, moto_api)
    again = driver.run(ACTION, given, moto_api)
    undone = driver.undo(ACTION, given, released, moto_api)

    assert released.done.outcome is Outcome.APPLIED
    assert released.done.after.footprint() == {eni: list(groups) for eni, groups in host.groups.items()}
    assert again.done.outcome is Outcome.ALREADY_DONE
    assert undone.verified
    assert undone.after.footprint() == isolated.done.after.footprint()
