"""What expressions see at a path of a run: inputs, finding, outputs of earlier steps, locals, run facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from irrunner.engine.compiled import Compiler
from irrunner.engine.loaded import LoadedRun, RunFacts
from irrunner.errors import ExpressionFailed
from irrunner.machine.tree import Failure
from irrunner.playbook.expressions import Evaluator, Scope
from irrunner.playbook.model import Choose, Expr, ForEach, Playbook, Run, Text, Value
from irrunner.playbook.types import bind_inputs


def run_facts(facts: RunFacts, error: str = "", failed_step: str = "") -> dict[str, Any]:
    """Return what expressions see as ``run``."""
    return {
        "id": facts.run_id,
        "drill": facts.drill,
        "account_id": facts.where.account_id,
        "region": facts.where.region,
        "error": error,
        "failed_step": failed_step,
    }


def parent_of(path: str) -> str:
    """Return the path of the ``run`` step around a path, or an empty string at the top."""
    return path.rpartition("/")[0]


def step_id_of(path: str) -> str:
    """Return the step id of a path: the last segment without item indices."""
    return path.rpartition("/")[2].partition("[")[0]


def _told(failure: Failure | None) -> tuple[str, str]:
    """Return ``run.error`` and ``run.failed_step``."""
    if failure is None:
        return "", ""
    return str(failure.error.get("message", "")), failure.path


class Scopes:
    """Evaluates expressions of a run at a path."""

    def __init__(self, run: LoadedRun, compiler: Compiler) -> None:
        self._run = run
        self._compiler = compiler

    def playbook(self, path: str) -> Playbook:
        """Return the playbook that the step at a path belongs to."""
        return self._run.execution.scope_playbook(path)

    def scope(self, path: str, locals_: Mapping[str, Any] | None = None) -> Scope:
        """Return the scope at a path."""
        execution = self._run.execution
        failure = execution.failure_at(path)
        return Scope(
            inputs=execution.scope_inputs(path) if parent_of(path) else self._run.facts.inputs,
            finding=self._run.facts.finding,
            steps=execution.visible(path),
            locals={**execution.item(path), **(locals_ or {})},
            run=run_facts(self._run.facts, *_told(failure)),
        )

    def _evaluator(self, path: str) -> Evaluator:
        return self._compiler.evaluator(self.playbook(path))

    def evaluate(self, path: str, expr: Expr, locals_: Mapping[str, Any] | None = None) -> Any:
        """Return the value of an expression. Raises ExpressionFailed."""
        return self._evaluator(path).evaluate(expr, self.scope(path, locals_))

    def holds(self, path: str, expr: Expr | None, locals_: Mapping[str, Any] | None = None) -> bool:
        """Return whether a condition holds.

        Raises:
            ExpressionFailed: If it fails, or is no bool.
        """
        if expr is None:
            return True
        value = self.evaluate(path, expr, locals_)
        if not isinstance(value, bool):
            raise ExpressionFailed(f"{expr.place}: a condition must be true or false")
        return value

    def items(self, path: str, for_each: ForEach | None) -> list[Any]:
        """Return the items of a ``for_each``. Raises ExpressionFailed."""
        if for_each is None:
            return []
        source = for_each.items
        if isinstance(source, Expr):
            return list(self.evaluate(path, source))
        return list(self.render_value(path, source))

    def branch(self, path: str, choose: Choose) -> int | None:
        """Return the index of the first branch whose guard holds, or None."""
        for index, branch in enumerate(choose.branches):
            if self.holds(path, branch.when):
                return index
        return None

    def render_value(self, path: str, value: Value) -> Any:
        """Return a value with its expressions evaluated."""
        return self._evaluator(path).render(value, self.scope(path))

    def render(self, path: str, values: Mapping[str, Value]) -> dict[str, Any]:
        """Return parameters with their expressions evaluated."""
        return dict(self.render_value(path, values))

    def text(self, path: str, message: Text | str) -> str:
        """Return a message for people."""
        return str(self.render_value(path, message))

    def call_inputs(self, path: str, run: Run) -> dict[str, Any]:
        """Return the callee's inputs: rendered, completed with its defaults, checked."""
        callee = self.playbook(path).callees[run.playbook]
        return dict(bind_inputs(callee, None, self.render(path, run.inputs)))

    def outputs(self, path: str) -> dict[str, Any]:
        """Return the callee's declared outputs, when its steps have ended."""
        inside = f"{path}/"
        playbook = self.playbook(inside)
        evaluator, scope = self._compiler.evaluator(playbook), self.scope(inside)
        return {name: evaluator.evaluate(expr, scope) for name, expr in playbook.outputs.items()}
