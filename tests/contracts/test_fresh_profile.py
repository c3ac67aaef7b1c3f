"""A profile that IAM has made just now: EC2 does not know it yet, and the step goes on."""

from __future__ import annotations

from irrunner.vocabulary import Outcome
from tests.contracts.conftest import OpenWorld
from tests.contracts.rows.surroundings import to_be_replaced


def test_a_profile_that_ec2_does_not_know_yet_is_tried_again(open_world: OpenWorld) -> None:
    """IAM is eventually consistent: the refusal passes, and costs time only."""
    operation = "ec2:ReplaceIamInstanceProfileAssociation"
    with open_world() as bench:
        values = to_be_replaced(bench)
        message = "Value (deny-all) for parameter iamInstanceProfile.name is invalid"
        bench.world.fault(
            operation, "error", code="InvalidParameterValue", message=message, status=400, times=4
        )
        ended = bench.run(bench.registry.get("aws.ec2.replace-instance-profile"), values)

        assert (ended.done.outcome, ended.done.verified) == (Outcome.APPLIED, True), ended.done.reason
        errors = [call.error for call in ended.run.sender.sent]
        assert errors == ["InvalidParameterValue"] * 4 + [""]
