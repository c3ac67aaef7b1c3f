"""Playbooks compiled once per text: the model, the chart and the evaluator of expressions."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from irrunner.actions.registry import Registry
from irrunner.journal.records import canonical, digest
from irrunner.machine.chart import Chart, build_chart
from irrunner.playbook.expressions import Evaluator
from irrunner.playbook.library import load_pinned
from irrunner.playbook.model import Playbook

KEPT = 256
"""Texts kept in memory; the oldest is dropped."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A playbook as a run pins it."""

    playbook: Playbook
    chart: Chart


class Compiler:
    """Compiles pinned texts; safe to share between threads."""

    def __init__(self, registry: Registry) -> None:
        """Keep the actions that the texts are checked against."""
        self.registry = registry
        self._compiled: dict[str, Compiled] = {}
        self._evaluators: dict[str, Evaluator] = {}
        self._lock = threading.Lock()

    def pinned(self, text: str, file: str, callees: Mapping[str, str]) -> Compiled:
        """Return the compiled form of texts that record 0 of a run holds.

        Raises:
            PlaybookInvalid: If a text does not pass today's checks.
        """
        key = digest(canonical([text, file, dict(callees)]))
        with self._lock:
            found = self._compiled.get(key)
            if found is None:
                playbook = load_pinned(text, file, callees, self.registry)
                found = Compiled(playbook, build_chart(playbook))
                while len(self._compiled) >= KEPT:
                    self._compiled.pop(next(iter(self._compiled)))
                self._compiled[key] = found
        return found

    def evaluator(self, playbook: Playbook) -> Evaluator:
        """Return the playbook's evaluator; compiled expressions are kept in it.

        The same text is another playbook where it is somebody's callee (its expressions have other
        places) or runs other callees (their outputs have other types).
        """
        key = canonical(_texts(playbook))
        with self._lock:
            evaluator = self._evaluators.get(key)
            if evaluator is None:
                while len(self._evaluators) >= KEPT:
                    self._evaluators.pop(next(iter(self._evaluators)))
                evaluator = self._evaluators[key] = Evaluator(playbook, self.registry)
        return evaluator


def _texts(playbook: Playbook) -> list[object]:
    """Return what a playbook's expressions depend on: where it stands, its text, its callees'."""
    callees = [_texts(callee) for callee in playbook.callees.values()]
    return [playbook.place.file, playbook.sha256, callees]
