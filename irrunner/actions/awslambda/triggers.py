"""``aws.lambda.disable-triggers``: nothing invokes the function any more; what it can do itself stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from irrunner.actions.awslambda.functions import (
    API_REFERENCE,
    FUNCTION,
    QUALIFIED,
    USER_GUIDE,
    OneFunction,
    aliases,
    between,
    configuration,
    function_arn,
    on_all_of_it,
    on_function,
    role_name_of,
    unqualified,
    versions,
)
from irrunner.actions.awslambda.statements import Statement, invokes, rewritten
from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    ReadApi,
    Settled,
    State,
    Waiting,
    Where,
)
from irrunner.actions.iam.documents import decoded
from irrunner.actions.registry import action
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

ON: Final = frozenset({"Enabled"})
OFF: Final = frozenset({"Disabled", "Disabling"})
LEAVING: Final = "Deleting"
_MAPPINGS: Final = "arn:{partition}:lambda:{region}:{account}:event-source-mapping:*"
_OTHER_WAYS: Final = (
    "who has lambda:InvokeFunction by an own policy in this account (Step Functions, schedules, people) can "
    "still invoke it: aws.lambda.throttle-function stops all of them"
)


class EventSource(Model):
    """What a mapping of an event source is like."""

    state: str
    source: str
    """ARN of the queue, stream or broker; empty where it is one outside of AWS."""


class TriggersState(State):
    """What invokes a function."""

    function_name: str
    function_arn: str
    role_name: str
    mappings: dict[str, EventSource]
    """UUID to mapping, of all versions and aliases."""
    statements: dict[str, dict[str, Statement]]
    """Qualifier (empty: the function) to statements that allow to invoke, by Sid."""
    urls: dict[str, str]
    """ARN to the kind of authorisation of its function URL."""

    def footprint(self) -> dict[str, Any]:
        """Return which mappings are on, and the policies as far as they can be removed and written again."""
        mappings = {
            f"event-source-mapping:{ident}": mapping.state not in OFF
            for ident, mapping in self.mappings.items()
            if mapping.state != LEAVING
        }
        policies = {
            f"{_qualified(self.function_arn, qualifier)}/policy": _removable(found)
            for qualifier, found in self.statements.items()
        }
        return mappings | policies


class TriggersOutputs(Model):
    """Outputs."""

    function_name: str
    function_arn: str
    role_name: str
    event_source_mapping_ids: list[str]
    function_url_arns: list[str]
    """Functions, versions and aliases that have a URL of their own."""


@action(
    "aws.lambda.disable-triggers",
    title="Disable what invokes a function",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=600.0,
    consistency_s=5.0,
    permissions=(
        *on_function(
            "look",
            "lambda:GetFunctionConfiguration",
            "lambda:ListVersionsByFunction",
            "lambda:ListAliases",
            "lambda:ListFunctionUrlConfigs",
        ),
        *on_all_of_it("look", "lambda:GetPolicy"),
        Permission("lambda:ListEventSourceMappings"),
        *(
            Permission(
                "lambda:UpdateEventSourceMapping",
                _MAPPINGS,
                use=use,
                conditions={"ArnLike": {"lambda:FunctionArn": arn}},
            )
            for use in ("act", "undo")
            for arn in (FUNCTION, QUALIFIED)
        ),
        *on_all_of_it("act", "lambda:RemovePermission"),
        *on_all_of_it("undo", "lambda:AddPermission"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Enables the mappings that were enabled, and adds equal statements again. Events that a stream "
    "has dropped meanwhile are lost.",
    sources=(
        f"{API_REFERENCE}/API_UpdateEventSourceMapping.html",
        f"{API_REFERENCE}/API_RemovePermission.html",
        f"{API_REFERENCE}/API_AddPermission.html",
        f"{USER_GUIDE}/access-control-resource-based.html",
        f"{USER_GUIDE}/urls-auth.html",
    ),
)
class DisableTriggers(Action[OneFunction, TriggersState]):
    """Switch event source mappings off and remove the statements that let others invoke."""

    Params = OneFunction
    Outputs = TriggersOutputs
    StateModel = TriggersState

    def look(self, ctx: LookContext, params: OneFunction) -> TriggersState:
        """Read mappings, URLs, and the policies of the function, its versions and its aliases."""
        name = params.function_name
        found = configuration(ctx.api, name)
        arn = unqualified(found["FunctionArn"])
        qualifiers = ["", *(v["Version"] for v in versions(ctx.api, name)), *aliases(ctx.api, name)]
        urls = ctx.api.pages("lambda:ListFunctionUrlConfigs", "FunctionUrlConfigs", FunctionName=name)
        return TriggersState(
            function_name=name,
            function_arn=arn,
            role_name=role_name_of(found["Role"]),
            mappings=_mappings(ctx.api, arn),
            statements={qualifier: _invoking(ctx.api, name, qualifier) for qualifier in qualifiers},
            urls={url["FunctionArn"]: url["AuthType"] for url in urls},
        )

    def decide(self, params: OneFunction, state: TriggersState) -> Decision:
        """Remove and switch off what can be now; then wait for mappings that are on their way."""
        calls = (*_removals(state), *(_switch(state, i, on=False) for i in _with_state(state, ON)))
        if calls:
            return Act(calls)
        moving = [i for i, m in state.mappings.items() if m.state not in {"Disabled", LEAVING}]
        if moving:
            told = ", ".join(f"{ident} is {state.mappings[ident].state}" for ident in sorted(moving))
            return Waiting(f"event source mappings: {told}", poll_s=5.0)
        return Settled(_outputs(state), tuple(_warnings(state)))

    def foresee(self, params: OneFunction, state: TriggersState, step: str) -> PlannedOutputs:
        """Return the outputs: all of them are known."""
        return PlannedOutputs(_outputs(state).model_dump(mode="json"))

    def targets(self, params: OneFunction, where: Where) -> tuple[str, ...]:
        """Return the function."""
        return (function_arn(where, params.function_name),)

    def on_the_way(self, key: str, was: Any, made: Any, found: Any) -> bool:
        """Return whether some of what was taken away is there again, and nothing else."""
        return between(was, made, found)

    def undo_calls(
        self,
        params: OneFunction,
        before: TriggersState,
        after: TriggersState,
        now: TriggersState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Add the statements that are missing, and enable the mappings that were."""
        calls = [
            _add(now, qualifier, statement)
            for qualifier, found in sorted(before.statements.items())
            if f"{_qualified(now.function_arn, qualifier)}/policy" in keys
            for sid, statement in sorted(_removable(found).items())
            if sid not in now.statements.get(qualifier, {})
        ]
        calls += [
            _switch(now, ident, on=True)
            for ident in sorted(before.mappings)
            if f"event-source-mapping:{ident}" in keys
        ]
        return tuple(calls)


def _mappings(api: ReadApi, arn: str) -> dict[str, EventSource]:
    """All mappings of the Region are read: asked for a function, Lambda leaves out those of its aliases."""
    return {
        found["UUID"]: EventSource(state=found["State"], source=found.get("EventSourceArn") or "")
        for found in api.pages("lambda:ListEventSourceMappings", "EventSourceMappings")
        if unqualified(found.get("FunctionArn") or "") == arn
    }


def _invoking(api: ReadApi, name: str, qualifier: str) -> dict[str, Statement]:
    """Return the statements that let somebody invoke, by Sid."""
    asked = {"FunctionName": name} | ({"Qualifier": qualifier} if qualifier else {})
    try:
        document = decoded(api.call("lambda:GetPolicy", **asked)["Policy"])
    except TargetNotFound:
        return {}
    return {str(item.get("Sid", "")): item for item in document.get("Statement", ()) if invokes(item)}


def _removable(found: dict[str, Statement]) -> dict[str, Statement]:
    return {sid: found[sid] for sid in sorted(found) if rewritten(found[sid])}


def _qualified(arn: str, qualifier: str) -> str:
    return f"{arn}:{qualifier}" if qualifier else arn


def _with_state(state: TriggersState, states: frozenset[str]) -> list[str]:
    return sorted(ident for ident, mapping in state.mappings.items() if mapping.state in states)


def _removals(state: TriggersState) -> Iterator[Call]:
    for qualifier, found in sorted(state.statements.items()):
        for sid, statement in _removable(found).items():
            target = _qualified(state.function_arn, qualifier)
            given = {"FunctionName": state.function_name, "StatementId": sid}
            yield Call(
                "lambda:RemovePermission",
                given | ({"Qualifier": qualifier} if qualifier else {}),
                target=f"{target}/{sid}",
                summary=f"Remove statement {sid} from the policy of {target}",
                before=statement,
                after=None,
                tolerate=("ResourceNotFoundException",),
            )


def _add(state: TriggersState, qualifier: str, statement: Statement) -> Call:
    target = _qualified(state.function_arn, qualifier)
    given = {"FunctionName": state.function_name, **(rewritten(statement) or {})}
    return Call(
        "lambda:AddPermission",
        given | ({"Qualifier": qualifier} if qualifier else {}),
        target=f"{target}/{statement['Sid']}",
        summary=f"Add statement {statement['Sid']} to the policy of {target}",
        before=None,
        after=statement,
        tolerate=("ResourceConflictException",),
    )


def _switch(state: TriggersState, ident: str, *, on: bool) -> Call:
    word = "Enable" if on else "Disable"
    return Call(
        "lambda:UpdateEventSourceMapping",
        {"UUID": ident, "Enabled": on},
        target=f"event-source-mapping:{ident}",
        summary=f"{word} the mapping from {state.mappings[ident].source or 'its source'}",
        before=not on,
        after=on,
    )


def _warnings(state: TriggersState) -> Iterator[str]:
    yield _OTHER_WAYS
    for arn, kind in sorted(state.urls.items()):
        yield f"{arn} keeps its URL ({kind}): principals of this account may still call it"
    for qualifier, found in sorted(state.statements.items()):
        for sid in sorted(found.keys() - _removable(found).keys()):
            where = _qualified(state.function_arn, qualifier)
            yield f"statement {sid!r} of {where} was left: it could not be written again"


def _outputs(state: TriggersState) -> TriggersOutputs:
    return TriggersOutputs(
        function_name=state.function_name,
        function_arn=state.function_arn,
        role_name=state.role_name,
        event_source_mapping_ids=sorted(state.mappings),
        function_url_arns=sorted(state.urls),
    )
