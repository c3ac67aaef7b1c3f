"""What people and the API ask of irrunner: start, plan, decide, resume, abort, undo.

One :class:`Runner` per process. Commands return documents (plain data); how they look is the business
of the command line and the API.
"""

from __future__ import annotations

import contextlib
import getpass
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from irrunner import __version__
from irrunner.actions.contract import Where
from irrunner.aws.redact import Redactor
from irrunner.clock import IdSource, iso, parse_iso
from irrunner.engine import loaded as kinds
from irrunner.engine.driver import Driver
from irrunner.engine.embedded import EmbeddedEngine, Observer
from irrunner.engine.loaded import RunFacts, started_draft
from irrunner.engine.open_gates import open_gates
from irrunner.engine.owner import LEASE_TTL_S, owner_name
from irrunner.engine.planner import PlannedStep, Planner
from irrunner.engine.reading import document
from irrunner.engine.requests import approve_body
from irrunner.engine.scopes import step_id_of
from irrunner.engine.stepping import Services
from irrunner.engine.undoing import Undoing
from irrunner.errors import (
    ApprovalNotOpen,
    ApprovalStale,
    ApproverNotAllowed,
    IRRunnerError,
    RunBusy,
    RunNotResumable,
    SettingsError,
)
from irrunner.findings.model import Finding
from irrunner.journal.records import Draft, digest
from irrunner.journal.store import Lease, NewRun, RunChange, RunRow, Store
from irrunner.playbook.model import Playbook
from irrunner.vocabulary import RunStatus

DUE_AT_ONCE = 100
"""Due runs that are driven together: it bounds memory."""


@contextlib.contextmanager
def _kept(failures: list[IRRunnerError]) -> Iterator[None]:
    """Keep a failure for later; a run that another process took meanwhile is none."""
    try:
        yield
    except RunBusy:
        return
    except IRRunnerError as problem:
        failures.append(problem)


def os_user() -> str:
    """Return the name of the OS user; its number where it has no name (a container)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


@dataclass(frozen=True, slots=True)
class Approver:
    """A person at this terminal: the OS user and the AWS identity, recorded with every decision."""

    os_user: str
    aws_arn: str

    def as_dict(self) -> dict[str, str]:
        """Return JSON-able data; ``id`` is who they are for the "distinct approvers" rule."""
        return {"id": f"os:{self.os_user}", "aws": self.aws_arn, "via": "local"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where to act when no finding says so; empty: our own account and Region."""

    account_id: str = ""
    region: str = ""


class Runner:
    """Runs playbooks of this store, in this process."""

    def __init__(
        self, services: Services, store: Store, ids: IdSource, observer: Observer | None = None
    ) -> None:
        """Keep what every command needs; AWS is not touched before it must be.

        Args:
            services: Registry, cloud, settings, clock, local port.
            store: The store of runs.
            ids: Source of run ids and jitter.
            observer: Told of each journal record, for live progress.
        """
        self.services = services
        self.store = store
        self.ids = ids
        self.observer = observer
        self.place = Place()
        self.owner = owner_name()

    # -- where --------------------------------------------------------------------------------

    def act_in(self, account_id: str, region: str) -> None:
        """Say where to act when no finding says so; empty: our own account and Region."""
        self.place = Place(account_id, region)

    def where(self, finding: Finding | None, inputs: Mapping[str, Any]) -> Where:
        """Return the account and Region to act in.

        The finding says; else :attr:`place`; else inputs ``account_id`` and ``region``; else the caller's
        own account and the session's Region.

        Raises:
            SettingsError: If the Region or account is not one in which we may act.
        """
        cloud, settings = self.services.cloud, self.services.settings
        account = (finding.account_id if finding else "") or self.place.account_id
        region = (finding.region if finding else "") or self.place.region
        account = account or str(inputs.get("account_id") or "")
        region = region or str(inputs.get("region") or "")
        account = account or cloud.caller().account_id
        region = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        if settings.accounts and account not in settings.accounts:
            raise SettingsError(f"account {account} is not in `accounts`", hint="nothing was done")
        if settings.regions and region not in settings.regions:
            raise SettingsError(f"Region {region} is not in `regions`", hint="nothing was done")
        forensic_account = cloud.forensic_account_id()
        forensic_region = settings.forensics.region or region
        named = settings.forensics.bucket or f"irrunner-evidence-{forensic_account}-{forensic_region}"
        return Where(
            partition=finding.partition if finding else "aws",
            account_id=account,
            region=region,
            forensic_account_id=forensic_account,
            forensic_region=forensic_region,
            forensic_kms_key=settings.forensics.kms_key,
            transfer_kms_key=settings.forensics.transfer_kms_key,
            evidence_bucket=named if forensic_account else None,
        )

    # -- start --------------------------------------------------------------------------------

    def facts(
        self,
        playbook: Playbook,
        inputs: Mapping[str, Any],
        finding: Finding | None,
        *,
        drill: bool,
        accepted_at: datetime,
    ) -> RunFacts:
        """Return the facts of a run that begins now."""
        return RunFacts(
            run_id=self.ids.run_id(),
            where=self.where(finding, inputs),
            drill=drill,
            inputs=inputs,
            finding=finding,
            accepted_at=accepted_at,
            deadline_at=self.services.clock.now() + timedelta(seconds=playbook.deadline_s),
        )

    def create(self, playbook: Playbook, facts: RunFacts, extra: Mapping[str, Any] | None = None) -> Lease:
        """Write record 0 and take the lease.

        Raises:
            RunExists: If an open run of this playbook for this incident exists.
            JournalUnavailable: If the store cannot be written; nothing is done then.
        """
        caller = self.services.cloud.caller()
        finding = facts.finding
        about = {
            "irrunner": __version__,
            "caller": {
                "arn": caller.arn, "account_id": caller.account_id, "simulated": caller.simulated,
                "os_user": os_user(),
            },
            "event": Redactor().value(finding.raw) if finding else None,  # CloudTrail records session tokens
            **(extra or {}),
        }  # fmt: skip
        incident_key = finding.incident_key if finding else ""
        new = NewRun(
            run_id=facts.run_id,
            incident_id=f"inc-{digest(incident_key or facts.run_id)[:12]}",
            incident_key=incident_key,
            event_key=finding.event_key if finding else "",
            playbook_id=playbook.id,
            playbook_version=playbook.version,
            playbook_sha256=playbook.sha256,
            title=finding.title or finding.type if finding else playbook.title,
            account_id=facts.where.account_id,
            region=facts.where.region,
            severity=finding.severity if finding else 0.0,
            drill=facts.drill,
        )
        draft = started_draft(playbook, facts, self.services.registry, about)
        return self.store.create_run(new, [draft], self.owner, LEASE_TTL_S)

    def engine(self) -> EmbeddedEngine:
        """Return an engine of this process."""
        return EmbeddedEngine(self.services, self.store, self.ids, self.owner, self.observer)

    def drive(self, lease: Lease) -> dict[str, Any]:
        """Drive a run until it is finished or parked, and return its document."""
        engine = self.engine()
        try:
            engine.drive(engine.adopt(lease))
        finally:
            engine.close()
        self.services.deliver()
        return self.document(lease.run_id)

    def leave(self, lease: Lease) -> None:
        """Leave a run to whoever takes up what is due: an open request makes it so."""
        self.store.request(lease.run_id, "start", {})
        self.store.release(lease)

    def document(self, run_id: str) -> dict[str, Any]:
        """Return a run's document."""
        return document(self.store, self.services.compiler, run_id)

    def plan(
        self, playbook: Playbook, inputs: Mapping[str, Any], finding: Finding | None, *, drill: bool = False
    ) -> list[PlannedStep]:
        """Return what a run would send. Reads only."""
        facts = self.facts(playbook, inputs, finding, drill=drill, accepted_at=self.services.clock.now())
        planner = Planner(self.services, facts)
        return planner.playbook(playbook, inputs, finding)

    def attach(self, row: RunRow, finding: Finding) -> None:
        """Append a newer update of the finding to a parked run; whoever drives another one will do it.

        The lease of an orphaned run is left as it is: it shows that the run is to be taken up.
        """
        self.store.attach_event(row.run_id, finding.event_key)
        severity = max(row.severity, finding.severity)
        body = {
            "event_key": finding.event_key,
            "severity": severity,
            "updated_at": finding.updated_at,
        }
        parked = self.store.run(row.run_id).status is RunStatus.WAITING
        lease = self.store.acquire(row.run_id, self.owner, LEASE_TTL_S) if parked else None
        if lease is None:
            self.store.request(row.run_id, "attach", body)
            return
        self.store.append(lease, [Draft(kinds.ATTACHED, body)], RunChange(severity=severity))
        self.store.release(lease)

    # -- people -------------------------------------------------------------------------------

    def approver(self) -> Approver:
        """Return who sits at this terminal."""
        return Approver(os_user(), self.services.cloud.caller().arn)

    def gate(self, row: RunRow, step: str | None) -> dict[str, Any]:
        """Return the open gate of a name, or the only one.

        Raises:
            ApprovalNotOpen: If none or several fit; names those that are open.
        """
        gates = open_gates(self.store.records(row.run_id))
        fitting = [gate for gate in gates if step in (None, gate["path"], step_id_of(gate["path"]))]
        if len(fitting) != 1:
            names = ", ".join(gate["path"] for gate in gates) or "none"
            raise ApprovalNotOpen(
                f"run {row.run_id}: {'no' if not fitting else 'more than one'} open gate"
                f"{f' named {step!r}' if step else ''}; open: {names}",
                hint=f"irrunner show {row.run_id}",
            )
        due = fitting[0].get("due_at")
        if due and parse_iso(due) <= self.services.clock.now():
            raise ApprovalNotOpen(
                f"run {row.run_id}: {fitting[0]['path']} could be decided until {due}",
                hint="irrunner resume --due",
            )
        return fitting[0]

    def check_approver(self, gate: Mapping[str, Any], approver: Approver, *, denies: bool = False) -> None:
        """Check that this person may decide; one person is enough to deny.

        Raises:
            ApproverNotAllowed: If a configured group does not list them, or the gate wants two people
                and no group is configured (local identities cannot prove that they are two).
        """
        groups = self.services.settings.approvers
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
        row = self.store.run(run)
        gate = self.gate(row, step)
        approver = self.approver()
        self.check_approver(gate, approver)
        if plan_sha256 and plan_sha256 != gate["sha256"]:
            raise ApprovalStale(
                f"the plan of {gate['path']} is {gate['sha256'][:12]} now", hint="look at it again"
            )
        kind = "confirm" if gate.get("manual") else "approve"
        body = approve_body(gate["path"], approver.as_dict(), plan_sha256 or str(gate.get("sha256", "")))
        if gate.get("manual"):
            body["done"] = True
        return self.ask(row, kind, body)

    def deny(self, run: str, step: str | None, reason: str) -> dict[str, Any]:
        """Deny a gate."""
        row = self.store.run(run)
        gate = self.gate(row, step)
        approver = self.approver()
        self.check_approver(gate, approver, denies=True)
        kind = "confirm" if gate.get("manual") else "deny"
        body = {
            "path": gate["path"],
            "by": approver.as_dict(),
            "reason": reason,
            "note": reason,
            "done": False,
        }
        return self.ask(row, kind, body)

    def abort(self, run: str, reason: str) -> dict[str, Any]:
        """Abort a run: no new step, in-flight effects settled, then ``finally``; nothing is undone."""
        row = self.store.run(run)
        if row.status.ended:
            raise RunNotResumable(f"run {row.run_id} has ended: {row.status}")
        if row.undoes:
            return Undoing(self).abort(row, self.approver().as_dict(), reason)
        return self.ask(row, "abort", {"by": self.approver().as_dict(), "reason": reason})

    def ask(self, row: RunRow, kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask something of a run; with no live driver, take the run and drive it."""
        self.store.request(row.run_id, kind, body)
        try:
            return self.resume(row.run_id)
        except (RunBusy, RunNotResumable):  # its driver takes the request, or has just ended the run
            return self.document(row.run_id)

    # -- resume and undo ----------------------------------------------------------------------

    def resume(self, run: str) -> dict[str, Any]:
        """Take up a parked or orphaned run, and drive it.

        A run that has ended is shown: there is nothing left to do, and its exit code says how it ended.

        Raises:
            RunBusy: If another process drives it.
        """
        row = self.store.run(run)
        if row.status.ended:
            return self.document(row.run_id)
        if row.undoes:
            return Undoing(self).resume(row)
        engine = self.engine()
        try:
            driver = engine.take(row.run_id)
            engine.drive(driver)
        finally:
            engine.close()
        self.services.deliver()
        return self.document(row.run_id)

    def resume_due(self) -> list[dict[str, Any]]:
        """Take up every run that is due or orphaned, and take off every effect whose time is over.

        Runs go on many at once; those that others took are left out.

        Raises:
            IRRunnerError: The first failure, after every other run went on.
        """
        self.services.deliver()
        due = self.store.due_runs(iso(self.services.clock.now()))
        documents: list[dict[str, Any]] = []
        failures: list[IRRunnerError] = []
        for start in range(0, len(due), DUE_AT_ONCE):
            documents += self._resume_together(due[start : start + DUE_AT_ONCE], failures)
        now = iso(self.services.clock.now())
        for expiry in self.store.expiries():
            if expiry.due_at > now:
                break
            with _kept(failures):
                document = Undoing(self).expire(expiry)
                documents += [document] if document else []
        if failures:
            raise failures[0]
        return documents

    def _resume_together(self, run_ids: list[str], failures: list[IRRunnerError]) -> list[dict[str, Any]]:
        """Drive runs in one engine: one that waits long, or is broken, holds no other up."""
        undone = {run_id for run_id in run_ids if self.store.run(run_id).undoes}
        taken: dict[str, Driver] = {}
        engine = self.engine()
        try:
            for run_id in run_ids:
                if run_id not in undone:
                    with _kept(failures):
                        taken[run_id] = engine.take(run_id)
            with _kept(failures):
                engine.drive(*taken.values())
        finally:
            engine.close()
        documents = [self.document(run_id) for run_id, driver in taken.items() if driver.failure is None]
        for run_id in sorted(undone):
            with _kept(failures):
                documents.append(self.resume(run_id))
        return documents

    def undo(self, run: str, step: str | None, *, release_credentials: bool) -> dict[str, Any]:
        """Undo a run, or one step of it. See :class:`irrunner.engine.undoing.Undoing`."""
        return Undoing(self).start(run, step, release_credentials=release_credentials)
