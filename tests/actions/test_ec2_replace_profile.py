"""Replacing the instance profile: in one call where AWS does so, waiting for what is on its way."""

from __future__ import annotations

import pytest

from irrunner.actions.contract import Act, Refused, Settled, Waiting
from irrunner.actions.ec2.profile import Association
from irrunner.actions.ec2.replace_profile import (
    ReplaceInstanceProfile,
    ReplaceProfileParams,
    ReplaceProfileState,
)

INSTANCE = "i-0123456789abcdef0"
OLD, NEW = (f"arn:aws:iam::123456789012:instance-profile/{name}" for name in ("web", "deny-all"))
ACTION = ReplaceInstanceProfile()
PARAMS = ReplaceProfileParams(instance_id=INSTANCE, instance_profile="deny-all")


def state_of(
    arn: str | None = OLD,
    association: str = "associated",
    *,
    instance_state: str = "running",
    wanted: str | None = NEW,
) -> ReplaceProfileState:
    """Return what is seen."""
    associations = (
        (Association(association_id="iip-assoc-1", profile_arn=arn, state=association),) if arn else ()
    )
    return ReplaceProfileState(
        target=f"{INSTANCE}/instance-profile",
        value=arn if association != "disassociating" else None,
        gone=instance_state == "terminated",
        instance_id=INSTANCE,
        instance_state=instance_state,
        associations=associations,
        wanted_arn=wanted,
    )


@pytest.mark.parametrize(
    ("state", "operations"),
    [
        (state_of(), ["ec2:ReplaceIamInstanceProfileAssociation"]),
        (state_of(None), ["ec2:AssociateIamInstanceProfile"]),
        (
            state_of(instance_state="stopped"),
            ["ec2:DisassociateIamInstanceProfile", "ec2:AssociateIamInstanceProfile"],
        ),
    ],
    ids=["running", "without-one", "stopped"],
)
def test_calls_by_what_there_is(state: ReplaceProfileState, operations: list[str]) -> None:
    """AWS replaces the profile of a running instance; a profile that IAM made just now is tried again."""
    decision = ACTION.decide(PARAMS, state)

    assert isinstance(decision, Act)
    assert [call.operation for call in decision.calls] == operations
    assert decision.calls[-1].tolerate == ("InvalidParameterValue",)


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (state_of(NEW), Settled),
        (state_of(NEW, "associating"), Waiting),
        (state_of(OLD, "disassociating"), Waiting),
        (state_of(instance_state="terminated"), Refused),
        (state_of(wanted=None), Refused),
    ],
)
def test_decides_by_association(state: ReplaceProfileState, kind: type) -> None:
    """Associating is not associated; a profile that does not exist is refused before anything is sent."""
    assert isinstance(ACTION.decide(PARAMS, state), kind)


def test_undo_of_a_first_profile_takes_it_off() -> None:
    """There was none before: none is there after undo."""
    calls = ACTION.undo_calls(
        PARAMS, state_of(None), state_of(NEW), state_of(NEW), frozenset({f"{INSTANCE}/instance-profile"})
    )

    assert [call.operation for call in calls] == ["ec2:DisassociateIamInstanceProfile"]


@pytest.mark.parametrize("value", ["", "a/b", "arn:aws:iam::123456789012:role/web", "x" * 129])
def test_what_names_no_profile_is_refused(value: str) -> None:
    """A role's ARN is not a profile's."""
    with pytest.raises(ValueError, match="instance profile"):
        ReplaceProfileParams(instance_id=INSTANCE, instance_profile=value)
