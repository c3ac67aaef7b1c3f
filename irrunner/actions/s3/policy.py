"""Bucket policies as data: read without trust, compared in one spelling, changed in one statement.

S3 answers a policy in a spelling of its own: a list of one value becomes the value, and the order of
values is not kept. So statements are compared in a canonical form.
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeAlias

Document: TypeAlias = dict[str, Any]

LIMIT_BYTES: Final = 20 * 1024
"""Largest bucket policy.

Source: Amazon S3 user guide, "Bucket policies for Amazon S3": limited to 20 KB in size.
"""
VERSION: Final = "2012-10-17"


def parsed(text: str | None) -> tuple[Document | None, str]:
    """Return a policy as data, and why it cannot be edited (empty: it can).

    Args:
        text: As S3 answers it; None where the bucket has none.
    """
    if text is None:
        return None, ""
    try:
        document = json.loads(text, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError):
        return None, "is not the JSON that S3 takes"
    if not isinstance(document, dict) or not isinstance(document.get("Statement"), list | dict):
        return None, "has no statements"
    statements = document["Statement"]
    document["Statement"] = statements if isinstance(statements, list) else [statements]
    if not all(isinstance(statement, dict) for statement in document["Statement"]):
        return None, "has a statement that is none"
    return document, ""


def statement_of(policy: Document, sid: str) -> tuple[Document | None, str]:
    """Return the statement of a Sid, canonical, and why it cannot be told (empty: it can)."""
    found = [statement for statement in policy["Statement"] if statement.get("Sid") == sid]
    if len(found) > 1:
        return None, f"has {len(found)} statements {sid}"
    return (canonical(found[0]) if found else None), ""


def with_statement(policy: Document | None, sid: str, statement: Document | None) -> Document:
    """Return the policy with the statement of a Sid replaced, added last, or taken out."""
    base = policy or {"Version": VERSION, "Statement": []}
    kept: list[Any] = [item for item in base["Statement"] if item.get("Sid") != sid]
    return {**base, "Statement": kept if statement is None else [*kept, statement]}


def canonical(value: Any) -> Any:
    """Return a statement (or a part of it) in one spelling: sets sorted, a list of one as its value."""
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        items = sorted((canonical(item) for item in value), key=_spelled)
        return items[0] if len(items) == 1 else items
    return value


def text_of(policy: Document) -> str:
    """Return a policy as compact ASCII JSON: its length is its size."""
    return json.dumps(policy, separators=(",", ":"))


def _spelled(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that comes twice: what S3 reads there is not what we would write back."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice")
    return found
