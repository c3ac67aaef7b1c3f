"""What people and the API ask of irrunner: start, plan, decide, resume, abort, undo.

One :class:`Runner` per process. Commands return documents (plain data); how they look is the business
of the command line and the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from irrunner import __version__
from irrunner.actions.contract import Where
from irrunner.aws.redact import Redactor
from irrunner.clock import IdSource
from irrunner.engine import loaded as kinds
from irrunner.engine.deciding import Deciding, approver_here
from irrunner.engine.due import Due
from irrunner.engine.embedded import EmbeddedEngine, Observer
from irrunner.engine.loaded import RunFacts, started_draft
from irrunner.engine.owner import LEASE_TTL_S, os_user, owner_name
from irrunner.engine.places import Place, where_to_act
from irrunner.engine.planner import PlannedStep, Planner
from irrunner.engine.reading import document
from irrunner.engine.stepping import Services
from irrunner.engine.undoing import Undoing
from irrunner.errors import RunBusy, RunNotResumable
from irrunner.findings.model import Finding
from irrunner.journal.records import Draft, digest
from irrunner.journal.store import Lease, NewRun, RunChange, RunRow, Store
from irrunner.playbook.model import Playbook
from irrunner.vocabulary import RunStatus


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
        """Return the account and Region to act in. See :func:`irrunner.engine.places.where_to_act`."""
        return where_to_act(self.services, self.place, finding, inputs)

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

    def gate(self, row: RunRow, step: str | None) -> dict[str, Any]:
        """Return the open gate of a name, or the only one. See :meth:`Deciding.gate`."""
        return Deciding(self).gate(row, step)

    def approve(self, run: str, step: str | None, *, plan_sha256: str = "") -> dict[str, Any]:
        """Approve a gate, and drive the run where nobody else does. See :meth:`Deciding.approve`."""
        return Deciding(self).approve(run, step, plan_sha256=plan_sha256)

    def deny(self, run: str, step: str | None, reason: str) -> dict[str, Any]:
        """Deny a gate. See :meth:`Deciding.deny`."""
        return Deciding(self).deny(run, step, reason)

    def abort(self, run: str, reason: str) -> dict[str, Any]:
        """Abort a run: no new step, in-flight effects settled, then ``finally``; nothing is undone."""
        row = self.store.run(run)
        if row.status.ended:
            raise RunNotResumable(f"run {row.run_id} has ended: {row.status}")
        if row.undoes:
            return Undoing(self).abort(row, approver_here(self.services.cloud).as_dict(), reason)
        return self.ask(row, "abort", {"by": approver_here(self.services.cloud).as_dict(), "reason": reason})

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
        """Take up what is due. See :class:`irrunner.engine.due.Due`."""
        return Due(self).resume()

    def undo(self, run: str, step: str | None, *, release_credentials: bool) -> dict[str, Any]:
        """Undo a run, or one step of it. See :class:`irrunner.engine.undoing.Undoing`."""
        return Undoing(self).start(run, step, release_credentials=release_credentials)
