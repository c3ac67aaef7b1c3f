"""Lambda where moto is too kind or has nothing: policies by qualifier, provisioned concurrency, mappings.

Source: Lambda API reference (AddPermission, RemovePermission, PutFunctionConcurrency, PublishVersion,
UpdateEventSourceMapping, ListFunctionUrlConfigs); Lambda developer guide, "Configuring provisioned
concurrency".
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gameday.world import seam
from gameday.world.content import Place, service_role
from gameday.world.paging import page
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

SWITCHING_S: Final = 20.0
"""From ``Disabling`` to ``Disabled``, and back."""
_ROLE_CHARACTERS: Final = 58
"""Of the function's name, so that the role's has 64 at most, with its suffix."""
_NOT_FOUND: Final = "ResourceNotFoundException"
_CONDITIONS: Final = {
    "SourceArn": ("ArnLike", "AWS:SourceArn"),
    "SourceAccount": ("StringEquals", "AWS:SourceAccount"),
    "PrincipalOrgID": ("StringEquals", "aws:PrincipalOrgID"),
    "EventSourceToken": ("StringEquals", "lambda:EventSourceToken"),
    "FunctionUrlAuthType": ("StringEquals", "lambda:FunctionUrlAuthType"),
}
_STATES: Final = {True: ("Enabling", "Enabled"), False: ("Disabling", "Disabled")}
_MOVING: Final = frozenset({"Creating", "Enabling", "Disabling", "Updating", "Deleting"})


def build_function(place: Place, name: str, code: str = "print('hello')") -> dict[str, str]:
    """Build a function with an execution role, a variable and no triggers, if it is missing."""
    role_name = f"{name[:_ROLE_CHARACTERS]}-role"
    built = {"function_name": name, "role_name": role_name}
    backend = seam.backend("lambda", place.account, place.region)
    if any(function.function_name == name for function in backend.list_functions()):
        return built
    role = service_role(place, role_name, "lambda.amazonaws.com")
    spec = {
        "FunctionName": name,
        "Role": role.arn,
        "Runtime": "python3.12",
        "Handler": "app.handler",
        "Code": {"ZipFile": packed(code)},
        "Environment": {"Variables": {"TABLE": "orders", "API_TOKEN": "do-not-tell"}},
    }
    backend.create_function(spec)
    return built


def packed(code: str) -> str:
    """Return a deployment package in Base64, always the same for the same code."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("app.py"), code)
    return base64.b64encode(buffer.getvalue()).decode()


def get_policy(scene: Scene) -> Mapping[str, Any]:
    """Return the policy of the function, or of one version or alias."""
    function, arn = _function(scene), _resource(scene)
    statements = [item for item in function.policy.statements if item["Resource"] == arn]
    if not statements:
        raise Refusal(_NOT_FOUND, "The resource you requested does not exist.", 404)
    document = {"Version": "2012-10-17", "Id": "default", "Statement": statements}
    return {"Policy": json.dumps(document), "RevisionId": function.policy.revision}


def add_permission(scene: Scene) -> Mapping[str, Any]:
    """Add a statement; its Sid must be new there."""
    function, arn, params = _function(scene), _resource(scene), scene.params
    if any(_is(item, arn, params["StatementId"]) for item in function.policy.statements):
        text = f"The statement id ({params['StatementId']}) provided already exists."
        raise Refusal("ResourceConflictException", text, 409)
    statement = {
        "Sid": params["StatementId"],
        "Effect": "Allow",
        "Principal": _principal(params["Principal"]),
        "Action": params["Action"],
        "Resource": arn,
    }
    conditions: dict[str, dict[str, Any]] = {}
    for name, (operator, key) in _CONDITIONS.items():
        if params.get(name):
            conditions.setdefault(operator, {})[key] = params[name]
    function.policy.statements.append(statement | ({"Condition": conditions} if conditions else {}))
    return {"Statement": json.dumps(statement)}


def remove_permission(scene: Scene) -> Mapping[str, Any]:
    """Remove the statement of a Sid there."""
    function, arn, sid = _function(scene), _resource(scene), scene.params["StatementId"]
    kept = [item for item in function.policy.statements if not _is(item, arn, sid)]
    if len(kept) == len(function.policy.statements):
        raise Refusal(_NOT_FOUND, f"Statement {sid} is not found in resource policy.", 404)
    function.policy.statements[:] = kept
    return {}


def check_not_below_provisioned(scene: Scene) -> None:
    """Refuse to reserve less than what is provisioned."""
    provisioned = sum(provisioned_of(_function(scene)).values())
    if scene.params["ReservedConcurrentExecutions"] < provisioned:
        raise Refusal(
            "InvalidParameterValueException",
            "ReservedConcurrentExecutions for function should not be lower than function's total "
            f"provisioned concurrency [{provisioned}].",
        )


def list_provisioned(scene: Scene) -> Mapping[str, Any]:
    """List what is provisioned, in pages."""
    function = _function(scene)
    shown = [
        {
            "FunctionArn": f"{function.function_arn}:{qualifier}",
            "RequestedProvisionedConcurrentExecutions": count,
            "Status": "READY",
        }
        for qualifier, count in sorted(provisioned_of(function).items())
    ]
    return page("ProvisionedConcurrencyConfigs", shown, scene.params.get("Marker"), following="NextMarker")


def put_provisioned(scene: Scene) -> Mapping[str, Any]:
    """Provision executions; a reservation bounds them."""
    function, count = _function(scene), scene.params["ProvisionedConcurrentExecutions"]
    others = {k: v for k, v in provisioned_of(function).items() if k != scene.params["Qualifier"]}
    reserved = function.reserved_concurrency
    if reserved is not None and sum(others.values()) + count > reserved:
        raise Refusal(
            "InvalidParameterValueException",
            f"Requested Provisioned Concurrency should not be greater than the reserved {reserved}.",
        )
    function.provisioned = others | {scene.params["Qualifier"]: count}
    return {"RequestedProvisionedConcurrentExecutions": count, "Status": "IN_PROGRESS"}


def delete_provisioned(scene: Scene) -> Mapping[str, Any]:
    """Release what a version or alias has provisioned; asking twice is no error."""
    function = _function(scene)
    others = {k: v for k, v in provisioned_of(function).items() if k != scene.params["Qualifier"]}
    function.provisioned = others
    return {}


def list_urls(scene: Scene) -> Mapping[str, Any]:
    """List the URL of the function, if it has one."""
    url = _function(scene).url_config
    return {"FunctionUrlConfigs": [url.to_dict()] if url else []}


def list_mappings(scene: Scene) -> Mapping[str, Any]:
    """List mappings, in pages; asked for a function by name, those of its aliases are left out."""
    name = scene.params.get("FunctionName")
    found = [
        _mapping(mapping)
        for mapping in _backend(scene)._event_source_mappings.values()  # noqa: SLF001 - moto lists by name only
        if not name or mapping.function_arn.endswith(f":{name}")
    ]
    return page("EventSourceMappings", found, scene.params.get("Marker"), following="NextMarker")


def update_mapping(scene: Scene) -> Mapping[str, Any]:
    """Switch a mapping on or off, which takes time and may not be interrupted."""
    mapping = _backend(scene).get_event_source_mapping(scene.params["UUID"])
    if mapping is None:
        raise Refusal(_NOT_FOUND, "The resource you requested does not exist.", 404)
    if state_of(mapping) in _MOVING:
        text = f"Cannot update the event source mapping because it is in use ({state_of(mapping)})."
        raise Refusal("ResourceInUseException", text, 400)
    mapping.enabled = bool(scene.params.get("Enabled", mapping.enabled))
    mapping.state, then = _STATES[mapping.enabled]

    def arrive() -> None:
        mapping.state = then

    scene.realm.schedule.at(scene.realm.clock.now() + timedelta(seconds=SWITCHING_S), arrive)
    return _mapping(mapping)


def check_code_is_the_same(scene: Scene) -> None:
    """Refuse to publish other code than the caller has seen."""
    seen, actual = scene.params.get("CodeSha256"), _function(scene).code_sha_256
    if seen and seen != actual:
        raise Refusal(
            "InvalidParameterValueException",
            f"CodeSHA256 ({seen}) is different from current CodeSHA256 in $LATEST ({actual}). "
            "Please try again with the CodeSHA256 in $LATEST.",
        )


def state_of(mapping: Any) -> str:
    """Return the state of a mapping; moto knows enabled and not enabled only."""
    return str(getattr(mapping, "state", "Enabled" if mapping.enabled else "Disabled"))


def provisioned_of(function: Any) -> dict[str, int]:
    """Return version or alias to provisioned concurrency."""
    return dict(getattr(function, "provisioned", {}))


def show_functions(backend: Any) -> dict[str, Any]:
    """Show the functions of a Region."""
    return {function.function_name: _shown(backend, function) for function in backend.list_functions()}


def show_mappings(backend: Any) -> dict[str, Any]:
    """Show the event source mappings of a Region."""
    return {
        ident: {
            "function_arn": mapping.function_arn,
            "source": mapping.event_source_arn,
            "state": state_of(mapping),
        }
        for ident, mapping in backend._event_source_mappings.items()  # noqa: SLF001 - as above
    }


def _shown(backend: Any, function: Any) -> dict[str, Any]:
    published = backend.list_versions_by_function(function.function_name)
    return {
        "code_sha256": function.code_sha_256,
        "role": function.role,
        "reserved_concurrency": function.reserved_concurrency,
        "provisioned_concurrency": provisioned_of(function),
        "policy": sorted(function.policy.statements, key=lambda item: json.dumps(item, sort_keys=True)),
        "versions": {str(v.version): v.code_sha_256 for v in published if v.version != "$LATEST"},
    }


def _mapping(mapping: Any) -> dict[str, Any]:
    return {
        "UUID": mapping.uuid,
        "EventSourceArn": mapping.event_source_arn,
        "EventSourceMappingArn": mapping.arn,
        "FunctionArn": mapping.function_arn,
        "LastModified": datetime.fromtimestamp(mapping.last_modified, UTC),
        "State": state_of(mapping),
        "StateTransitionReason": "USER_INITIATED",
    }


def _principal(given: str) -> Any:
    if given == "*":
        return given
    if given.endswith(".amazonaws.com"):
        return {"Service": given}
    return {"AWS": f"arn:aws:iam::{given}:root" if given.isdecimal() else given}


def _is(statement: Mapping[str, Any], arn: str, sid: str) -> bool:
    return bool(statement["Resource"] == arn and statement["Sid"] == sid)


def _function(scene: Scene) -> Any:
    """Return ``$LATEST``, which keeps what belongs to the whole function; a wrong qualifier is refused."""
    name, qualifier = scene.params["FunctionName"], scene.params.get("Qualifier")
    _backend(scene).get_function(name, qualifier)
    return _backend(scene).get_function(name, None)


def _resource(scene: Scene) -> str:
    arn: str = _function(scene).function_arn
    qualifier = scene.params.get("Qualifier")
    return f"{arn}:{qualifier}" if qualifier else arn


def _backend(scene: Scene) -> Any:
    return seam.backend("lambda", scene.account, scene.region)


LAYER: Final = StrictLayer(
    rules={
        "lambda:PutFunctionConcurrency": (check_not_below_provisioned,),
        "lambda:PublishVersion": (check_code_is_the_same,),
    },
    answers={
        "lambda:GetPolicy": get_policy,
        "lambda:AddPermission": add_permission,
        "lambda:RemovePermission": remove_permission,
        "lambda:ListProvisionedConcurrencyConfigs": list_provisioned,
        "lambda:PutProvisionedConcurrencyConfig": put_provisioned,
        "lambda:DeleteProvisionedConcurrencyConfig": delete_provisioned,
        "lambda:ListFunctionUrlConfigs": list_urls,
        "lambda:ListEventSourceMappings": list_mappings,
        "lambda:UpdateEventSourceMapping": update_mapping,
    },
)
