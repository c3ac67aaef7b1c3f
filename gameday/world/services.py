"""The shape of a service's strict layer: rules that refuse, own answers, effects moto leaves out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gameday.world.calls import CallLog
from gameday.world.clock import WorldClock
from gameday.world.identity import Principal, Sessions
from gameday.world.organisation import Organisation
from gameday.world.protocol import ApiRequest
from gameday.world.schedule import Schedule


class Realm(Protocol):
    """What a service sees of the world."""

    clock: WorldClock
    schedule: Schedule
    sessions: Sessions
    organisation: Organisation
    snapshot_s: float
    """World seconds from pending to completed."""
    findings: list[Mapping[str, Any]]
    """GuardDuty findings of the world, by the names of its API."""
    log: CallLog
    """Every call so far: what CloudTrail's event history shows."""
    trail_delay_s: float
    """World seconds until an event shows in CloudTrail's event history."""

    @property
    def endpoint_url(self) -> str:
        """Return where the world is served."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One authenticated call."""

    realm: Realm
    principal: Principal
    request: ApiRequest

    @property
    def account(self) -> str:
        """Return the account in which the call acts."""
        return self.principal.account

    @property
    def region(self) -> str:
        """Return the Region in which the call acts."""
        return self.request.region

    @property
    def params(self) -> Mapping[str, Any]:
        """Return the call's parameters."""
        return self.request.params


Rule = Callable[[Scene], None]
"""Raises Refusal where AWS would refuse."""
Answer = Callable[[Scene], Mapping[str, Any] | None]
"""Answers in moto's place; None leaves it to moto."""
Effect = Callable[[Scene], None]
"""Runs after moto answered without an error."""


@dataclass(frozen=True, slots=True)
class StrictLayer:
    """What is stricter than moto, by operation (``ec2:CopySnapshot``)."""

    rules: Mapping[str, Sequence[Rule]] = field(default_factory=dict)
    answers: Mapping[str, Answer] = field(default_factory=dict)
    effects: Mapping[str, Effect] = field(default_factory=dict)
