"""Policy documents, read once: statements with their actions, resources, principals and conditions.

Pure: no service and no clock. A document that cannot be read has no statements, and so allows nothing.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

Context: TypeAlias = Mapping[str, tuple[str, ...]]
"""Condition keys in lower case, with the request's values."""

_VARIABLE: Final = re.compile(r"\$\{([^}]*)\}")
_LITERAL: Final = {"*": "*", "?": "?", "$": "$"}
_MARK: Final = "\x00"
"""Stands for a literal character while a pattern is compiled: no ARN holds it."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a policy."""

    sid: str
    effect: Literal["Allow", "Deny"]
    actions: tuple[str, ...]
    not_actions: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    """None: the statement has no Resource element (a trust policy)."""
    not_resources: tuple[str, ...] | None
    principals: Mapping[str, tuple[str, ...]] | None
    """Kind (``AWS Service Federated``) to names; None: the policy belongs to an identity."""
    not_principals: Mapping[str, tuple[str, ...]] | None
    conditions: Mapping[str, Mapping[str, tuple[str, ...]]]

    def covers_action(self, action: str) -> bool:
        """Return whether the statement speaks of an action."""
        if self.not_actions is not None:
            return not any(matches(pattern, action, ignore_case=True) for pattern in self.not_actions)
        return any(matches(pattern, action, ignore_case=True) for pattern in self.actions)

    def covers_resource(self, resource: str, context: Context) -> bool:
        """Return whether the statement speaks of a resource (an ARN, or ``*`` where there is none)."""
        if self.not_resources is not None:
            return not any(_covers(pattern, resource, context) for pattern in self.not_resources)
        return self.resources is None or any(_covers(item, resource, context) for item in self.resources)


def _covers(pattern: str, resource: str, context: Context) -> bool:
    filled = substitute(pattern, context)
    return filled is not None and matches(filled, resource)


@functools.lru_cache(maxsize=4_096)
def statements(document: str) -> tuple[Statement, ...]:
    """Return the statements of a policy document; none if it cannot be read."""
    try:
        read = json.loads(document)
    except ValueError:
        return ()
    if not isinstance(read, dict):
        return ()
    found = (_statement(item) for item in _listed(read.get("Statement")) if isinstance(item, dict))
    return tuple(statement for statement in found if statement)


def _statement(item: Mapping[str, Any]) -> Statement | None:
    effect = item.get("Effect")
    if effect not in {"Allow", "Deny"}:
        return None
    return Statement(
        sid=str(item.get("Sid", "")),
        effect=effect,
        actions=_texts(item.get("Action")),
        not_actions=_texts(item["NotAction"]) if "NotAction" in item else None,
        resources=_texts(item["Resource"]) if "Resource" in item else None,
        not_resources=_texts(item["NotResource"]) if "NotResource" in item else None,
        principals=_principals(item["Principal"]) if "Principal" in item else None,
        not_principals=_principals(item["NotPrincipal"]) if "NotPrincipal" in item else None,
        conditions={
            operator: {key.lower(): _texts(values) for key, values in tests.items()}
            for operator, tests in (item.get("Condition") or {}).items()
        },
    )


def _principals(value: Any) -> dict[str, tuple[str, ...]]:
    if value == "*":
        return {"AWS": ("*",)}
    return {kind: _texts(names) for kind, names in value.items()} if isinstance(value, Mapping) else {}


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(
        str(item).lower() if isinstance(item, bool) else str(item)  # JSON's true is IAM's "true"
        for item in _listed(value)
    )


def _listed(value: Any) -> Iterable[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def substitute(text: str, context: Context) -> str | None:
    """Return the text with its policy variables replaced; None where one has no value.

    What a variable yields is literal: a wildcard in a user's name matches itself alone.

    Source: IAM user guide, "IAM policy elements: Variables and tags".
    """
    if "${" not in text:
        return text
    unknown = False

    def value(found: re.Match[str]) -> str:
        nonlocal unknown
        name, _, default = (part.strip() for part in found[1].partition(","))
        if name in _LITERAL:
            return _MARK + _LITERAL[name]
        values = context.get(name.lower()) or ((default.strip("'"),) if default else ())
        if len(values) != 1:
            unknown = True
            return ""
        return "".join(_MARK + char if char in _LITERAL else char for char in values[0])

    filled = _VARIABLE.sub(value, text)
    return None if unknown else filled


def plain(text: str) -> str:
    """Return a substituted text without the marks of literal characters."""
    return text.replace(_MARK, "")


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """Return whether a text matches a pattern with ``*`` and ``?``."""
    if pattern == "*":
        return True
    return _compiled(pattern, ignore_case).fullmatch(text) is not None


@functools.lru_cache(maxsize=16_384)
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:  # noqa: FBT001 - a cache key
    parts = re.split(rf"({_MARK}.|\*|\?)", pattern)
    wild = {"*": ".*", "?": "."}
    text = "".join(wild.get(part) or re.escape(part.removeprefix(_MARK)) for part in parts)
    return re.compile(text, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
