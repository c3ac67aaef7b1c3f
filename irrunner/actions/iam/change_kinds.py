"""What an event of CloudTrail says was made or changed: one table, read by ``find-principal-changes``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from irrunner.actions.iam.trail import Event

Kind: TypeAlias = Literal[
    "user",
    "access-key",
    "login-profile",
    "role",
    "role-trust",
    "policy",
    "credential",
    "identity-provider",
    "mfa-device",
    "instance",
    "function",
    "session",
    "console-login",
    "defence",
]


@dataclass(frozen=True, slots=True)
class Rule:
    """How to read one kind of event.

    Args:
        kind: What it made or changed.
        names: Paths in the record, of which the first that holds a text names the resource.
        owner: Path of the user or role that has it, for keys and sessions.
        items: Path of a list and the key of the names in it, where there are several.
    """

    kind: Kind
    names: tuple[tuple[str, ...], ...] = ()
    owner: tuple[str, ...] = ()
    items: tuple[str, tuple[str, ...]] | None = None


def _asked(*names: str) -> tuple[tuple[str, ...], ...]:
    return tuple(("requestParameters", name) for name in names)


_USER: Final = _asked("userName")
_ROLE: Final = _asked("roleName")
_SESSION: Final = Rule(
    "session", (("responseElements", "credentials", "accessKeyId"),), ("requestParameters", "roleArn")
)
_POLICY: Final = Rule("policy", _asked("userName", "roleName", "groupName", "policyArn", "policyName"))
_DEFENCE: Final = Rule(
    "defence", _asked("name", "trailName", "detectorId", "bucketName", "keyId", "policyId")
)
_CREDENTIAL: Final = Rule("credential", _USER)

RULES: Final[Mapping[str, Rule]] = {
    "iam:CreateUser": Rule("user", _USER),
    "iam:CreateAccessKey": Rule(
        "access-key",
        (("responseElements", "accessKey", "accessKeyId"),),
        ("responseElements", "accessKey", "userName"),
    ),
    "iam:CreateLoginProfile": Rule("login-profile", _USER),
    "iam:UpdateLoginProfile": Rule("login-profile", _USER),
    "iam:CreateRole": Rule("role", _ROLE),
    "iam:UpdateAssumeRolePolicy": Rule("role-trust", _ROLE),
    **dict.fromkeys(
        (
            "iam:AddUserToGroup", "iam:AttachGroupPolicy", "iam:AttachRolePolicy", "iam:AttachUserPolicy",
            "iam:CreatePolicyVersion", "iam:DeleteRolePermissionsBoundary",
            "iam:DeleteUserPermissionsBoundary", "iam:DetachRolePolicy", "iam:DetachUserPolicy",
            "iam:PutGroupPolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy",
            "iam:PutUserPermissionsBoundary", "iam:PutUserPolicy", "iam:SetDefaultPolicyVersion",
        ),
        _POLICY,
    ),
    "iam:CreateServiceSpecificCredential": _CREDENTIAL,
    "iam:UploadSSHPublicKey": _CREDENTIAL,
    "iam:UploadSigningCertificate": _CREDENTIAL,
    "iam:CreateOpenIDConnectProvider": Rule("identity-provider", _asked("url")),
    "iam:CreateSAMLProvider": Rule("identity-provider", _asked("name")),
    "iam:UpdateSAMLProvider": Rule("identity-provider", _asked("sAMLProviderArn")),
    "iam:EnableMFADevice": Rule("mfa-device", _asked("serialNumber"), ("requestParameters", "userName")),
    "iam:DeactivateMFADevice": Rule("mfa-device", _asked("serialNumber"), ("requestParameters", "userName")),
    "ec2:RunInstances": Rule(
        "instance", items=("instanceId", ("responseElements", "instancesSet", "items"))
    ),
    "lambda:CreateFunction20150331": Rule("function", _asked("functionName")),
    "lambda:CreateFunction": Rule("function", _asked("functionName")),
    **dict.fromkeys(
        (
            "sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity",
            "sts:GetFederationToken", "sts:GetSessionToken",
        ),
        _SESSION,
    ),
    "signin:ConsoleLogin": Rule("console-login", (("userIdentity", "userName"), ("userIdentity", "arn"))),
    **dict.fromkeys(
        (
            "cloudtrail:DeleteTrail", "cloudtrail:PutEventSelectors", "cloudtrail:StopLogging",
            "cloudtrail:UpdateTrail", "guardduty:DeleteDetector", "guardduty:UpdateDetector",
            "kms:DisableKey", "kms:ScheduleKeyDeletion", "organizations:DetachPolicy",
        ),
        _DEFENCE,
    ),
}  # fmt: skip
"""``service:EventName`` to its rule. ``CreateFunction20150331`` is how CloudTrail names it.

Source: Lambda developer guide, "Logging AWS Lambda API calls using AWS CloudTrail".
"""


@dataclass(frozen=True, slots=True)
class Made:
    """One thing that an event made or changed."""

    kind: Kind
    name: str
    owner: str


def rule_of(event: Event) -> Rule | None:
    """Return the rule of an event, None where it is of no interest here."""
    return RULES.get(f"{event.source.partition('.')[0]}:{event.name}")


def made_by(event: Event) -> tuple[Made, ...]:
    """Return what an event made or changed; nothing for a call that was refused."""
    rule = rule_of(event)
    if rule is None or event.error:
        return ()
    if event.name == "ConsoleLogin" and event.text("responseElements", "ConsoleLogin") == "Failure":
        return ()
    owner = event.text(*rule.owner) if rule.owner else ""
    if rule.items:
        key, path = rule.items
        return tuple(Made(rule.kind, name, owner) for name in event.texts(key, *path))
    name = next((text for path in rule.names if (text := event.text(*path))), "")
    name = name or str(event.identity.get("userName") or "")
    return (Made(rule.kind, name, owner),)
