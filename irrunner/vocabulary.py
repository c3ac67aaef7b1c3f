"""Words that every part shares: phases, risks, outcomes, statuses.

Phases are those of NIST SP 800-61r2; outcomes and statuses are the CLI contract's.
"""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """Phase of incident response (NIST SP 800-61r2, section 3)."""

    DETECTION = "detection"
    ANALYSIS = "analysis"
    CONTAINMENT = "containment"
    ERADICATION = "eradication"
    RECOVERY = "recovery"
    POST_INCIDENT = "post_incident"


class Risk(StrEnum):
    """What an action may do to the workload."""

    NONE = "none"
    DISRUPTIVE = "disruptive"
    DESTRUCTIVE = "destructive"


class Outcome(StrEnum):
    """Outcome of a step."""

    APPLIED = "applied"
    ALREADY_DONE = "already_done"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    FAILED = "failed"
    SKIPPED = "skipped"
    DENIED = "denied"
    WAITING = "waiting"
    RUNNING = "running"

    @property
    def good(self) -> bool:
        """Whether later steps may build on it."""
        return self in (Outcome.APPLIED, Outcome.ALREADY_DONE)


class RunStatus(StrEnum):
    """Status of a run."""

    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    ABORTED = "aborted"
    NO_PLAYBOOK = "no_playbook"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self not in (RunStatus.RUNNING, RunStatus.WAITING)


class DeliveryStatus(StrEnum):
    """How far something is that a tracker of tickets shall hear."""

    NOT_CONFIGURED = "not-configured"
    ABSENT = "absent"
    QUEUED = "queued"
    DELIVERED = "delivered"
    GIVEN_UP = "given-up"


class Settle(StrEnum):
    """How an in-flight effect is settled after a crash."""

    LOOK = "look"
    TOKEN = "token"  # noqa: S105 - an AWS ClientToken, no secret
    AT_MOST_ONCE = "at_most_once"


class UndoPolicy(StrEnum):
    """What `irrunner undo` does with an action's effect."""

    RESTORE = "restore"
    HOLD = "hold"
    RELEASE = "release"  # restored only with --release-credentials
    NEVER = "never"
