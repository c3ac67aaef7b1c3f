"""Polls of ``wait.until``: look, evaluate the condition, look again; only the last one is journalled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from irrunner.actions.runtime import Done
from irrunner.engine.attempts import bind, step_run
from irrunner.engine.stepping import defects, error_of
from irrunner.errors import ActionError, Defect, PlaybookError, SettingsError
from irrunner.machine.messages import EvaluationFailed, Poll, PollAnswered, StepFailed
from irrunner.playbook.model import WaitUntil
from irrunner.vocabulary import Outcome

if TYPE_CHECKING:
    from irrunner.engine.driver import Driver


class Polling:
    """Answers ``Poll`` for one run."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._polls: dict[str, PollAnswered] = {}

    def answer(self, command: Poll) -> None:
        """Look once for a ``wait.until``."""
        path = command.path
        try:
            step = self._driver.run.execution.step(path)
            if not isinstance(step.kind, WaitUntil):
                raise PlaybookError(f"{path} waits for no condition")
            values = self._driver.scopes.render(path, step.kind.params)
            binding = bind(self._driver, path, step.kind.action, values, self._driver.services.clock.now())
            with defects(binding.action.id):
                done = step_run(self._driver, binding, path).advance()
            outputs = done.outputs if isinstance(done, Done) else {}
            settled = isinstance(done, Done) and done.outcome.good
            holds = settled and self._driver.scopes.holds(path, step.kind.until, {"poll": outputs})
        except PlaybookError as problem:
            self._driver.commit([EvaluationFailed(path, error_of(problem))])
        except (ActionError, Defect, SettingsError) as problem:
            failed = StepFailed(path, command.polls, Outcome.FAILED, error_of(problem), problem.retryable)
            self._driver.commit([failed])
        else:
            self._answer_poll(PollAnswered(path, command.polls, holds, outputs), step.kind)

    def last(self, path: str) -> PollAnswered | None:
        """Return the newest poll of a ``wait.until`` that did not hold, for its time-out to journal."""
        return self._polls.pop(path, None)

    def _answer_poll(self, answer: PollAnswered, kind: WaitUntil) -> None:
        """Journal only the last poll: earlier ones are repeated in memory."""
        if answer.holds:
            self._driver.commit([answer])
            return
        self._polls[answer.path] = answer
        again = Poll(answer.path, answer.polls + 1)
        outstanding = any(
            isinstance(command, Poll) and command.path == answer.path
            for command in self._driver.run.execution.outstanding()
        )
        if outstanding:
            self._driver.soon(lambda: self.answer(again), kind.every_s)
