"""The world's own HTTP routes: state, calls, faults, clock, acts."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gameday.world.calls import Call
from gameday.world.clock import WorldClock
from gameday.world.faults import Fault, FaultPlan
from gameday.world.server import Route
from irrunner.clock import iso

LONGEST_MOVE_S = 10 * 365 * 86_400.0


class Move(BaseModel):
    """A move of the world's time, as posted to ``/world/clock``; checked whole before anything moves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    advance_s: float | None = Field(default=None, ge=0.0, le=LONGEST_MOVE_S, allow_inf_nan=False)
    scale: float | None = Field(default=None, ge=0.0, le=1e6, allow_inf_nan=False)

    @model_validator(mode="after")
    def _moves(self) -> Move:
        if self.advance_s is None and self.scale is None:
            raise ValueError("give advance_s or scale")
        return self


class Controlled(Protocol):
    """What the routes read and move."""

    clock: WorldClock
    faults: FaultPlan

    def state(self) -> dict[str, Any]:
        """Return the canonical state."""

    def calls(self, *, mutating: bool = False) -> list[Call]:
        """Return the calls received."""

    def act(self, act: str, **details: Any) -> dict[str, Any]:
        """Change the cloud past the API."""


def routes(world: Controlled) -> dict[tuple[str, str], Route]:
    """Return the routes by method and path."""
    return {
        ("GET", "/world/health"): lambda _query, _body: {"status": "ok", "time": iso(world.clock.now())},
        ("GET", "/world/state"): lambda _query, _body: world.state(),
        ("GET", "/world/calls"): lambda query, _body: [
            call.as_json() for call in world.calls(mutating=query.get("mutating") == ["1"])
        ],
        ("GET", "/world/faults"): lambda _query, _body: _show(world.faults),
        ("POST", "/world/faults"): lambda _query, body: _add_faults(world.faults, body),
        ("DELETE", "/world/faults"): lambda _query, _body: _clear_faults(world.faults),
        ("POST", "/world/clock"): lambda _query, body: _move(world.clock, body),
        ("POST", "/world/act"): lambda _query, body: world.act(**body),
    }


def _show(plan: FaultPlan) -> dict[str, Any]:
    return {"faults": [fault.model_dump(mode="json") for fault in plan.all()]}


def _add_faults(plan: FaultPlan, body: Any) -> dict[str, Any]:
    for fault in [Fault.model_validate(item) for item in (body if isinstance(body, list) else [body])]:
        plan.add(fault)
    return _show(plan)


def _clear_faults(plan: FaultPlan) -> dict[str, Any]:
    plan.clear()
    return _show(plan)


def _move(clock: WorldClock, body: Any) -> dict[str, Any]:
    move = Move.model_validate(body)
    if move.advance_s is not None:
        clock.advance(move.advance_s)
    if move.scale is not None:
        clock.scale(move.scale)
    return {"time": iso(clock.now())}
