"""Many calls of one step that stand by themselves: one that fails concerns its target alone.

A step on hundreds of volumes must neither fail for one of them, nor send a change again because an effect
is not visible yet while another one is. So each call is counted, held back and given up by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from irrunner.actions.contract import Call
from irrunner.actions.sending import Sender
from irrunner.errors import ActionError, CredentialsInvalid, OutcomeUnknown, VerificationFailed

Key: TypeAlias = tuple[str, str, str]
"""Scope, operation and target."""

MAX_SENDS: Final = 3
"""How often one call is sent when looks say that it had no effect."""


@dataclass(slots=True)
class Apart:
    """The calls of one attempt that stand by themselves."""

    refused: dict[Key, ActionError] = field(default_factory=dict)
    """What AWS refused for good, and what was sent and never became visible."""
    _sent_at: dict[Key, datetime] = field(default_factory=dict)
    _tries: Counter[Key] = field(default_factory=Counter)

    @property
    def sent(self) -> bool:
        """Whether a call may have had an effect."""
        return bool(self._sent_at)

    def told(self) -> Mapping[Key, str]:
        """Return the refusals in words, for looks."""
        return {key: problem.message for key, problem in self.refused.items()}

    def due(self, calls: Sequence[Call], now: datetime, window_s: float) -> tuple[Call, ...]:
        """Return the calls that may be sent now; those sent too often are given up.

        Args:
            calls: What is still to be done, as a look says.
            now: The time.
            window_s: How long an effect may be invisible.
        """
        window, due = timedelta(seconds=window_s), []
        for call in calls:
            key = (call.scope, call.operation, call.target)
            sent_at = self._sent_at.get(key)
            if key in self.refused or (sent_at is not None and now - sent_at < window):
                continue
            if self._tries[key] >= MAX_SENDS:
                self.refused[key] = VerificationFailed(
                    f"sent {MAX_SENDS} times, and still not as intended: {call.summary}"
                )
                continue
            due.append(call)
        return tuple(due)

    def send(self, calls: Sequence[Call], sender: Sender) -> ActionError | None:
        """Send calls, each with tokens of its own; return the failure that says to come back later.

        Raises:
            CredentialsInvalid: If our own session has ended.
        """
        for call in calls:
            key = (call.scope, call.operation, call.target)
            sent = len(sender.sent)
            try:
                sender.send((call,))
            except OutcomeUnknown:
                pass  # held like a call that went through: only a look can tell
            except CredentialsInvalid:
                raise
            except ActionError as problem:
                if problem.retryable:
                    return problem
                self.refused[key] = problem
                continue
            else:
                if any(entry.error for entry in sender.sent[sent:]):
                    continue  # tolerated: "not now", so there is no effect to wait for
            self._sent_at[key] = sender.clock.now()
            self._tries[key] += 1
        return None
