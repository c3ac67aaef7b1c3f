"""``aws.cloudtrail.describe-trails``: what is recorded in an account, and where it is blind."""

from __future__ import annotations

from typing import Any

from irrunner.actions.cloudtrail.trails import (
    API_REFERENCE,
    DESCRIBE_TRAILS,
    EVENT_SELECTORS,
    TRAIL_STATUS,
    USER_GUIDE,
    Status,
    Trail,
    selectors_of,
    status_of,
    trail_of,
)
from irrunner.actions.contract import Action, Decision, LookContext, Model, Settled, State, Where
from irrunner.actions.registry import action
from irrunner.errors import ActionDenied, TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class DescribeTrailsParams(Model):
    """There are none: all trails that the account and Region see."""


class TrailFacts(Model):
    """A trail, its status and its selectors; None where the account may not read them."""

    trail: Trail
    status: Status | None
    selectors: dict[str, list[Any]] | None
    management_events: bool | None
    """Records both reads and writes of management events."""


class DescribeTrailsOutputs(Model):
    """Outputs."""

    trails: list[TrailFacts]
    stopped_trail_arns: list[str]
    """Trails that do not record."""
    covered: bool
    """A trail of all Regions records management events, and its bucket takes them."""


class DescribeTrailsState(State):
    """What was seen."""

    found: DescribeTrailsOutputs
    unknown: tuple[str, ...] = ()


@action(
    "aws.cloudtrail.describe-trails",
    title="Describe the trails of an account: what records, and where it is blind",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=(DESCRIBE_TRAILS, TRAIL_STATUS, EVENT_SELECTORS),
    undo=UndoPolicy.NEVER,
    undo_note="Reads only: there is nothing to undo.",
    sources=(
        f"{API_REFERENCE}/API_DescribeTrails.html",
        f"{API_REFERENCE}/API_GetEventSelectors.html",
        f"{USER_GUIDE}/cloudtrail-concepts.html",
    ),
)
class DescribeTrails(Action[DescribeTrailsParams, DescribeTrailsState]):
    """Read all trails, those of other Regions and of the organisation too."""

    Params = DescribeTrailsParams
    Outputs = DescribeTrailsOutputs
    StateModel = DescribeTrailsState

    def look(self, ctx: LookContext, params: DescribeTrailsParams) -> DescribeTrailsState:
        """Read trails, status and selectors; what may not be read is told as unknown."""
        answer = ctx.api.call("cloudtrail:DescribeTrails", includeShadowTrails=True)
        unknown: list[str] = []
        trails = [_facts(ctx, trail_of(raw), unknown) for raw in answer.get("trailList") or ()]
        trails.sort(key=lambda facts: facts.trail.arn)
        found = DescribeTrailsOutputs(
            trails=trails,
            stopped_trail_arns=[
                facts.trail.arn for facts in trails if facts.status and not facts.status.logging
            ],
            covered=any(_covers(facts) for facts in trails),
        )
        return DescribeTrailsState(found=found, unknown=tuple(unknown))

    def decide(self, params: DescribeTrailsParams, state: DescribeTrailsState) -> Decision:
        """Nothing is ever to be done."""
        return Settled(state.found, (*state.unknown, *_warnings(state.found)))

    def targets(self, params: DescribeTrailsParams, where: Where) -> tuple[str, ...]:
        """Return nothing: reads only."""
        return ()


def _facts(ctx: LookContext, trail: Trail, unknown: list[str]) -> TrailFacts:
    """Read what is known of a trail. Of an organisation's trail a member account may know little."""
    status, selectors = None, None
    try:
        status = status_of(ctx.api, trail)
        selectors = selectors_of(ctx.api, trail)
    except (ActionDenied, TargetNotFound) as problem:
        unknown.append(f"{trail.arn}: not all could be read: {problem.message}")
    records = None if selectors is None else _records_management_events(selectors)
    return TrailFacts(trail=trail, status=status, selectors=selectors, management_events=records)


def _records_management_events(selectors: dict[str, list[Any]]) -> bool:
    if any(
        item.get("IncludeManagementEvents")
        and item.get("ReadWriteType") == "All"
        and not item.get("ExcludeManagementEventSources")
        for item in selectors.get("EventSelectors", ())
    ):
        return True
    management = {"Field": "eventCategory", "Equals": ["Management"]}
    return any(item["FieldSelectors"] == [management] for item in selectors.get("AdvancedEventSelectors", ()))


def _covers(facts: TrailFacts) -> bool:
    status = facts.status
    recording = status is not None and status.logging and not status.delivery_error
    return recording and facts.trail.multi_region and bool(facts.management_events)


def _warnings(found: DescribeTrailsOutputs) -> list[str]:
    told = [] if found.covered else ["no trail records all management events of all Regions"]
    for facts in found.trails:
        if facts.status is not None and not facts.status.logging:
            told.append(
                f"{facts.trail.name} does not record since {facts.status.stopped_at or 'it was made'}"
            )
        if facts.status is not None and facts.status.delivery_error:
            told.append(f"{facts.trail.name} cannot deliver: {facts.status.delivery_error}")
        if not facts.trail.validation:
            told.append(f"{facts.trail.name} writes no digests: changed log files do not show")
    return told
