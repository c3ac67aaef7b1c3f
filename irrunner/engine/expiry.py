"""Effects that expire: which steps have one, when it is taken off again, and what became of that.

A step with ``expires_after`` leaves a due item in the store, in the commit of its outcome; the run ends as
usual. ``irrunner resume --due`` makes of a due item an undo run of that one step, in one commit, so that it
is taken off once, however many processes look, and an interrupted one is taken up like any undo run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from irrunner.clock import iso
from irrunner.engine.scopes import step_id_of
from irrunner.errors import ExpiryUnguarded
from irrunner.journal.records import Draft, Record
from irrunner.journal.store import EXPIRY, RunChange, RunRow, Store, Timer
from irrunner.playbook.model import Uses
from irrunner.playbook.scalars import duration_text
from irrunner.vocabulary import Outcome, RunStatus

if TYPE_CHECKING:
    from irrunner.playbook.model import Playbook

SET: Final = "expiry_set"
TELLING: Final = "expiry_telling"
TOLD: Final = "expiry_told"
UNDO_OUTCOME: Final = "undo_outcome"
FOR_GOOD: Final = "9999-12-31T23:59:59.999Z"
"""When an effect is due that a later run wants without end."""
RETRY_S: Final = 300.0
"""How long after a failure that may pass an effect is taken off anew."""


def require_guard(*playbooks: Playbook | None) -> None:
    """Do nothing if no step of the playbooks, or of those that they run, has an effect that expires.

    Raises:
        ExpiryUnguarded: If one has: no server is there that takes it off.
    """
    expiring = [
        f"{step.id} (after {duration_text(step.kind.expires_after_s)})"
        for playbook in playbooks
        if playbook is not None
        for each in playbook.closure().values()
        for step in each.walk()
        if isinstance(step.kind, Uses) and step.kind.expires_after_s
    ]
    if expiring:
        raise ExpiryUnguarded(
            f"{', '.join(dict.fromkeys(expiring))} shall come off by itself, and there is no server to do it",
            hint="give --no-expiry-guard, and let `irrunner resume --due` run by a timer (cron, systemd)",
        )


def set_expiry(
    run_id: str, path: str, after_s: float, now: datetime, footprint: Mapping[str, Any]
) -> tuple[Draft, RunChange]:
    """Return what an effect's outcome is committed with, so that it is taken off later.

    Args:
        run_id: The run.
        path: Its step.
        after_s: How long the effect shall last, seconds.
        now: When it was there.
        footprint: What was seen then: an earlier run's expiry of the same waits for this one.
    """
    due_at = iso(now + timedelta(seconds=after_s))
    draft = Draft(SET, {"due_at": due_at, "after_s": after_s, "footprint": dict(footprint)}, path)
    return draft, RunChange(timers_set=[Timer(run_id, path, EXPIRY, 0, due_at)])


def expiries_of(store: Store, row: RunRow, records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return the effects of a run that expire, and what became of them.

    Returns:
        Of each step ``{"id", "due_at", "state", "run_id", "reason"}``; state is ``pending``, ``kept`` (a
        later run wants it without end), ``running`` (its undo is under way), ``taken_off`` or ``left_on``
        (changed by somebody, or it failed).
    """
    due = {record.path: str(record.body["due_at"]) for record in records if record.kind == SET}
    if not due:
        return []
    pending = {timer.path: timer.due_at for timer in store.timers(row.run_id) if timer.purpose == EXPIRY}
    undos = [_Undo.of(store, undo) for undo in store.undos_of(row.run_id)]
    return [
        {"id": path, "due_at": pending.get(path, due_at)}
        | (
            _awaited(pending[path])
            if path in pending
            else _ended(path, [u for u in undos if u.concerns(path)])
        )
        for path, due_at in due.items()
    ]


def _awaited(due_at: str) -> dict[str, Any]:
    """Return the state of an effect that nobody has begun to take off."""
    if due_at == FOR_GOOD:
        return {"state": "kept", "run_id": None, "reason": "a later run wants it without end"}
    return {"state": "pending", "run_id": None, "reason": ""}


@dataclass(frozen=True, slots=True)
class _Undo:
    """An undo of a run: of which step, and what became of each."""

    row: RunRow
    step: str | None
    outcomes: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, store: Store, row: RunRow) -> Self:
        records = store.records(row.run_id)
        outcomes = {each.path: each.body for each in records if each.kind == UNDO_OUTCOME}
        return cls(row, records[0].body["undo"]["step"], outcomes)

    def concerns(self, path: str) -> bool:
        return self.step in (None, path, step_id_of(path))


def _ended(path: str, undos: Sequence[_Undo]) -> dict[str, Any]:
    """Return what the newest undo of a step has come to."""
    for undo in undos:
        outcome = undo.outcomes.get(path)
        if outcome is not None and Outcome(outcome["outcome"]).good:
            return {"state": "taken_off", "run_id": undo.row.run_id, "reason": ""}
    for undo in undos:
        if not undo.row.status.ended:
            return {"state": "running", "run_id": undo.row.run_id, "reason": ""}
        if path in undo.outcomes:
            reason = undo.outcomes[path]["reason"]
            return {"state": "left_on", "run_id": undo.row.run_id, "reason": reason}
        if undo.row.status is RunStatus.ABORTED:
            return {"state": "left_on", "run_id": undo.row.run_id, "reason": "its undo was aborted"}
    return {
        "state": "taken_off",
        "run_id": None,
        "reason": "by the run that had put it there, or nothing was left",
    }


def kept_until(store: Store, due_at: str, made: Mapping[str, Any]) -> str | None:
    """Return until when a later run wants an effect that it found there, or None.

    Args:
        store: The store.
        due_at: When the effect's own time is over.
        made: Its footprint: what the step that is to be undone has set.
    """
    later = [timer for timer in store.expiries() if timer.due_at > due_at]
    wanting = [timer.due_at for timer in later if _wants(store.records(timer.run_id), timer.path, made)]
    return max(wanting, default=None)


def keep_for_good(store: Store, run_id: str, seen: Mapping[str, Any]) -> list[str]:
    """Let no expiry of other runs take off what a step without one relies on; return what was kept, in words.

    It comes before the step's outcome is committed: whoever dies in between has kept too much, never too
    little.

    Args:
        store: The store.
        run_id: The step's run.
        seen: Footprint of the step, as it was verified.
    """
    others = [timer for timer in store.expiries() if timer.run_id != run_id and timer.due_at != FOR_GOOD]
    kept = [timer for timer in others if _wants(store.records(timer.run_id), timer.path, seen)]
    for timer in kept:
        store.move_expiry(timer, FOR_GOOD)
    return [
        f"run {timer.run_id} (step {timer.path}) would have taken it off at {timer.due_at}: it stays now, "
        f"until `irrunner undo {timer.run_id}`"
        for timer in kept
    ]


def _wants(records: Sequence[Record], path: str, made: Mapping[str, Any]) -> bool:
    """Return whether a step saw the same values at the same resources when it was verified."""
    seen = [r.body["footprint"] for r in records if r.kind == SET and r.path == path]
    return bool(seen) and any(key in made and made[key] == value for key, value in seen[-1].items())


def message_of(run_id: str, outcomes: Mapping[str, Mapping[str, Any]], *, drill: bool) -> tuple[str, str]:
    """Return title and body of what people are told of an expiry.

    Args:
        run_id: The run whose effect it was.
        outcomes: Outcomes of its undo, by path.
        drill: Whether it is a drill.
    """
    left = [path for path, body in outcomes.items() if not Outcome(body["outcome"]).good]
    paths = ", ".join(left or outcomes) or "nothing"
    what = f"expired, and NOT taken off: {paths}" if left else f"expired, and taken off: {paths}"
    lines = [
        f"{path}: {body['action']}: {body['outcome']} {body['reason']}" for path, body in outcomes.items()
    ]
    command = f"irrunner undo {run_id}" if left else f"irrunner show {run_id}"
    return f"{'[DRILL] ' if drill else ''}{what}", "\n".join([*lines, command])
