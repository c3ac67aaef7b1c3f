"""Hundreds of volumes on the simulated organisation: nothing lost, nothing twice, whatever happens."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from gameday.world import seam
from irrunner.actions.runtime import Done
from irrunner.errors import ActionError
from irrunner.vocabulary import Outcome
from tests.contracts.bench import Bench, Ended, Killed
from tests.contracts.conftest import OpenWorld
from tests.forensics import many_volumes as many

ID = "forensics.acquire-volumes"
MOST_SECONDS = 25.0
"""Of processor time, world included; a quiet machine needs half of it."""
MOST_BYTES_PER_VOLUME = 6_000
"""Of the journal, over intent, calls and outcome."""


def acquire(bench: Bench, kinds: dict[str, str], **more: Any) -> Ended:
    """Acquire volumes."""
    return bench.run(bench.registry.get(ID), {"volume_ids": list(kinds), **more})


def outcomes(done: Done) -> dict[str, str]:
    """Return volume id to outcome."""
    return {item["volume_id"]: item["outcome"] for item in done.outputs["volumes"]}


def check_nothing_lost_or_twice(bench: Bench, kinds: dict[str, str], done: Done) -> None:
    """Each volume is where its key lets it be, exactly once, and nothing stays lent."""
    wanted = many.expected(kinds)
    assert outcomes(done) == wanted
    made = many.copies(bench)
    assert {name: len(ids) for name, ids in made.items()} == {
        name: 1 for name, outcome in wanted.items() if outcome == "acquired"
    }
    taken = many.sources(bench)
    assert {name: len(ids) for name, ids in taken.items()} == {
        name: 1 for name, kind in kinds.items() if kind != "vanished"
    }
    assert many.still_lent(bench) == []


def test_two_hundred_mixed_volumes_in_one_step(open_world: OpenWorld) -> None:
    """The acceptance of the acquisition: complete, named, locked, bounded, and fast."""
    with open_world() as bench:
        kinds = many.make(bench, 200)
        before = len(bench.world.calls())
        began = time.process_time()

        ended = acquire(bench, kinds)

        seconds = time.process_time() - began
        done = ended.done
        assert (done.outcome, done.verified) == (Outcome.APPLIED, True)
        check_nothing_lost_or_twice(bench, kinds, done)
        by_id = {item["volume_id"]: item for item in done.outputs["volumes"]}
        for volume_id, kind in kinds.items():
            item = by_id[volume_id]
            assert item["locked"] is (kind not in many.LOST)
            assert bool(item["reason"]) is (item["outcome"] != "acquired")
            told = any(warning.startswith(f"{volume_id} ") for warning in done.warnings)
            assert told is (item["outcome"] != "acquired")
        reasons = {kinds[name]: item["reason"] for name, item in by_id.items()}
        assert "Disabled" in reasons["disabled"]
        assert "another account" in reasons["foreign"]
        assert "does not exist" in reasons["vanished"]
        assert many.FAILURE in reasons["failing"]
        calls = Counter(call.operation for call in bench.world.calls()[before:])
        assert calls["ec2:DescribeSnapshots"] < 300, "reads are by pages of ids, not by volume"
        assert calls["ec2:DescribeSnapshotAttribute"] == 0
        assert seconds < MOST_SECONDS, "of this process, world included"


def test_the_journal_of_an_acquisition_is_bounded(open_world: OpenWorld) -> None:
    """What is written grows with the volumes, and not with the looks."""
    with open_world() as bench:
        kinds = many.make(bench, 48)
        ended = acquire(bench, kinds)
        assert ended.done.after is not None
        written = [
            ended.begun.before.model_dump(mode="json"),
            [[call.operation, call.target] for call in ended.begun.calls],
            ended.done.after.model_dump(mode="json"),
            [call.as_dict() for call in ended.run.sender.sent],
            dict(ended.done.outputs),
        ]
        assert len(json.dumps(written)) < MOST_BYTES_PER_VOLUME * len(kinds)


@pytest.mark.parametrize("seed", range(4))
def test_killed_anywhere_it_goes_on_where_it_was(open_world: OpenWorld, seed: int) -> None:
    """Killed after random numbers of calls, over and over: no snapshot, copy or grant is lost or doubled."""
    chance = random.Random(seed)  # noqa: S311 - repeatability is the point
    with open_world() as bench:
        kinds = many.make(bench, 32)
        action, values = bench.registry.get(ID), {"volume_ids": list(kinds)}
        started, before, calls, deaths = bench.clock.now(), None, 0, 0
        while True:
            attempt = bench.attempt(action, values, started=started, alive=chance.randrange(1, 60))
            if before is None:
                begun = attempt.begin()
                before, calls = begun.before, len(begun.calls)
            else:
                attempt.before = before
                attempt.resume(calls, started)
            try:
                done = bench.finish(attempt)
            except Killed:
                deaths += 1
                continue
            break

        assert deaths >= 2
        assert done.outcome is Outcome.APPLIED
        check_nothing_lost_or_twice(bench, kinds, done)


def test_throttles_lost_answers_and_lost_requests_only_cost_time(open_world: OpenWorld) -> None:
    """A bad day at AWS: the same end, and no effect twice."""
    chance = random.Random(11)  # noqa: S311 - repeatability is the point
    with open_world() as bench:
        kinds = many.make(bench, 32)
        for operation in (
            "ec2:CreateSnapshot",
            "ec2:CopySnapshot",
            "ec2:Modify*",
            "ec2:LockSnapshot",
            "kms:*Grant",
        ):
            for kind in ("effect-then-lost", "lost-before-effect"):
                bench.world.fault(operation, kind, nth=sorted(chance.sample(range(1, 30), 3)))
        bench.world.fault("ec2:C*", "throttle", nth=sorted(chance.sample(range(1, 80), 25)))
        bench.world.fault("ec2:DescribeSnapshots", "throttle", nth=(5, 9))
        attempt = bench.attempt(bench.registry.get(ID), {"volume_ids": list(kinds)})
        attempt.begin()
        done = _through_throttles(bench, attempt)

        assert done.outcome is Outcome.APPLIED
        check_nothing_lost_or_twice(bench, kinds, done)


def _through_throttles(bench: Bench, attempt: Any) -> Done:
    """Go on as the engine does where our own pacing holds a look back."""
    while True:
        try:
            return bench.finish(attempt)
        except ActionError as problem:
            if not problem.retryable:
                raise
            bench.clock.advance(float(problem.detail.get("retry_after_s", 1.0)))


def test_a_grant_that_somebody_revokes_is_given_again(open_world: OpenWorld) -> None:
    """KMS or an attacker takes the loan away while copies begin: those fail silently, and are made again."""
    with open_world() as bench:
        kinds = {name: kind for name, kind in many.make(bench, 16).items() if kind == "customer"}
        attempt = bench.attempt(bench.registry.get(ID), {"volume_ids": list(kinds)})
        attempt.begin()
        revoked = 0
        for _ in range(400):
            progress = attempt.advance()
            if isinstance(progress, Done):
                break
            grants = [key.grants for key in seam.kms(bench.account, bench.where.region).keys.values()]
            if not revoked and any(grants):
                revoked = sum(len(found) for found in grants)
                for found in grants:
                    found.clear()
            bench.clock.advance(progress.poll_s)

        assert revoked == 1
        assert isinstance(progress, Done)
        assert progress.outcome is Outcome.APPLIED, progress.reason
        assert set(outcomes(progress).values()) == {"acquired"}
        assert many.still_lent(bench) == []


def test_what_aws_refuses_for_one_volume_is_named_and_hinders_no_other(open_world: OpenWorld) -> None:
    """A Marketplace disk that cannot be shared: AWS's own words are the reason, the others are acquired."""
    words = "Snapshots with AWS Marketplace product codes cannot be shared."
    with open_world() as bench:
        kinds = {name: kind for name, kind in many.make(bench, 16).items() if kind == "none"}
        bench.world.fault(
            "ec2:ModifySnapshotAttribute", "error", nth=2, code="OperationNotPermitted", message=words
        )
        done = acquire(bench, kinds).done

        assert done.outcome is Outcome.APPLIED
        assert Counter(outcomes(done).values()) == {"acquired": len(kinds) - 1, "preserved": 1}
        (other,) = [item for item in done.outputs["volumes"] if item["outcome"] == "preserved"]
        assert words in other["reason"]
        assert other["snapshot_id"]
        assert other["locked"]


def test_our_clock_may_be_wrong_by_minutes(open_world: OpenWorld) -> None:
    """Four minutes before AWS's time or after it: the same end, and no nonsense for an estimate."""
    for minutes in (-4, 4):
        with open_world() as bench:
            bench.world.clock._anchor += timedelta(minutes=minutes)
            kinds = many.make(bench, 16)
            done = acquire(bench, kinds).done
            assert done.outcome is Outcome.APPLIED
            check_nothing_lost_or_twice(bench, kinds, done)


def test_it_fails_only_if_nothing_could_be_acquired(open_world: OpenWorld) -> None:
    """Not one volume out of reach of its account is a failure, with every reason."""
    with open_world() as bench:
        kinds = {
            name: kind for name, kind in many.make(bench, 16).items() if kind in many.PRESERVED | many.LOST
        }
        done = acquire(bench, kinds).done

        assert done.outcome is Outcome.FAILED
        assert all(volume_id in done.reason for volume_id in kinds)


def test_at_most_twenty_copies_run_at_once(open_world: OpenWorld) -> None:
    """The quota is kept by counting, not by being refused; and waiting says how long it will take."""
    with open_world() as bench:
        bench.world.snapshot_s = 300.0
        kinds = {name: kind for name, kind in many.make(bench, 64).items() if kind == "none"}
        attempt = bench.attempt(bench.registry.get(ID), {"volume_ids": list(kinds)})
        attempt.begin()
        told, most = [], 0
        for _ in range(400):
            progress = attempt.advance()
            forensic = seam.ec2(str(bench.where.forensic_account_id), bench.where.region)
            most = max(most, sum(item.status == "pending" for item in forensic.snapshots.values()))
            if isinstance(progress, Done):
                break
            told.append(progress.reason)
            bench.clock.advance(progress.poll_s)

        assert isinstance(progress, Done)
        assert progress.outcome is Outcome.APPLIED
        assert most == 20
        assert "ResourceLimitExceeded" not in {call.error for call in attempt.sender.sent}
        assert any("queued" in reason and " min left" in reason for reason in told), told[-5:]
