"""Decisions of people at this terminal: which gate is meant, and who may decide it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from irrunner.aws.api import Cloud
from irrunner.clock import parse_iso
from irrunner.engine.open_gates import open_gates
from irrunner.engine.owner import os_user
from irrunner.engine.requests import approve_body
from irrunner.engine.scopes import step_id_of
from irrunner.errors import ApprovalNotOpen, ApprovalStale, ApproverNotAllowed
from irrunner.journal.store import RunRow

if TYPE_CHECKING:
    from irrunner.engine.service import Runner


@dataclass(frozen=True, slots=True)
class Approver:
    """A person at this terminal: the OS user and the AWS identity, recorded with every decision."""

    os_user: str
    aws_arn: str

    def as_dict(self) -> dict[str, str]:
        """Return JSON-able data; ``id`` is who they are for the "distinct approvers" rule."""
        return {"id": f"os:{self.os_user}", "aws": self.aws_arn, "via": "local"}


def approver_here(cloud: Cloud) -> Approver:
    """Return who sits at this terminal."""
    return Approver(os_user(), cloud.caller().arn)


class Deciding:
    """Takes decisions for one :class:`~irrunner.engine.service.Runner`."""

    def __init__(self, runner: Runner) -> None:
        """Work for this runner."""
        self._runner = runner
        self._store = runner.store
        self._services = runner.services

    def gate(self, row: RunRow, step: str | None) -> dict[str, Any]:
        """Return the open gate of a name, or the only one.

        Raises:
            ApprovalNotOpen: If none or several fit; names those that are open.
        """
        gates = open_gates(self._store.records(row.run_id))
        fitting = [gate for gate in gates if step in (None, gate["path"], step_id_of(gate["path"]))]
        if len(fitting) != 1:
            names = ", ".join(gate["path"] for gate in gates) or "none"
            raise ApprovalNotOpen(
                f"run {row.run_id}: {'no' if not fitting else 'more than one'} open gate"
                f"{f' named {step!r}' if step else ''}; open: {names}",
                hint=f"irrunner show {row.run_id}",
            )
        due = fitting[0].get("due_at")
        if due and parse_iso(due) <= self._services.clock.now():
            raise ApprovalNotOpen(
                f"run {row.run_id}: {fitting[0]['path']} could be decided until {due}",
                hint="irrunner resume --due",
            )
        return fitting[0]

    def _check_approver(self, gate: Mapping[str, Any], approver: Approver, *, denies: bool = False) -> None:
        """Check that this person may decide; one person is enough to deny.

        Raises:
            ApproverNotAllowed: If a configured group does not list them, or the gate wants two people
                and no group is configured (local identities cannot prove that they are two).
        """
        groups = self._services.settings.approvers
        asked = gate.get("approvers") or gate.get("by") or ()
        named = [groups[name] for name in asked if name in groups]
        identity = approver.as_dict()
        if named and not any({identity["id"], identity["aws"]} & set(group) for group in named):
            raise ApproverNotAllowed(f"{identity['id']} is in none of the groups {', '.join(asked)}")
        if not named and not denies and gate.get("minimum", 1) > 1:
            raise ApproverNotAllowed(
                "this gate wants two people, and local identities are not enough",
                hint="list the group under `approvers` in irrunner.yaml",
            )

    def approve(self, run: str, step: str | None, *, plan_sha256: str = "") -> dict[str, Any]:
        """Approve a gate, and drive the run where nobody else does.

        Raises:
            ApprovalStale: If ``plan_sha256`` is not the hash of the plan that is open now.
        """
        row = self._store.run(run)
        gate = self.gate(row, step)
        approver = approver_here(self._services.cloud)
        self._check_approver(gate, approver)
        if plan_sha256 and plan_sha256 != gate["sha256"]:
            raise ApprovalStale(
                f"the plan of {gate['path']} is {gate['sha256'][:12]} now", hint="look at it again"
            )
        kind = "confirm" if gate.get("manual") else "approve"
        body = approve_body(gate["path"], approver.as_dict(), plan_sha256 or str(gate.get("sha256", "")))
        if gate.get("manual"):
            body["done"] = True
        return self._runner.ask(row, kind, body)

    def deny(self, run: str, step: str | None, reason: str) -> dict[str, Any]:
        """Deny a gate."""
        row = self._store.run(run)
        gate = self.gate(row, step)
        approver = approver_here(self._services.cloud)
        self._check_approver(gate, approver, denies=True)
        kind = "confirm" if gate.get("manual") else "deny"
        body = {
            "path": gate["path"],
            "by": approver.as_dict(),
            "reason": reason,
            "note": reason,
            "done": False,
        }
        return self._runner.ask(row, kind, body)
