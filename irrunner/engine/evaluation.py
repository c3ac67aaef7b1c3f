"""Answers to the Execution's questions that need an expression only: conditions, items, branches, outputs."""

from __future__ import annotations

from irrunner.engine.scopes import Scopes
from irrunner.engine.stepping import error_of
from irrunner.errors import IRRunnerError, PlaybookError
from irrunner.machine.execution import Execution
from irrunner.machine.messages import (
    BranchChosen,
    CallStarted,
    Command,
    EvaluateBranch,
    EvaluateItems,
    EvaluateOutputs,
    EvaluateWhen,
    EvaluationFailed,
    Event,
    ItemsEvaluated,
    OutputsEvaluated,
    StartCall,
    WhenEvaluated,
)
from irrunner.playbook.model import Choose, Run


def evaluated(execution: Execution, scopes: Scopes, command: Command) -> Event:
    """Return the answer to a command; an expression that fails is an answer, too."""
    path = getattr(command, "path", "")
    try:
        return _evaluated(execution, scopes, command, path)
    except IRRunnerError as problem:
        return EvaluationFailed(path, error_of(problem))


def _evaluated(execution: Execution, scopes: Scopes, command: Command, path: str) -> Event:
    step = execution.step(path)
    if isinstance(command, EvaluateWhen):
        return WhenEvaluated(path, scopes.holds(path, step.when))
    if isinstance(command, EvaluateItems):
        return ItemsEvaluated(path, tuple(scopes.items(path, step.for_each)))
    if isinstance(command, EvaluateBranch) and isinstance(step.kind, Choose):
        return BranchChosen(path, scopes.branch(path, step.kind))
    if isinstance(command, StartCall) and isinstance(step.kind, Run):
        return CallStarted(path, scopes.call_inputs(path, step.kind))
    if isinstance(command, EvaluateOutputs):
        return OutputsEvaluated(path, scopes.outputs(path))
    raise PlaybookError(f"{path}: no answer to {type(command).__name__}")
