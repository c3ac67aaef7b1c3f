"""The action contract: look, record, act, read back, undo.

An action is a *reconciler*. It never sends a mutating call itself: it describes the world
(:meth:`Action.look`, reads only), and decides, as a pure function of what it saw, what is still to be
done (:meth:`Action.decide`). The runtime sends the calls and looks again until the decision is
:class:`Settled`. From that one shape follow, by construction,

- *plan*: show the calls, send none;
- *read-back*: a step has succeeded only when a fresh look decides :class:`Settled`;
- *resume*: after a crash, look again and go on with what is missing;
- *idempotence*: a second run looks, and finds nothing to do;
- *undo* with drift check: the state's *footprint* (resource to value) before, after and now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

from irrunner.errors import ActionIncomplete
from irrunner.vocabulary import Phase, Risk, Settle, UndoPolicy

Scope: TypeAlias = Literal["target", "forensics", "management", "local"]
"""Where a call goes: the incident's account, the forensic account, the organisation's management account,
or a local port (notify, evidence)."""


class Model(BaseModel):
    """Base of an action's parameters, state and outputs: frozen, strict about unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_timedelta="float")


class State(Model):
    """What a look saw: JSON-able, journalled as the prior state."""

    def footprint(self) -> dict[str, Any]:
        """Return resource id to the value that this action changes there, for the drift check.

        A resource that is gone is absent. Read-only actions have none.
        """
        return {}


class NoOutputs(Model):
    """An action without outputs."""


@dataclass(frozen=True, slots=True)
class Permission:
    """An IAM permission that a look, an act or an undo needs.

    Args:
        action: IAM action, ``ec2:DescribeInstances``.
        resource: ARN pattern with ``{partition} {region} {account}`` and parameter names in braces,
            such as ``arn:{partition}:ec2:{region}:{account}:instance/{instance_id}``.
        scope: In which account.
        use: ``look`` (reads), ``act`` or ``undo``.
        conditions: IAM condition block, if any.
    """

    action: str
    resource: str = "*"
    scope: Scope = "target"
    use: Literal["look", "act", "undo"] = "look"
    conditions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Token:
    """A value that does not exist yet; ``repr`` is what a plan shows: ``<quarantine-group>``."""

    name: str

    def __str__(self) -> str:
        """Return ``<name>``."""
        return f"<{self.name}>"


@dataclass(frozen=True, slots=True)
class Read:
    """A read made just before a call, to fill tokens (``bind``: token name to JMESPath of the answer)."""

    operation: str
    params: Mapping[str, Any]
    bind: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """One mutating call, planned.

    Args:
        operation: ``ec2:CreateTags``; the service is botocore's name with IAM spelling of the operation.
        params: Parameters; leaves may be :class:`Token`.
        target: The resource that changes (id or ARN), or a token's text: ``<quarantine-group>``.
        summary: One line for people, in the imperative.
        before: Value now, JSON-able, for the plan.
        after: Value that the call sets, for the plan.
        reversible: Whether undo can put ``before`` back.
        scope: In which account.
        yields: Token name to JMESPath of the answer.
        reads: Reads just before the call, which fill its tokens.
        skip_if_empty: A token that, when it resolves to an empty list, makes the call needless.
        tolerate: AWS error codes that mean "already so" (``InvalidPermission.Duplicate``).
        optional: Its failure is reported but does not fail the step (tags).
        unprocessed: JMESPath of an answer to the codes of what AWS did not do though it answered 200
            (``UnprocessedFindings[].ErrorCode``); any of them is a failure of the call.
        fallbacks: Ways to leave nothing open where the call fails for good: the first of them whose calls
            all go through is enough. They are no part of a plan, and the failure stays a failure.
        apart: One of many, with no token in common: its failure concerns its target alone. It does not fail
            the step, and later looks are told of it (``LookContext.refused``).
    """

    operation: str
    params: Mapping[str, Any]
    target: str
    summary: str
    before: Any = None
    after: Any = None
    reversible: bool = True
    scope: Scope = "target"
    region: str | None = None
    """Region other than the incident's, if any."""
    yields: Mapping[str, str] = field(default_factory=dict)
    reads: tuple[Read, ...] = ()
    skip_if_empty: str | None = None
    tolerate: tuple[str, ...] = ()
    optional: bool = False
    unprocessed: str = ""
    fallbacks: tuple[tuple[Call, ...], ...] = ()
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """Nothing (more) to do: the world is as intended."""

    outputs: Model
    warnings: tuple[str, ...] = ()
    """What the effect cannot do, for people: flows that a group cannot cut ..."""
    verified: bool = True
    """Whether a look saw it; a message that was sent, or was not, cannot be looked up."""


@dataclass(frozen=True, slots=True)
class Act:
    """These calls are to be sent now, in order; then look again."""

    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """AWS is still working; look again after ``poll_s`` seconds (no thread is held)."""

    reason: str
    poll_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Refused:
    """The action must not be done here; the reason says why and what to do instead."""

    reason: str
    nothing_to_do: bool = False
    """True where refusing is harmless (the target does not have what would be changed)."""
    code: str = "refused"
    """``forensics-not-configured`` where a setting is missing: the report names it, the exit code is 3."""
    outputs: Model | None = None
    """What later steps see of a step that was passed over (``captured: false``); its reason is a warning."""


@dataclass(frozen=True, slots=True)
class Broken:
    """AWS says that it will never be as intended (a snapshot in ``error``, with its StateMessage)."""

    reason: str
    code: str = "verification-failed"
    refused: bool = False
    """What AWS refused is why: the step fails with AWS's own error where this attempt met one."""


Decision: TypeAlias = "Settled | Act | Waiting | Refused | Broken"


class ReadApi(Protocol):
    """The read-only half of the AWS seam; a mutating operation raises ``InvalidCall``."""

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Call one read-only operation (``ec2:DescribeInstances``) and return the parsed answer."""

    def pages(self, operation: str, path: str, /, **params: Any) -> list[Any]:
        """Call a paginated read and return the concatenated list at JMESPath ``path``."""

    def in_region(self, region: str) -> ReadApi:
        """Return the same account in another Region."""


class LocalReads(Protocol):
    """What a look may ask of the local port: how far a delivery is."""

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Call one read-only operation (``ticket:GetDelivery``)."""


@dataclass(frozen=True, slots=True)
class Where:
    """Account and Region of the incident and of the evidence."""

    partition: str
    account_id: str
    region: str
    forensic_account_id: str | None
    forensic_region: str | None
    forensic_kms_key: str | None
    transfer_kms_key: str | None = None
    evidence_bucket: str | None = None
    """Bucket of the forensic account that takes files of evidence; None without a forensic account."""


@dataclass(frozen=True, slots=True)
class LookContext:
    """What a look may use: reads, the place, and facts of things that a plan has not made yet."""

    api: ReadApi
    """The incident's account; refuses everything where the action declares no permission there."""
    forensics: ReadApi | None
    """None where the action needs none, or none is known (see ``where``). A role that cannot be assumed fails
    the step, with AWS's reason."""
    where: Where
    now: datetime
    """The step's start (first look) or the instant of this look; aware UTC."""
    started: datetime
    """When the step's first intent was journalled; stable over resume (cut-off instants use it)."""
    run_id: str
    marker: str
    """``<run>/<step>[<item>]``: written with effects as tag ``irrunner:run``, so that a look finds them."""
    drill: bool
    settings: Any
    """``irrunner.settings.Settings``."""
    planned: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """While planning: token text to facts about the thing that does not exist yet."""
    management: ReadApi | None = None
    """As ``forensics``: the organisation's management account."""
    refused: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    """Scope, operation and target of calls ``apart`` that AWS refused for good in this attempt, and why."""
    steps: Mapping[str, Any] = field(default_factory=dict)
    """Outputs of verified steps of this run by step id (plain data); for actions that report."""
    local: LocalReads | None = None
    """Reads of the local port; None for actions of AWS."""
    home_arn: str = ""
    """Whose credentials irrunner assumes its roles with; empty for local actions."""


P = TypeVar("P", bound=Model)
S = TypeVar("S", bound=State)


class Action(Generic[P, S]):
    """Base of all actions. Subclasses are registered by :func:`irrunner.actions.registry.action`.

    ``plan``, ``act``, ``verify`` and ``undo`` are the runtime's (:mod:`irrunner.actions.runtime`);
    a subclass gives ``look`` and pure decisions.
    """

    # Filled by the decorator.
    id: ClassVar[str]
    title: ClassVar[str]
    phase: ClassVar[Phase]
    risk: ClassVar[Risk]
    permissions: ClassVar[tuple[Permission, ...]]
    timeout_s: ClassVar[float]
    settle: ClassVar[Settle]
    undo: ClassVar[UndoPolicy]
    undo_note: ClassVar[str]
    """How undo works, or why there is none (at least 20 characters)."""
    contract: ClassVar[int]
    """Version of parameters, state and outputs; in record 0 of a run."""
    consistency_s: ClassVar[float]
    """How long an effect may stay invisible to looks (IAM: eventual consistency)."""
    may_expire: ClassVar[bool]
    """Whether a step may let its effect be taken off by itself (``expires_after``), by its undo."""
    evidence: ClassVar[bool]
    """Whether it preserves evidence: a run in which it is not verified is ``partial``."""
    sources: ClassVar[tuple[str, ...]]
    """AWS pages that the behaviour rests on."""

    # Declared by the subclass.
    Params: type[P]
    Outputs: type[Model] = NoOutputs
    StateModel: type[S]

    def look(self, ctx: LookContext, params: P) -> S:
        """Describe the world as far as this action is concerned. Reads only."""
        raise ActionIncomplete(type(self).__qualname__)

    def decide(self, params: P, state: S) -> Decision:
        """Decide what is still to be done. Pure: no I/O, no clock."""
        raise ActionIncomplete(type(self).__qualname__)

    def forecast(self, params: P, state: S) -> tuple[Call, ...]:
        """Return every call from here to the end, for the plan.

        The default is right for actions that need one round; those that wait for AWS between calls
        override it.
        """
        decision = self.decide(params, state)
        return decision.calls if isinstance(decision, Act) else ()

    def foresee(self, params: P, state: S, step: str) -> PlannedOutputs:
        """Return the outputs a plan can already state; values that do not exist yet are tokens.

        Args:
            params: Parameters.
            state: The look of the plan.
            step: The step's id, for token names: ``<from snapshot.snapshot_ids[0]>``.
        """
        decision = self.decide(params, state)
        if isinstance(decision, Settled):
            return PlannedOutputs(decision.outputs.model_dump(mode="json"))
        return PlannedOutputs({})

    def settled_after_send(self, params: P, state: S, answers: tuple[Mapping[str, Any], ...]) -> Settled:
        """Return the end of an action whose effect no look can see (``Settle.AT_MOST_ONCE``).

        The runtime calls it instead of looking again, once its calls were sent without an error.

        Args:
            params: Parameters.
            state: The look that decided to act.
            answers: The answers of the calls, in the order of sending.
        """
        raise ActionIncomplete(type(self).__qualname__)

    def targets(self, params: P, where: Where) -> tuple[str, ...]:
        """Return the ARNs (or ids) that the action changes: for locks, limits and protected resources."""
        raise ActionIncomplete(type(self).__qualname__)

    def undo_calls(self, params: P, before: S, after: S, now: S, keys: frozenset[str]) -> tuple[Call, ...]:
        """Return the calls that put the footprint entries ``keys`` back to ``before``.

        Only entries that still equal ``after`` are in ``keys``; the drift check is the runtime's.
        """
        raise ActionIncomplete(type(self).__qualname__)

    def on_the_way(self, key: str, was: Any, made: Any, found: Any) -> bool:
        """Return whether a value is one that our own undo passes through: it goes on, and calls it no drift.

        Args:
            key: Footprint entry, for whose restoring undo sends several calls.
            was: Value before the action.
            made: Value that the action has set.
            found: Value now, which is neither.
        """
        del key, was, made, found
        return False

    def hold_until(self, params: P, before: S, after: S) -> datetime | None:
        """Return until when undo must hold (``UndoPolicy.HOLD``), else None."""
        del params, before, after
        return None


@dataclass(frozen=True, slots=True)
class PlannedOutputs:
    """Outputs as far as a plan knows them, and facts about tokens in them."""

    outputs: Mapping[str, Any]
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


AnyAction: TypeAlias = Action[Any, Any]
