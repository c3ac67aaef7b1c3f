"""The condition keys of a call: who asks, when, where, and what is known of the resource.

Source: IAM user guide, "AWS global condition context keys"; Service Authorization Reference for those of
services.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from gameday.world import seam
from gameday.world.authz.documents import Context
from gameday.world.authz.names import owner_of_arn
from gameday.world.identity import Principal
from gameday.world.protocol import ApiRequest


def context_of(
    principal: Principal, request: ApiRequest, organisation: Any, resource: str, extra: Mapping[str, str]
) -> Context:
    """Return the condition keys of a call, in lower case.

    Args:
        principal: The caller.
        request: The call.
        organisation: Accounts and the organisation's id.
        resource: ARN.
        extra: Further keys, of this action.
    """
    keys: dict[str, str] = {
        "aws:PrincipalArn": principal.policy_arn,
        "aws:PrincipalAccount": principal.account,
        "aws:PrincipalOrgID": organisation.id,
        "aws:PrincipalType": "AssumedRole" if principal.kind == "role" else "User",
        "aws:userid": principal.user_id,
        "aws:RequestedRegion": request.region,
        "aws:SecureTransport": "true",
        "aws:ViaAWSService": "false",
        "ec2:Region": request.region,
        **_of_caller(principal),
        **dict(_of_resource(resource)),
        **dict(_of_request(request, principal.account)),
        **extra,
    }
    return {name.lower(): (value,) for name, value in keys.items()} | _several(request)


def _of_caller(principal: Principal) -> dict[str, str]:
    known = {"aws:username": principal.name} if principal.kind == "user" else {}
    session = principal.session
    if session is None:
        return known
    known["aws:TokenIssueTime"] = session.issued_at.isoformat()
    if session.source_identity:
        known["aws:SourceIdentity"] = session.source_identity
    return known | {f"aws:PrincipalTag/{key}": value for key, value in session.tags.items()}


def _of_resource(resource: str) -> Iterator[tuple[str, str]]:
    owner = owner_of_arn(resource)
    if owner:
        yield "aws:ResourceAccount", owner
    parts = resource.split(":", 5)
    if owner and parts[2] == "ec2":
        ident = parts[5].rpartition("/")[2]
        for tag in seam.ec2(parts[4], parts[3]).tags.get(ident, {}).items():
            yield f"aws:ResourceTag/{tag[0]}", str(tag[1])
            yield f"ec2:ResourceTag/{tag[0]}", str(tag[1])


def _of_request(request: ApiRequest, account: str) -> Iterator[tuple[str, str]]:
    for tag in _tags(request.params):
        yield f"aws:RequestTag/{tag.get('Key')}", str(tag.get("Value", ""))
    of_service = _OF_SERVICE.get(request.service)
    if of_service is not None:
        yield from of_service(request, account)


def _ec2(request: ApiRequest, account: str) -> Iterator[tuple[str, str]]:
    del account
    params = request.params
    if isinstance(params.get("Attribute"), str):
        yield "ec2:Attribute", params["Attribute"]
    if params.get("OperationType") in {"add", "remove"}:
        for user in params.get("UserIds") or ():
            yield f"ec2:{params['OperationType'].title()}/userId", str(user)


def _iam(request: ApiRequest, account: str) -> Iterator[tuple[str, str]]:
    del account
    if "PolicyArn" in request.params:
        yield "iam:PolicyARN", str(request.params["PolicyArn"])


def _organizations(request: ApiRequest, account: str) -> Iterator[tuple[str, str]]:
    del account
    yield "organizations:PolicyType", str(request.params.get("Type", "SERVICE_CONTROL_POLICY"))


def _s3(request: ApiRequest, account: str) -> Iterator[tuple[str, str]]:
    del account
    for name, key in (("Prefix", "s3:prefix"), ("Delimiter", "s3:delimiter"), ("VersionId", "s3:VersionId")):
        if isinstance(request.params.get(name), str):
            yield key, request.params[name]


def _kms(request: ApiRequest, account: str) -> Iterator[tuple[str, str]]:
    del request
    yield "kms:GrantIsForAWSResource", "false"
    yield "kms:CallerAccount", account


def _lambda(request: ApiRequest, account: str) -> Iterator[tuple[str, str]]:
    """Yield the function behind an event source mapping."""
    mapping_id = request.params.get("UUID")
    mappings = seam.backend("lambda", account, request.region)._event_source_mappings  # noqa: SLF001 - the seam
    if mapping_id in mappings:
        yield "lambda:FunctionArn", str(mappings[mapping_id].function_arn)


_OF_SERVICE: Final[Mapping[str, Callable[[ApiRequest, str], Iterator[tuple[str, str]]]]] = {
    "ec2": _ec2,
    "iam": _iam,
    "organizations": _organizations,
    "s3": _s3,
    "kms": _kms,
    "lambda": _lambda,
}


def _several(request: ApiRequest) -> dict[str, tuple[str, ...]]:
    names = tuple(str(tag.get("Key")) for tag in _tags(request.params))
    entries = request.params.get("Entries") or () if request.operation == "PutEvents" else ()
    sources = tuple(dict.fromkeys(str(entry.get("Source", "")) for entry in entries))
    several = {"aws:tagkeys": names, "events:source": sources}
    return {name: values for name, values in several.items() if values}


def _tags(params: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    given = list(params.get("Tags") or ()) if isinstance(params.get("Tags"), list | tuple) else []
    for specification in params.get("TagSpecifications") or ():
        given.extend(specification.get("Tags") or ())
    return [tag for tag in given if isinstance(tag, Mapping)]
