"""Who may use an image or a snapshot: everybody else loses it, the forensic account never."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from irrunner.actions.contract import Act, Refused, Settled, Where
from irrunner.actions.ebs.restrict_snapshot import RestrictSnapshot, RestrictSnapshotParams
from irrunner.actions.ec2.image import ImageState, RestrictImage, RestrictImageParams
from irrunner.actions.ec2.sharing import SharingState, sharing_state

IMAGE, SNAPSHOT = "ami-0123456789abcdef0", "snap-0123456789abcdef0"
OWNER, FORENSICS, PARTNER, STRANGER = "111111111111", "222222222222", "333333333333", "999999999999"
EVERYBODY = (
    "Group=all", "OrganizationArn=arn:aws:organizations::1:organization/o-1",
    f"UserId={PARTNER}", f"UserId={STRANGER}",
)  # fmt: skip


def facts(*grantees: str, owner: str = OWNER) -> dict[str, Any]:
    """Return the fields of a state."""
    return {
        "target": IMAGE,
        "value": list(grantees),
        "owner_id": owner,
        "account_id": OWNER,
    }


def image_call(state: ImageState, **params: Any) -> Any:
    """Return the one call that is decided."""
    decision = RestrictImage().decide(RestrictImageParams(image_id=IMAGE, **params), state)
    assert isinstance(decision, Act)
    (call,) = decision.calls
    return call


def test_everybody_but_the_forensic_account_loses_an_image() -> None:
    """The group, organisations and accounts go in one call; nobody is added."""
    call = image_call(ImageState(**facts(*EVERYBODY)))

    assert call.params == {
        "ImageId": IMAGE,
        "LaunchPermission": {
            "Remove": [
                {"Group": "all"},
                {"OrganizationArn": "arn:aws:organizations::1:organization/o-1"},
                {"UserId": PARTNER},
                {"UserId": STRANGER},
            ]
        },
    }


def test_accounts_that_are_to_keep_it_keep_it() -> None:
    """A partner account that is named keeps what it has, and is not given what it has not."""
    call = image_call(
        ImageState(**facts(f"UserId={PARTNER}", f"UserId={STRANGER}")), keep_account_ids=[PARTNER]
    )
    alone = RestrictImage().decide(
        RestrictImageParams(image_id=IMAGE, keep_account_ids=[PARTNER]), ImageState(**facts())
    )

    assert call.params["LaunchPermission"] == {"Remove": [{"UserId": STRANGER}]}
    assert isinstance(alone, Settled)


@pytest.mark.parametrize("forensics", [FORENSICS, None])
def test_the_forensic_account_is_no_part_of_it(forensics: str | None) -> None:
    """Whatever is done or undone, its permission stays; without the setting nobody is an exception."""
    where = Where("aws", OWNER, "eu-central-1", forensics, None, None)
    grants = [{"UserId": FORENSICS}, {"UserId": STRANGER}, {"Group": "all"}]
    state = ImageState(**sharing_state(SimpleNamespace(where=where), IMAGE, OWNER, grants))  # type: ignore[arg-type]  # the place is all it reads

    rest = [f"UserId={STRANGER}"] if forensics else [f"UserId={FORENSICS}", f"UserId={STRANGER}"]
    assert state.value == ["Group=all", *rest]


def test_undo_gives_back_what_was_taken() -> None:
    """And takes nothing."""
    before, after = SharingState(**facts(*EVERYBODY)), SharingState(**facts())
    (call,) = RestrictSnapshot().undo_calls(
        RestrictSnapshotParams(snapshot_id=SNAPSHOT), before, after, after, frozenset({IMAGE})
    )

    assert set(call.params["CreateVolumePermission"]) == {"Add"}
    assert len(call.params["CreateVolumePermission"]["Add"]) == len(EVERYBODY)


@pytest.mark.parametrize("action", [RestrictImage(), RestrictSnapshot()], ids=lambda action: str(action.id))
def test_what_belongs_to_others_is_refused(action: Any) -> None:
    """A public image that is only used here is for its owner to restrict."""
    state = action.StateModel(**facts(owner=STRANGER))
    named = {"image_id": IMAGE} if "image" in action.id else {"snapshot_id": SNAPSHOT}
    decision = action.decide(action.Params(**named), state)

    assert isinstance(decision, Refused)
    assert STRANGER in decision.reason


def test_says_which_snapshots_an_image_is_made_of() -> None:
    """They have permissions of their own, and hold the same data."""
    state = ImageState(**facts(), snapshot_ids=(SNAPSHOT,))
    decision = RestrictImage().decide(RestrictImageParams(image_id=IMAGE), state)

    assert isinstance(decision, Settled)
    assert SNAPSHOT in decision.warnings[1]
    assert decision.outputs.model_dump()["snapshot_ids"] == (SNAPSHOT,)
