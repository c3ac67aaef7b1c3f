"""Statements of a function's policy: which let somebody invoke, and how AddPermission writes them."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Final, TypeAlias

from irrunner.actions.iam.documents import Document

Statement: TypeAlias = Document

_INVOKING: Final = ("lambda:invokefunction", "lambda:invokefunctionurl", "lambda:invokeasync")
_CONDITIONS: Final[Mapping[tuple[str, str], str]] = {
    ("ArnLike", "aws:sourcearn"): "SourceArn",
    ("StringEquals", "aws:sourceaccount"): "SourceAccount",
    ("StringEquals", "aws:principalorgid"): "PrincipalOrgID",
    ("StringEquals", "lambda:eventsourcetoken"): "EventSourceToken",
    ("StringEquals", "lambda:functionurlauthtype"): "FunctionUrlAuthType",
    ("Bool", "lambda:invokedviafunctionurl"): "InvokedViaFunctionUrl",
}
"""(Operator, condition key) to the parameter of AddPermission that writes it."""


def invokes(statement: Statement) -> bool:
    """Return whether a statement allows somebody to invoke the function."""
    given = statement.get("Action") or ()
    actions = [given] if isinstance(given, str) else given
    return statement.get("Effect") == "Allow" and any(
        fnmatchcase(name, str(action).lower()) for name in _INVOKING for action in actions
    )


def rewritten(statement: Statement) -> dict[str, Any] | None:
    """Return the parameters with which AddPermission writes the statement again, or None if it cannot.

    Source: Lambda API reference, AddPermission.
    """
    principal = _principal(statement.get("Principal"))
    conditions = _conditions(statement.get("Condition") or {})
    action = statement.get("Action")
    if principal is None or conditions is None or not isinstance(action, str) or not statement.get("Sid"):
        return None
    return {"StatementId": statement["Sid"], "Action": action, "Principal": principal, **conditions}


def _principal(given: Any) -> str | None:
    """One principal; ids of roles that were deleted (``AROA...``) are no principals any more."""
    if isinstance(given, Mapping) and len(given) == 1:
        kind, given = next(iter(given.items()))
        if kind not in {"AWS", "Service"}:
            return None
    return given if isinstance(given, str) and (given == "*" or "." in given or ":" in given) else None


def _conditions(block: Mapping[str, Any]) -> dict[str, Any] | None:
    written: dict[str, Any] = {}
    for operator, tests in block.items():
        for key, value in tests.items():
            name = _CONDITIONS.get((operator, key.lower()))
            if name is None or not isinstance(value, str):
                return None
            written[name] = value.lower() == "true" if name == "InvokedViaFunctionUrl" else value
    return written
