"""Plans: every call that steps would make, with target, value now and after; reads only.

One walk serves `irrunner plan` (a whole playbook), and the gate plan that an approval is bound to
(the steps of a ``then``). What does not exist yet is a token, such as ``<from snapshot.snapshot_ids[0]>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from irrunner.actions.contract import AnyAction, Call, Model, Refused, State
from irrunner.actions.runtime import protected_target
from irrunner.engine.loaded import RunFacts
from irrunner.engine.scopes import run_facts
from irrunner.engine.stepping import Binding, Services, params_of
from irrunner.errors import ActionError, ExpressionFailed, IRRunnerError
from irrunner.findings.model import Finding
from irrunner.playbook.expressions import Scope
from irrunner.playbook.model import (
    Approve,
    Choose,
    Expr,
    Manual,
    Parallel,
    Playbook,
    Run,
    Step,
    Uses,
    Wait,
    WaitUntil,
)
from irrunner.playbook.types import bind_inputs

TOKEN = re.compile(r"<[^<>]+>")


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step of a plan."""

    path: str
    step_id: str
    kind: str
    action: str = ""
    phase: str = ""
    calls: tuple[Call, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    gate: str = ""
    """Path of the approval in front of it."""
    condition: str = ""
    """Text of a ``when`` that cannot be known yet, or why nothing is sent."""
    skipped: bool = False
    note: str = ""
    unplanned: bool = False
    """Nobody knows what it would send: a look failed. A plan with such a step is not complete."""
    undo: str = ""
    permissions: tuple[str, ...] = ()
    expires_after_s: float | None = None
    """After this time the effect is taken off again."""

    def as_dict(self) -> dict[str, Any]:
        """Return JSON-able data; calls in the order in which they are sent."""
        return {
            "path": self.path, "step": self.step_id, "kind": self.kind, "action": self.action or None,
            "phase": self.phase or None, "gate": self.gate or None, "condition": self.condition or None,
            "skipped": self.skipped, "note": self.note or None, "unplanned": self.unplanned,
            "undo": self.undo or None,
            "params": dict(self.params), "permissions": list(self.permissions),
            "calls": [call_dict(call) for call in self.calls],
            **({"expires_after_s": self.expires_after_s} if self.expires_after_s else {}),
        }  # fmt: skip


def call_dict(call: Call) -> dict[str, Any]:
    """Return a planned call as JSON-able data."""
    return {
        "operation": call.operation, "target": call.target, "scope": call.scope, "summary": call.summary,
        "before": call.before, "after": call.after, "reversible": call.reversible,
        "permission": call.operation,
    }  # fmt: skip


def has_token(value: Any) -> bool:
    """Return whether a value holds the token of something that does not exist yet."""
    if isinstance(value, str):
        return TOKEN.search(value) is not None
    if isinstance(value, Mapping):
        return any(has_token(item) for item in value.values())
    return isinstance(value, list | tuple) and any(has_token(item) for item in value)


def planned_inputs(callee: Playbook, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a callee's inputs while planning: tokens pass as they are, all else is checked.

    Raises:
        InvalidArgument: If a value that is known is wrong, or one is missing.
    """
    tokens = {name: value for name, value in given.items() if has_token(value)}
    known = {name: entry for name, entry in callee.inputs.items() if name not in tokens}
    checked = {name: value for name, value in given.items() if name not in tokens}
    return {**bind_inputs(replace(callee, inputs=known), None, checked), **tokens}


@dataclass(slots=True)
class View:
    """What the walk knows at one place: the playbook, its expression scope, the path prefix, the gate."""

    playbook: Playbook
    scope: Scope
    prefix: str = ""
    suffix: str = ""
    gate: str = ""

    def knows(self, step_id: str, outputs: Any) -> None:
        """Make a step's outputs visible to later steps."""
        self.scope = replace(self.scope, steps={**self.scope.steps, step_id: outputs})


class Planner:
    """Walks steps and asks each action what it would send."""

    def __init__(self, services: Services, facts: RunFacts, at: datetime | None = None) -> None:
        """Plan steps of a run.

        Args:
            services: Shared services.
            facts: Facts of the run.
            at: The instant at which the steps are taken to begin; default: now.
        """
        self._services = services
        self._facts = facts
        self._at = at or services.clock.now()
        self._planned: dict[str, Mapping[str, Any]] = {}

    def playbook(
        self, playbook: Playbook, inputs: Mapping[str, Any], finding: Finding | None
    ) -> list[PlannedStep]:
        """Plan a whole playbook: its steps, then ``finally`` (``on_failure`` is for failures)."""
        scope = Scope(inputs=inputs, finding=finding, steps={}, locals={}, run=run_facts(self._facts))
        view = View(playbook, scope)
        return [*self.sequence(view, playbook.steps), *self.sequence(view, playbook.finally_)]

    def sequence(self, view: View, steps: Sequence[Step]) -> list[PlannedStep]:
        """Plan steps in order; outputs of earlier ones are visible to later ones."""
        return [planned for step in steps for planned in self._step(view, step)]

    def _step(self, view: View, step: Step) -> Iterator[PlannedStep]:
        condition = ""
        if step.when is not None:
            holds = self._holds(view, step.when)
            if holds is False:
                yield self._plain(view, step, skipped=True, condition=step.when.source)
                return
            condition = "" if holds else step.when.source
        if step.for_each is not None:
            yield from self._each(view, step, condition)
        else:
            yield from self._once(view, step, condition)

    def _holds(self, view: View, expr: Expr) -> bool | None:
        """Return the condition's value, or None where it cannot be known yet."""
        try:
            return bool(self._services.compiler.evaluator(view.playbook).evaluate(expr, view.scope))
        except ExpressionFailed:
            return None

    def _each(self, view: View, step: Step, condition: str) -> Iterator[PlannedStep]:
        for_each = step.for_each
        if for_each is None:
            return
        try:
            items = self._services.compiler.evaluator(view.playbook).render(for_each.items, view.scope)
        except ExpressionFailed as problem:
            yield self._plain(view, step, note=f"items are not known yet: {problem.message}")
            return
        results = []
        for index, item in enumerate(items):
            scope = replace(view.scope, locals={**view.scope.locals, for_each.name: item, "index": index})
            inner = View(view.playbook, scope, view.prefix, f"{view.suffix}[{index}]", view.gate)
            yield from self._once(inner, step, condition)
            outputs = inner.scope.steps.get(step.id, {})
            results.append({"item": item, "outcome": "applied", "outputs": outputs})
        view.knows(step.id, {"items": results})

    def _once(self, view: View, step: Step, condition: str) -> Iterator[PlannedStep]:
        kind = step.kind
        if isinstance(kind, Uses):
            yield self._uses(view, step, kind, condition)
        elif isinstance(kind, Approve):
            path = self._path(view, step)
            yield self._plain(view, step, condition=condition, note="asks " + ", ".join(kind.approvers))
            inner = View(view.playbook, view.scope, view.prefix, view.suffix, path)
            yield from self.sequence(inner, kind.then)
        elif isinstance(kind, Parallel):
            for branch in kind.branches:
                yield from self.sequence(view, branch)
        elif isinstance(kind, Choose):
            yield from self._choose(view, step, kind)
        elif isinstance(kind, Run):
            yield from self._run(view, step, kind)
        elif isinstance(kind, Wait | WaitUntil | Manual):
            yield self._plain(view, step, condition=condition)

    def _choose(self, view: View, step: Step, kind: Choose) -> Iterator[PlannedStep]:
        for branch in kind.branches:
            holds = self._holds(view, branch.when)
            if holds is None:
                yield self._plain(view, step, condition=branch.when.source)
            if holds is not False:
                yield from self.sequence(view, branch.steps)
            if holds:
                return
        yield from self.sequence(view, kind.otherwise)

    def _run(self, view: View, step: Step, kind: Run) -> Iterator[PlannedStep]:
        callee = view.playbook.callees[kind.playbook]
        try:
            given = self._services.compiler.evaluator(view.playbook).render(kind.inputs, view.scope)
            inputs = planned_inputs(callee, given)
        except IRRunnerError as problem:
            yield self._plain(view, step, note=problem.message)
            return
        scope = replace(view.scope, inputs=inputs, steps={}, locals={})
        inner = View(callee, scope, f"{self._path(view, step)}/", "", view.gate)
        yield from self.sequence(inner, callee.steps)
        outputs = {}
        for name, expr in callee.outputs.items():
            try:
                outputs[name] = self._services.compiler.evaluator(callee).evaluate(expr, inner.scope)
            except ExpressionFailed:
                outputs[name] = f"<from {step.id}.{name}>"
        view.knows(step.id, outputs)

    def _path(self, view: View, step: Step) -> str:
        return f"{view.prefix}{step.id}{view.suffix}"

    def _plain(
        self, view: View, step: Step, *, condition: str = "", note: str = "", skipped: bool = False
    ) -> PlannedStep:
        return PlannedStep(
            self._path(view, step), step.id, type(step.kind).__name__.lower(), gate=view.gate,
            action=step.kind.action if isinstance(step.kind, Uses) else "",
            phase=step.phase or "", condition=condition, note=note, skipped=skipped,
            expires_after_s=step.kind.expires_after_s if isinstance(step.kind, Uses) else None,
        )  # fmt: skip

    def _uses(self, view: View, step: Step, kind: Uses, condition: str) -> PlannedStep:
        action = self._services.registry.get(kind.action)
        plain = self._plain(view, step, condition=condition)
        try:
            values = self._services.compiler.evaluator(view.playbook).render(kind.params, view.scope)
            params = params_of(action, values, planning=True)
            state = self._look(action, params, plain.path, view)
        except ActionError as problem:
            return replace(plain, note=f"cannot be planned: {problem}", unplanned=True)
        except ExpressionFailed as problem:
            return replace(plain, note=f"not known yet: {problem.message}")
        foreseen = action.foresee(params, state, step.id)
        view.knows(step.id, dict(foreseen.outputs))
        self._planned.update(foreseen.facts)
        return self._with_calls(plain, action, params, state)

    def _look(self, action: AnyAction, params: Model, path: str, view: View) -> State:
        binding = Binding(
            self._services, self._facts, action, params, path, self._at,
            view.scope.steps, self._planned,
        )  # fmt: skip
        state: State = action.look(binding.look_context(), params)
        return state

    def _with_calls(self, plain: PlannedStep, action: AnyAction, params: Model, state: State) -> PlannedStep:
        targets = action.targets(params, self._facts.where)
        protected = protected_target(targets, self._services.settings.protected)
        acts = any(permission.use == "act" for permission in action.permissions)
        decision = action.decide(params, state)
        refusal = decision.reason if isinstance(decision, Refused) else ""
        if protected and acts:
            refusal = f"{protected} is protected by the configuration"
        return replace(
            plain,
            calls=() if refusal else action.forecast(params, state),
            note=f"refused: {refusal}" if refusal else "",
            params=params.model_dump(mode="json"),
            undo=f"{action.undo}: {action.undo_note}",
            permissions=tuple(
                sorted({permission.action for permission in action.permissions if permission.use != "undo"})
            ),
        )
