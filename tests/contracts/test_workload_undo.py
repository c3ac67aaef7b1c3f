"""Undo whose answers are lost: it goes on from where the world stands, and ends as it was before."""

from __future__ import annotations

import pytest

from irrunner.vocabulary import Outcome
from tests.contracts.conftest import OpenWorld
from tests.contracts.row import Row
from tests.contracts.rows import awslambda, ecr, ecs, eks
from tests.contracts.test_scenarios import UNDOABLE, prepared

OURS = [*awslambda.ROWS, *ecr.ROWS, *ecs.ROWS, *eks.ROWS]
ROWS = [row for row in UNDOABLE if row in OURS]


@pytest.mark.parametrize("fault", ["effect-then-lost", "lost-before-effect"])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_undo_goes_on_after_a_lost_answer(row: Row, fault: str, open_world: OpenWorld) -> None:
    """What undo itself has begun is no drift: half a way back would be called somebody else's change."""
    with open_world() as bench:
        action, values, _ = prepared(bench, row)
        ended = bench.run(action, values)
        assert ended.done.after is not None
        undo = bench.undo(action, values, ended.begun.before, ended.done.after)
        for operation in {call.operation for call in undo.view().calls}:
            bench.world.fault(operation, fault)
        done = bench.finish(undo)
        now = undo.look()

        assert (done.outcome, done.verified) == (Outcome.APPLIED, True), done.reason
        assert now is not None
        assert now.footprint() == ended.begun.before.footprint()
