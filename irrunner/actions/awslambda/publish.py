"""``aws.lambda.publish-version``: pin code and configuration as they are, before anybody mends them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from irrunner.actions.awslambda.functions import (
    API_REFERENCE,
    USER_GUIDE,
    OneFunction,
    configuration,
    function_arn,
    on_function,
    role_name_of,
    unqualified,
    versions,
)
from irrunner.actions.contract import (
    Act,
    Action,
    Broken,
    Call,
    Decision,
    LookContext,
    Model,
    PlannedOutputs,
    Settled,
    State,
    Waiting,
    Where,
)
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy

_COMPARED: Final = (
    "CodeSha256", "Role", "Runtime", "Handler", "Timeout", "MemorySize", "PackageType", "KMSKeyArn",
    "Architectures",
)  # fmt: skip
_BUSY: Final = "InProgress"


class PublishState(State):
    """What publishing sees. Variables are compared in the look; their values are not kept."""

    function_name: str
    function_arn: str
    role_name: str
    code_sha256: str
    pinned_version: str
    """The last version that is the same as ``$LATEST`` now; empty: none."""
    lifecycle: str = "Active"
    update: str = "Successful"
    reason: str = ""


class PublishOutputs(Model):
    """Outputs."""

    function_name: str
    function_arn: str
    role_name: str
    version: str
    version_arn: str
    code_sha256: str


@action(
    "aws.lambda.publish-version",
    title="Pin a function's code and configuration as a version",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    timeout_s=300.0,
    consistency_s=5.0,
    permissions=(
        *on_function("look", "lambda:GetFunctionConfiguration", "lambda:ListVersionsByFunction"),
        *on_function("act", "lambda:PublishVersion"),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="The version is evidence: it is immutable, costs nothing, and nothing invokes it.",
    evidence=True,
    sources=(
        f"{API_REFERENCE}/API_PublishVersion.html",
        f"{USER_GUIDE}/configuration-versions.html",
    ),
)
class PublishVersion(Action[OneFunction, PublishState]):
    """Publish ``$LATEST`` by the digest that was seen, unless a version of it is there."""

    Params = OneFunction
    Outputs = PublishOutputs
    StateModel = PublishState

    def look(self, ctx: LookContext, params: OneFunction) -> PublishState:
        """Compare ``$LATEST`` with the published versions."""
        name = params.function_name
        latest = configuration(ctx.api, name)
        pinned = [v["Version"] for v in versions(ctx.api, name) if _content(v) == _content(latest)]
        return PublishState(
            function_name=name,
            function_arn=unqualified(latest["FunctionArn"]),
            role_name=role_name_of(latest["Role"]),
            code_sha256=latest["CodeSha256"],
            pinned_version=pinned[-1] if pinned else "",
            lifecycle=latest.get("State") or "Active",
            update=latest.get("LastUpdateStatus") or "Successful",
            reason=latest.get("StateReason") or latest.get("LastUpdateStatusReason") or "",
        )

    def decide(self, params: OneFunction, state: PublishState) -> Decision:
        """Publish what is not yet pinned, once Lambda has finished with the last change."""
        if state.pinned_version:
            return Settled(_outputs(state, state.pinned_version))
        if state.lifecycle == "Failed":
            return Broken(f"{state.function_name} is Failed and takes no version: {state.reason}")
        if state.lifecycle == "Pending" or state.update == _BUSY:
            return Waiting(f"{state.function_name} is being changed", poll_s=3.0)
        return Act((_publish(state),))

    def foresee(self, params: OneFunction, state: PublishState, step: str) -> PlannedOutputs:
        """Return the outputs; a version that is to come is a token."""
        version = state.pinned_version or f"<from {step}.version>"
        outputs = _outputs(state, version).model_dump(mode="json")
        if not state.pinned_version:
            outputs["version_arn"] = f"<from {step}.version_arn>"
        return PlannedOutputs(outputs)

    def targets(self, params: OneFunction, where: Where) -> tuple[str, ...]:
        """Return the function."""
        return (function_arn(where, params.function_name),)


def _content(found: Mapping[str, Any]) -> dict[str, Any]:
    """Everything of a configuration that a new version would pin: an attacker's layer changes no digest."""
    network = found.get("VpcConfig") or {}
    return {
        **{name: found.get(name) or "" for name in _COMPARED},
        "layers": [layer["Arn"] for layer in found.get("Layers") or ()],
        "variables": (found.get("Environment") or {}).get("Variables") or {},
        "subnets": sorted(network.get("SubnetIds") or ()),
        "groups": sorted(network.get("SecurityGroupIds") or ()),
    }


def _publish(state: PublishState) -> Call:
    return Call(
        "lambda:PublishVersion",
        {
            "FunctionName": state.function_name,
            "CodeSha256": state.code_sha256,
            "Description": "evidence, pinned by irrunner",
        },
        target=state.function_arn,
        summary=f"Publish {state.function_name} as it is ({state.code_sha256}) as a version",
        before=None,
        after=state.code_sha256,
        reversible=False,
    )


def _outputs(state: PublishState, version: str) -> PublishOutputs:
    return PublishOutputs(
        function_name=state.function_name,
        function_arn=state.function_arn,
        role_name=state.role_name,
        version=version,
        version_arn=f"{state.function_arn}:{version}",
        code_sha256=state.code_sha256,
    )
