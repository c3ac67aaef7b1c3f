"""What the world reads in IAM policy documents: trust, key policies, and explicit denials.

Not the whole of IAM: allow statements of identities are not evaluated. A condition that is not understood
never grants anything and never denies anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

Context = Mapping[str, str]
"""Condition keys in lower case, with the request's values."""


def statements(document: str | Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the statements of a policy document; none if it cannot be read."""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            return []
    if not isinstance(document, Mapping):
        return []
    return [item for item in _as_list(document.get("Statement")) if isinstance(item, dict)]


def allows(document: str | None, action: str, principal: str, account: str, context: Context) -> bool:
    """Return whether a resource policy (trust or key policy) allows a principal.

    Args:
        document: The policy.
        action: ``sts:AssumeRole``.
        principal: ARN of the caller (of its role, for a session).
        account: The caller's account.
        context: Condition keys.
    """
    return any(
        statement.get("Effect") == "Allow"
        and _action_matches(statement, action)
        and _names_principal(statement.get("Principal"), principal, account)
        and conditions_hold(statement, context)
        for statement in statements(document)
    )


def denies(documents: Iterable[str], action: str, context: Context) -> bool:
    """Return whether an identity's policies deny an action on every resource."""
    return any(
        statement.get("Effect") == "Deny"
        and "*" in _as_list(statement.get("Resource", "*"))
        and _action_matches(statement, action)
        and conditions_hold(statement, context)
        for document in documents
        for statement in statements(document)
    )


def conditions_hold(statement: Mapping[str, Any], context: Context) -> bool:
    """Return whether every condition of a statement is understood and true."""
    return all(
        _condition(operator, key, _as_list(values), context)
        for operator, tests in (statement.get("Condition") or {}).items()
        for key, values in tests.items()
    )


def _condition(operator: str, key: str, values: list[Any], context: Context) -> bool:
    name = operator.removesuffix("IfExists")
    actual = context.get(key.lower())
    if actual is None:
        return name != operator or name in _NEGATED
    test = _TESTS.get(name)
    return test is not None and test(actual, [str(value) for value in values])


def _before(actual: str, values: list[str]) -> bool:
    return all(_moment(actual) < _moment(value) for value in values)


_NEGATED = frozenset({"StringNotEquals", "StringNotLike", "ArnNotEquals", "ArnNotLike"})
"""True where the key is missing."""

_TESTS = {
    "StringEquals": lambda actual, values: actual in values,
    "StringNotEquals": lambda actual, values: actual not in values,
    "StringLike": lambda actual, values: any(fnmatchcase(actual, value) for value in values),
    "StringNotLike": lambda actual, values: not any(fnmatchcase(actual, value) for value in values),
    "ArnEquals": lambda actual, values: any(fnmatchcase(actual, value) for value in values),
    "ArnLike": lambda actual, values: any(fnmatchcase(actual, value) for value in values),
    "ArnNotEquals": lambda actual, values: not any(fnmatchcase(actual, value) for value in values),
    "ArnNotLike": lambda actual, values: not any(fnmatchcase(actual, value) for value in values),
    "Bool": lambda actual, values: actual.lower() in [value.lower() for value in values],
    "DateLessThan": _before,
}


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _action_matches(statement: Mapping[str, Any], action: str) -> bool:
    wanted = action.lower()
    if "NotAction" in statement:
        return not any(fnmatchcase(wanted, str(item).lower()) for item in _as_list(statement["NotAction"]))
    return any(fnmatchcase(wanted, str(item).lower()) for item in _as_list(statement.get("Action")))


def _names_principal(principal: Any, arn: str, account: str) -> bool:
    if principal == "*":
        return True
    named = _as_list(principal.get("AWS")) if isinstance(principal, Mapping) else []
    return any(name in {"*", arn, account} or str(name).endswith(f":iam::{account}:root") for name in named)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
