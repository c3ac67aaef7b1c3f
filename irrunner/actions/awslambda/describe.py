"""``aws.lambda.describe-function``: evidence of code and configuration, before anything changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from irrunner.actions.awslambda.functions import (
    API_REFERENCE,
    USER_GUIDE,
    OneFunction,
    aliases,
    function_arn,
    on_function,
    role_name_of,
    unqualified,
    versions,
)
from irrunner.actions.contract import Action, Decision, LookContext, Model, Settled, State, Where
from irrunner.actions.iam.documents import Document, decoded
from irrunner.actions.registry import action
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class Layer(Model):
    """A layer: code that runs with the function's, and that its digest does not cover."""

    arn: str
    code_size: int


class Version(Model):
    """A published version."""

    version: str
    code_sha256: str
    last_modified: str


class FunctionFacts(State):
    """A function, described; of variables their names only."""

    function_name: str
    function_arn: str
    role_name: str
    role_arn: str
    code_sha256: str
    """Base64, as Lambda gives it."""
    package_type: str
    image_uri: str = ""
    """By digest, where the code is an image."""
    runtime: str = ""
    handler: str = ""
    last_modified: str
    layers: list[Layer]
    environment_names: list[str]
    subnet_ids: list[str]
    security_group_ids: list[str]
    versions: list[Version]
    aliases: dict[str, str]
    """Alias to version."""
    policy: Document | None
    """Who may invoke it, of the function without a qualifier."""
    tags: dict[str, str]
    changed_since_version: bool
    """Whether the code differs from that of the last published version; true where there is none."""


LOOKED_UP: Final = on_function(
    "look", "lambda:GetFunction", "lambda:ListVersionsByFunction", "lambda:ListAliases", "lambda:GetPolicy"
)


@action(
    "aws.lambda.describe-function",
    title="Describe a function's code, configuration and versions",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=LOOKED_UP,
    undo=UndoPolicy.NEVER,
    undo_note="Only reads, so that there is nothing to undo.",
    timeout_s=60.0,
    sources=(
        f"{API_REFERENCE}/API_GetFunction.html",
        f"{API_REFERENCE}/API_ListVersionsByFunction.html",
        f"{USER_GUIDE}/configuration-versions.html",
    ),
)
class DescribeFunction(Action[OneFunction, FunctionFacts]):
    """Read what a function is, and what of it is not in its last version."""

    Params = OneFunction
    Outputs = FunctionFacts
    StateModel = FunctionFacts

    def look(self, ctx: LookContext, params: OneFunction) -> FunctionFacts:
        """Read the function, its versions, aliases and policy."""
        name = params.function_name
        answer = ctx.api.call("lambda:GetFunction", FunctionName=name)
        found = answer["Configuration"]
        published = [_version(item) for item in versions(ctx.api, name)]
        network = found.get("VpcConfig") or {}
        return FunctionFacts(
            function_name=name,
            function_arn=unqualified(found["FunctionArn"]),
            role_name=role_name_of(found["Role"]),
            role_arn=found["Role"],
            code_sha256=found["CodeSha256"],
            package_type=found.get("PackageType", "Zip"),
            image_uri=answer.get("Code", {}).get("ResolvedImageUri") or "",
            runtime=found.get("Runtime") or "",
            handler=found.get("Handler") or "",
            last_modified=str(found["LastModified"]),
            layers=[
                Layer(arn=layer["Arn"], code_size=layer.get("CodeSize", 0))
                for layer in found.get("Layers") or ()
            ],
            environment_names=sorted((found.get("Environment") or {}).get("Variables") or {}),
            subnet_ids=sorted(network.get("SubnetIds") or ()),
            security_group_ids=sorted(network.get("SecurityGroupIds") or ()),
            versions=published,
            aliases=aliases(ctx.api, name),
            policy=_policy(ctx, name),
            tags=dict(sorted((answer.get("Tags") or {}).items())),
            changed_since_version=not published or published[-1].code_sha256 != found["CodeSha256"],
        )

    def decide(self, params: OneFunction, state: FunctionFacts) -> Decision:
        """Nothing to do."""
        return Settled(state)

    def targets(self, params: OneFunction, where: Where) -> tuple[str, ...]:
        """Return the function."""
        return (function_arn(where, params.function_name),)


def _version(found: Mapping[str, Any]) -> Version:
    return Version(
        version=found["Version"],
        code_sha256=found["CodeSha256"],
        last_modified=str(found["LastModified"]),
    )


def _policy(ctx: LookContext, name: str) -> Document | None:
    try:
        return decoded(ctx.api.call("lambda:GetPolicy", FunctionName=name)["Policy"])
    except TargetNotFound:
        return None
