"""The runtime by itself: an action of one switch, and a world that answers as it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    Settled,
    State,
    Where,
)
from irrunner.actions.registry import action
from irrunner.actions.runtime import MAX_SENDS, Done, Later, StepRun
from irrunner.actions.sending import Ports, Sender
from irrunner.actions.undo import UndoRun
from irrunner.errors import (
    ActionDenied,
    ActionError,
    ActionThrottled,
    OutcomeUnknown,
    ServiceUnavailable,
    TargetConflict,
)
from irrunner.testing import ManualClock
from irrunner.vocabulary import Outcome, Phase, Risk, UndoPolicy

WHERE = Where("aws", "123456789012", "eu-central-1", None, None, None)
CONSISTENCY_S = 20.0
PACED_S = 7.0


class Switches(State):
    """Switch to position."""

    positions: dict[str, str]

    def footprint(self) -> dict[str, str]:
        """Return the positions."""
        return self.positions


class NoParams(Model):
    """None."""


@action(
    "lab.switch.turn-off",
    title="Turn every switch off",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(Permission("lab:SetSwitch", use="act"),),
    undo=UndoPolicy.RESTORE,
    undo_note="Turns every switch back to where it was.",
    timeout_s=120.0,
    consistency_s=CONSISTENCY_S,
)
class TurnOff(Action[NoParams, Switches]):
    """Turn off what is on."""

    Params = NoParams
    Outputs = NoParams
    StateModel = Switches
    optional = False

    def look(self, ctx: LookContext, params: NoParams) -> Switches:
        """Ask for the positions."""
        return Switches(positions=dict(ctx.api.call("lab:DescribeSwitches")))

    def decide(self, params: NoParams, state: Switches) -> Decision:
        """Turn off what is not."""
        on = [name for name, position in state.positions.items() if position != "off"]
        return Act(tuple(self._set(name, "off") for name in on)) if on else Settled(NoParams())

    def targets(self, params: NoParams, where: Where) -> tuple[str, ...]:
        """Return none."""
        return ()

    def undo_calls(
        self, params: NoParams, before: Switches, after: Switches, now: Switches, keys: frozenset[str]
    ) -> tuple[Call, ...]:
        """Turn those back that had a position."""
        return tuple(self._set(name, before.positions[name]) for name in sorted(keys & set(before.positions)))

    def _set(self, name: str, position: str) -> Call:
        return Call(
            "lab:SetSwitch", {"Name": name, "To": position}, name, f"Turn {name}", optional=self.optional
        )


class Tag(TurnOff):
    """The same, but nobody minds if it fails."""

    optional = True


@dataclass
class House:
    """The switches, as they are and as they are seen."""

    clock: ManualClock
    positions: dict[str, str] = field(default_factory=lambda: {"lamp": "on"})
    visible_after_s: float = 0.0
    look_faults: Iterator[ActionError | None] = field(default_factory=lambda: iter(()))
    set_faults: Iterator[ActionError | None] = field(default_factory=lambda: iter(()))
    lose_effects: bool = False
    """Whether a call that fails had its effect before."""
    seen: dict[str, str] = field(default_factory=dict)
    changed_at: Any = None
    sets: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.seen = dict(self.positions)

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Answer."""
        if operation == "lab:DescribeSwitches":
            self._raise(self.look_faults)
            visible = timedelta(seconds=self.visible_after_s)
            if self.changed_at is None or self.clock.now() - self.changed_at >= visible:
                self.seen = dict(self.positions)
            return self.seen
        if not self.lose_effects:
            self._raise(self.set_faults)
        self.sets.append(params["Name"])
        self.positions[params["Name"]] = params["To"]
        self.changed_at = self.clock.now()
        self._raise(self.set_faults)
        return {}

    def in_region(self, region: str) -> House:
        """Return itself."""
        return self

    @staticmethod
    def _raise(faults: Iterator[ActionError | None]) -> None:
        problem = next(faults, None)
        if problem is not None:
            raise problem


@pytest.fixture
def house(clock: ManualClock) -> House:
    """One lamp, which is on."""
    return House(clock)


def context_of(house: House) -> Callable[[], LookContext]:
    """Return what makes contexts."""

    def context() -> LookContext:
        now = house.clock.now()
        settings = SimpleNamespace(protected=())
        api: Any = house
        return LookContext(api, None, WHERE, now, now, "run-1", "run-1/step", drill=False, settings=settings)

    return context


def start(house: House, act: TurnOff | None = None, within_s: float = 120) -> StepRun:
    """Return an attempt."""
    sender = Sender(Ports(house, None, house), house.clock)
    deadline = house.clock.now() + timedelta(seconds=within_s)
    return StepRun(act or TurnOff(), NoParams(), context_of(house), sender, house.clock, deadline)


def finish(attempt: StepRun | UndoRun) -> Done:
    """Advance to the end, as the engine does: held back by pacing, it comes again."""
    for _ in range(100):
        try:
            progress = attempt.advance()
        except ActionThrottled as problem:
            if not problem.detail.get("retry_after_s"):
                raise
            progress = Later(float(problem.detail["retry_after_s"]), "pacing")
        if isinstance(progress, Done):
            return progress
        attempt.clock.advance(progress.poll_s)  # type: ignore[attr-defined]
    raise AssertionError(progress)


def test_a_late_call_of_a_resumed_step_is_waited_for(house: House, clock: ManualClock) -> None:
    """The intent is an hour old, the call left just before the crash: it is not sent a second time."""
    journalled = clock.now()
    before = Switches(positions=dict(house.positions))
    clock.advance(3600)
    house.visible_after_s = CONSISTENCY_S / 2
    house.call("lab:SetSwitch", Name="lamp", To="off")
    house.seen = {"lamp": "on"}
    resumed = start(house)
    resumed.before = before
    resumed.resume(1, journalled)

    done = finish(resumed)

    assert done.outcome is Outcome.APPLIED
    assert house.sets == ["lamp"]


def test_being_held_back_costs_no_tries(house: House, clock: ManualClock) -> None:
    """Our own pacing refuses many times before anything is sent: neither a try, nor a wait for an effect."""
    held = [ActionThrottled("later", retry_after_s=PACED_S) for _ in range(MAX_SENDS + 3)]
    house.set_faults = iter(held)
    begun = clock.now()

    done = finish(start(house, within_s=600))

    assert done.outcome is Outcome.APPLIED
    assert (clock.now() - begun).total_seconds() == pytest.approx(PACED_S * len(held))


def test_a_look_that_fails_after_sending_is_repeated(house: House) -> None:
    """The network is down after the call: the step is not failed, for it may be done; it looks again."""
    down = ServiceUnavailable("down")
    house.look_faults = iter([None, down, down, down])

    done = finish(start(house))

    assert (done.outcome, done.verified) == (Outcome.APPLIED, True)
    assert house.sets == ["lamp"]


def test_what_nobody_could_look_at_is_unknown(house: House) -> None:
    """No look succeeds until the deadline: sent, never seen, so unknown and not failed."""
    house.look_faults = iter([None, *(ServiceUnavailable("down") for _ in range(200))])

    done = finish(start(house))

    assert (done.outcome, done.code) == (Outcome.UNKNOWN, "outcome-unknown")


def test_a_first_look_that_fails_is_a_failure(house: House) -> None:
    """Nothing was sent: the playbook's retry decides."""
    house.look_faults = iter([ServiceUnavailable("down")])

    with pytest.raises(ServiceUnavailable):
        start(house).advance()


def test_an_answer_lost_is_looked_for_through_a_broken_network(house: House) -> None:
    """The effect happens, its answer is lost, and so are the next looks: it is found, and not repeated."""
    house.lose_effects = True
    house.set_faults = iter([OutcomeUnknown("lost")])
    house.look_faults = iter([None, ServiceUnavailable("down"), ActionThrottled("slow down")])

    done = finish(start(house))

    assert done.outcome is Outcome.APPLIED
    assert house.sets == ["lamp"]


def test_a_conflict_is_decided_anew_and_not_for_ever(house: House) -> None:
    """Somebody else is at the resource: look again, a few times; then the conflict surfaces."""
    house.set_faults = iter([TargetConflict("busy")])
    assert finish(start(house)).outcome is Outcome.APPLIED

    busy = House(house.clock)
    busy.set_faults = iter([TargetConflict("busy") for _ in range(20)])
    with pytest.raises(TargetConflict):
        finish(start(busy))
    assert busy.sets == []


def test_an_optional_step_that_is_denied_says_so(house: House) -> None:
    """Nothing but optional calls, all refused: the typed error, not a step that pretends to be done."""
    house.set_faults = iter([ActionDenied("no", aws_code="UnauthorizedOperation")])

    with pytest.raises(ActionDenied):
        finish(start(house, Tag()))


def test_an_optional_effect_whose_answer_was_lost_is_looked_for(house: House) -> None:
    """Optional or not: unknown is settled by looking."""
    house.lose_effects = True
    house.set_faults = iter([OutcomeUnknown("lost")])

    done = finish(start(house, Tag()))

    assert (done.outcome, done.verified) == (Outcome.APPLIED, True)
    assert house.sets == ["lamp"]


def undo_of(house: House, before: Mapping[str, str], act: TurnOff | None = None) -> UndoRun:
    """Return the undo of having turned everything off."""
    after = Switches(positions=dict(house.positions))
    sender = Sender(Ports(house, None, house), house.clock)
    deadline = house.clock.now() + timedelta(seconds=120)
    was = Switches(positions=dict(before))
    return UndoRun(act or TurnOff(), NoParams(), was, after, context_of(house), sender, house.clock, deadline)


def test_undo_leaves_what_had_no_prior_value(clock: ManualClock) -> None:
    """A switch that came later was turned off too: nothing is known to put back, and undo says so."""
    house = House(clock, {"lamp": "off", "late": "off"})

    done = finish(undo_of(house, {"lamp": "on"}))

    assert (done.outcome, done.code) == (Outcome.REFUSED, "no-prior-value")
    assert "late" in done.reason
    assert house.positions == {"lamp": "on", "late": "off"}
    assert house.sets == ["lamp"]


def test_undo_survives_throttles_and_a_broken_network(clock: ManualClock) -> None:
    """Held back many times, and blind for a while: everything is put back all the same, once."""
    house = House(clock, {"lamp": "off"})
    house.set_faults = iter([ActionThrottled("later", retry_after_s=PACED_S) for _ in range(MAX_SENDS + 1)])
    house.look_faults = iter(
        [ServiceUnavailable("down"), None, ActionThrottled("later", retry_after_s=PACED_S)]
    )

    done = finish(undo_of(house, {"lamp": "on"}))

    assert (done.outcome, done.verified) == (Outcome.APPLIED, True)
    assert house.sets == ["lamp"]


def test_a_denied_undo_of_an_optional_call_is_not_tried_again(clock: ManualClock) -> None:
    """One denial, one error: no storm of calls that AWS refuses."""
    house = House(clock, {"lamp": "off"})
    house.set_faults = iter([ActionDenied("no"), ActionDenied("no")])
    undo = undo_of(house, {"lamp": "on"}, Tag())

    with pytest.raises(ActionDenied):
        finish(undo)
    assert len(undo.sender.sent) == 1
