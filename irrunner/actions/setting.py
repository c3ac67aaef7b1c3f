"""The commonest action: one resource has one value; set it, read it back, put the old one back.

A subclass says how to read the value, what it shall be and which calls write a value; deciding, planning
and undo are here, once.
"""

from __future__ import annotations

from typing import Any, TypeVar

from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    Model,
    PlannedOutputs,
    Refused,
    Settled,
    State,
)
from irrunner.errors import ActionIncomplete

P = TypeVar("P", bound=Model)


class ValueState(State):
    """What a look saw of a resource: its id and its value."""

    target: str
    """Id or ARN of the resource."""
    value: Any
    """JSON-able, canonical (sorted lists): it is compared. None: the resource has no such setting yet."""
    gone: bool = False
    """The resource has ended: there is nothing to undo any more."""

    def footprint(self) -> dict[str, Any]:
        """Return the value under the resource's id."""
        return {} if self.gone else {self.target: self.value}


V = TypeVar("V", bound=ValueState)


class SetValue(Action[P, V]):
    """Base of actions that give one resource one value."""

    def wanted(self, params: P, state: V) -> Any:
        """Return the value that the resource shall have."""
        raise ActionIncomplete(type(self).__qualname__)

    def write(self, params: P, state: V, value: Any) -> tuple[Call, ...]:
        """Return the calls that give the resource a value, the wanted one or an earlier one.

        Args:
            params: Parameters.
            state: What the resource is like now; ``state.value`` is the value before the calls.
            value: The value that it shall have after them.
        """
        raise ActionIncomplete(type(self).__qualname__)

    def outputs(self, params: P, state: V) -> Model:
        """Return the outputs of a resource that is as wanted."""
        raise ActionIncomplete(type(self).__qualname__)

    def refusal(self, params: P, state: V) -> Refused | None:
        """Return why the value must not be set here, if it must not."""
        del params, state
        return None

    def warnings(self, params: P, state: V) -> tuple[str, ...]:
        """Return what the value, once set, cannot do."""
        del params, state
        return ()

    def decide(self, params: P, state: V) -> Decision:
        """Set the value, unless it is set."""
        refusal = self.refusal(params, state)
        if refusal is not None:
            return refusal
        wanted = self.wanted(params, state)
        if state.value != wanted:
            return Act(self.write(params, state, wanted))
        return Settled(self.outputs(params, state), self.warnings(params, state))

    def foresee(self, params: P, state: V, step: str) -> PlannedOutputs:
        """Return the outputs as they will be once the value is set."""
        del step
        if self.refusal(params, state) is not None:
            return PlannedOutputs({})
        after = state.model_copy(update={"value": self.wanted(params, state)})
        return PlannedOutputs(self.outputs(params, after).model_dump(mode="json"))

    def undo_calls(self, params: P, before: V, after: V, now: V, keys: frozenset[str]) -> tuple[Call, ...]:
        """Write the value of before."""
        del after
        return self.write(params, now, before.value) if keys else ()
