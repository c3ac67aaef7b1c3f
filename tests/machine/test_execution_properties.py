"""Properties of every run of every playbook, under any order of answers."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irrunner.machine import messages as m
from irrunner.machine.chart import build_chart
from irrunner.playbook import model as p
from tests.machine.machine_driver import (
    Oracle,
    drive,
    outcomes,
    playbooks,
    replayed,
    run_of,
    snapshot,
    started,
)

SEEDS = st.integers(0, 2**32 - 1)
INTERRUPTIONS = st.dictionaries(
    st.integers(0, 25),
    st.sampled_from(
        [
            m.AbortRequested({"id": "p"}, "enough"),
            m.DeadlinePassed(),
            m.DeadlinePassed("finally"),
        ]
    ),
    max_size=2,
)
common = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def chooser(seed: int) -> random.Random:
    """Return a repeatable source of choices."""
    return random.Random(seed)  # noqa: S311 - repeatability is the point


@common
@given(playbooks(), SEEDS, SEEDS, INTERRUPTIONS)
def test_every_run_ends(book: p.Playbook, answers: int, order: int, stops: dict[int, m.Event]) -> None:
    """Whatever is answered in whatever order, with timers racing answers, the run finishes once."""
    execution = run_of(book)
    first = execution.start()

    log = drive(execution, Oracle(answers), chooser(order).randrange, stops)

    assert execution.outstanding() == (m.Finish(execution.status),)
    assert first or not log
    assert not {"running", "waiting"} & set(outcomes(execution).values())


@common
@given(playbooks(), SEEDS, SEEDS, INTERRUPTIONS, st.data())
def test_a_fold_over_any_prefix_goes_on_to_the_same_end(
    book: p.Playbook, answers: int, order: int, stops: dict[int, m.Event], data: st.DataObject
) -> None:
    """A run that is taken up again from its journal has the same commands due, and ends the same."""
    live = started(book)
    log = drive(live, Oracle(answers), chooser(order).randrange, stops)
    cut = data.draw(st.integers(0, len(log)))

    folded = replayed(book, log[:cut])
    again = replayed(book, log[:cut])
    assert folded.outstanding() == again.outstanding()
    for event in log[cut:]:
        folded.feed(event)

    assert snapshot(folded) == snapshot(live)


@common
@given(playbooks(), SEEDS, SEEDS, INTERRUPTIONS)
def test_outstanding_is_what_was_issued_and_not_yet_answered(
    book: p.Playbook, answers: int, order: int, stops: dict[int, m.Event]
) -> None:
    """Nothing is due that was never issued, and each answer takes its command off."""
    execution, issued = run_of(book), set[m.Command]()
    issued.update(execution.start())
    pick = chooser(order)
    log = drive(started(book), Oracle(answers), pick.randrange, stops)
    for event in log:
        before = set(execution.outstanding())
        new = execution.feed(event)
        issued.update(new)
        after = set(execution.outstanding())
        assert after <= issued
        assert after - before <= set(new)
        assert set(new) <= after


@common
@given(playbooks(), SEEDS, SEEDS, SEEDS, INTERRUPTIONS)
def test_duplicate_and_late_events_change_nothing(
    book: p.Playbook, answers: int, order: int, noise: int, stops: dict[int, m.Event]
) -> None:
    """Feeding events of the past again, at any time, issues no command and leaves the same end."""
    live = started(book)
    log = drive(live, Oracle(answers), chooser(order).randrange, stops)
    chance = chooser(noise)

    noisy = started(book)
    for index, event in enumerate(log):
        noisy.feed(event)
        past = [old for old in log[: index + 1] if not _may_fit_again(old)]
        for old in chance.sample(past, min(3, len(past))):
            assert noisy.feed(old) == ()

    assert snapshot(noisy) == snapshot(live)


def _may_fit_again(event: m.Event) -> bool:
    """A person may decide again where a gate asks again; and a bound on `finally` has no number."""
    gate = isinstance(event, m.ApprovalGiven | m.ApprovalDenied | m.ApprovalStale)
    return gate or isinstance(event, m.DeadlinePassed | m.AbortRequested)


@common
@given(playbooks(), SEEDS, SEEDS, SEEDS)
def test_any_interleaving_ends_the_same(book: p.Playbook, answers: int, one: int, other: int) -> None:
    """Where answers depend on the path alone, the order of branches and items changes nothing."""
    first, second = started(book), started(book)

    drive(first, Oracle(answers, calm=True), chooser(one).randrange)
    drive(second, Oracle(answers, calm=True), chooser(other).randrange)

    assert snapshot(first) == snapshot(second)


@common
@given(playbooks(), playbooks(), SEEDS, SEEDS)
def test_events_of_another_run_never_raise(
    book: p.Playbook, other: p.Playbook, answers: int, order: int
) -> None:
    """No sequence of events raises, not even that of another playbook, shuffled."""
    foreign = drive(started(other), Oracle(answers), chooser(order).randrange)
    own = drive(started(book), Oracle(answers + 1), chooser(order).randrange)
    mixed = [*foreign, *own]
    chooser(order).shuffle(mixed)

    unstarted, execution = run_of(book), started(book)
    for event in mixed:
        assert unstarted.feed(event) == ()
        execution.feed(event)

    drive(execution, Oracle(answers), chooser(order).randrange)


@common
@given(playbooks())
def test_every_state_is_reachable_and_every_path_ends(book: p.Playbook) -> None:
    """No state leads nowhere; only an `on_failure` that no failure can reach is never entered."""
    chart = build_chart(book)
    spare = {
        f"{name}:{state.id}"
        for name, graph in chart.graphs.items()
        for state in graph.states
        if state.section == "on_failure"
    }

    assert chart.dead_ends() == ()
    assert set(chart.unreachable()) <= spare


@common
@given(playbooks(), SEEDS, SEEDS)
def test_views_stand_in_document_order(book: p.Playbook, answers: int, order: int) -> None:
    """The run's own steps are listed in the order of the file, whatever ended first."""
    execution = started(book)
    drive(execution, Oracle(answers), chooser(order).randrange)
    places = {step.id: index for index, step in enumerate(book.walk())}

    paths = [path for path in execution.views() if "/" not in path and "[" not in path]

    assert [places[path] for path in paths] == sorted(places[path] for path in paths)


@common
@given(playbooks(), SEEDS, SEEDS)
def test_a_step_that_was_seen_is_found_in_the_chart(book: p.Playbook, answers: int, order: int) -> None:
    """A path names the same step in the running tree and in the chart."""
    execution = started(book)
    drive(execution, Oracle(answers), chooser(order).randrange)

    assert all(execution.chart.step(path) is execution.step(path) for path in execution.views())


@common
@given(playbooks(), SEEDS, SEEDS)
def test_events_survive_the_journal(book: p.Playbook, answers: int, order: int) -> None:
    """An event read back from its record is the event that was written."""
    for event in drive(started(book), Oracle(answers), chooser(order).randrange):
        assert m.event_of(event.kind, m.event_body(event)) == event
