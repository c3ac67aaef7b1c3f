"""``aws.lambda.throttle-function``: no new invocations, by a reserved concurrency of zero."""

from __future__ import annotations

from typing import Any, Final

from irrunner.actions.awslambda.functions import (
    API_REFERENCE,
    EDGE_REGION,
    QUALIFIED,
    USER_GUIDE,
    OneFunction,
    between,
    configuration,
    function_arn,
    on_function,
    role_name_of,
    unqualified,
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

_IN_FLIGHT: Final = (
    "invocations in flight go on until they end (15 minutes at most), and asynchronous events are kept and "
    "tried again for up to 6 hours: revoke the role's sessions, too"
)


class ThrottleState(State):
    """What throttling sees."""

    function_name: str
    function_arn: str
    role_name: str
    reserved: int | None
    """None: nothing is reserved; the function shares the account's concurrency."""
    provisioned: dict[str, int]
    """Version or alias to the requested provisioned concurrency."""
    master_arn: str = ""
    """Of the function of which this is a replica at an edge."""

    def footprint(self) -> dict[str, Any]:
        """Return reserved and provisioned concurrency."""
        return {
            f"{self.function_arn}/reserved": self.reserved,
            f"{self.function_arn}/provisioned": dict(sorted(self.provisioned.items())),
        }


class ThrottleOutputs(Model):
    """Outputs."""

    function_name: str
    function_arn: str
    role_name: str
    """Of the execution role: revoke its sessions next."""
    reserved_concurrency: int


@action(
    "aws.lambda.throttle-function",
    title="Let a function take no new invocations",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=120.0,
    consistency_s=5.0,
    permissions=(
        *on_function(
            "look",
            "lambda:GetFunctionConfiguration",
            "lambda:GetFunctionConcurrency",
            "lambda:ListProvisionedConcurrencyConfigs",
        ),
        *on_function("act", "lambda:PutFunctionConcurrency"),
        Permission("lambda:DeleteProvisionedConcurrencyConfig", QUALIFIED, use="act"),
        *on_function("undo", "lambda:PutFunctionConcurrency", "lambda:DeleteFunctionConcurrency"),
        Permission("lambda:PutProvisionedConcurrencyConfig", QUALIFIED, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Puts the prior reserved concurrency back, or takes the reservation away where there was none; "
    "then requests the prior provisioned concurrency again.",
    sources=(
        f"{API_REFERENCE}/API_PutFunctionConcurrency.html",
        f"{API_REFERENCE}/API_DeleteProvisionedConcurrencyConfig.html",
        f"{USER_GUIDE}/configuration-concurrency.html",
        f"{USER_GUIDE}/provisioned-concurrency.html",
    ),
)
class ThrottleFunction(Action[OneFunction, ThrottleState]):
    """Reserve zero executions. AWS takes no reservation below what is provisioned, so that goes first."""

    Params = OneFunction
    Outputs = ThrottleOutputs
    StateModel = ThrottleState

    def look(self, ctx: LookContext, params: OneFunction) -> ThrottleState:
        """Read reserved and provisioned concurrency."""
        name = params.function_name
        found = configuration(ctx.api, name)
        reserved = ctx.api.call("lambda:GetFunctionConcurrency", FunctionName=name)
        provisioned = ctx.api.pages(
            "lambda:ListProvisionedConcurrencyConfigs", "ProvisionedConcurrencyConfigs", FunctionName=name
        )
        return ThrottleState(
            function_name=name,
            function_arn=unqualified(found["FunctionArn"]),
            role_name=role_name_of(found["Role"]),
            reserved=reserved.get("ReservedConcurrentExecutions"),
            provisioned={
                item["FunctionArn"].rpartition(":")[2]: item["RequestedProvisionedConcurrentExecutions"]
                for item in provisioned
            },
            master_arn=found.get("MasterArn") or "",
        )

    def decide(self, params: OneFunction, state: ThrottleState) -> Decision:
        """Release what is provisioned, then reserve nothing."""
        if state.master_arn:
            return Refused(
                f"{state.function_name} is a replica of {state.master_arn} at an edge: take the function out "
                "of the CloudFront distribution"
            )
        if state.reserved == 0 and not state.provisioned:
            return Settled(_outputs(state), _warnings(state))
        release = tuple(_release(state, name, count) for name, count in sorted(state.provisioned.items()))
        return Act(release if state.reserved == 0 else (*release, _reserve(state, 0)))

    def foresee(self, params: OneFunction, state: ThrottleState, step: str) -> PlannedOutputs:
        """Return the outputs: all of them are known."""
        return PlannedOutputs({} if state.master_arn else _outputs(state).model_dump(mode="json"))

    def targets(self, params: OneFunction, where: Where) -> tuple[str, ...]:
        """Return the function."""
        return (function_arn(where, params.function_name),)

    def on_the_way(self, key: str, was: Any, made: Any, found: Any) -> bool:
        """Return whether some of what was taken away is there again, and nothing else."""
        return between(was, made, found)

    def undo_calls(
        self,
        params: OneFunction,
        before: ThrottleState,
        after: ThrottleState,
        now: ThrottleState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Reserve as before, then provision as before: the other way round AWS would refuse."""
        mine = f"{now.function_arn}/reserved" in keys
        calls = (_reserve(now, before.reserved),) if mine else ()
        if f"{now.function_arn}/provisioned" not in keys or not (mine or now.reserved == before.reserved):
            return calls
        return (*calls, *(_provision(now, name, count) for name, count in sorted(before.provisioned.items())))


def _outputs(state: ThrottleState) -> ThrottleOutputs:
    return ThrottleOutputs(
        function_name=state.function_name,
        function_arn=state.function_arn,
        role_name=state.role_name,
        reserved_concurrency=0,
    )


def _warnings(state: ThrottleState) -> tuple[str, ...]:
    if f":{EDGE_REGION}:" not in state.function_arn:
        return (_IN_FLIGHT,)
    edge = (
        "if CloudFront runs it (Lambda@Edge), its replicas are not throttled: take it out of the distribution"
    )
    return (_IN_FLIGHT, edge)


def _reserve(state: ThrottleState, count: int | None) -> Call:
    operation, given, what = "PutFunctionConcurrency", {"ReservedConcurrentExecutions": count}, f"to {count}"
    if count is None:
        operation, given, what = "DeleteFunctionConcurrency", {}, "to none"
    return Call(
        f"lambda:{operation}",
        {"FunctionName": state.function_name, **given},
        target=state.function_arn,
        summary=f"Set the reserved concurrency of {state.function_name} {what}",
        before=state.reserved,
        after=count,
    )


def _release(state: ThrottleState, qualifier: str, count: int) -> Call:
    return Call(
        "lambda:DeleteProvisionedConcurrencyConfig",
        {"FunctionName": state.function_name, "Qualifier": qualifier},
        target=f"{state.function_arn}:{qualifier}",
        summary=f"Release the provisioned concurrency of {state.function_name}:{qualifier}",
        before=count,
        after=None,
    )


def _provision(state: ThrottleState, qualifier: str, count: int) -> Call:
    return Call(
        "lambda:PutProvisionedConcurrencyConfig",
        {
            "FunctionName": state.function_name,
            "Qualifier": qualifier,
            "ProvisionedConcurrentExecutions": count,
        },
        target=f"{state.function_arn}:{qualifier}",
        summary=f"Provision {count} executions of {state.function_name}:{qualifier}",
        before=state.provisioned.get(qualifier),
        after=count,
    )
