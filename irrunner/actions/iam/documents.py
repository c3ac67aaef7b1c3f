"""Policy documents: as IAM answers them, compared as JSON, never as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote

from irrunner.actions.contract import Permission, ReadApi
from irrunner.errors import TargetNotFound

Document: TypeAlias = dict[str, Any]


def decoded(document: Any) -> Document:
    """Return a policy document as JSON data; IAM sends it URL-encoded (RFC 3986), botocore may decode it.

    A document that is no JSON object is kept whole, so that a comparison fails and undo can put it back.

    Source: IAM API reference, GetUserPolicy: "policies returned by this operation are URL-encoded".
    """
    if isinstance(document, Mapping):
        return dict(document)
    for text in (str(document), unquote(str(document))):
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(value, dict):
            return value
    return {"unreadable": str(document)}


def text_of(document: Document) -> str:
    """Return the document as compact JSON: inline policies have a size limit."""
    if document.keys() == {"unreadable"}:
        return unquote(str(document["unreadable"]))
    return json.dumps(document, separators=(",", ":"))


def statements_of(document: Document | None) -> list[Any]:
    """Return the statements of a policy; IAM accepts an object in place of a list of one."""
    found = (document or {}).get("Statement") or []
    return [found] if isinstance(found, Mapping) else list(found)


def inline_policy(api: ReadApi, operation: str, **names: str) -> Document | None:
    """Return an inline policy, None where there is none of this name.

    Args:
        api: Reads.
        operation: ``iam:GetUserPolicy`` or ``iam:GetRolePolicy``.
        names: ``UserName`` or ``RoleName``, and ``PolicyName``.
    """
    try:
        return decoded(api.call(operation, **names)["PolicyDocument"])
    except TargetNotFound:
        return None


def on(kind: str, parameter: str, use: str, *actions: str) -> tuple[Permission, ...]:
    """Return permissions on a user or role named by a parameter, under any path.

    An IAM ARN holds the path: ``role/web`` does not cover ``role/team/web``, and ``role/*web`` too much.

    Args:
        kind: ``user`` or ``role``.
        parameter: The parameter that names it.
        use: ``look``, ``act`` or ``undo``.
        actions: IAM actions.
    """
    arn = f"arn:{{partition}}:iam::{{account}}:{kind}/"
    patterns = (f"{arn}{{{parameter}}}", f"{arn}*/{{{parameter}}}")
    return tuple(
        Permission(name, pattern, use=use)  # type: ignore[arg-type]
        for name in actions
        for pattern in patterns
    )
