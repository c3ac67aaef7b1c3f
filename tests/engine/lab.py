"""A laboratory: a cloud that is a dictionary, two actions over it, and a runner on a manual clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jmespath

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
    Waiting,
    Where,
)
from irrunner.actions.registry import Registry, action
from irrunner.aws.api import Caller
from irrunner.engine.compiled import Compiler
from irrunner.engine.service import Runner
from irrunner.engine.stepping import Services
from irrunner.journal.sql import SqlStore
from irrunner.playbook.loader import load_playbook
from irrunner.playbook.model import Playbook
from irrunner.settings import Settings
from irrunner.testing import ManualClock, SeededIds
from irrunner.vocabulary import Phase, Risk, UndoPolicy

Fault = Callable[[str, Mapping[str, Any]], None]


@dataclass
class Ground:
    """The cloud: values by name, the calls it took, and a hook before and after each call."""

    values: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    before: Fault | None = None
    after: Fault | None = None
    slow: set[str] = field(default_factory=set)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Take one call."""
        with self.lock:
            if self.before:
                self.before(operation, params)
            if operation == "lab:GetValue":
                return {"Value": self.values.get(params["Name"]), "Busy": params["Name"] in self.slow}
            self.calls.append((operation, params))
            if operation == "lab:PutValue":
                self.values[params["Name"]] = params["Value"]
            if self.after:
                self.after(operation, params)
            return {"ResponseMetadata": {"RequestId": f"request-{len(self.calls)}"}}

    def pages(self, operation: str, path: str, /, **params: Any) -> list[Any]:
        """Take a paginated read."""
        return list(jmespath.search(path, self.call(operation, **params)) or [])

    def in_region(self, region: str) -> Ground:
        """Return itself."""
        del region
        return self


class LabCloud:
    """A cloud of one ground for every account."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    def caller(self) -> Caller:
        """Return a simulated caller."""
        return Caller("111111111111", "arn:aws:iam::111111111111:user/oncall", simulated=True)

    def base(self, region: str | None = None) -> Ground:
        """Return the ground."""
        del region
        return self.ground

    def member(
        self, account_id: str, region: str, *, run_id: str, permissions: Sequence[Permission],
        values: Mapping[str, str],
    ) -> Ground:  # fmt: skip
        """Return the ground."""
        del account_id, region, run_id, permissions, values
        return self.ground

    def forensics(
        self, region: str, *, run_id: str, permissions: Sequence[Permission], values: Mapping[str, str]
    ) -> Ground:
        """Return the ground."""
        del region, run_id, permissions, values
        return self.ground

    def management(
        self, region: str, *, run_id: str, permissions: Sequence[Permission], values: Mapping[str, str]
    ) -> Ground:
        """Return the ground."""
        del region, run_id, permissions, values
        return self.ground

    def forensic_account_id(self) -> str | None:
        """Return an account."""
        return "222222222222"


class ValueParams(Model):
    """Name and value."""

    name: str
    value: str = ""


class ValueState(State):
    """The value now."""

    name: str
    value: str | None
    busy: bool

    def footprint(self) -> dict[str, Any]:
        """Return the value under its name."""
        return {self.name: self.value}


class ValueOutputs(Model):
    """The value."""

    value: str


class _Value(Action[ValueParams, ValueState]):
    Params = ValueParams
    Outputs = ValueOutputs
    StateModel = ValueState

    def look(self, ctx: LookContext, params: ValueParams) -> ValueState:
        """Read the value."""
        answer = ctx.api.call("lab:GetValue", Name=params.name)
        return ValueState(name=params.name, value=answer["Value"], busy=answer["Busy"])

    def targets(self, params: ValueParams, where: Where) -> tuple[str, ...]:
        """Return the name."""
        return (params.name,)


@action(
    "lab.value.set-value",
    title="Set a value",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(Permission("lab:GetValue"), Permission("lab:PutValue", use="act")),
    undo=UndoPolicy.RESTORE,
    undo_note="puts the value back that was there before",
    timeout_s=60,
    consistency_s=2,
    may_expire=True,
)
class SetValue(_Value):
    """Set a value."""

    def decide(self, params: ValueParams, state: ValueState) -> Decision:
        """Act until the value is there."""
        if state.busy:
            return Waiting("busy", poll_s=1.0)
        if state.value == params.value:
            return Settled(ValueOutputs(value=params.value))
        return Act((_put(params.name, params.value, state.value),))

    def undo_calls(
        self,
        params: ValueParams,
        before: ValueState,
        after: ValueState,
        now: ValueState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Put the value back."""
        return (_put(params.name, before.value or "", now.value),)


def _put(name: str, value: str, before: str | None) -> Call:
    return Call(
        "lab:PutValue", {"Name": name, "Value": value}, name, f"set {name}", before=before, after=value
    )


@action(
    "lab.value.read-value",
    title="Read a value",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=(Permission("lab:GetValue"),),
    undo=UndoPolicy.NEVER,
    undo_note="it only reads, there is nothing to undo",
)
class ReadValue(_Value):
    """Read a value."""

    def decide(self, params: ValueParams, state: ValueState) -> Decision:
        """Settle with what is there."""
        return Settled(ValueOutputs(value=state.value or ""))


class StampState(ValueState):
    """The value now, and the instant that should be there."""

    cut_off: str


@action(
    "lab.value.stamp-value",
    title="Write when it was begun",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(Permission("lab:GetValue"), Permission("lab:PutValue", use="act")),
    undo=UndoPolicy.NEVER,
    undo_note="what was revoked stays revoked, as with sessions",
)
class StampValue(Action[ValueParams, StampState]):
    """Write the instant at which the step began, as a revocation of sessions does."""

    Params = ValueParams
    Outputs = ValueOutputs
    StateModel = StampState

    def look(self, ctx: LookContext, params: ValueParams) -> StampState:
        """Read the value."""
        answer = ctx.api.call("lab:GetValue", Name=params.name)
        cut_off = ctx.started.isoformat()
        return StampState(name=params.name, value=answer["Value"], busy=False, cut_off=cut_off)

    def decide(self, params: ValueParams, state: StampState) -> Decision:
        """Act until the instant is there."""
        if state.value == state.cut_off:
            return Settled(ValueOutputs(value=state.cut_off))
        return Act((_put(params.name, state.cut_off, state.value),))

    def targets(self, params: ValueParams, where: Where) -> tuple[str, ...]:
        """Return the name."""
        return (params.name,)


REGISTRY_CLASSES = (SetValue, ReadValue, StampValue)


class Lab:
    """A runner over a ground, and what tests need of it."""

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        self.ground = Ground()
        self.clock = ManualClock()
        self.registry = Registry(REGISTRY_CLASSES)
        self.settings = settings or Settings()
        self.path = folder / "store.db"
        self.ids = SeededIds(7)
        self.store = SqlStore(self.path, self.clock)
        self.seen: list[tuple[str, str]] = []
        self.runner = self.new_runner()

    def new_runner(self) -> Runner:
        """Return a runner as of another process on the same store."""
        services = Services(
            Compiler(self.registry),
            LabCloud(self.ground),
            self.settings,
            self.clock,
            lambda _: self.ground,
        )
        return Runner(services, self.store, self.ids, self._observe)

    def _observe(self, run_id: str, kind: str, path: str, body: Mapping[str, Any]) -> None:
        del run_id, body
        self.seen.append((kind, path))

    def playbook(self, steps: str, **top: str) -> Playbook:
        """Return a playbook of these steps (YAML, indented by two)."""
        head = ["schema: irrunner/v1", "id: lab", "version: 1.0.0", "title: Lab", "owner: tests"]
        head += [f"{name}: {value}" for name, value in top.items()]
        text = "\n".join([*head, "steps:", steps])
        return load_playbook(text, "lab.yaml", self.registry)

    def start(self, playbook: Playbook, inputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Run a playbook until it is finished or parked."""
        facts = self.runner.facts(playbook, inputs or {}, None, drill=False, accepted_at=self.clock.now())
        return self.runner.drive(self.runner.create(playbook, facts))

    def writes(self) -> list[tuple[str, str]]:
        """Return (name, value) of each write."""
        return [(params["Name"], params["Value"]) for _, params in self.ground.calls]


def outcomes(document: Mapping[str, Any]) -> dict[str, str]:
    """Return step path to outcome."""
    return {step["id"]: str(step["outcome"]) for step in document["steps"]}
