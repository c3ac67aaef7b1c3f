"""Every action through every mishap, on the simulated organisation."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from gameday.world.calls import Call as Received
from irrunner.actions.contract import AnyAction
from irrunner.actions.ec2.interfaces import PRIOR_GROUPS
from irrunner.actions.registry import Registry, load_registry
from irrunner.aws.operations import iam_action
from irrunner.aws.policy import LIMIT_CHARACTERS, session_policy
from irrunner.errors import ActionDenied, ActionError
from irrunner.vocabulary import Outcome, Settle, UndoPolicy
from tests.contracts.bench import Bench, Ended, Killed, claimed, matches
from tests.contracts.conftest import OpenWorld
from tests.contracts.row import Row
from tests.contracts.rows.ec2 import erase_instance, terminate
from tests.contracts.table import LOCAL, ROWS

SNAPSHOT_ID = re.compile(r"snap-[0-9a-f]{17}")
FORENSIC_ID = re.compile(r"(?<![a-z0-9])(i|vol|eni|subnet|vpc)-[0-9a-f]{17}")
MANAGED_SECRET = re.compile(r"rds!(db|cluster)-[0-9a-f-]{36}")
REGISTRY = load_registry()
CHANGING = [row for row in ROWS if row.operations]
LOOKED_UP = [row for row in CHANGING if REGISTRY.get(row.action).settle is not Settle.AT_MOST_ONCE]
"""Those whose effect a look can find."""
ONCE = [row for row in CHANGING if row not in LOOKED_UP]
UNDOABLE = [row for row in CHANGING if REGISTRY.get(row.action).undo is not UndoPolicy.NEVER]


def rows_of(rows: Iterable[Row]) -> pytest.MarkDecorator:
    """Give a test each row; a row's tests go to one process, which then runs it without mishaps only once."""
    params = [pytest.param(row, id=str(row), marks=pytest.mark.xdist_group(str(row))) for row in rows]
    return pytest.mark.parametrize("row", params)


def operations_of(rows: Iterable[Row], most: int | None = None) -> pytest.MarkDecorator:
    """Give a test each operation of each row, or the first ones."""
    params = [
        pytest.param(row, operation, id=f"{row}-{operation}", marks=pytest.mark.xdist_group(str(row)))
        for row in rows
        for operation in row.operations[:most]
    ]
    return pytest.mark.parametrize(("row", "operation"), params)


every_row = rows_of(ROWS)
every_change = rows_of(CHANGING)
every_found_change = rows_of(LOOKED_UP)
every_undo = rows_of(UNDOABLE)
every_operation = operations_of(CHANGING)
every_found_operation = operations_of(LOOKED_UP)
first_found_operation = operations_of(LOOKED_UP, 1)
every_single_shot = rows_of(ONCE)


class Clean:
    """What an action does where nothing goes wrong, found once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Counter[str], dict[str, Any], Ended]] = {}
        self._made: dict[str, list[tuple[str, Received]]] = {}

    def of(self, row: Row, open_world: OpenWorld) -> tuple[Counter[str], dict[str, Any], Ended]:
        """Return effects, the state of the cloud, and the attempt."""
        if str(row) not in self._known:
            with open_world() as bench:
                action, values, earlier = prepared(bench, row)
                seen = len(bench.world.calls())
                ended = bench.run(action, values)
                made = [call for call in bench.world.calls()[seen:] if "/irrunner-" in call.principal]
                self._made[str(row)] = [(bench.scope_of(call.account), call) for call in made]
                self._known[str(row)] = (bench.effects() - earlier, settled_state(bench), ended)
        return self._known[str(row)]

    def calls_of(self, row: Row, open_world: OpenWorld) -> list[tuple[str, Received]]:
        """Return the calls that the action made, each with its scope."""
        self.of(row, open_world)
        return self._made[str(row)]


@pytest.fixture(scope="session")
def clean() -> Clean:
    """Runs without mishaps."""
    return Clean()


def prepared(bench: Bench, row: Row) -> tuple[AnyAction, Any, Counter[str]]:
    """Arrange a row; return action, parameters, and the effects of arranging."""
    values = row.arrange(bench)
    return bench.registry.get(row.action), values, bench.effects()


def settled_state(bench: Bench) -> dict[str, Any]:
    """Return the state of the cloud once everything asynchronous has come to its end."""
    bench.clock.advance(3600)
    return bench.world.state()


def comparable(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state in which new things are told by what they are, for ids come in the order of making.

    What optional calls write (the record of prior groups) is left out.
    """
    text = json.dumps(state, sort_keys=True)
    for account in state["accounts"].values():
        for region in account["regions"].values():
            for group_id, group in region["security_groups"].items():
                text = text.replace(group_id, group["name"])
    for found in _forensic_ids(state):
        text = text.replace(found, f"a {found.partition('-')[0]}")
    text = MANAGED_SECRET.sub("a managed secret", SNAPSHOT_ID.sub("a snapshot", text))
    told: dict[str, Any] = json.loads(text, object_pairs_hook=_told)
    return told


def _forensic_ids(state: dict[str, Any]) -> set[str]:
    """Return the ids of what is in the forensic account: all of it is made by actions and their arranging."""
    forensic = [account for account in state["accounts"].values() if account["name"] == "forensics"]
    return {found[0] for found in FORENSIC_ID.finditer(json.dumps(forensic))}


def _told(pairs: list[tuple[str, Any]]) -> Any:
    if pairs and all(name.startswith("a ") for name, _ in pairs):
        return sorted(json.dumps(value, sort_keys=True) for _, value in pairs)
    return {name: value for name, value in pairs if name != PRIOR_GROUPS}


def needed(effects: Counter[str], row: Row) -> Counter[str]:
    """Return the effects without those of optional calls."""
    return Counter({name: count for name, count in effects.items() if name not in row.optional})


def test_every_action_has_a_row(registry: Registry) -> None:
    """A new action without scenarios fails here."""
    assert {action.id for action in registry} == {row.action for row in ROWS} | set(LOCAL)


def test_every_changing_action_is_struck(registry: Registry) -> None:
    """Rows without operations are those of actions that declare no permission to act."""
    acting = {action.id for action in registry if any(entry.use == "act" for entry in action.permissions)}
    assert acting == {row.action for row in CHANGING}


@every_change
def test_rows_name_every_operation(row: Row, clean: Clean, open_world: OpenWorld) -> None:
    """No change escapes the faults: the operations of a row are those that its action sends."""
    _, _, ended = clean.of(row, open_world)
    assert {call.operation for call in ended.run.sender.sent} == set(row.operations)


@every_row
def test_a_plan_changes_nothing(row: Row, open_world: OpenWorld) -> None:
    """Beginning looks and foresees; not one changing call leaves the house."""
    with open_world() as bench:
        action, values, _ = prepared(bench, row)
        before = len(bench.received())
        begun = bench.attempt(action, values).begin()

        assert len(bench.received()) == before
        assert begun.refusal is None
        assert bool(begun.calls) == bool(row.operations)


@every_row
def test_what_is_sent_is_what_was_planned(row: Row, clean: Clean, open_world: OpenWorld) -> None:
    """The step ends verified, and its calls are the plan's, each once."""
    effects, _, ended = clean.of(row, open_world)

    assert ended.done.outcome is Outcome.APPLIED, ended.done.reason
    assert ended.done.verified or row in ONCE
    assert matches(claimed(ended.begun.calls), claimed(ended.run.sender.sent)), ended.run.sender.sent
    assert Counter(call.operation for call in ended.run.sender.sent if not call.error) == effects


@every_found_change
def test_a_second_run_finds_it_done(row: Row, open_world: OpenWorld) -> None:
    """Idempotence: the same step again sends nothing and says so."""
    with open_world() as bench:
        action, values, _ = prepared(bench, row)
        bench.run(action, values)
        sent = len(bench.received())
        again = bench.run(action, values)

        assert again.done.outcome is Outcome.ALREADY_DONE
        assert again.done.verified
        assert len(bench.received()) == sent


@every_operation
def test_a_denial_is_typed_and_has_no_effect(row: Row, operation: str, open_world: OpenWorld) -> None:
    """A refused change surfaces as ActionDenied at once, or, where it is optional, is in nobody's way."""
    with open_world() as bench:
        action, values, earlier = prepared(bench, row)
        asked = len(bench.received())
        bench.world.fault(operation, "deny", times=0)
        if operation in row.optional:
            assert bench.run(action, values).done.verified
        else:
            with pytest.raises(ActionDenied, match="allow the action"):
                bench.run(action, values)
            denied = [call for call in bench.received()[asked:] if call.fault == "deny"]
            asked_for = {json.dumps(call.params, sort_keys=True, default=str) for call in denied}
            assert len(denied) == len(asked_for) > 0, "a denial is not tried again"
        assert (bench.effects() - earlier)[operation] == 0


@every_found_operation
def test_an_effect_whose_answer_was_lost_happens_once(
    row: Row, operation: str, clean: Clean, open_world: OpenWorld
) -> None:
    """Unknown is settled by looking: the same end as without the loss, and no effect twice."""
    effects, state, _ = clean.of(row, open_world)
    with open_world() as bench:
        action, values, earlier = prepared(bench, row)
        bench.world.fault(operation, "effect-then-lost")
        done = bench.run(action, values).done

        assert (done.outcome, done.verified) == (Outcome.APPLIED, True), done.reason
        assert needed(bench.effects() - earlier, row) == needed(effects, row)
        assert comparable(settled_state(bench)) == comparable(state)


@first_found_operation
def test_a_request_that_never_arrived_is_sent_again(
    row: Row, operation: str, clean: Clean, open_world: OpenWorld
) -> None:
    """Lost before any effect: looked for, found absent, sent again; the effect happens once."""
    effects, state, _ = clean.of(row, open_world)
    with open_world() as bench:
        action, values, earlier = prepared(bench, row)
        bench.world.fault(operation, "lost-before-effect")
        done = bench.run(action, values).done

        assert (done.outcome, done.verified) == (Outcome.APPLIED, True), done.reason
        assert needed(bench.effects() - earlier, row) == needed(effects, row)
        assert comparable(settled_state(bench)) == comparable(state)


@first_found_operation
def test_a_throttle_costs_time_only(row: Row, operation: str, clean: Clean, open_world: OpenWorld) -> None:
    """AWS says slow down once: the step is applied, with the same effects."""
    effects, state, _ = clean.of(row, open_world)
    with open_world() as bench:
        action, values, earlier = prepared(bench, row)
        bench.world.fault(operation, "throttle")
        done = bench.run(action, values).done

        assert (done.outcome, done.verified) == (Outcome.APPLIED, True), done.reason
        assert needed(bench.effects() - earlier, row) == needed(effects, row)
        assert comparable(settled_state(bench)) == comparable(state)


@every_found_change
def test_a_crash_after_any_call_is_taken_up(row: Row, clean: Clean, open_world: OpenWorld) -> None:
    """Killed after each prefix of its calls and resumed: the same end, and no effect twice."""
    effects, state, ended = clean.of(row, open_world)
    for alive in range(len(ended.run.sender.sent)):
        with open_world() as bench:
            action, values, earlier = prepared(bench, row)
            killed = bench.attempt(action, values, alive=alive)
            started = bench.clock.now()
            begun = killed.begin()
            with pytest.raises(Killed):
                bench.finish(killed)
            resumed = bench.attempt(action, values, started=started)
            resumed.before = begun.before
            resumed.resume(len(begun.calls), started)
            done = bench.finish(resumed)

            assert (done.outcome, done.verified) == (Outcome.APPLIED, True), (alive, done.reason)
            assert needed(bench.effects() - earlier, row) == needed(effects, row), alive
            assert comparable(settled_state(bench)) == comparable(state), alive


@every_single_shot
def test_what_cannot_be_looked_up_is_sent_at_most_once(row: Row, open_world: OpenWorld) -> None:
    """The answer was lost: the outcome is unknown, and nothing is sent twice."""
    for operation in row.operations:
        with open_world() as bench:
            action, values, earlier = prepared(bench, row)
            bench.world.fault(operation, "effect-then-lost")
            done = bench.run(action, values).done

            assert (done.outcome, done.verified) == (Outcome.UNKNOWN, False)
            assert (bench.effects() - earlier)[operation] <= 1


@every_undo
def test_undo_puts_everything_back(row: Row, open_world: OpenWorld) -> None:
    """After undo the footprint is as before, verified by a fresh look; a second undo sends nothing."""
    with open_world() as bench:
        action, values, _ = prepared(bench, row)
        ended = bench.run(action, values)
        assert ended.done.after is not None
        undo = bench.undo(action, values, ended.begun.before, ended.done.after)
        done = bench.finish(undo)
        sent = len(bench.received())
        again = bench.finish(bench.undo(action, values, ended.begun.before, ended.done.after))

        assert (done.outcome, done.verified) == (Outcome.APPLIED, True), done.reason
        now = undo.look()
        assert now is not None
        assert now.footprint() == ended.begun.before.footprint()
        assert again.outcome is Outcome.ALREADY_DONE
        assert len(bench.received()) == sent


@rows_of(row for row in UNDOABLE if row.vanish)
def test_undo_of_what_is_gone_is_done(row: Row, open_world: OpenWorld) -> None:
    """A target that does not exist any more needs no undo; nothing is sent."""
    with open_world() as bench:
        action, values, _ = prepared(bench, row)
        ended = bench.run(action, values)
        assert ended.done.after is not None
        assert row.vanish is not None
        row.vanish(bench, values)
        sent = len(bench.received())
        done = bench.finish(bench.undo(action, values, ended.begun.before, ended.done.after))

        assert (done.outcome, done.verified) == (Outcome.ALREADY_DONE, True), done.reason
        assert len(bench.received()) == sent


@rows_of(row for row in UNDOABLE if row.vanish is erase_instance)
def test_undo_leaves_an_instance_that_has_ended(row: Row, open_world: OpenWorld) -> None:
    """Terminated but still described: whatever is left of it, undo sends nothing that AWS would refuse."""
    with open_world() as bench:
        action, values, _ = prepared(bench, row)
        ended = bench.run(action, values)
        assert ended.done.after is not None
        terminate(bench, values)
        sent = len(bench.received())
        done = bench.finish(bench.undo(action, values, ended.begun.before, ended.done.after))

        assert done.verified, done.reason
        assert {call.operation for call in bench.received()[sent:]} <= {"ec2:CreateTags", "ec2:DeleteTags"}


@rows_of(row for row in UNDOABLE if row.drift)
def test_undo_does_not_overwrite_a_later_change(row: Row, open_world: OpenWorld) -> None:
    """Drift: what somebody set since stays, and the refusal says what was found."""
    with open_world() as bench:
        action, values, _ = prepared(bench, row)
        ended = bench.run(action, values)
        assert ended.done.after is not None
        assert row.drift is not None
        row.drift(bench, values)
        undo = bench.undo(action, values, ended.begun.before, ended.done.after)
        drifted = undo.view().drift
        state = undo.look()
        done = bench.finish(undo)

        assert (done.outcome, done.code) == (Outcome.REFUSED, "drift")
        assert "changed by somebody since" in done.reason
        assert "found" in done.reason
        assert len(drifted) == 1
        key = drifted[0].rsplit(": we set", 1)[0]
        now = undo.look()
        assert state is not None
        assert now is not None
        assert now.footprint()[key] == state.footprint()[key]


def code_of_failure(bench: Bench, action: AnyAction, values: Any) -> str:
    """Run, and return the code of the failure, raised or returned."""
    try:
        done = bench.run(action, values).done
    except ActionError as problem:
        return problem.code
    return done.code


@rows_of(row for row in ROWS if row.vanish)
def test_a_target_that_is_gone_is_a_typed_failure(row: Row, open_world: OpenWorld) -> None:
    """Gone before the start: the error says so in our words, and nothing is sent."""
    with open_world() as bench:
        action, values, _ = prepared(bench, row)
        assert row.vanish is not None
        row.vanish(bench, values)
        sent = len(bench.received())
        assert code_of_failure(bench, action, values) == "target-not-found"
        assert len(bench.received()) == sent


@rows_of(row for row in ROWS if not row.operations)
def test_a_denied_read_is_typed(row: Row, open_world: OpenWorld) -> None:
    """Where the first read is refused, the step fails with ActionDenied."""
    with open_world() as bench:
        action, values, _ = prepared(bench, row)
        bench.world.fault("*", "deny", times=0, account=bench.account)
        with pytest.raises(ActionDenied):
            bench.run(action, values)


@every_row
def test_calls_are_covered_by_declared_permissions(row: Row, clean: Clean, open_world: OpenWorld) -> None:
    """Every call, of look and act, has its permission for that use; the session policy fits STS's limit.

    What undo calls is held by the world itself, which evaluates the session policy.
    """
    action = REGISTRY.get(row.action)
    declared = {
        (entry.scope, entry.action, "look" if entry.use == "look" else "change")
        for entry in action.permissions
    }
    for scope, call in clean.calls_of(row, open_world):
        use = "change" if call.mutating else "look"
        assert (scope, iam_action(call.operation), use) in declared, call.operation
    params = clean.of(row, open_world)[2].run.params.model_dump(mode="json")
    texts = {name: value for name, value in params.items() if isinstance(value, str)}
    place = {"partition": "aws", "region": "us-east-1", "account": "111122223333"}
    for scope in ("target", "forensics", "management"):
        own = [entry for entry in action.permissions if entry.scope == scope]
        assert len(session_policy(own, {**texts, **place})) <= LIMIT_CHARACTERS
