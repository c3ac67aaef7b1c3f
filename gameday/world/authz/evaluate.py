"""One request against all policies that bear on it, in the order that AWS documents.

An explicit denial anywhere ends it. Then each layer that is there must allow: service control policies at
every level, the permissions boundary, the session policy, and the identity's own policies or, within one
account, a resource policy that names the caller. Pure.

Source: IAM user guide, "Policy evaluation logic" and "Cross-account policy evaluation logic".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from gameday.world.authz.conditions import conditions_hold
from gameday.world.authz.documents import Context, Statement, statements


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, by the names that resource policies know."""

    account: str
    arn: str
    """Of the user, or of the session of a role."""
    issuer_arn: str
    """Of the user or role behind it."""


@dataclass(frozen=True, slots=True)
class Policies:
    """Everything that bears on a request.

    Args:
        identity: Inline and attached policies of the user or role.
        boundary: Permissions boundary.
        session: Session policies; None: the session has none.
        scps: Service control policies, one tuple for each level from the root down.
        resource: The resource's own policy.
        resource_account: Whose the resource is.
        resource_decides: Whether nothing is allowed that the resource's policy does not allow or delegate
            (KMS keys, roles to be assumed).
    """

    identity: tuple[str, ...]
    boundary: str | None = None
    session: tuple[str, ...] | None = None
    scps: tuple[tuple[str, ...], ...] = ()
    resource: str | None = None
    resource_account: str = ""
    resource_decides: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """One action on one resource."""

    action: str
    resource: str
    """An ARN, or ``*`` where the action has no resources."""
    caller: Caller
    context: Context


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it is allowed, and why not, in AWS's own words."""

    allowed: bool
    because: str = ""
    denied: bool = False
    """Whether it is denied outright, and not only allowed by nobody."""


class _Named(IntEnum):
    """How directly a resource policy names the caller."""

    NOT = 0
    ACCOUNT = 1
    """Its account: the account's own policies decide."""
    ROLE = 2
    """The role behind the session, or everybody: a session policy and a boundary still limit it."""
    CALLER = 3
    """The user or session itself."""


def evaluate(asked: Asked, policies: Policies) -> Verdict:
    """Return whether a request is allowed."""
    denied_by = next(_denials(asked, policies), "")
    if denied_by:
        return Verdict(allowed=False, because=f"with an explicit deny in {denied_by}", denied=True)
    if not all(_allowed(level, asked) for level in policies.scps):
        return _none("service control policy", asked)
    named = _named_by_resource(asked, policies.resource)
    within = policies.resource_account in {"", asked.caller.account}
    if policies.resource_decides and named is _Named.NOT:
        return _none("resource-based policy", asked)
    if within and named is _Named.CALLER:
        return Verdict(allowed=True)
    if not within and named is _Named.NOT:
        return _none("resource-based policy", asked)
    return _own_policies(asked, policies, granted=within and named is _Named.ROLE)


def _own_policies(asked: Asked, policies: Policies, *, granted: bool) -> Verdict:
    """Ask the caller's side; ``granted``: the resource names the role, which spares an identity policy."""
    if policies.boundary is not None and not _allowed((policies.boundary,), asked):
        return _none("permissions boundary", asked)
    if policies.session is not None and not _allowed(policies.session, asked):
        return _none("session policy", asked)
    if not granted and not _allowed(policies.identity, asked):
        return _none("identity-based policy", asked)
    return Verdict(allowed=True)


def _none(kind: str, asked: Asked) -> Verdict:
    return Verdict(allowed=False, because=f"because no {kind} allows the {asked.action} action")


def _denials(asked: Asked, policies: Policies) -> Iterator[str]:
    layers: tuple[tuple[str, Iterable[str]], ...] = (
        ("a service control policy", (text for level in policies.scps for text in level)),
        ("a resource-based policy", (policies.resource,) if policies.resource else ()),
        ("a permissions boundary", (policies.boundary,) if policies.boundary else ()),
        ("a session policy", policies.session or ()),
        ("an identity-based policy", policies.identity),
    )
    for name, documents in layers:
        for statement in _speaking(documents, asked):
            if statement.effect == "Deny" and _concerns(statement, asked.caller) is not _Named.NOT:
                yield name


def _allowed(documents: Iterable[str], asked: Asked) -> bool:
    return any(statement.effect == "Allow" for statement in _speaking(documents, asked))


def _speaking(documents: Iterable[str], asked: Asked) -> Iterator[Statement]:
    """Yield the statements whose action, resource and conditions fit."""
    for document in documents:
        for statement in statements(document):
            if (
                statement.covers_action(asked.action)
                and statement.covers_resource(asked.resource, asked.context)
                and conditions_hold(statement.conditions, asked.context)
            ):
                yield statement


def _named_by_resource(asked: Asked, document: str | None) -> _Named:
    if document is None:
        return _Named.NOT
    allowing = (s for s in _speaking((document,), asked) if s.effect == "Allow")
    return max((_concerns(statement, asked.caller) for statement in allowing), default=_Named.NOT)


def _concerns(statement: Statement, caller: Caller) -> _Named:
    """Return how a statement names the caller; a statement without principals is its owner's."""
    if statement.not_principals is not None:
        excepted = _among(statement.not_principals.get("AWS", ()), caller)
        return _Named.NOT if excepted is not _Named.NOT else _Named.ROLE
    if statement.principals is None:
        return _Named.ROLE
    return _among(statement.principals.get("AWS", ()), caller)


def _among(names: Iterable[str], caller: Caller) -> _Named:
    return max((_name(name, caller) for name in names), default=_Named.NOT)


def _name(name: str, caller: Caller) -> _Named:
    if name == caller.arn:
        return _Named.CALLER
    if name in {"*", caller.issuer_arn}:
        return _Named.ROLE
    if name == caller.account or name.endswith(f":iam::{caller.account}:root"):
        return _Named.ACCOUNT
    return _Named.NOT
