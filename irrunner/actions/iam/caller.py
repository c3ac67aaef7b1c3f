"""Who a caller is: from what AWS says of a key, and only then from what a finding says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from irrunner.actions.contract import LookContext, Model
from irrunner.actions.iam.trail import KEPT, Event, lookup, regions_of
from irrunner.errors import ActionDenied, CredentialsInvalid, InvalidCall, TargetNotFound

ARN: Final = re.compile(
    r"arn:[^:]+:(?P<service>iam|sts)::(?P<account>\d{12}):"
    r"(?P<kind>root|user|role|assumed-role|federated-user)(?:/(?P<rest>.+))?"
)
ISSUING: Final = frozenset(
    {
        "AssumeRole",
        "AssumeRoleWithSAML",
        "AssumeRoleWithWebIdentity",
        "AssumeRoot",
        "GetFederationToken",
        "GetSessionToken",
    }
)
ANONYMOUS: Final = frozenset({"ANONYMOUS_PRINCIPAL", "anonymous"})
ROOT_NAMES: Final = frozenset({"", "<root_account>", "root"})
_TYPES: Final = {"user": "IAMUser", "role": "AssumedRole", "assumed-role": "AssumedRole", "root": "Root"}


class Caller(Model):
    """A caller, as far as it is known."""

    type: str = ""
    """CloudTrail's word: ``IAMUser AssumedRole FederatedUser Root AWSService AWSAccount Anonymous``."""
    account_id: str = ""
    name: str = ""
    """Of the user or role; of a federated user: the user who made the session."""
    session_name: str = ""
    """Chosen by whoever assumed the role: a hint, no fact."""
    issued_by: str = ""
    """The event that issued the session, where it was found."""
    issuer: str = ""
    """The principal that asked for the session, or the service: for people to read."""
    service: str = ""
    """The AWS service that asked for the session, where AWS says that one did."""
    source_key_id: str = ""
    """The key with which the session was asked for."""
    on_instance: bool = False
    """AWS says that the session was delivered to an instance."""
    by_aws: bool = False
    """Whether AWS said who it is; else it is the finding's word."""
    events: tuple[str, ...] = ()
    """Ids of the events that this rests on."""


def claimed(arn: str, user_type: str, user_name: str, principal_id: str) -> Caller:
    """Return the caller as a finding names it."""
    if user_name in ANONYMOUS or principal_id in ANONYMOUS:
        return Caller(type="Anonymous")
    session = principal_id.partition(":")[2]
    named = ARN.fullmatch(arn)
    if named is None:
        kind = {"Role": "AssumedRole"}.get(user_type, user_type)
        return Caller(type=kind, name=user_name, session_name=session)
    rest = named["rest"] or ""
    if named["kind"] == "assumed-role":
        name, _, session = rest.partition("/")
    else:
        name = rest.rpartition("/")[2]
    kind = _TYPES.get(named["kind"], "FederatedUser")
    return Caller(type=kind, account_id=named["account"], name=name, session_name=session)


def known_by_key(ctx: LookContext, key_id: str, claim: Caller) -> Caller:
    """Return who holds a key, by what AWS says; what it does not say is taken from the claim."""
    account = account_of(ctx, key_id)
    if account and account != ctx.where.account_id:
        return Caller(type="AWSAccount", account_id=account, by_aws=True)
    if key_id.startswith("AKIA"):
        return _long_term(ctx, key_id, claim, account)
    return _session(ctx, key_id, claim, account)


def account_of(ctx: LookContext, key_id: str) -> str:
    """Return the account of a key, empty where STS does not know it."""
    try:
        return str(ctx.api.call("sts:GetAccessKeyInfo", AccessKeyId=key_id)["Account"])
    except (ActionDenied, InvalidCall, TargetNotFound):
        return ""


def _long_term(ctx: LookContext, key_id: str, claim: Caller, account: str) -> Caller:
    try:
        answer = ctx.api.call("iam:GetAccessKeyLastUsed", AccessKeyId=key_id)
    except (ActionDenied, TargetNotFound):  # what AWS says of a key that was deleted, too
        if not account:
            raise
        kind = claim.type if claim.type == "Root" else "IAMUser"  # nobody else has long-term keys
        return claim.model_copy(update={"type": kind, "account_id": account, "session_name": ""})
    name = str(answer.get("UserName") or "")
    kind = "Root" if name in ROOT_NAMES else "IAMUser"
    return Caller(type=kind, account_id=account, name="" if kind == "Root" else name, by_aws=True)


def _session(ctx: LookContext, key_id: str, claim: Caller, account: str) -> Caller:
    """Read what the session did, and who asked for it, from CloudTrail."""
    did = _first(ctx, ("AccessKeyId", key_id))
    issued = _first(ctx, ("ResourceName", key_id), issuing=key_id)
    caller = claim.model_copy(update={"account_id": account or claim.account_id})
    if did is not None:
        caller = _by_identity(did.identity, claim)
    elif issued is not None:
        caller = _by_issue(issued, claim)
    if issued is None:
        return caller
    return caller.model_copy(
        update={
            "issued_by": issued.name,
            "issuer": str(
                issued.identity.get("invokedBy")
                or issued.identity.get("arn")
                or issued.identity.get("userName")
                or ""
            ),
            "service": service_of(issued),
            "source_key_id": issued.text("userIdentity", "accessKeyId"),
            "events": (*caller.events, issued.text("eventID")),
        }
    )


def service_of(event: Event) -> str:
    """Return the AWS service that called by itself; a user of an identity provider may be named like one."""
    own = event.identity.get("type") == "AWSService"
    return str(event.identity.get("invokedBy") or "") if own else ""


def _first(ctx: LookContext, attribute: tuple[str, str], issuing: str = "") -> Event | None:
    """Return the latest event of an attribute, that of the issue of a session where one is asked for."""
    for region in regions_of(ctx):
        try:
            events = lookup(ctx, region, attribute, ctx.now - KEPT + timedelta(minutes=1), 50).events
        except (ActionDenied, CredentialsInvalid):
            if region == ctx.where.region:
                raise
            continue
        for event in events:
            if issuing and not _issues(event, issuing):
                continue
            if not issuing and event.identity.get("accessKeyId") != attribute[1]:
                continue
            return event
    return None


def _issues(event: Event, key_id: str) -> bool:
    own = event.source == "sts.amazonaws.com" and event.name in ISSUING and not event.error
    return own and event.text("responseElements", "credentials", "accessKeyId") == key_id


def _by_identity(identity: Mapping[str, Any], claim: Caller) -> Caller:
    """Return the caller of ``userIdentity``, which AWS writes; the session's name in it is the caller's."""
    context = identity.get("sessionContext") or {}
    issuer = context.get("sessionIssuer") or {}
    kind = str(identity.get("type") or "")
    if kind == "FederatedUser" and issuer.get("type") == "Root":
        kind = "Root"  # GetFederationToken, called by the root user
    principal = str(identity.get("principalId") or "")
    name = issuer.get("userName") if kind in {"AssumedRole", "FederatedUser"} else identity.get("userName")
    return Caller(
        type=kind,
        account_id=str(identity.get("accountId") or claim.account_id),
        name=str(name or ""),
        session_name=principal.partition(":")[2] if kind == "AssumedRole" else "",
        on_instance=bool(context.get("ec2RoleDelivery")),
        by_aws=True,
    )


def _by_issue(event: Event, claim: Caller) -> Caller:
    """Return the caller by the event that issued the session, which has done nothing yet."""
    if event.name == "GetSessionToken":
        found = _by_identity(event.identity, claim)
        return found.model_copy(update={"session_name": ""})
    if event.name == "GetFederationToken":
        found = _by_identity(event.identity, claim)
        return found if found.type == "Root" else found.model_copy(update={"type": "FederatedUser"})
    if event.name == "AssumeRoot":
        return Caller(type="Root", account_id=claim.account_id, by_aws=True)
    named = ARN.fullmatch(event.text("requestParameters", "roleArn"))
    return Caller(
        type="AssumedRole",
        account_id=named["account"] if named else claim.account_id,
        name=(named["rest"] or "").rpartition("/")[2] if named else claim.name,
        session_name=event.text("requestParameters", "roleSessionName"),
        by_aws=named is not None,
    )
