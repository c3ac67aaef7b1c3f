"""A playbook as a chart: its steps by path, and the graph of states and transitions it stands for.

The graph is what ``compile --to json`` prints, what the pictures are drawn from and what the static
checks walk. The reducer needs only the index: :class:`~irrunner.machine.execution.Execution` walks the
playbook's own tree. A callee is one state of its caller; its own graph stands beside it, once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from irrunner.machine.graph import Graph, graph_of
from irrunner.playbook.model import Playbook, Run, Step

INDICES = re.compile(r"(\[\d+\])+\Z")


@dataclass(frozen=True, slots=True)
class Chart:
    """A compiled playbook; make it once per content hash."""

    playbook: Playbook
    steps: Mapping[str, Mapping[str, Step]]
    """Playbook id to its steps by id, for the playbook and all it calls."""
    playbooks: Mapping[str, Playbook]
    graphs: Mapping[str, Graph] = field(repr=False)

    def step(self, path: str) -> Step:
        """Return the step of a path: ``isolate``, ``copy_out[3]``, ``contain/isolate``.

        Raises:
            KeyError: If the playbook has no such step.
        """
        playbook, *callers = self.playbook.id, *path.split("/")[:-1]
        for segment in callers:
            kind = self.steps[playbook][INDICES.sub("", segment)].kind
            if not isinstance(kind, Run):
                raise KeyError(path)
            playbook = kind.playbook
        return self.steps[playbook][INDICES.sub("", path.rpartition("/")[2])]

    @property
    def graph(self) -> Graph:
        """The playbook's own graph."""
        return self.graphs[self.playbook.id]

    def unreachable(self) -> tuple[str, ...]:
        """Return states that no path from the start leads to, as ``playbook:state``."""
        return self._named((name, graph.unreachable()) for name, graph in self.graphs.items())

    def dead_ends(self) -> tuple[str, ...]:
        """Return states from which no path leads to the end, as ``playbook:state``."""
        return self._named((name, graph.dead_ends()) for name, graph in self.graphs.items())

    def _named(self, found: Iterable[tuple[str, tuple[str, ...]]]) -> tuple[str, ...]:
        return tuple(f"{name}:{state}" for name, states in found for state in states)

    def describe(self) -> dict[str, Any]:
        """Return the chart as JSON-able data."""
        called = [name for name in self.playbooks if name != self.playbook.id]
        return {
            **_described(self.playbook, self.graph),
            "callees": {name: _described(self.playbooks[name], self.graphs[name]) for name in called},
        }


def _described(playbook: Playbook, graph: Graph) -> dict[str, Any]:
    identity = {"id": playbook.id, "version": playbook.version, "sha256": playbook.sha256}
    return {"playbook": {**identity, "title": playbook.title}, **graph.as_dict()}


def build_chart(playbook: Playbook) -> Chart:
    """Compile a playbook and everything it calls.

    Args:
        playbook: A playbook that passed the loader's checks (no loop in ``run``, unique ids).
    """
    playbooks = playbook.closure()
    return Chart(
        playbook=playbook,
        steps={name: {step.id: step for step in each.walk()} for name, each in playbooks.items()},
        playbooks=playbooks,
        graphs={name: graph_of(each) for name, each in playbooks.items()},
    )
