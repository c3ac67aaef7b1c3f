"""Every error that a person may meet, as one tree.

Each class has a stable ``code`` (for scripts), an ``exit_code`` (docs: the CLI contract) and
``retryable`` (for the step runner). The message says what happened, where, and what to do; the cause
is chained. Nothing outside :mod:`irrunner.aws.errors` reads botocore's codes.

::

    IRRunnerError
    +- InvalidArgument
    +- PlaybookError
    |  +- PlaybookInvalid(problems)      every problem of the files, each with its place
    |  +- ExpressionFailed               a CEL expression failed while it was evaluated
    |  +- UnknownPlaybook, UnknownAction
    |  +- ActionIncomplete, ActionAlreadyRegistered
    +- FindingError
    |  +- FindingMalformed               not JSON, truncated, too large, too deep
    |  +- FindingIncomplete              a person decides
    +- ActionError
    |  +- ActionDenied, ActionThrottled*, ServiceUnavailable*, TargetNotFound, TargetConflict*,
    |  |  ActionTimedOut, InvalidCall, QuotaExceeded, CredentialsInvalid
    |  +- OutcomeUnknown*                the effect may or may not have happened: look
    |  +- VerificationFailed             the read-back is not as intended
    +- ApprovalError
    |  +- ApprovalNotOpen, ApprovalStale, ApproverNotAllowed
    +- RunError
    |  +- RunNotFound, RunBusy, RunExists, RunNotResumable, LeaseLost, NothingDone, ExpiryUnguarded
    +- JournalError
    |  +- JournalUnavailable, JournalCorrupt
    +- EvidenceError
    |  +- EvidenceIncomplete             what is recorded cannot be handed over whole
    |  +- CustodyBroken                  ledger, bundle or signature is not what was sealed
    |  +- VaultUnavailable               the vault cannot take it; nothing is lost
    +- SettingsError
    +- Interrupted                       a person pressed Ctrl-C; the run stays resumable
    +- Defect                            our own fault, told at the edge of the process
    (* retryable)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_INVALID_INPUT = 2
EXIT_ENVIRONMENT = 3
EXIT_INVARIANT = 4
EXIT_WAITING = 5
EXIT_INTERRUPTED = 130


class IRRunnerError(Exception):
    """Anything that irrunner itself raises."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = EXIT_ENVIRONMENT
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, /, *, hint: str = "", **detail: Any) -> None:
        """Keep the message, what to do about it, and machine-readable detail.

        Args:
            message: What happened and where.
            hint: What to do next, as an imperative sentence; may be empty.
            detail: JSON-able facts for ``--json`` and logs; never credentials.
        """
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        """Return the message, with the hint where there is one."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InvalidArgument(IRRunnerError):
    """An argument of a command or an API call is wrong."""

    code = "invalid-argument"
    exit_code = EXIT_INVALID_INPUT


class PlaybookError(IRRunnerError):
    """A playbook cannot be used."""

    code = "playbook-error"
    exit_code = EXIT_INVALID_INPUT


class PlaybookInvalid(PlaybookError):
    """A playbook has problems; all of them are listed at once."""

    code = "playbook-invalid"

    def __init__(self, problems: Sequence[Any]) -> None:
        """Keep the problems (``irrunner.playbook.problems.Problem``), in the order of the file."""
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class ExpressionFailed(PlaybookError):
    """A CEL expression failed while it was evaluated (for example a missing map key)."""

    code = "expression-failed"


class UnknownPlaybook(PlaybookError):
    """No playbook has this id or path."""

    code = "unknown-playbook"


class UnknownAction(PlaybookError):
    """No action has this id."""

    code = "unknown-action"


class ActionIncomplete(PlaybookError):
    """An action was registered without a part of the contract."""

    code = "action-incomplete"


class ActionAlreadyRegistered(PlaybookError):
    """Two actions claim one id."""

    code = "action-already-registered"


class FindingError(IRRunnerError):
    """An event cannot be used."""

    code = "finding-error"
    exit_code = EXIT_INVALID_INPUT


class FindingMalformed(FindingError):
    """The bytes are no JSON event within the limits."""

    code = "finding-malformed"


class FindingIncomplete(FindingError):
    """The finding lacks or garbles what a response needs; a person decides."""

    code = "finding-incomplete"
    exit_code = EXIT_ENVIRONMENT


class ActionError(IRRunnerError):
    """A step's action failed."""

    code = "action-error"
    exit_code = EXIT_FAILED


class ActionDenied(ActionError):
    """AWS refused: identity, session, boundary, SCP or key policy. Not retried."""

    code = "action-denied"


class ActionThrottled(ActionError):
    """AWS asked us to slow down."""

    code = "action-throttled"
    retryable = True


class ServiceUnavailable(ActionError):
    """A 5xx or a failed connection, before any effect."""

    code = "service-unavailable"
    retryable = True


class TargetNotFound(ActionError):
    """The resource does not exist (any more)."""

    code = "target-not-found"


class TargetConflict(ActionError):
    """The resource is in a state that forbids the call now, or somebody changed it meanwhile."""

    code = "target-conflict"
    retryable = True


class ActionTimedOut(ActionError):
    """The step's deadline passed."""

    code = "action-timed-out"


class InvalidCall(ActionError):
    """AWS or botocore says that the parameters are wrong."""

    code = "invalid-call"


class QuotaExceeded(ActionError):
    """A service quota forbids the call."""

    code = "quota-exceeded"


class CredentialsInvalid(ActionError):
    """No credentials, expired, or a role that cannot be assumed."""

    code = "credentials-invalid"
    exit_code = EXIT_ENVIRONMENT


class OutcomeUnknown(ActionError):
    """The request was sent and its answer lost; only a look can tell."""

    code = "outcome-unknown"
    retryable = True


class VerificationFailed(ActionError):
    """Read back, the resource is not as intended."""

    code = "verification-failed"


class ApprovalError(IRRunnerError):
    """A decision cannot be taken."""

    code = "approval-error"
    exit_code = EXIT_INVALID_INPUT


class ApprovalNotOpen(ApprovalError):
    """No gate of this name waits for a decision."""

    code = "approval-not-open"


class ApprovalStale(ApprovalError):
    """The plan that was shown is not the plan that would run now."""

    code = "approval-stale"


class ApproverNotAllowed(ApprovalError):
    """This person may not decide here."""

    code = "approver-not-allowed"


class RunError(IRRunnerError):
    """A run cannot be found, driven or changed."""

    code = "run-error"


class RunNotFound(RunError):
    """No run has this id."""

    code = "run-not-found"
    exit_code = EXIT_INVALID_INPUT


class RunBusy(RunError):
    """Another process holds the lease of the run."""

    code = "run-busy"


class RunExists(RunError):
    """An open run of this playbook for this incident exists; ``detail["run_id"]`` names it."""

    code = "run-exists"


class RunNotResumable(RunError):
    """The run has ended, or is in a state that forbids the command."""

    code = "run-not-resumable"
    exit_code = EXIT_INVALID_INPUT


class LeaseLost(RunError):
    """Another process took the run over while this one was driving it."""

    code = "lease-lost"


class NothingDone(RunError):
    """Nothing was done, on purpose; the reason says why."""

    code = "nothing-done"


class ExpiryUnguarded(RunError):
    """A step's effect shall be taken off by itself, and nobody is there to do it; nothing was done."""

    code = "expiry-unguarded"


class JournalError(IRRunnerError):
    """The journal cannot be written or trusted; no journal, no action."""

    code = "journal-error"


class JournalUnavailable(JournalError):
    """The store cannot be opened or written (disk full, locked, wrong permissions)."""

    code = "journal-unavailable"


class JournalCorrupt(JournalError):
    """The hash chain does not verify."""

    code = "journal-corrupt"


class EvidenceError(IRRunnerError):
    """Evidence cannot be recorded, sealed or handed over."""

    code = "evidence-error"


class EvidenceIncomplete(EvidenceError):
    """Something that the custody ledger names is not there, or is not what it names."""

    code = "evidence-incomplete"
    exit_code = EXIT_FAILED


class CustodyBroken(EvidenceError):
    """A custody ledger or an exported bundle is not what was sealed; the first broken link is named."""

    code = "custody-broken"
    exit_code = EXIT_INVARIANT


class VaultUnavailable(EvidenceError):
    """The vault cannot take an item (full, denied, or without Object Lock); what is in it stays as it is."""

    code = "vault-unavailable"


class SettingsError(IRRunnerError):
    """The configuration is wrong or lacks something."""

    code = "settings-invalid"


class Interrupted(IRRunnerError):
    """Somebody interrupted the command; ``detail["run_id"]`` names the run that stays resumable."""

    code = "interrupted"
    exit_code = EXIT_INTERRUPTED


class Defect(IRRunnerError):
    """An exception that nobody foresaw: a defect of irrunner."""

    code = "internal-error"
