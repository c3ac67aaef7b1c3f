"""Removing the instance profile: gone when read back; undo associates it again."""

from __future__ import annotations

from typing import Any

import pytest

from irrunner.actions.contract import Act, Refused, Settled, Waiting
from irrunner.actions.ec2.instances import OneInstance
from irrunner.actions.ec2.profile import Association, ProfileState, RemoveInstanceProfile
from irrunner.vocabulary import Outcome

INSTANCE = "i-0123456789abcdef0"
ARN = "arn:aws:iam::123456789012:instance-profile/web"
ACTION = RemoveInstanceProfile()
PARAMS = OneInstance(instance_id=INSTANCE)


def state_of(*association_states: str, instance_state: str = "running") -> ProfileState:
    """Return a state with associations in these states."""
    associations = tuple(
        Association(association_id=f"iip-assoc-{number}", profile_arn=ARN, state=name)
        for number, name in enumerate(association_states)
    )
    return ProfileState(instance_id=INSTANCE, instance_state=instance_state, associations=associations)


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (state_of("associated"), Act),
        (state_of("associating"), Act),
        (state_of("disassociating"), Waiting),
        (state_of(), Settled),
        (state_of("associated", instance_state="terminated"), Refused),
    ],
)
def test_decides_by_association(state: ProfileState, kind: type) -> None:
    """Settled is said only when no association is left, not even one on its way out."""
    assert isinstance(ACTION.decide(PARAMS, state), kind)


def test_says_that_stolen_credentials_live_on() -> None:
    """Taking the profile off revokes nothing."""
    decision = ACTION.decide(PARAMS, state_of())

    assert isinstance(decision, Settled)
    assert "revoke" in decision.warnings[0]


def profile_now(api: Any) -> list[str]:
    """Return the ARNs of associated profiles."""
    described = api.client("ec2").describe_iam_instance_profile_associations()
    return [item["IamInstanceProfile"]["Arn"] for item in described["IamInstanceProfileAssociations"]]


def test_removes_and_puts_back(driver: Any, moto_api: Any, launch_host: Any) -> None:
    """The same profile is on the instance after undo, under a new association."""
    arn = moto_api.client("iam").create_instance_profile(InstanceProfileName="web")["InstanceProfile"]["Arn"]
    host = launch_host(IamInstanceProfile={"Name": "web"})
    params = OneInstance(instance_id=host.instance_id)
    driven = driver.run(ACTION, params, moto_api)
    removed = profile_now(moto_api)
    undone = driver.undo(ACTION, params, driven, moto_api)

    assert driven.done.outcome is Outcome.APPLIED
    assert removed == []
    assert undone.verified
    assert profile_now(moto_api) == [arn]


def test_an_instance_without_a_profile_is_already_done(driver: Any, moto_api: Any, host: Any) -> None:
    """No profile is no error."""
    driven = driver.run(ACTION, OneInstance(instance_id=host.instance_id), moto_api)

    assert driven.done.outcome is Outcome.ALREADY_DONE
    assert moto_api.sent == []
