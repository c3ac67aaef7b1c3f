"""One run of a playbook, sans I/O: events in, commands out.

An Execution never does I/O, reads a clock or evaluates an expression. Its state is the fold of the events
fed so far: the same events give the same state on every engine. An event that answers no due command (a
duplicate, or too late) changes nothing; no order of events raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from irrunner.machine import callees
from irrunner.machine.chart import Chart
from irrunner.machine.flow import Flow
from irrunner.machine.lifecycle import OUTCOMES
from irrunner.machine.messages import (
    AbortRequested,
    Command,
    DeadlinePassed,
    Event,
    Purpose,
    StartTimer,
    StepView,
    TimerFired,
)
from irrunner.machine.rules import ANSWERS, CONCLUDED, begin
from irrunner.machine.tree import PLAYBOOK_ROLES, Failure, Frame, Node, Role
from irrunner.playbook.model import Playbook, Step
from irrunner.vocabulary import RunStatus


class Execution:
    """The state of one run.

    Feed from one thread at a time; reading from others meanwhile is safe.
    """

    def __init__(self, chart: Chart, inputs: Mapping[str, Any] | None = None) -> None:
        """Make a run that has not started.

        Args:
            chart: The compiled playbook.
            inputs: The run's inputs, for :meth:`scope_inputs`; the machine itself never reads them.
        """
        self.chart = chart
        self._flow = Flow(chart.playbook, inputs or {})

    # -- events and commands ------------------------------------------------------------------

    def start(self) -> tuple[Command, ...]:
        """Start the run; return the first commands. A second start changes nothing."""
        flow = self._flow
        if flow.scope.state == "new":
            callees.live(flow, flow.root, flow.root.lane.frame)
        return self._settle()

    def feed(self, event: Event) -> tuple[Command, ...]:
        """Take an event; return the commands that became due by it."""
        flow = self._flow
        if isinstance(event, AbortRequested):
            callees.abort(flow, event)
        elif isinstance(event, DeadlinePassed):
            callees.expire(flow, event)
        else:
            node = flow.nodes.get(event.path)
            if node is None:
                return ()
            command = node.due.get(event.purpose if isinstance(event, TimerFired) else "")
            answer = ANSWERS.get((type(command), type(event)))
            if answer is None:
                return ()
            answer(flow, node, event)
        return self._settle()

    def _settle(self) -> tuple[Command, ...]:
        """Work the agenda off: let each lane on it enter its next step, or end."""
        flow = self._flow
        while flow.agenda:
            lane = flow.agenda.popleft()
            node = flow.next_of(lane)
            if node is not None:
                begin(flow, node)
            elif lane.owner is not None:
                CONCLUDED[lane.role](flow, lane.owner, lane)
        issued = tuple(flow.issued)
        flow.issued.clear()
        return issued

    def outstanding(self) -> tuple[Command, ...]:
        """Return every command that is due and unanswered; of an ended run, its Finish."""
        flow = self._flow
        if flow.finish is not None:
            return (flow.finish,)
        return tuple(command for node in list(flow.active.values()) for command in list(node.due.values()))

    # -- the run ------------------------------------------------------------------------------

    @property
    def status(self) -> RunStatus:
        """The run's status; waiting means that only people and timers are awaited."""
        flow = self._flow
        if flow.finish is not None:
            return flow.finish.status
        return RunStatus.WAITING if flow.active and not flow.impatient else RunStatus.RUNNING

    @property
    def stage(self) -> str:
        """The state of the run's life-cycle: ``running``, ``recovering``, ``stopping``, ``closing`` ..."""
        return self._flow.scope.state

    @property
    def failed_step(self) -> str | None:
        """Path of the step whose failure stopped the run."""
        failure = self._flow.scope.failure
        return failure.path if failure else None

    @property
    def error(self) -> Mapping[str, Any] | None:
        """Why the run was stopped: the failed step's error, the abort, or the deadline."""
        failure = self._flow.scope.failure
        return self._flow.stop_error or (failure.error if failure else None)

    # -- steps --------------------------------------------------------------------------------

    def views(self) -> Mapping[str, StepView]:
        """Return every step instance that was begun, by path, in document order."""
        return {node.path: _view(node) for node in self._flow.root.below()}

    def view(self, path: str) -> StepView | None:
        """Return one step instance; None if it was not begun."""
        node = self._flow.nodes.get(path)
        return _view(node) if node else None

    def step(self, path: str) -> Step:
        """Return the step of a path, begun or not.

        Raises:
            KeyError: If the playbook has no such step.
        """
        node = self._flow.nodes.get(path)
        return node.step if node else self.chart.step(path)

    # -- what expressions see -----------------------------------------------------------------

    def item(self, path: str) -> Mapping[str, Any]:
        """Return the loop variables at a path: each ``as`` name, and ``index`` of the innermost loop."""
        return {name: value for frame in self._frame(path).chain() for name, value in frame.local.items()}

    def visible(self, path: str) -> Mapping[str, Any]:
        """Return the outputs that expressions at a path see, by step id.

        Of steps in the same playbook, outside of loops or in the same iteration: a step that ended well has
        its outputs; a ``for_each`` has ``{"items": [{item, outcome, outputs}]}`` in input order; a ``run``
        step the callee's declared outputs. Steps that were skipped, denied or failed are absent.

        Args:
            path: Path of a begun step, for what the step sees; with a ``/`` at its end (or empty), the
                playbook that a ``run`` step calls (or the run's own), for what its outputs see.
        """
        outputs: dict[str, Any] = {}
        for frame in self._frame(path).chain():
            outputs.update(frame.outputs)
        return outputs

    def scope_inputs(self, path: str) -> Mapping[str, Any]:
        """Return the inputs of the playbook around a path: the innermost callee's, or the run's."""
        return self._frame(path).scope.inputs

    def scope_playbook(self, path: str) -> Playbook:
        """Return the playbook around a path."""
        return self._frame(path).scope.playbook

    def failure_at(self, path: str) -> Failure | None:
        """Return what ``run.failed_step`` and ``run.error`` are at a path.

        In a step's own ``on_failure`` that is the step's failure; in a playbook's ``on_failure`` and
        ``finally`` what stopped its steps, or else (with an empty path) the abort or the deadline.
        """
        flow = self._flow
        node = flow.nodes.get(path)
        while node is not None:
            if node.lane.role is Role.RECOVERY and node.lane.owner is not None:
                return node.lane.owner.failure
            node = None if node.lane.role in PLAYBOOK_ROLES else node.lane.owner
        stop = Failure("", flow.stop_error) if flow.stop_error is not None else None
        return self._frame(path).scope.failure or stop

    def in_finally(self, path: str) -> bool:
        """Return whether a step belongs to a ``finally``, its playbook's or one around it."""
        node = self._flow.nodes.get(path)
        return node is not None and node.lane.shield > 0

    def _frame(self, path: str) -> Frame:
        flow = self._flow
        if path.endswith("/"):
            caller = flow.nodes.get(path[:-1])
            return (caller and caller.callee) or flow.root.lane.frame
        node = flow.nodes.get(path)
        return node.lane.frame if node else flow.root.lane.frame


def _view(node: Node) -> StepView:
    return StepView(
        path=node.path,
        step_id=node.step.id,
        outcome=OUTCOMES[node.state],
        attempts=node.attempt,
        outputs=_shown_outputs(node),
        error=node.error,
        waiting_for=_waiting_for(node),
        items=node.items,
        children=tuple(child.path for child in node.children()),
    )


def _shown_outputs(node: Node) -> Mapping[str, Any] | None:
    if node.gate is not None and node.gate.approvals:
        return {"approved_by": list(node.gate.approvals.values())}
    return node.outputs


def _waiting_for(node: Node) -> Purpose | None:
    """Return the purpose of the node's first timer, while it waits."""
    if node.state not in ("waiting", "backing_off"):
        return None
    return next((due.purpose for due in node.due.values() if isinstance(due, StartTimer)), None)
