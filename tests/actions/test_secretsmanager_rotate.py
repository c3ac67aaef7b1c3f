"""Rotation of a secret: started once, waited for, refused where nothing would rotate."""

from __future__ import annotations

from typing import Any

import pytest

from irrunner.actions.contract import Act, Refused, Settled, Waiting
from irrunner.actions.secretsmanager.rotate import (
    RotateSecret,
    RotateSecretParams,
    RotateSecretState,
    _stages,
)
from irrunner.vocabulary import Settle

ROTATE = RotateSecret()
PARAMS = RotateSecretParams(secret_id="prod/database")
OURS, OLD, OTHER = "v-ours", "v-old", "v-other"


def state(stages: dict[str, str] | None = None, **other: Any) -> RotateSecretState:
    """Return a look."""
    facts: dict[str, Any] = {
        "secret_arn": "arn:s", "version_id": OURS, "stages": stages or {"AWSCURRENT": OLD},
        "rotation_enabled": True, "rotated_by": "arn:f", "primary_region": "r", "region": "r",
        "deleted": False,
    }  # fmt: skip
    return RotateSecretState(**(facts | other))


def test_the_new_version_has_our_id() -> None:
    """So that it is found after a crash, and never made twice."""
    decision = ROTATE.decide(PARAMS, state())

    assert isinstance(decision, Act)
    assert decision.calls[0].params["ClientRequestToken"] == OURS
    assert ROTATE.settle is Settle.TOKEN


@pytest.mark.parametrize(
    ("stages", "kind"),
    [
        ({"AWSCURRENT": OLD, "AWSPENDING": OURS}, Waiting),
        ({"AWSCURRENT": OURS, "AWSPREVIOUS": OLD}, Settled),
        ({"AWSCURRENT": OTHER, "AWSPREVIOUS": OURS}, Settled),
        ({"AWSCURRENT": OLD, "AWSPENDING": OTHER}, Refused),
    ],
)
def test_labels_tell_how_far_it_is(stages: dict[str, str], kind: type) -> None:
    """A pending version that is not ours is somebody else's rotation, or one that failed."""
    assert isinstance(ROTATE.decide(PARAMS, state(stages)), kind)


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (state(rotated_by=""), "PutSecretValue"),
        (state(rotation_enabled=False), "no rotation is switched on"),
        (state(deleted=True), "scheduled for deletion"),
        (state(primary_region="other"), "primary Region, other"),
    ],
)
def test_refusals_say_what_to_do(seen: RotateSecretState, says: str) -> None:
    """Nothing rotates by itself."""
    decision = ROTATE.decide(PARAMS, seen)

    assert isinstance(decision, Refused)
    assert says in decision.reason
    assert ROTATE.foresee(PARAMS, seen, "s").outputs == {}


def test_a_pending_label_on_the_current_version_is_the_end() -> None:
    """So Secrets Manager leaves it, by its own documentation."""
    assert _stages({OURS: ["AWSPENDING", "AWSCURRENT"], OLD: ["AWSPREVIOUS"], "x": ["custom"]}) == {
        "AWSCURRENT": OURS,
        "AWSPREVIOUS": OLD,
    }


def test_a_plan_knows_both_versions() -> None:
    """The id is ours before the version exists."""
    outputs = ROTATE.foresee(PARAMS, state(), "s").outputs

    assert (outputs["version_id"], outputs["previous_version_id"]) == (OURS, OLD)
