"""What is due: runs whose timer has come or whose driver died, effects that expire, and tickets that wait."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from irrunner.clock import iso
from irrunner.engine.driver import Driver
from irrunner.engine.stepping import defects
from irrunner.engine.undoing import Undoing
from irrunner.errors import IRRunnerError, RunBusy

if TYPE_CHECKING:
    from irrunner.engine.service import Runner

DUE_AT_ONCE = 100
"""Due runs that are driven together: it bounds memory."""


@contextlib.contextmanager
def _kept(failures: list[IRRunnerError]) -> Iterator[None]:
    """Keep a failure for later, ours as well; a run that another process took meanwhile is none."""
    try:
        with defects("resume --due"):
            yield
    except RunBusy:
        return
    except IRRunnerError as problem:
        failures.append(problem)


class Due:
    """Takes up what is due, for one :class:`~irrunner.engine.service.Runner`."""

    def __init__(self, runner: Runner) -> None:
        """Work for this runner."""
        self._runner = runner
        self._store = runner.store
        self._services = runner.services

    def resume(self) -> list[dict[str, Any]]:
        """Take up every run that is due or orphaned, and take off every effect whose time is over.

        Runs go on many at once; those that others took are left out.

        Raises:
            IRRunnerError: The first failure, after every other run went on.
        """
        due = self._store.due_runs(iso(self._services.clock.now()))
        documents: list[dict[str, Any]] = []
        failures: list[IRRunnerError] = []
        for start in range(0, len(due), DUE_AT_ONCE):
            documents += self._resume_together(due[start : start + DUE_AT_ONCE], failures)
        now = iso(self._services.clock.now())
        for expiry in self._store.expiries():
            if expiry.due_at > now:
                break
            with _kept(failures):
                document = Undoing(self._runner).expire(expiry)
                documents += [document] if document else []
        with _kept(failures):  # last: a tracker that is slow holds up nothing that is to come off
            self._services.deliver()
        if failures:
            raise failures[0]
        return documents

    def _resume_together(self, run_ids: list[str], failures: list[IRRunnerError]) -> list[dict[str, Any]]:
        """Drive runs in one engine: one that waits long, or is broken, holds no other up."""
        undone = {run_id for run_id in run_ids if self._store.run(run_id).undoes}
        taken: dict[str, Driver] = {}
        engine = self._runner.engine()
        try:
            for run_id in run_ids:
                if run_id not in undone:
                    with _kept(failures):
                        taken[run_id] = engine.take(run_id)
            with _kept(failures):
                engine.drive(*taken.values())
        finally:
            engine.close()
        documents = [
            self._runner.document(run_id) for run_id, driver in taken.items() if driver.failure is None
        ]
        for run_id in sorted(undone):
            with _kept(failures):
                documents.append(self._runner.resume(run_id))
        return documents
