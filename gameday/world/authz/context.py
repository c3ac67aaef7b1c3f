"""The condition keys of a call: who asks, when, where, and what is known of the resource.

Source: IAM user guide, "AWS global condition context keys"; Service Authorization Reference for those of
services.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gameday.world import seam
from gameday.world.authz.documents import Context
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
        **dict(_of_request(request)),
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
    parts = resource.split(":", 5)
    if len(parts) < 6:  # noqa: PLR2004 - the parts of an ARN
        return
    if parts[4].isdigit():
        yield "aws:ResourceAccount", parts[4]
    if parts[2] == "ec2" and parts[4].isdigit():
        ident = parts[5].rpartition("/")[2]
        for tag in seam.ec2(parts[4], parts[3]).tags.get(ident, {}).items():
            yield f"aws:ResourceTag/{tag[0]}", str(tag[1])
            yield f"ec2:ResourceTag/{tag[0]}", str(tag[1])


def _of_request(request: ApiRequest) -> Iterator[tuple[str, str]]:
    params = request.params
    if request.service == "ec2":
        for name in ("Attribute",):
            if isinstance(params.get(name), str):
                yield f"ec2:{name}", params[name]
        if params.get("OperationType") in {"add", "remove"}:
            for user in params.get("UserIds") or ():
                yield f"ec2:{params['OperationType'].title()}/userId", str(user)
    for tag in _tags(params):
        yield f"aws:RequestTag/{tag.get('Key')}", str(tag.get("Value", ""))
    if "PolicyArn" in params:
        yield "iam:PolicyARN", str(params["PolicyArn"])
    if request.service == "organizations":
        yield "organizations:PolicyType", str(params.get("Type", "SERVICE_CONTROL_POLICY"))
    if request.service == "kms":
        yield "kms:GrantIsForAWSResource", "false"


def _several(request: ApiRequest) -> dict[str, tuple[str, ...]]:
    names = tuple(str(tag.get("Key")) for tag in _tags(request.params))
    return {"aws:tagkeys": names} if names else {}


def _tags(params: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    given = list(params.get("Tags") or ()) if isinstance(params.get("Tags"), list | tuple) else []
    for specification in params.get("TagSpecifications") or ():
        given.extend(specification.get("Tags") or ())
    return [tag for tag in given if isinstance(tag, Mapping)]
