"""The inline session policy: a step's permissions as text that STS accepts.

A session policy only narrows: what a session may do is the intersection of this text and the role's own
policies. So it may be broadened to fit the limit, but an action may never be dropped from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from irrunner.actions.contract import Permission
from irrunner.errors import InvalidCall

LIMIT_CHARACTERS = 2_047
"""Just under the 2,048 characters of the STS API."""

Grants: TypeAlias = dict[tuple[str, str], frozenset[str]]
"""(IAM action, canonical condition block) to the resources on which it is allowed."""

_BRACE = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_LITERAL = {"*": "${*}", "?": "${?}", "$": "${$}"}
_ARN_PARTS = 6
_DENY_ALL = '{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}'


def session_policy(
    permissions: Iterable[Permission], values: Mapping[str, str], *, limit: int = LIMIT_CHARACTERS
) -> str:
    """Return the session policy that allows exactly the permissions, or as little more as fits.

    The text names ARNs while it stays within the limit. Else resources are broadened, action by action
    and longest first: to all resources of the type, then of the service in this account and Region, then
    to ``*`` under an account condition; at last action names are cut to their verb. Without permissions
    it denies everything.

    Args:
        permissions: What the session may do; the caller has chosen the scope.
        values: Fill the braces of resource patterns; must hold ``partition``, ``region`` and ``account``.
        limit: Longest text, in characters.

    Returns:
        Compact JSON.

    Raises:
        InvalidCall: If even the broadest text is too long (some 60 services in one step).

    Source: STS API reference, AssumeRole, parameter Policy (2,048 characters); IAM user guide, "IAM
        policy elements: variables" for ``${*}``.
    """
    exact = grants_of(permissions, values)
    if not exact:
        return _DENY_ALL
    text = ""
    for grants in _ever_broader(exact, values):
        text = _render(grants)
        if len(text) <= limit:
            return text
    raise InvalidCall(
        f"a session policy for {len(exact)} permissions needs {len(text)} characters, {limit} are allowed",
        hint="split the step",
    )


def resource(pattern: str, values: Mapping[str, str]) -> str:
    """Fill the braces of a resource pattern; an unknown or empty value is ``*``.

    Values come from findings: wildcards and variables in them are made literal, and what IAM does not
    allow in a policy becomes ``?``.

    Args:
        pattern: ``arn:{partition}:ec2:{region}:{account}:instance/{instance_id}``.
        values: Brace name to value.
    """
    return _BRACE.sub(lambda brace: _literal(values.get(brace[1], "")) or "*", pattern)


def _literal(value: str) -> str:
    return "".join(_LITERAL.get(c, c) if " " < c <= "~" and c not in '"\\' else "?" for c in value)


def grants_of(permissions: Iterable[Permission], values: Mapping[str, str]) -> Grants:
    """Return the permissions as grants: each action, under each condition, with its resources."""
    grants: Grants = {}
    for permission in permissions:
        conditions = json.dumps(
            {
                operator: {key: resource(text, values) for key, text in block.items()}
                for operator, block in permission.conditions.items()
            },
            sort_keys=True,
        )
        key = (permission.action, conditions)
        grants[key] = grants.get(key, frozenset()) | {resource(permission.resource, values)}
    return {key: frozenset("*") if "*" in found else found for key, found in grants.items()}


def _ever_broader(exact: Grants, values: Mapping[str, str]) -> Iterator[Grants]:
    grants = dict(exact)
    yield grants
    for broaden in (_all_of_type, _all_of_service):
        for key in sorted(grants, key=lambda key: (-sum(map(len, grants[key])), key)):
            grants[key] = frozenset(map(broaden, grants[key]))
            yield grants
    grants = _anywhere_in_account(grants, values)
    yield grants
    yield _with_actions(grants, _verb)
    yield _with_actions(grants, _service)


def _all_of_type(arn: str) -> str:
    """``...:instance/i-1`` to ``...:instance/*``; what has no type keeps its shape."""
    head, slash, _ = arn.partition("/")
    return f"{head}/*" if slash else arn


def _all_of_service(arn: str) -> str:
    """``arn:aws:ec2:us-east-1:1:instance/i-1`` to ``arn:aws:ec2:us-east-1:1:*``."""
    parts = arn.split(":", _ARN_PARTS - 1)
    return ":".join([*parts[:-1], "*"]) if len(parts) == _ARN_PARTS else arn


def _anywhere_in_account(grants: Grants, values: Mapping[str, str]) -> Grants:
    """Any resource, held to the account by a condition where AWS gives its key.

    The Region cannot be a condition here: global services (IAM) are called in another one.
    """
    account = resource("{account}", values)
    wide: Grants = {}
    for (action, conditions), found in grants.items():
        block: dict[str, Any] = json.loads(conditions)
        if found != frozenset("*") and account != "*":
            if_exists = block.setdefault("StringEqualsIfExists", {})
            if_exists.setdefault("aws:ResourceAccount", account)
        wide[action, json.dumps(block, sort_keys=True)] = frozenset("*")
    return wide


def _with_actions(grants: Grants, cut: Callable[[str], str]) -> Grants:
    return {(cut(action), conditions): found for (action, conditions), found in grants.items()}


def _verb(action: str) -> str:
    """``ec2:DescribeInstances`` to ``ec2:Describe*``."""
    return re.sub(r"(:[A-Z][a-z]+)[A-Z].*$", r"\1*", action)


def _service(action: str) -> str:
    return f"{action.partition(':')[0]}:*"


def _render(grants: Grants) -> str:
    document = {"Version": "2012-10-17", "Statement": _one_or_all(statements_of(grants))}
    return json.dumps(document, separators=(",", ":"))


def statements_of(grants: Grants) -> list[dict[str, Any]]:
    """Return policy statements, one for each set of resources and conditions."""
    actions: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for (action, conditions), found in sorted(grants.items()):
        actions.setdefault((tuple(sorted(found)), conditions), []).append(action)
    return [_statement(*key, names) for key, names in actions.items()]


def _statement(resources: tuple[str, ...], conditions: str, actions: Sequence[str]) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Action": _one_or_all(actions),
        "Resource": _one_or_all(resources),
    }
    block = json.loads(conditions)
    return {**statement, "Condition": block} if block else statement


def _one_or_all(items: Sequence[Any]) -> Any:
    return items[0] if len(items) == 1 else list(items)
