"""Start and resume the undo of a run: a run of its own, under a lease of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from irrunner.engine import loaded as kinds
from irrunner.engine.expiry import kept_until
from irrunner.engine.loaded import LoadedRun, RunFacts, facts_of, load_run, started_draft
from irrunner.engine.owner import LEASE_TTL_S, take_lease
from irrunner.engine.scopes import step_id_of
from irrunner.engine.undo import UndoDriver, UndoItem, outcomes_of, undo_items
from irrunner.errors import InvalidArgument, RunBusy, RunNotResumable
from irrunner.journal.integrity import intact_records, intact_row
from irrunner.journal.records import Draft
from irrunner.journal.store import EXPIRY, Lease, NewRun, RunChange, RunRow, Timer
from irrunner.playbook.problems import did_you_mean
from irrunner.vocabulary import RunStatus

if TYPE_CHECKING:
    from irrunner.engine.service import Runner


class Undoing:
    """Undoes runs for one :class:`~irrunner.engine.service.Runner`."""

    def __init__(self, runner: Runner) -> None:
        """Work for this runner."""
        self._runner = runner
        self._store = runner.store
        self._services = runner.services

    def start(self, run: str, step: str | None, *, release_credentials: bool) -> dict[str, Any]:
        """Undo a run, or one step of it.

        Args:
            run: Run id, or a unique beginning of it.
            step: Only this step (path or id); None: all.
            release_credentials: Whether keys and users come back, too.

        Raises:
            RunNotResumable: If the run can still act, or is itself an undo.
        """
        row = self._ended(intact_row(self._store, run))
        self._require_step(row, step)
        if step is None:
            self._keep_on_no_longer(row)
        loaded = load_run(self._store.records(row.run_id), self._services.compiler)
        asked = {"run_id": row.run_id, "step": step, "release_credentials": release_credentials}
        return self._drive(self._create(row, loaded, asked), asked, {})

    def _keep_on_no_longer(self, row: RunRow) -> None:
        """Forget the expiries by which a run that is undone keeps what other runs have put on."""
        own = {item.path for item in undo_items(self._store.records(row.run_id), self._services.registry)}
        for timer in self._store.timers(row.run_id):
            if timer.purpose == EXPIRY and timer.path not in own:
                self._store.move_expiry(timer, None)

    def expire(self, expiry: Timer) -> dict[str, Any] | None:
        """Take off an effect whose time is over, by an undo of its step; None while its run still acts.

        Args:
            expiry: The due item; it is removed in the commit that makes the undo.

        Raises:
            RunBusy: If another process took it up meanwhile.
        """
        row = intact_row(self._store, expiry.run_id)
        if row.status is RunStatus.RUNNING and row.owner is not None:
            return None
        until = self._kept_until(expiry)
        if until is not None:
            self._store.move_expiry(expiry, until or None)
            return None
        asked = {
            "run_id": row.run_id, "step": expiry.path, "release_credentials": False,
            "expired_at": expiry.due_at,
        }  # fmt: skip
        loaded = load_run(self._store.records(row.run_id), self._services.compiler)
        return self._drive(self._create(row, loaded, asked, takes=expiry), asked, {})

    def _kept_until(self, expiry: Timer) -> str | None:
        """Return until when a later run wants the effect; empty: it is not this run's; None: now it goes."""
        records = intact_records(self._store, expiry.run_id)
        items = undo_items(records, self._services.registry)
        item = next((item for item in items if item.path == expiry.path), None)
        if item is None:
            return ""
        return kept_until(self._store, expiry.due_at, item.changed())

    def resume(self, row: RunRow) -> dict[str, Any]:
        """Go on with an undo that was interrupted or that held something.

        Raises:
            RunBusy: If another process drives it.
        """
        lease = self._lease(row)
        records = self._store.records(row.run_id)
        return self._drive(lease, records[0].body["undo"], outcomes_of(records))

    def abort(self, row: RunRow, by: Mapping[str, Any], reason: str) -> dict[str, Any]:
        """End an undo that was interrupted or that holds something; nothing more comes back.

        Raises:
            RunBusy: If another process drives it.
        """
        lease = self._lease(row)
        drafts = [
            Draft("abort_requested", {"by": dict(by), "reason": reason}),
            Draft(kinds.FINISHED, {"status": RunStatus.ABORTED}),
        ]
        self._store.append(lease, drafts, RunChange(status=RunStatus.ABORTED, ended=True))
        return self._runner.document(row.run_id)

    def _lease(self, row: RunRow) -> Lease:
        lease = take_lease(self._store, row.run_id, self._runner.owner)
        if lease is None:
            raise RunBusy(
                f"run {row.run_id} is driven by another process", hint=f"irrunner watch {row.run_id}"
            )
        return lease

    def _require_step(self, row: RunRow, step: str | None) -> None:
        """Raise InvalidArgument for a step that changed nothing: a typo must not read as undone."""
        if step is None:
            return
        items = undo_items(self._store.records(row.run_id), self._services.registry)
        paths = [item.path for item in items]
        if not _chosen(items, step):
            raise InvalidArgument(
                f"run {row.run_id}: no step {step!r} changed anything{did_you_mean(step, paths)}",
                hint=f"steps that can be undone: {', '.join(paths) or 'none'}",
            )

    def _ended(self, row: RunRow) -> RunRow:
        """Return the run, ended; one that merely waits for people is aborted first."""
        if row.undoes:
            raise RunNotResumable(f"run {row.run_id} is itself an undo", hint=f"irrunner undo {row.undoes}")
        if row.status is RunStatus.WAITING:
            self._runner.abort(row.run_id, "undone: its open questions are closed")
            row = self._store.run(row.run_id)
        if not row.status.ended:
            raise RunNotResumable(
                f"run {row.run_id} is {row.status}: undo is refused while it can still act",
                hint=f"irrunner abort {row.run_id} --reason ...",
            )
        return row

    def _create(
        self, row: RunRow, loaded: LoadedRun, asked: Mapping[str, Any], takes: Timer | None = None
    ) -> Lease:
        now = self._services.clock.now()
        facts = RunFacts(
            self._runner.ids.run_id(), loaded.facts.where, loaded.facts.drill, loaded.facts.inputs, None,
            now, now + timedelta(days=1),
        )  # fmt: skip
        caller = self._services.cloud.caller()
        extra = {
            "undo": dict(asked),
            "caller": {"arn": caller.arn, "account_id": caller.account_id, "simulated": caller.simulated},
        }
        playbook = loaded.playbook
        new = NewRun(
            run_id=facts.run_id, incident_id=row.incident_id, incident_key="", event_key="",
            playbook_id=playbook.id, playbook_version=playbook.version, playbook_sha256=playbook.sha256,
            title=f"expiry of {takes.path} of {row.run_id}" if takes else f"undo of {row.run_id}",
            account_id=row.account_id, region=row.region,
            severity=row.severity, drill=row.drill, undoes=row.run_id,
        )  # fmt: skip
        draft = started_draft(playbook, facts, self._services.registry, extra)
        return self._store.create_run(new, [draft], self._runner.owner, LEASE_TTL_S, takes=takes)

    def _drive(
        self, lease: Lease, asked: Mapping[str, Any], done: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        undone = intact_records(self._store, asked["run_id"])
        items = undo_items(undone, self._services.registry)
        if "expired_at" in asked:
            items = [item for item in items if item.path == asked["step"]]
        else:
            items = _chosen(items, asked["step"])
        run_id, observer = lease.run_id, self._runner.observer
        driver = UndoDriver(
            services=self._services, store=self._store, lease=lease, items=items, undone=facts_of(undone[0]),
            facts=facts_of(self._store.records(run_id)[0]), release_credentials=asked["release_credentials"],
            observer=lambda kind, path, body: observer(run_id, kind, path, body) if observer else None,
            done=done, expired_at=asked.get("expired_at", ""),
        )  # fmt: skip
        given_back = not driver.expiring  # nobody watches an expiry: its lease runs out, and it is due again
        try:
            driver.drive()
            given_back = True
        finally:
            if given_back:
                self._store.release(lease)
        return self._runner.document(run_id)


def _chosen(items: Sequence[UndoItem], step: str | None) -> list[UndoItem]:
    """Return the items of a step, by its path or id; all where none is named."""
    return [item for item in items if step in (None, item.path, step_id_of(item.path))]
