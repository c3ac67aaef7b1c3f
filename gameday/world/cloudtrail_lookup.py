"""CloudTrail's event history, which moto lacks: ``LookupEvents``, answered from the world's own calls.

Source: CloudTrail API reference, LookupEvents (one attribute, 50 events a page, 90 days, newest first);
CloudTrail user guide, "CloudTrail record contents" and "Viewing events with CloudTrail Event history"
(management events only; events of global services are those of us-east-1).
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gameday.world.calls import Call
from gameday.world.identity import Principal, access_key_owner
from gameday.world.refusals import Refusal, Reply
from gameday.world.services import Realm, Scene, StrictLayer
from irrunner.aws.operations import IAM_PREFIX
from irrunner.clock import parse_iso

MOST_RESULTS: Final = 50
DAYS_KEPT: Final = timedelta(days=90)
GLOBAL_REGION: Final = "us-east-1"
_GLOBAL: Final = frozenset({"iam", "organizations", "route53", "cloudfront"})
_DATA_EVENTS: Final = re.compile(
    r"s3:(Get|Put|Head|Delete|Copy|List)Object.*|s3:(UploadPart|CompleteMultipartUpload)|lambda:Invoke"
    r"|dynamodb:(Get|Put|Update|Delete|Query|Scan|Batch)(Item.*|)|ebs:.*Block.*|sns:Publish|sqs:.*Message"
)
_READ_VERBS: Final = re.compile(r"(Describe|Get|List|Lookup|Head|Search|BatchGet|Simulate|Assume)")
_MADE: Final[Mapping[str, tuple[bytes, ...]]] = {
    "iam:CreateAccessKey": (rb"<AccessKeyId>(AKIA[A-Z0-9]+)<",),
    "iam:CreateVirtualMFADevice": (rb"<SerialNumber>([^<]+)<",),
    "iam:CreatePolicy": (rb"<Arn>([^<]+)<",),
    "ec2:RunInstances": (rb"<instanceId>(i-[0-9a-f]+)<",),
    "sts:AssumeRole": (rb"<AccessKeyId>(ASIA[A-Z0-9]+)<", rb"<AssumedRoleId>([^<]+)<"),
    "sts:GetSessionToken": (rb"<AccessKeyId>(ASIA[A-Z0-9]+)<",),
}
_RESOURCES: Final[Mapping[str, str]] = {
    "UserName": "AWS::IAM::User",
    "RoleName": "AWS::IAM::Role",
    "RoleArn": "AWS::IAM::Role",
    "AccessKeyId": "AWS::IAM::AccessKey",
    "PolicyArn": "AWS::IAM::Policy",
    "PolicyName": "AWS::IAM::Policy",
    "SerialNumber": "AWS::IAM::MfaDevice",
    "GroupName": "AWS::IAM::Group",
    "InstanceId": "AWS::EC2::Instance",
    "Name": "AWS::CloudTrail::Trail",
}
"""Parameters that name a resource, and its type."""


def made_by(operation: str, reply: Reply | None) -> tuple[str, ...]:
    """Return the ids that an answer names, as far as CloudTrail shows them; never a secret."""
    if reply is None or reply.error is not None:
        return ()
    return tuple(
        found.decode()
        for pattern in _MADE.get(operation, ())
        for found in dict.fromkeys(re.findall(pattern, reply.body))
    )


def lookup_events(scene: Scene) -> Mapping[str, Any]:
    """Answer a page of the event history of the caller's account and Region."""
    params = scene.params
    size = int(params.get("MaxResults") or MOST_RESULTS)
    if not 1 <= size <= MOST_RESULTS:
        raise Refusal("InvalidMaxResultsException", f"MaxResults must be between 1 and {MOST_RESULTS}.")
    start, end = _window(scene)
    wanted = _attribute(params.get("LookupAttributes") or [])
    events = [
        event
        for call in reversed(scene.realm.log.all())
        if _is_shown(call, scene.account, scene.region) and start <= parse_iso(call.time) <= end
        if wanted(event := event_of(call, scene.realm))
    ]
    first = _position(params.get("NextToken"), params)
    page = events[first : first + size]
    more = {"NextToken": _token(first + size, params)} if first + size < len(events) else {}
    return {"Events": page, **more}


def event_of(call: Call, realm: Realm) -> dict[str, Any]:
    """Return a call as CloudTrail's event."""
    service, _, name = call.operation.partition(":")
    who = _identity(call, realm)
    source = f"{IAM_PREFIX.get(service, service)}.amazonaws.com"
    read_only = _READ_VERBS.match(name) is not None
    ident = _uuid(f"event {call.seq}")
    record = {
        "eventVersion": "1.11",
        "userIdentity": who,
        "eventTime": _seconds(call.time),
        "eventSource": source,
        "eventName": name,
        "awsRegion": _region_of(call),
        "sourceIPAddress": "198.51.100.7",
        "userAgent": "aws-cli/2.0",
        **({"errorCode": _error(call.error)} if call.error else {}),
        "requestParameters": {_lower(key): value for key, value in call.params.items()} or None,
        "responseElements": _response(call),
        "requestID": _uuid(f"request {call.seq}"),
        "eventID": ident,
        "readOnly": read_only,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": call.account,
        "eventCategory": "Management",
    }
    return {
        "EventId": ident,
        "EventName": name,
        "ReadOnly": str(read_only).lower(),
        "AccessKeyId": call.access_key_id,
        "EventTime": parse_iso(call.time),
        "EventSource": source,
        "Username": _username(call),
        "Resources": _resources(call),
        "CloudTrailEvent": json.dumps(record),
    }


def _is_shown(call: Call, account: str, region: str) -> bool:
    return (
        call.account == account
        and _region_of(call) == region
        and call.fault != "lost-before-effect"
        and _DATA_EVENTS.fullmatch(call.operation) is None
    )


def _region_of(call: Call) -> str:
    return GLOBAL_REGION if call.operation.partition(":")[0] in _GLOBAL else call.region


def _window(scene: Scene) -> tuple[datetime, datetime]:
    now = scene.realm.clock.now()
    start = _moment(scene.params.get("StartTime")) or now - DAYS_KEPT
    end = _moment(scene.params.get("EndTime")) or now
    if start > end:
        raise Refusal("InvalidTimeRangeException", "The start time must be before the end time.")
    return max(start, now - DAYS_KEPT), min(end, now - timedelta(seconds=scene.realm.trail_delay_s))


def _moment(value: Any) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.fromtimestamp(float(value), UTC)


def _attribute(attributes: list[Mapping[str, str]]) -> Callable[[Mapping[str, Any]], bool]:
    if len(attributes) > 1:
        raise Refusal("InvalidLookupAttributesException", "You can only specify one lookup attribute.")
    if not attributes:
        return lambda _: True
    key, value = attributes[0]["AttributeKey"], attributes[0]["AttributeValue"]
    if key in {"ResourceName", "ResourceType"}:
        return lambda event: any(item[key] == value for item in event["Resources"])
    if key not in {"EventId", "EventName", "ReadOnly", "Username", "EventSource", "AccessKeyId"}:
        raise Refusal("InvalidLookupAttributesException", f"Unknown lookup attribute {key}.")
    return lambda event: bool(event[key] == value)


def _token(position: int, params: Mapping[str, Any]) -> str:
    return f"{position}-{_digest(params)}"


def _position(token: str | None, params: Mapping[str, Any]) -> int:
    if not token:
        return 0
    position, _, digest = token.partition("-")
    if digest != _digest(params) or not position.isdecimal():
        raise Refusal("InvalidNextTokenException", "A token of other parameters, or no token.")
    return int(position)


def _digest(params: Mapping[str, Any]) -> str:
    told = {key: str(value) for key, value in params.items() if key != "NextToken"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _identity(call: Call, realm: Realm) -> dict[str, Any]:
    session = realm.sessions.find(call.access_key_id)
    common = {"arn": call.principal, "accountId": call.account, "accessKeyId": call.access_key_id}
    if session is None:
        owner = access_key_owner(call.access_key_id)
        ident = owner[1].id if owner else ""
        return {"type": "IAMUser", "principalId": ident, **common, "userName": _username(call)}
    if session.kind == "user":
        return {"type": "IAMUser", "principalId": session.user_id, **common, "userName": session.name}
    return {
        "type": "AssumedRole",
        "principalId": session.user_id,
        **common,
        "sessionContext": {"sessionIssuer": _issuer(session), "attributes": {"mfaAuthenticated": "false"}},
    }


def _issuer(session: Principal) -> dict[str, str]:
    arn = session.session.issuer_arn if session.session else ""
    ident = session.user_id.partition(":")[0]
    name = {"accountId": session.account, "userName": session.name}
    return {"type": "Role", "principalId": ident, "arn": arn, **name}


def _username(call: Call) -> str:
    """Return the user's name, or the session's: whoever assumes a role chooses it."""
    return call.principal.rpartition("/")[2]


def _response(call: Call) -> dict[str, Any] | None:
    if call.error or (not call.mutating and not call.operation.startswith("sts:")):
        return None
    made, params = call.made, call.params
    name = call.operation.partition(":")[2]
    if call.operation == "iam:CreateAccessKey" and made:
        owner = params.get("UserName") or _username(call)
        return {"accessKey": {"userName": owner, "accessKeyId": made[0], "status": "Active"}}
    if call.operation == "ec2:RunInstances":
        return {"instancesSet": {"items": [{"instanceId": ident} for ident in made]}}
    if call.operation.startswith("sts:") and made:
        return {"credentials": {"accessKeyId": made[0]}}
    if name == "CreateVirtualMFADevice" and made:
        return {"virtualMFADevice": {"serialNumber": made[0]}}
    return None


def _resources(call: Call) -> list[dict[str, str]]:
    named = [
        {"ResourceType": kind, "ResourceName": str(call.params[key])}
        for key, kind in _RESOURCES.items()
        if isinstance(call.params.get(key), str)
    ]
    kinds = {"AKIA": "AWS::IAM::AccessKey", "ASIA": "AWS::IAM::AccessKey", "AROA": "AWS::STS::AssumedRole"}
    made = [
        {"ResourceType": kinds.get(ident[:4], "AWS::EC2::Instance"), "ResourceName": ident}
        for ident in call.made
    ]
    return named + made


def _error(code: str) -> str:
    return "Client.UnauthorizedOperation" if code == "UnauthorizedOperation" else code


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _seconds(time: str) -> str:
    return parse_iso(time).strftime("%Y-%m-%dT%H:%M:%SZ")


def _uuid(text: str) -> str:
    return str(uuid.UUID(hashlib.sha256(text.encode()).hexdigest()[:32]))


LAYER: Final = StrictLayer(answers={"cloudtrail:LookupEvents": lookup_events})
