"""ECR: our statement beside those of others, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.contract import Act, Refused, Settled
from irrunner.actions.ecr.block import SID, BlockImage, BlockImageState
from irrunner.actions.ecr.describe import DescribeImageParams
from irrunner.actions.ecr.repositories import OneRepository
from irrunner.actions.ids import PLANNING

PARAMS = OneRepository(repository_name="shop/checkout")
OURS = ("arn:aws:iam::111122223333:role/irrunner", "arn:aws:iam::999988887777:role/forensics")
PARTNER = {"Sid": "partner", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}
ACTION = BlockImage()


def state(
    document: dict[str, Any] | None, value: Any = None, exempt: tuple[str, ...] = OURS
) -> BlockImageState:
    """Return a state."""
    return BlockImageState(target=f"arn/{SID}", value=value, uri="uri", document=document, exempt=exempt)


def written(seen: BlockImageState, value: Any) -> dict[str, Any]:
    """Return the policy that is written."""
    (call,) = ACTION.write(PARAMS, seen, value)
    found: dict[str, Any] = json.loads(call.params["policyText"])
    return found


def test_statements_of_others_are_kept_word_by_word() -> None:
    """The policy is written as a whole: what we leave out is gone for good."""
    document = {"Version": "2008-10-17", "Id": "shared", "Statement": [PARTNER]}
    seen = state(document)
    policy = written(seen, ACTION.wanted(PARAMS, seen))

    assert policy["Version"] == "2008-10-17"
    assert policy["Id"] == "shared"
    assert policy["Statement"][0] == PARTNER
    assert policy["Statement"][1]["Sid"] == SID


def test_a_single_statement_is_one_of_a_list() -> None:
    """IAM's grammar allows a statement without a list around it."""
    policy = written(state({"Statement": PARTNER}), {"Sid": SID})

    assert [item["Sid"] for item in policy["Statement"]] == ["partner", SID]


def test_pulls_are_denied_to_all_but_us() -> None:
    """Services have no principal ARN; a denial with ArnNotLike holds for them, too."""
    decision = ACTION.decide(PARAMS, state(None))

    assert isinstance(decision, Act)
    statement = decision.calls[0].after
    assert statement["Effect"] == "Deny"
    assert statement["Principal"] == "*"
    assert statement["Condition"] == {"ArnNotLike": {"aws:PrincipalArn": list(OURS)}}
    alone = ACTION.wanted(PARAMS, state(None, exempt=OURS[:1]))
    assert alone["Condition"]["ArnNotLike"]["aws:PrincipalArn"] == OURS[0]


def test_a_weakened_denial_is_set_right() -> None:
    """A Sid proves nothing."""
    seen = state(None)
    wanted = ACTION.wanted(PARAMS, seen)
    weak = {**wanted, "Action": ["ecr:BatchGetImage"]}

    assert isinstance(ACTION.decide(PARAMS, state({"Statement": [weak]}, weak)), Act)
    assert isinstance(ACTION.decide(PARAMS, state({"Statement": [wanted]}, wanted)), Settled)
    assert len(written(state({"Statement": [weak]}, weak), wanted)["Statement"]) == 1


def test_undo_deletes_a_policy_that_is_ours_alone() -> None:
    """ECR takes no policy without statements."""
    ours = {"Sid": SID}
    (call,) = ACTION.write(PARAMS, state({"Statement": [ours]}, ours), None)

    assert call.operation == "ecr:DeleteRepositoryPolicy"
    assert written(state({"Statement": [PARTNER, ours]}, ours), None)["Statement"] == [PARTNER]


def test_a_policy_that_cannot_be_read_is_not_written_over() -> None:
    """It may let or deny what nobody remembers."""
    assert isinstance(ACTION.decide(PARAMS, state({"unreadable": "?"})), Refused)


@pytest.mark.parametrize(
    "given", [{}, {"image_tag": "a", "image_digest": f"sha256:{'0' * 64}"}, {"image_digest": "sha256:0"}]
)
def test_an_image_is_named_once(given: dict[str, str]) -> None:
    """Two names may be of two images."""
    with pytest.raises(ValidationError):
        DescribeImageParams(repository_name="shop", **given)


def test_a_digest_may_come_from_an_earlier_step() -> None:
    """The plan of a playbook has tokens where a task is not yet described."""
    given = {"repository_name": "shop", "image_digest": "<from task.image_digests[0]>"}

    assert DescribeImageParams.model_validate(given, context=PLANNING).image_tag is None
