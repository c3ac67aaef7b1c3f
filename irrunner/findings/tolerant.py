"""Reading fields of hostile JSON: every function takes anything and returns what it can vouch for."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from irrunner.clock import iso

_PASCAL: Final = re.compile(r"[A-Z][A-Za-z0-9]*", re.ASCII)
_EPOCH_MS_FROM: Final = 100_000_000_000
"""Numbers above are milliseconds since 1970 (in seconds it would be the year 5138)."""

MAX_SEVERITY: Final = 10.0

LABELS: Final[Mapping[str, float]] = {
    "INFORMATIONAL": 1.0,
    "LOW": 2.0,
    "MEDIUM": 5.0,
    "HIGH": 8.0,
    "CRITICAL": 9.0,
    "FATAL": 10.0,
}
"""Severity labels of every source on GuardDuty's scale (low 1.0, medium 4.0, high 7.0, critical 9.0 up)."""


def mapping(value: Any) -> dict[str, Any]:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """Return the value if it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects in an array."""
    return [item for item in items(value) if isinstance(item, dict)]


def dig(value: Any, *path: str) -> Any:
    """Return what stands at the path of object keys, or None."""
    for key in path:
        value = mapping(value).get(key)
    return value


def text(value: Any) -> str:
    """Return text or an integer as text without surrounding space; anything else is empty."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return ""


def first_text(*values: Any) -> str:
    """Return the first that has text."""
    return next((found for found in map(text, values) if found), "")


def texts(values: Iterable[Any]) -> tuple[str, ...]:
    """Return those that have text, without repetition."""
    return tuple(dict.fromkeys(found for found in map(text, values) if found))


def flag(value: Any) -> bool:
    """Return whether the value is true, or the word."""
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def number(value: Any) -> float | None:
    """Return a finite number, from a number or its text."""
    if isinstance(value, bool):
        return None
    if not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def count_of(value: Any) -> int:
    """Return a count of at least 1."""
    found = number(value)
    return int(found) if found is not None and 1 <= found < 2**53 else 1


def label_severity(value: Any) -> float | None:
    """Return the severity of a label such as ``HIGH``."""
    return LABELS.get(text(value).upper())


def severity(value: Any) -> float:
    """Return a severity of GuardDuty's scale from a number, its text or a label; 0.0 where unknown."""
    found = number(value)
    if found is not None:
        return found if 0.0 <= found <= MAX_SEVERITY else 0.0
    return label_severity(value) or 0.0


def timestamp(value: Any) -> str:
    """Return RFC 3339 in UTC from ISO 8601, epoch seconds or milliseconds, or an HTTP date; else empty.

    A time without a zone is taken to be UTC, as AWS writes them.
    """
    found = number(value)
    moment = _moment(text(value)) if found is None else _from_epoch(found)
    if moment is None:
        return ""
    try:
        return iso(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return ""


def _from_epoch(value: float) -> datetime | None:
    seconds = value / 1000 if abs(value) >= _EPOCH_MS_FROM else value
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _moment(value: str) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        pass
    try:
        return datetime.strptime(value, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except ValueError:
        return None


def tags(value: Any) -> dict[str, str]:
    """Return tags from a list of key and value (or name and value) pairs, or from an object."""
    if isinstance(value, dict):
        return {key: text(item) for key, item in value.items()}
    pairs = [camel(pair) for pair in objects(value)]
    return {
        name: text(pair.get("value"))
        for pair in pairs
        if (name := first_text(pair.get("key"), pair.get("name")))
    }


def embedded(value: Any) -> Any:
    """Return the JSON value inside a string, the value itself if it is none, or None if it is no JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def camel(value: Any) -> Any:
    """Return the data with the PascalCase keys of GetFindings spelled as EventBridge spells them."""
    if isinstance(value, dict):
        lowered = {_lower(key): camel(item) for key, item in value.items() if _PASCAL.fullmatch(key)}
        kept = {key: camel(item) for key, item in value.items() if not _PASCAL.fullmatch(key)}
        return lowered | kept
    if isinstance(value, list):
        return [camel(item) for item in value]
    return value


def from_snake(value: Any) -> Any:
    """Return the data with the snake_case keys of OCSF spelled in camelCase."""
    if isinstance(value, dict):
        return {_joined(key): from_snake(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_snake(item) for item in value]
    return value


def _joined(key: str) -> str:
    first, *others = key.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in others)


def _lower(key: str) -> str:
    return key[:1].lower() + key[1:]
