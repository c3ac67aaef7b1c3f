"""Kinds of credentials, and what contains each: the table that ``aws.iam.route-credential`` answers from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal[
    "user-key",
    "user-session",
    "federated-user",
    "instance-role",
    "function-role",
    "task-role",
    "federated-role",
    "assumed-role",
    "identity-center",
    "service-linked-role",
    "root-key",
    "root-session",
    "service",
    "anonymous",
    "other-account",
    "unknown",
]
DEACTIVATE: Final = "aws.iam.deactivate-access-key"
QUARANTINE: Final = "aws.iam.quarantine-user"
REVOKE: Final = "aws.iam.revoke-role-sessions"
TRUST: Final = "aws.iam.restrict-role-trust"
PROFILE: Final = "aws.ec2.remove-instance-profile"
FIND: Final = "aws.iam.find-principal-changes"
ASSIGNMENT: Final = "aws.sso-admin.remove-account-assignment"
PERMISSION_SET: Final = "aws.sso-admin.revoke-permission-set-sessions"
SCP: Final = "aws.organizations.deny-account"

_NO_SWITCH: Final = "a temporary key has no off switch: UpdateAccessKey knows long-term keys only"
_NO_ISSUE_TIME: Final = "a long-term key has no aws:TokenIssueTime: the deny would never apply to it"
_NO_ROLE: Final = "the session is a user's: there is no role whose sessions could be revoked"
_NO_USER: Final = "the session is a role's: there is no user to deny anything to"
_ROOT: Final = "no policy of the account binds its root user; a service control policy does, in members"
_CENTER: Final = "Identity Center overwrites its roles' policies: act on the permission set"
_SERVICE: Final = "AWS lets nobody change a service-linked role"
_RENEWS: Final = "what still has the role fetches a new session at once: take it away first"


@dataclass(frozen=True, slots=True)
class Route:
    """How to contain one kind.

    Args:
        recommended: Ids of actions, in order.
        refused: Ids of actions that would do nothing, and why.
        advice: What no action can do.
    """

    recommended: tuple[str, ...] = ()
    refused: Mapping[str, str] | None = None
    advice: str = ""


_ROLE: Final = {DEACTIVATE: _NO_SWITCH, QUARANTINE: _NO_USER}
_ROOTS: Final = {DEACTIVATE: _ROOT, QUARANTINE: _ROOT, REVOKE: _ROOT}

ROUTES: Final[Mapping[Kind, Route]] = {
    "user-key": Route(
        (DEACTIVATE, QUARANTINE, FIND),
        {REVOKE: _NO_ISSUE_TIME},
        "sessions made with the key outlive it: only the deny on the user stops them",
    ),
    "user-session": Route(
        (QUARANTINE, FIND),
        {DEACTIVATE: _NO_SWITCH, REVOKE: _NO_ROLE},
        "deactivate the long-term key that made the session too: find it by the issuing event",
    ),
    "federated-user": Route(
        (QUARANTINE, FIND),
        {DEACTIVATE: _NO_SWITCH, REVOKE: _NO_ROLE},
        "the session has the permissions of the user who called GetFederationToken: deny those",
    ),
    "instance-role": Route(
        (PROFILE, REVOKE, FIND), _ROLE, f"isolate the instance as well; {_RENEWS}"
    ),
    "function-role": Route(
        (REVOKE, FIND), _ROLE, f"throttle the function to zero before: {_RENEWS}"
    ),
    "task-role": Route((REVOKE, FIND), _ROLE, f"stop the task before: {_RENEWS}"),
    "federated-role": Route(
        (TRUST, REVOKE, FIND),
        _ROLE,
        "disable the account at the identity provider: whoever signs in there again gets a new session",
    ),
    "assumed-role": Route(
        (TRUST, REVOKE, FIND),
        _ROLE,
        "contain who assumed the role as well: who may assume it gets a new session at once",
    ),
    "identity-center": Route(
        (ASSIGNMENT, PERMISSION_SET, FIND),
        {**_ROLE, REVOKE: _CENTER, TRUST: _CENTER},
        "disable the user in the identity source; sessions issued before live on until they are revoked",
    ),
    "service-linked-role": Route(
        (), {**_ROLE, REVOKE: _SERVICE, TRUST: _SERVICE}, "contain the resource that the service works for"
    ),
    "root-key": Route(
        (SCP,), _ROOTS, "page the account's owner: delete the key, change password and MFA of the root user"
    ),
    "root-session": Route(
        (SCP,), _ROOTS, "page the account's owner: change password and MFA of the root user"
    ),
    "service": Route(advice="an AWS service called on somebody's behalf: look for who asked it to"),
    "anonymous": Route(
        refused={DEACTIVATE: "there are no credentials"},
        advice="no credentials were used: close the resource that is open to everybody",
    ),
    "other-account": Route(
        refused={
            DEACTIVATE: "the key is another account's", QUARANTINE: "the user is another account's",
            REVOKE: "the role is another account's",
        },
        advice="take the other account's access away at the resource, and tell its owner",
    ),
    "unknown": Route(advice="nothing is known of these credentials: a person must look"),
}  # fmt: skip
