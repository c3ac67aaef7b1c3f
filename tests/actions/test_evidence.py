"""Items of evidence: in the journal by the step's own record, once."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.contract import Where
from irrunner.actions.evidence import RecordEvidence, RecordEvidenceParams
from irrunner.testing import FakeApi
from irrunner.vocabulary import Outcome

ACTION = RecordEvidence()
PARAMS = RecordEvidenceParams(
    kind="disk-snapshot", description="copies of the disks", references=["snap-1"], sha256="0" * 64
)


def test_the_item_is_the_outputs(driver: Any) -> None:
    """What is recorded is what the verified step returns; nothing is sent anywhere."""
    api = FakeApi({})

    driven = driver.run(ACTION, PARAMS, api)

    assert driven.done.outcome is Outcome.APPLIED
    assert driven.done.verified
    assert driven.done.outputs == PARAMS.model_dump() | {
        "evidence_id": driven.done.outputs["evidence_id"],
        "recorded_at": "2026-01-01T00:00:00.000Z",
        "drill": False,
    }
    assert api.calls == []


def test_the_id_is_of_the_step_and_of_what_it_says(driver: Any) -> None:
    """A resumed step records the same item; another step or text another one."""
    first = driver.run(ACTION, PARAMS, FakeApi({})).done.outputs["evidence_id"]
    again = driver.run(ACTION, PARAMS, FakeApi({})).done.outputs["evidence_id"]
    changed = PARAMS.model_copy(update={"description": "other"})
    other_text = driver.run(ACTION, changed, FakeApi({})).done.outputs["evidence_id"]
    driver.marker = "run-1/other"
    other_step = driver.run(ACTION, PARAMS, FakeApi({})).done.outputs["evidence_id"]

    assert first == again
    assert len({first, other_text, other_step}) == 3


@pytest.mark.parametrize("wrong", [{"kind": "Disk Snapshot"}, {"sha256": "abc"}, {"surprise": 1}])
def test_wrong_parameters_are_refused(wrong: dict[str, Any]) -> None:
    """A kind is a word, a hash a hash."""
    with pytest.raises(ValidationError):
        RecordEvidenceParams.model_validate({"kind": "log", "description": ""} | wrong)


def test_hostile_text_is_only_text(driver: Any) -> None:
    """A lone surrogate or a megabyte in a description breaks nothing."""
    params = RecordEvidenceParams(kind="finding", description="\ud800" + "x" * 1_000_000)

    assert driver.run(ACTION, params, FakeApi({})).done.outcome is Outcome.APPLIED


def test_changes_nothing() -> None:
    """It names no target."""
    assert ACTION.targets(PARAMS, Where("aws", "1", "r", None, None, None)) == ()
