"""The durable timers of one run: journalled when they start, cleared when nothing waits for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from irrunner.clock import iso, parse_iso
from irrunner.engine import loaded as kinds
from irrunner.journal.records import Draft
from irrunner.journal.store import RunChange, Timer
from irrunner.machine.messages import Event, Purpose, StartTimer, TimerFired

if TYPE_CHECKING:
    from irrunner.engine.driver import Driver

Key: TypeAlias = "tuple[str, Purpose, int]"


def key_of(command: StartTimer) -> Key:
    """Return what names a timer: path, purpose, attempt."""
    return command.path, command.purpose, command.attempt


class Timers:
    """Starts, fires and clears the timers of a driver's run."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._due: dict[Key, datetime] = {}

    def __contains__(self, command: StartTimer) -> bool:
        """Return whether the timer is armed."""
        return key_of(command) in self._due

    def purposes(self) -> set[Purpose]:
        """Return what the armed timers are for."""
        return {purpose for _, purpose, _ in list(self._due)}

    def overdue(self, path: str, purpose: Purpose) -> bool:
        """Return whether a timer of the step is due, fired or not."""
        now = self._driver.services.clock.now()
        armed = list(self._due.items())
        return any(key[:2] == (path, purpose) and due <= now for key, due in armed)

    def take_up(self) -> None:
        """Arm the timers that the store kept, less those that nothing waits for any more."""
        waited_for = {str(key): key for key in self._waited_for()}
        for timer in self._driver.store.timers(self._driver.run.facts.run_id):
            key = waited_for.get(str((timer.path, timer.purpose, timer.attempt)))
            if key is not None:
                self._arm(key, parse_iso(timer.due_at))

    def start(self, commands: Sequence[StartTimer]) -> None:
        """Journal and store new timers in one commit, then arm them; less those already needless."""
        waited_for = self._waited_for()
        commands = [command for command in commands if key_of(command) in waited_for]
        if not commands:
            return
        now = self._driver.services.clock.now()
        due = {key_of(command): now + timedelta(seconds=self._delay_s(command)) for command in commands}
        run_id = self._driver.run.facts.run_id
        rows = [Timer(run_id, *key, iso(at)) for key, at in due.items()]
        drafts = [
            Draft(
                kinds.TIMER, {"purpose": row.purpose, "attempt": row.attempt, "due_at": row.due_at}, row.path
            )
            for row in rows
        ]
        self._driver.commit([], drafts, RunChange(timers_set=rows))
        for key, at in due.items():
            self._arm(key, at)

    def _delay_s(self, command: StartTimer) -> float:
        return command.delay_s * (0.5 + self._driver.ids.jitter() / 2) if command.jitter else command.delay_s

    def _arm(self, key: Key, due: datetime) -> None:
        self._due[key] = due
        driver = self._driver
        driver.engine.timer(driver, due, lambda: driver.soon(lambda: self._fire(key)))

    def _fire(self, key: Key) -> None:
        if self._due.pop(key, None) is not None and self._driver.finished is None:
            path, purpose, _ = key
            last = self._driver.polling.last(path) if purpose == "until" else None
            events: list[Event] = [TimerFired(*key)] if last is None else [last, TimerFired(*key)]
            self._driver.commit(events, (), RunChange(timers_cleared=[key]))

    def _waited_for(self) -> set[Key]:
        outstanding = self._driver.run.execution.outstanding()
        return {key_of(command) for command in outstanding if isinstance(command, StartTimer)}

    def stale(self) -> list[Key]:
        """Forget, and return, timers that nothing waits for: a gate was decided, a condition came true."""
        if not self._due:
            return []
        waited_for = self._waited_for()
        gone = [key for key in self._due if key not in waited_for]
        for key in gone:
            del self._due[key]
        return gone

    def clear(self) -> None:
        """Forget all: the run has ended."""
        self._due.clear()
