"""The motions of a run's tree: enter a step, issue a command, end a step, open a lane, halt.

Nothing here knows a step kind; :mod:`irrunner.machine.rules` does. Nothing recurses: a lane that can go
on is put on the agenda, and the Execution works the agenda off, so only the ancestors of a changed leaf
are ever touched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from irrunner.machine.lifecycle import OUTCOMES, table
from irrunner.machine.messages import (
    AskApproval,
    AskManual,
    Command,
    EvaluateOutputs,
    Finish,
    Purpose,
    RunStep,
    StartTimer,
)
from irrunner.machine.tree import Failure, Frame, Lane, Node, Role, Scope
from irrunner.playbook.model import Playbook, Run, Step, Uses
from irrunner.vocabulary import Outcome, Phase, RunStatus

PATIENT: frozenset[type[Any]] = frozenset({StartTimer, AskApproval, AskManual})
"""Commands that wait for a person or an instant: a run with no others is waiting."""
BAD = frozenset({"failed", "refused", "unknown"})
GOOD = frozenset({"applied", "already_done"})


class Flow:
    """The state of one run."""

    def __init__(self, playbook: Playbook, inputs: Mapping[str, Any]) -> None:
        self._step_table = table("step")
        self._run_table = table("run")
        scope = Scope(playbook, "", inputs)
        step = Step(id="", kind=Run(playbook.id, {}), place=playbook.place)
        self.root = Node("", step, Lane((step,), None, Role.RUN, Frame(scope), "", 0))
        self.root.callee = self.root.lane.frame
        self.scope = scope
        self.nodes: dict[str, Node] = {}
        self.active: dict[str, Node] = {}
        """Nodes with unanswered commands, oldest first."""
        self.agenda: deque[Lane] = deque()
        self.issued: list[Command] = []
        self.finish: Finish | None = None
        self.short = False
        """Whether something was not verified although the flow went on."""
        self.impatient = 0
        self._halt = 0
        self._halted_by: Mapping[str, Any] = {}
        self.stopped: str | None = None
        """How the run will end because it was stopped: ``abort`` or ``give_up``."""
        self.stop_error: Mapping[str, Any] | None = None

    # -- commands -----------------------------------------------------------------------------

    def issue(self, node: Node, command: Command, slot: str = "") -> None:
        """Make a command due; it replaces the one in its slot."""
        self.answered(node, slot)
        node.due[slot] = command
        self.active[node.path] = node
        self.issued.append(command)
        if type(command) not in PATIENT:
            self.impatient += 1

    def timer(
        self, node: Node, purpose: Purpose, delay_s: float, attempt: int = 0, *, jitter: bool = False
    ) -> None:
        """Make a timer due."""
        self.issue(node, StartTimer(node.path, purpose, delay_s, attempt, jitter), purpose)

    def answered(self, node: Node, slot: str = "") -> None:
        """Take a command off, if it is due."""
        command = node.due.pop(slot, None)
        if command is None:
            return
        if type(command) not in PATIENT:
            self.impatient -= 1
        if not node.due:
            del self.active[node.path]

    def withdraw(self, node: Node) -> None:
        """Take all of a node's commands off."""
        for slot in list(node.due):
            self.answered(node, slot)

    # -- the tree -----------------------------------------------------------------------------

    def move(self, node: Node, trigger: str) -> None:
        """Take a step through its life-cycle."""
        node.state = self._step_table[node.state, trigger]

    def turn(self, scope: Scope, trigger: str) -> None:
        """Take a playbook through its life-cycle."""
        scope.state = self._run_table[scope.state, trigger]

    def open(self, owner: Node, role: Role, steps: tuple[Step, ...], frame: Frame | None = None) -> Lane:
        """Open a lane below a node, seeing what the node sees unless a frame is given."""
        outside = owner.lane
        inside = frame or outside.frame
        suffix = outside.suffix if inside.scope is outside.frame.scope else ""
        shield = 1 if role is Role.FINALLY else outside.shield
        lane = Lane(steps, owner, role, inside, suffix, shield)
        owner.inner.append(lane)
        self.agenda.append(lane)
        return lane

    def open_item(self, group: Node, index: int, name: str, item: Any) -> None:
        """Open the lane of one item of a ``for_each``."""
        frame = group.lane.frame
        local = {name: item, "index": index}
        lane = self.open(group, Role.ITEM, (group.step,), Frame(frame.scope, frame, local))
        lane.suffix += f"[{index}]"

    def next_of(self, lane: Lane) -> Node | None:
        """Enter the lane's next step; None where the lane has come to its end."""
        if lane.position >= len(lane.steps):
            return None
        if self.halted(lane):
            lane.cut = True
            return None
        step = lane.steps[lane.position]
        path = f"{lane.frame.scope.prefix}{step.id}{lane.suffix}"
        node = self.nodes[path] = Node(path, step, lane)
        lane.nodes.append(node)
        return node

    def forget(self, node: Node) -> None:
        """Undo everything that was entered below a node."""
        for below in node.below():
            self.withdraw(below)
            self.nodes.pop(below.path, None)
            below.lane.frame.outputs.pop(below.step.id, None)
        node.inner.clear()

    # -- ends ---------------------------------------------------------------------------------

    def end(
        self,
        node: Node,
        trigger: str,
        *,
        outputs: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
        failure: Failure | None = None,
    ) -> None:
        """End a step; its lane goes on, stops, or recovers from its failure."""
        self.move(node, trigger)
        node.outputs, node.error = outputs, error
        self.withdraw(node)
        self._publish(node)
        if node.state in BAD:
            node.failure = failure or Failure(node.path, error or {})
            self._absorb(node, node.failure)
        else:
            self.go_on(node.lane)

    def fail_with(self, node: Node, failure: Failure) -> None:
        """End a step by the failure of one below it."""
        self.end(node, "fail", error={**failure.error, "failed_step": failure.path}, failure=failure)

    def end_with(self, node: Node, lane: Lane) -> None:
        """End a step as the only lane below it ended."""
        if lane.cut:
            self.cut(node, "fail")
        elif lane.failure is not None:
            self.fail_with(node, lane.failure)
        else:
            self.end(node, "apply")

    def cut(self, node: Node, trigger: str, error: Mapping[str, Any] | None = None) -> None:
        """End a step because the run halts; its lane ends here too."""
        self.move(node, trigger)
        node.error = error or self._halted_by
        self.withdraw(node)
        self._publish(node)
        node.lane.cut = True
        self.agenda.append(node.lane)

    def go_on(self, lane: Lane) -> None:
        """Let a lane enter its next step."""
        lane.position += 1
        self.agenda.append(lane)

    def stop(self, lane: Lane, failure: Failure) -> None:
        """End a lane by a failure; ``finally`` goes on, for all of it is always tried."""
        lane.failure = lane.failure or failure
        if lane.role is not Role.FINALLY:
            lane.position = len(lane.steps)
        self.go_on(lane)

    def _absorb(self, node: Node, failure: Failure) -> None:
        """Apply a failed step's ``on_failure``; for an item, its ``for_each`` decides."""
        lane, policy = node.lane, node.step.on_failure
        self.short |= _leaves_short(node.step)
        if policy == "stop" or lane.role is Role.ITEM or self.halted(lane):
            self.stop(lane, failure)
        elif policy == "continue":
            self.go_on(lane)
        else:
            self.open(node, Role.RECOVERY, policy)

    def _publish(self, node: Node) -> None:
        """Make an ended step's outputs visible to later steps."""
        if node.items is not None:
            node.lane.frame.outputs[node.step.id] = {"items": item_results(node)}
        elif node.state in GOOD and node.lane.role is not Role.ITEM:
            node.lane.frame.outputs[node.step.id] = node.outputs or {}

    # -- halt ---------------------------------------------------------------------------------

    def halted(self, lane: Lane) -> bool:
        """Return whether the lane may start nothing more."""
        return self._halt > lane.shield

    def halt(self, level: int, error: Mapping[str, Any]) -> None:
        """Start nothing more (level 1: outside ``finally``; 2: at all), drop what waits, await what acts."""
        self._halt = level
        self._halted_by = error
        for node in list(self.active.values()):
            if self.halted(node.lane) and type(node.due.get("")) is not RunStep:
                self._drop(node)

    def _drop(self, node: Node) -> None:
        if node.state == "backing_off":
            self.cut(node, node.verdict, node.error)
        else:
            self.cut(node, "fail" if type(node.due.get("")) is EvaluateOutputs else "drop")

    # -- the run ------------------------------------------------------------------------------

    def finish_run(self, status: RunStatus) -> None:
        """End the run."""
        self.finish = Finish(status)
        self.issued.append(self.finish)


def _leaves_short(step: Step) -> bool:
    """Return whether a run goes on short of what it is for once this step has failed.

    Containment and evidence are what it is for. A step without a phase may be either; where it stops the
    run, its failure is the run's own.
    """
    if isinstance(step.kind, Uses) and step.kind.evidence:
        return True
    return step.phase is Phase.CONTAINMENT or (step.on_failure != "stop" and step.phase is None)


def item_results(group: Node) -> list[dict[str, Any]]:
    """Return ``steps.<id>.items``: one entry per item, in input order."""
    results = [
        {
            "item": item,
            "outcome": str(OUTCOMES[lane.nodes[0].state] if lane.nodes else Outcome.SKIPPED),
            "outputs": (lane.nodes[0].outputs if lane.nodes else None) or {},
        }
        for item, lane in zip(group.items or (), group.inner, strict=False)
    ]
    rest = (group.items or ())[len(results) :]
    return results + [{"item": item, "outcome": str(Outcome.SKIPPED), "outputs": {}} for item in rest]
