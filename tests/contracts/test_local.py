"""Actions that call no AWS API: notifications and records."""

from __future__ import annotations

import pytest

from irrunner.aws.operations import is_read
from irrunner.vocabulary import Outcome, Settle
from tests.contracts.bench import Bench, claimed, matches
from tests.contracts.conftest import OpenWorld
from tests.contracts.table import LOCAL


def changes(bench: Bench) -> list[str]:
    """Return what was sent past AWS, less what only asks."""
    return [operation for operation, _ in bench.local.calls if not is_read(operation)]


@pytest.mark.parametrize("action_id", LOCAL)
def test_a_local_action_calls_no_aws(action_id: str, open_world: OpenWorld) -> None:
    """It ends well, and the world has heard nothing of it; a message cannot be read back, and says so."""
    with open_world() as bench:
        ended = bench.run(bench.registry.get(action_id), LOCAL[action_id])

        assert ended.done.outcome is Outcome.APPLIED
        assert ended.done.verified == (action_id != "notify.send")
        assert bench.received() == []
        assert matches(claimed(ended.begun.calls), claimed(ended.run.sender.sent))


@pytest.mark.parametrize("action_id", LOCAL)
def test_a_local_plan_sends_nothing(action_id: str, open_world: OpenWorld) -> None:
    """Nobody's chat hears of a plan."""
    with open_world() as bench:
        bench.attempt(bench.registry.get(action_id), LOCAL[action_id]).begin()

        assert changes(bench) == []


@pytest.mark.parametrize("action_id", LOCAL)
def test_a_local_effect_never_happens_twice(action_id: str, open_world: OpenWorld) -> None:
    """Resumed after a crash: a message is unknown and not sent again; a record is simply made again."""
    with open_world() as bench:
        action = bench.registry.get(action_id)
        first = bench.attempt(action, LOCAL[action_id])
        begun = first.begin()
        bench.finish(first)
        sent = len(changes(bench))
        resumed = bench.attempt(action, LOCAL[action_id])
        resumed.before = begun.before
        resumed.resume(len(begun.calls), bench.clock.now())
        done = bench.finish(resumed)

        assert len(changes(bench)) == sent
        assert done.outcome is (Outcome.UNKNOWN if action.settle is Settle.AT_MOST_ONCE else Outcome.APPLIED)


def test_an_interrupted_message_that_was_never_to_be_sent_is_no_mystery(open_world: OpenWorld) -> None:
    """The intent foresaw no call (no such channel): resumed, the step ends as it would have."""
    with open_world() as bench:
        action = bench.registry.get("notify.send")
        values = {**LOCAL["notify.send"], "channel": "nobody"}
        begun = bench.attempt(action, values).begin()
        resumed = bench.attempt(action, values)
        resumed.before = begun.before
        resumed.resume(len(begun.calls), bench.clock.now())
        done = bench.finish(resumed)

        assert begun.calls == ()
        assert done.outcome is Outcome.APPLIED
        assert not done.outputs["sent"]
        assert bench.local.calls == []
