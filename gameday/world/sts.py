"""STS, answered by the world itself: it alone knows whose credentials are whose.

Source: STS API reference (AssumeRole, GetSessionToken, GetCallerIdentity, GetAccessKeyInfo).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from gameday.world import seam
from gameday.world.authz import gate
from gameday.world.identity import Principal, Session, access_key_owner, role_named
from gameday.world.refusals import Refusal, denied
from gameday.world.services import Scene, StrictLayer

SESSION_POLICY_LIMIT: Final = 2048
CHAINED_SESSION_LIMIT_S: Final = 3600
_SHORTEST_S: Final = 900
_ROLE_ARN: Final = re.compile(r"arn:[^:]+:iam::(?P<account>[0-9]{12}):role/(?:.*/)?(?P<name>[^/]+)")
_NAME: Final = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


def assume_role(scene: Scene) -> Mapping[str, Any]:
    """Issue a session of a role that trusts the caller."""
    params = scene.params
    _check_name("roleSessionName", params.get("RoleSessionName", ""))
    if "SourceIdentity" in params:
        _check_name("sourceIdentity", params["SourceIdentity"])
    _check_session_policy(params.get("Policy"))
    account, role = _trusting_role(scene)
    duration_s = _duration(scene, int(role.max_session_duration or CHAINED_SESSION_LIMIT_S))
    session_name = params["RoleSessionName"]
    principal = Principal(
        account=account,
        arn=f"arn:aws:sts::{account}:assumed-role/{role.name}/{session_name}",
        kind="role",
        name=role.name,
        user_id=f"{role.id}:{session_name}",
    )
    session = scene.realm.sessions.open(
        principal,
        issuer_arn=role.arn,
        duration_s=duration_s,
        source_identity=_source_identity(scene),
        policy=params.get("Policy"),
        tags={tag["Key"]: str(tag.get("Value", "")) for tag in params.get("Tags") or ()},
    )
    answer = {
        "Credentials": _credentials(session),
        "AssumedRoleUser": {"AssumedRoleId": principal.user_id, "Arn": principal.arn},
        "PackedPolicySize": len(params.get("Policy", "")) * 100 // SESSION_POLICY_LIMIT,
    }
    return answer | ({"SourceIdentity": session.source_identity} if session.source_identity else {})


def get_session_token(scene: Scene) -> Mapping[str, Any]:
    """Issue a session of the calling user."""
    if scene.principal.session:
        raise Refusal("AccessDenied", "Cannot call GetSessionToken with session credentials", 403)
    session = scene.realm.sessions.open(
        scene.principal,
        issuer_arn=scene.principal.arn,
        duration_s=int(scene.params.get("DurationSeconds", 43_200)),
    )
    return {"Credentials": _credentials(session)}


def get_caller_identity(scene: Scene) -> Mapping[str, Any]:
    """Say who calls."""
    who = scene.principal
    return {"UserId": who.user_id, "Account": who.account, "Arn": who.arn}


def get_access_key_info(scene: Scene) -> Mapping[str, Any]:
    """Say whose account a key belongs to."""
    key_id = scene.params["AccessKeyId"]
    session = scene.realm.sessions.find(key_id)
    owner = access_key_owner(key_id)
    if session is None and owner is None:
        raise Refusal("AccessDenied", f"Access key {key_id} is not known", 403)
    return {"Account": session.account if session else owner[0] if owner else ""}


def _trusting_role(scene: Scene) -> tuple[str, Any]:
    named = _ROLE_ARN.fullmatch(scene.params.get("RoleArn", ""))
    if named is None:
        raise _invalid("roleArn", scene.params.get("RoleArn", ""), "be a valid role ARN")
    known = named["account"] in seam.iam_accounts()
    role = role_named(seam.iam(named["account"]), named["name"]) if known else None
    refused = denied("query", scene.principal.arn, f"sts:AssumeRole on resource: {scene.params['RoleArn']}")
    if role is None:
        raise refused
    for action in _actions_needed(scene.params):
        gate.check(
            scene.principal, scene.request, scene.realm.organisation, action=action, resource=role.arn,
            extra=_trust_context(scene), resource_policy=role.assume_role_policy_document,
            resource_account=named["account"], resource_decides=True,
        )  # fmt: skip
    return named["account"], role


def _actions_needed(params: Mapping[str, Any]) -> list[str]:
    extra = {"SourceIdentity": "sts:SetSourceIdentity", "Tags": "sts:TagSession"}
    return ["sts:AssumeRole", *(action for name, action in extra.items() if params.get(name))]


def _trust_context(scene: Scene) -> dict[str, str]:
    keys = {
        "sts:ExternalId": scene.params.get("ExternalId"),
        "sts:RoleSessionName": scene.params.get("RoleSessionName"),
        "sts:SourceIdentity": _source_identity(scene) or None,
    }
    return {key: value for key, value in keys.items() if value is not None}


def _source_identity(scene: Scene) -> str:
    held = scene.principal.session.source_identity if scene.principal.session else ""
    asked = str(scene.params.get("SourceIdentity", ""))
    if held and asked and held != asked:
        raise denied("query", scene.principal.arn, "sts:SetSourceIdentity")
    return held or asked


def _duration(scene: Scene, longest_s: int) -> int:
    asked = int(scene.params.get("DurationSeconds", CHAINED_SESSION_LIMIT_S))
    if asked < _SHORTEST_S:
        raise _invalid("durationSeconds", asked, f"have value greater than or equal to {_SHORTEST_S}")
    if scene.principal.session and scene.principal.kind == "role" and asked > CHAINED_SESSION_LIMIT_S:
        raise Refusal(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by "
            "role chaining",
        )
    if asked > longest_s:
        raise Refusal(
            "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        )
    return asked


def _check_session_policy(policy: str | None) -> None:
    if policy is None:
        return
    if len(policy) > SESSION_POLICY_LIMIT:
        raise _invalid("policy", policy[:40], f"have length less than or equal to {SESSION_POLICY_LIMIT}")
    try:
        json.loads(policy)
    except ValueError:
        raise Refusal("MalformedPolicyDocument", "Syntax errors in policy.") from None


def _check_name(field: str, value: str) -> None:
    if not _NAME.fullmatch(value):
        raise _invalid(field, value, "satisfy regular expression pattern: [\\w+=,.@-]*")


def _invalid(field: str, value: object, must: str) -> Refusal:
    return Refusal(
        "ValidationError",
        f"1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: "
        f"Member must {must}",
    )


def _credentials(session: Session) -> dict[str, Any]:
    return {
        "AccessKeyId": session.access_key_id,
        "SecretAccessKey": session.secret_access_key,
        "SessionToken": session.token,
        "Expiration": session.expiration,
    }


LAYER: Final = StrictLayer(
    answers={
        "sts:AssumeRole": assume_role,
        "sts:GetSessionToken": get_session_token,
        "sts:GetCallerIdentity": get_caller_identity,
        "sts:GetAccessKeyInfo": get_access_key_info,
    }
)
