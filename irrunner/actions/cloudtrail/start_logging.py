"""``aws.cloudtrail.start-logging``: let a trail record again, and say what it missed."""

from __future__ import annotations

from irrunner.actions.cloudtrail.trails import (
    API_REFERENCE,
    DESCRIBE_TRAILS,
    TRAIL_STATUS,
    TRAILS,
    USER_GUIDE,
    OneTrail,
    Status,
    Trail,
    find_trail,
    not_ours,
    status_of,
)
from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    Refused,
    Settled,
    State,
    Where,
)
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class StartLoggingState(State):
    """The trail and whether it records."""

    account_id: str
    trail: Trail
    status: Status


class StartLoggingOutputs(Model):
    """Outputs."""

    trail_arn: str
    home_region: str
    bucket_name: str
    stopped_at: str
    """When it was stopped last; empty: never."""
    started_at: str
    delivery_error: str
    """Empty: S3 takes the logs."""


@action(
    "aws.cloudtrail.start-logging",
    title="Let a stopped trail record again",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    timeout_s=120.0,
    consistency_s=10.0,
    permissions=(
        DESCRIBE_TRAILS,
        TRAIL_STATUS,
        Permission("cloudtrail:StartLogging", TRAILS, use="act"),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="Stopping a trail is what the attacker did; its owner stops one that was off on purpose.",
    sources=(
        f"{API_REFERENCE}/API_StartLogging.html",
        f"{API_REFERENCE}/API_GetTrailStatus.html",
        f"{USER_GUIDE}/creating-trail-organization.html",
    ),
)
class StartLogging(Action[OneTrail, StartLoggingState]):
    """Start logging in the trail's home Region, and read the status back."""

    Params = OneTrail
    Outputs = StartLoggingOutputs
    StateModel = StartLoggingState

    def look(self, ctx: LookContext, params: OneTrail) -> StartLoggingState:
        """Read the trail and its status."""
        trail = find_trail(ctx, params.trail)
        return StartLoggingState(
            account_id=ctx.where.account_id, trail=trail, status=status_of(ctx.api, trail)
        )

    def decide(self, params: OneTrail, state: StartLoggingState) -> Decision:
        """Start it, unless it records."""
        trail = state.trail
        if state.status.logging:
            return Settled(_outputs(state), _warnings(state))
        if reason := not_ours(trail, state.account_id):
            return Refused(reason)
        return Act(
            (
                Call(
                    "cloudtrail:StartLogging",
                    {"Name": trail.arn},
                    target=trail.arn,
                    summary=f"Let {trail.name} record again, in {trail.home_region}",
                    before={"logging": False},
                    after={"logging": True},
                    reversible=False,
                    region=trail.home_region,
                ),
            )
        )

    def foresee(self, params: OneTrail, state: StartLoggingState, step: str) -> PlannedOutputs:
        """Return the outputs; the instant of the start is a token."""
        if isinstance(self.decide(params, state), Refused):
            return PlannedOutputs({})
        outputs = _outputs(state).model_dump(mode="json")
        if not state.status.logging:
            outputs["started_at"] = f"<from {step}.started_at>"
        return PlannedOutputs(outputs)

    def targets(self, params: OneTrail, where: Where) -> tuple[str, ...]:
        """Return the trail."""
        return (trail_target(params.trail, where),)


def trail_target(trail: str, where: Where) -> str:
    """Return the ARN of a trail that is named or given by its ARN."""
    if trail.startswith("arn:"):
        return trail
    return f"arn:{where.partition}:cloudtrail:{where.region}:{where.account_id}:trail/{trail}"


def _outputs(state: StartLoggingState) -> StartLoggingOutputs:
    trail, status = state.trail, state.status
    return StartLoggingOutputs(
        trail_arn=trail.arn,
        home_region=trail.home_region,
        bucket_name=trail.bucket_name,
        stopped_at=status.stopped_at,
        started_at=status.started_at,
        delivery_error=status.delivery_error,
    )


def _warnings(state: StartLoggingState) -> tuple[str, ...]:
    status, name = state.status, state.trail.name
    told = (
        (
            bool(status.stopped_at) and status.stopped_at < status.started_at,
            (
                f"{name} recorded nothing from {status.stopped_at} to {status.started_at}; CloudTrail's"
                " event history has the management events of 90 days all the same, data events are lost"
            ),
        ),
        (
            bool(status.delivery_error),
            (
                f"{name} records, but its bucket {state.trail.bucket_name} takes nothing:"
                f" {status.delivery_error}; see aws.cloudtrail.restore-trail"
            ),
        ),
    )
    return tuple(text for holds, text in told if holds)
