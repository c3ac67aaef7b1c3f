"""Checks of event patterns: all that is wrong with one, each with its place."""

from __future__ import annotations

import ipaddress
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

MAX_DEPTH: Final = 32
MAX_VALUES: Final = 1000
"""Values and filters of one pattern; AWS allows 2,048 characters, so this binds nobody."""
MAX_WILDCARD: Final = 1024
NUMERIC_LIMIT: Final = 5_000_000_000.0

OR: Final = "$or"
COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

PatternProblem = tuple[str, str]
"""Path inside the pattern, such as ``detail.state[0]``, and what is wrong there."""


def pattern_problems(pattern: object) -> list[PatternProblem]:
    """Return all that is wrong with a pattern, with the places; empty if it can be used."""
    if not isinstance(pattern, Mapping) or not pattern:
        return [("", "a pattern is an object with at least one field")]
    found = list(_object_problems("", pattern, 1))
    if not found and _value_count(pattern) > MAX_VALUES:
        found.append(("", f"a pattern may have at most {MAX_VALUES} values"))
    return found


def _value_count(pattern: Any) -> int:
    if isinstance(pattern, Mapping):
        return sum(_value_count(item) for item in pattern.values()) or 1
    if isinstance(pattern, list | tuple):
        return sum(_value_count(item) for item in pattern)
    return 1


def _object_problems(path: str, pattern: Mapping[Any, Any], depth: int) -> Iterator[PatternProblem]:
    if depth > MAX_DEPTH:
        yield path, f"a pattern may nest at most {MAX_DEPTH} levels"
        return
    for name, wanted in pattern.items():
        where = f"{path}.{name}" if path else str(name)
        if not isinstance(name, str):
            yield where, "a field's name is text"
        elif name == OR:
            yield from _or_problems(where, wanted, depth)
        elif isinstance(wanted, Mapping):
            yield from _nested_problems(where, wanted, depth)
        elif isinstance(wanted, list | tuple):
            yield from _values_problems(where, wanted)
        else:
            yield where, f"a value stands in a list: [{wanted!r:.60}]"


_NEVER_FIELDS: Final = frozenset({"anything-but", "equals-ignore-case"})
"""Operators that are taken for a forgotten list where a field's name could stand."""


def _nested_problems(where: str, wanted: Mapping[Any, Any], depth: int) -> Iterator[PatternProblem]:
    name, inner = next(iter(wanted.items()), ("", None))
    is_filter = len(wanted) == 1 and name in _CHECKS
    if not wanted:
        yield where, "an empty object matches nothing"
    elif is_filter and (name in _NEVER_FIELDS or not isinstance(inner, Mapping | list | tuple)):
        yield where, "a filter stands in a list: [{...}]"
    else:
        yield from _object_problems(where, wanted, depth + 1)


def _or_problems(where: str, wanted: Any, depth: int) -> Iterator[PatternProblem]:
    if not isinstance(wanted, list | tuple) or len(wanted) < 2:  # noqa: PLR2004 - one is no alternative
        yield where, "$or takes a list of at least two objects"
        return
    for index, alternative in enumerate(wanted):
        if isinstance(alternative, Mapping) and alternative:
            yield from _object_problems(f"{where}[{index}]", alternative, depth + 1)
        else:
            yield f"{where}[{index}]", "an alternative is an object with at least one field"


def _values_problems(where: str, wanted: list[Any] | tuple[Any, ...]) -> Iterator[PatternProblem]:
    if not wanted:
        yield where, "an empty list matches nothing"
    for index, item in enumerate(wanted):
        place = f"{where}[{index}]"
        if isinstance(item, Mapping):
            yield from _filter_problems(place, item)
        elif isinstance(item, list | tuple):
            yield place, "a list of values holds no lists"
        elif not _is_scalar(item):
            yield place, f"not a JSON value: {type(item).__name__}"


def _is_scalar(item: Any) -> bool:
    if isinstance(item, float):
        return math.isfinite(item)
    return item is None or isinstance(item, str | bool | int)


def _filter_problems(place: str, item: Mapping[Any, Any]) -> Iterator[PatternProblem]:
    if len(item) != 1:
        yield place, "a filter has exactly one operator"
        return
    name, argument = next(iter(item.items()))
    if name not in _CHECKS:
        yield place, f"unknown operator {name!r}; known: {', '.join(sorted(_CHECKS))}"
        return
    message = _CHECKS[name](argument)
    if message:
        yield f"{place}.{name}", message


def _text_argument(argument: Any) -> str:
    return "" if isinstance(argument, str) else "takes text"


def _edge_argument(argument: Any) -> str:
    """Check what ``prefix`` and ``suffix`` take: text, or text without regard to case."""
    if isinstance(argument, Mapping):
        inner = list(argument.items())
        if len(inner) == 1 and inner[0][0] == "equals-ignore-case" and isinstance(inner[0][1], str):
            return ""
        return 'takes text or {"equals-ignore-case": text}'
    return _text_argument(argument)


def _wildcard_argument(argument: Any) -> str:
    if not isinstance(argument, str):
        return "takes text"
    if len(argument) > MAX_WILDCARD:
        return f"may have at most {MAX_WILDCARD} characters"
    unescaped = argument.replace("\\\\", "-").replace("\\*", "-")
    if "**" in unescaped:
        return "two stars in a row are not allowed"
    return "a backslash escapes only a star or a backslash" if "\\" in unescaped else ""


def _exists_argument(argument: Any) -> str:
    return "" if isinstance(argument, bool) else "takes true or false"


def _cidr_argument(argument: Any) -> str:
    if not isinstance(argument, str) or "/" not in argument:
        return "takes a network such as 10.0.0.0/8"
    try:
        ipaddress.ip_network(argument, strict=False)
    except ValueError as problem:
        return str(problem)
    return ""


def _numeric_argument(argument: Any) -> str:
    if not isinstance(argument, list | tuple) or len(argument) not in (2, 4):
        return 'takes one or two comparisons: [">", 0, "<=", 5]'
    signs, bounds = list(argument[::2]), list(argument[1::2])
    if any(not isinstance(sign, str) or sign not in COMPARISONS for sign in signs):
        return f"the comparisons are {', '.join(COMPARISONS)}"
    if any(not _is_bound(bound) for bound in bounds):
        return f"the bounds are numbers from -{NUMERIC_LIMIT:.0f} to {NUMERIC_LIMIT:.0f}"
    return _range_problem(signs, bounds) if len(signs) > 1 else ""


def _is_bound(bound: Any) -> bool:
    return isinstance(bound, int | float) and not isinstance(bound, bool) and abs(bound) <= NUMERIC_LIMIT


def _range_problem(signs: list[str], bounds: list[float]) -> str:
    if signs[0] not in {">", ">="} or signs[1] not in {"<", "<="}:
        return "a range is written lower bound first: > or >=, then < or <="
    return "" if bounds[0] < bounds[1] else "the lower bound is not below the upper"


def several(argument: Any) -> list[Any]:
    """Return the items of a list, or the value as the only one."""
    return list(argument) if isinstance(argument, list | tuple) else [argument]


def _anything_but_argument(argument: Any) -> str:
    if isinstance(argument, Mapping):
        return _anything_but_filter(argument)
    values = several(argument)
    if not values:
        return "an empty list excludes nothing"
    all_text = all(isinstance(item, str) for item in values)
    all_numbers = all(isinstance(item, int | float) and not isinstance(item, bool) for item in values)
    return "" if all_text or all_numbers else "takes text, numbers, or a list of one of them"


def _anything_but_filter(argument: Mapping[Any, Any]) -> str:
    name, inner = next(iter(argument.items()), ("", None))
    if len(argument) != 1 or name not in _EXCLUDABLE:
        return f"takes one of {', '.join(sorted(_EXCLUDABLE))}"
    items = several(inner)
    if not items:
        return "an empty list excludes nothing"
    return next((message for item in items if (message := _EXCLUDABLE[name](item))), "")


_EXCLUDABLE: Final[Mapping[str, Callable[[Any], str]]] = {
    "prefix": _text_argument,
    "suffix": _text_argument,
    "equals-ignore-case": _text_argument,
    "wildcard": _wildcard_argument,
}

_CHECKS: Final[Mapping[str, Callable[[Any], str]]] = {
    "prefix": _edge_argument,
    "suffix": _edge_argument,
    "equals-ignore-case": _text_argument,
    "wildcard": _wildcard_argument,
    "anything-but": _anything_but_argument,
    "numeric": _numeric_argument,
    "cidr": _cidr_argument,
    "exists": _exists_argument,
}
"""Operator to the check of its argument: what is wrong, or nothing."""
