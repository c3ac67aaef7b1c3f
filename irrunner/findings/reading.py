"""From bytes to plain JSON data within limits. Nothing here knows what an event means."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from irrunner.errors import FindingMalformed

MAX_BYTES: Final = 2 * 1024 * 1024
"""EventBridge delivers at most 1 MiB an event; envelopes and escapes make it larger."""
MAX_DEPTH: Final = 64
MAX_INTEGER_BITS: Final = 1024


def read_event(data: bytes | str) -> Any:
    """Return the JSON value of an event; of JSON Lines (an S3 export), the list of its values.

    Args:
        data: UTF-8 (or UTF-16, UTF-32) bytes, or text; at most 2 MiB.

    Returns:
        Plain data: nesting at most 64 deep, lone surrogates replaced, NaN and infinity as text.

    Raises:
        FindingMalformed: If the data is too large, too deep or no JSON; says where.
    """
    size = len(data)
    if size > MAX_BYTES:
        raise FindingMalformed(
            f"the event is too large: {size} bytes, at most {MAX_BYTES}",
            hint="send one event at a time",
            size=size,
        )
    if not data.strip():
        raise FindingMalformed("the event is empty", hint="give a file with one JSON event, or - for stdin")
    return plain(_load(data))


def plain(value: Any, depth: int = 0) -> Any:
    """Return a copy of JSON data that every later part can hold: text encodable, numbers finite.

    Raises:
        FindingMalformed: If the data nests deeper than 64, or holds what JSON cannot.
    """
    if depth > MAX_DEPTH:
        raise FindingMalformed(
            f"the event nests deeper than {MAX_DEPTH} levels", hint="send the event itself"
        )
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        return {encodable(str(key)): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    return _scalar(value)


def encodable(text: str) -> str:
    """Return the text with each lone surrogate replaced by U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= MAX_INTEGER_BITS else ("-Infinity" if value < 0 else "Infinity")
    if isinstance(value, float):
        return value if math.isfinite(value) else json.dumps(value)
    raise FindingMalformed(f"the event holds a {type(value).__name__}, which is no JSON", hint="send JSON")


def _load(data: bytes | str) -> Any:
    try:
        return json.loads(data)
    except json.JSONDecodeError as problem:
        lines = _json_lines(data) if problem.msg == "Extra data" else None
        if lines is not None:
            return lines
        raise FindingMalformed(
            f"the event is no JSON: {problem.msg} at line {problem.lineno}, column {problem.colno}",
            hint=_hint(problem),
            line=problem.lineno,
            column=problem.colno,
        ) from problem
    except UnicodeDecodeError as problem:
        raise FindingMalformed(
            f"the event is no text: {problem.reason} at byte {problem.start}", hint="save it as UTF-8"
        ) from problem
    except (ValueError, RecursionError) as problem:
        raise FindingMalformed(
            f"the event cannot be read: {problem}", hint="send the event itself"
        ) from problem


def _json_lines(data: bytes | str) -> list[Any] | None:
    try:
        return [json.loads(line) for line in data.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        return None


def _hint(problem: json.JSONDecodeError) -> str:
    if problem.pos >= len(problem.doc.rstrip()):
        return "the file ends too early: fetch the event again"
    if problem.pos == 0:
        return "it does not begin as JSON: give the event, not a path or a page"
    return "look there for a missing comma or quote"
