"""Steps that wait for people: ``approve`` and ``manual``.

A denial, and nobody answering, are outcomes of a gate, not failures: the run goes on without ``then``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from irrunner.machine.flow import Flow
from irrunner.machine.messages import (
    ApprovalDenied,
    ApprovalGiven,
    ApprovalStale,
    AskApproval,
    AskManual,
    ManualConfirmed,
    RunStep,
)
from irrunner.machine.tree import Gate, Lane, Node, Role
from irrunner.playbook.model import Approve, Manual, Uses


def ask(flow: Flow, node: Node) -> None:
    """Begin an ``approve`` step: ask, and set the deadline."""
    flow.move(node, "wait")
    node.gate = node.gate or Gate()
    kind = node.step.kind
    if isinstance(kind, Approve):
        flow.issue(node, AskApproval(node.path, node.gate.asked))
        flow.timer(node, "approval", kind.within_s, node.gate.asked)
        if kind.escalate:
            flow.timer(node, "escalation", kind.within_s / 2, node.gate.asked)


def escalate(flow: Flow, node: Node) -> None:
    """Ask more people: half of the time has passed."""
    if node.gate is not None:
        node.gate.escalated = True
        flow.issue(node, AskApproval(node.path, node.gate.asked, escalated=True))


def approved(flow: Flow, node: Node, event: ApprovalGiven) -> None:
    """Count one person once; with enough of them, go through."""
    kind, gate = node.step.kind, node.gate
    if not isinstance(kind, Approve) or gate is None:
        return
    gate.approvals.setdefault(str(event.by.get("id", event.by)), event.by)
    if len(gate.approvals) >= kind.minimum:
        flow.withdraw(node)
        flow.move(node, "run")
        flow.open(node, Role.THEN, kind.then)


def denied(flow: Flow, node: Node, event: ApprovalDenied) -> None:
    """Shut the gate on a person's word; one is enough."""
    reason = event.reason or "no reason given"
    _shut(flow, node, {"code": "approval-denied", "message": reason, "by": dict(event.by)})


def expired(flow: Flow, node: Node) -> None:
    """Shut the gate because nobody answered."""
    _shut(flow, node, {"code": "approval-expired", "message": "nobody answered in time"})


def _shut(flow: Flow, node: Node, denial: Mapping[str, Any]) -> None:
    kind = node.step.kind
    if isinstance(kind, Approve) and node.gate is not None:
        node.gate.denial = denial
        flow.withdraw(node)
        flow.move(node, "run")
        flow.open(node, Role.OTHERWISE, kind.otherwise)


def otherwise_done(flow: Flow, node: Node, lane: Lane) -> None:
    """End a shut gate as denied, unless ``otherwise`` failed."""
    if lane.failure is None and not lane.cut and node.gate is not None:
        flow.end(node, "deny", error=node.gate.denial)
    else:
        flow.end_with(node, lane)


def stale(flow: Flow, node: Node, event: ApprovalStale) -> None:
    """Ask anew; what was approved is void, the deadline stands."""
    del event
    gate = node.gate
    if gate is not None:
        gate.approvals.clear()
        gate.asked += 1
        flow.issue(node, AskApproval(node.path, gate.asked, gate.escalated))


def stale_when_open(flow: Flow, node: Node, event: ApprovalStale) -> None:
    """Shut an approved gate again and ask anew, if no attempt behind it was answered yet."""
    del event
    gate = node.gate
    lanes = [lane.role for lane in node.inner]
    if gate is None or node.state != "running" or lanes != [Role.THEN] or flow.halted(node.lane):
        return
    if not any(_touched(below) for below in node.below()):
        flow.forget(node)
        gate.approvals.clear()
        gate.asked += 1
        gate.escalated = False
        ask(flow, node)


def _touched(node: Node) -> bool:
    return isinstance(node.step.kind, Uses) and node.attempt > 0 and type(node.due.get("")) is not RunStep


def instruct(flow: Flow, node: Node) -> None:
    """Begin a ``manual`` step."""
    flow.move(node, "wait")
    kind = node.step.kind
    if isinstance(kind, Manual):
        flow.issue(node, AskManual(node.path))
        flow.timer(node, "manual", kind.within_s)


def confirmed(flow: Flow, node: Node, event: ManualConfirmed) -> None:
    """End a ``manual`` step as the person says."""
    if event.done:
        flow.end(node, "apply")
    else:
        message = event.note or "a person could not do it"
        flow.end(node, "fail", error={"code": "manual-not-done", "message": message, "by": dict(event.by)})


def manual_expired(flow: Flow, node: Node) -> None:
    """Fail a ``manual`` step that nobody confirmed."""
    error = {"code": "manual-expired", "message": "nobody confirmed the instruction in time"}
    flow.end(node, "fail", error=error)
