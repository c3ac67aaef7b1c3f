"""``evidence.record``: name something as evidence in the run's journal.

Sends nothing: what it returns is in the step's ``step_verified`` record, which the journal's hash chain
seals. So a crash can neither lose nor double it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from irrunner.actions.contract import Action, Decision, LookContext, Model, Settled, State, Where
from irrunner.actions.registry import action
from irrunner.clock import iso
from irrunner.journal.records import canonical, digest
from irrunner.vocabulary import Phase, Risk, UndoPolicy

Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]


class RecordEvidenceParams(Model):
    """Parameters of ``evidence.record``."""

    kind: Kind
    """``disk-snapshot``, ``log-extract``, ``finding`` ..."""
    description: str
    references: list[str] = Field(default_factory=list)
    """Where it is: snapshot ids, ARNs, object versions."""
    sha256: Sha256 = ""
    """Of the thing itself, where it has been computed."""


class RecordEvidenceState(State):
    """When and for which step the item is recorded."""

    marker: str
    recorded_at: str
    drill: bool


class RecordEvidenceOutputs(Model):
    """Outputs of ``evidence.record``: the item."""

    evidence_id: str
    kind: str
    description: str
    references: list[str]
    sha256: str
    recorded_at: str
    drill: bool


@action(
    "evidence.record",
    title="Record an item of evidence in the journal",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    permissions=(),
    undo=UndoPolicy.NEVER,
    undo_note="Evidence is never deleted, and neither is the record of it.",
    timeout_s=30.0,
)
class RecordEvidence(Action[RecordEvidenceParams, RecordEvidenceState]):
    """Return the item, with an id made of the step and of what it says."""

    Params = RecordEvidenceParams
    Outputs = RecordEvidenceOutputs
    StateModel = RecordEvidenceState

    def look(self, ctx: LookContext, params: RecordEvidenceParams) -> RecordEvidenceState:
        """Note the step and its start, both stable over a resume."""
        return RecordEvidenceState(marker=ctx.marker, recorded_at=iso(ctx.started), drill=ctx.drill)

    def decide(self, params: RecordEvidenceParams, state: RecordEvidenceState) -> Decision:
        """Settle at once."""
        said = params.model_dump(mode="json")
        evidence_id = f"ev-{digest(canonical([state.marker, said]))[:32]}"
        return Settled(
            RecordEvidenceOutputs(
                evidence_id=evidence_id, recorded_at=state.recorded_at, drill=state.drill, **said
            )
        )

    def targets(self, params: RecordEvidenceParams, where: Where) -> tuple[str, ...]:
        """Return nothing: no resource changes."""
        return ()
