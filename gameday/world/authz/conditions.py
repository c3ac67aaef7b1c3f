"""The condition block of a statement: every operator of IAM, with set operators, ``IfExists`` and variables.

A condition that is not understood never holds, and so neither allows nor denies: the caller is told by the
linter, not by a surprise.

Source: IAM user guide, "IAM JSON policy elements: Condition operators" and "... single-valued vs. multivalued
context keys".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeAlias

from gameday.world.authz.documents import Context, matches, plain, substitute

Test: TypeAlias = Callable[[str, str], bool]
"""(the request's value, the policy's value) to whether they agree."""

_ARN_PARTS: Final = 6


def conditions_hold(block: Mapping[str, Mapping[str, tuple[str, ...]]], context: Context) -> bool:
    """Return whether every condition of a block holds.

    Args:
        block: Operator to condition key (lower case) to the policy's values.
        context: The request's values by condition key.
    """
    return all(
        _holds(operator, key, values, context)
        for operator, tests in block.items()
        for key, values in tests.items()
    )


def _holds(operator: str, key: str, values: tuple[str, ...], context: Context) -> bool:
    quantifier, _, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists").lower()
    actual = context.get(key)
    if name == "null":
        return all((actual is None) == (value.lower() == "true") for value in values)
    test = _TESTS.get(name)
    negated = name in _NEGATED
    if test is None:
        test = _TESTS.get(_NEGATED.get(name, ""))
    if test is None:
        return False
    filled = [value for value in (substitute(item, context) for item in values) if value is not None]
    if quantifier.lower() == "forallvalues":
        return all(_any(test, value, filled) != negated for value in actual or ())
    if not actual:
        return (if_exists or negated) and not quantifier
    if quantifier.lower() == "foranyvalue":
        return any(_any(test, value, filled) != negated for value in actual)
    return any(_any(test, value, filled) for value in actual) != negated


def _any(test: Test, actual: str, values: list[str]) -> bool:
    return any(_safely(test, actual, value) for value in values)


def _safely(test: Test, actual: str, value: str) -> bool:
    try:
        return test(actual, value)
    except ValueError:
        return False


def _arn_like(actual: str, pattern: str) -> bool:
    """Compare part by part: a wildcard does not reach over a colon (but in the last part)."""
    ours, theirs = actual.split(":", _ARN_PARTS - 1), pattern.split(":", _ARN_PARTS - 1)
    return len(ours) == len(theirs) and all(map(matches, theirs, ours))


def _moment(text: str) -> datetime:
    if text.isdigit():
        return datetime.fromtimestamp(int(text), UTC)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _in_network(actual: str, network: str) -> bool:
    return ipaddress.ip_address(actual) in ipaddress.ip_network(network, strict=False)


_TESTS: Final[Mapping[str, Test]] = {
    "stringequals": lambda actual, value: actual == plain(value),
    "stringequalsignorecase": lambda actual, value: actual.lower() == plain(value).lower(),
    "stringlike": lambda actual, value: matches(value, actual),
    "numericequals": lambda actual, value: float(actual) == float(value),
    "numericlessthan": lambda actual, value: float(actual) < float(value),
    "numericlessthanequals": lambda actual, value: float(actual) <= float(value),
    "numericgreaterthan": lambda actual, value: float(actual) > float(value),
    "numericgreaterthanequals": lambda actual, value: float(actual) >= float(value),
    "dateequals": lambda actual, value: _moment(actual) == _moment(value),
    "datelessthan": lambda actual, value: _moment(actual) < _moment(value),
    "datelessthanequals": lambda actual, value: _moment(actual) <= _moment(value),
    "dategreaterthan": lambda actual, value: _moment(actual) > _moment(value),
    "dategreaterthanequals": lambda actual, value: _moment(actual) >= _moment(value),
    "bool": lambda actual, value: actual.lower() == value.lower(),
    "binaryequals": lambda actual, value: actual == value,
    "ipaddress": _in_network,
    "arnequals": _arn_like,
    "arnlike": _arn_like,
}
_NEGATED: Final[Mapping[str, str]] = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "numericnotequals": "numericequals",
    "datenotequals": "dateequals",
    "notipaddress": "ipaddress",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
}
