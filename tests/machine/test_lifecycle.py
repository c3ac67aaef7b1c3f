"""The life-cycles are what `transitions` says they are."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from transitions import MachineError

from irrunner.machine.lifecycle import OUTCOMES, RUN, STEP, Lifecycle, machine_of, table, table_of

BOTH = pytest.mark.parametrize("lifecycle", [STEP, RUN], ids=lambda lifecycle: lifecycle.name)


@BOTH
def test_the_table_is_the_machine(lifecycle: Lifecycle) -> None:
    """For each state and trigger the table says what a model driven by the machine does."""
    machine, expected = machine_of(lifecycle), table(lifecycle.name)
    for state in lifecycle.states:
        for trigger in machine.events:
            model = SimpleNamespace()
            machine.add_model(model, initial=state)
            try:
                model.trigger(trigger)
            except MachineError:
                assert (state, trigger) not in expected
            else:
                assert model.state == expected[state, trigger]
            machine.remove_model(model)


@BOTH
def test_every_state_is_reachable_and_every_path_can_end(lifecycle: Lifecycle) -> None:
    """No state of a life-cycle is an island, and from each an end can be reached."""
    edges = {(source, dest) for (source, _), dest in table(lifecycle.name).items()}
    ends = {
        state for state in lifecycle.states if not any(source == state for source, _ in edges - loops(edges))
    }

    assert reach({lifecycle.initial}, edges) == set(lifecycle.states)
    assert reach(ends, {(dest, source) for source, dest in edges}) == set(lifecycle.states)


def loops(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the edges from a state to itself."""
    return {(source, dest) for source, dest in edges if source == dest}


def reach(origins: set[str], edges: set[tuple[str, str]]) -> set[str]:
    """Return all states that edges lead to."""
    seen, todo = set(origins), list(origins)
    while todo:
        here = todo.pop()
        new = {dest for source, dest in edges if source == here} - seen
        seen |= new
        todo.extend(new)
    return seen


def test_an_ended_step_stays_ended() -> None:
    """No trigger leads out of an outcome."""
    ended = {state for state, outcome in OUTCOMES.items() if outcome not in ("running", "waiting")}

    assert {"applied", "failed", "skipped"} <= ended
    assert not {source for source, _ in table("step")} & ended


def test_every_step_state_has_an_outcome() -> None:
    """People see a word for each state."""
    assert set(OUTCOMES) == set(STEP.states)


def test_a_life_cycle_with_an_unknown_state_is_refused() -> None:
    """The machine validates the definition when its table is read out."""
    with pytest.raises(ValueError, match="nowhere"):
        table_of(machine_of(replace(STEP, transitions=(("go", ("pending",), "nowhere"),))))


def test_the_table_is_read_out_once() -> None:
    """All runs share one table; there is no machine per run."""
    assert table("step") is table("step")
    assert dict(table("step")) == dict(table_of(machine_of(STEP)))
