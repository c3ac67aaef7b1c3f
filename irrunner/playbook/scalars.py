"""What scalars mean: the YAML 1.2 core schema for plain ones, and durations.

Differences from PyYAML's YAML 1.1 matter to AWS users: ``012345670123`` is an account, not an octal
number; ``no`` and ``on`` are words; ``2026-11-22`` and ``12:30`` are text.

Source: YAML 1.2.2, section 10.3 (core schema).
"""

from __future__ import annotations

import math
import re

from irrunner.playbook.nodes import Scalar

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,10}|[1-9][0-9]{12,17})")
"""No leading zero, and not twelve digits: those are account ids."""
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]+|\.(?=e|E|$)|(?=[eE]))([eE][-+]?[0-9]{1,3})?")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def resolve(scalar: Scalar) -> bool | int | float | str | None:
    """Return the value of a scalar by the core schema (quoted scalars are text).

    Integers that would lose digits or are account ids (a leading zero, twelve digits) stay text, as do
    infinities and the octal and hexadecimal forms, which no playbook needs.
    """
    text = scalar.text
    if not scalar.plain:
        return text
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INT.fullmatch(text):
        return int(text)
    if text[:1] in "+-.0123456789" and any(c.isdigit() for c in text) and _FLOAT.fullmatch(text):
        value = float(text)
        return value if math.isfinite(value) else text
    return text


def is_null(scalar: Scalar) -> bool:
    """Return whether nothing was written."""
    return scalar.plain and scalar.text in _NULLS


def seconds(text: str) -> float | None:
    """Return the seconds of a duration such as ``500ms 30s 2m 24h 3d``, or None where it is none."""
    match = _DURATION.fullmatch(text.strip())
    return float(match[1]) * _SECONDS[match[2]] if match else None


def duration_text(value_s: float) -> str:
    """Return seconds as the shortest exact duration: 90.0 is ``90s``, 7200.0 is ``2h``."""
    for unit in ("d", "h", "m", "s"):
        count = value_s / _SECONDS[unit]
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    return f"{round(value_s * 1000)}ms"
