"""The chart: an index by path, and a graph of states and transitions."""

from __future__ import annotations

import json

import pytest

from irrunner.machine.chart import build_chart
from irrunner.playbook import model as p
from tests.machine.machine_driver import approve, choose, each, parallel, playbook, step


def edges(book: p.Playbook) -> set[tuple[str, str, str]]:
    """Return a playbook's transitions."""
    graph = build_chart(book).graph
    return {(edge.source, edge.on, edge.target) for edge in graph.transitions}


def test_a_path_names_a_step_with_or_without_indices_and_callers() -> None:
    """Indices name iterations, slashes callees."""
    inner = playbook(step("isolate"), id="inner")
    outer = playbook(step("contain", p.Run("inner", {}), for_each=each()), callees={"inner": inner})
    chart = build_chart(outer)

    assert chart.step("contain[3]").id == "contain"
    assert chart.step("contain[3]/isolate") is inner.steps[0]


@pytest.mark.parametrize("path", ["gone", "a/b", ""])
def test_an_unknown_path_is_a_key_error(path: str) -> None:
    """A path that the playbook does not have is refused."""
    with pytest.raises(KeyError):
        build_chart(playbook(step("a"))).step(path)


def test_the_graph_of_a_sequence() -> None:
    """Good outcomes lead on, failures to `on_failure`, both end in `finally`."""
    book = playbook(step("a"), step("b"), on_failure=(step("f"),), finally_=(step("z"),))

    assert edges(book) == {
        ("start", "started", "a"), ("a", "applied", "b"), ("a", "failed", "f"), ("b", "applied", "z"),
        ("b", "failed", "f"), ("f", "applied", "z"), ("f", "failed", "z"), ("z", "applied", "end"),
        ("z", "failed", "end"),
    }  # fmt: skip


def test_the_graph_of_a_gate() -> None:
    """A gate has two ways on, and neither is a failure."""
    found = edges(playbook(step("ask", approve(step("stop"))), step("after")))

    assert {("ask", "approved", "stop"), ("ask", "denied", "after"), ("stop", "applied", "after")} <= found


def test_the_graph_of_a_fork() -> None:
    """Branches meet at the join, whatever becomes of them; the join decides."""
    found = edges(playbook(step("fork", parallel([step("a")], []), on_failure="continue"), step("b")))

    assert {
        ("a", "failed", "fork.join"),
        ("fork", "branch 2", "fork.join"),
        ("fork.join", "failed", "b"),
    } <= found


def test_the_graph_of_a_choice_and_of_failure_steps() -> None:
    """Guards name the branches; `on_failure` steps lead on where the step would have."""
    pick = step("pick", choose([step("a", on_failure=(step("r"),))]))
    found = edges(playbook(pick, step("b")))

    assert {
        ("pick", "true", "a"),
        ("pick", "skipped", "b"),
        ("a", "failed", "r"),
        ("r", "applied", "b"),
    } <= found


def test_states_stand_in_the_order_of_the_file() -> None:
    """A list of states reads like the playbook."""
    fork = step("fork", parallel([step("a"), step("b")], [step("c")]), on_failure=(step("r"),))
    names = [state.id for state in build_chart(playbook(fork, step("d"))).graph.states]

    assert names == ["start", "fork", "fork.join", "a", "b", "c", "r", "d", "end"]


def test_an_on_failure_that_nothing_reaches_is_found() -> None:
    """Where every step goes on after a failure, `on_failure` is dead."""
    chart = build_chart(playbook(step("a", on_failure="continue"), on_failure=(step("f"),)))

    assert chart.unreachable() == ("main:f",)
    assert chart.dead_ends() == ()


def test_the_description_is_json_and_names_callees_once() -> None:
    """`compile --to json` prints the chart, and each callee's beside it."""
    inner = playbook(step("isolate"), id="inner")
    book = playbook(step("x", p.Run("inner", {})), step("y", p.Run("inner", {})), callees={"inner": inner})
    described = build_chart(book).describe()

    assert json.loads(json.dumps(described)) == described
    assert described["playbook"]["id"] == "main"
    assert [state["calls"] for state in described["states"] if "calls" in state] == ["inner", "inner"]
    assert list(described["callees"]) == ["inner"]
    assert described["interrupts"] == {"abort": "end", "deadline": "end"}
