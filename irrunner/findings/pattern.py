"""The EventBridge event pattern language: does a pattern match an event.

Every name in the pattern must be in the event at the same depth; a list of values means any of them; an
array in the event matches if any of its elements does, and an array of objects if one object matches
whole. Numbers are equal if they are written alike (``300`` is not ``300.0``); ``numeric`` compares them.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from irrunner.findings.pattern_checks import COMPARISONS, NUMERIC_LIMIT, OR, pattern_problems, several

__all__ = ["leaf_count", "matches", "pattern_problems", "stands_in_order", "wildcard_matches"]


def matches(pattern: Mapping[str, object], event: Any) -> bool:
    """Return whether an event matches a pattern.

    Args:
        pattern: One for which :func:`pattern_problems` finds nothing.
        event: Any JSON value; what is no object matches only what asks for absence.
    """
    return all(_field_matches(name, wanted, event) for name, wanted in pattern.items())


def leaf_count(pattern: Mapping[str, object]) -> int:
    """Return how many fields a pattern constrains; of alternatives the least: the more, the more specific."""
    return sum(_leaves_under(name, wanted) for name, wanted in pattern.items())


def _leaves_under(name: str, wanted: Any) -> int:
    if name == OR:
        return min(leaf_count(alternative) for alternative in wanted)
    return leaf_count(wanted) if isinstance(wanted, Mapping) else 1


def _field_matches(name: str, wanted: Any, event: Any) -> bool:
    if name == OR and isinstance(wanted, list | tuple):
        return any(matches(alternative, event) for alternative in wanted)
    value = event.get(name, _ABSENT) if isinstance(event, Mapping) else _ABSENT
    if isinstance(wanted, Mapping):
        return _object_matches(wanted, value)
    leaves = list(_leaves(value))
    return any(_any_leaf(item, leaves) for item in wanted)


class _Absent:
    """Nothing stands at the path."""


_ABSENT: Final = _Absent()


def _object_matches(wanted: Mapping[str, object], value: Any) -> bool:
    """Match an object, or one object of an array; without any object only absence can match."""
    if isinstance(value, list):
        inner = [item for item in value if isinstance(item, Mapping | list)]
        return any(_object_matches(wanted, item) for item in inner) if inner else matches(wanted, {})
    return matches(wanted, value)


def _leaves(value: Any) -> Iterator[Any]:
    """Yield the values of a field: itself, or those of an array; an object is no leaf."""
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif not isinstance(value, Mapping | _Absent):
        yield value


def _any_leaf(wanted: Any, leaves: list[Any]) -> bool:
    if not isinstance(wanted, Mapping):
        return any(_same(wanted, leaf) for leaf in leaves)
    name, argument = next(iter(wanted.items()))
    if name == "exists":
        return bool(leaves) is argument
    return any(_TESTS[name](argument, leaf) for leaf in leaves)


def _same(wanted: Any, leaf: Any) -> bool:
    return type(wanted) is type(leaf) and bool(wanted == leaf)


def _is_text(test: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    """Return a filter over strings whose argument may be a string, several, or ``equals-ignore-case``."""

    def holds(argument: Any, leaf: Any) -> bool:
        if not isinstance(leaf, str):
            return False
        if isinstance(argument, Mapping):
            folded = _texts(next(iter(argument.values())))
            return any(test(item.casefold(), leaf.casefold()) for item in folded)
        return any(test(item, leaf) for item in _texts(argument))

    return holds


def _texts(argument: Any) -> list[str]:
    return [argument] if isinstance(argument, str) else list(argument)


def _ignore_case(argument: str, leaf: str) -> bool:
    return argument.casefold() == leaf.casefold()


def _numeric(argument: Any, leaf: Any) -> bool:
    if isinstance(leaf, bool) or not isinstance(leaf, int | float) or abs(leaf) > NUMERIC_LIMIT:
        return False
    pairs = zip(argument[::2], argument[1::2], strict=True)
    return all(COMPARISONS[sign](leaf, bound) for sign, bound in pairs)


def _cidr(argument: Any, leaf: Any) -> bool:
    if not isinstance(leaf, str):
        return False
    try:
        address = ipaddress.ip_address(leaf)
    except ValueError:
        return False
    return address in ipaddress.ip_network(argument, strict=False)


def _anything_but(argument: Any, leaf: Any) -> bool:
    if isinstance(argument, Mapping):
        name, inner = next(iter(argument.items()))
        return isinstance(leaf, str) and not _TESTS[name](inner, leaf)
    return not any(
        item == leaf and isinstance(leaf, bool) is isinstance(item, bool) for item in several(argument)
    )


def wildcard_matches(wildcard: str, text: str) -> bool:
    """Return whether text is what a wildcard describes; a star is any characters unless escaped."""
    return stands_in_order(_literals(wildcard), text)


def stands_in_order(literals: Sequence[str], text: str) -> bool:
    """Return whether text is these literals in this order, with anything between them.

    Each literal is sought once, from left to right, so that no input takes long.

    Args:
        literals: At least one; the first begins the text and the last ends it.
        text: Of any length.
    """
    first, *middle = literals
    if not middle:
        return text == first
    last = middle.pop()
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _literals(wildcard: str) -> list[str]:
    """Return the literal parts between the stars that are not escaped."""
    parts = [""]
    characters = iter(wildcard)
    for character in characters:
        if character == "*":
            parts.append("")
        else:
            parts[-1] += next(characters, character) if character == "\\" else character
    return parts


_TESTS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "prefix": _is_text(lambda argument, leaf: leaf.startswith(argument)),
    "suffix": _is_text(lambda argument, leaf: leaf.endswith(argument)),
    "equals-ignore-case": _is_text(_ignore_case),
    "wildcard": _is_text(wildcard_matches),
    "anything-but": _anything_but,
    "numeric": _numeric,
    "cidr": _cidr,
}
"""Operator to its test of one value; ``exists`` looks at the field instead."""
